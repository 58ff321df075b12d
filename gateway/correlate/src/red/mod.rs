//! RED: rate, errors and durations of services, of their operations, and of the calls between them.
//!
//! [`graph()`] answers for a window from what the store counted; [`SpanMetrics`] makes series of spans as they arrive. Plain data:
//! no HTTP, no clock.

mod graph;
mod options;
mod owned;
mod pairing;
mod samples;
mod span_metrics;
#[cfg(test)]
mod tests;
mod tracks;
mod waiting;

pub use graph::{
    GraphEdge, GraphNode, Measures, NodeKind, OperationMeasures, RedQuestion, ServiceGraph, ServiceMeasures,
    graph, operations, services,
};
pub use options::{
    DEFAULT_BUCKETS, DEFAULT_INTERVAL, DEFAULT_MAX_SERIES, DEFAULT_WAIT, RedOptions, label_of,
};
pub use owned::{only_name, owned};
pub use samples::bound;
pub use span_metrics::{RedStats, SpanMetrics};
pub use tracks::{Example, Examples, Histogram, OVERFLOW_LABEL, Shape, Track};
