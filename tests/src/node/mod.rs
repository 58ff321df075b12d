//! A node as a shipper meets it: containers that write and are rotated as a kubelet does it, and a network that fails.

mod collect_model;
mod containers;
mod faulty;
mod loki_sink;
mod scribe;
mod torture;

pub use collect_model::{CollectModel, Deed, Target};
pub use containers::{Container, Containers};
pub use faulty::Faulty;
pub use loki_sink::{Failure, LokiSink};
pub use scribe::{Findings, Scribe};
pub use torture::{Outcome, Torture};
