//! What has been found so far, and what is read of it in the end: the traces by their ids, their lines, and the series of the
//! workloads.

use std::collections::BTreeSet;
use std::sync::Arc;

use parsers::record::{Exemplar, Span, SpanId, StatusCode, TraceId, Workload};
use store::read::{ReadError, TraceRecords};

use super::line::Candidate;
use super::tenant::OneTenant;
use super::{
    Pivot, Reason, Related, RelatedExemplar, RelatedLog, RelatedTrace, RelatedWorkload, SurfaceQuery, queries,
};
use crate::absent::absence;
use crate::{AbsentReason, AbsentSignal, Answer, FoundExemplar, metrics};

/// Spans and lines read of one trace for its summary.
const TRACE_RECORDS: usize = 5_000;
/// Lines shown of one trace, where there are several.
const LINES_OF_TRACE: usize = 20;
/// Exemplars shown of one trace.
const EXEMPLARS_OF_TRACE: usize = 20;
/// Workloads whose series are looked for.
const MAX_WORKLOADS: usize = 16;

/// A trace that was found, before it is read.
pub(super) struct Seed {
    pub(super) id: TraceId,
    pub(super) span: Option<SpanId>,
    pub(super) reason: Reason,
}

/// What has been found so far.
pub(super) struct Gathered {
    pub(super) related: Related,
    pub(super) tenant: OneTenant,
    pub(super) seeds: Vec<Seed>,
    pub(super) limit: usize,
    seen_workloads: BTreeSet<Workload>,
}

impl Gathered {
    pub(super) fn new(tenant: Option<String>, limit: usize) -> Self {
        Self {
            related: Related::default(),
            tenant: OneTenant::named(tenant),
            seeds: Vec::new(),
            limit,
            seen_workloads: BTreeSet::new(),
        }
    }

    /// Each trace once: by the surest of its reasons.
    pub(super) fn add_seed(&mut self, id: TraceId, span: Option<SpanId>, reason: Reason) {
        match self.seeds.iter_mut().find(|seed| seed.id.matches(id).is_some()) {
            Some(known) if known.reason.confidence < reason.confidence => *known = Seed { id, span, reason },
            Some(_) => {}
            None => self.seeds.push(Seed { id, span, reason }),
        }
    }

    pub(super) fn add_candidates(&mut self, mut candidates: Vec<Candidate>) {
        candidates.retain(|candidate| self.tenant.lets_in(candidate.tenant.as_deref()));
        let count = candidates.len();
        for candidate in candidates {
            let (trace, span) = (candidate.trace, candidate.span);
            self.add_seed(trace, Some(span), candidate.reason(count));
        }
    }

    pub(super) fn add_workload(&mut self, workload: RelatedWorkload) {
        let empty = workload.workload == Workload::default();
        if !empty && self.seen_workloads.insert(workload.workload.clone()) {
            self.related.workloads.push(workload);
        }
    }

    pub(super) fn add_log(&mut self, log: RelatedLog) {
        let known = |other: &RelatedLog| {
            other.record.time == log.record.time
                && other.record.line == log.record.line
                && other.record.labels == log.record.labels
        };
        match self.related.logs.iter_mut().find(|other| known(other)) {
            Some(other) if other.reason.confidence < log.reason.confidence => *other = log,
            Some(_) => {}
            None => self.related.logs.push(log),
        }
    }

    /// Each exemplar once: by the surest of its reasons.
    pub(super) fn add_exemplar(&mut self, found: FoundExemplar, reason: Reason) {
        let known = |other: &&mut RelatedExemplar| other.found.exemplar == found.exemplar;
        match self.related.exemplars.iter_mut().find(known) {
            Some(other) if other.reason.confidence < reason.confidence => other.reason = reason,
            Some(_) => {}
            None => self.related.exemplars.push(RelatedExemplar { found, reason }),
        }
    }

