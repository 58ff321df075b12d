//! The critical path: what the request waited for.
//!
//! From the end of the longest root backwards: the child that finished last before the cursor is what its parent waited
//! for, so the cursor goes through that child to its start, and on with the next child that finished before there. What no
//! child explains is the span's own. Children are clipped to their parent. The segments cover the root exactly, once.

use crate::{CriticalSegment, SpanNode};

struct Frame {
    node: usize,
    start: u64,
    end: u64,
    cursor: u64,
    /// Children, the last to finish at the back.
    left: Vec<usize>,
}

/// Segments in time order; none if no span takes time.
pub(crate) fn path(nodes: &[SpanNode]) -> Vec<CriticalSegment> {
    let roots = nodes.iter().enumerate().filter(|(_, node)| node.parent.is_none());
    let Some((root, node)) = roots.max_by_key(|(index, node)| (node.duration(), std::cmp::Reverse(*index)))
    else {
        return Vec::new();
    };
    let mut children = vec![Vec::new(); nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        if let Some(siblings) = node.parent.and_then(|parent| children.get_mut(parent)) {
            siblings.push(index);
        }
    }
    for siblings in &mut children {
        siblings.sort_by_key(|&child: &usize| nodes.get(child).map(|node| (node.end, node.start)));
    }
    let mut take = |index: usize| children.get_mut(index).map(std::mem::take).unwrap_or_default();

    let mut backwards = Vec::new();
    let left = take(root);
    let mut stack = vec![Frame { node: root, start: node.start, end: node.end, cursor: node.end, left }];
    while let Some(frame) = stack.last_mut() {
        let Some(child) = frame.left.pop() else {
            segment(nodes, frame.node, frame.start, frame.cursor, &mut backwards);
            stack.pop();
            continue;
        };
        let Some(node) = nodes.get(child) else { continue };
        let (start, end) = (node.start.max(frame.start), node.end.min(frame.end));
        if start >= end || end > frame.cursor {
            continue;
        }
        segment(nodes, frame.node, end, frame.cursor, &mut backwards);
        frame.cursor = start;
        stack.push(Frame { node: child, start, end, cursor: end, left: take(child) });
    }
    backwards.reverse();
    backwards
}

fn segment(nodes: &[SpanNode], index: usize, start: u64, end: u64, out: &mut Vec<CriticalSegment>) {
    if start >= end {
        return;
    }
    if let Some(node) = nodes.get(index) {
        out.push(CriticalSegment {
            node: index,
            span_id: node.span.span_id,
            service: node.service().to_owned(),
            name: node.span.name.clone(),
            start,
            end,
        });
    }
}
