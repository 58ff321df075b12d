//! Samples and exemplars.

use std::sync::Arc;

use super::{ByteRange, Labels, SpanId, Spelling, TraceId};

/// What a metric is, in Prometheus' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum MetricKind {
    /// Not said.
    #[default]
    Unknown = 0,
    /// Only grows.
    Counter = 1,
    /// Goes up and down.
    Gauge = 2,
    /// Buckets, sum and count.
    Histogram = 3,
    /// Quantiles, sum and count.
    Summary = 4,
}

/// What a sender says about a metric family.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MetricMeta {
    /// Family name, as the series carry it in `__name__` less their suffixes.
    pub name: String,
    /// Kind.
    pub kind: MetricKind,
    /// Unit, as the sender writes it.
    pub unit: String,
    /// For people.
    pub help: String,
}

/// Who made an exemplar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum ExemplarOrigin {
    /// The application sent it.
    #[default]
    Application = 0,
    /// Trefoil made it, from a span or a line.
    Trefoil = 1,
}

/// One measured value of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When.
    pub time: u64,
    /// What.
    pub value: f64,
}

/// A series with its samples in time order.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Labels, `__name__` among them.
    pub labels: Arc<Labels>,
    /// Samples.
    pub samples: Vec<Sample>,
}

/// A single measurement that names the trace in which it was taken, owned.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// The series, `__name__` among its labels.
    pub series: Arc<Labels>,
    /// The exemplar's own labels other than the ids.
    pub labels: Vec<(String, String)>,
    /// Value.
    pub value: f64,
    /// When.
    pub time: u64,
    /// The trace; an exemplar without one joins nothing.
    pub trace_id: Option<TraceId>,
    /// The span.
    pub span_id: Option<SpanId>,
    /// Who made it.
    pub origin: ExemplarOrigin,
}

/// One sample of a [`MetricBatch`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SampleRow {
    /// When.
    pub time: u64,
    /// What.
    pub value: f64,
    /// Since when a counter counts, or the beginning of what a delta covers; 0 if the sender does not say.
    pub start: u64,
    /// Index into [`MetricBatch::series`].
    pub series: u32,
    /// The histogram of which `value` is the count ([`super::NativeHistogram`]), in [`MetricBatch::meta`]; empty for a number.
    pub histogram: ByteRange,
}

/// One exemplar of a [`MetricBatch`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ExemplarRow {
    /// Bits of the trace id; 0 is none.
    pub trace: u128,
    /// Bits of the span id; 0 is none.
    pub span: u64,
    /// When.
    pub time: u64,
    /// What.
    pub value: f64,
    /// Index into [`MetricBatch::series`].
    pub series: u32,
    /// Label pairs ([`super::Pairs`]), in [`MetricBatch::meta`].
    pub labels: ByteRange,
    /// How the trace id was written.
    pub spelling: Spelling,
    /// Who made it.
    pub origin: ExemplarOrigin,
}

/// What the names of series that are made of spans begin with.
pub const MADE_OF_SPANS: [&str; 2] = ["traces_spanmetrics_", "traces_service_graph_"];

/// Many samples and exemplars.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MetricBatch {
    /// Label sets, `__name__` among them.
    pub series: Vec<Arc<Labels>>,
    /// Samples.
    pub samples: Vec<SampleRow>,
    /// Exemplars.
    pub exemplars: Vec<ExemplarRow>,
    /// What the sender says about the families.
    pub families: Vec<MetricMeta>,
    /// Exemplar labels and histograms back to back.
    pub meta: Vec<u8>,
    /// Made here of other records, in a number of series that is bounded where they are made: what senders send too much of takes
    /// no room from them. Not kept.
    pub made: bool,
}

impl MetricBatch {
    /// Bytes held in the buffers: what bounds count.
    pub fn size(&self) -> usize {
        self.meta.len()
            + self.samples.len() * size_of::<SampleRow>()
            + self.exemplars.len() * size_of::<ExemplarRow>()
            + self.series.len() * 256
            + self.families.iter().map(|f| 128 + f.name.len() + f.unit.len() + f.help.len()).sum::<usize>()
    }
}
