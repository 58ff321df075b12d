//! A log line as the start: by the id that it carries, else by its workload and time.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use parsers::record::{LogRecord, SpanId, TraceId, Workload, format_rfc3339};
use store::read::{
    Direction, LogRead, LogSelect, Matcher, ReadError, ScanReport, SpanView, TraceSelect, TraceVisitor,
    Window,
};

use super::gather::{Gathered, blocking};
use super::queries;
use super::{Pivot, Reason, Related, RelatedLog, RelatedWorkload, SCAN_TIME, SurfaceQuery};
use crate::absent::absence;
use crate::correlator::CannotTell;
use crate::workload_time::Said;
use crate::{AbsentReason, AbsentSignal, Correlator, Join, JoinRule};

/// How far from the time that was asked for a line may be: clients round to seconds.
const NEAR: u64 = 1_000_000_000;
/// Lines at that time that are taken for the one.
const MAX_LINES: usize = 10;
/// Before and after a line, so many others of its stream are shown, from so long.
const NEIGHBOURS: usize = 10;
const NEIGHBOURHOOD: u64 = 5_000_000_000;
/// Nothing but the stream and the time says that they belong together.
const STREAM_CONFIDENCE: f64 = 0.3;
/// Spans that began longer before a line than this are not looked at.
const LONGEST_SPAN: u64 = 600_000_000_000;
/// Traces that a line without an id may belong to, of which it is looked how sure that is.
const MAX_CANDIDATES: usize = 20;
/// The same service, but perhaps another pod.
const SERVICE_ALONE: f64 = 0.5;

/// What was read for a line.
struct Seen {
    lines: Vec<LogRecord>,
    neighbours: Vec<LogRecord>,
    report: ScanReport,
}

impl Pivot {
    pub(super) async fn of_line(
        &self,
        matchers: Vec<Matcher>,
        labels: String,
        time: u64,
        mut gathered: Gathered,
    ) -> Result<Related, ReadError> {
        let logs = self.logs.clone();
        let seen = blocking(move || look(&*logs, &matchers, time)).await?;
        gathered.related.looked_at.lines = seen.report.records;
        gathered.related.looked_at.bytes = seen.report.bytes;
        let lines: Vec<LogRecord> =
            seen.lines.into_iter().filter(|line| gathered.tenant.lets_in_line(line)).collect();
        let Some(first) = lines.first().cloned() else {
            let detail = format!(
                "no line of {labels} within a second of {}; ask `/loki/api/v1/query_range` for its lines with their times",
                format_rfc3339(time)
            );
            gathered.related.absent.push(absence(AbsentSignal::Logs, AbsentReason::NoMatch, detail));
            return Ok(gathered.related);
        };
        if first.time != time {
            let at = format_rfc3339(first.time);
            gathered.related.warnings.push(format!("no line of that very time: the nearest is of {at}"));
        }
        gathered.related.window = Some(around(first.time));
        gathered.related.queries.push(SurfaceQuery::LogQl(queries::stream(&first.labels)));
        let workload = Workload::from_labels(&first.labels);
        let reason =
            Reason::new("labels", 1.0, "wrote the line").by(first.labels.iter().map(|(name, _)| name));
        gathered.related.queries.extend(queries::spans_of(&workload));
        gathered.add_workload(RelatedWorkload { workload: workload.clone(), reason });
        for line in &lines {
            match line.trace_id {
                Some(id) => {
                    let reason = Reason::new("trace_id", 1.0, "the line carries its id");
                    gathered.add_seed(id, line.span_id, reason);
                }
                None => {
                    let (correlator, workload) = (Arc::clone(&self.correlator), workload.clone());
                    let line = line.clone();
                    let candidates = blocking(move || candidates(&correlator, &workload, &line)).await?;
                    gathered.add_candidates(candidates);
                }
            }
        }
        let neighbours = seen.neighbours.into_iter().filter(|line| !lines.contains(line));
        for record in neighbours {
            if gathered.tenant.lets_in_line(&record) {
                let apart = record.time.abs_diff(first.time) as f64 / 1e6;
                let when = if record.time < first.time { "before" } else { "after" };
                let why = format!("the same stream, {apart:.3} ms {when}");
                let reason = Reason::new("stream", STREAM_CONFIDENCE, why);
                gathered.add_log(RelatedLog { record, reason });
            }
        }
        for record in lines {
            gathered.add_log(RelatedLog { record, reason: Reason::new("labels", 1.0, "the line itself") });
        }
        if gathered.seeds.is_empty() {
            let detail = "the line carries no trace id, and no stored span of its workload was open at its time: \
                          ask for the service in a window around it";
            gathered.related.absent.push(absence(AbsentSignal::Spans, AbsentReason::NoMatch, detail));
        }
        self.add_lines_of_seeds(&mut gathered).await?;
        self.add_metrics(&mut gathered).await;
        self.summarise(gathered).await
    }
}

