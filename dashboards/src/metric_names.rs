//! The one list of Trefoil's own metrics: name, kind, unit, labels and help of each.
//!
//! `/metrics` registers from it and the dashboards query through it, so a renamed metric cannot leave a panel behind. How a
//! value is counted is the business of the crate that counts.

mod rows;

/// One metric of Trefoil's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MetricName {
    /// Requests answered.
    HttpRequests,
    /// Time to answer a request.
    HttpRequestDuration,
    /// Container log lines read.
    TailLines,
    /// Container log bytes read.
    TailBytes,
    /// Lines in which a rule found a trace id.
    TailLinkedLines,
    /// Container log bytes that will never be read.
    TailLostBytes,
    /// How many times container log bytes were lost.
    TailLosses,
    /// Lines that stages dropped on purpose.
    TailDroppedLines,
    /// Container log bytes written but not yet delivered.
    TailBehindBytes,
    /// Age of the oldest line that is not delivered.
    TailLag,
    /// Files that are read.
    TailFiles,
    /// What went wrong and mended itself.
    TailTroubles,
    /// Folders that are polled.
    TailUnwatchedFolders,
    /// Lines of pods of which nothing was known but the path.
    TailUnknownPodLines,
    /// Pods of the node that are known.
    KubernetesPods,
    /// Whether the Kubernetes API answers.
    KubernetesReached,
    /// Requests to the Kubernetes API that failed.
    KubernetesFailures,
    /// Configurations read while running.
    ConfigReloads,
    /// Whether the configuration in force is the newest.
    ConfigCurrent,
    /// Requests that were not let in.
    AccessRefused,
    /// Log records of an agent, by what the endpoint did with them.
    ShippedLogs,
    /// Compressed bytes of an agent's requests that were answered.
    ShippedBytes,
    /// An agent's requests that had to be sent again.
    ShipRetries,
    /// Bytes of an agent's batches under way.
    ShipInFlightBytes,
    /// Spans accepted from senders.
    ReceivedSpans,
    /// Log records accepted from senders.
    ReceivedLogs,
    /// Metric samples accepted from senders.
    ReceivedSamples,
    /// Exemplars accepted from senders.
    ReceivedExemplars,
    /// Records of an accepted request that were not taken.
    RejectedRecords,
    /// Whole requests turned away.
    RefusedRequests,
    /// Datagrams that were not taken.
    LostDatagrams,
    /// Targets that are scraped.
    ScrapeTargets,
    /// Scrapes, by what became of them.
    Scrapes,
    /// What scrapes do not store.
    ScrapeLeftOut,
    /// Bytes of the store on disk.
    StoreBytes,
    /// Sealed segments.
    StoreSegments,
    /// Records in the store.
    StoreRecords,
    /// Bytes in the journal.
    StoreJournalBytes,
    /// Damaged blocks and files met.
    StoreDamaged,
    /// Batches that the store refused.
    StoreRefusedBatches,
    /// Series that are written to.
    StoreSeries,
    /// How many series there may be.
    StoreSeriesLimit,
    /// Values of the labels that have most.
    StoreLabelValues,
    /// Samples that the store does not keep.
    StoreRefusedSamples,
    /// Heads sealed into segments.
    StoreSeals,
    /// Segments written by merging smaller ones.
    StoreMerges,
    /// Segments dropped by retention.
    StoreExpiredSegments,
    /// Traces that sampling decided.
    SampledTraces,
    /// Traces that sampling decided before their time.
    SampledEarly,
    /// Traces that sampling has not decided.
    SamplingUndecided,
    /// Dropped traces that still take room.
    SamplingUnswept,
    /// Sweeps of dropped traces.
    SamplingSweeps,
    /// Records removed with their dropped traces.
    SweptRecords,
    /// Series made of spans.
    SpanMetricsSeries,
    /// Spans of which no series tell.
    SpanMetricsUncounted,
    /// Time since the start.
    Uptime,
    /// Version and build, in the labels.
    Build,
}

/// What a metric's value does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows; exposed with `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size; exposed with `_bucket`, `_sum` and `_count`.
    Histogram,
    /// Always 1, what it says is in its labels; exposed with `_info`.
    Info,
}

/// The base unit, which OpenMetrics wants as the name's last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricUnit {
    /// Seconds, never milliseconds.
    Seconds,
    /// Bytes.
    Bytes,
}

impl MetricUnit {
    /// The word at the end of the name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
        }
    }
}

/// One row of the table.
struct Row {
    stem: &'static str,
    kind: MetricKind,
    unit: Option<MetricUnit>,
    labels: &'static [&'static str],
    help: &'static str,
}

