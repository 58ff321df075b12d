//! Selectors and the stages behind them.

use std::sync::Arc;

use parsers::stage::{CapturePattern, Template};

use super::ast::*;
use super::literals::{ip_range, json_path, line_pattern};
use super::quantity;
use super::reader::Reader;
use super::token::Token;
use crate::QueryError;

/// What stands behind a name in a label filter.
const COMPARISONS: [&str; 9] = ["=", "==", "!=", "=~", "!~", ">", ">=", "<", "<="];

/// `{a="b", c=~"d"}`
pub(super) fn selector(reader: &mut Reader<'_>) -> Result<Vec<LabelMatcher>, QueryError> {
    reader.expect("{")?;
    let mut matchers = Vec::new();
    while !reader.symbol("}") {
        if !matchers.is_empty() {
            if !reader.symbol(",") {
                return Err(reader.unexpected("`,` or `}`"));
            }
            // A comma may stand behind the last: dashboards that fill in matchers write it.
            if reader.symbol("}") {
                break;
            }
        }
        let name = reader.name(if matchers.is_empty() { "a label name or `}`" } else { "a label name" })?;
        let test = text_test(reader)?;
        matchers.push(LabelMatcher { name, test });
    }
    Ok(matchers)
}

/// `="x"` and the like.
fn text_test(reader: &mut Reader<'_>) -> Result<TextTest, QueryError> {
    let op = ["=", "!=", "=~", "!~"].into_iter().find(|op| reader.symbol(op));
    let Some(op) = op else { return Err(reader.unexpected("`=`, `!=`, `=~` or `!~`")) };
    let (value, at) = reader.text("a text in quotes")?;
    compare(reader, op, value, at)
}

fn compare(reader: &mut Reader<'_>, op: &str, value: String, at: usize) -> Result<TextTest, QueryError> {
    let mut compiled = |value| reader.expression(value, true, at);
    Ok(match op {
        "!=" => TextTest::NotEqual(value),
        "=~" => TextTest::Matches(compiled(value)?),
        "!~" => TextTest::NotMatches(compiled(value)?),
        _ => TextTest::Equal(value),
    })
}

/// All stages up to what is none, or up to an `unwrap`, which is for ranges only.
pub(super) fn stages(reader: &mut Reader<'_>, out: &mut Vec<Stage>) -> Result<(), QueryError> {
    loop {
        let stage = match *reader.peek() {
            Token::Symbol(symbol @ ("|=" | "|~" | "|>" | "!=" | "!~" | "!>")) => {
                // Behind a range, `!=` may compare with a number.
                if symbol == "!=" && !filters_lines(reader) {
                    return Ok(());
                }
                line_filter(reader, symbol)?
            }
            Token::Symbol("|") if reader.sees_word(1, &["unwrap"]) && !is_filter(reader, 1) => {
                return Ok(());
            }
            Token::Symbol("|") => {
                reader.take();
                stage(reader)?
            }
            _ => return Ok(()),
        };
        out.push(stage);
    }
}

/// Whether what a line is filtered by stands behind the next token.
fn filters_lines(reader: &Reader<'_>) -> bool {
    matches!(reader.peek_at(1), Token::Text(_)) || reader.sees_word(1, &["ip"])
}

fn line_filter(reader: &mut Reader<'_>, symbol: &str) -> Result<Stage, QueryError> {
    reader.take();
    let kind = match symbol {
        "|~" | "!~" => LineFilterKind::Regex,
        "|>" | "!>" => LineFilterKind::Pattern,
        _ => LineFilterKind::Text,
    };
    let mut any = Vec::new();
    loop {
        any.push(needle(reader, kind)?);
        if !(reader.sees_word(0, &["or"]) && filters_lines(reader)) {
            return Ok(Stage::Line(LineFilter { negate: symbol.starts_with('!'), kind, any }));
        }
        reader.take();
    }
}

fn needle(reader: &mut Reader<'_>, kind: LineFilterKind) -> Result<Needle, QueryError> {
    if let Some(range) = ip(reader)? {
        if kind != LineFilterKind::Text {
            return Err(reader.refuse(reader.at(), "syntax error: `ip(...)` goes with `|=` and `!=` only"));
        }
        return Ok(Needle::Ip(range));
    }
    let (text, at) = reader.text("a text in quotes or `ip(...)`")?;
    Ok(match kind {
        LineFilterKind::Text => Needle::Text(text),
        LineFilterKind::Regex => Needle::Regex(reader.expression(text, false, at)?),
        LineFilterKind::Pattern => {
            Needle::Pattern(line_pattern(text).map_err(|detail| reader.refuse(at, detail))?)
        }
    })
}

/// `ip("10.0.0.0/8")`, if that is next.
fn ip(reader: &mut Reader<'_>) -> Result<Option<IpRange>, QueryError> {
    if !reader.word("ip") {
        return Ok(None);
    }
    reader.expect("(")?;
    let (text, at) = reader.text("an address, a block or a range of them in quotes")?;
    let range = ip_range(text).map_err(|detail| reader.refuse(at, detail))?;
    reader.expect(")")?;
    Ok(Some(range))
}

