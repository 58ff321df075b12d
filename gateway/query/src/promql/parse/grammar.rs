//! Expressions by precedence: operators, aggregations, calls, and what may follow a selector.

use super::lexer::{Kind, is_keyword};
use super::{MAX_LINKS, MAX_NESTING, Parsed, Parser, aggregation, fault};
use crate::promql::ast::{
    Aggregate, AggregateOp, Binary, Card, Matching, Moved, Node, NodeKind, Op, Selector, Span,
};
use crate::promql::functions;

/// `*` and what binds as strongly; a sign takes only what binds more strongly than that.
const FACTOR: u8 = 5;
const POWER: u8 = 6;

fn operator(kind: &Kind) -> Option<(Op, u8)> {
    let text = match kind {
        Kind::Symbol(symbol) => (*symbol).to_owned(),
        Kind::Word(word) => word.to_ascii_lowercase(),
        _ => return None,
    };
    Some(match text.as_str() {
        "or" => (Op::Or, 1),
        "and" => (Op::And, 2),
        "unless" => (Op::Unless, 2),
        "==" => (Op::Eql, 3),
        "!=" => (Op::Neq, 3),
        "<=" => (Op::Lte, 3),
        "<" => (Op::Lss, 3),
        ">=" => (Op::Gte, 3),
        ">" => (Op::Gtr, 3),
        "+" => (Op::Add, 4),
        "-" => (Op::Sub, 4),
        "*" => (Op::Mul, FACTOR),
        "/" => (Op::Div, FACTOR),
        "%" => (Op::Mod, FACTOR),
        "atan2" => (Op::Atan2, FACTOR),
        "^" => (Op::Pow, POWER),
        _ => return None,
    })
}

impl Parser {
    /// An expression of operators that bind at least as strongly as this.
    pub(super) fn expression(&mut self, strength: u8) -> Parsed<Node> {
        self.depth += 1;
        if self.depth > MAX_NESTING || self.links > MAX_LINKS {
            return fault(self.token().span, "expression is nested too deeply");
        }
        let mut left = self.operand()?;
        while let Some((op, strong)) = operator(self.kind()).filter(|(_, strong)| *strong >= strength) {
            let op_span = self.take().span;
            self.links += 1;
            let (return_bool, matching) = self.matching(op, op_span)?;
            // `^` is the only one that groups to the right.
            let right = self.expression(if op == Op::Pow { strong } else { strong + 1 })?;
            let span = Span { start: left.span.start, end: right.span.end };
            let binary = Binary { op, left, right, op_span, return_bool, matching };
            left = Node { kind: NodeKind::Binary(Box::new(binary)), span };
        }
        self.depth -= 1;
        Ok(left)
    }

    /// `bool`, `on (…)`, `ignoring (…)`, `group_left (…)` after an operator.
    fn matching(&mut self, op: Op, op_span: Span) -> Parsed<(bool, Matching)> {
        let return_bool = self.word("bool");
        if return_bool && !op.is_comparison() {
            return fault(op_span, "bool modifier can only be used on comparison operators");
        }
        let mut matching = Matching::default();
        if op.is_set() {
            matching.card = Card::ManyToMany;
        }
        matching.on = self.word("on");
        matching.given = matching.on || self.word("ignoring");
        if !matching.given {
            return Ok((return_bool, matching));
        }
        matching.labels = self.labels()?;
        let left = self.word("group_left");
        if left || self.word("group_right") {
            if op.is_set() {
                return fault(op_span, format!("no grouping allowed for {:?} operation", op.symbol()));
            }
            matching.card = if left { Card::ManyToOne } else { Card::OneToMany };
            if matches!(self.kind(), Kind::Symbol("(")) {
                matching.include = self.labels()?;
            }
            if let Some(label) =
                matching.include.iter().find(|label| matching.on && matching.labels.contains(label))
            {
                return fault(
                    op_span,
                    format!("label {label:?} must not occur in ON and GROUP clause at once"),
                );
            }
        }
        Ok((return_bool, matching))
    }

    /// A sign and what it takes, or a term.
    fn operand(&mut self) -> Parsed<Node> {
        let start = self.token().span.start;
        let minus = matches!(self.kind(), Kind::Symbol("-"));
        if !minus && !matches!(self.kind(), Kind::Symbol("+")) {
            let term = self.term()?;
            return self.postfix(term);
        }
        self.take();
        let inner = self.expression(POWER)?;
        let span = Span { start, end: inner.span.end };
        Ok(match (minus, inner.kind) {
            (true, NodeKind::Number(number)) => Node { kind: NodeKind::Number(-number), span },
            (false, NodeKind::Number(number)) => Node { kind: NodeKind::Number(number), span },
            (true, kind) => {
                let inner = Node { kind, span: inner.span };
                Node { kind: NodeKind::Unary(Box::new(inner)), span }
            }
            (false, kind) => {
                // A plus changes nothing, but only numbers and vectors may have one.
                let inner = Node { kind, span: inner.span };
                super::check::signed(&inner, span)?;
                Node { kind: NodeKind::Paren(Box::new(inner)), span }
            }
        })
    }

