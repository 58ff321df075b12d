//! The critical path: what the request waited for.
//!
//! From the end of the longest root backwards: the child that was the last to run before the cursor is what its parent waited
//! for, so the cursor goes through that child to its start, and on with the next child that ran before there. Children that
//! overlap a little share the time: the later one has it from its start on, the earlier one what lies before. One that ran longer
//! beside the later one than before it was not waited for: its parent started the later one meanwhile. What no child explains is
//! the span's own. Children are clipped to their parent; one that runs longer after its parent's end than before was started and
//! left alone, and nobody waited for it, either. The segments cover the root exactly, once.

use crate::{CriticalSegment, SpanNode};

struct Frame {
    node: usize,
    start: u64,
    end: u64,
    cursor: u64,
    /// Children, the last to finish at the back.
    left: Vec<usize>,
}

/// A stretch of time that is a node's own part of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Index of the node.
    pub(crate) node: usize,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// Segments in time order; none if no span takes time.
pub(crate) fn path(nodes: &[SpanNode]) -> Vec<CriticalSegment> {
    let Some(root) = longest_root(nodes) else { return Vec::new() };
    let segment = |stretch: Stretch| {
        let node = nodes.get(stretch.node)?;
        Some(CriticalSegment {
            node: stretch.node,
            span_id: node.span.span_id,
            service: node.service().to_owned(),
            name: node.span.name.clone(),
            start: stretch.start,
            end: stretch.end,
        })
    };
    below(nodes, root).into_iter().filter_map(segment).collect()
}

/// The part of the longest root's time from which on it matters that something ran on after its end.
const RUNS_ON_FROM: u64 = 10;

/// What runs on after the path has ended, as what reads a message does: nobody waited for it, and it may take most of the time.
pub(crate) fn runs_on(nodes: &[SpanNode]) -> Option<String> {
    let root = nodes.get(longest_root(nodes)?)?;
    let last = nodes.iter().max_by_key(|node| node.end)?;
    let after = last.end.checked_sub(root.end).filter(|after| *after > root.duration() / RUNS_ON_FROM)?;
    Some(format!(
        "the critical path ends with {} of {} after {:.3} s; {} of {} ended {:.3} s later, and nothing waited for it there",
        root.span.name,
        root.service(),
        root.duration() as f64 / 1e9,
        last.span.name,
        last.service(),
        after as f64 / 1e9
    ))
}

/// The root that took longest, the first of several.
pub(crate) fn longest_root(nodes: &[SpanNode]) -> Option<usize> {
    longest(nodes, |node| node.parent.is_none())
}

/// Of these nodes the one that took longest, the first of several.
pub(crate) fn longest(nodes: &[SpanNode], of: impl Fn(&SpanNode) -> bool) -> Option<usize> {
    let of_these = nodes.iter().enumerate().filter(|(_, node)| of(node));
    of_these
        .max_by_key(|(index, node)| (node.duration(), std::cmp::Reverse(*index)))
        .map(|(longest, _)| longest)
}

/// Where what is below a node ends: nodes are in pre-order.
pub(crate) fn end_of(nodes: &[SpanNode], root: usize) -> usize {
    let Some(node) = nodes.get(root) else { return root };
    root + 1 + nodes.iter().skip(root + 1).take_while(|below| below.depth > node.depth).count()
}

/// The path through one span and what is below it, in time order.
pub(crate) fn below(nodes: &[SpanNode], root: usize) -> Vec<Stretch> {
    let Some(node) = nodes.get(root) else { return Vec::new() };
    let end = end_of(nodes, root);
    let mut children = vec![Vec::new(); end - root];
    for (index, node) in nodes.iter().enumerate().take(end).skip(root + 1) {
        let parent = node.parent.and_then(|parent| parent.checked_sub(root));
        if let Some(siblings) = parent.and_then(|parent| children.get_mut(parent)) {
            siblings.push(index);
        }
    }
    for siblings in &mut children {
        siblings.sort_by_key(|&child: &usize| nodes.get(child).map(|node| (node.end, node.start)));
    }
    let mut take = |index: usize| children.get_mut(index - root).map(std::mem::take).unwrap_or_default();

    let mut backwards = Vec::new();
    let left = take(root);
    let mut stack = vec![Frame { node: root, start: node.start, end: node.end, cursor: node.end, left }];
    while let Some(frame) = stack.last_mut() {
        let Some(child) = frame.left.pop() else {
            stretch(frame.node, frame.start, frame.cursor, &mut backwards);
            stack.pop();
            continue;
        };
        let Some(node) = nodes.get(child) else { continue };
        // By when it was waited for: the start of a later child, else the end of the parent.
        let until = match nodes.get(frame.node) {
            Some(parent) if frame.cursor == frame.end => parent.end,
            _ => frame.cursor,
        };
        let (start, end) = (node.start.max(frame.start), node.end.min(frame.cursor));
        let before = node.end.min(until).saturating_sub(node.start);
        let after = node.end.saturating_sub(until);
        // A little after is how instrumentation ends spans in the wrong order.
        if start >= end || after > before {
            continue;
        }
        stretch(frame.node, end, frame.cursor, &mut backwards);
        frame.cursor = start;
        stack.push(Frame { node: child, start, end, cursor: end, left: take(child) });
    }
    backwards.reverse();
    backwards
}

fn stretch(node: usize, start: u64, end: u64, out: &mut Vec<Stretch>) {
    if start < end {
        out.push(Stretch { node, start, end });
    }
}

#[cfg(test)]
mod tests;
