//! Labels of series as text, and the names that Grafana knows.

use query::traceql::{Static, shown};
use store::read::ValueView;

/// Under this an exemplar names its trace.
pub(super) const EXEMPLAR_TRACE: &str = "trace:id";

/// `{a="b"}`, names that are none of Prometheus' own in quotes.
pub(super) fn as_prometheus(labels: &[(String, Static)]) -> String {
    let label = |(name, value): &(String, Static)| {
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let value = match shown(value) {
            ValueView::Str(text) => text.into_owned(),
            _ => value.to_string(),
        };
        if plain { format!("{name}={value:?}") } else { format!("{name:?}={value:?}") }
    };
    format!("{{{}}}", labels.iter().map(label).collect::<Vec<_>>().join(", "))
}
