//! Clock skew: a child from another host that lies outside its parent is moved inside, with all that its host did below it.
//!
//! As Jaeger does it: latency is split evenly before and after the child. A child that lasted longer than its parent is
//! only kept from starting before it, and so is one that a message started, since it may well run later.

use parsers::record::{Span, SpanKind, Workload};

/// A span's times while they may still move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) moved: bool,
}

impl Times {
    pub(crate) fn sent(span: &Span) -> Self {
        Self { start: span.start, end: span.end.max(span.start), moved: false }
    }

    fn shift(&mut self, delta: i128) {
        let duration = self.end - self.start;
        let latest = i128::from(u64::MAX - duration);
        let start = (i128::from(self.start) + delta).clamp(0, latest) as u64;
        self.moved = start != self.start;
        self.start = start;
        self.end = start + duration;
    }
}

/// Whose clock stamped a span: the most exact of host, pod and instance that it names, else its service.
fn clock(span: &Span) -> String {
    let workload = Workload::from_resource(&span.resource);
    let named = workload.node.or(workload.host).or(workload.pod_uid).or(workload.pod).or(workload.instance);
    named.unwrap_or_else(|| span.resource.service().to_owned())
}

/// Moves times in place; tells how many spans moved. `parents` must be free of rings.
pub(crate) fn adjust(
    spans: &[Span],
    parents: &[Option<usize>],
    children: &[Vec<usize>],
    times: &mut [Times],
) -> usize {
    let clocks: Vec<String> = spans.iter().map(clock).collect();
    let roots =
        parents.iter().enumerate().filter(|(_, parent)| parent.is_none()).map(|(root, _)| (root, 0i128));
    let mut open: Vec<(usize, i128)> = roots.collect();
    while let Some((index, inherited)) = open.pop() {
        let mut delta = inherited;
        if let Some(parent) = parents.get(index).copied().flatten()
            && clocks.get(parent) != clocks.get(index)
            && let (Some(child), Some(above), Some(span)) =
                (times.get(index), times.get(parent), spans.get(index))
        {
            delta = needed(*child, *above, span.kind == SpanKind::Consumer);
        }
        if delta != 0
            && let Some(time) = times.get_mut(index)
        {
            time.shift(delta);
        }
        let kids = children.get(index).map(Vec::as_slice).unwrap_or_default();
        open.extend(kids.iter().map(|&kid| (kid, delta)));
    }
    times.iter().filter(|time| time.moved).count()
}

fn needed(child: Times, parent: Times, by_message: bool) -> i128 {
    let (long, room) = (child.end - child.start, parent.end - parent.start);
    if long > room || by_message {
        return i128::from(parent.start.saturating_sub(child.start));
    }
    if child.start >= parent.start && child.end <= parent.end {
        return 0;
    }
    i128::from(parent.start) + i128::from((room - long) / 2) - i128::from(child.start)
}
