//! Corpora that tests and benchmarks feed to the gateway: the same input for the same arguments, on every machine.
//!
//! Here are the generators and what they promise (a manifest each); how the input is sent or read is the caller's business.

mod dice;
mod joined;
mod logs;
mod spans;
mod untold;

#[cfg(test)]
mod tests;

pub use dice::Dice;
pub use joined::{Joined, LINES_PER_REQUEST, SPANS_PER_REQUEST, joined};
pub use logs::{Manifest, write_logs};
pub use spans::{SPANS_PER_BODY, SPANS_PER_TRACE, SpanManifest, span_bodies};
pub use untold::{Container, Threads, Untold, containers, silent_containers, untold};

/// Ids that a manifest names, at most.
const SAMPLED_IDS: usize = 1000;