/// Which surface answered: `native`, `loki`, `tempo`, `prometheus`, `otlp`, ...
pub const SURFACE: &str = "surface";
/// The class of an HTTP answer: `2xx`, `4xx`, `5xx`.
pub const STATUS: &str = "status";
/// The derived-field rule that found an id, or the sampling rule that decided a trace.
pub const RULE: &str = "rule";
/// Why something was lost, rejected or refused.
pub const REASON: &str = "reason";
/// A label of stored series.
pub const LABEL: &str = "label";
/// Of shipped records `taken`, `rejected` by a partial success, or `set_aside` since the endpoint refused the record alone; of
/// configurations `taken` or `refused`; of traces `kept` or `dropped`; of scrapes `taken`, `failed` at the target, `refused` by the store, or `skipped` since
/// too much was under way.
pub const OUTCOME: &str = "outcome";
/// Of files `open` or `waiting`; of targets `up`, `down` or `unknown`.
pub const STATE: &str = "state";
/// Which kind of trouble.
pub const KIND: &str = "kind";
/// What the sender speaks: `otlp`, `zipkin`, `jaeger`, `elastic_apm`, `loki_push`, `remote_write`, `scrape`.
pub const PROTOCOL: &str = "protocol";
/// `logs`, `traces` or `metrics`, as retention names them.
pub const SIGNAL: &str = "signal";

impl MetricName {
    /// Every metric, in the order of the list above.
    pub const ALL: [Self; 57] = [
        Self::HttpRequests,
        Self::HttpRequestDuration,
        Self::TailLines,
        Self::TailBytes,
        Self::TailLinkedLines,
        Self::TailLostBytes,
        Self::TailLosses,
        Self::TailDroppedLines,
        Self::TailBehindBytes,
        Self::TailLag,
        Self::TailFiles,
        Self::TailTroubles,
        Self::TailUnwatchedFolders,
        Self::TailUnknownPodLines,
        Self::KubernetesPods,
        Self::KubernetesReached,
        Self::KubernetesFailures,
        Self::ConfigReloads,
        Self::ConfigCurrent,
        Self::AccessRefused,
        Self::ShippedLogs,
        Self::ShippedBytes,
        Self::ShipRetries,
        Self::ShipInFlightBytes,
        Self::ReceivedSpans,
        Self::ReceivedLogs,
        Self::ReceivedSamples,
        Self::ReceivedExemplars,
        Self::RejectedRecords,
        Self::RefusedRequests,
        Self::LostDatagrams,
        Self::ScrapeTargets,
        Self::Scrapes,
        Self::ScrapeLeftOut,
        Self::StoreBytes,
        Self::StoreSegments,
        Self::StoreRecords,
        Self::StoreJournalBytes,
        Self::StoreDamaged,
        Self::StoreRefusedBatches,
        Self::StoreSeries,
        Self::StoreSeriesLimit,
        Self::StoreLabelValues,
        Self::StoreRefusedSamples,
        Self::StoreSeals,
        Self::StoreMerges,
        Self::StoreExpiredSegments,
        Self::SampledTraces,
        Self::SampledEarly,
        Self::SamplingUndecided,
        Self::SamplingUnswept,
        Self::SamplingSweeps,
        Self::SweptRecords,
        Self::SpanMetricsSeries,
        Self::SpanMetricsUncounted,
        Self::Uptime,
        Self::Build,
    ];

    /// What to register with a client library that adds the unit and `_total` by itself, as prometheus-client does:
    /// `trefoil_http_request_duration`.
    pub fn stem(self) -> String {
        format!("trefoil_{}", self.row().stem)
    }

    /// The metric's family as exposed, with its unit: `trefoil_http_request_duration_seconds`.
    pub fn family(self) -> String {
        match self.row().unit {
            Some(unit) => format!("{}_{}", self.stem(), unit.as_str()),
            None => self.stem(),
        }
    }

    /// The series to query: with `_total` for a counter and `_info` for an info; a histogram's own name (see
    /// [`MetricName::buckets`]).
    pub fn series(self) -> String {
        match self.kind() {
            MetricKind::Counter => format!("{}_total", self.family()),
            MetricKind::Info => format!("{}_info", self.family()),
            MetricKind::Gauge | MetricKind::Histogram => self.family(),
        }
    }

    /// The bucket series of a histogram, `trefoil_http_request_duration_seconds_bucket`.
    pub fn buckets(self) -> String {
        format!("{}_bucket", self.family())
    }

    /// What its value does.
    pub fn kind(self) -> MetricKind {
        self.row().kind
    }

    /// Its unit, if it has one.
    pub fn unit(self) -> Option<MetricUnit> {
        self.row().unit
    }

    /// The label names of its series.
    pub fn labels(self) -> &'static [&'static str] {
        self.row().labels
    }

    /// One sentence without a final stop (the exposition format's encoder adds one).
    pub fn help(self) -> &'static str {
        self.row().help
    }
}
