//! One line with a value.

use memchr::memchr2;

use super::{Format, number, skip_space, word};

/// A value of a series at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleLine<'a> {
    /// Name and labels as they are written, which [`super::series_labels`] reads: most readers have seen it before.
    pub series: &'a str,
    /// The value. All that is no number is the same one.
    pub value: f64,
    /// Its own time, if it has one.
    pub time: Option<u64>,
    /// What follows the first ` # `, which [`super::exemplars`] reads; empty if there is none.
    pub exemplars: &'a str,
    /// Counted from 1.
    pub line: u64,
}

/// The only not-a-number that a page can mean: another one marks the end of a series in Prometheus' own data.
const NOT_A_NUMBER: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

pub(super) fn read(line: &str, format: Format, number: u64) -> Result<SampleLine<'_>, &'static str> {
    let end = series_end(line.as_bytes())?;
    let (series, rest) = line.split_at_checked(end).ok_or("no series")?;
    let (value, rest) = word(skip_space(rest));
    let value = value_of(value)?;
    let (time, rest) = if rest.is_empty() || rest.starts_with('#') {
        (None, rest)
    } else {
        let (time, rest) = word(rest);
        let time = match format {
            Format::OpenMetrics => number::seconds(time),
            Format::Text => number::milliseconds(time),
        };
        (Some(time.ok_or("a time that is no number, or not between 1970 and 2554")?), rest)
    };
    let exemplars = match rest.strip_prefix('#') {
        Some(exemplars) => skip_space(exemplars),
        None if rest.is_empty() => "",
        None => return Err("something behind value and time"),
    };
    Ok(SampleLine { series, value, time, exemplars, line: number })
}

pub(super) fn value_of(text: &str) -> Result<f64, &'static str> {
    match text.parse::<f64>() {
        Ok(value) if value.is_nan() => Ok(NOT_A_NUMBER),
        Ok(value) => Ok(value),
        Err(_) if text.is_empty() => Err("no value"),
        Err(_) => Err("a value that is no number"),
    }
}

/// Where name and labels end.
fn series_end(line: &[u8]) -> Result<usize, &'static str> {
    let name = line.iter().position(|byte| matches!(byte, b' ' | b'\t' | b'{')).ok_or("no value")?;
    let gap = line.iter().skip(name).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    match line.get(name + gap) {
        Some(b'{') => Ok(name + gap + labels_end(line.get(name + gap..).unwrap_or_default())?),
        _ => Ok(name),
    }
}

/// Behind the brace that closes the one that the text begins with.
pub(super) fn labels_end(text: &[u8]) -> Result<usize, &'static str> {
    const OPEN: &str = "labels without an end";
    let mut at = 1;
    loop {
        at += memchr2(b'"', b'}', text.get(at..).unwrap_or_default()).ok_or(OPEN)?;
        if text.get(at) == Some(&b'}') {
            return Ok(at + 1);
        }
        at += 1;
        loop {
            at += memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()).ok_or(OPEN)?;
            if text.get(at) == Some(&b'"') {
                at += 1;
                break;
            }
            at += 2;
        }
    }
}
