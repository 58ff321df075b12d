//! `print` and `printf`, as Go's `fmt` has them: <https://pkg.go.dev/fmt>. What does not fit is told in the text, as there.

use std::iter::Peekable;
use std::str::Chars;

use super::values::{Failed, Value, spell};
use crate::stage::entry::MAX_VALUE;

/// Columns and digits at most: Go's own bound on numbers in formats.
const MAX_WIDTH: usize = 1_000_000;
/// Digits of a fraction at most: the longest fractions have as many.
const MAX_DIGITS: usize = 1_100;

/// With spaces between operands of which neither is a text.
pub(super) fn print(arguments: &[Value]) -> String {
    let mut out = String::new();
    let mut after_text = true;
    for value in arguments {
        let is_text = matches!(value, Value::Text(_));
        if !is_text && !after_text {
            out.push(' ');
        }
        after_text = is_text;
        match value {
            Value::Missing => out.push_str("<nil>"),
            value => out.push_str(&value.print()),
        }
    }
    out
}

pub(super) fn printf(format: &str, arguments: &[Value]) -> Result<String, Failed> {
    let mut run = Run { chars: format.chars().peekable(), arguments, next: 0, reordered: false };
    let mut out = String::new();
    while let Some(c) = run.chars.next() {
        if c == '%' {
            run.directive(&mut out)?;
        } else {
            out.push(c);
        }
        if out.len() > MAX_VALUE {
            return Err(Failed::too_long());
        }
    }
    let extra = arguments.get(run.next..).unwrap_or_default();
    if !run.reordered && !extra.is_empty() {
        let told: Vec<String> = extra.iter().map(told).collect();
        out.push_str(&format!("%!(EXTRA {})", told.join(", ")));
    }
    Ok(out)
}

/// A value with its type.
fn told(value: &Value) -> String {
    match value {
        Value::Missing => "<nil>".to_owned(),
        value => format!("{}={}", value.kind(), value.print()),
    }
}

/// Flags, width and precision of a directive.
#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

struct Run<'f> {
    chars: Peekable<Chars<'f>>,
    arguments: &'f [Value],
    next: usize,
    /// Whether an argument was chosen by its number: then others may be left over.
    reordered: bool,
}

