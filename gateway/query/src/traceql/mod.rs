//! TraceQL, the whole language: span sets by conditions on spans, over whole traces, and metrics of them.
//!
//! Text becomes a [`Query`] (`lexer`, `parser`, `check`), and that text again (`display`). What runs is a pipeline (`pipeline`,
//! `sets`, `expression`) over one trace at a time (`trace`); `plan` says what the store may pass over, and `search`, `metrics` and
//! `tags` are the questions. HTTP and JSON are the surface's.

mod ast;
mod check;
mod display;
mod duration;
mod error;
mod expression;
mod hint;
mod lexer;
mod limits;
mod logfmt;
mod metrics;
mod names;
mod parser;
mod pipeline;
mod plan;
mod regex;
mod search;
mod sets;
mod shown;
mod tags;
#[cfg(test)]
mod tests;
mod trace;
mod value;
mod visit;

pub use ast::{Query, Static};
pub use error::ParseError;
pub use limits::Limits;
pub use logfmt::from_tags;
pub use metrics::{DEFAULT_SERIES, Exemplar, MetricsFound, MetricsParams, Series, metrics};
pub use parser::parse;
pub use search::{Found, SearchParams, ServiceStats, SetHit, SpanHit, TraceHit, search};
pub use tags::{Scopes, shown, tag_values, tags};
pub use visit::{Visited, Visitor, attributes, visit};
