//! Structural operators and aggregates against their definitions, over trees at random.

use parsers::record::Value;
use proptest::prelude::*;

use super::super::ast::{Relation, SetOp, Side};
use super::super::names::SET_OPS;
use super::super::{Limits, SearchParams, search};
use super::stored::{Stored, bare, query};

/// Parents by index (always an earlier one), whether the span is left, whether it is right, and a number.
type Tree = Vec<(Option<usize>, bool, bool, i64)>;

fn tree() -> impl Strategy<Value = Tree> {
    let span = (any::<prop::sample::Index>(), 0..5u8, any::<bool>(), any::<bool>(), -50..50i64);
    prop::collection::vec(span, 1..14).prop_map(|spans| {
        let parent = |i: usize, parent: prop::sample::Index, root: u8| {
            (i > 0 && root > 0).then(|| parent.index(i.max(1)))
        };
        let spans = spans.into_iter().enumerate();
        spans.map(|(i, (of, root, left, right, n))| (parent(i, of, root), left, right, n)).collect()
    })
}

fn stored(tree: &Tree) -> Stored {
    let spans = tree.iter().enumerate().map(|(i, (parent, left, right, n))| {
        let mut span = bare(1, i as u64 + 1, parent.map_or(0, |parent| parent as u64 + 1));
        let attribute = |name: &str, value| (name.to_owned(), value);
        span.attributes = vec![
            attribute("l", Value::Bool(*left)),
            attribute("r", Value::Bool(*right)),
            attribute("n", Value::Int(*n)),
        ];
        span
    });
    Stored(vec![spans.collect()])
}

fn ancestors(tree: &Tree, of: usize) -> Vec<usize> {
    std::iter::successors(tree[of].0, |at| tree[*at].0).collect()
}

/// Whether `of` stands so to `to`: `of` is a child of `to`, and so on.
fn stands(tree: &Tree, relation: Relation, of: usize, to: usize) -> bool {
    match relation {
        Relation::Child => tree[of].0 == Some(to),
        Relation::Parent => tree[to].0 == Some(of),
        Relation::Descendant => ancestors(tree, of).contains(&to),
        Relation::Ancestor => ancestors(tree, to).contains(&of),
        Relation::Sibling => of != to && tree[of].0.is_some() && tree[of].0 == tree[to].0,
    }
}

fn expected(tree: &Tree, op: SetOp) -> Vec<usize> {
    let all = 0..tree.len();
    let left: Vec<usize> = all.clone().filter(|i| tree[*i].1).collect();
    let right: Vec<usize> = all.clone().filter(|i| tree[*i].2).collect();
    all.filter(|i| match op {
        SetOp::And => !left.is_empty() && !right.is_empty() && (tree[*i].1 || tree[*i].2),
        SetOp::Or => tree[*i].1 || tree[*i].2,
        SetOp::Tree(relation, side) => {
            let of_left = tree[*i].2 && left.iter().any(|to| stands(tree, relation, *i, *to));
            let of_right = tree[*i].1 && right.iter().any(|of| stands(tree, relation, *of, *i));
            match side {
                Side::Right => of_left,
                Side::Not => tree[*i].2 && !of_left,
                Side::Both => of_left || of_right,
            }
        }
    })
    .collect()
}

fn found(tree: &Tree, text: &str) -> Vec<usize> {
    let params =
        SearchParams { start: 0, end: u64::MAX, limit: 1, spans_per_set: 100, limits: Limits::default() };
    let hits = search(&query(text), &stored(tree), &params).unwrap().hits;
    let spans = hits.iter().flat_map(|hit| &hit.sets).flat_map(|set| &set.spans);
    let mut found: Vec<usize> = spans.map(|span| span.span_id.bits() as usize - 1).collect();
    found.sort_unstable();
    found
}

proptest! {
    #[test]
    fn operators_give_what_their_definitions_say(tree in tree(), op in prop::sample::select(SET_OPS.to_vec())) {
        let text = format!("{{ .l = true }} {} {{ .r = true }}", op.0);
        prop_assert_eq!(found(&tree, &text), expected(&tree, op.1), "{} of {:?}", text, tree);
    }

    #[test]
    fn aggregates_give_what_their_definitions_say(tree in tree(), bound in -60..60i64) {
        let numbers: Vec<i64> = tree.iter().filter(|span| span.1).map(|span| span.3).collect();
        let all: Vec<usize> = (0..tree.len()).filter(|i| tree[*i].1).collect();
        let sum: i64 = numbers.iter().sum();
        for (name, value) in [
            ("count()", Some(numbers.len() as f64)),
            ("sum(.n)", Some(sum as f64)),
            ("min(.n)", numbers.iter().min().map(|n| *n as f64)),
            ("max(.n)", numbers.iter().max().map(|n| *n as f64)),
            ("avg(.n)", Some(sum as f64 / numbers.len() as f64)),
        ] {
            let holds = !numbers.is_empty() && value.is_some_and(|value| value > bound as f64);
            let text = format!("{{ .l = true }} | {name} > {bound}");
            prop_assert_eq!(found(&tree, &text), if holds { all.clone() } else { Vec::new() }, "{}", text);
        }
    }

    #[test]
    fn numbers_of_the_walk_tell_who_is_below_whom(tree in tree()) {
        let text = "{ .l = true } >> { .r = true }";
        let by_numbers: Vec<usize> = expected(&tree, SetOp::Tree(Relation::Descendant, Side::Right));
        prop_assert_eq!(found(&tree, text), by_numbers);
        let roots: Vec<usize> = (0..tree.len()).filter(|i| tree[*i].0.is_none()).collect();
        prop_assert_eq!(found(&tree, "{ nestedSetParent < 0 }"), roots);
        let leaves: Vec<usize> = (0..tree.len()).filter(|i| !tree.iter().any(|span| span.0 == Some(*i))).collect();
        prop_assert_eq!(found(&tree, "{ nestedSetRight - nestedSetLeft = 1 }"), leaves);
    }
}
