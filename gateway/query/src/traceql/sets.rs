//! Sets of spans of one trace: conditions, what joins two sets, and where spans stand to each other in the tree.

use super::ast::{Relation, SetOp, Side, Spans};
use super::error::ParseError;
use super::expression::{At, Node};
use super::pipeline::{Pipeline, Set};
use super::trace::Trace;

/// Sets that are ready to be looked for.
#[derive(Debug, Clone)]
pub(super) enum Finder {
    Where(Node),
    Join(SetOp, Box<Finder>, Box<Finder>),
    Pipeline(Pipeline),
}

impl Finder {
    pub(super) fn new(spans: &Spans) -> Result<Self, ParseError> {
        Ok(match spans {
            Spans::Where(expr) => Self::Where(Node::new(expr)?),
            Spans::Join(op, left, right) => {
                Self::Join(*op, Box::new(Self::new(left)?), Box::new(Self::new(right)?))
            }
            Spans::Pipeline(pipeline) => Self::Pipeline(Pipeline::new(pipeline)?),
        })
    }

    /// Spans of a set that are in this one too, by index and in order.
    pub(super) fn find(&self, trace: &Trace<'_>, among: &Set) -> Vec<usize> {
        match self {
            Self::Where(node) => {
                let holds = |index: &usize| At::within(trace, *index).is_some_and(|at| node.holds(at));
                among.spans.iter().copied().filter(holds).collect()
            }
            Self::Pipeline(pipeline) => {
                let sets = pipeline.run(trace, vec![among.clone()]);
                sets.into_iter().fold(Vec::new(), |all, set| union(&all, &set.spans))
            }
            Self::Join(op, left, right) => {
                let (left, right) = (left.find(trace, among), right.find(trace, among));
                join(*op, trace, &left, &right)
            }
        }
    }
}

fn join(op: SetOp, trace: &Trace<'_>, left: &[usize], right: &[usize]) -> Vec<usize> {
    match op {
        SetOp::And if left.is_empty() || right.is_empty() => Vec::new(),
        SetOp::And | SetOp::Or => union(left, right),
        SetOp::Tree(..) if right.is_empty() => Vec::new(),
        SetOp::Tree(relation, side) => {
            let related = standing(trace, relation, left);
            let stands = |related: &[bool], index: &usize| related.get(*index).copied().unwrap_or_default();
            match side {
                Side::Right => right.iter().copied().filter(|index| stands(&related, index)).collect(),
                Side::Not => right.iter().copied().filter(|index| !stands(&related, index)).collect(),
                Side::Both => {
                    let inverse = standing(trace, inverse(relation), right);
                    let right: Vec<_> = right.iter().copied().filter(|i| stands(&related, i)).collect();
                    let left: Vec<_> = left.iter().copied().filter(|i| stands(&inverse, i)).collect();
                    union(&left, &right)
                }
            }
        }
    }
}

fn inverse(relation: Relation) -> Relation {
    match relation {
        Relation::Child => Relation::Parent,
        Relation::Parent => Relation::Child,
        Relation::Descendant => Relation::Ancestor,
        Relation::Ancestor => Relation::Descendant,
        Relation::Sibling => Relation::Sibling,
    }
}

/// Of every span of the trace, whether it stands so to one of these.
fn standing(trace: &Trace<'_>, relation: Relation, to: &[usize]) -> Vec<bool> {
    let tree = trace.tree();
    let count = trace.spans.len();
    let mut given = vec![false; count];
    for index in to {
        mark(&mut given, *index);
    }
    let is = |list: &[bool], index: usize| list.get(index).copied().unwrap_or_default();
    let parent = |index: usize| tree.parent.get(index).copied().flatten();
    match relation {
        Relation::Child => (0..count).map(|i| parent(i).is_some_and(|parent| is(&given, parent))).collect(),
        Relation::Parent => {
            let mut found = vec![false; count];
            to.iter().filter_map(|index| parent(*index)).for_each(|parent| mark(&mut found, parent));
            found
        }
        Relation::Descendant => {
            let mut found = vec![false; count];
            for index in &tree.order {
                if parent(*index).is_some_and(|parent| is(&given, parent) || is(&found, parent)) {
                    mark(&mut found, *index);
                }
            }
            found
        }
        Relation::Ancestor => {
            let mut found = vec![false; count];
            for index in tree.order.iter().rev() {
                if let Some(parent) = parent(*index).filter(|_| is(&given, *index) || is(&found, *index)) {
                    mark(&mut found, parent);
                }
            }
            found
        }
        Relation::Sibling => {
            // How many of the given are children of each span.
            let mut children = vec![0u32; count];
            for parent in to.iter().filter_map(|index| parent(*index)) {
                if let Some(count) = children.get_mut(parent) {
                    *count += 1;
                }
            }
            let others = |index: usize| {
                let all = children.get(parent(index)?).copied()?;
                Some(all > u32::from(is(&given, index)))
            };
            (0..count).map(|index| others(index).unwrap_or_default()).collect()
        }
    }
}

fn mark(list: &mut [bool], index: usize) {
    if let Some(mark) = list.get_mut(index) {
        *mark = true;
    }
}

/// Both lists, in order, each index once.
pub(super) fn union(left: &[usize], right: &[usize]) -> Vec<usize> {
    let mut all = [left, right].concat();
    all.sort_unstable();
    all.dedup();
    all
}
