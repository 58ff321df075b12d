//! Label sets as operators make them.

use parsers::record::Labels;

/// The label that holds a metric's name.
pub(crate) const NAME: &str = "__name__";
/// The label that holds a bucket's upper bound.
pub(crate) const BUCKET: &str = "le";

/// Without the metric's name.
pub(crate) fn nameless(labels: &Labels) -> Labels {
    labels.filtered(|name| name != NAME)
}

/// Only these.
pub(crate) fn only(labels: &Labels, names: &[String]) -> Labels {
    labels.filtered(|name| names.iter().any(|kept| kept == name))
}

/// Without these.
pub(crate) fn without(labels: &Labels, names: &[String]) -> Labels {
    labels.filtered(|name| names.iter().all(|dropped| dropped != name))
}

/// `{a="b", c="d"}`, as Prometheus writes label sets.
pub(crate) fn show(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}
