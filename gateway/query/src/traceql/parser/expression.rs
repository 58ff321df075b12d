//! Expressions over a span.

use super::super::ast::{Arithmetic, Expr, Field, Operator, Static};
use super::super::check;
use super::super::error::ParseError;
use super::super::lexer::{self, Kind};
use super::super::names::{NOT_BINDS, operator_of};
use super::super::regex;
use super::Parser;
use crate::expressions;

impl Parser {
    /// A whole expression.
    pub(super) fn expression(&mut self, depth: usize) -> Result<Expr, ParseError> {
        self.binary(depth, 0)
    }

    /// Operands and operators that bind more tightly than this.
    fn binary(&mut self, depth: usize, binds: u8) -> Result<Expr, ParseError> {
        let depth = self.deeper(depth)?;
        let mut left = self.unary(depth)?;
        loop {
            let Kind::Symbol(symbol) = *self.peek() else { return Ok(left) };
            let Some((op, tight)) = operator_of(symbol).filter(|(_, tight)| *tight > binds) else {
                return Ok(left);
            };
            self.take();
            self.count_operator()?;
            let place = self.place();
            // Powers group to the right.
            let least = if op == Operator::Arithmetic(Arithmetic::Pow) { tight - 1 } else { tight };
            let right = self.binary(depth, least)?;
            if matches!(op, Operator::Match | Operator::NotMatch) {
                let Expr::Static(Static::Str(pattern)) = &right else {
                    return Err(place.syntax(format!("`{right}`"), "a regular expression in quotes"));
                };
                expressions::allowed(self.expressions)
                    .and_then(|program| regex::compile(pattern, program))
                    .map_err(|error| place.word(error))?;
                self.expressions += 1;
            }
            left = Expr::Binary(op, Box::new(left), Box::new(right));
            check::operation(&left).map_err(|error| place.word(error))?;
        }
    }

    fn unary(&mut self, depth: usize) -> Result<Expr, ParseError> {
        if self.symbol("-") {
            self.count_operator()?;
            let place = self.place();
            // As tightly as the `-` between two.
            let negative = Expr::Negative(Box::new(self.binary(depth, 3)?));
            return check::operation(&negative).map(|()| negative).map_err(|error| place.word(error));
        }
        if self.symbol("!") {
            self.count_operator()?;
            let place = self.place();
            let not = Expr::Not(Box::new(self.binary(depth, NOT_BINDS)?));
            return check::operation(&not).map(|()| not).map_err(|error| place.word(error));
        }
        if self.symbol("(") {
            let inner = self.binary(depth, 0)?;
            if !self.symbol(")") {
                return Err(self.unexpected("an operator or `)`"));
            }
            return Ok(inner);
        }
        let is_field = match self.peek() {
            Kind::Field(_) => true,
            Kind::Word(word) => lexer::intrinsic_word(word).is_some(),
            _ => false,
        };
        if is_field {
            return Ok(Expr::Field(self.field()?));
        }
        match self.take_literal() {
            Some(value) => Ok(Expr::Static(value)),
            None => Err(self.unexpected("an attribute such as `span.http.route`, an intrinsic or a value")),
        }
    }

    /// An attribute or intrinsic.
    pub(super) fn field(&mut self) -> Result<Field, ParseError> {
        let field = match self.peek() {
            Kind::Field(field) => Some(field.clone()),
            Kind::Word(word) => lexer::intrinsic_word(word).map(Field::Intrinsic),
            _ => None,
        };
        let field = field.ok_or_else(|| self.unexpected("an attribute such as `span.http.route`"))?;
        self.take();
        Ok(field)
    }
}
