//! Bytes to lines: the chain of files that one container writes, oldest first, each read to its end before the next.
//!
//! The state of half-joined records belongs to the chain, not to a file. Which files belong to it comes from
//! [`crate::discovery`] by way of the tailer.

pub(crate) mod batch;
mod chain;
pub(crate) mod compressed;
mod generation;
mod held;
pub(crate) mod origin;
pub(crate) mod out;

pub(crate) use chain::{Chain, Means};
pub use generation::{Cut, Generation, RawLine};
