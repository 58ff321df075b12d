//! Text to a query.

use regex::Regex;
use store::read::{MatchOp, Matcher};

use super::pipeline::{Filter, Format, Needle, Pipeline, Stage};
use super::template::Template;
use super::{Aggregation, Expr, Grouping, Node, RangeOp};
use crate::QueryError;
use crate::lexer::{Kind, Tokens, bytes, duration};

/// Nested brackets and operators at most: the reader calls itself for each.
const MAX_DEPTH: usize = 64;

/// Reads a query.
pub fn parse(text: &str) -> Result<Expr, QueryError> {
    let mut tokens = Tokens::new(text, false)?;
    let node = sum(&mut tokens, 0)?;
    match tokens.peek() {
        Kind::End => Ok(Expr(node)),
        _ => Err(tokens.unexpected("the end of the query")),
    }
}

fn deeper(tokens: &Tokens, depth: usize) -> Result<usize, QueryError> {
    if depth >= MAX_DEPTH {
        return Err(QueryError::at(tokens.column(), format!("nested deeper than {MAX_DEPTH}")));
    }
    Ok(depth + 1)
}

fn binary(op: char, left: Node, right: Node) -> Node {
    Node::Binary { op, left: Box::new(left), right: Box::new(right) }
}

fn sum(tokens: &mut Tokens, depth: usize) -> Result<Node, QueryError> {
    let depth = deeper(tokens, depth)?;
    let mut left = product(tokens, depth)?;
    loop {
        let op = if tokens.symbol("+") {
            '+'
        } else if tokens.symbol("-") {
            '-'
        } else {
            return Ok(left);
        };
        left = binary(op, left, product(tokens, depth)?);
    }
}

fn product(tokens: &mut Tokens, depth: usize) -> Result<Node, QueryError> {
    let mut left = power(tokens, depth)?;
    loop {
        let op = ["*", "/", "%"].into_iter().find(|op| tokens.symbol(op)).and_then(|op| op.chars().next());
        let Some(op) = op else { return Ok(left) };
        left = binary(op, left, power(tokens, depth)?);
    }
}

fn power(tokens: &mut Tokens, depth: usize) -> Result<Node, QueryError> {
    let depth = deeper(tokens, depth)?;
    let left = operand(tokens, depth)?;
    if tokens.symbol("^") { Ok(binary('^', left, power(tokens, depth)?)) } else { Ok(left) }
}

fn operand(tokens: &mut Tokens, depth: usize) -> Result<Node, QueryError> {
    let column = tokens.column();
    match tokens.peek().clone() {
        Kind::Symbol("(") => {
            tokens.take();
            let node = sum(tokens, depth)?;
            tokens.expect(")")?;
            Ok(node)
        }
        Kind::Symbol("{") => Ok(Node::Lines(pipeline(tokens, depth)?)),
        Kind::Symbol(sign @ ("-" | "+")) => {
            tokens.take();
            let value = number(tokens)?;
            Ok(Node::Number(if sign == "-" { -value } else { value }))
        }
        Kind::Number(_) => Ok(Node::Number(number(tokens)?)),
        Kind::Word(word) => {
            tokens.take();
            call(tokens, &word, column, depth)
        }
        _ => Err(tokens.unexpected("a selector such as `{app=\"x\"}`, a function or a number")),
    }
}

fn call(tokens: &mut Tokens, word: &str, column: usize, depth: usize) -> Result<Node, QueryError> {
    let range = match word {
        "count_over_time" => Some(RangeOp::Count),
        "rate" => Some(RangeOp::Rate),
        "bytes_over_time" => Some(RangeOp::Bytes),
        "bytes_rate" => Some(RangeOp::BytesRate),
        _ => None,
    };
    if let Some(op) = range {
        tokens.expect("(")?;
        let mut pipeline = pipeline(tokens, depth)?;
        tokens.expect("[")?;
        let range = nanos(tokens)?;
        tokens.expect("]")?;
        // The stages may stand behind the range as well.
        stages(tokens, &mut pipeline.stages, depth)?;
        let offset = if tokens.word("offset") { nanos(tokens)? } else { 0 };
        tokens.expect(")")?;
        return Ok(Node::Range { op, pipeline, range, offset });
    }
    if word == "vector" {
        tokens.expect("(")?;
        let value = number(tokens)?;
        tokens.expect(")")?;
        return Ok(Node::Vector(value));
    }
    let op = match word {
        "sum" => Aggregation::Sum,
        "min" => Aggregation::Min,
        "max" => Aggregation::Max,
        "avg" => Aggregation::Avg,
        "count" => Aggregation::Count,
        "topk" => Aggregation::Top,
        "bottomk" => Aggregation::Bottom,
        _ => return Err(QueryError::at(column, format!("`{word}` is not supported"))),
    };
    let before = grouping(tokens)?;
    tokens.expect("(")?;
    let mut keep = 0;
    if matches!(op, Aggregation::Top | Aggregation::Bottom) {
        keep = number(tokens)? as usize;
        tokens.expect(",")?;
    }
    let inner = Box::new(sum(tokens, depth)?);
    tokens.expect(")")?;
    let grouping = match before {
        Some(grouping) => grouping,
        None => grouping(tokens)?.unwrap_or_default(),
    };
    Ok(Node::Aggregate { op, grouping, keep, inner })
}

