//! Stages: what a configuration has done to each line between the container's wrapping and the derived fields, in Promtail's
//! words and with Promtail's meaning, one stage a file.
//!
//! A [`Pipeline`] is compiled once from [`StageConfig`]s and forked for each container, so that what stages remember of one
//! container goes with it. No stage does I/O or reads a clock, none panics, and what each holds is bounded. Labels of a
//! file before its first line are the business of [`relabel`].

mod config;
mod decolorize;
mod drop;
mod duration;
mod entry;
mod error;
mod field_stages;
mod go_time;
mod jmespath;
mod json;
mod limit;
mod logfmt;
mod matching;
mod metrics;
mod multiline;
mod pattern;
mod pipeline;
mod re2;
mod redact;
mod regex_stage;
pub mod relabel;
mod replace;
mod sampling;
mod template;
mod tenant;
#[cfg(test)]
mod tests;
mod timestamp;
mod trace_lines;
mod truncate;
mod unwrap;

pub use config::*;
pub use decolorize::without_colours;
pub use duration::go_duration;
pub use entry::{Entry, Fields, MAX_VALUE};
pub use error::{StageError, compile, compile_within};
pub use logfmt::{LogfmtPair, LogfmtPairs};
pub use metrics::Metric;
pub use pattern::CapturePattern;
pub use pipeline::{MAX_STAGES, Output, Pipeline, Step};
pub use template::{Failed, Scope, Template};
