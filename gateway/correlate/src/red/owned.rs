//! Whose the series are that are made of spans, where a metrics server has some of the same names.
//!
//! They are ours, as soon as some are stored here under that name: what the server has are copies of the same counts, which it
//! scraped from here, or those of another who counts the same spans. Queries, lists and exemplars all go by this.

use parsers::record::{Labels, MADE_OF_SPANS};
use store::read::{MatchOp, Matcher, ReadError, SampleRead, Window};

use super::tracks::SHAPES;

/// Names of all series that are made of spans.
fn names() -> impl Iterator<Item = String> {
    SHAPES.iter().flat_map(|shape| {
        let histograms = shape.histograms.iter();
        let parts =
            |(name, _): &(&str, &str)| ["_bucket", "_sum", "_count"].map(|part| format!("{name}{part}"));
        shape.counters.iter().map(|(name, _)| (*name).to_owned()).chain(histograms.flat_map(parts))
    })
}

/// The one name that series can have which meet the conditions, if they are so narrow.
pub fn only_name(matchers: &[Matcher]) -> Option<&str> {
    matchers.iter().find_map(|matcher| match &matcher.op {
        MatchOp::Equal(name) if matcher.name == "__name__" => Some(name.as_str()),
        _ => None,
    })
}

/// Names that are answered from here alone, among those that series can have which meet the conditions.
pub fn owned(samples: &dyn SampleRead, matchers: &[Matcher]) -> Result<Vec<String>, ReadError> {
    let other = |name: &str| !MADE_OF_SPANS.iter().any(|prefix| name.starts_with(prefix));
    if only_name(matchers).is_some_and(other) {
        return Ok(Vec::new());
    }
    let mut owned = Vec::new();
    for name in names() {
        let labels = Labels::new([("__name__", name.as_str())]);
        let accepted = matchers.iter().all(|m| m.name != "__name__" || m.matches(&labels));
        if accepted && samples.any(&[Matcher::equal("__name__", name.as_str())], Window::ALL)? {
            owned.push(name);
        }
    }
    Ok(owned)
}
