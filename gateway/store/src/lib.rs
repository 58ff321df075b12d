//! The embedded store: one data directory, no other server.
//!
//! Acknowledged batches are in the journal and in the head, found at once; the head is sealed into immutable segments in
//! the background. The reading traits in [`read`] are what `query`, `correlate` and `serve` know; `upstream` meets them too.

// Columns are written one statement each; a loop would take three lines for every one.
#![allow(clippy::needless_for_each)]

mod calls;
mod codec;
mod disk;
mod expired;
mod head;
mod journal;
mod manifest;
mod merge;
mod opening;
mod options;
mod patterns;
mod positions;
pub mod read;
mod reading;
mod retention;
mod samples;
mod sampling;
mod seal;
mod segment;
mod store;
#[cfg(test)]
mod tests;

pub use options::{
    Counters, Keep, OpenError, Refused, Retention, SignalStats, Stats, StoreOptions, SyncPolicy,
};
pub use patterns::Patterns;
pub use samples::{LeftOut, MAX_SERIES, OUT_OF_ORDER, SampleOptions};
pub use sampling::{
    KeepTraces, MAX_CONDITIONS, MAX_RULES, Pattern, Rule, RuleStats, SamplingOptions, SamplingStats,
    ValueMatch, WAIT, When,
};
pub use store::Store;
