//! What each part counts, under the names of [`MetricName`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashboards::metric_names::{MetricName, OUTCOME, REASON, RULE, SIGNAL};
use parsers::derived::Deriver;
use store::Store;
use tail::Lost;

use crate::telemetry::Source;

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// The tailer.
pub fn tail(counters: Arc<tail::Counters>, deriver: Arc<Deriver>) -> Source {
    Box::new(move |out| {
        out.put(MetricName::TailLines, get(&counters.lines));
        out.put(MetricName::TailBytes, get(&counters.bytes));
        out.put(MetricName::TailBehindBytes, counters.behind());
        for (name, linked) in deriver.rule_names().iter().zip(counters.linked()) {
            if linked > 0 {
                out.with(MetricName::TailLinkedLines, vec![(RULE, name.to_string())], linked as f64);
            }
        }
        for (reason, dropped) in counters.dropped_lines() {
            out.with(MetricName::TailDroppedLines, vec![(REASON, reason)], dropped as f64);
        }
        for container in counters.containers() {
            for reason in Lost::ALL {
                let lost = container.lost(reason);
                if lost > 0 {
                    let labels = vec![
                        ("namespace", container.namespace.to_string()),
                        ("pod", container.pod.to_string()),
                        ("container", container.container.to_string()),
                        (REASON, reason.as_str().to_owned()),
                    ];
                    out.with(MetricName::TailLostBytes, labels, lost as f64);
                }
            }
        }
    })
}

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
        out.put(MetricName::StoreSeals, get(&counters.seals));
        out.put(MetricName::StoreMerges, get(&counters.merges));
        out.put(MetricName::StoreExpiredSegments, get(&counters.expired_segments));
    })
}

/// The receivers.
pub fn receivers(counters: Arc<receive::Counters>) -> Source {
    Box::new(move |out| {
        out.put(MetricName::ReceivedSpans, get(&counters.traces.accepted));
        out.put(MetricName::ReceivedLogs, get(&counters.logs.accepted));
        out.put(MetricName::ReceivedSamples, get(&counters.metrics.accepted));
        out.put(MetricName::ReceivedExemplars, get(&counters.exemplars));
        let signals = [("spans", &counters.traces), ("logs", &counters.logs), ("samples", &counters.metrics)];
        for (signal, counters) in signals {
            let labels = vec![(SIGNAL, signal.to_owned())];
            out.with(MetricName::RejectedRecords, labels, get(&counters.rejected) as f64);
        }
        let turned_away: u64 = signals.iter().map(|(_, counters)| get(&counters.turned_away)).sum();
        out.with(
            MetricName::RefusedRequests,
            vec![(REASON, "bytes_in_flight".to_owned())],
            turned_away as f64,
        );
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
