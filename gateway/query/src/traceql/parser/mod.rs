//! Text to a query: pipelines, span sets and numbers of them. Expressions over a span are in `expression`, functions of
//! metrics in `metrics`.

mod expression;
mod metrics;

use super::ast::*;
use super::check;
use super::error::{ParseError, Place};
use super::lexer::{self, Kind};
use super::names;

/// Brackets, pipelines and operators inside each other at most: the reader calls itself for each.
const MAX_DEPTH: usize = 64;
/// Operators of a query at most: what works on it calls itself for each of a chain.
const MAX_OPERATORS: usize = 400;
/// Characters of a query at most. Tempo's own bound is the same.
const MAX_LENGTH: usize = 128 << 10;

/// Where a query begins.
const START: Place = Place { line: 1, column: 1 };

/// Reads a query.
pub fn parse(text: &str) -> Result<Query, ParseError> {
    if text.len() > MAX_LENGTH {
        let detail = format!("the query has {} bytes, at most {MAX_LENGTH} are read", text.len());
        return Err(START.word(detail));
    }
    let mut parser = Parser { tokens: lexer::tokens(text)?, next: 0, operators: 0, expressions: 0 };
    parser.query()
}

/// The name of an attribute or intrinsic as it stands in a query.
pub fn field(text: &str) -> Result<Field, ParseError> {
    let mut parser = Parser { tokens: lexer::tokens(text)?, next: 0, operators: 0, expressions: 0 };
    let field = parser.field()?;
    parser.end()?;
    Ok(field)
}

struct Parser {
    tokens: Vec<(Place, Kind)>,
    next: usize,
    operators: usize,
    expressions: usize,
}

/// What an operand turns out to be.
enum Operand {
    Spans(Spans),
    Scalar(Scalar),
    /// A comparison of numbers: nothing may follow but a pipe.
    Filter(ScalarFilter),
}

/// What stands between brackets, or makes up a whole query.
enum Body {
    Pipeline(Pipeline),
    /// Ends in a number: `{ ... } | count()`, or is one alone.
    Scalar(Scalar),
}

impl Parser {
    fn peek(&self) -> &Kind {
        self.tokens.get(self.next).map_or(&Kind::End, |(_, kind)| kind)
    }

    fn place(&self) -> Place {
        let token = self.tokens.get(self.next).or(self.tokens.last());
        token.map_or(START, |(place, _)| *place)
    }

    fn take(&mut self) -> Kind {
        let kind = self.peek().clone();
        self.next = (self.next + 1).min(self.tokens.len());
        kind
    }

