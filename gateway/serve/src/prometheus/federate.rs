//! `/federate?match[]=…`: the newest sample of each series that is stored here, for a Prometheus that collects them, in its text
//! or as OpenMetrics. Native histograms have no form in either and are left out, as Prometheus itself leaves them.

use std::fmt::Write as _;

use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use parsers::record::{Labels, Sample};
use query::promql::{Limits, PromError, parse_selector, show_number};
use store::read::{Matcher, SampleLimits, Window};

use super::error::Failure;
use crate::State;
use crate::parameters::{Parameters, now};
use crate::tenant::Extract;

/// Nanoseconds in a millisecond.
const MILLI: u64 = 1_000_000;
/// A value that says that there is none.
const STALE: u64 = 0x7ff0_0000_0000_0002;
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers.
pub(super) async fn federate(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let selectors: Vec<Vec<Matcher>> = parameters
        .all("match[]")
        .map(parse_selector)
        .collect::<Result<_, PromError>>()
        .map_err(|error| Failure::Bad(format!("invalid parameter \"match[]\": {error}")))?;
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let open = accepted.into_iter().any(|value| value.contains("application/openmetrics-text"));
    let reads = state.reads.clone();
    let text = reads.run(move || written(&state, &selectors, open)).await??;
    let kind = if open { OPEN_METRICS } else { TEXT };
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

fn written(state: &State, selectors: &[Vec<Matcher>], open: bool) -> Result<String, Failure> {
    let Limits { lookback, series, samples, .. } = Limits::default();
    let end = now();
    let window = Window { start: end.saturating_sub(lookback.as_nanos() as u64), end: end.saturating_add(1) };
    let mut found: Vec<(std::sync::Arc<Labels>, Sample)> = Vec::new();
    for matchers in selectors {
        for one in state.samples.select(matchers, window, SampleLimits { series, samples })? {
            if let Some(newest) = one.samples.last().filter(|newest| newest.value.to_bits() != STALE) {
                found.push((one.labels, *newest));
            }
        }
    }
    found.sort_by(|a, b| (a.0.get("__name__"), &a.0).cmp(&(b.0.get("__name__"), &b.0)));
    found.dedup_by(|a, b| a.0 == b.0);
    let mut out = String::new();
    let mut family: Option<String> = None;
    for (labels, sample) in found {
        let Some(name) = labels.get("__name__").map(plain) else { continue };
        if family.as_ref() != Some(&name) {
            let kind = if open { "unknown" } else { "untyped" };
            let _ = writeln!(out, "# TYPE {name} {kind}");
        }
        line(&mut out, &name, &labels, sample, open);
        family = Some(name);
    }
    if open {
        out.push_str("# EOF\n");
    }
    Ok(out)
}

/// A name in letters, digits and `_` alone: what every reader of these forms takes.
fn plain(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let digit = name.starts_with(|c: char| c.is_ascii_digit());
    let rest = name.chars().map(|c| if allowed(c) { c } else { '_' });
    digit.then_some('_').into_iter().chain(rest).collect()
}

fn line(out: &mut String, name: &str, labels: &Labels, sample: Sample, open: bool) {
    out.push_str(name);
    out.push('{');
    for (label, value) in labels.iter().filter(|(label, _)| *label != "__name__") {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(out, "{}=\"{value}\",", plain(label));
    }
    // Else the collector would put its own in its place.
    if labels.get("instance").is_none() {
        out.push_str("instance=\"\",");
    }
    out.pop();
    let millis = sample.time / MILLI;
    let value = show_number(sample.value);
    if open {
        let _ = writeln!(out, "}} {value} {}.{:03}", millis / 1000, millis % 1000);
    } else {
        let _ = writeln!(out, "}} {value} {millis}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_a_collector_reads() {
        let sample = Sample { time: 1_700_000_000_123 * MILLI, value: f64::INFINITY };
        let labels = Labels::new([("__name__", "http.requests"), ("a b", "x\"y\\z\n"), ("job", "j")]);
        for (open, expected) in [
            (false, "http_requests{a_b=\"x\\\"y\\\\z\\n\",job=\"j\",instance=\"\"} +Inf 1700000000123\n"),
            (true, "http_requests{a_b=\"x\\\"y\\\\z\\n\",job=\"j\",instance=\"\"} +Inf 1700000000.123\n"),
        ] {
            let mut out = String::new();
            line(&mut out, &plain("http.requests"), &labels, sample, open);
            assert_eq!(out, expected);
        }
        assert_eq!(plain("2xx"), "_2xx");
    }
}