/// Whether so many tokens ahead a name is compared with something, whatever the name is. Behind a parser that needs no
/// argument, `!=` and `!~` filter the line.
fn is_filter(reader: &Reader<'_>, ahead: usize) -> bool {
    let alone = reader.sees_word(ahead, &["json", "logfmt", "unpack", "decolorize"]);
    if alone && matches!(reader.peek_at(ahead + 1), Token::Symbol("!=" | "!~")) {
        return false;
    }
    matches!(reader.peek_at(ahead + 1), Token::Symbol(symbol) if COMPARISONS.contains(symbol))
}

fn stage(reader: &mut Reader<'_>) -> Result<Stage, QueryError> {
    let word = match *reader.peek() {
        Token::Word(word) if !is_filter(reader, 0) => word,
        _ => return Ok(Stage::Label(label_filter(reader)?)),
    };
    let at = reader.at();
    reader.take();
    match word.to_ascii_lowercase().as_str() {
        "json" => {
            let mut paths = Vec::new();
            for (name, path, at) in assignments(reader)? {
                paths.push((name, json_path(path).map_err(|detail| reader.refuse(at, detail))?));
            }
            Ok(Stage::Json(paths))
        }
        "logfmt" => logfmt(reader),
        "regexp" => {
            let (text, at) = reader.text("an expression in quotes")?;
            regexp(reader, text, at)
        }
        "pattern" => {
            let (text, at) = reader.text("a pattern in quotes")?;
            let pattern = CapturePattern::new(&text).map_err(|detail| reader.refuse(at, detail))?;
            Ok(Stage::Pattern(Arc::new(pattern)))
        }
        "unpack" => Ok(Stage::Unpack),
        "decolorize" => Ok(Stage::Decolorize),
        "line_format" => Ok(Stage::LineFormat(template(reader)?)),
        "label_format" => label_format(reader),
        "drop" => Ok(Stage::Drop(named(reader)?)),
        "keep" => Ok(Stage::Keep(named(reader)?)),
        "unwrap" => Err(reader.refuse(at, "syntax error: `unwrap` is for ranges such as `[5m]` only, as their last stage")),
        _ => Err(reader.refuse(
            at,
            format!(
                "syntax error: unexpected `{word}`, expecting a stage (json, logfmt, regexp, pattern, unpack, line_format, \
                 label_format, decolorize, drop, keep) or a label filter"
            ),
        )),
    }
}

fn regexp(reader: &mut Reader<'_>, text: String, at: usize) -> Result<Stage, QueryError> {
    let expression = reader.expression(text, false, at)?;
    let mut names: Vec<&str> = expression.regex.capture_names().flatten().collect();
    names.sort_unstable();
    if names.is_empty() {
        let detail = "at least one named capture must be supplied: write for instance `(?P<status>\\d+)`";
        return Err(reader.refuse(at, detail));
    }
    Ok(Stage::Regexp(expression))
}

/// `a="b", c="d", e` with where each value begins; a name alone stands for itself.
fn assignments(reader: &mut Reader<'_>) -> Result<Vec<(String, String, usize)>, QueryError> {
    let mut all = Vec::new();
    while let Token::Word(name) = *reader.peek() {
        // What follows a range is not ours.
        if all.is_empty()
            && reader.sees_word(0, &["offset", "by", "without"])
            && !reader.peek_at(1).eq(&Token::Symbol("="))
        {
            break;
        }
        let at = reader.at();
        reader.take();
        let (path, at) =
            if reader.symbol("=") { reader.text("a text in quotes")? } else { (name.to_owned(), at) };
        all.push((name.to_owned(), path, at));
        if !reader.symbol(",") {
            return Ok(all);
        }
        if !matches!(reader.peek(), Token::Word(_)) {
            return Err(reader.unexpected("a label name"));
        }
    }
    Ok(all)
}

fn logfmt(reader: &mut Reader<'_>) -> Result<Stage, QueryError> {
    let (mut strict, mut keep_empty) = (false, false);
    while let Token::Flag(flag) = *reader.peek() {
        match flag {
            "strict" => strict = true,
            "keep-empty" => keep_empty = true,
            _ => return Err(reader.unexpected("`--strict` or `--keep-empty`")),
        }
        reader.take();
    }
    let keys = assignments(reader)?.into_iter().map(|(name, key, _)| (name, key)).collect();
    Ok(Stage::Logfmt { strict, keep_empty, keys })
}

fn template(reader: &mut Reader<'_>) -> Result<Arc<Template>, QueryError> {
    let (text, at) = reader.text("a template in quotes")?;
    Template::new(&text).map(Arc::new).map_err(|detail| reader.refuse(at, detail))
}

