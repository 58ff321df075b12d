//! PromQL: the language of Prometheus 3, evaluated over samples that are read through [`store::read::SampleRead`].
//!
//! All of its functions, aggregations and operators but those that Prometheus has behind a switch; these are refused by
//! name. Ranges and the lookback begin after their first instant, as since Prometheus 3. Of its second version
//! `holt_winters` is kept. Errors and notes are in Prometheus' words, since clients look for them.

mod ast;
mod display;
mod error;
mod evaluate;
mod functions;
mod labels;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt;

use store::read::Matcher;

pub use error::PromError;
pub use evaluate::{
    Data, Limits, Outcome, Point, SeriesPoints, ShownBucket, Value, evaluate_instant, evaluate_range,
    shown_buckets,
};
pub use parse::show_number;

use ast::{Node, NodeKind};

/// An expression that has been read, its types checked.
#[derive(Debug, Clone)]
pub struct Expr {
    text: String,
    node: Node,
}

impl Expr {
    /// The matchers of each selector in it, in the order in which they are written.
    pub fn selectors(&self) -> Vec<Vec<Matcher>> {
        let mut found = Vec::new();
        self.node.walk(&mut |node| {
            if let NodeKind::Vector(selector) | NodeKind::Matrix { selector, .. } = &node.kind {
                found.push(selector.matchers.iter().map(|matcher| matcher.compiled.clone()).collect());
            }
        });
        found
    }

    fn node(&self) -> &Node {
        &self.node
    }

    fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt(f)
    }
}

/// Reads an expression.
pub fn parse(text: &str) -> Result<Expr, PromError> {
    Ok(Expr { text: text.to_owned(), node: parse::parse(text)? })
}

/// Reads a series selector, as `match[]` parameters hold it.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, PromError> {
    let expr = parse(text)?;
    match &expr.node.kind {
        NodeKind::Vector(selector) => Ok(selector.matchers.iter().map(|m| m.compiled.clone()).collect()),
        _ => Err(PromError::Parse { line: 1, column: 1, detail: "expected a vector selector".to_owned() }),
    }
}
