//! JOIN. From a trace id to everything that is known of that request: its spans as a tree, its log lines under their
//! spans, exemplars, the metrics of its workloads, and a reason for whatever is missing.
//!
//! Plain data in and out. No HTTP and no wire types live here: surfaces translate an [`Answer`] into their own shapes.

mod absent;
pub mod analysis;
mod answer;
mod correlator;
mod critical;
mod doors;
mod exemplars;
mod incomplete;
mod line_clock;
mod made;
mod mapping;
mod mention;
mod metrics;
mod options;
mod outline;
mod page;
mod patterns;
mod pivot;
pub mod red;
mod seen;
mod service_graph;
mod skew;
mod spellings;
mod stored_metrics;
mod streams;
mod tree;
mod workload_time;
#[cfg(test)]
mod world;

pub use answer::{
    Absence, AbsentReason, AbsentSignal, Answer, ClockOffset, CriticalSegment, ExemplarSource, Join,
    JoinRule, JoinedExemplar, JoinedLog, LinkTarget, MetricLink, Oddity, RelatedLink, SeenSpelling,
    ServiceSummary, SpanNode,
};
pub use correlator::Correlator;
pub use doors::Doors;
pub use exemplars::{Exemplars, ExemplarsFound, FoundExemplar, SeriesExemplars};
pub use made::{Made, Representative};
pub use mapping::{LabelMapping, WorkloadField};
pub use options::CorrelateOptions;
pub use page::{DEFAULT_PAGE, MAX_PAGE, Page};
pub use patterns::{
    Counted, ExampleTrace, ExceptionGroup, FoundPattern, LogPatterns, Novelty, PatternQuestion,
    PatternReport, Verdict,
};
pub use pivot::{
    LineSelect, LookedAt, MAX_RELATED, Pivot, Reason, Related, RelatedExemplar, RelatedLog, RelatedTrace,
    RelatedWorkload, Start, SurfaceQuery, WorkloadName,
};
pub use service_graph::{ServiceCalls, service_graph};
pub use stored_metrics::StoredMetrics;
pub use workload_time::OfferLimits;