impl Run<'_> {
    fn directive(&mut self, out: &mut String) -> Result<(), Failed> {
        let mut flags = Flags::default();
        while let Some(flag) = self.chars.next_if(|c| matches!(c, '+' | '-' | '#' | ' ' | '0')) {
            match flag {
                '+' => flags.plus = true,
                '-' => flags.minus = true,
                '#' => flags.sharp = true,
                ' ' => flags.space = true,
                _ => flags.zero = true,
            }
        }
        let mut good = self.chosen();
        if self.chars.next_if_eq(&'*').is_some() {
            match self.integer() {
                Some(width) => {
                    flags.minus |= width < 0;
                    flags.width = Some(bounded(width.unsigned_abs())?);
                }
                None => out.push_str("%!(BADWIDTH)"),
            }
        } else {
            flags.width = self.number()?;
        }
        if self.chars.next_if_eq(&'.').is_some() {
            good &= self.chosen();
            if self.chars.next_if_eq(&'*').is_some() {
                match self.integer() {
                    Some(precision) if precision >= 0 => {
                        flags.precision = Some(bounded(precision.unsigned_abs())?);
                    }
                    _ => out.push_str("%!(BADPREC)"),
                }
            } else {
                flags.precision = Some(self.number()?.unwrap_or(0));
            }
        }
        good &= self.chosen();
        let Some(verb) = self.chars.next() else {
            out.push_str("%!(NOVERB)");
            return Ok(());
        };
        if verb == '%' {
            out.push('%');
        } else if !good {
            out.push_str(&format!("%!{verb}(BADINDEX)"));
        } else if let Some(value) = self.arguments.get(self.next) {
            self.next += 1;
            // Of `%v` these flags choose a form; there is but Go's own, and the plain one.
            let go = verb == 'v' && flags.sharp;
            if verb == 'v' {
                (flags.sharp, flags.plus) = (false, false);
            }
            out.push_str(&if go {
                flags.padded(&spelled_in_go(value))
            } else {
                flags.spelled(value, verb)?
            });
        } else {
            out.push_str(&format!("%!{verb}(MISSING)"));
        }
        Ok(())
    }

    /// `[2]` chooses the argument that is next; false if there is none such.
    fn chosen(&mut self) -> bool {
        if self.chars.next_if_eq(&'[').is_none() {
            return true;
        }
        self.reordered = true;
        let mut inside = String::new();
        let mut closed = false;
        for c in self.chars.by_ref() {
            if c == ']' {
                closed = true;
                break;
            }
            inside.push(c);
        }
        let index = inside.parse::<usize>().ok().and_then(|index| index.checked_sub(1));
        match index.filter(|index| closed && *index < self.arguments.len()) {
            Some(index) => {
                self.next = index;
                true
            }
            None => false,
        }
    }

    /// The next argument, which says a width or a precision.
    fn integer(&mut self) -> Option<i64> {
        let value = self.arguments.get(self.next)?;
        self.next += 1;
        if let Value::Int(int) = value { Some(*int) } else { None }
    }

    fn number(&mut self) -> Result<Option<usize>, Failed> {
        let mut number = None;
        while let Some(digit) = self.chars.peek().and_then(|c| c.to_digit(10)) {
            self.chars.next();
            number = Some(bounded(number.unwrap_or(0) as u64 * 10 + u64::from(digit))?);
        }
        Ok(number)
    }
}

fn bounded(number: u64) -> Result<usize, Failed> {
    match usize::try_from(number) {
        Ok(number) if number <= MAX_WIDTH => Ok(number),
        _ => Err(Failed::because(format!("a width or precision of {number} is over {MAX_WIDTH}"))),
    }
}

/// In Go's own spelling, as `%#v` gives it.
fn spelled_in_go(value: &Value) -> String {
    match value {
        Value::Missing => "<nil>".to_owned(),
        Value::Text(text) => quote(text, false),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(nested_in_go).collect();
            format!("{}{{{}}}", value.kind(), items.join(", "))
        }
        Value::Map(map) => {
            let pairs: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{}:{}", quote(key, false), nested_in_go(value)))
                .collect();
            format!("{}{{{}}}", value.kind(), pairs.join(", "))
        }
        other => other.print(),
    }
}

fn nested_in_go(value: &Value) -> String {
    if matches!(value, Value::Missing) { "interface {}(nil)".to_owned() } else { spelled_in_go(value) }
}

impl Flags {
    fn spelled(&self, value: &Value, verb: char) -> Result<String, Failed> {
        if verb == 'T' {
            return Ok(self.padded(if matches!(value, Value::Missing) { "<nil>" } else { value.kind() }));
        }
        let fits = match value {
            Value::Missing => (verb == 'v').then(|| self.padded("<nil>")),
            Value::Bool(bool) => matches!(verb, 'v' | 't').then(|| self.padded(&bool.to_string())),
            Value::Int(int) => self.int(*int, verb),
            Value::Float(float) => self.float(*float, verb)?,
            Value::Text(text) => self.text(text, verb),
            Value::Time(_) => self.text(&value.print(), verb),
            Value::List(items) => {
                let items = items.iter().map(|item| self.spelled(item, verb));
                Some(format!("[{}]", items.collect::<Result<Vec<_>, _>>()?.join(" ")))
            }
            Value::Map(map) => {
                let pair = |(key, value): (&String, &Value)| {
                    Ok(format!("{}:{}", self.spelled(&Value::text(key), verb)?, self.spelled(value, verb)?))
                };
                Some(format!("map[{}]", map.iter().map(pair).collect::<Result<Vec<_>, _>>()?.join(" ")))
            }
        };
        Ok(fits.unwrap_or_else(|| format!("%!{verb}({})", told(value))))
    }

