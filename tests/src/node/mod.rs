//! A node as a shipper meets it: containers that write and are rotated as a kubelet does it, and a network that fails.

mod containers;
mod faulty;
mod loki_sink;
mod torture;

pub use containers::{Container, Containers};
pub use faulty::Faulty;
pub use loki_sink::LokiSink;
pub use torture::{Outcome, Torture};
