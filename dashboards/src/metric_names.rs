//! The one list of Trefoil's own metrics: name, kind, unit, labels and help of each.
//!
//! `/metrics` registers from it and the dashboards query through it, so a renamed metric cannot leave a panel behind. How a
//! value is counted is the business of the crate that counts.

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
    pub const ALL: [Self; 52] = [
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

    fn row(self) -> Row {
        use MetricKind::{Counter, Gauge, Histogram, Info};
        use MetricUnit::{Bytes, Seconds};
        let row = |stem, kind, unit, labels, help| Row { stem, kind, unit, labels, help };
        match self {
            Self::HttpRequests => {
                row("http_requests", Counter, None, &[SURFACE, STATUS], "Requests answered")
            }
            Self::HttpRequestDuration => row(
                "http_request_duration",
                Histogram,
                Some(Seconds),
                &[SURFACE],
                "Time from a request's head to the end of its answer",
            ),
            Self::TailLines => row("tail_lines", Counter, None, &[], "Container log lines read"),
            Self::TailBytes => row("tail", Counter, Some(Bytes), &[], "Container log bytes read"),
            Self::TailLinkedLines => {
                row("tail_linked_lines", Counter, None, &[RULE], "Lines in which the rule found a trace id")
            }
            Self::TailDroppedLines => {
                row("tail_dropped_lines", Counter, None, &[REASON], "Lines that stages dropped on purpose")
            }
            Self::TailLostBytes => row(
                "tail_lost",
                Counter,
                Some(Bytes),
                &["namespace", "pod", "container", REASON],
                "Container log bytes that will never be read",
            ),
            Self::TailBehindBytes => row(
                "tail_behind",
                Gauge,
                Some(Bytes),
                &[],
                "Container log bytes written but not yet delivered",
            ),
            Self::TailLosses => row(
                "tail_losses",
                Counter,
                None,
                &["namespace", "pod", "container", REASON],
                "Times that container log bytes were lost, also where nobody knows how many",
            ),
            Self::TailLag => row(
                "tail_lag",
                Gauge,
                Some(Seconds),
                &[],
                "Age of the oldest line that is not delivered yet, of the container that is furthest behind",
            ),
            Self::TailFiles => row(
                "tail_files",
                Gauge,
                None,
                &[STATE],
                "Files that are open, and files that wait until others are closed",
            ),
            Self::TailTroubles => row(
                "tail_troubles",
                Counter,
                None,
                &[KIND],
                "Truncated files, positions that did not hold, lost events, read errors, refused batches",
            ),
            Self::TailUnwatchedFolders => row(
                "tail_unwatched_folders",
                Gauge,
                None,
                &[],
                "Folders that cannot be watched; if there are any, all are polled",
            ),
            Self::TailUnknownPodLines => row(
                "tail_unknown_pod_lines",
                Counter,
                None,
                &[],
                "Lines read while the Kubernetes API had not told of their pods",
            ),
            Self::KubernetesPods => {
                row("kubernetes_pods", Gauge, None, &[], "Pods of the node that the Kubernetes API has told of")
            }
            Self::KubernetesReached => row(
                "kubernetes_reached",
                Gauge,
                None,
                &[],
                "1 if the Kubernetes API answers, 0 if logs are read with what was known before",
            ),
            Self::KubernetesFailures => row(
                "kubernetes_failures",
                Counter,
                None,
                &[],
                "Requests to the Kubernetes API that failed, and watches that broke off",
            ),
            Self::ConfigReloads => row(
                "config_reloads",
                Counter,
                None,
                &[OUTCOME],
                "Configurations read while running, by whether they were taken",
            ),
            Self::ConfigCurrent => row(
                "config_current",
                Gauge,
                None,
                &[],
                "1 if the configuration file is in force as it is, 0 if it was refused",
            ),
            Self::ShippedLogs => row(
                "shipped_logs",
                Counter,
                None,
                &[OUTCOME],
                "Log records that an agent sent, by what became of them",
            ),
            Self::ShippedBytes => row(
                "shipped",
                Counter,
                Some(Bytes),
                &[],
                "Compressed bytes of an agent's requests that were answered",
            ),
            Self::ShipRetries => {
                row("ship_retries", Counter, None, &[], "Requests of an agent that had to be sent again")
            }
            Self::ShipInFlightBytes => row(
                "ship_in_flight",
                Gauge,
                Some(Bytes),
                &[],
                "Bytes of batches that an agent is sending and that are not yet acknowledged",
            ),
            Self::ReceivedSpans => {
                row("received_spans", Counter, None, &[PROTOCOL], "Spans accepted from senders")
            }
            Self::ReceivedLogs => {
                row("received_logs", Counter, None, &[PROTOCOL], "Log records accepted from senders")
            }
            Self::ReceivedSamples => {
                row("received_samples", Counter, None, &[PROTOCOL], "Metric samples accepted from senders")
            }
            Self::ReceivedExemplars => {
                row("received_exemplars", Counter, None, &[PROTOCOL], "Exemplars accepted from senders")
            }
            Self::RejectedRecords => row(
                "rejected_records",
                Counter,
                None,
                &[PROTOCOL, SIGNAL],
                "Records of accepted requests that were not taken",
            ),
            Self::RefusedRequests => row(
                "refused_requests",
                Counter,
                None,
                &[PROTOCOL, REASON],
                "Requests turned away whole: bytes_in_flight may be sent again, unauthorized show no token or key known here",
            ),
            Self::LostDatagrams => row(
                "lost_datagrams",
                Counter,
                None,
                &[REASON],
                "Datagrams of senders that were not taken; nobody sends them again",
            ),
            Self::ScrapeTargets => row(
                "scrape_targets",
                Gauge,
                None,
                &[STATE],
                "Targets that are scraped, by whether they answered last",
            ),
            Self::Scrapes => {
                row("scrapes", Counter, None, &[OUTCOME], "Scrapes of targets, by what became of them")
            }
            Self::ScrapeLeftOut => row(
                "scrape_left_out",
                Counter,
                None,
                &[KIND],
                "Lines and exemplars of scraped pages that could not be read, and exemplars that were stored before",
            ),
            Self::StoreBytes => row("store", Gauge, Some(Bytes), &[], "Bytes of the store on disk"),
            Self::StoreSegments => row("store_segments", Gauge, None, &[], "Sealed segments"),
            Self::StoreRecords => row("store_records", Gauge, None, &[SIGNAL], "Records in the store"),
            Self::StoreJournalBytes => {
                row("store_journal", Gauge, Some(Bytes), &[], "Bytes in the journal, not yet in a segment")
            }
            Self::StoreDamaged => row(
                "store_damaged",
                Counter,
                None,
                &[],
                "Blocks, segments, journals and manifests that could not be read",
            ),
            Self::StoreRefusedBatches => {
                row("store_refused_batches", Counter, None, &[], "Batches that the store did not take")
            }
            Self::StoreSeals => row("store_seals", Counter, None, &[], "Heads sealed into segments"),
            Self::StoreMerges => {
                row("store_merges", Counter, None, &[], "Segments written by merging smaller ones")
            }
            Self::StoreExpiredSegments => {
                row("store_expired_segments", Counter, None, &[], "Segments dropped by retention")
            }
            Self::SampledTraces => row(
                "sampled_traces",
                Counter,
                None,
                &[RULE, OUTCOME],
                "Traces that sampling decided, by rule and whether they stay",
            ),
            Self::SampledEarly => row(
                "sampled_early",
                Counter,
                None,
                &[],
                "Traces that sampling decided before their time, since too many were undecided",
            ),
            Self::SamplingUndecided => {
                row("sampling_undecided", Gauge, None, &[], "Traces that sampling has not decided yet")
            }
            Self::SamplingUnswept => row(
                "sampling_unswept",
                Gauge,
                None,
                &[],
                "Dropped traces whose records are hidden, but still take room",
            ),
            Self::SamplingSweeps => row(
                "sampling_sweeps",
                Counter,
                None,
                &[],
                "Times that segments were written again without dropped traces",
            ),
            Self::SweptRecords => {
                row("swept_records", Counter, None, &[SIGNAL], "Records removed with their dropped traces")
            }
            Self::SpanMetricsSeries => {
                row("span_metrics_series", Gauge, None, &[], "Series that are made of spans")
            }
            Self::SpanMetricsUncounted => row(
                "span_metrics_uncounted",
                Counter,
                None,
                &[REASON],
                "Stored spans that series made of spans do not tell apart or do not count",
            ),
            Self::Uptime => row("uptime", Gauge, Some(Seconds), &[], "Time since the start"),
            Self::Build => row("build", Info, None, &["version"], "The running program"),
        }
    }

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