    /// Filled up to the width.
    fn padded(&self, text: &str) -> String {
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        if self.minus {
            format!("{text}{}", " ".repeat(missing))
        } else {
            format!("{}{text}", if self.zero { "0" } else { " " }.repeat(missing))
        }
    }

    fn text(&self, text: &str, verb: char) -> Option<String> {
        let cut = || -> String { text.chars().take(self.precision.unwrap_or(usize::MAX)).collect() };
        Some(match verb {
            'v' | 's' => self.padded(&cut()),
            'q' => {
                let text = cut();
                let raw = self.sharp && !text.contains(|c: char| c == '`' || (c.is_control() && c != '\t'));
                self.padded(&if raw { format!("`{text}`") } else { quote(&text, self.plus) })
            }
            'x' | 'X' => {
                let prefix = match (self.sharp, verb) {
                    (true, 'x') => "0x",
                    (true, _) => "0X",
                    _ => "",
                };
                let bytes = text.bytes().take(self.precision.unwrap_or(usize::MAX));
                let pairs =
                    bytes.map(|byte| if verb == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") });
                let pairs: Vec<String> = pairs.collect();
                let parted = pairs.join(&if self.space { format!(" {prefix}") } else { String::new() });
                self.padded(&if pairs.is_empty() { parted } else { format!("{prefix}{parted}") })
            }
            _ => return None,
        })
    }

    fn int(&self, int: i64, verb: char) -> Option<String> {
        let size = int.unsigned_abs();
        let character =
            || u32::try_from(int).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
        let (digits, prefix) = match verb {
            'v' | 'd' => (size.to_string(), ""),
            'b' => (format!("{size:b}"), if self.sharp { "0b" } else { "" }),
            'o' => (format!("{size:o}"), if self.sharp { "0" } else { "" }),
            'O' => (format!("{size:o}"), "0o"),
            'x' => (format!("{size:x}"), if self.sharp { "0x" } else { "" }),
            'X' => (format!("{size:X}"), if self.sharp { "0X" } else { "" }),
            'c' => return Some(self.padded(&character().to_string())),
            'q' => return Some(self.padded(&quote_character(character(), self.plus))),
            'U' => {
                let code = format!("U+{int:0width$X}", width = self.precision.unwrap_or(4).clamp(4, 64));
                let shown = if self.sharp { format!("{code} '{}'", character()) } else { code };
                return Some(Self { zero: false, ..*self }.padded(&shown));
            }
            _ => return None,
        };
        let sign = match (int < 0, self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        let least = match (self.precision, self.width) {
            (Some(0), _) if int == 0 => return Some(Self { zero: false, ..*self }.padded("")),
            (Some(precision), _) => precision,
            (None, Some(width)) if self.zero && !self.minus => width.saturating_sub(sign.len()),
            _ => 0,
        };
        let zeros = "0".repeat(least.saturating_sub(digits.len()));
        let prefix =
            if prefix == "0" && (!zeros.is_empty() || digits.starts_with('0')) { "" } else { prefix };
        Some(Self { zero: false, ..*self }.padded(&format!("{sign}{prefix}{zeros}{digits}")))
    }

    fn float(&self, float: f64, verb: char) -> Result<Option<String>, Failed> {
        let digits = self.precision.unwrap_or(6);
        if digits > MAX_DIGITS {
            return Err(Failed::because(format!("a precision of {digits} is over {MAX_DIGITS}")));
        }
        let size = float.abs();
        let spelled = if !size.is_finite() {
            if size.is_nan() { "NaN" } else { "Inf" }.to_owned()
        } else {
            match verb {
                'e' | 'E' => exponential(size, digits),
                'f' | 'F' => format!("{size:.digits$}"),
                'v' | 'g' | 'G' => match self.precision {
                    Some(precision) => general(size, precision, self.sharp),
                    None if self.sharp => general(size, 6, true),
                    None => spell(size),
                },
                'b' => {
                    let (mantissa, exponent) = parts(size);
                    format!("{mantissa}p{exponent:+}")
                }
                'x' | 'X' => hexadecimal(size),
                _ => return Ok(None),
            }
        };
        if !"vgGeEfFbxX".contains(verb) {
            return Ok(None);
        }
        let spelled = if verb.is_ascii_uppercase() && verb != 'F' && size.is_finite() {
            spelled.to_ascii_uppercase()
        } else {
            spelled
        };
        let sign = match (float.is_sign_negative() && !float.is_nan(), self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ if float == f64::INFINITY => "+",
            _ => "",
        };
        if !size.is_finite() {
            return Ok(Some(Self { zero: false, ..*self }.padded(&format!("{sign}{spelled}"))));
        }
        let width = self.width.unwrap_or(0);
        if self.zero && !self.minus {
            let zeros = "0".repeat(width.saturating_sub(sign.len() + spelled.len()));
            return Ok(Some(format!("{sign}{zeros}{spelled}")));
        }
        Ok(Some(self.padded(&format!("{sign}{spelled}"))))
    }
}

/// `1.5e+03`
fn exponential(float: f64, digits: usize) -> String {
    let text = format!("{float:.digits$e}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs())
}

/// So many digits in all, with an exponent where they would not do; `full` keeps zeros at the end.
fn general(float: f64, precision: usize, full: bool) -> String {
    let precision = precision.max(1);
    let text = exponential(float, precision - 1);
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let place: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |digits: &str| {
        let trims = digits.contains('.') && !full;
        if trims { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }.to_owned()
    };
    if place < -4 || place >= precision as i32 {
        return format!("{}e{exponent}", trimmed(digits));
    }
    let behind = (precision as i32 - 1 - place).max(0) as usize;
    trimmed(&format!("{float:.behind$}"))
}

/// Mantissa and exponent of two: the value is one times two to the other.
fn parts(float: f64) -> (u64, i64) {
    const MANTISSA: u32 = 52;
    let bits = float.to_bits();
    let (mantissa, exponent) = (bits & ((1 << MANTISSA) - 1), (bits >> MANTISSA & 0x7ff) as i64);
    let (mantissa, exponent) =
        if exponent == 0 { (mantissa, 1) } else { (mantissa | 1 << MANTISSA, exponent) };
    (mantissa, exponent - 1023 - i64::from(MANTISSA))
}

/// `0x1.8p+01`
fn hexadecimal(float: f64) -> String {
    if float == 0.0 {
        return "0x0p+00".to_owned();
    }
    let (mantissa, exponent) = parts(float);
    let shift = mantissa.leading_zeros();
    let fraction = format!("{:016x}", mantissa << shift << 1);
    let fraction = fraction.trim_end_matches('0');
    let exponent = exponent + 63 - i64::from(shift);
    let dot = if fraction.is_empty() { "" } else { "." };
    format!("0x1{dot}{fraction}p{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs())
}

/// In Go's quotes.
pub(super) fn quote(text: &str, ascii: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    text.chars().for_each(|c| escape(c, '"', ascii, &mut out));
    out.push('"');
    out
}

fn quote_character(c: char, ascii: bool) -> String {
    let mut out = String::from('\'');
    escape(c, '\'', ascii, &mut out);
    out.push('\'');
    out
}

fn escape(c: char, quote: char, ascii: bool, out: &mut String) {
    match c {
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        c if c == quote || c == '\\' => out.extend(['\\', c]),
        c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
        c if !(c.is_control() || (ascii && !c.is_ascii())) => out.push(c),
        c if u32::from(c) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", c as u32)),
        c => out.push_str(&format!("\\U{:08x}", c as u32)),
    }
}