fn label_format(reader: &mut Reader<'_>) -> Result<Stage, QueryError> {
    let mut formats: Vec<(String, LabelFormat)> = Vec::new();
    loop {
        let at = reader.at();
        let name = reader.name("a label name")?;
        if formats.iter().any(|(other, _)| *other == name) {
            let detail = format!("multiple label name '{name}' not allowed in a single format operation");
            return Err(reader.refuse(at, detail));
        }
        if matches!(name.as_str(), "__error__" | "__error_details__") {
            return Err(reader.refuse(at, format!("{name} cannot be formatted")));
        }
        reader.expect("=")?;
        let format = match *reader.peek() {
            Token::Word(from) => {
                reader.take();
                LabelFormat::Rename(from.to_owned())
            }
            _ => LabelFormat::Template(template(reader)?),
        };
        formats.push((name, format));
        if !reader.symbol(",") {
            return Ok(Stage::LabelFormat(formats));
        }
    }
}

fn named(reader: &mut Reader<'_>) -> Result<Vec<Named>, QueryError> {
    let mut all = Vec::new();
    loop {
        let name = reader.name("a label name")?;
        let compared = matches!(reader.peek(), Token::Symbol("=" | "!=" | "=~" | "!~"))
            && matches!(reader.peek_at(1), Token::Text(_));
        let test = if compared { Some(text_test(reader)?) } else { None };
        all.push(Named { name, test });
        if !reader.symbol(",") {
            return Ok(all);
        }
    }
}

/// Label filters joined by `and`, a comma, a space and `or`, of which `or` binds least.
pub(super) fn label_filter(reader: &mut Reader<'_>) -> Result<LabelFilter, QueryError> {
    let mut left = all_filters(reader)?;
    while reader.word("or") {
        reader.operator()?;
        left = LabelFilter::Or(Box::new(left), Box::new(all_filters(reader)?));
    }
    Ok(left)
}

fn all_filters(reader: &mut Reader<'_>) -> Result<LabelFilter, QueryError> {
    let mut left = one_filter(reader)?;
    loop {
        let comma = reader.sees(",");
        // A comma may also end an argument; a filter follows ours.
        let ours = comma && matches!(reader.peek_at(1), Token::Word(_) | Token::Symbol("("));
        // A space joins as well.
        let at_once = matches!(reader.peek(), Token::Word(_)) && is_filter(reader, 0);
        let joined = (ours && reader.symbol(",")) || at_once || reader.word("and");
        if !joined {
            return Ok(left);
        }
        reader.operator()?;
        left = LabelFilter::And(Box::new(left), Box::new(one_filter(reader)?));
    }
}

fn one_filter(reader: &mut Reader<'_>) -> Result<LabelFilter, QueryError> {
    if reader.symbol("(") {
        let filter = reader.deeper(label_filter)?;
        reader.expect(")")?;
        return Ok(filter);
    }
    let name = reader.name("a stage or a label name")?;
    let op = match *reader.peek() {
        Token::Symbol(op) if COMPARISONS.contains(&op) => op,
        _ => return Err(reader.unexpected("a comparison such as `=`, `!=`, `=~` or `>`")),
    };
    reader.take();
    if matches!(op, "=" | "!=")
        && let Some(range) = ip(reader)?
    {
        return Ok(LabelFilter::Ip { name, negate: op == "!=", range });
    }
    if matches!(op, "=" | "!=" | "=~" | "!~") && matches!(reader.peek(), Token::Text(_)) {
        let (value, at) = reader.text("a text in quotes")?;
        return Ok(LabelFilter::Text(LabelMatcher { name, test: compare(reader, op, value, at)? }));
    }
    let op = match op {
        "=" | "==" => Comparison::Equal,
        "!=" => Comparison::NotEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        _ => return Err(reader.unexpected("a text in quotes")),
    };
    Ok(LabelFilter::Number { name, op, value: quantity(reader)? })
}

fn quantity(reader: &mut Reader<'_>) -> Result<Quantity, QueryError> {
    let sign = if reader.symbol("-") {
        -1.0
    } else {
        reader.symbol("+");
        1.0
    };
    let Token::Number(text) = *reader.peek() else {
        return Err(reader.unexpected("a text in quotes, a number, a duration or a size"));
    };
    let number = quantity::number(text).map(|value| Quantity::Number(sign * value));
    let duration = || quantity::duration(text).map(|nanos| Quantity::Duration((sign * nanos).round()));
    let bytes = || quantity::bytes(text, false).map(|bytes| Quantity::Bytes(sign * bytes));
    let value = number.or_else(duration).or_else(bytes).filter(|value| match value {
        Quantity::Number(value) | Quantity::Bytes(value) => value.is_finite(),
        Quantity::Duration(nanos) => nanos.abs() < i64::MAX as f64,
    });
    let value = value
        .ok_or_else(|| reader.unexpected("a number, a duration such as `5s` or a size such as `10KB`"))?;
    reader.take();
    Ok(value)
}
