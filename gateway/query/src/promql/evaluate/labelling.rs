//! Functions that change labels: `label_replace`, `label_join`; and the labels of `absent`.

use std::sync::Arc;

use parsers::record::Labels;

use super::value::Frame;
use super::{Evaluator, PromError};
use crate::promql::ast::{MatchKind, Node, NodeKind};
use crate::promql::labels::NAME;

fn relabelled(mut frame: Frame, with: impl Fn(&Labels) -> Option<Labels>) -> Result<Frame, PromError> {
    for column in &mut frame.columns {
        if let Some(labels) = with(&column.labels) {
            column.labels = Arc::new(labels);
        }
    }
    frame.merged()
}

impl Evaluator<'_> {
    pub(super) fn label_replace(&self, arguments: &[Node]) -> Result<Frame, PromError> {
        let [vector, into, replacement, source, pattern] = arguments else {
            return Err(PromError::execution("expected 5 arguments"));
        };
        let (into, replacement) = (self.text(into)?, self.text(replacement)?);
        let (source, pattern) = (self.text(source)?, self.text(pattern)?);
        let Ok(regex) = regex::Regex::new(&format!("^(?s:{pattern})$")) else {
            return Err(PromError::Execution(format!(
                "invalid regular expression in label_replace(): {pattern}"
            )));
        };
        if into.is_empty() {
            return Err(PromError::Execution(format!(
                "invalid destination label name in label_replace(): {into}"
            )));
        }
        relabelled(self.vector(vector)?, |labels| {
            let captures = regex.captures(labels.get(&source).unwrap_or_default())?;
            let mut value = String::new();
            captures.expand(&replacement, &mut value);
            Some(labels.with(into.as_str(), value.as_str()))
        })
    }

    pub(super) fn label_join(&self, arguments: &[Node]) -> Result<Frame, PromError> {
        let [vector, into, separator, sources @ ..] = arguments else {
            return Err(PromError::execution("expected at least 3 arguments"));
        };
        let (into, separator) = (self.text(into)?, self.text(separator)?);
        let sources = sources.iter().map(|node| self.text(node)).collect::<Result<Vec<_>, _>>()?;
        if sources.iter().any(String::is_empty) {
            return Err(PromError::execution("invalid source label name in label_join(): "));
        }
        if into.is_empty() {
            return Err(PromError::execution("invalid destination label name in label_join(): "));
        }
        relabelled(self.vector(vector)?, |labels| {
            let values: Vec<&str> = sources.iter().map(|s| labels.get(s).unwrap_or_default()).collect();
            Some(labels.with(into.as_str(), values.join(&separator)))
        })
    }
}

/// The labels that a selector's series would have for sure.
pub(super) fn of_absent(argument: &Node) -> Labels {
    let (NodeKind::Vector(selector) | NodeKind::Matrix { selector, .. }) = &argument.kind else {
        return Labels::default();
    };
    let mut labels = Labels::default();
    let mut set: Vec<&str> = Vec::new();
    for matcher in selector.matchers.iter().filter(|matcher| matcher.name != NAME) {
        // What is asked twice is not known, unless only the last says what it is.
        if matcher.kind == MatchKind::Equal && !set.contains(&matcher.name.as_str()) {
            labels = labels.with(matcher.name.as_str(), matcher.value.as_str());
            set.push(&matcher.name);
        } else {
            labels = labels.with(matcher.name.as_str(), "");
        }
    }
    labels
}
