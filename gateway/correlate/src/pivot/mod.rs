//! From anything to the other signals: a trace, a span, a log line, a service, a metric or a workload in; traces, log lines,
//! exemplars and series out, each ranked, with the rule that joined it and how sure that is.
//!
//! All records of an answer are of one tenant: that of what was asked about, or of the first record that was found.

mod answer;
mod elsewhere;
mod gather;
mod line;
mod lines_at;
mod metric;
mod queries;
mod span;
mod subject;
mod tenant;
#[cfg(test)]
mod tests;
mod window;
mod workloads;

use std::sync::Arc;
use std::time::Duration;

use parsers::record::{SpanId, TraceId};
use query::series_selectors::Selector;
use store::read::{LogRead, MetricRead, ReadError, SampleRead, Window};

use crate::absent::show_doors;
use crate::{Correlator, Exemplars, StoredMetrics, stored_metrics};

pub use answer::{
    LookedAt, Reason, Related, RelatedExemplar, RelatedLog, RelatedTrace, RelatedWorkload, SurfaceQuery,
};
pub use lines_at::LineSelect;
pub use subject::WorkloadName;

use gather::Gathered;
use subject::Subject;
use tenant::{OneTenant, SeriesFrom};

/// Entries of each list at most, whatever the limit that is asked for.
pub const MAX_RELATED: usize = 200;
/// Longest time that is spent on any of its scans: a person waits for all of them.
const SCAN_TIME: Duration = Duration::from_secs(3);

/// What is asked about.
#[derive(Debug, Clone)]
pub enum Start {
    /// A trace.
    Trace(TraceId),
    /// A span of whichever trace.
    Span {
        /// The span.
        id: SpanId,
        /// When it started.
        window: Window,
    },
    /// A log line.
    Line {
        /// Its stream, and what more is said of it.
        select: LineSelect,
        /// When it was written, ns.
        time: u64,
    },
    /// A service in a window.
    Service {
        /// `service.name`.
        name: String,
        /// When.
        window: Window,
    },
    /// Series at a time.
    Metric {
        /// PromQL.
        expression: String,
        /// What it selects.
        selectors: Vec<Selector>,
        /// When, ns.
        time: u64,
    },
    /// A Kubernetes workload in a window.
    Workload {
        /// Namespace and name.
        name: WorkloadName,
        /// When.
        window: Window,
    },
}

/// Finds what belongs together. A cheap clone.
#[derive(Clone)]
pub struct Pivot {
    correlator: Arc<Correlator>,
    exemplars: Exemplars,
    logs: Arc<dyn LogRead>,
    metrics: Arc<dyn MetricRead>,
    samples: Arc<dyn SampleRead>,
    /// Whether metrics are those that are stored here, so that all of them say whose they are.
    held: bool,
    /// Whether they are in this store, perhaps those of one tenant.
    stored: bool,
    /// The same, as to whose they are.
    from: SeriesFrom,
}

impl Pivot {
    /// Over the same sources as `correlator` has; where it has no metrics server, over the stored samples.
    pub fn new(
        correlator: Arc<Correlator>,
        exemplars: Exemplars,
        logs: Arc<dyn LogRead>,
        samples: Arc<dyn SampleRead>,
    ) -> Self {
        let held = correlator.metrics().is_none();
        let embedded = || Arc::new(StoredMetrics::new(Arc::clone(&samples))) as Arc<dyn MetricRead>;
        let metrics = correlator.metrics().unwrap_or_else(embedded);
        let stored = metrics.name() == stored_metrics::NAME;
        let from = match (held, stored) {
            (true, _) => SeriesFrom::Received,
            (false, true) => SeriesFrom::Stored,
            (false, false) => SeriesFrom::Elsewhere,
        };
        Self { correlator, exemplars, logs, metrics, samples, held, stored, from }
    }

    /// The other signals, at most `limit` of each; of this tenant alone, where one is named.
    pub async fn related(
        &self,
        start: Start,
        tenant: Option<String>,
        limit: usize,
    ) -> Result<Related, ReadError> {
        let tenant = OneTenant::named(tenant, self.correlator.narrowed());
        let gathered = Gathered::new(tenant, limit);
        let mut related = self.gather(start, gathered).await?;
        show_doors(&mut related.absent, self.correlator.doors());
        Ok(related)
    }

    async fn gather(&self, start: Start, gathered: Gathered) -> Result<Related, ReadError> {
        match start {
            Start::Trace(id) => self.of_trace(id, None, gathered).await,
            Start::Span { id, window } => self.of_span(id, window, gathered).await,
            Start::Line { select, time } => self.of_line(select, time, gathered).await,
            Start::Service { name, window } => {
                self.of_subject(Subject::service(name), window, gathered).await
            }
            Start::Metric { expression, selectors, time } => {
                self.of_metric(&expression, &selectors, time, gathered).await
            }
            Start::Workload { name, window } => {
                self.of_subject(Subject::workload(&name), window, gathered).await
            }
        }
    }
}
