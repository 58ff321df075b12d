//! Times of lines that name no span of the trace, moved as the spans of their container were: the clock is the same.

use std::sync::Arc;

use parsers::record::{LogRecord, Resource};
use rustc_hash::FxHashMap;

use crate::SpanNode;
use crate::seen::moved;
use crate::workload_time::{Fit, Origin};

/// Spans of one origin that are weighed for a line: of more, those that came first say the same.
const MAX_SPANS: usize = 1_000;

/// Spans by what they ran in; empty where no clock was moved.
pub(crate) struct LineClock<'a>(Vec<(Origin, Vec<&'a SpanNode>)>);

impl<'a> LineClock<'a> {
    /// Of these spans.
    pub(crate) fn new(nodes: &'a [SpanNode]) -> Self {
        let mut origins: Vec<(Origin, Vec<&'a SpanNode>)> = Vec::new();
        if nodes.iter().all(|node| node.start == node.span.start) {
            return Self(origins);
        }
        // Spans of one process share their resource.
        let mut known: FxHashMap<*const Resource, usize> = FxHashMap::default();
        for node in nodes {
            let at = *known.entry(Arc::as_ptr(&node.span.resource)).or_insert_with(|| {
                let origin = Origin::of_resource(&node.span.resource);
                origins.iter().position(|(known, _)| *known == origin).unwrap_or_else(|| {
                    origins.push((origin, Vec::new()));
                    origins.len() - 1
                })
            });
            if let Some((_, spans)) = origins.get_mut(at).filter(|(_, spans)| spans.len() < MAX_SPANS) {
                spans.push(node);
            }
        }
        Self(origins)
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