    /// Exemplars that name a trace which was found.
    fn add_exemplars_of_seed(&mut self, exemplars: Vec<Exemplar>, seed: &Seed) {
        for exemplar in exemplars.into_iter().take(EXEMPLARS_OF_TRACE) {
            if self.tenant.lets_in_series(&exemplar.series, true) {
                let why = format!("names the trace {}", seed.id);
                let reason = Reason::new("exemplar", seed.reason.confidence, why);
                self.add_exemplar(FoundExemplar { exemplar, made: None }, reason);
            }
        }
    }

    /// Everything that is known of one trace; what is of `span` comes first.
    pub(super) fn add_answer(&mut self, answer: Answer, span: Option<SpanId>, held: bool) {
        let id = answer.trace_id;
        for node in &answer.spans {
            if !self.tenant.lets_in_span(&node.span.resource) {
                continue;
            }
            let of_span = span.is_none_or(|span| node.span.span_id == span);
            let (rule, confidence) = if of_span {
                (if span.is_some() { "span_id" } else { "trace_id" }, 1.0)
            } else {
                ("trace_id", 0.8)
            };
            let reason = Reason::new(rule, confidence, "has spans of the trace").by(["resource"]);
            let workload = Workload::from_resource(&node.span.resource);
            self.related.queries.extend(queries::spans_of(&workload).filter(|_| of_span && span.is_some()));
            self.add_workload(RelatedWorkload { workload, reason });
            for link in node.span.links.iter().filter(|_| of_span) {
                if let Some(other) = link.trace_id.filter(|other| other.matches(id).is_none()) {
                    let why = format!("a span of {id} links to it");
                    self.add_seed(other, link.span_id, Reason::new("span_link", 1.0, why));
                }
            }
        }
        for log in answer.logs {
            if !self.tenant.lets_in_line(&log.record) {
                continue;
            }
            let of_span = span.is_some() && log.record.span_id == span;
            let (rule, why) =
                if of_span { ("span_id", "of the span") } else { (log.join.rule.as_str(), "of the trace") };
            // A line of another span of the trace says less of this one.
            let nearness = if span.is_none() || of_span { 1.0 } else { OTHER_SPAN };
            let reason = Reason::new(rule, log.join.confidence * nearness, why).by(log.join.agreed);
            let workload = Workload::from_labels(&log.record.labels);
            let wrote = Reason::new(rule, log.join.confidence, "wrote lines of the trace");
            self.add_workload(RelatedWorkload { workload, reason: wrote });
            self.related.logs.push(RelatedLog { record: log.record, reason });
        }
        for joined in answer.exemplars {
            if self.tenant.lets_in_series(&joined.exemplar.series, held) {
                let of_span = span.is_none_or(|span| joined.exemplar.span_id == Some(span));
                let confidence = joined.join.confidence * if of_span { 1.0 } else { OTHER_SPAN };
                let reason = Reason::new(joined.join.rule.as_str(), confidence, "names the trace");
                self.add_exemplar(FoundExemplar { exemplar: joined.exemplar, made: None }, reason);
            }
        }
        let metrics = answer.metrics.into_iter();
        self.related.metrics.extend(metrics.filter(|link| self.tenant.lets_in_series(&link.labels, held)));
        self.related.window = answer.window;
        // Where samples are stored here, they are asked afterwards.
        let asked_later = |absent: &crate::Absence| {
            held && absent.signal == AbsentSignal::Metrics && absent.reason == AbsentReason::NotConfigured
        };
        self.related.absent.extend(answer.absent.into_iter().filter(|absent| !asked_later(absent)));
        self.related.warnings.extend(answer.warnings);
        self.related.queries.extend([SurfaceQuery::Trace(id), queries::lines_of_trace(&id.to_string())]);
        self.add_seed(
            id,
            span,
            Reason::new(if span.is_some() { "span_id" } else { "trace_id" }, 1.0, "what was asked about"),
        );
    }
}

/// What is of another span of the same trace.
const OTHER_SPAN: f64 = 0.5;

