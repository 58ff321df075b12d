//! Warnings and infos, in Prometheus' words.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::promql::ast::Span;
use crate::promql::error::position;

/// Notes of each kind that are kept; Prometheus' interface gives ten.
const MAX_NOTES: usize = 10;

/// What came up while a query was evaluated, each once.
#[derive(Debug)]
pub(super) struct Notes<'a> {
    query: &'a str,
    warnings: RefCell<BTreeSet<String>>,
    infos: RefCell<BTreeSet<String>>,
}

fn add(to: &RefCell<BTreeSet<String>>, text: String) {
    let mut notes = to.borrow_mut();
    if notes.len() < MAX_NOTES {
        notes.insert(text);
    }
}

impl<'a> Notes<'a> {
    pub fn new(query: &'a str) -> Self {
        Self { query, warnings: RefCell::default(), infos: RefCell::default() }
    }

    fn place(&self, span: Span) -> String {
        let (line, column) = position(self.query, span.start);
        format!("{line}:{column}")
    }

    pub fn warn(&self, span: Span, text: &str) {
        add(&self.warnings, format!("PromQL warning: {text} ({})", self.place(span)));
    }

    pub fn info(&self, span: Span, text: &str) {
        add(&self.infos, format!("PromQL info: {text} ({})", self.place(span)));
    }

    /// Quantiles that are none.
    pub fn quantiles(&self, span: Span, quantiles: &[f64]) {
        for quantile in quantiles.iter().copied().filter(|quantile| !(0.0..=1.0).contains(quantile)) {
            let got = crate::promql::parse::show_general(quantile);
            self.warn(span, &format!("quantile value should be between 0 and 1, got {got}"));
        }
    }

    /// Warnings and infos, sorted.
    pub fn into_lists(self) -> (Vec<String>, Vec<String>) {
        (self.warnings.into_inner().into_iter().collect(), self.infos.into_inner().into_iter().collect())
    }
}
