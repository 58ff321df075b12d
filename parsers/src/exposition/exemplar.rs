//! Exemplars behind a sample.

use super::labels::{LabelPairs, braces};
use super::{number, sample, skip_space, word};

/// A measurement that stands for others of its series.
#[derive(Debug, Clone, PartialEq)]
pub struct ExemplarLine<'a> {
    /// Its own labels, the ids among them.
    pub labels: LabelPairs<'a>,
    /// What was measured.
    pub value: f64,
    /// When, if it says so. Seconds in either format.
    pub time: Option<u64>,
}

/// Reads [`super::SampleLine::exemplars`]: `{labels} value [time]`, several with ` # ` between them. Ends after the first that
/// cannot be read, since nobody knows where that ends.
pub fn exemplars(text: &str) -> impl Iterator<Item = Result<ExemplarLine<'_>, &'static str>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let read = exemplar(rest);
        rest = read.as_ref().map(|(_, rest)| *rest).unwrap_or_default();
        Some(read.map(|(exemplar, _)| exemplar))
    })
}

fn exemplar(text: &str) -> Result<(ExemplarLine<'_>, &str), &'static str> {
    let mut labels = Vec::with_capacity(2);
    let rest = braces(text, &mut labels)?;
    if labels.first().is_some_and(|(name, _)| name == "__name__") {
        return Err("an exemplar with a name");
    }
    let (value, rest) = word(skip_space(rest));
    let value = sample::value_of(value)?;
    let (time, rest) = match rest.as_bytes().first() {
        None | Some(b'#') => (None, rest),
        Some(_) => {
            let (time, rest) = word(rest);
            (Some(number::seconds(time).ok_or("an exemplar's time that is none")?), rest)
        }
    };
    let rest = match rest.strip_prefix('#') {
        Some(next) => skip_space(next),
        None if rest.is_empty() => "",
        None => return Err("something behind an exemplar"),
    };
    Ok((ExemplarLine { labels, value, time }, rest))
}