impl Pivot {
    /// Series of the workloads around the window.
    pub(super) async fn add_metrics(&self, gathered: &mut Gathered) {
        let workloads = gathered.related.workloads.iter().map(|related| related.workload.clone());
        let workloads: Vec<Workload> =
            workloads.filter(|w| w.service.is_some() || w.pod.is_some()).take(MAX_WORKLOADS).collect();
        let options = self.correlator.options();
        let found = metrics::links(&*self.metrics, &workloads, gathered.related.window, options).await;
        for link in found.links {
            if gathered.tenant.lets_in_series(&link.labels, self.held) {
                gathered.related.metrics.push(link);
            }
        }
        gathered.related.absent.extend(found.absent);
        gathered.related.warnings.extend(found.warnings);
    }

    /// Lines of the traces that were found, some of each.
    pub(super) async fn add_lines_of_seeds(&self, gathered: &mut Gathered) -> Result<(), ReadError> {
        let seeds: Vec<(TraceId, Reason)> =
            gathered.seeds.iter().take(gathered.limit).map(|seed| (seed.id, seed.reason.clone())).collect();
        let traces = self.correlator.store();
        let lines = blocking(move || {
            let mut lines = Vec::new();
            for (id, reason) in seeds {
                let records = traces.trace(id, TRACE_RECORDS)?;
                lines.extend(
                    records.logs.into_iter().take(LINES_OF_TRACE).map(|record| (id, record, reason.clone())),
                );
            }
            Ok(lines)
        })
        .await?;
        for (id, record, of) in lines {
            if gathered.tenant.lets_in_line(&record) {
                let reason = Reason::new("trace_id", of.confidence, format!("of the trace {id}"));
                gathered.add_log(RelatedLog { record, reason });
            }
        }
        Ok(())
    }

    /// Reads the traces, puts every list in order and cuts it.
    pub(super) async fn summarise(&self, mut gathered: Gathered) -> Result<Related, ReadError> {
        let mut seeds: Vec<Seed> = std::mem::take(&mut gathered.seeds);
        // Those that are cut are the least sure.
        seeds.sort_by(|a, b| b.reason.confidence.total_cmp(&a.reason.confidence));
        let (traces, limit) = (self.correlator.store(), gathered.limit);
        let cut = seeds.len().saturating_sub(limit);
        seeds.truncate(limit);
        let read = blocking(move || {
            let read = seeds.into_iter().map(|seed| Ok((traces.trace(seed.id, TRACE_RECORDS)?, seed)));
            read.collect::<Result<Vec<(TraceRecords, Seed)>, ReadError>>()
        })
        .await?;
        let mut gone = 0;
        for (records, seed) in read {
            gathered.add_exemplars_of_seed(records.exemplars, &seed);
            let own: Vec<Span> = records
                .spans
                .into_iter()
                .filter(|span| gathered.tenant.lets_in_span(&span.resource))
                .collect();
            match summary(seed, own) {
                Some(trace) => gathered.related.traces.push(trace),
                None => gone += 1,
            }
        }
        let told = gathered.related.absent.iter().any(|absent| absent.signal == AbsentSignal::Spans);
        if gone > 0 && gathered.related.traces.is_empty() && told {
            // Of the one trace that was asked about it is said already.
        } else if gone > 0 && gathered.related.traces.is_empty() {
            let detail = format!(
                "{gone} traces are named, but no span of them is stored: they were sampled out, never sent or have expired; \
                                  `/api/v1/traces/{{id}}` says which"
            );
            gathered.related.absent.push(absence(AbsentSignal::Spans, AbsentReason::NeverSeen, detail));
        } else if gone > 0 {
            gathered
                .related
                .warnings
                .push(format!("{gone} more traces are named, of which no span is stored"));
        }
        if cut > 0 {
            gathered
                .related
                .warnings
                .push(format!("{cut} more traces are left out: ask with a higher `limit`"));
        }
        Ok(ordered(gathered))
    }
}

