//! What follows a selector: ranges, subqueries, `offset` and `@`.

use super::lexer::Kind;
use super::{Parsed, Parser, fault, show_number};
use crate::promql::ast::{At, Moved, Node, NodeKind, Span, Subquery, ValueType};

/// Milliseconds that Prometheus' times can be.
const LARGEST_SECONDS: f64 = 9_223_372_036_854_775.0;

impl Parser {
    /// Takes everything that follows a term.
    pub(super) fn postfix(&mut self, mut node: Node) -> Parsed<Node> {
        let mut count = 0;
        loop {
            count += 1;
            if count > super::MAX_NESTING {
                return fault(self.token().span, "expression is nested too deeply");
            }
            if matches!(self.kind(), Kind::Symbol("[")) {
                node = self.range(node)?;
            } else if self.at_word("offset") {
                node = self.offset(node)?;
            } else if matches!(self.kind(), Kind::Symbol("@")) {
                node = self.at(node)?;
            } else {
                return Ok(node);
            }
        }
    }

    /// Milliseconds of a duration, or of a number of seconds.
    fn millis(&mut self, context: &str, expected: &str) -> Parsed<i64> {
        let span = self.token().span;
        match *self.kind() {
            Kind::Duration(millis) => {
                self.take();
                Ok(millis)
            }
            Kind::Number(seconds) => {
                self.take();
                let millis = seconds * 1000.0;
                if millis.is_nan() || millis.abs() >= i64::MAX as f64 / 1e6 {
                    return fault(span, "duration out of range");
                }
                Ok(millis.round() as i64)
            }
            _ => self.unexpected(context, expected),
        }
    }

    fn positive_millis(&mut self, context: &str, expected: &str) -> Parsed<i64> {
        let span = self.token().span;
        let millis = self.millis(context, expected)?;
        if millis > 0 { Ok(millis) } else { fault(span, "duration must be greater than 0") }
    }

    fn range(&mut self, inner: Node) -> Parsed<Node> {
        let bracket = self.take().span;
        let range = self.positive_millis("subquery selector", "duration")?;
        if self.symbol(":") {
            let step = if matches!(self.kind(), Kind::Symbol("]")) {
                None
            } else {
                Some(self.positive_millis("subquery selector", "duration or \"]\"")?)
            };
            if !self.symbol("]") {
                return self.unexpected("subquery selector", "\"]\"");
            }
            let span = Span { start: inner.span.start, end: self.end() };
            if inner.value_type() != ValueType::Vector {
                let got = inner.value_type().describe();
                return fault(span, format!("subquery is only allowed on instant vector, got {got} instead"));
            }
            let subquery = Subquery { inner, range, step, moved: Moved::default() };
            return Ok(Node { kind: NodeKind::Subquery(Box::new(subquery)), span });
        }
        if !self.symbol("]") {
            return self.unexpected("subquery or range", "\":\" or \"]\"");
        }
        let span = Span { start: inner.span.start, end: self.end() };
        let NodeKind::Vector(selector) = inner.kind else {
            return fault(
                Span { start: bracket.start, end: span.end },
                "ranges only allowed for vector selectors",
            );
        };
        if selector.moved.offset != 0 {
            return fault(
                Span { start: bracket.start, end: span.end },
                "no offset modifiers allowed before range",
            );
        }
        if selector.moved.at.is_some() {
            return fault(
                Span { start: bracket.start, end: span.end },
                "no @ modifiers allowed before range",
            );
        }
        Ok(Node { kind: NodeKind::Matrix { selector, range }, span })
    }

    fn offset(&mut self, mut node: Node) -> Parsed<Node> {
        self.take();
        let minus = matches!(self.kind(), Kind::Symbol("-"));
        if minus || matches!(self.kind(), Kind::Symbol("+")) {
            self.take();
        }
        let millis = self.millis("offset", "duration")?;
        let span = Span { start: node.span.start, end: self.end() };
        let Some(moved) = moved(&mut node) else {
            return fault(
                span,
                "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
            );
        };
        if moved.offset != 0 {
            return fault(span, "offset may not be set multiple times");
        }
        moved.offset = if minus { -millis } else { millis };
        node.span = span;
        Ok(node)
    }

    fn at(&mut self, mut node: Node) -> Parsed<Node> {
        self.take();
        let sign = match self.kind() {
            Kind::Symbol("-") => -1.0,
            Kind::Symbol("+") => 1.0,
            _ => 0.0,
        };
        if sign != 0.0 {
            self.take();
        }
        let number = match self.kind() {
            Kind::Number(number) => Some(*number),
            Kind::Duration(millis) => Some(*millis as f64 / 1000.0),
            _ => None,
        };
        let at = if let Some(number) = number {
            let seconds = if sign < 0.0 { -number } else { number };
            let span = self.take().span;
            if seconds.is_nan() || seconds.abs() >= LARGEST_SECONDS {
                return fault(
                    span,
                    format!("timestamp out of bounds for @ modifier: {}", show_number(seconds)),
                );
            }
            At::Time((seconds * 1000.0).round() as i64)
        } else if sign == 0.0 && (self.at_word("start") || self.at_word("end")) {
            let start = self.at_word("start");
            self.take();
            if !self.symbol("(") || !self.symbol(")") {
                return self.unexpected("@", "timestamp");
            }
            if start { At::Start } else { At::End }
        } else {
            return self.unexpected("@", "timestamp");
        };
        let span = Span { start: node.span.start, end: self.end() };
        let Some(moved) = moved(&mut node) else {
            return fault(
                span,
                "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
            );
        };
        if moved.at.is_some() {
            return fault(span, "@ <timestamp> may not be set multiple times");
        }
        moved.at = Some(at);
        node.span = span;
        Ok(node)
    }
}

fn moved(node: &mut Node) -> Option<&mut Moved> {
    match &mut node.kind {
        NodeKind::Vector(selector) | NodeKind::Matrix { selector, .. } => Some(&mut selector.moved),
        NodeKind::Subquery(subquery) => Some(&mut subquery.moved),
        _ => None,
    }
}
