//! The table: stem, kind, unit, labels and help of each metric.

use super::{
    KIND, LABEL, MetricKind, MetricName, MetricUnit, OUTCOME, PROTOCOL, REASON, RULE, Row, SIGNAL, STATE,
    STATUS, SURFACE,
};

impl MetricName {
    pub(super) fn row(self) -> Row {
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
            Self::KubernetesPods => row(
                "kubernetes_pods",
                Gauge,
                None,
                &[],
                "Pods of the node that the Kubernetes API has told of",
            ),
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
            Self::AccessRefused => row(
                "access_refused_requests",
                Counter,
                None,
                &[REASON],
                "Requests that tokens did not let in",
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
            Self::StoreSeries => row("store_series", Gauge, None, &[], "Series that are written to"),
            Self::StoreSeriesLimit => row(
                "store_series_limit",
                Gauge,
                None,
                &[],
                "Series that may be written to; new ones over it are refused",
            ),
            Self::StoreLabelValues => row(
                "store_label_values",
                Gauge,
                None,
                &[LABEL],
                "Values of a label of the series that are written to, for the labels that have most",
            ),
            Self::StoreRefusedSamples => row(
                "store_refused_samples",
                Counter,
                None,
                &[REASON],
                "Samples that are not kept: too late, of a new series when there are too many, or another value of a time",
            ),
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
}
