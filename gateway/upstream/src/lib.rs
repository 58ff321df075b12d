//! ASK OTHERS. Other servers behind the traits that the store meets: Prometheus as `store::read::MetricRead`; and those that an
//! agent ships to.
//!
//! Wire shapes of those servers live here and nowhere else.

pub mod prometheus;
pub mod ship;
