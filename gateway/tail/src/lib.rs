//! Files on a node to batches of log records.
//!
//! Four parts: [`discovery`] (which files there are), [`identity`] (which file is which, whatever its name), [`reading`] (bytes
//! to lines, over rotations) and [`position`] (how far what was read is safe). [`Tailer`] drives them one step at a time and
//! knows no clock; [`run`] is the loop round it. What a line says is the business of `parsers`; where a batch goes, of the
//! [`Sink`].

pub mod discovery;
pub mod feed;
pub mod identity;
mod line_metrics;
mod options;
mod pods;
pub mod position;
pub mod reading;
mod report;
mod run;
mod sink;
mod tailer;
#[cfg(test)]
mod tests;

pub use line_metrics::LineMetrics;
pub use options::{DEFAULT_BATCH_BYTES, DEFAULT_FILES, Source, TailOptions, files_allowed};
pub use pods::{Known, Notes, Pods};
pub use report::{ContainerReport, Counters, Loss, Lost};
pub use run::{Plan, run};
pub use sink::{Refusal, RefusalKind, Sink};
pub use tailer::{Step, Tailer};
