//! What has been found so far, and what is read of it in the end: the traces by their ids, their lines, and the series of the
//! workloads.

use std::collections::BTreeSet;
use std::sync::Arc;

use parsers::record::{Exemplar, LogRecord, Span, SpanId, StatusCode, TraceId, Workload};
use store::read::{ReadError, TraceRecords, Window};

use super::line::Candidate;
use super::subject::Subject;
use super::tenant::{OneTenant, SeriesFrom};
use super::{
    MAX_RELATED, Pivot, Reason, Related, RelatedExemplar, RelatedLog, RelatedTrace, RelatedWorkload,
    SurfaceQuery, queries, workloads,
};
use crate::absent::absence;
use crate::streams::Selection;
use crate::{AbsentReason, AbsentSignal, Answer, FoundExemplar, JoinRule, metrics};

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

/// The streams of what was asked about.
pub(super) struct Own {
    pub(super) subject: Subject,
    pub(super) selections: Vec<Selection>,
    pub(super) window: Window,
    /// Their lines in the window.
    pub(super) lines: u64,
    /// Whether all of the window was counted.
    pub(super) all: bool,
}

impl Own {
    /// Why a line is one of them, if it is.
    fn reason(&self, record: &LogRecord, why: &str) -> Option<Reason> {
        let takes = |selection: &&Selection| selection.matchers.iter().all(|m| m.matches(&record.labels));
        let selection = self.selections.iter().find(takes)?;
        Some(self.subject.reason(selection, &record.labels, why.to_owned()))
    }
}

/// What has been found so far.
pub(super) struct Gathered {
    pub(super) related: Related,
    pub(super) tenant: OneTenant,
    pub(super) seeds: Vec<Seed>,
    pub(super) limit: usize,
    pub(super) own: Option<Own>,
    /// Lines of what was asked about that are shown where there is room.
    pub(super) spare: Vec<RelatedLog>,
    /// Lines of traces that are past what is shown of one.
    beyond: u64,
    seen_workloads: BTreeSet<Workload>,
}

