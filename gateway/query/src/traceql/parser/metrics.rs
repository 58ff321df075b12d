//! Functions of metrics, what is done with their series, and hints.

use super::super::ast::{Metrics, MetricsFunction, SecondStage, Static};
use super::super::error::ParseError;
use super::super::lexer::Kind;
use super::super::names::{COMPARISONS, OVER_TIME};
use super::Parser;

/// Values of each attribute that `compare` tells when it is not said, as Tempo has it.
const DEFAULT_TOP: usize = 10;
/// Most of them.
const MAX_TOP: usize = 1_000;
/// Quantiles of one function, each of which is a series: nobody draws more.
const MAX_QUANTILES: usize = 32;

/// Whether this is a function of metrics.
pub(super) fn is_function(word: &str) -> bool {
    let others = ["rate", "count_over_time", "quantile_over_time", "histogram_over_time", "compare"];
    others.contains(&word) || OVER_TIME.iter().any(|(name, _)| *name == word)
}

impl Parser {
    /// A function, with what follows it.
    pub(super) fn metrics(&mut self) -> Result<Metrics, ParseError> {
        let function = self.function()?;
        let mut by = Vec::new();
        if self.is_word("by") {
            if matches!(function, MetricsFunction::Compare { .. }) {
                return Err(self.unexpected("`with` or the end of the query: `compare` has no `by`"));
            }
            self.take();
            self.expect("(")?;
            by = self.fields()?;
        }
        let mut then = Vec::new();
        loop {
            if let Kind::Symbol(symbol) = *self.peek()
                && let Some((_, op)) = COMPARISONS.iter().find(|(text, _)| *text == symbol)
            {
                self.take();
                let sign = if self.symbol("-") { -1.0 } else { 1.0 };
                then.push(SecondStage::Compare(*op, sign * self.quantity()?));
            } else if self.symbol("|") {
                let top = self.is_word("topk");
                if !top && !self.is_word("bottomk") {
                    return Err(self.unexpected("`topk` or `bottomk`"));
                }
                self.take();
                self.expect("(")?;
                let place = self.place();
                let k = self.integer("how many")?;
                if k == 0 {
                    return Err(place.syntax("`0`", "how many, at least 1"));
                }
                self.expect(")")?;
                then.push(if top { SecondStage::TopK(k as usize) } else { SecondStage::BottomK(k as usize) });
            } else {
                return Ok(Metrics { function, by, then });
            }
            self.count_operator()?;
        }
    }

    fn function(&mut self) -> Result<MetricsFunction, ParseError> {
        let Kind::Word(name) = self.take() else {
            return Err(self.unexpected("a function of metrics such as `rate`"));
        };
        self.expect("(")?;
        let over_time = OVER_TIME.iter().find(|(known, _)| *known == name).map(|(_, function)| *function);
        let function = match (name.as_str(), over_time) {
            ("rate", _) => MetricsFunction::Rate,
            ("count_over_time", _) => MetricsFunction::CountOverTime,
            (_, Some(function)) => MetricsFunction::OverTime(function, self.field()?),
            ("histogram_over_time", _) => MetricsFunction::Histogram(self.field()?),
            ("quantile_over_time", _) => {
                let field = self.field()?;
                let mut quantiles = Vec::new();
                self.expect(",")?;
                loop {
                    let place = self.place();
                    let quantile = self.quantity()?;
                    if !(0.0..=1.0).contains(&quantile) || quantiles.len() >= MAX_QUANTILES {
                        let expected = format!("at most {MAX_QUANTILES} quantiles from 0 to 1");
                        return Err(place.syntax(format!("`{quantile}`"), expected));
                    }
                    quantiles.push(quantile);
                    if !self.symbol(",") {
                        break;
                    }
                }
                MetricsFunction::Quantile(field, quantiles)
            }
            _ => {
                let selection = self.braces(0)?;
                let (mut top, mut window) = (DEFAULT_TOP, None);
                if self.symbol(",") {
                    top = (self.integer("how many values")? as usize).min(MAX_TOP);
                    if self.symbol(",") {
                        let start = self.integer("a time in nanoseconds")?;
                        self.expect(",")?;
                        window = Some((start, self.integer("a time in nanoseconds")?));
                    }
                }
                MetricsFunction::Compare { selection, top, window }
            }
        };
        self.expect(")")?;
        Ok(function)
    }

    /// A number; durations in seconds.
    fn quantity(&mut self) -> Result<f64, ParseError> {
        let number = match self.peek() {
            Kind::Literal(Static::Int(number)) => *number as f64,
            Kind::Literal(Static::Float(number)) => *number,
            Kind::Literal(Static::Duration(nanos)) => *nanos as f64 / 1e9,
            _ => return Err(self.unexpected("a number")),
        };
        self.take();
        Ok(number)
    }

    fn integer(&mut self, expected: &str) -> Result<u64, ParseError> {
        match *self.peek() {
            Kind::Literal(Static::Int(number)) => {
                self.take();
                Ok(number.unsigned_abs())
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    /// `with(name=value, ...)`: names that are not known are let be, as in Tempo.
    pub(super) fn hints(&mut self) -> Result<Vec<(String, Static)>, ParseError> {
        self.take();
        self.expect("(")?;
        let mut hints = Vec::new();
        loop {
            let name = match self.peek() {
                Kind::Word(name) => name.clone(),
                _ => return Err(self.unexpected("the name of a hint")),
            };
            self.take();
            self.expect("=")?;
            let value = self.take_literal().ok_or_else(|| self.unexpected("a value"))?;
            hints.push((name, value));
            self.count_operator()?;
            if self.symbol(")") {
                return Ok(hints);
            }
            if !self.symbol(",") {
                return Err(self.unexpected("`,` or `)`"));
            }
        }
    }
}
