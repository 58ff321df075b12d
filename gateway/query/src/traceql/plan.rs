//! What a query lets the store pass over: conditions that some span of every trace in the answer meets.

use parsers::record::TraceId;
use store::read::{SpanHint, SpanView};

use super::ast::{Comparison, Field, Intrinsic, Scope, SetOp, Side, Static};
use super::expression::{At, Node};
use super::hint;
use super::pipeline::{Pipeline, Step};
use super::sets::Finder;

/// How far from the window the span may have run, ns, that makes a trace one to look at: all of a trace that runs through the window
/// counts. Few traces are longer as a whole, and those that are have a span as long, by which they are found, too; what is
/// read more for it is little, since a segment is of minutes.
pub(super) const REACH: u64 = 600_000_000_000;

/// Conditions of which each trace in the answer has a span that meets one of them.
#[derive(Debug, Default)]
pub(super) struct Needed {
    /// None: any trace may be in the answer.
    any_of: Vec<Node>,
    /// What the span that is wanted must hold.
    pub(super) contains: Vec<Vec<u8>>,
    /// The same in a form that needs no look at the bytes.
    pub(super) hint: SpanHint,
    pub(super) service: Option<String>,
    /// The one trace that can be in the answer.
    pub(super) trace: Option<TraceId>,
}

impl Needed {
    pub(super) fn of(pipeline: &Pipeline) -> Self {
        let any_of: Vec<Node> = of_pipeline(pipeline).unwrap_or_default();
        let mut needed = Self::default();
        if let [only] = any_of.as_slice() {
            needed.narrow(only);
        }
        if !any_of.is_empty() {
            needed.hint = hint::one_of(any_of.iter().map(hint::of).collect());
        }
        needed.any_of = any_of;
        needed
    }

    /// Whether a span meets one of the conditions.
    pub(super) fn wants(&self, span: &SpanView<'_>) -> bool {
        self.any_of.is_empty() || self.any_of.iter().any(|node| node.holds(At { span, trace: None }))
    }

    fn narrow(&mut self, node: &Node) {
        match node {
            Node::And(left, right) => {
                self.narrow(left);
                self.narrow(right);
            }
            Node::Compare(op, left, right) => {
                let (Node::Field(field), Node::Static(value)) = (&**left, &**right) else { return };
                let absent = *value == Static::Nil && *op == Comparison::Equal;
                match field {
                    Field::Attribute { parent: false, name, .. } if !absent => self.text(name),
                    Field::Intrinsic(Intrinsic::TraceId) => {
                        if let (Comparison::Equal, Static::Str(id)) = (op, value) {
                            self.trace = TraceId::from_spelling(id.as_bytes()).ok();
                        }
                        return;
                    }
                    Field::Intrinsic(Intrinsic::Name | Intrinsic::StatusMessage | Intrinsic::EventName) => {}
                    Field::Intrinsic(Intrinsic::InstrumentationName | Intrinsic::InstrumentationVersion) => {}
                    _ => return,
                }
                let (Comparison::Equal, Static::Str(text)) = (op, value) else { return };
                self.text(text);
                if matches!(field, Field::Attribute { scope: Scope::Resource, name, .. } if name == "service.name")
                {
                    self.service = Some(text.clone());
                }
            }
            Node::Match { of, .. } => {
                if let Node::Field(Field::Attribute { parent: false, name, .. }) = &**of {
                    self.text(name);
                }
            }
            _ => {}
        }
    }

    /// A text that must stand in the bytes. What was not UTF-8 there reads as U+FFFD here.
    fn text(&mut self, text: &str) {
        if !text.is_empty() && !text.contains('\u{fffd}') {
            self.contains.push(text.as_bytes().to_vec());
        }
    }
}

/// `None` if any trace will do.
fn of_pipeline(pipeline: &Pipeline) -> Option<Vec<Node>> {
    match pipeline.steps.first()? {
        Step::Spans(finder) => of_finder(finder),
        Step::Filter(left, _, right) => {
            let mut inner = Vec::new();
            left.pipelines(&mut inner);
            right.pipelines(&mut inner);
            // One that makes no set has no number, and nothing compares with that.
            of_pipeline(inner.first()?)
        }
        Step::By(..) | Step::Coalesce => None,
    }
}

fn of_finder(finder: &Finder) -> Option<Vec<Node>> {
    match finder {
        Finder::Where(node) => node.relaxed().map(|node| vec![node]),
        Finder::Pipeline(pipeline) => of_pipeline(pipeline),
        Finder::Join(op, left, right) => match op {
            SetOp::Or => {
                let mut both = of_finder(left)?;
                both.extend(of_finder(right)?);
                Some(both)
            }
            SetOp::Tree(_, Side::Not) => of_finder(right),
            SetOp::And | SetOp::Tree(..) => match (of_finder(left), of_finder(right)) {
                (Some(left), Some(right)) => {
                    Some(if rareness(&right) > rareness(&left) { right } else { left })
                }
                (one, other) => one.or(other),
            },
        },
    }
}

/// How few spans are likely to meet one of these: a guess.
fn rareness(nodes: &[Node]) -> u32 {
    nodes.iter().map(rareness_of).min().unwrap_or(0)
}

fn rareness_of(node: &Node) -> u32 {
    match node {
        Node::And(left, right) => rareness_of(left) + rareness_of(right),
        Node::Or(left, right) => rareness_of(left).min(rareness_of(right)),
        Node::Compare(Comparison::Equal, left, right) => match (&**left, &**right) {
            (_, Node::Static(Static::Nil)) => 1,
            (Node::Field(Field::Intrinsic(Intrinsic::TraceId | Intrinsic::SpanId)), _) => 32,
            (Node::Field(Field::Intrinsic(Intrinsic::Kind)), _) => 2,
            (Node::Field(Field::Attribute { .. }), _) => 8,
            _ => 4,
        },
        Node::Compare(Comparison::NotEqual, ..) => 1,
        Node::Compare(..) | Node::Match { .. } => 3,
        _ => 0,
    }
}
