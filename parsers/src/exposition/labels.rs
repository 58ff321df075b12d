//! Names and labels, with their quotes and escapes.

use std::borrow::Cow;

use super::{sample, skip_space};

/// Names and values as they came.
pub type LabelPairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Reads what [`super::SampleLine::series`] holds: the name as `__name__` first, then the labels in their order.
pub fn series_labels(series: &str) -> Result<LabelPairs<'_>, &'static str> {
    let mut pairs = Vec::with_capacity(8);
    let open = series.find('{').unwrap_or(series.len());
    let (name, labels) = series.split_at(open);
    let name = name.trim_end_matches([' ', '\t']);
    if !name.is_empty() {
        if !is_metric_name(name) {
            return Err("a metric's name with other characters than letters, digits, `_` and `:`");
        }
        pairs.push((Cow::Borrowed("__name__"), Cow::Borrowed(name)));
    }
    if !labels.is_empty() {
        let rest = braces(labels, &mut pairs)?;
        if !rest.is_empty() {
            return Err("something between labels and value");
        }
    }
    if pairs.first().is_none_or(|(name, _)| name != "__name__") {
        return Err("a series without a name");
    }
    for (at, (name, _)) in pairs.iter().enumerate() {
        if pairs.iter().take(at).any(|(earlier, _)| earlier == name) {
            return Err("a label twice");
        }
    }
    Ok(pairs)
}

/// Reads `{...}`; gives what follows. A quoted text without a value is the series' name, and becomes the first.
pub(super) fn braces<'a>(text: &'a str, pairs: &mut LabelPairs<'a>) -> Result<&'a str, &'static str> {
    let mut rest = skip_space(text.strip_prefix('{').ok_or("no labels")?);
    loop {
        if let Some(behind) = rest.strip_prefix('}') {
            return Ok(behind);
        }
        let name;
        let quotes = rest.starts_with('"');
        if quotes {
            (name, rest) = quoted(rest)?;
        } else {
            let end = rest.bytes().position(|byte| !byte.is_ascii_alphanumeric() && byte != b'_');
            let (plain, behind) = rest.split_at(end.unwrap_or(rest.len()));
            if plain.is_empty() || plain.starts_with(|c: char| c.is_ascii_digit()) {
                return Err("a label's name that is neither quoted nor of letters, digits and `_`");
            }
            (name, rest) = (Cow::Borrowed(plain), behind);
        }
        if name.is_empty() {
            return Err("a name of no length");
        }
        rest = skip_space(rest);
        if let Some(behind) = rest.strip_prefix('=') {
            let (value, behind) = quoted(skip_space(behind))?;
            if name == "__name__" {
                return Err("a label `__name__`");
            }
            pairs.push((name, value));
            rest = skip_space(behind);
        } else if quotes && pairs.first().is_none_or(|(first, _)| first != "__name__") {
            pairs.insert(0, (Cow::Borrowed("__name__"), name));
        } else {
            return Err("a label without a value");
        }
        match rest.strip_prefix(',') {
            Some(behind) => rest = skip_space(behind),
            None if rest.starts_with('}') => {}
            None => return Err("no comma between labels"),
        }
    }
}

/// Reads `"..."`; gives what follows.
pub(super) fn quoted(text: &str) -> Result<(Cow<'_, str>, &str), &'static str> {
    let inside = text.strip_prefix('"').ok_or("no quotes round a value")?;
    let mut escaped = false;
    let end = inside.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    let (value, rest) = end.and_then(|end| inside.split_at_checked(end)).ok_or("quotes without an end")?;
    Ok((unescaped(value), rest.get(1..).unwrap_or_default()))
}

/// Undoes `\\`, `\"` and `\n`. Other escapes are none.
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some(c @ ('\\' | '"')) => out.push(c),
            Some(c) => out.extend(['\\', c]),
            None => out.push('\\'),
        }
    }
    Cow::Owned(out)
}

pub(super) fn is_metric_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// A bound of a bucket or a quantile as OpenMetrics writes it: `1` as `1.0`, `1000000` as `1e+06`. The two formats write them
/// differently, and one series must not become two when its program changes over. `None` if it is no number.
pub fn canonical_float(text: &str) -> Option<String> {
    let value = sample::value_of(text).ok()?;
    if value.is_nan() {
        return Some("NaN".to_owned());
    }
    if value.is_infinite() {
        return Some(if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned());
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e')?;
    let exponent: i32 = exponent.parse().ok()?;
    // Where Go's shortest form changes over.
    if !(-4..=5).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return Some(format!("{digits}e{sign}{:02}", exponent.abs()));
    }
    let plain = format!("{value}");
    Some(if plain.contains('.') { plain } else { format!("{plain}.0") })
}
