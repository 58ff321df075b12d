//! LogQL and TraceQL: text in, plain data out. Reading is done through the store's traits; HTTP and JSON are the surfaces'.
//!
//! Of PromQL only the selectors are read here: it is handed on to a real Prometheus.

mod error;
pub mod live;
pub mod log_fields;
pub mod logql;
pub mod series_selectors;
pub mod span_search;
pub mod traceql;

pub use error::QueryError;
