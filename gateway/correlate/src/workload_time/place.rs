//! Under which span a line stands that names none.

use super::facts::{self, Fact, Kind};
use super::lines::written;
use super::origin::{Fit, Origin, by_origin};
use super::running;
use crate::{JoinedLog, SpanNode, seen};

/// Pairs of a line and a span that are looked at: a trace of a thousand spans and as many lines. Of more, the rest of the lines stay
/// at trace level.
const MAX_LOOKED: usize = 1_000_000;

/// Gives each line that has the id of the trace and names no span the innermost one of its container that ran then.
pub(crate) fn under_spans(nodes: &[SpanNode], logs: &mut [JoinedLog]) {
    let origins = by_origin(nodes, usize::MAX);
    let mut looked = 0;
    for log in logs.iter_mut().filter(|log| log.span_id.is_none() && log.record.span_id.is_none()) {
        let record = &log.record;
        let metadata = || record.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let line = Origin::of_line(&record.labels, metadata());
        let fits = origins.iter().filter_map(|(origin, spans)| Some((line.fits(origin)?, spans)));
        let fits: Vec<(Fit, &Vec<&SpanNode>)> = fits.collect();
        let best = fits.iter().map(|(fit, _)| *fit).max();
        let of_best =
            || fits.iter().filter(|(fit, _)| Some(*fit) == best).flat_map(|(_, spans)| spans.iter());
        looked += of_best().count();
        if looked > MAX_LOOKED {
            return;
        }
        let facts = facts::of_line(&record.line, metadata());
        if let Some(node) = innermost(of_best().copied(), &facts, written(record.time)) {
            log.span_id = Some(node.span.span_id);
            log.span_inferred = true;
            log.adjusted = seen::moved(record.time, node);
        }
    }
}

/// Of these spans the innermost that ran when a line was written, of those on its thread if any is.
pub(super) fn innermost<'a>(
    spans: impl Iterator<Item = &'a SpanNode>,
    facts: &[Fact],
    (start, end): (u64, u64),
) -> Option<&'a SpanNode> {
    let threads = || facts.iter().filter(|fact| matches!(fact.kind, Kind::Thread | Kind::Bracket));
    let on_thread = |node: &SpanNode| {
        let mut of_span = Vec::new();
        if threads().next().is_some() {
            running::of_span(&(&node.span).into(), &mut of_span, |kind| kind == Kind::Thread);
        }
        threads().any(|thread| of_span.iter().any(|of| facts::same(Kind::Thread, &thread.value, &of.value)))
    };
    let ran = spans.filter(|node| node.span.start < end && node.span.end.max(node.span.start) >= start);
    ran.max_by_key(|node| (on_thread(node), node.span.start, node.depth))
}
