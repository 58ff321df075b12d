//! Lines in which the id of a trace only occurs in the text, outside any field that a rule knows: whoever wrote them speaks of the
//! request, but need not be part of it.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use parsers::record::{LogRecord, TENANT, TraceId, Value, Width, attribute};
use store::read::{Direction, LogRead, LogSelect, LogView, LogVisit, ReadError, ScanReport, Window};

use crate::{Answer, Join, JoinRule, JoinedLog};

/// An id in a text says that much.
const CONFIDENCE: f64 = 0.5;
/// Time before and after the trace in which lines are looked for, ns: who speaks of a request does so soon.
const ROUND: u64 = 60_000_000_000;
/// Lines that are told.
const MAX_LINES: usize = 50;
/// Bytes of lines that are read for it: what is not sealed yet, and what the store's index of texts does not exclude.
const MAX_BYTES: u64 = 256 << 20;
/// Spellings that are looked for.
const MAX_SPELLINGS: usize = 4;

struct Visitor<'a> {
    id: TraceId,
    tenants: &'a BTreeSet<Option<String>>,
    lines: Vec<JoinedLog>,
    cut: bool,
}

impl LogVisit for Visitor<'_> {
    fn record(&mut self, view: &LogView<'_>) -> ControlFlow<()> {
        let tenant = view.metadata().find(|(key, _)| *key == TENANT).map(|(_, value)| value.to_owned());
        if view.trace_id.is_some_and(|id| id.matches(self.id).is_some()) || !self.tenants.contains(&tenant) {
            return ControlFlow::Continue(());
        }
        if self.lines.len() >= MAX_LINES {
            self.cut = true;
            return ControlFlow::Break(());
        }
        let record = LogRecord {
            time: view.time,
            observed: 0,
            labels: Arc::clone(view.labels),
            metadata: view.metadata().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            trace_id: view.trace_id,
            span_id: view.span_id,
            severity: view.severity,
            line: view.line.to_vec(),
            source: None,
            rule: None,
        };
        let join = Join { rule: JoinRule::Mention, confidence: CONFIDENCE, agreed: Vec::new() };
        self.lines.push(JoinedLog {
            adjusted: record.time,
            record,
            span_id: None,
            span_inferred: false,
            join,
        });
        ControlFlow::Continue(())
    }

    fn progress(&mut self, so_far: &ScanReport) -> ControlFlow<()> {
        if so_far.bytes <= MAX_BYTES {
            return ControlFlow::Continue(());
        }
        self.cut = true;
        ControlFlow::Break(())
    }
}

/// Lines of any stream round the trace that hold its id in some spelling that was seen, and whether some were left out.
pub(crate) fn of(answer: &Answer, logs: &dyn LogRead) -> Result<(Vec<JoinedLog>, bool), ReadError> {
    let Some(window) = answer.window else { return Ok((Vec::new(), false)) };
    let window = Window { start: window.start.saturating_sub(ROUND), end: window.end.saturating_add(ROUND) };
    let of_span = |tenant: &Value| tenant.as_str().map(str::to_owned);
    let of_spans =
        answer.spans.iter().map(|node| attribute(&node.span.resource.attributes, TENANT).and_then(of_span));
    let of_logs = answer
        .logs
        .iter()
        .map(|log| log.record.metadata.iter().find(|(key, _)| key == TENANT).map(|(_, value)| value.clone()));
    let tenants: BTreeSet<Option<String>> = of_spans.chain(of_logs).collect();
    let id = answer.trace_id;
    let hex = if id.width() == Width::Bits64 { format!("{:016x}", id.low64()) } else { id.to_string() };
    let mut spellings = vec![hex];
    for seen in &answer.spellings {
        if !spellings.contains(&seen.written) && spellings.len() < MAX_SPELLINGS {
            spellings.push(seen.written.clone());
        }
    }
    let mut visitor = Visitor { id, tenants: &tenants, lines: Vec::new(), cut: false };
    for spelling in spellings {
        let select = LogSelect {
            matchers: Vec::new(),
            window,
            direction: Direction::Forward,
            trace: None,
            contains: vec![spelling.into_bytes()],
            mentions: None,
        };
        logs.scan_views(&select, false, &mut visitor)?;
    }
    let Visitor { mut lines, cut, .. } = visitor;
    lines.sort_by(|a, b| (a.record.time, &a.record.line).cmp(&(b.record.time, &b.record.line)));
    lines.dedup_by(|a, b| a.record == b.record);
    Ok((lines, cut))
}
