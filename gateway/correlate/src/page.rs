//! Answers in parts: a trace of more spans than a page has is read in outline, and only the page's spans whole, so that memory does
//! not grow with the trace.

use std::collections::HashSet;
use std::ops::ControlFlow;

use parsers::record::{LogRecord, Span, SpanId, TraceId};
use store::read::{Detail, Direction, LogRead, LogSelect, ReadError, TraceRead, Window};

use crate::outline::Outline;
use crate::{Answer, JoinedLog, SpanNode, seen};

/// Spans of a page, unless asked otherwise: some megabytes, and more than any page of others draws.
pub const DEFAULT_PAGE: usize = 5_000;
/// Most spans of a page: what one answer takes does not grow with what is asked for.
pub const MAX_PAGE: usize = 10_000;
/// Spans of which an outline is held, 400 bytes each. More are left out, and that is told.
pub(crate) const MAX_OUTLINE: usize = 250_000;

/// Which part of an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Page {
    /// Spans before it, in the order of the answer.
    pub offset: usize,
    /// Spans at most, and records of any other kind: 1 to [`MAX_PAGE`].
    pub limit: usize,
    /// Lines without an id that are less probable are not offered, 0 to 1; `None` for the usual bound.
    pub min_confidence: Option<f64>,
    /// Whether lines that only mention the id are looked for, which reads what is not sealed yet as a whole.
    pub mentions: bool,
    /// Whether spans are wanted with all that they carry; of a trace that is larger than a page they are then read once more.
    pub whole: bool,
}

impl Default for Page {
    fn default() -> Self {
        Self { offset: 0, limit: DEFAULT_PAGE, min_confidence: None, mentions: false, whole: true }
    }
}

/// Whether the trace is larger than a page, of which so many spans were read and so many records omitted.
pub(crate) fn is_part(read: &[Span], omitted: u64, page: &Page) -> bool {
    page.offset > 0 || (omitted > 0 && read.len() >= page.limit)
}

/// Leaves the page's spans, whole, and the lines that stand under them; those under none are on the first page. Gives where the
/// next page begins, if there is one.
pub(crate) fn cut(
    store: &dyn TraceRead,
    id: TraceId,
    nodes: &mut Vec<SpanNode>,
    logs: &mut Vec<JoinedLog>,
    page: &Page,
) -> Result<Option<usize>, ReadError> {
    let all = nodes.len();
    let end = page.offset.saturating_add(page.limit).min(all);
    nodes.truncate(end);
    nodes.drain(..page.offset.min(end));
    for node in nodes.iter_mut() {
        node.parent = node.parent.and_then(|parent| parent.checked_sub(page.offset));
    }
    let ids: HashSet<SpanId> = nodes.iter().map(|node| node.span.span_id).collect();
    if page.whole {
        fill(store, id, nodes, &ids, page)?;
    }
    logs.retain(|log| log.span_id.map_or(page.offset == 0, |id| ids.contains(&id)));
    Ok((end < all).then_some(end))
}

/// Reads the page's spans, which have these ids, whole.
fn fill(
    store: &dyn TraceRead,
    id: TraceId,
    nodes: &mut [SpanNode],
    ids: &HashSet<SpanId>,
    page: &Page,
) -> Result<(), ReadError> {
    // Halves of one call share an id, so there may be a few more.
    let mut spans = store.trace_spans(id, Detail::Only(ids), page.limit.saturating_mul(2))?;
    spans.sort_by_key(|span| span.span_id);
    for node in nodes.iter_mut() {
        let from = spans.partition_point(|span| span.span_id < node.span.span_id);
        let same = spans.get_mut(from..).unwrap_or_default().iter_mut();
        let same = same.take_while(|span| span.span_id == node.span.span_id);
        let found = same.into_iter().find(|span| {
            let what = |span: &Span| (span.kind, span.start, span.end, span.status.code);
            what(span) == what(&node.span)
                && span.name == node.span.name
                && span.resource == node.span.resource
        });
        if let Some(whole) = found {
            node.span = whole.clone();
        }
    }
    Ok(())
}

/// A part after the first of a trace whose outline is known.
pub(crate) fn later(
    store: &dyn TraceRead,
    logs: Option<&dyn LogRead>,
    id: TraceId,
    outline: &Outline,
    page: &Page,
    links: usize,
) -> Answer {
    let mut answer = outline.common.clone();
    let (all, first) = (outline.len(), page.offset.min(outline.len()));
    let end = first.saturating_add(page.limit).min(all);
    let mut nodes = outline.nodes(first, end);
    answer.critical_path = outline.path(&nodes, first);
    for node in &mut nodes {
        node.parent = node.parent.and_then(|parent| parent.checked_sub(first));
    }
    let ids: HashSet<SpanId> = nodes.iter().map(|node| node.span.span_id).collect();
    if page.whole
        && let Err(error) = fill(store, id, &mut nodes, &ids, page)
    {
        answer.warnings.push(format!("spans could not be read whole: {error}"));
    }
    let theirs = |record: &LogRecord| record.span_id.is_some_and(|id| ids.contains(&id));
    match lines(store, logs, id, &theirs, page.limit) {
        Ok((lines, cut)) => {
            answer.logs = seen::logs(id, lines, &nodes);
            answer.warnings.extend(cut.then(|| lines_cut(page.limit)));
        }
        Err(error) => answer.warnings.push(format!("lines could not be read: {error}")),
    }
    answer.warnings.push(told(nodes.len(), all, first));
    let (links, cut) = seen::links(answer.trace_id, &nodes, links);
    if cut > 0 {
        answer.warnings.push(format!("{cut} links to other traces are left out"));
    }
    Answer { spans: nodes, next: (end < all).then_some(end), links, ..answer }
}

/// Lines of the trace that are these, at most so many, and whether there are more.
pub(crate) fn lines(
    store: &dyn TraceRead,
    logs: Option<&dyn LogRead>,
    id: TraceId,
    are_these: &dyn Fn(&LogRecord) -> bool,
    limit: usize,
) -> Result<(Vec<LogRecord>, bool), ReadError> {
    let Some(logs) = logs else {
        let read = store.trace(id, limit)?;
        let cut = read.logs.len() >= limit && read.omitted > 0;
        return Ok((read.logs.into_iter().filter(are_these).collect(), cut));
    };
    let select = LogSelect {
        matchers: Vec::new(),
        window: Window::ALL,
        direction: Direction::Forward,
        trace: Some(id),
        contains: Vec::new(),
        mentions: None,
    };
    let mut found = Vec::new();
    logs.scan_logs(&select, &mut |record| {
        if are_these(&record) {
            found.push(record);
        }
        if found.len() <= limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    let cut = found.len() > limit;
    found.truncate(limit);
    Ok((found, cut))
}

/// What a reader is told of a page of whose lines not all are there.
pub(crate) fn lines_cut(limit: usize) -> String {
    let limit = thousands(limit);
    format!(
        "the first {limit} lines of this page are shown: `/loki/api/v1/query_range` with `| trace_id=\"...\"` gives all"
    )
}

/// What a reader is told of a part: `spans` of `all`, after so many others.
pub(crate) fn told(spans: usize, all: usize, offset: usize) -> String {
    let (all_told, end) = (thousands(all), offset + spans);
    let more = if end < all { "; `next` gives more" } else { "" };
    match spans {
        0 => format!("this is a page past the last of {all_told} spans"),
        _ => format!(
            "this is a page: spans {} to {} of {all_told}, with the lines under them{more}",
            thousands(offset + 1),
            thousands(end)
        ),
    }
}

/// With a comma before each three digits.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