/// What a trace is, of its spans.
fn summary(seed: Seed, spans: Vec<Span>) -> Option<RelatedTrace> {
    let known: BTreeSet<SpanId> = spans.iter().map(|span| span.span_id).collect();
    let is_root = |span: &&Span| span.parent_span_id.is_none_or(|parent| !known.contains(&parent));
    let root = spans.iter().filter(is_root).min_by_key(|span| (span.parent_span_id.is_some(), span.start));
    let root = root.or_else(|| spans.first())?;
    let start = spans.iter().map(|span| span.start).min().unwrap_or_default();
    let end = spans.iter().map(|span| span.end).max().unwrap_or_default();
    let services: BTreeSet<&str> = spans.iter().map(|span| span.resource.service()).collect();
    Some(RelatedTrace {
        trace_id: seed.id,
        span_id: seed.span,
        root_service: root.resource.service().to_owned(),
        root_name: root.name.clone(),
        start,
        duration: end.saturating_sub(start),
        spans: spans.len(),
        errors: spans.iter().filter(|span| span.status.code == StatusCode::Error).count(),
        services: services.into_iter().map(str::to_owned).collect(),
        reason: seed.reason,
    })
}

/// What is surest first, then what went wrong, then what is newest; and no list over the limit.
fn ordered(gathered: Gathered) -> Related {
    let Gathered { mut related, tenant, limit, .. } = gathered;
    related.tenant = tenant.name().map(str::to_owned);
    related.warnings.extend(tenant.warning());
    let surer = |a: &Reason, b: &Reason| b.confidence.total_cmp(&a.confidence);
    related.traces.sort_by(|a, b| {
        let worse = b.errors.min(1).cmp(&a.errors.min(1));
        surer(&a.reason, &b.reason).then(worse).then(b.start.cmp(&a.start))
    });
    related.logs.sort_by(|a, b| {
        let worse = b.record.severity.cmp(&a.record.severity);
        surer(&a.reason, &b.reason).then(worse).then(a.record.time.cmp(&b.record.time))
    });
    related
        .exemplars
        .sort_by(|a, b| surer(&a.reason, &b.reason).then(b.found.exemplar.time.cmp(&a.found.exemplar.time)));
    related.metrics.sort_by(|a, b| {
        b.join.confidence.total_cmp(&a.join.confidence).then_with(|| a.labels.cmp(&b.labels))
    });
    related.metrics.dedup_by(|a, b| a.labels == b.labels);
    related.queries = distinct(std::mem::take(&mut related.queries));
    let lists = [
        ("log lines", related.logs.len()),
        ("exemplars", related.exemplars.len()),
        ("series", related.metrics.len()),
        ("workloads", related.workloads.len()),
    ];
    for (what, len) in lists {
        if len > limit {
            related
                .warnings
                .push(format!("{} more {what} are left out: ask with a higher `limit`", len - limit));
        }
    }
    related.logs.truncate(limit);
    related.exemplars.truncate(limit);
    related.metrics.truncate(limit);
    related.workloads.truncate(limit);
    let nothing = |signal: AbsentSignal, related: &Related| related.absent.iter().all(|a| a.signal != signal);
    for (signal, empty, detail) in [
        (AbsentSignal::Spans, related.traces.is_empty(), "no trace was found"),
        (AbsentSignal::Logs, related.logs.is_empty(), "no log line was found"),
        (
            AbsentSignal::Exemplars,
            related.exemplars.is_empty(),
            "no stored exemplar names a trace that was found, or is of its series",
        ),
        (AbsentSignal::Metrics, related.metrics.is_empty(), "no series describes the workloads at this time"),
    ] {
        if empty && nothing(signal, &related) {
            related.absent.push(absence(signal, AbsentReason::NoMatch, detail));
        }
    }
    related
}

fn distinct(queries: Vec<SurfaceQuery>) -> Vec<SurfaceQuery> {
    let mut kept: Vec<SurfaceQuery> = Vec::new();
    for query in queries {
        if kept.len() < MAX_QUERIES && !kept.contains(&query) {
            kept.push(query);
        }
    }
    kept
}

/// Queries of one answer.
const MAX_QUERIES: usize = 20;

/// Runs what reads disk beside the runtime.
pub(super) async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| {
        tracing::error!(%error, "reading what is related broke off");
        Err(ReadError::Io(Arc::new(std::io::Error::other("reading broke off"))))
    })
}
