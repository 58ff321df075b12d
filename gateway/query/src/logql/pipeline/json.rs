//! JSON as lines hold it: walked once from the left, with no tree made of it.

use std::ops::ControlFlow;

use crate::logql::syntax::JsonStep;

/// Objects inside each other at most.
const MAX_DEPTH: usize = 64;

/// A value as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'t> {
    /// What stands between the quotes, and whether there are escapes in it.
    Text(&'t str, bool),
    /// A number, `true` or `false`.
    Plain(&'t str),
    Null,
    Object(&'t str),
    List(&'t str),
}

impl Value<'_> {
    /// Appends the value: texts without quotes and escapes, all others as they are written.
    pub(crate) fn write(self, out: &mut String) {
        match self {
            Self::Text(raw, true) => unescape(raw, out),
            Self::Text(raw, false) | Self::Plain(raw) | Self::Object(raw) | Self::List(raw) => {
                out.push_str(raw);
            }
            Self::Null => {}
        }
    }
}

/// The line is no JSON object; why.
pub(crate) type Fault = &'static str;

#[derive(Debug, Clone, Copy)]
struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Cursor<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes a byte behind white space.
    fn eat(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn slice(&self, from: usize, to: usize) -> &'t str {
        self.text.get(from..to).unwrap_or_default()
    }

    /// What stands behind an opening quote, up to the closing one.
    fn string(&mut self) -> Result<(&'t str, bool), Fault> {
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            let found =
                memchr::memchr2(b'"', b'\\', rest).ok_or("a text in the JSON object has no closing quote")?;
            let is_quote = rest.get(found) == Some(&b'"');
            self.at += found + if is_quote { 1 } else { 2 };
            if is_quote {
                return Ok((self.slice(start, self.at - 1), escaped));
            }
            escaped = true;
        }
    }

    fn value(&mut self) -> Result<Value<'t>, Fault> {
        self.space();
        let start = self.at;
        match self.peek().ok_or("the JSON object ends where a value should stand")? {
            b'"' => {
                self.at += 1;
                self.string().map(|(raw, escaped)| Value::Text(raw, escaped))
            }
            b'{' => self.brackets().map(|()| Value::Object(self.slice(start, self.at))),
            b'[' => self.brackets().map(|()| Value::List(self.slice(start, self.at))),
            _ => {
                while self
                    .peek()
                    .is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
                {
                    self.at += 1;
                }
                match self.slice(start, self.at) {
                    "null" => Ok(Value::Null),
                    plain @ ("true" | "false") => Ok(Value::Plain(plain)),
                    plain if plain.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
                        Ok(Value::Plain(plain))
                    }
                    _ => Err("a value in the JSON object is none that JSON has"),
                }
            }
        }
    }

    /// Passes over an object or a list.
    fn brackets(&mut self) -> Result<(), Fault> {
        let mut depth = 0usize;
        loop {
            match self.peek().ok_or("an object or a list in the JSON is not closed")? {
                b'"' => {
                    self.at += 1;
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// Each key with its value, behind the opening brace.
    fn members(
        &mut self,
        visit: &mut dyn FnMut((&'t str, bool), Value<'t>) -> Result<ControlFlow<()>, Fault>,
    ) -> Result<ControlFlow<()>, Fault> {
        if self.eat(b'}') {
            return Ok(ControlFlow::Continue(()));
        }
        loop {
            if !self.eat(b'"') {
                return Err("a key is expected in the JSON object");
            }
            let key = self.string()?;
            if !self.eat(b':') {
                return Err("a colon is expected in the JSON object");
            }
            if visit(key, self.value()?)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if self.eat(b'}') {
                return Ok(ControlFlow::Continue(()));
            }
            if !self.eat(b',') {
                return Err("a comma or the end is expected in the JSON object");
            }
        }
    }
}

fn object(text: &str) -> Result<Cursor<'_>, Fault> {
    let mut cursor = Cursor { text, at: 0 };
    if cursor.eat(b'{') { Ok(cursor) } else { Err("the line is not a JSON object") }
}

/// Each key and value of an object that is not one of its parts.
pub(super) fn top(text: &str, visit: &mut dyn FnMut(&str, Value<'_>)) -> Result<(), Fault> {
    let mut name = String::new();
    let _ = object(text)?.members(&mut |(key, escaped), value| {
        name.clear();
        Value::Text(key, escaped).write(&mut name);
        visit(&name, value);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(())
}

/// Each scalar of an object: nested keys are joined by `_` and cleaned, as labels are named. Lists and `null` are passed over.
pub(crate) fn flatten(
    text: &str,
    name: &mut String,
    visit: &mut dyn FnMut(&str, Value<'_>) -> ControlFlow<()>,
) -> Result<(), Fault> {
    name.clear();
    level(object(text)?, name, 0, visit).map(|_| ())
}

fn level(
    mut cursor: Cursor<'_>,
    name: &mut String,
    depth: usize,
    visit: &mut dyn FnMut(&str, Value<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, Fault> {
    let before = name.len();
    cursor.members(&mut |(key, escaped), value| {
        name.truncate(before);
        if before > 0 {
            name.push('_');
        }
        if escaped {
            let mut plain = String::new();
            unescape(key, &mut plain);
            clean(&plain, before == 0, name);
        } else {
            clean(key, before == 0, name);
        }
        match value {
            Value::Object(_) if depth >= MAX_DEPTH => Err("objects of the JSON are nested too deep"),
            Value::Object(inner) => level(object(inner)?, name, depth + 1, visit),
            Value::List(_) | Value::Null => Ok(ControlFlow::Continue(())),
            scalar => Ok(visit(name, scalar)),
        }
    })
}

/// Appends a key as a label is named: letters, digits and `_`, no digit at the beginning.
pub(crate) fn clean(key: &str, at_start: bool, out: &mut String) {
    let key = key.trim();
    if at_start && key.starts_with(|c: char| c.is_ascii_digit()) {
        out.push('_');
    }
    if key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        out.push_str(key);
    } else {
        out.extend(key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }));
    }
}

/// The value at a path.
pub(super) fn find<'t>(text: &'t str, path: &[JsonStep]) -> Result<Option<Value<'t>>, Fault> {
    object(text)?;
    let mut value = Value::Object(text.trim_start());
    for step in path {
        let found = match (step, value) {
            (JsonStep::Key(wanted), Value::Object(inner)) => member(inner, wanted)?,
            (JsonStep::Index(index), Value::List(inner)) => item(inner, *index)?,
            _ => None,
        };
        match found {
            Some(found) => value = found,
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

fn member<'t>(text: &'t str, wanted: &str) -> Result<Option<Value<'t>>, Fault> {
    let mut found = None;
    let _ = object(text)?.members(&mut |(key, escaped), value| {
        let same = if escaped {
            let mut plain = String::new();
            unescape(key, &mut plain);
            plain == wanted
        } else {
            key == wanted
        };
        found = same.then_some(value);
        Ok(if same { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(found)
}

fn item(text: &str, index: usize) -> Result<Option<Value<'_>>, Fault> {
    let mut cursor = Cursor { text, at: 0 };
    if !cursor.eat(b'[') || cursor.eat(b']') {
        return Ok(None);
    }
    for _ in 0..index {
        cursor.value()?;
        if !cursor.eat(b',') {
            return Ok(None);
        }
    }
    cursor.value().map(Some)
}

/// Appends a text with its escapes undone; what is no escape is replaced.
fn unescape(raw: &str, out: &mut String) {
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let mut chars = after.chars();
        let plain = match chars.next() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('u') => {
                let (c, length) = code(chars.as_str());
                out.push(c);
                rest = chars.as_str().get(length..).unwrap_or_default();
                continue;
            }
            Some(c) => c,
            None => char::REPLACEMENT_CHARACTER,
        };
        out.push(plain);
        rest = chars.as_str();
    }
    out.push_str(rest);
}

/// The character of four hexadecimal digits, or of two halves of a pair, and how many bytes spell it.
fn code(text: &str) -> (char, usize) {
    let unit = |text: &str| {
        let digits = text.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u16::from_str_radix(digits, 16).ok()
    };
    let Some(first) = unit(text) else { return (char::REPLACEMENT_CHARACTER, 0) };
    let second = text.get(4..).and_then(|rest| rest.strip_prefix("\\u")).and_then(unit);
    match char::decode_utf16(std::iter::once(first).chain(second)).next() {
        Some(Ok(c)) => (c, if c.len_utf16() == 2 { 10 } else { 4 }),
        _ => (char::REPLACEMENT_CHARACTER, 4),
    }
}
