//! LogQL, TraceQL and PromQL: text in, plain data out. Reading is done through the store's traits; HTTP and JSON are the
//! surfaces'.

mod allowance;
mod error;
mod expressions;
pub mod live;
pub mod log_fields;
pub mod logql;
pub mod promql;
pub mod series_selectors;
pub mod span_search;
pub mod traceql;

pub use allowance::{Allowance, Capacity, Exceeded};
pub use error::QueryError;
