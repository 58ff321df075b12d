//! What each part counts, under the names of [`MetricName`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use dashboards::metric_names::{KIND, LABEL, MetricName, OUTCOME, PROTOCOL, REASON, RULE, SIGNAL, STATE};
use kubernetes::Pods;
use receive::Protocol;
use receive::scrape::Scraping;
use store::{SamplingStats, Store};

use crate::reload;
use crate::span_metrics::Counted;
use crate::telemetry::{Readings, Source};

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// The tailer.
pub fn tail(counters: Arc<tail::Counters>) -> Source {
    Box::new(move |out| {
        out.put(MetricName::TailLines, get(&counters.lines));
        out.put(MetricName::TailBytes, get(&counters.bytes));
        out.put(MetricName::TailBehindBytes, counters.behind());
        out.with(MetricName::TailLag, Vec::new(), counters.lag(now()) as f64 / 1e9);
        for (name, linked) in counters.linked() {
            out.with(MetricName::TailLinkedLines, vec![(RULE, name.to_string())], linked as f64);
        }
        for (reason, dropped) in counters.dropped_lines() {
            out.with(MetricName::TailDroppedLines, vec![(REASON, reason)], dropped as f64);
        }
        let containers = counters.containers();
        let open = containers.iter().map(|container| get(&container.open)).sum();
        let files = [("open", open), ("waiting", get(&counters.waiting_files))];
        for (state, count) in files {
            out.with(MetricName::TailFiles, vec![(STATE, state.to_owned())], count as f64);
        }
        let troubles = [
            ("truncated_file", &counters.truncations),
            ("position_mismatch", &counters.position_mismatches),
            ("event_overflow", &counters.event_overflows),
            ("read_error", &counters.read_errors),
            ("refused_batch", &counters.refusals),
        ];
        for (kind, counter) in troubles {
            out.with(MetricName::TailTroubles, vec![(KIND, kind.to_owned())], get(counter) as f64);
        }
        out.put(MetricName::TailUnwatchedFolders, get(&counters.unwatched_folders));
        out.put(MetricName::TailUnknownPodLines, get(&counters.unknown_pod_lines));
        for (([namespace, pod, container], reason), (losses, bytes)) in counters.losses() {
            let labels = vec![
                ("namespace", namespace.to_string()),
                ("pod", pod.to_string()),
                ("container", container.to_string()),
                (REASON, reason.as_str().to_owned()),
            ];
            out.with(MetricName::TailLosses, labels.clone(), losses as f64);
            out.with(MetricName::TailLostBytes, labels, bytes as f64);
        }
    })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// The watches of pods, where there is one.
pub fn kubernetes(watched: impl IntoIterator<Item = Arc<Pods>>) -> Source {
    let watched: Vec<Arc<Pods>> = watched.into_iter().collect();
    Box::new(move |out| {
        if watched.is_empty() {
            return;
        }
        let counters = || watched.iter().map(|pods| &pods.counters);
        // Those of a node are some of the cluster's.
        let known = watched.iter().map(|pods| pods.known()).max().unwrap_or_default();
        let reached = counters().all(|counters| counters.reached.load(Ordering::Relaxed));
        out.put(MetricName::KubernetesPods, known as u64);
        out.put(MetricName::KubernetesReached, u64::from(reached));
        out.put(MetricName::KubernetesFailures, counters().map(|counters| get(&counters.failures)).sum());
    })
}

/// Labels of stored series that are told of: one that explodes is among those with most values.
const LABELS: usize = 10;

/// The store.
pub fn store(store: Store) -> Source {
    Box::new(move |out| {
        let stats = store.stats();
        let signals = [("logs", stats.logs), ("traces", stats.traces), ("metrics", stats.metrics)];
        for (signal, stats) in signals {
            out.with(MetricName::StoreRecords, vec![(SIGNAL, signal.to_owned())], stats.records as f64);
        }
        out.put(
            MetricName::StoreBytes,
            signals.iter().map(|(_, stats)| stats.bytes).sum::<u64>() + stats.journal_bytes,
        );
        out.put(MetricName::StoreSegments, signals.iter().map(|(_, stats)| stats.segments).sum());
        out.put(MetricName::StoreJournalBytes, stats.journal_bytes);
        out.put(MetricName::StoreRefusedBatches, stats.refused);
        let counters = store.counters();
        out.put(MetricName::StoreDamaged, stats.damaged);
        out.put(MetricName::StoreSeries, stats.active_series);
        out.put(MetricName::StoreSeriesLimit, stats.max_series);
        for (label, values) in store.values_by_label(LABELS) {
            out.with(MetricName::StoreLabelValues, vec![(LABEL, label)], values as f64);
        }
        let reasons = [
            ("late", &counters.late_samples),
            ("too_many_series", &counters.unlisted_samples),
            ("duplicate_timestamp", &counters.conflicting_samples),
        ];
        for (reason, counter) in reasons {
            out.with(MetricName::StoreRefusedSamples, vec![(REASON, reason.to_owned())], get(counter) as f64);
        }
        out.put(MetricName::StoreSeals, get(&counters.seals));
        out.put(MetricName::StoreMerges, get(&counters.merges));
        out.put(MetricName::StoreExpiredSegments, get(&counters.expired_segments));
        if let Some(sampling) = store.sampling() {
            sampled(out, &sampling, &counters);
        }
    })
}

/// What stands for the rule of traces that met none, or that stay since parts of them had stayed.
const NO_RULE: &str = "";

fn sampled(out: &mut Readings, sampling: &SamplingStats, counters: &store::Counters) {
    let by_rule = sampling.rules.iter().map(|rule| (&*rule.name, rule.kept, Some(rule.dropped)));
    let others = (NO_RULE, sampling.unmatched + sampling.rejoined, None);
    for (rule, kept, dropped) in by_rule.chain([others]) {
        let outcomes = [("kept", Some(kept)), ("dropped", dropped)];
        for (outcome, count) in outcomes.into_iter().filter_map(|(outcome, count)| Some((outcome, count?))) {
            let labels = vec![(RULE, rule.to_owned()), (OUTCOME, outcome.to_owned())];
            out.with(MetricName::SampledTraces, labels, count as f64);
        }
    }
    out.put(MetricName::SampledEarly, sampling.early);
    out.put(MetricName::SamplingUndecided, sampling.undecided);
    out.put(MetricName::SamplingUnswept, sampling.unswept_dropped);
    out.put(MetricName::SamplingSweeps, get(&counters.sweeps));
    let swept = [
        ("logs", &counters.swept_logs),
        ("traces", &counters.swept_spans),
        ("metrics", &counters.swept_exemplars),
    ];
    for (signal, counter) in swept {
        out.with(MetricName::SweptRecords, vec![(SIGNAL, signal.to_owned())], get(counter) as f64);
    }
}

/// The receivers.
pub fn receivers(counters: Arc<receive::Counters>) -> Source {
    Box::new(move |out| {
        for protocol in Protocol::ALL {
            let counters = counters.of(protocol);
            let named = |more: &[(&'static str, &str)]| {
                let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
                std::iter::once((PROTOCOL, protocol.as_str().to_owned())).chain(more).collect::<Vec<_>>()
            };
            let signals = [
                ("spans", MetricName::ReceivedSpans, &counters.spans),
                ("logs", MetricName::ReceivedLogs, &counters.logs),
                ("samples", MetricName::ReceivedSamples, &counters.samples),
            ];
            for (signal, name, counters) in signals {
                out.with(name, named(&[]), get(&counters.accepted) as f64);
                let labels = named(&[(SIGNAL, signal)]);
                out.with(MetricName::RejectedRecords, labels, get(&counters.rejected) as f64);
            }
            out.with(MetricName::ReceivedExemplars, named(&[]), get(&counters.exemplars) as f64);
            let refused =
                [("bytes_in_flight", &counters.turned_away), ("unauthorized", &counters.unauthorized)];
            for (reason, counter) in refused {
                out.with(MetricName::RefusedRequests, named(&[(REASON, reason)]), get(counter) as f64);
            }
        }
        let datagrams = [
            ("malformed", &counters.bad_datagrams),
            ("refused", &counters.lost_datagrams),
            ("dropped", &counters.dropped_datagrams),
        ];
        for (reason, counter) in datagrams {
            out.with(MetricName::LostDatagrams, vec![(REASON, reason.to_owned())], get(counter) as f64);
        }
    })
}

/// The scraper.
pub fn scrapes(scraping: Arc<Scraping>) -> Source {
    Box::new(move |out| {
        for (health, targets) in scraping.by_health() {
            out.with(MetricName::ScrapeTargets, vec![(STATE, health.as_str().to_owned())], targets as f64);
        }
        let counters = &scraping.counters;
        let outcomes = [
            ("taken", &counters.taken),
            ("failed", &counters.failed),
            ("refused", &counters.refused),
            ("skipped", &counters.skipped),
        ];
        for (outcome, counter) in outcomes {
            out.with(MetricName::Scrapes, vec![(OUTCOME, outcome.to_owned())], get(counter) as f64);
        }
        let troubles = [
            ("bad_line", &counters.bad_lines),
            ("bad_exemplar", &counters.bad_exemplars),
            ("repeated_exemplar", &counters.repeated_exemplars),
        ];
        for (kind, counter) in troubles {
            out.with(MetricName::ScrapeLeftOut, vec![(KIND, kind.to_owned())], get(counter) as f64);
        }
    })
}

/// An agent's shipper.
pub fn shipper(counters: Arc<upstream::ship::Counters>) -> Source {
    Box::new(move |out| {
        let outcomes = [
            ("taken", &counters.records),
            ("rejected", &counters.rejected),
            ("set_aside", &counters.quarantined),
        ];
        for (outcome, counter) in outcomes {
            out.with(MetricName::ShippedLogs, vec![(OUTCOME, outcome.to_owned())], get(counter) as f64);
        }
        out.put(MetricName::ShippedBytes, get(&counters.bytes));
        out.put(MetricName::ShipRetries, get(&counters.retries));
        out.put(MetricName::ShipInFlightBytes, get(&counters.in_flight));
    })
}

/// Configurations read while running.
pub fn reloads(counters: Arc<reload::Counters>) -> Source {
    Box::new(move |out| {
        for (outcome, counter) in [("taken", &counters.taken), ("refused", &counters.refused)] {
            out.with(MetricName::ConfigReloads, vec![(OUTCOME, outcome.to_owned())], get(counter) as f64);
        }
        out.put(MetricName::ConfigCurrent, u64::from(!counters.outdated.load(Ordering::Relaxed)));
    })
}

/// Series that are made of spans.
pub fn span_metrics(counted: Option<Arc<Counted>>) -> Source {
    Box::new(move |out| {
        let Some(counted) = &counted else { return };
        let stats = counted.stats();
        out.put(MetricName::SpanMetricsSeries, stats.series as u64);
        for (reason, spans) in [("late", stats.late), ("overflow", stats.overflowed)] {
            out.with(MetricName::SpanMetricsUncounted, vec![(REASON, reason.to_owned())], spans as f64);
        }
    })
}

/// What was not let in.
pub fn access(access: Arc<crate::access::Access>) -> Source {
    Box::new(move |out| {
        let counters = &access.counters;
        let reasons = [
            ("unauthenticated", &counters.unauthenticated),
            ("forbidden", &counters.forbidden),
            ("rate", &counters.rate),
            ("size", &counters.size),
        ];
        for (reason, counter) in reasons {
            out.with(MetricName::AccessRefused, vec![(REASON, reason.to_owned())], get(counter) as f64);
        }
    })
}
