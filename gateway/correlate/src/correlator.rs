//! Asks the store and the metrics server, and puts the answer together.

use std::sync::Arc;

use parsers::record::{Exemplar, TraceId};
use rustc_hash::FxHashSet;
use store::read::{MetricRead, ReadError, TraceRead, TraceRecords};

use crate::absent::{self, absence};
use crate::metrics::{self, Findings};
use crate::{AbsentReason, AbsentSignal, Answer, CorrelateOptions, ExemplarSource, critical, seen, tree};

/// Answers "what happened in this request?". A cheap clone.
#[derive(Clone)]
pub struct Correlator {
    store: Arc<dyn TraceRead>,
    metrics: Option<Arc<dyn MetricRead>>,
    options: Arc<CorrelateOptions>,
}

impl Correlator {
    /// Joins what `store` holds with what `metrics` says.
    pub fn new(
        store: Arc<dyn TraceRead>,
        metrics: Option<Arc<dyn MetricRead>>,
        options: CorrelateOptions,
    ) -> Self {
        Self { store, metrics, options: Arc::new(options) }
    }

    /// Everything known of one trace. Never fails: what could not be read is among [`Answer::absent`].
    pub async fn answer(&self, id: TraceId) -> Answer {
        let (store, options) = (Arc::clone(&self.store), Arc::clone(&self.options));
        let read = move || join_stored(id, store.trace(id, options.record_limit), &options);
        let mut answer = match tokio::task::spawn_blocking(read).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::error!(%error, "reading a trace broke off");
                let error = ReadError::Io(Arc::new(std::io::Error::other("reading broke off")));
                join_stored(id, Err(error), &self.options)
            }
        };
        match &self.metrics {
            // No exemplar may point to a trace that was dropped, wherever it lies.
            _ if absent::is_sampled_out(&answer.absent) => answer.absent.push(absence(
                AbsentSignal::Metrics,
                AbsentReason::SampledOut,
                "nothing is left of the trace that says which workloads took part",
            )),
            Some(reader) => {
                let workloads = metrics::workloads(&answer.spans, &answer.logs);
                let found =
                    metrics::ask(&**reader, answer.trace_id, &workloads, answer.window, &self.options).await;
                add_metrics(&mut answer, found, reader.name());
            }
            None => answer.absent.push(absence(
                AbsentSignal::Metrics,
                AbsentReason::NotConfigured,
                "no metrics server is configured (upstream.prometheus.url)",
            )),
        }
        let limit = self.options.warning_limit;
        if answer.warnings.len() > limit {
            let more = answer.warnings.len() - limit;
            answer.warnings.truncate(limit);
            answer.warnings.push(format!("and {more} more warnings"));
        }
        answer
    }
}

fn join_stored(id: TraceId, read: Result<TraceRecords, ReadError>, options: &CorrelateOptions) -> Answer {
    let mut warnings = Vec::new();
    let (records, absent) = match read {
        Ok(records) => {
            let absent = absent::stored(id, &records, options.record_limit);
            (records, absent)
        }
        Err(error) => (TraceRecords::default(), absent::store_failed(&error)),
    };
    if records.omitted > 0 {
        let (omitted, limit) = (records.omitted, options.record_limit);
        warnings.push(format!("{omitted} records are left out: at most {limit} of a signal are read"));
    }
    if records.damaged_blocks > 0 {
        let blocks = records.damaged_blocks;
        warnings
            .push(format!("{blocks} damaged blocks of the store were passed over; records may be missing"));
    }
    let long = seen::distinct_long_ids(&records);
    if long > 1 {
        warnings.push(format!("{long} traces share these low 64 bits; their records are shown together"));
    }
    let trace_id = seen::longest(id, &records);
    let spellings = seen::spellings(&records);
    let tree = tree::build(records.spans);
    if tree.adjusted > 0 {
        let count = tree.adjusted;
        warnings.push(format!(
            "clocks disagree: {count} spans were moved inside their parents; their own times are kept beside"
        ));
    }
    let odd = |oddity| tree.nodes.iter().filter(|node| node.is(oddity)).count();
    for (oddity, what) in [
        (crate::Oddity::Orphan, "spans name a parent that is not here"),
        (crate::Oddity::CycleCut, "spans were cut out of a ring of parents"),
        (crate::Oddity::SharedId, "spans share their id with another one"),
        (crate::Oddity::EndsBeforeStart, "spans end before they start"),
    ] {
        let count = odd(oddity);
        if count > 0 {
            warnings.push(format!("{count} {what}"));
        }
    }
    let logs = seen::logs(id, records.logs, &tree.nodes);
    let mut exemplars = seen::exemplars(id, records.exemplars, &ExemplarSource::Store);
    exemplars.sort_by_key(|joined| joined.exemplar.time);
    let (links, cut) = seen::links(trace_id, &tree.nodes, options.link_limit);
    if cut > 0 {
        warnings.push(format!("{cut} links to other traces are left out"));
    }
    Answer {
        trace_id,
        spellings,
        window: seen::window(&tree.nodes, &logs, &exemplars),
        services: seen::services(&tree.nodes, &logs),
        critical_path: critical::path(&tree.nodes),
        spans: tree.nodes,
        logs,
        exemplars,
        metrics: Vec::new(),
        links,
        absent,
        warnings,
    }
}

/// What tells whether two sources speak of one exemplar.
fn identity(exemplar: &Exemplar) -> (u64, Option<u128>, Option<String>) {
    let name = exemplar.series.get("__name__").map(str::to_owned);
    (exemplar.value.to_bits(), exemplar.trace_id.map(TraceId::bits), name)
}

fn add_metrics(answer: &mut Answer, found: Findings, server: &str) {
    let known: FxHashSet<_> = answer.exemplars.iter().map(|joined| identity(&joined.exemplar)).collect();
    let fresh = found.exemplars.into_iter().filter(|exemplar| !known.contains(&identity(exemplar))).collect();
    let source = ExemplarSource::Upstream(Arc::from(server));
    answer.exemplars.extend(seen::exemplars(answer.trace_id, fresh, &source));
    answer.exemplars.sort_by_key(|joined| joined.exemplar.time);
    if !answer.exemplars.is_empty() {
        let never =
            |a: &crate::Absence| a.signal == AbsentSignal::Exemplars && a.reason == AbsentReason::NeverSeen;
        answer.absent.retain(|a| !never(a));
        if answer.window.is_none() {
            answer.window = seen::window(&answer.spans, &answer.logs, &answer.exemplars);
        }
    }
    answer.metrics = found.links;
    answer.absent.extend(found.absent);
    answer.warnings.extend(found.warnings);
}

#[cfg(test)]
mod tests;
