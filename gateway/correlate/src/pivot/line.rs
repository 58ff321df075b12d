//! A log line as the start: by the id that it carries, else by its workload and time.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use parsers::record::{LogRecord, SpanId, TraceId, Workload, format_rfc3339};
use store::read::{ReadError, ScanReport, SpanView, TraceSelect, TraceVisitor, Window};

use super::gather::{Gathered, blocking};
use super::lines_at::{LineSelect, around, look};
use super::queries;
use super::{Pivot, Reason, Related, RelatedLog, RelatedWorkload, SCAN_TIME, SurfaceQuery};
use crate::absent::absence;
use crate::correlator::CannotTell;
use crate::workload_time::{Origin, Said};
use crate::{AbsentReason, AbsentSignal, Correlator, Join, JoinRule};

/// Nothing but the stream and the time says that they belong together.
const STREAM_CONFIDENCE: f64 = 0.3;
/// Spans that began longer before a line than this are not looked at.
const LONGEST_SPAN: u64 = 600_000_000_000;
/// Traces that a line without an id may belong to, of which it is looked how sure that is.
const MAX_CANDIDATES: usize = 20;
/// The same service, but perhaps another pod.
const SERVICE_ALONE: f64 = 0.5;
/// How sure a join is at most where the look-up of the trace cannot tell, since it is long or much ran beside it: by its id...
const BY_ID: f64 = 0.9;
/// ...by something else that both say, as a thread...
const ALIKE: f64 = 0.5;
/// ...and by place and time alone: a loop that runs for minutes has written few of the lines of that time.
const OPEN: f64 = 0.3;

impl Pivot {
    pub(super) async fn of_line(
        &self,
        select: LineSelect,
        time: u64,
        mut gathered: Gathered,
    ) -> Result<Related, ReadError> {
        let logs = self.logs.clone();
        let labels = select.text().to_owned();
        let seen = blocking(move || look(&*logs, &select, time)).await?;
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
                let span_id = record.span_id;
                gathered.add_log(RelatedLog { record, span_id, own: false, reason });
            }
        }
        for record in lines {
            let (span_id, reason) = (record.span_id, Reason::new("labels", 1.0, "the line itself"));
            gathered.add_log(RelatedLog { record, span_id, own: true, reason });
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
        let most = match self.alike {
            Said::NAMED.. => BY_ID,
            1.. => ALIKE,
            0 => OPEN,
        };
        let share = most / of.max(1) as f64;
        let confidence = if self.agreed == "service.name" { share * SERVICE_ALONE } else { share };
        let traces = if of == 1 { "trace" } else { "traces" };
        let why = format!(
            "{of} {traces} had a span of the line's workload open at its time; of one that is long, or beside which much ran, no more \
             can be told"
        );
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
    let metadata = line.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let origin = Origin::of_line(&line.labels, metadata);
    let wanted =
        |span: &SpanView<'_>| agreed(&origin, workload, span).is_some() && said.agrees(span).is_some();
    let select = TraceSelect {
        window: Window { start: said.earliest().saturating_sub(LONGEST_SPAN), end: said.ran.1 },
        reach: None,
        service: None,
        contains: Vec::new(),
        hint: store::read::SpanHint::Anything,
        wanted: &wanted,
        whole: false,
    };
    let began = Instant::now();
    let mut open = Open { origin: &origin, workload, said: &said, began, found: BTreeMap::new() };
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

/// By which attribute a span is of the workload; `None` if it is not, or of one of that name in another namespace, cluster or tenant.
fn agreed(origin: &Origin, workload: &Workload, span: &SpanView<'_>) -> Option<&'static str> {
    origin.fits(&Origin::of_resource(span.resource()))?;
    let own = Workload::from_resource(span.resource());
    let both = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
    Some(if both(&own.pod_uid, &workload.pod_uid) {
        "k8s.pod.uid"
    } else if both(&own.pod, &workload.pod) {
        "k8s.pod.name"
    } else {
        "service.name"
    })
}

struct Open<'a> {
    origin: &'a Origin,
    workload: &'a Workload,
    said: &'a Said,
    began: Instant,
    found: BTreeMap<u128, Candidate>,
}

impl TraceVisitor for Open<'_> {
    fn trace(&mut self, spans: &[SpanView<'_>]) -> ControlFlow<()> {
        for span in spans {
            let Some(agreed) = agreed(self.origin, self.workload, span) else { continue };
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
