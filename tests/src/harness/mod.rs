//! The harness: starts real programs in a folder of their own, speaks to them over HTTP and waits for what they promise.
//!
//! What is promised is in the tests; nothing here asserts.

mod django;
mod http;
mod process;
mod program;
mod prometheus;
mod wait;

pub use django::{Django, SERVICE as DJANGO_SERVICE};
pub use http::{Answer, Http};
pub use process::{Process, free_port};
pub use program::{Settings, Trefoil};
pub use prometheus::{Prometheus, Scrape};
pub use wait::until;