impl Gathered {
    pub(super) fn new(tenant: OneTenant, limit: usize) -> Self {
        Self {
            related: Related::default(),
            tenant,
            seeds: Vec::new(),
            limit,
            own: None,
            spare: Vec::new(),
            beyond: 0,
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

    /// Whether it is said already why there is nothing of a signal.
    fn tells_of(&self, signal: AbsentSignal) -> bool {
        self.related.absent.iter().any(|absent| absent.signal == signal)
    }

    pub(super) fn add_workload(&mut self, workload: RelatedWorkload) {
        let empty = workload.workload == Workload::default();
        if !empty && self.seen_workloads.insert(workload.workload.clone()) {
            workloads::add(&mut self.related.workloads, workload);
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

    /// Fills the room that is left with lines that are spare.
    fn fill(&mut self) {
        for log in std::mem::take(&mut self.spare) {
            if self.related.logs.len() < self.limit {
                self.add_log(log);
            }
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
            if self.tenant.lets_in_series(&exemplar.series, SeriesFrom::Received) {
                let why = format!("names the trace {}", seed.id);
                let reason = Reason::new("exemplar", seed.reason.confidence, why);
                self.add_exemplar(FoundExemplar { exemplar, made: None }, reason);
            }
        }
    }

    /// Everything that is known of one trace; what is of `span` comes first.
    pub(super) fn add_answer(&mut self, answer: Answer, span: Option<SpanId>, from: SeriesFrom) {
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
            let own = span.is_some() && log.span_id == span;
            let offered = matches!(log.join.rule, JoinRule::WorkloadTime | JoinRule::AccessLog);
            // Without an id it is of the span under which the look-up has it, and of no other.
            if offered && span.is_some() && log.span_id.is_some() && !own {
                continue;
            }
            let (rule, why) = match (own, offered) {
                (true, false) => ("span_id", "of the span"),
                (true, true) => (log.join.rule.as_str(), "of the span, as the look-up of the trace has it"),
                _ => (log.join.rule.as_str(), "of the trace"),
            };
            // A line of another span of the trace says less of this one.
            let nearness = if span.is_none() || own { 1.0 } else { OTHER_SPAN };
            let reason = Reason::new(rule, log.join.confidence * nearness, why).by(log.join.agreed);
            let workload = Workload::from_labels(&log.record.labels);
            let wrote = Reason::new(rule, log.join.confidence, "wrote lines of the trace");
            self.add_workload(RelatedWorkload { workload, reason: wrote });
            let span_id = log.span_id.or(log.record.span_id);
            self.related.logs.push(RelatedLog { record: log.record, span_id, own, reason });
        }
        for joined in answer.exemplars {
            if self.tenant.lets_in_series(&joined.exemplar.series, from) {
                let of_span = span.is_none_or(|span| joined.exemplar.span_id == Some(span));
                let confidence = joined.join.confidence * if of_span { 1.0 } else { OTHER_SPAN };
                let reason = Reason::new(joined.join.rule.as_str(), confidence, "names the trace");
                self.add_exemplar(FoundExemplar { exemplar: joined.exemplar, made: None }, reason);
            }
        }
        let metrics = answer.metrics.into_iter();
        self.related.metrics.extend(metrics.filter(|link| self.tenant.lets_in_series(&link.labels, from)));
        self.related.window = answer.window;
        // Where samples are stored here, they are asked afterwards.
        let asked_later = |absent: &crate::Absence| {
            from == SeriesFrom::Received
                && absent.signal == AbsentSignal::Metrics
                && absent.reason == AbsentReason::NotConfigured
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
        if workloads.is_empty() {
            if !gathered.tells_of(AbsentSignal::Metrics) {
                let detail = "nothing that was found says whose series to look for";
                let hint = "ask for a wider time, or by another name".to_owned();
                let nothing = absence(AbsentSignal::Metrics, AbsentReason::NoMatch, detail);
                gathered.related.absent.push(crate::Absence { hint, ..nothing });
            }
            return;
        }
        let options = self.correlator.options();
        let found = metrics::links(&*self.metrics, &workloads, gathered.related.window, options).await;
        for link in found.links {
            if gathered.tenant.lets_in_series(&link.labels, self.from) {
                gathered.related.metrics.push(link);
            }
        }
        let told = gathered.tells_of(AbsentSignal::Metrics);
        gathered.related.absent.extend(found.absent.into_iter().filter(|_| !told));
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
                lines.extend(records.logs.into_iter().enumerate().map(|line| (id, line, reason.confidence)));
            }
            Ok(lines)
        })
        .await?;
        for (id, (place, record), confidence) in lines {
            if !gathered.tenant.lets_in_line(&record) {
                continue;
            }
            let why = format!("of the trace {id}");
            let own = gathered.own.as_ref().and_then(|own| own.reason(&record, &why));
            if place < LINES_OF_TRACE {
                let (is_own, span_id) = (own.is_some(), record.span_id);
                let reason = own.unwrap_or_else(|| Reason::new("trace_id", confidence, why));
                gathered.add_log(RelatedLog { record, span_id, own: is_own, reason });
            } else if own.is_none() {
                gathered.beyond += 1;
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
            let is_stored = !records.spans.is_empty();
            let own: Vec<Span> = records
                .spans
                .into_iter()
                .filter(|span| gathered.tenant.lets_in_span(&span.resource))
                .collect();
            match summary(seed, own) {
                Some(trace) => gathered.related.traces.push(trace),
                // Of another tenant, which is told.
                None if is_stored => {}
                None => gone += 1,
            }
        }
        let told = gathered.tells_of(AbsentSignal::Spans);
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
            let more = more(limit);
            gathered.related.warnings.push(format!("{cut} more traces are left out: {more}"));
        }
        gathered.fill();
        Ok(ordered(gathered, self.stored))
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

/// How to come by what is left out.
fn more(limit: usize) -> &'static str {
    if limit < MAX_RELATED { "ask with a higher `limit`" } else { "ask for a shorter time, or with `links`" }
}

/// How many lines are left out where so many of these are shown, and whether there may be more.
fn lines_left_out(logs: &[RelatedLog], own: Option<&Own>, beyond: u64, limit: usize) -> (u64, bool) {
    let gathered = logs.len().saturating_sub(limit) as u64 + beyond;
    let Some(own) = own else { return (gathered, false) };
    let known = logs.iter().filter(|log| log.own && own.window.contains(log.record.time)).count() as u64;
    (gathered + own.lines.saturating_sub(known), !own.all)
}

/// Lines of what was asked about first; else what is surest first, then what went wrong, then what is newest; and no list over the
/// limit.
fn ordered(gathered: Gathered, stored: bool) -> Related {
    let Gathered { mut related, tenant, limit, own, beyond, .. } = gathered;
    related.tenant = tenant.name().map(str::to_owned);
    related.warnings.extend(tenant.warning());
    let surer = |a: &Reason, b: &Reason| b.confidence.total_cmp(&a.confidence);
    related.traces.sort_by(|a, b| {
        let worse = b.errors.min(1).cmp(&a.errors.min(1));
        surer(&a.reason, &b.reason).then(worse).then(b.start.cmp(&a.start))
    });
    related.logs.sort_by(|a, b| {
        let worse = b.record.severity.cmp(&a.record.severity);
        let nearer = b.own.cmp(&a.own).then(surer(&a.reason, &b.reason));
        nearer.then(worse).then(a.record.time.cmp(&b.record.time))
    });
    let (left, or_more) = lines_left_out(&related.logs, own.as_ref(), beyond, limit);
    if left > 0 {
        let (least, more) = (if or_more { "at least " } else { "" }, more(limit));
        related.warnings.push(format!("{least}{left} more log lines are left out: {more}"));
    }
    related
        .exemplars
        .sort_by(|a, b| surer(&a.reason, &b.reason).then(b.found.exemplar.time.cmp(&a.found.exemplar.time)));
    related.metrics.sort_by(|a, b| {
        b.join.confidence.total_cmp(&a.join.confidence).then_with(|| a.labels.cmp(&b.labels))
    });
    related.metrics.dedup_by(|a, b| a.labels == b.labels);
    related.queries = distinct(std::mem::take(&mut related.queries));
    let lists = [
        ("exemplars", related.exemplars.len()),
        ("series", related.metrics.len()),
        ("workloads", related.workloads.len()),
    ];
    for (what, len) in lists {
        if len > limit {
            related.warnings.push(format!("{} more {what} are left out: {}", len - limit, more(limit)));
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
    if stored {
        let samples =
            |a: &&mut crate::Absence| a.signal == AbsentSignal::Metrics && a.reason == AbsentReason::NoMatch;
        let of_labels = |absent: &&mut crate::Absence| absent.hint.contains("upstream.prometheus.labels");
        for absent in related.absent.iter_mut().filter(samples).filter(of_labels) {
            STORED_SERIES.clone_into(&mut absent.hint);
        }
    }
    related
}

/// What to try where metrics are those that are stored here.
const STORED_SERIES: &str = "`GET /prometheus/api/v1/series` says which series are stored; they come by OTLP metrics, remote write and \
                           scrapes, or stay in the Prometheus that `upstream.prometheus.url` names";

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
