//! Label matchers and lists of labels.

use store::read::{MatchOp, Matcher};

use super::lexer::Kind;
use super::{Parsed, Parser, fault};
use crate::expressions;
use crate::promql::ast::{LabelMatcher, MatchKind, Span};
use crate::promql::labels::NAME;

/// A pattern, anchored on both ends, or Prometheus' words for what is wrong with it.
pub(crate) fn anchored(pattern: &str, program: usize) -> Result<regex::Regex, String> {
    expressions::anchored(pattern, program).map_err(|error| match error {
        regex::Error::Syntax(text) => {
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("error parsing regexp: {last}: `{}`", expressions::shown(pattern))
        }
        other => format!("error parsing regexp: {other}"),
    })
}

/// A matcher with its pattern read.
fn matcher(
    name: &str,
    kind: MatchKind,
    value: &str,
    expressions: &mut usize,
) -> Result<LabelMatcher, String> {
    let mut regex = || {
        let compiled = anchored(value, expressions::allowed(*expressions)?)?;
        *expressions += 1;
        Ok::<_, String>(compiled)
    };
    let op = match kind {
        MatchKind::Equal => MatchOp::Equal(value.to_owned()),
        MatchKind::NotEqual => MatchOp::NotEqual(value.to_owned()),
        MatchKind::Regex => MatchOp::Regex(regex()?),
        MatchKind::NotRegex => MatchOp::NotRegex(regex()?),
    };
    let compiled = Matcher { name: name.to_owned(), op };
    Ok(LabelMatcher { kind, name: name.to_owned(), value: value.to_owned(), compiled })
}

/// The matchers of a selector with that of its name.
pub(super) fn complete(
    name: Option<&str>,
    mut matchers: Vec<LabelMatcher>,
    span: Span,
) -> Parsed<Vec<LabelMatcher>> {
    if let Some(name) = name {
        if let Some(other) = matchers.iter().find(|m| m.name == NAME && m.kind == MatchKind::Equal) {
            return fault(span, format!("metric name must not be set twice: {name:?} or {:?}", other.value));
        }
        let op = MatchOp::Equal(name.to_owned());
        let compiled = Matcher { name: NAME.to_owned(), op };
        let (kind, value) = (MatchKind::Equal, name.to_owned());
        matchers.push(LabelMatcher { kind, name: NAME.to_owned(), value, compiled });
    }
    if matchers.iter().all(|matcher| matcher.compiled.op.meets("")) {
        return fault(span, "vector selector must contain at least one non-empty matcher");
    }
    Ok(matchers)
}

impl Parser {
    /// `{a="b", "c.d"=~"e", "name"}`.
    pub(super) fn matchers(&mut self) -> Parsed<Vec<LabelMatcher>> {
        self.take();
        let mut matchers: Vec<LabelMatcher> = Vec::new();
        loop {
            if self.symbol("}") {
                return Ok(matchers);
            }
            let start = self.token().span.start;
            let (name, quoted) = match self.kind().clone() {
                Kind::Word(name) => (name, false),
                Kind::Text(name) => (name, true),
                _ => return self.unexpected("label matching", "identifier or \"}\""),
            };
            self.take();
            let kind = match self.kind() {
                Kind::Symbol("=") => MatchKind::Equal,
                Kind::Symbol("!=") => MatchKind::NotEqual,
                Kind::Symbol("=~") => MatchKind::Regex,
                Kind::Symbol("!~") => MatchKind::NotRegex,
                // A quoted text alone is the metric's name.
                _ if quoted => {
                    let span = Span { start, end: self.end() };
                    if let Some(other) = matchers.iter().find(|m| m.name == NAME) {
                        let detail =
                            format!("metric name must not be set twice: {:?} or {name:?}", other.value);
                        return fault(span, detail);
                    }
                    matchers.push(
                        matcher(NAME, MatchKind::Equal, &name, &mut 0)
                            .or_else(|detail| fault(span, detail))?,
                    );
                    self.separator()?;
                    continue;
                }
                _ => return self.unexpected("label matching", "label matching operator"),
            };
            self.take();
            let Kind::Text(value) = self.kind().clone() else {
                return self.unexpected("label matching", "string");
            };
            self.take();
            let span = Span { start, end: self.end() };
            matchers.push(
                matcher(&name, kind, &value, &mut self.expressions).or_else(|detail| fault(span, detail))?,
            );
            self.separator()?;
        }
    }

    /// A comma, or the brace that ends the list.
    fn separator(&mut self) -> Parsed<()> {
        if self.symbol(",") || matches!(self.kind(), Kind::Symbol("}")) {
            return Ok(());
        }
        self.unexpected("label matching", "\",\" or \"}\"")
    }

    /// `(a, b, "c.d")` after `by`, `on` and the like.
    pub(super) fn labels(&mut self) -> Parsed<Vec<String>> {
        if !self.symbol("(") {
            return self.unexpected("grouping opts", "\"(\"");
        }
        let mut labels = Vec::new();
        loop {
            if self.symbol(")") {
                return Ok(labels);
            }
            match self.kind().clone() {
                Kind::Word(label) if !label.contains(':') => labels.push(label),
                Kind::Text(label) if !label.is_empty() => labels.push(label),
                _ => return self.unexpected("grouping opts", "label"),
            }
            self.take();
            if !self.symbol(",") && !matches!(self.kind(), Kind::Symbol(")")) {
                return self.unexpected("grouping opts", "\",\" or \")\"");
            }
        }
    }
}