    fn unexpected(&self, expected: &str) -> ParseError {
        self.place().syntax(self.peek().describe(), expected)
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Kind::Symbol(next) if *next == symbol);
        if found {
            self.take();
        }
        found
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Kind::Word(next) if next == word)
    }

    fn expect(&mut self, symbol: &str) -> Result<(), ParseError> {
        if self.symbol(symbol) { Ok(()) } else { Err(self.unexpected(&format!("`{symbol}`"))) }
    }

    fn end(&self) -> Result<(), ParseError> {
        if *self.peek() == Kind::End { Ok(()) } else { Err(self.unexpected("the end of the query")) }
    }

    /// One level further in.
    fn deeper(&self, depth: usize) -> Result<usize, ParseError> {
        if depth >= MAX_DEPTH {
            return Err(self.place().word(format!("nested deeper than {MAX_DEPTH}")));
        }
        Ok(depth + 1)
    }

    /// One operator more.
    fn count_operator(&mut self) -> Result<(), ParseError> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            return Err(self.place().word(format!("more than {MAX_OPERATORS} operators")));
        }
        Ok(())
    }

    fn query(&mut self) -> Result<Query, ParseError> {
        let start = self.place();
        let mut stages = match self.body(0)? {
            Body::Pipeline(pipeline) => pipeline,
            Body::Scalar(_) => return Err(self.unexpected("a comparison such as `>`")),
        };
        let mut metrics = None;
        if self.symbol("|") {
            // The body ended here because a function of metrics follows.
            metrics = Some(self.metrics()?);
        }
        if stages.0.is_empty() {
            return Err(start.syntax(self.peek().describe(), "a span set such as `{ }`"));
        }
        let hints = if self.is_word("with") { self.hints()? } else { Vec::new() };
        match self.peek() {
            Kind::End => Ok(Query { pipeline: Pipeline(std::mem::take(&mut stages.0)), metrics, hints }),
            _ if metrics.is_some() => Err(self.unexpected("`|`, `with` or the end of the query")),
            _ => Err(self.unexpected("an operator, `|` or the end of the query")),
        }
    }

    /// Stages up to a bracket, the end, or a function of metrics.
    fn body(&mut self, depth: usize) -> Result<Body, ParseError> {
        let depth = self.deeper(depth)?;
        let mut stages = Vec::new();
        loop {
            let first = stages.is_empty();
            if self.is_word("by") {
                self.take();
                self.expect("(")?;
                let place = self.place();
                let expr = self.expression(depth)?;
                check::grouping(&expr).map_err(|error| place.word(error))?;
                self.expect(")")?;
                stages.push(Stage::By(expr));
            } else if !first && self.is_word("coalesce") {
                self.take();
                self.expect("(")?;
                self.expect(")")?;
                stages.push(Stage::Coalesce);
            } else if !first && self.is_word("select") {
                self.take();
                self.expect("(")?;
                stages.push(Stage::Select(self.fields()?));
            } else {
                let place = self.place();
                match self.join(depth, 0)? {
                    Operand::Spans(spans) => stages.push(Stage::Spans(spans)),
                    Operand::Filter(filter) => stages.push(Stage::Filter(filter)),
                    Operand::Scalar(scalar) if first => return Ok(Body::Scalar(scalar)),
                    Operand::Scalar(Scalar::Aggregate(aggregate)) => {
                        return Ok(Body::Scalar(Scalar::Pipeline(Pipeline(stages), aggregate)));
                    }
                    Operand::Scalar(scalar) => {
                        return Err(place.syntax(format!("`{scalar}`"), "a comparison of it"));
                    }
                }
            }
            let after = self.tokens.get(self.next + 1).map(|(_, kind)| kind);
            let metrics = matches!(after, Some(Kind::Word(word)) if metrics::is_function(word));
            if !matches!(self.peek(), Kind::Symbol("|")) || (metrics && depth == 1) {
                return Ok(Body::Pipeline(Pipeline(stages)));
            }
            self.take();
        }
    }

    /// Operands and what joins them, down to operators that bind as tightly as this.
    fn join(&mut self, depth: usize, binds: u8) -> Result<Operand, ParseError> {
        let mut left = self.operand(depth)?;
        loop {
            let Kind::Symbol(symbol) = *self.peek() else { return Ok(left) };
            left = match left {
                Operand::Spans(spans) => {
                    let op = names::SET_OPS.iter().find(|(text, _)| *text == symbol).map(|(_, op)| *op);
                    let Some(op) = op else { return Ok(Operand::Spans(spans)) };
                    let tight = if matches!(op, SetOp::And | SetOp::Or) { 1 } else { 2 };
                    if tight <= binds {
                        return Ok(Operand::Spans(spans));
                    }
                    self.take();
                    self.count_operator()?;
                    let place = self.place();
                    match self.join(depth, tight)? {
                        Operand::Spans(right) => {
                            Operand::Spans(Spans::Join(op, Box::new(spans), Box::new(right)))
                        }
                        Operand::Scalar(scalar) => {
                            return Err(place.syntax(format!("`{scalar}`"), "a span set such as `{ }`"));
                        }
                        Operand::Filter(filter) => {
                            return Err(place.syntax(format!("`{filter}`"), "a span set such as `{ }`"));
                        }
                    }
                }
                Operand::Scalar(scalar) => {
                    let Some((op, tight)) = names::operator_of(symbol) else {
                        return Ok(Operand::Scalar(scalar));
                    };
                    let wanted = matches!(op, Operator::Compare(_) | Operator::Arithmetic(_));
                    if !wanted || tight <= binds {
                        return Ok(Operand::Scalar(scalar));
                    }
                    self.take();
                    self.count_operator()?;
                    let place = self.place();
                    // Powers group to the right.
                    let least = if op == Operator::Arithmetic(Arithmetic::Pow) { tight - 1 } else { tight };
                    let depth = self.deeper(depth)?;
                    match (op, self.join(depth, least)?) {
                        (Operator::Compare(op), Operand::Scalar(right)) => {
                            let filter = ScalarFilter { left: scalar, op, right };
                            check::scalar_filter(&filter).map_err(|error| place.word(error))?;
                            Operand::Filter(filter)
                        }
                        (Operator::Arithmetic(op), Operand::Scalar(right)) => {
                            let sum = Scalar::Arithmetic(op, Box::new(scalar), Box::new(right));
                            check::scalar(&sum).map_err(|error| place.word(error))?;
                            Operand::Scalar(sum)
                        }
                        (_, Operand::Spans(spans)) => {
                            return Err(place.syntax(format!("`{spans}`"), "a number"));
                        }
                        (_, Operand::Filter(filter)) => {
                            return Err(place.syntax(format!("`{filter}`"), "a number"));
                        }
                        _ => return Err(place.syntax(format!("`{symbol}`"), "a comparison")),
                    }
                }
                filter @ Operand::Filter(_) => return Ok(filter),
            };
        }
    }

    fn operand(&mut self, depth: usize) -> Result<Operand, ParseError> {
        let depth = self.deeper(depth)?;
        match self.peek().clone() {
            Kind::Symbol("{") => Ok(Operand::Spans(Spans::Where(self.braces(depth)?))),
            Kind::Symbol("(") => {
                self.take();
                let body = self.body(depth)?;
                self.expect(")")?;
                Ok(match body {
                    Body::Scalar(scalar) => Operand::Scalar(scalar),
                    Body::Pipeline(mut pipeline) => match (pipeline.0.pop(), pipeline.0.is_empty()) {
                        (Some(Stage::Spans(spans)), true) => Operand::Spans(spans),
                        (last, _) => {
                            pipeline.0.extend(last);
                            Operand::Spans(Spans::Pipeline(pipeline))
                        }
                    },
                })
            }
            Kind::Symbol("-") => {
                self.take();
                match self.take_literal() {
                    Some(value @ (Static::Int(_) | Static::Float(_) | Static::Duration(_))) => {
                        Ok(Operand::Scalar(Scalar::Negative(value)))
                    }
                    _ => Err(self.unexpected("a number")),
                }
            }
            Kind::Word(word) => {
                if let Some((_, function)) = names::AGGREGATES.iter().find(|(name, _)| *name == word) {
                    self.take();
                    return Ok(Operand::Scalar(Scalar::Aggregate(self.aggregate(*function, depth)?)));
                }
                match self.take_literal() {
                    Some(value) => Ok(Operand::Scalar(Scalar::Static(value))),
                    None => Err(self.unexpected("a span set such as `{ }`, or a stage such as `count()`")),
                }
            }
            Kind::Literal(_) => match self.take_literal() {
                Some(value) => Ok(Operand::Scalar(Scalar::Static(value))),
                None => Err(self.unexpected("a span set such as `{ }`")),
            },
            _ => Err(self.unexpected("a span set such as `{ }`")),
        }
    }

    /// `{ ... }`; without anything in it, any span.
    fn braces(&mut self, depth: usize) -> Result<Expr, ParseError> {
        self.expect("{")?;
        if self.symbol("}") {
            return Ok(Expr::Static(Static::Bool(true)));
        }
        let place = self.place();
        let expr = self.expression(depth)?;
        if !self.symbol("}") {
            return Err(self.unexpected("an operator or `}`"));
        }
        check::filter(&expr).map(|()| expr).map_err(|error| place.word(error))
    }

    fn aggregate(&mut self, function: AggregateFunction, depth: usize) -> Result<Aggregate, ParseError> {
        self.expect("(")?;
        let place = self.place();
        let of = if function == AggregateFunction::Count { None } else { Some(self.expression(depth)?) };
        self.expect(")")?;
        let aggregate = Aggregate { function, of };
        check::aggregate(&aggregate).map(|()| aggregate).map_err(|error| place.word(error))
    }

    /// A literal, if one is next.
    fn take_literal(&mut self) -> Option<Static> {
        let value = match self.peek() {
            Kind::Literal(value) => value.clone(),
            Kind::Word(word) => lexer::value_of(word)?,
            _ => return None,
        };
        self.take();
        Some(value)
    }

    /// Fields up to the bracket that ends them.
    fn fields(&mut self) -> Result<Vec<Field>, ParseError> {
        let mut fields = Vec::new();
        loop {
            fields.push(self.field()?);
            if self.symbol(")") {
                return Ok(fields);
            }
            if !self.symbol(",") {
                return Err(self.unexpected("`,` or `)`"));
            }
            self.count_operator()?;
        }
    }
}