fn grouping(tokens: &mut Tokens) -> Result<Option<Grouping>, QueryError> {
    let without = tokens.word("without");
    if !without && !tokens.word("by") {
        return Ok(None);
    }
    tokens.expect("(")?;
    let mut names = Vec::new();
    while !tokens.symbol(")") {
        names.push(tokens.name("a label name")?);
        if !tokens.symbol(",") && !matches!(tokens.peek(), Kind::Symbol(")")) {
            return Err(tokens.unexpected("`,` or `)`"));
        }
    }
    Ok(Some(Grouping { without, names }))
}

fn number(tokens: &mut Tokens) -> Result<f64, QueryError> {
    match tokens.peek().clone() {
        Kind::Number(text) if text.parse::<f64>().is_ok() => {
            tokens.take();
            Ok(text.parse().unwrap_or(f64::NAN))
        }
        _ => Err(tokens.unexpected("a number")),
    }
}

fn nanos(tokens: &mut Tokens) -> Result<u64, QueryError> {
    match tokens.peek().clone() {
        Kind::Number(text) => match duration(&text) {
            Some(nanos) if nanos >= 1.0 => {
                tokens.take();
                Ok(nanos as u64)
            }
            _ => Err(tokens.unexpected("a duration such as `5m`")),
        },
        _ => Err(tokens.unexpected("a duration such as `5m`")),
    }
}

fn pipeline(tokens: &mut Tokens, depth: usize) -> Result<Pipeline, QueryError> {
    let mut open = 0;
    while tokens.symbol("(") {
        open += 1;
    }
    tokens.expect("{")?;
    let mut matchers = Vec::new();
    while !tokens.symbol("}") {
        matchers.push(matcher(tokens)?);
        if !tokens.symbol(",") && !matches!(tokens.peek(), Kind::Symbol("}")) {
            return Err(tokens.unexpected("`,` or `}`"));
        }
    }
    let mut pipeline = Pipeline { matchers, stages: Vec::new() };
    stages(tokens, &mut pipeline.stages, depth)?;
    for _ in 0..open {
        tokens.expect(")")?;
    }
    Ok(pipeline)
}

fn matcher(tokens: &mut Tokens) -> Result<Matcher, QueryError> {
    let name = tokens.name("a label name")?;
    let column = tokens.column();
    let op = tokens.take();
    let at = tokens.column();
    let value = tokens.text("a quoted value")?;
    let op = match op {
        Kind::Symbol("=") => MatchOp::Equal(value),
        Kind::Symbol("!=") => MatchOp::NotEqual(value),
        Kind::Symbol("=~") => MatchOp::Regex(anchored(&value, at)?),
        Kind::Symbol("!~") => MatchOp::NotRegex(anchored(&value, at)?),
        other => {
            return Err(QueryError::at(
                column,
                format!("expected =, !=, =~ or !~, found {}", other.describe()),
            ));
        }
    };
    Ok(Matcher { name, op })
}

fn anchored(text: &str, column: usize) -> Result<Regex, QueryError> {
    regex(&format!("^(?s:{text})$"), column)
}

fn regex(text: &str, column: usize) -> Result<Regex, QueryError> {
    Regex::new(text)
        .map_err(|error| QueryError::at(column, format!("the regular expression cannot be read: {error}")))
}

fn stages(tokens: &mut Tokens, out: &mut Vec<Stage>, depth: usize) -> Result<(), QueryError> {
    loop {
        let stage = match tokens.peek() {
            Kind::Symbol(symbol @ ("|=" | "|~" | "!=" | "!~")) => {
                let symbol = *symbol;
                tokens.take();
                line_filter(tokens, symbol)?
            }
            Kind::Symbol("|") => {
                tokens.take();
                stage(tokens, depth)?
            }
            Kind::Symbol(symbol @ ("|>" | "!>")) => {
                return Err(QueryError::at(
                    tokens.column(),
                    format!("pattern filters (`{symbol}`) are not supported"),
                ));
            }
            _ => return Ok(()),
        };
        out.push(stage);
    }
}

fn line_filter(tokens: &mut Tokens, symbol: &str) -> Result<Stage, QueryError> {
    let mut any = Vec::new();
    loop {
        let column = tokens.column();
        let text = tokens.text("a quoted text")?;
        any.push(if symbol.ends_with('~') {
            Needle::Regex(regex(&text, column)?)
        } else {
            Needle::Text(text)
        });
        if !tokens.word("or") {
            return Ok(Stage::Line { negate: symbol.starts_with('!'), any });
        }
    }
}

