//! One trace while a query looks at it: its spans, their root, and who is whose child.

use std::cell::OnceCell;

use parsers::record::SpanKind;
use rustc_hash::FxHashMap;
use store::read::SpanView;

/// A trace with at least one span.
pub(super) struct Trace<'a> {
    pub(super) spans: &'a [SpanView<'a>],
    /// Index of the root, or of the first span if the root is not stored.
    pub(super) root: usize,
    /// First start.
    pub(super) start: u64,
    /// Last end.
    pub(super) end: u64,
    tree: OnceCell<Tree>,
}

/// Who is whose child, by index.
pub(super) struct Tree {
    pub(super) parent: Vec<Option<usize>>,
    pub(super) children: Vec<u32>,
    /// Parents before their children. Spans that are their own ancestors are not in it.
    pub(super) order: Vec<usize>,
    /// Numbers of a walk over the tree: where a span begins, where it ends, and where its parent begins: -1 for a root, 0 if the
    /// parent is not stored.
    pub(super) nested: Vec<(i64, i64, i64)>,
}

impl<'a> Trace<'a> {
    /// `None` without spans.
    pub(super) fn new(spans: &'a [SpanView<'a>]) -> Option<Self> {
        let first = |root: bool| {
            let spans = spans.iter().enumerate().filter(|(_, span)| !root || span.parent.is_none());
            spans.min_by_key(|(_, span)| (span.start, span.span_id.bits())).map(|(i, _)| i)
        };
        Some(Self {
            spans,
            root: first(true).or_else(|| first(false))?,
            start: spans.iter().map(|span| span.start).min()?,
            end: spans.iter().map(|span| span.end).max()?,
            tree: OnceCell::new(),
        })
    }

    pub(super) fn duration(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    pub(super) fn tree(&self) -> &Tree {
        self.tree.get_or_init(|| Tree::new(self.spans))
    }
}

impl Tree {
    fn new(spans: &[SpanView<'_>]) -> Self {
        // Both ends of a call may share an id: what the server began is a child of the server's span.
        let mut by_id: FxHashMap<u64, usize> = FxHashMap::default();
        for (i, span) in spans.iter().enumerate() {
            let place = by_id.entry(span.span_id.bits()).or_insert(i);
            if span.kind == SpanKind::Server {
                *place = i;
            }
        }
        let parent: Vec<Option<usize>> = spans
            .iter()
            .enumerate()
            .map(|(i, span)| by_id.get(&span.parent?.bits()).copied().filter(|parent| *parent != i))
            .collect();
        let mut below: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
        for (i, parent) in parent.iter().enumerate() {
            if let Some(list) = parent.and_then(|parent| below.get_mut(parent)) {
                list.push(i);
            }
        }
        let start = |i: &usize| spans.get(*i).map_or((0, 0), |span| (span.start, span.span_id.bits()));
        for list in &mut below {
            list.sort_by_key(start);
        }
        let mut tops: Vec<usize> =
            parent.iter().enumerate().filter(|(_, parent)| parent.is_none()).map(|(i, _)| i).collect();
        tops.sort_by_key(start);
        let mut order = Vec::with_capacity(spans.len());
        let mut nested = vec![(0, 0, 0); spans.len()];
        let mut number = 0;
        for top in tops {
            let of_root = spans.get(top).is_some_and(|span| span.parent.is_none());
            // Where the walk stands: a span, and how many of its children were walked.
            let mut path = vec![(top, 0)];
            number += 1;
            order.push(top);
            place(&mut nested, top, |n| *n = (number, 0, if of_root { -1 } else { 0 }));
            while let Some((at, walked)) = path.last_mut() {
                let at = *at;
                let next = below.get(at).and_then(|list| list.get(*walked)).copied();
                *walked += 1;
                number += 1;
                match next {
                    Some(child) => {
                        let left = nested.get(at).map_or(0, |n| n.0);
                        order.push(child);
                        place(&mut nested, child, |n| *n = (number, 0, left));
                        path.push((child, 0));
                    }
                    None => {
                        place(&mut nested, at, |n| n.1 = number);
                        path.pop();
                    }
                }
            }
        }
        let children = below.iter().map(|list| list.len() as u32).collect();
        Self { parent, children, order, nested }
    }
}

fn place(nested: &mut [(i64, i64, i64)], at: usize, set: impl FnOnce(&mut (i64, i64, i64))) {
    if let Some(numbers) = nested.get_mut(at) {
        set(numbers);
    }
}
