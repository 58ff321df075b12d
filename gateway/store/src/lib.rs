//! The embedded store: one data directory, no other server.
//!
//! Acknowledged batches are in the journal and in the head, found at once; the head is sealed into immutable segments in
//! the background. The reading traits in [`read`] are what `query`, `correlate` and `serve` know; `upstream` meets them too.

pub mod read;
