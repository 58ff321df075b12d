//! Times of lines that name no span of the trace, moved as the spans of their container were: the clock is the same.

use parsers::record::LogRecord;

use crate::SpanNode;
use crate::seen::moved;
use crate::workload_time::{Fit, Origin, by_origin};

/// Spans of one origin that are weighed for a line: of more, those that came first say the same.
const MAX_SPANS: usize = 1_000;

/// Spans by what they ran in; empty where no clock was moved.
pub(crate) struct LineClock<'a>(Vec<(Origin, Vec<&'a SpanNode>)>);

impl<'a> LineClock<'a> {
    /// Of these spans.
    pub(crate) fn new(nodes: &'a [SpanNode]) -> Self {
        if nodes.iter().all(|node| node.start == node.span.start) {
            return Self(Vec::new());
        }
        Self(by_origin(nodes, MAX_SPANS))
    }

    /// The time of a line, moved as the span was that ran nearest to it: of its container, else of its pod, else of its host.
    pub(crate) fn adjusted(&self, record: &LogRecord) -> u64 {
        if self.0.is_empty() {
            return record.time;
        }
        let metadata = record.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let line = Origin::of_line(&record.labels, metadata);
        let rank = |origin: &Origin| match line.fits(origin) {
            Some(Fit::Same) => Some(2),
            Some(Fit::Beside) => Some(1),
            None => line.shares_host(origin).then_some(0),
        };
        let fitting = self.0.iter().filter_map(|(origin, spans)| Some((rank(origin)?, spans)));
        let all = fitting.flat_map(|(rank, spans)| spans.iter().map(move |node| (rank, *node)));
        let nearest = all.min_by_key(|(rank, node)| {
            let (start, end) = (node.span.start, node.span.end.max(node.span.start));
            let away = start.saturating_sub(record.time).max(record.time.saturating_sub(end));
            (std::cmp::Reverse(*rank), away)
        });
        nearest.map_or(record.time, |(_, node)| moved(record.time, node))
    }
}

#[cfg(test)]
mod tests;
