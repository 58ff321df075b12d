//! Functions that spell texts otherwise: indented, aligned, encoded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::values::{Failed, Value};
use crate::stage::entry::MAX_VALUE;

/// Spaces before each line.
pub(super) fn indent(spaces: i64, text: &str) -> Result<Value, Failed> {
    let spaces = usize::try_from(spaces).unwrap_or(0);
    if text.matches('\n').count().saturating_add(1).saturating_mul(spaces) > MAX_VALUE {
        return Err(Failed::too_long());
    }
    let pad = " ".repeat(spaces);
    Ok(Value::Text(format!("{pad}{}", text.replace('\n', &format!("\n{pad}")))))
}

/// Cut or filled up to so many characters; `left` keeps the beginning.
pub(super) fn align(width: i64, text: &str, left: bool) -> Result<Value, Failed> {
    let Ok(width) = usize::try_from(width) else { return Ok(Value::text(text)) };
    if width > MAX_VALUE {
        return Err(Failed::too_long());
    }
    let length = text.chars().count();
    Ok(Value::Text(match (length.checked_sub(width), left) {
        (Some(_), true) => text.chars().take(width).collect(),
        (Some(over), false) => text.chars().skip(over).collect(),
        (None, true) => format!("{text}{}", " ".repeat(width - length)),
        (None, false) => format!("{}{text}", " ".repeat(width - length)),
    }))
}

pub(super) fn to_base64(text: &str) -> String {
    STANDARD.encode(text)
}

/// What is no base64 says so, as sprig has it.
pub(super) fn from_base64(text: &str) -> String {
    match STANDARD.decode(text) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => error.to_string(),
    }
}

/// As a part of a URL's query.
pub(super) fn to_query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

pub(super) fn from_query(text: &str) -> Result<Value, Failed> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let code = digit().zip(digit()).ok_or_else(|| Failed::because("invalid URL escape"))?;
                (code.0 * 16 + code.1) as u8
            }
            other => other,
        });
    }
    Ok(Value::Text(String::from_utf8_lossy(&out).into_owned()))
}

pub(super) fn to_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

pub(super) fn to_javascript(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", c as u32)),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", c as u32)),
            c => out.push(c),
        }
    }
    out
}