fn stage(tokens: &mut Tokens, depth: usize) -> Result<Stage, QueryError> {
    // A name before an operator is a filter, whatever the name is.
    let filter = matches!(
        tokens.peek_second(),
        Kind::Symbol("=" | "==" | "!=" | "=~" | "!~" | ">" | ">=" | "<" | "<=")
    );
    let column = tokens.column();
    match tokens.peek().clone() {
        Kind::Word(word) if !filter => {
            tokens.take();
            named_stage(tokens, &word, column)
        }
        _ => Ok(Stage::Filter(any_filter(tokens, depth)?)),
    }
}

fn named_stage(tokens: &mut Tokens, word: &str, column: usize) -> Result<Stage, QueryError> {
    match word {
        "json" => {
            let mut paths = Vec::new();
            while let Kind::Word(name) = tokens.peek().clone() {
                tokens.take();
                let path = if tokens.symbol("=") { tokens.text("a quoted path")? } else { name.clone() };
                paths.push((name, path));
                tokens.symbol(",");
            }
            Ok(Stage::Json(paths))
        }
        "logfmt" => {
            // `--strict` and `--keep-empty` change only what is done with broken pairs.
            while tokens.symbol("-") {
                tokens.symbol("-");
                while matches!(tokens.peek(), Kind::Word(_)) {
                    tokens.take();
                    if !tokens.symbol("-") {
                        break;
                    }
                }
            }
            Ok(Stage::Logfmt)
        }
        "regexp" => {
            let at = tokens.column();
            Ok(Stage::Regexp(regex(&tokens.text("a quoted expression")?, at)?))
        }
        "drop" => Ok(Stage::Drop(names(tokens)?)),
        "keep" => Ok(Stage::Keep(names(tokens)?)),
        "decolorize" => Ok(Stage::Decolorize),
        "line_format" => Ok(Stage::LineFormat(template(tokens)?)),
        "label_format" => {
            let mut formats = Vec::new();
            loop {
                let name = tokens.name("a label name")?;
                tokens.expect("=")?;
                let format = match tokens.peek().clone() {
                    Kind::Word(from) => {
                        tokens.take();
                        Format::Rename(from)
                    }
                    _ => Format::Template(template(tokens)?),
                };
                formats.push((name, format));
                if !tokens.symbol(",") {
                    return Ok(Stage::LabelFormat(formats));
                }
            }
        }
        _ => Err(QueryError::at(column, format!("the stage `{word}` is not supported"))),
    }
}

fn template(tokens: &mut Tokens) -> Result<Template, QueryError> {
    let column = tokens.column();
    let text = tokens.text("a quoted template")?;
    Template::new(&text).map_err(|detail| QueryError::at(column, detail))
}

fn names(tokens: &mut Tokens) -> Result<Vec<String>, QueryError> {
    let mut names = vec![tokens.name("a label name")?];
    while tokens.symbol(",") {
        names.push(tokens.name("a label name")?);
    }
    Ok(names)
}

fn any_filter(tokens: &mut Tokens, depth: usize) -> Result<Filter, QueryError> {
    let depth = deeper(tokens, depth)?;
    let mut left = all_filter(tokens, depth)?;
    while tokens.word("or") {
        left = Filter::Or(Box::new(left), Box::new(all_filter(tokens, depth)?));
    }
    Ok(left)
}

fn all_filter(tokens: &mut Tokens, depth: usize) -> Result<Filter, QueryError> {
    let mut left = one_filter(tokens, depth)?;
    while tokens.word("and") || tokens.symbol(",") {
        left = Filter::And(Box::new(left), Box::new(one_filter(tokens, depth)?));
    }
    Ok(left)
}

fn one_filter(tokens: &mut Tokens, depth: usize) -> Result<Filter, QueryError> {
    if tokens.symbol("(") {
        let filter = any_filter(tokens, depth)?;
        tokens.expect(")")?;
        return Ok(filter);
    }
    let name = tokens.name("a stage or a label name")?;
    let column = tokens.column();
    let Kind::Symbol(op) = tokens.take() else {
        return Err(QueryError::at(column, "expected a comparison such as = or >"));
    };
    let at = tokens.column();
    match (op, tokens.take()) {
        ("=" | "==", Kind::Text(value)) => Ok(Filter::Text { name, negate: false, value }),
        ("!=", Kind::Text(value)) => Ok(Filter::Text { name, negate: true, value }),
        ("=~", Kind::Text(value)) => Ok(Filter::Regex { name, negate: false, value: anchored(&value, at)? }),
        ("!~", Kind::Text(value)) => Ok(Filter::Regex { name, negate: true, value: anchored(&value, at)? }),
        ("=" | "==" | "!=" | ">" | ">=" | "<" | "<=", Kind::Number(text)) => {
            let value = text.parse().ok().or_else(|| duration(&text)).or_else(|| bytes(&text));
            let value = value.ok_or_else(|| QueryError::at(at, "expected a number, a duration or a size"))?;
            Ok(Filter::Number { name, op, value })
        }
        (_, other) => Err(QueryError::at(
            at,
            format!("expected a quoted value or a number, found {}", other.describe()),
        )),
    }
}