    fn term(&mut self) -> Parsed<Node> {
        let token = self.token().clone();
        let span = token.span;
        match token.kind {
            Kind::Number(number) => {
                self.take();
                Ok(Node { kind: NodeKind::Number(number), span })
            }
            Kind::Duration(millis) => {
                self.take();
                Ok(Node { kind: NodeKind::Number(millis as f64 / 1000.0), span })
            }
            Kind::Text(text) => {
                self.take();
                Ok(Node { kind: NodeKind::Text(text), span })
            }
            Kind::Symbol("(") => {
                self.take();
                let inner = self.expression(0)?;
                if !self.symbol(")") {
                    return self.unexpected("", "");
                }
                let span = Span { start: span.start, end: self.end() };
                Ok(Node { kind: NodeKind::Paren(Box::new(inner)), span })
            }
            Kind::Symbol("{") => self.selector(None, span.start),
            Kind::Word(word) => self.named(&word, span),
            _ => self.unexpected("", ""),
        }
    }

    /// What begins with a word: an aggregation, a call or a selector.
    fn named(&mut self, word: &str, span: Span) -> Parsed<Node> {
        let opens = matches!(self.following(), Some(Kind::Symbol("(")));
        if let Some(op) = aggregation(word) {
            let grouped = matches!(self.following(), Some(Kind::Word(next))
                if next.eq_ignore_ascii_case("by") || next.eq_ignore_ascii_case("without"));
            if opens || grouped {
                self.take();
                return self.aggregate(op, span);
            }
        } else if opens && !is_keyword(word) {
            self.take();
            return self.call(word, span);
        }
        // These mean something after an operator, so no metric may be called so without quotes.
        let reserved = ["on", "ignoring", "group_left", "group_right", "bool", "atan2"];
        if reserved.iter().any(|reserved| word.eq_ignore_ascii_case(reserved)) {
            return self.unexpected("", "");
        }
        self.take();
        self.selector(Some(word.to_owned()), span.start)
    }

    fn aggregate(&mut self, op: AggregateOp, span: Span) -> Parsed<Node> {
        if matches!(op, AggregateOp::Limitk | AggregateOp::LimitRatio) {
            return fault(span, format!("{}() is experimental and is not enabled here", op.name()));
        }
        let mut grouping = self.grouping()?;
        if !matches!(self.kind(), Kind::Symbol("(")) {
            return self.unexpected("aggregation", "");
        }
        let mut arguments = self.arguments()?.into_iter();
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let span = Span { start: span.start, end: self.end() };
        let expected = if op.takes_parameter() { 2 } else { 1 };
        let got = arguments.len();
        if got == 0 {
            return fault(span, "no arguments for aggregate expression provided");
        }
        let parameter = if op.takes_parameter() { arguments.next() } else { None };
        let (Some(inner), true) = (arguments.next(), got == expected) else {
            return fault(
                span,
                format!(
                    "wrong number of arguments for aggregate expression provided, expected {expected}, got {got}"
                ),
            );
        };
        let (without, grouping) = grouping.unwrap_or_default();
        let aggregate = Aggregate { op, inner, parameter, grouping, without };
        Ok(Node { kind: NodeKind::Aggregate(Box::new(aggregate)), span })
    }

    fn grouping(&mut self) -> Parsed<Option<(bool, Vec<String>)>> {
        let without = self.at_word("without");
        if !without && !self.at_word("by") {
            return Ok(None);
        }
        self.take();
        Ok(Some((without, self.labels()?)))
    }

    fn call(&mut self, name: &str, span: Span) -> Parsed<Node> {
        if functions::is_experimental(name) {
            return fault(span, format!("function {name:?} is experimental and is not enabled here"));
        }
        let Some(function) = functions::find(name) else {
            return fault(span, format!("unknown function with name {name:?}"));
        };
        let arguments = self.arguments()?;
        let span = Span { start: span.start, end: self.end() };
        Ok(Node { kind: NodeKind::Call { function, arguments }, span })
    }

    fn arguments(&mut self) -> Parsed<Vec<Node>> {
        let mut arguments = Vec::new();
        if !self.symbol("(") {
            return self.unexpected("", "");
        }
        if self.symbol(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression(0)?);
            if self.symbol(")") {
                return Ok(arguments);
            }
            let comma = self.token().span;
            if !self.symbol(",") {
                return self.unexpected("", "");
            }
            if matches!(self.kind(), Kind::Symbol(")")) {
                return fault(comma, "trailing commas not allowed in function call args");
            }
        }
    }

    /// A selector after its name, if it has one.
    fn selector(&mut self, name: Option<String>, start: usize) -> Parsed<Node> {
        let matchers = if matches!(self.kind(), Kind::Symbol("{")) { self.matchers()? } else { Vec::new() };
        let span = Span { start, end: self.end() };
        let matchers = super::selector::complete(name.as_deref(), matchers, span)?;
        let selector = Selector { name, matchers, moved: Moved::default() };
        Ok(Node { kind: NodeKind::Vector(selector), span })
    }
}
