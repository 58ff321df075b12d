//! RFC 5424: a version, six words, structured data, the text.

use std::borrow::Cow;

use crate::record::parse_rfc3339;

use super::{MAX_STRUCTURED, Message, Parameter, said, word};

/// What may stand before the text to say that it is UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What follows the priority, if it is of this form.
pub(super) fn parse(bytes: &[u8]) -> Option<Message<'_>> {
    let (version, rest) = word(bytes);
    if !matches!(version, [b'1'..=b'9'] | [b'1'..=b'9', b'0'..=b'9']) {
        return None;
    }
    let (time, rest) = word(rest);
    let parsed = parse_rfc3339(time);
    if parsed.is_none() && time != b"-" {
        return None;
    }
    let (hostname, rest) = word(rest);
    let (app_name, rest) = word(rest);
    let (proc_id, rest) = word(rest);
    let (msg_id, rest) = word(rest);
    let (structured, text) = match structured(rest) {
        Some((structured, rest)) => (structured, rest.strip_prefix(b" ").unwrap_or(rest)),
        // Not what it should be: nothing of it is lost as text.
        None => (Vec::new(), rest),
    };
    Some(Message {
        time: parsed,
        hostname: said(hostname),
        app_name: said(app_name),
        proc_id: said(proc_id),
        msg_id: said(msg_id),
        structured,
        text: text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text),
        ..Message::default()
    })
}

/// `-` or `[id name="value" …]…`, and what follows.
fn structured(bytes: &[u8]) -> Option<(Vec<Parameter<'_>>, &[u8])> {
    if let Some(rest) = bytes.strip_prefix(b"-") {
        return (rest.is_empty() || rest.starts_with(b" ")).then_some((Vec::new(), rest));
    }
    if bytes.is_empty() {
        return Some((Vec::new(), bytes));
    }
    let (mut found, mut rest) = (Vec::new(), bytes);
    while let Some(inner) = rest.strip_prefix(b"[") {
        let (element, mut inner) = name(inner)?;
        loop {
            inner = inner.trim_ascii_start();
            if let Some(after) = inner.strip_prefix(b"]") {
                rest = after;
                break;
            }
            let (parameter, after) = name(inner)?;
            let (value, after) = value(after.strip_prefix(b"=\"")?)?;
            if found.len() < MAX_STRUCTURED {
                found.push(Parameter { element, name: parameter, value });
            }
            inner = after;
        }
    }
    (rest.len() < bytes.len() && (rest.is_empty() || rest.starts_with(b" "))).then_some((found, rest))
}

/// A name, and what follows it.
fn name(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let length = bytes.iter().take_while(|b| b.is_ascii_graphic() && !b"=]\"".contains(b)).count();
    let (name, rest) = bytes.split_at_checked(length)?;
    Some((said(name)?, rest))
}

/// A value up to its quotation mark, and what follows that.
fn value(bytes: &[u8]) -> Option<(Cow<'_, str>, &[u8])> {
    let mut at = 0;
    let mut escaped = false;
    loop {
        match bytes.get(at)? {
            b'"' => break,
            b'\\' => {
                escaped = true;
                at += 2;
            }
            _ => at += 1,
        }
    }
    let (raw, rest) = bytes.split_at_checked(at)?;
    let text = String::from_utf8_lossy(raw);
    let text = if escaped { Cow::Owned(unescaped(&text)) } else { text };
    Some((text, rest.get(1..)?))
}

/// `\"`, `\\` and `\]` stand for what follows the backslash; any other backslash for itself.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.next_if(|next| c == '\\' && matches!(next, '"' | '\\' | ']'));
        out.push(next.unwrap_or(c));
    }
    out
}
