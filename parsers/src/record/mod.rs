//! The domain model: ids, logs, spans, metrics, the identity that joins them, and the batches in which they travel.
//!
//! Two shapes of each record exist on purpose. On the way in, rows of plain data point into shared byte buffers
//! ([`LogBatch`], [`SpanBatch`], [`MetricBatch`]), so that a line or a span costs no allocation. On the way out, owned
//! records ([`LogRecord`], [`Span`], [`Exemplar`], [`Series`]) are built for the few that an answer holds. All times are
//! nanoseconds since the Unix epoch, UTC, as `u64`.

mod batch;
mod histogram;
mod ids;
mod labels;
mod log;
mod metric;
pub mod normalise;
mod pairs;
mod resource;
mod span;
mod text;
mod time;
mod value;

pub use batch::{Batch, ByteRange, FileId, Position, Problem, ProblemKind};
pub use histogram::NativeHistogram;
pub use ids::{IdError, SpanId, Spelling, SpellingKind, TraceId, TraceMatch, Width};
pub use labels::{Labels, MAX_LABEL_BYTES, MAX_LABELS};
pub use log::{LogBatch, LogRecord, LogRow, Severity, SourcePosition};
pub use metric::{
    Exemplar, ExemplarOrigin, ExemplarRow, MADE_OF_SPANS, MetricBatch, MetricKind, MetricMeta, Sample,
    SampleRow, Series,
};
pub use pairs::{Pairs, push_pair};
pub use resource::{RESOURCE_LABELS, Resource, Scope, TENANT, TENANT_LABEL, Workload};
pub use span::{Event, Link, ResourceRow, Span, SpanBatch, SpanKind, SpanRow, Status, StatusCode};
pub use text::lossy;
pub use time::{format_rfc3339, parse_rfc3339};
pub use value::{Attributes, Value, attribute};