fn around(time: u64) -> Window {
    Window { start: time.saturating_sub(NEIGHBOURHOOD), end: time.saturating_add(NEIGHBOURHOOD) }
}

/// The lines at a time, else the nearest, and those around them.
fn look(logs: &dyn LogRead, matchers: &[Matcher], time: u64) -> Result<Seen, ReadError> {
    let mut report = ScanReport::default();
    let mut read =
        |window: Window, direction: Direction, limit: usize| -> Result<Vec<LogRecord>, ReadError> {
            let select = LogSelect {
                matchers: matchers.to_vec(),
                window,
                direction,
                trace: None,
                contains: Vec::new(),
                mentions: None,
            };
            let mut found = Found { records: Vec::new(), limit, began: Instant::now() };
            let read = logs.scan_logs(&select, &mut |record| {
                found.records.push(record);
                if found.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            report.records += read.records;
            report.bytes += read.bytes;
            Ok(found.records)
        };
    let mut lines = read(Window { start: time, end: time.saturating_add(1) }, Direction::Forward, MAX_LINES)?;
    if lines.is_empty() {
        let after = Window { start: time, end: time.saturating_add(NEAR) };
        let before = Window { start: time.saturating_sub(NEAR), end: time };
        lines = read(after, Direction::Forward, 1)?;
        lines.extend(read(before, Direction::Backward, 1)?);
        lines.sort_by_key(|line| line.time.abs_diff(time));
        lines.truncate(1);
    }
    let Some(at) = lines.first().map(|line| (line.time, line.labels.clone())) else {
        return Ok(Seen { lines, neighbours: Vec::new(), report });
    };
    let (at, labels) = at;
    let around = around(at);
    let before = Window { start: around.start, end: at };
    let after = Window { start: at, end: around.end };
    let mut neighbours = read(before, Direction::Backward, NEIGHBOURS)?;
    neighbours.extend(read(after, Direction::Forward, NEIGHBOURS + lines.len())?);
    neighbours.retain(|line| line.labels == labels);
    Ok(Seen { lines, neighbours, report })
}

struct Found {
    records: Vec<LogRecord>,
    limit: usize,
    began: Instant,
}

impl Found {
    fn is_full(&self) -> bool {
        self.records.len() >= self.limit || self.began.elapsed() > SCAN_TIME
    }
}

/// A trace that a line may belong to.
pub(super) struct Candidate {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    start: u64,
    pub(super) tenant: Option<String>,
    agreed: &'static str,
    /// How much line and span say alike.
    alike: usize,
    /// What the look-up of the trace has of the line; `None` if it cannot tell.
    join: Option<Join>,
}

impl Candidate {
    /// Why, and how sure it is among so many.
    pub(super) fn reason(self, of: usize) -> Reason {
        if let Some(join) = self.join {
            let why = match join.rule {
                JoinRule::AccessLog => "the line tells of a request of it",
                _ => "the line was written while it ran, and is of the others that ran then less likely",
            };
            return Reason::new(join.rule.as_str(), join.confidence, why).by(join.agreed);
        }
        let share = 1.0 / of.max(1) as f64;
        let confidence = if self.agreed == "service.name" { share * SERVICE_ALONE } else { share };
        let why = format!("{of} traces had a span of the line's workload open at its time");
        Reason::new("workload_time", confidence, why).by([self.agreed])
    }
}

/// Traces with a span of this workload that was open when the line was written, or when the request ran that it tells of: of each
/// the one that says most of what the line says, or the innermost. Of the likeliest, the look-up of the trace says how sure it is.
fn candidates(
    correlator: &Correlator,
    workload: &Workload,
    line: &LogRecord,
) -> Result<Vec<Candidate>, ReadError> {
    let said = Said::of(line);
    let wanted = |span: &SpanView<'_>| agreed(workload, span).is_some() && said.agrees(span).is_some();
    let select = TraceSelect {
        window: Window { start: said.earliest().saturating_sub(LONGEST_SPAN), end: said.ran.1 },
        service: None,
        contains: Vec::new(),
        hint: store::read::SpanHint::Anything,
        wanted: &wanted,
        whole: false,
    };
    let mut open = Open { workload, said: &said, began: Instant::now(), found: BTreeMap::new() };
    correlator.store().visit_traces(&select, &mut open)?;
    let mut found: Vec<Candidate> = open.found.into_values().collect();
    found.sort_by_key(|candidate| Reverse((candidate.alike, candidate.start)));
    let mut kept = Vec::with_capacity(found.len());
    for (place, mut candidate) in found.into_iter().enumerate() {
        if place < MAX_CANDIDATES && open.began.elapsed() < SCAN_TIME {
            match correlator.join_of(candidate.trace, line)? {
                Ok(Some(log)) => {
                    candidate.span = log.span_id.unwrap_or(candidate.span);
                    candidate.join = Some(log.join);
                }
                Ok(None) => continue,
                Err(CannotTell) => {}
            }
        }
        kept.push(candidate);
    }
    Ok(kept)
}

/// By which attribute a span is of the workload.
fn agreed(workload: &Workload, span: &SpanView<'_>) -> Option<&'static str> {
    let own = Workload::from_resource(span.resource());
    let both = |a: &Option<String>, b: &Option<String>| a.as_ref().zip(b.as_ref()).map(|(a, b)| a == b);
    if let Some(same) = both(&own.pod_uid, &workload.pod_uid) {
        return same.then_some("k8s.pod.uid");
    }
    if let Some(same) = both(&own.pod, &workload.pod) {
        return same.then_some("k8s.pod.name");
    }
    let hosts = both(&own.host, &workload.host).unwrap_or(true);
    let service = workload.service.as_deref().or(workload.container.as_deref());
    (hosts && own.service.is_some() && own.service.as_deref() == service).then_some("service.name")
}

struct Open<'a> {
    workload: &'a Workload,
    said: &'a Said,
    began: Instant,
    found: BTreeMap<u128, Candidate>,
}

impl TraceVisitor for Open<'_> {
    fn trace(&mut self, spans: &[SpanView<'_>]) -> ControlFlow<()> {
        for span in spans {
            let Some(agreed) = agreed(self.workload, span) else { continue };
            let Some(alike) = self.said.agrees(span) else { continue };
            let known = self.found.get(&span.trace_id.bits());
            if known.is_some_and(|known| (known.alike, known.start) >= (alike, span.start)) {
                continue;
            }
            let tenant = super::tenant::of_resource(span.resource()).map(str::to_owned);
            let (trace, span_id, start) = (span.trace_id, span.span_id, span.start);
            let candidate = Candidate { trace, span: span_id, start, tenant, agreed, alike, join: None };
            self.found.insert(trace.bits(), candidate);
        }
        let enough = self.found.len() >= MAX_CANDIDATES * 10;
        if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn progress(&mut self, _: ScanReport, _: u64) -> ControlFlow<()> {
        if self.began.elapsed() < SCAN_TIME { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}
