//! ASK OTHERS. Other servers behind the traits that the store meets: Prometheus as `store::read::MetricRead`.
//!
//! Wire shapes of those servers live here and nowhere else.

pub mod otlp_logs;
pub mod prometheus;
