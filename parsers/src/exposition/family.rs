//! Lines that begin with `#`: what is said of a family, and the end.

use std::borrow::Cow;

use super::labels::{is_metric_name, quoted, unescaped};
use super::{Entry, Format, skip_space, word};
use crate::record::MetricKind;

/// What `# TYPE` can say, in the words of both formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FamilyKind {
    /// `unknown`, or `untyped`.
    Unknown,
    /// `counter`
    Counter,
    /// `gauge`
    Gauge,
    /// `histogram`
    Histogram,
    /// `gaugehistogram`: its buckets may shrink.
    GaugeHistogram,
    /// `summary`
    Summary,
    /// `info`: ones, with what they say in their labels.
    Info,
    /// `stateset`: ones and zeros, by state.
    StateSet,
}

impl FamilyKind {
    fn named(word: &str) -> Option<Self> {
        Some(match word {
            "unknown" | "untyped" => Self::Unknown,
            "counter" => Self::Counter,
            "gauge" => Self::Gauge,
            "histogram" => Self::Histogram,
            "gaugehistogram" => Self::GaugeHistogram,
            "summary" => Self::Summary,
            "info" => Self::Info,
            "stateset" => Self::StateSet,
            _ => return None,
        })
    }

    /// As all else speaks of it.
    pub fn metric_kind(self) -> MetricKind {
        match self {
            Self::Unknown => MetricKind::Unknown,
            Self::Counter => MetricKind::Counter,
            Self::Gauge | Self::Info | Self::StateSet => MetricKind::Gauge,
            Self::Histogram | Self::GaugeHistogram => MetricKind::Histogram,
            Self::Summary => MetricKind::Summary,
        }
    }
}

/// What such a line is.
pub(super) enum Comment<'a> {
    Said(Entry<'a>),
    /// `# EOF`
    End,
    Nothing,
}

pub(super) fn comment(line: &str, format: Format) -> Result<Comment<'_>, &'static str> {
    let (keyword, rest) = word(skip_space(line.strip_prefix('#').unwrap_or_default()));
    match (keyword, format) {
        ("EOF", Format::OpenMetrics) if rest.is_empty() => return Ok(Comment::End),
        ("TYPE" | "HELP", _) | ("UNIT", Format::OpenMetrics) => {}
        (_, Format::Text) => return Ok(Comment::Nothing),
        (_, Format::OpenMetrics) => return Err("a comment that is none of TYPE, UNIT, HELP and EOF"),
    }
    let (family, text) = name(rest)?;
    Ok(Comment::Said(match keyword {
        "TYPE" => Entry::Kind { family, kind: FamilyKind::named(text.trim_end()).ok_or("an unknown type")? },
        "UNIT" => Entry::Unit { family, unit: text.trim_end() },
        _ => Entry::Help { family, text: unescaped(text) },
    }))
}

fn name(text: &str) -> Result<(Cow<'_, str>, &str), &'static str> {
    if text.starts_with('"') {
        let (name, rest) = quoted(text)?;
        if name.is_empty() {
            return Err("a name of no length");
        }
        return Ok((name, skip_space(rest)));
    }
    let (name, rest) = word(text);
    if name.is_empty() || !is_metric_name(name) {
        return Err("a family's name with other characters than letters, digits, `_` and `:`");
    }
    Ok((Cow::Borrowed(name), rest))
}
