//! What a program shows of its metrics: OpenMetrics 1.0 and Prometheus' text format 0.0.4, line by line.
//!
//! A sample's series stays the text that it is ([`SampleLine::series`]), so that who reads the same page again and again can
//! remember what it stands for; [`series_labels`] reads it. A bad line is noted with its number and takes nothing else with
//! it. Syntax is read; whether families fit their types, units and suffixes is not policed, as Prometheus does not. What
//! OpenMetrics 2.0 relaxes holds for all: a bad exemplar does not cost its sample, exemplars may be long, on any series, and
//! several. Spaces and tabs may stand wherever either format has one, and text that is said to be in the older format may
//! have exemplars: programs exist that write them whatever was asked for.

mod exemplar;
mod family;
mod labels;
mod number;
mod sample;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use memchr::memchr;

pub use exemplar::{ExemplarLine, exemplars};
pub use family::FamilyKind;
pub use labels::{LabelPairs, canonical_float, series_labels};
pub use sample::SampleLine;

/// How a page of metrics is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// OpenMetrics, any version: times in seconds, `# EOF` at the end.
    OpenMetrics,
    /// Prometheus' text format: times in milliseconds.
    Text,
}

impl Format {
    /// By the content type of the answer; `None` if it is none that is known.
    pub fn of(content_type: &str) -> Option<Self> {
        let media = content_type.split(';').next().unwrap_or_default().trim();
        if media.eq_ignore_ascii_case("application/openmetrics-text") {
            Some(Self::OpenMetrics)
        } else if media.eq_ignore_ascii_case("text/plain") {
            Some(Self::Text)
        } else {
            None
        }
    }
}

/// A line that cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct LineFault {
    /// Counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry<'a> {
    /// A value.
    Sample(SampleLine<'a>),
    /// `# TYPE`
    Kind {
        /// The family.
        family: Cow<'a, str>,
        /// What it is.
        kind: FamilyKind,
    },
    /// `# HELP`
    Help {
        /// The family.
        family: Cow<'a, str>,
        /// For people.
        text: Cow<'a, str>,
    },
    /// `# UNIT`
    Unit {
        /// The family.
        family: Cow<'a, str>,
        /// As it is written.
        unit: &'a str,
    },
    /// Nothing that can be taken.
    Fault(LineFault),
}

/// The lines of a page.
#[derive(Debug, Clone)]
pub struct Exposition<'a> {
    rest: &'a [u8],
    format: Format,
    line: u64,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Among lines.
    Within,
    /// Behind `# EOF`, what follows not yet looked at.
    Ended,
    /// Nothing more comes.
    Over {
        /// All of the page was there.
        whole: bool,
    },
}

impl<'a> Exposition<'a> {
    /// Over the bytes of a page.
    pub fn new(body: &'a [u8], format: Format) -> Self {
        Self { rest: body, format, line: 0, stage: Stage::Within }
    }

    /// After the last line: whether the page was whole. One in OpenMetrics that does not end in `# EOF` was cut short.
    pub fn is_whole(&self) -> bool {
        self.stage == Stage::Over { whole: true }
    }

    fn fault(&self, problem: &'static str) -> Entry<'a> {
        Entry::Fault(LineFault { line: self.line, problem })
    }

    fn read(&mut self, line: &'a [u8]) -> Option<Entry<'a>> {
        let Ok(line) = std::str::from_utf8(line) else { return Some(self.fault("bytes that are not UTF-8")) };
        let line = line.trim_matches(is_space);
        let read = match line.as_bytes().first() {
            None if self.format == Format::Text => return None,
            None => Err("an empty line"),
            Some(b'#') => match family::comment(line, self.format) {
                Ok(family::Comment::Said(entry)) => Ok(entry),
                Ok(family::Comment::End) => {
                    self.stage = Stage::Ended;
                    return None;
                }
                Ok(family::Comment::Nothing) => return None,
                Err(problem) => Err(problem),
            },
            Some(_) => sample::read(line, self.format, self.line).map(Entry::Sample),
        };
        Some(read.unwrap_or_else(|problem| self.fault(problem)))
    }
}

impl<'a> Iterator for Exposition<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            match self.stage {
                Stage::Over { .. } => return None,
                Stage::Ended => {
                    self.stage = Stage::Over { whole: true };
                    if self.rest.is_empty() {
                        return None;
                    }
                    self.line += 1;
                    return Some(self.fault("something behind `# EOF`"));
                }
                Stage::Within => {}
            }
            if self.rest.is_empty() {
                let whole = self.format == Format::Text;
                self.stage = Stage::Over { whole };
                return (!whole).then(|| self.fault("no `# EOF` behind it: the page was cut short"));
            }
            self.line += 1;
            let end = memchr(b'\n', self.rest);
            let (line, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
            self.rest = rest.get(1..).unwrap_or_default();
            // Where a page breaks off, half a number is a number, too.
            if end.is_none() && self.format == Format::OpenMetrics && line != b"# EOF" {
                self.stage = Stage::Over { whole: false };
                return Some(self.fault("the page was cut short in the middle of it"));
            }
            if let Some(entry) = self.read(line) {
                return Some(entry);
            }
        }
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}

fn skip_space(text: &str) -> &str {
    text.trim_start_matches(is_space)
}

/// The text up to the next space, and what follows that.
fn word(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    (word, skip_space(rest))
}
