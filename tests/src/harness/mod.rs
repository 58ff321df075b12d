//! The harness round the gateway: starts the real programs that it works with, speaks to them over HTTP and waits for what they
//! promise. The gateway itself is started by `program`; what is promised is in the tests.

mod browser;
mod client;
mod collector;
mod demo;
mod django;
mod http;
mod overload;
mod process;
mod prometheus;
mod reporter;
mod told;
mod wait;

pub use browser::shown;
pub use client::{Said, built, client, clients, run};
pub use collector::Collector;
pub use demo::Demo;
pub use django::{Django, Otlp, SERVICE as DJANGO_SERVICE};
pub use http::{Answer, Http};
pub use overload::{Overload, refusals, through_overload};
pub use process::{Process, free_port};
pub use prometheus::{Prometheus, Scrape};
pub use reporter::{found, report, span};
pub use told::whole;
pub use wait::until;
