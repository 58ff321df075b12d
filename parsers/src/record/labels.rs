//! Label sets of streams and series: few, sorted by name, cheap to share and to compare.

use std::sync::Arc;

/// Labels of one stream at most, as many as Loki lets anybody have.
pub const MAX_LABELS: usize = 32;

/// Bytes of a label's name, and of its value, at most: as Loki has it.
pub const MAX_LABEL_BYTES: usize = 2048;

/// Names of ids, in lower case and letters and digits alone. Each request has its own, so that none may be a label.
const IDS: [&str; 12] = [
    "traceid",
    "spanid",
    "parentspanid",
    "transactionid",
    "traceparent",
    "xb3traceid",
    "xb3spanid",
    "oteltraceid",
    "otelspanid",
    "ddtraceid",
    "ddspanid",
    "xamzntraceid",
];

/// A label set, sorted by name, each name once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Labels(Box<[(Arc<str>, Arc<str>)]>);

impl Labels {
    /// Sorts; of several pairs with one name the last given wins; empty values are dropped, as Prometheus has it.
    pub fn new<K: Into<Arc<str>>, V: Into<Arc<str>>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut pairs: Vec<(Arc<str>, Arc<str>)> =
            pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        pairs.reverse();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs.dedup_by(|later, kept| later.0 == kept.0);
        pairs.retain(|(_, value)| !value.is_empty());
        Self(pairs.into_boxed_slice())
    }

    /// As [`Labels::new`], of what may be labels at all: no ids of traces, no more than [`MAX_LABELS`], none over
    /// [`MAX_LABEL_BYTES`]. The others are given to `left_out`.
    pub fn within_bounds<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
        left_out: &mut dyn FnMut(&'a str, &'a str),
    ) -> Self {
        let mut kept: Vec<(&str, &str)> = Vec::new();
        for (name, value) in pairs {
            let fits = name.len() <= MAX_LABEL_BYTES && value.len() <= MAX_LABEL_BYTES;
            if fits && kept.len() < MAX_LABELS && !names_an_id(name) {
                kept.push((name, value));
            } else {
                left_out(name, value);
            }
        }
        Self::new(kept)
    }

    /// The same with one label set, or without it if the value is empty.
    #[must_use]
    pub fn with(&self, name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        let (name, value) = (name.into(), value.into());
        let mut pairs: Vec<_> = self.0.iter().filter(|(known, _)| *known != name).cloned().collect();
        if !value.is_empty() {
            pairs.insert(pairs.partition_point(|(known, _)| *known < name), (name, value));
        }
        Self(pairs.into_boxed_slice())
    }

    /// The value of a label, if it has one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.binary_search_by(|(n, _)| (**n).cmp(name)).ok().map(|i| &*self.0[i].1)
    }

    /// Name and value, in name order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (&**n, &**v))
    }

    /// Those whose names are kept.
    pub fn filtered(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(name, _)| keep(name)).cloned().collect())
    }

    /// How many labels.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn names_an_id(name: &str) -> bool {
    let letters = || name.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase());
    IDS.iter().any(|id| letters().eq(id.bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_no_labels_and_there_are_never_too_many() {
        let long = "v".repeat(MAX_LABEL_BYTES + 1);
        let many: Vec<String> = (0..40).map(|n| format!("l{n:02}")).collect();
        let mut pairs =
            vec![("app", "a"), ("traceID", "1"), ("dd.trace_id", "2"), ("span_id", "3"), ("long", &long)];
        pairs.extend(many.iter().map(|name| (name.as_str(), "v")));
        let mut left_out = Vec::new();
        let labels = Labels::within_bounds(pairs, &mut |name, _| left_out.push(name));
        assert_eq!(labels.len(), MAX_LABELS);
        assert_eq!(labels.get("app"), Some("a"));
        assert_eq!(left_out[..4], ["traceID", "dd.trace_id", "span_id", "long"]);
        assert_eq!(left_out.len(), 4 + 40 - (MAX_LABELS - 1));
    }
}
