//! What is written inside texts: expressions, line patterns, ranges of addresses, paths into JSON.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use parsers::stage::compile_within;

use super::ast::{Expression, IpRange, JsonPath, JsonStep, LinePattern};
use crate::expressions::{Reading, kept};

/// An expression, matched anywhere or on the whole text. A line break is any character where whole texts are matched, as
/// in Prometheus.
pub(super) fn expression(text: String, whole: bool, program: usize) -> Result<Expression, String> {
    let alone = |text: &str| compile_within(text, program);
    if !whole {
        return Ok(Expression { regex: alone(&text)?, text });
    }
    // Complete by itself: `a)|(b` must not become so by what is put round it.
    if text.contains(')') {
        alone(&text)?;
    }
    // An error is told in the words of what was written.
    let anchored = format!("^(?s:{text})$");
    let build = |program| compile_within(&anchored, program);
    let regex = kept(Reading::LokiAnchored, &text, program, build)
        .map_err(|error| alone(&text).err().unwrap_or(error))?;
    Ok(Expression { text, regex })
}

/// Fixed texts with `<_>` between them.
pub(super) fn line_pattern(text: String) -> Result<LinePattern, String> {
    let mut parts: Vec<Option<String>> = Vec::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("<_>") {
        if !before.is_empty() {
            parts.push(Some(before.to_owned()));
        } else if parts.last().is_some_and(Option::is_none) {
            return Err(format!(
                "found consecutive captures `<_><_>` in the pattern {text:?}: some text must stand between them"
            ));
        }
        parts.push(None);
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Some(rest.to_owned()));
    }
    let named = parts.iter().flatten().find_map(|part| {
        let (name, _) = part.split_once('<')?.1.split_once('>')?;
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        (is_name && !name.as_bytes().first().is_some_and(u8::is_ascii_digit)).then_some(name)
    });
    if let Some(name) = named {
        return Err(format!("named captures such as `<{name}>` are not for filters: write `<_>`"));
    }
    Ok(LinePattern { text, parts })
}

/// `10.0.0.1`, `10.0.0.0/8`, `10.0.0.1-10.0.0.9`, and the same of IPv6.
pub(super) fn ip_range(text: String) -> Result<IpRange, String> {
    let refuse =
        || format!("`{text}` is no address: expected for instance 10.0.0.1, 10.0.0.0/8 or 10.0.0.1-10.0.0.9");
    let read = |part: &str| part.trim().parse::<IpAddr>().map_err(|_| refuse());
    let (first, last) = if let Some((address, length)) = text.split_once('/') {
        block(read(address)?, length.trim().parse().map_err(|_| refuse())?).ok_or_else(refuse)?
    } else if let Some((first, last)) = text.split_once('-') {
        (read(first)?, read(last)?)
    } else {
        let one = read(&text)?;
        (one, one)
    };
    if first.is_ipv4() != last.is_ipv4() || first > last {
        return Err(refuse());
    }
    Ok(IpRange { text, first, last })
}

/// First and last address of a block.
fn block(address: IpAddr, length: u32) -> Option<(IpAddr, IpAddr)> {
    Some(match address {
        IpAddr::V4(address) => {
            let rest = u32::MAX.checked_shr(length).unwrap_or(0);
            let first = address.to_bits() & !rest;
            (length <= 32)
                .then(|| (Ipv4Addr::from_bits(first).into(), Ipv4Addr::from_bits(first | rest).into()))?
        }
        IpAddr::V6(address) => {
            let rest = u128::MAX.checked_shr(length).unwrap_or(0);
            let first = address.to_bits() & !rest;
            (length <= 128)
                .then(|| (Ipv6Addr::from_bits(first).into(), Ipv6Addr::from_bits(first | rest).into()))?
        }
    })
}

/// `a.b[0]["c d"]`
pub(super) fn json_path(text: String) -> Result<JsonPath, String> {
    let mut steps = Vec::new();
    let mut rest = text.as_str();
    let refuse = |rest: &str| {
        let came = rest.chars().next().map_or("its end".to_owned(), |c| format!("`{c}`"));
        let column = text.len() - rest.len() + 1;
        format!("the path `{text}` has {came} at column {column}, expected names, dots, [0] or [\"a name\"]")
    };
    let mut name_next = true;
    while !rest.is_empty() || name_next {
        if let Some(inner) = rest.strip_prefix('[') {
            if let Some(quoted) = inner.strip_prefix('"') {
                let end = closing_quote(quoted).ok_or_else(|| refuse(rest))?;
                let (key, after) = quoted.split_at_checked(end).ok_or_else(|| refuse(rest))?;
                rest = after.strip_prefix("\"]").ok_or_else(|| refuse(after))?;
                steps.push(JsonStep::Key(key.replace("\\\"", "\"").replace("\\\\", "\\")));
            } else {
                let (digits, after) = inner.split_once(']').ok_or_else(|| refuse(rest))?;
                steps.push(JsonStep::Index(digits.trim().parse().map_err(|_| refuse(inner))?));
                rest = after;
            }
        } else {
            if !name_next {
                rest = rest.strip_prefix('.').ok_or_else(|| refuse(rest))?;
            }
            let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '@' | '$');
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let (name, after) = rest.split_at_checked(end).ok_or_else(|| refuse(rest))?;
            if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
                return Err(refuse(rest));
            }
            steps.push(JsonStep::Key(name.to_owned()));
            rest = after;
        }
        name_next = false;
    }
    Ok(JsonPath { text, steps })
}

/// Where a quote stands that has no backslash before it.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at),
            _ => {}
        }
    }
    None
}
