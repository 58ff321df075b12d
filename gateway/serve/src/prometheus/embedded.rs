//! The answers where no metrics server is configured: PromQL over the samples that are stored, and what labels they have.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use query::Allowance;
use query::promql::{Limits, Outcome, PromError, evaluate_instant, evaluate_range, parse, parse_selector};
use serde_json::{Value, json};
use store::read::{Matcher, SampleRead, Window};

use super::error::Failure;
use super::request::{MILLI, time};
use super::{result, targets};
use crate::State;
use crate::parameters::{Parameters, now};

/// Longest time for a query: it ends before the request does, so that the client sees why.
const QUERY_TIME: Duration = Duration::from_secs(25);
/// What is said of an answer that is not whole.
pub(super) const CUT: &str = "results truncated due to limit";
/// Label sets, names or values of one answer where the client sets no limit: as many as Grafana asks for by itself.
pub(super) const NAMES: usize = 40_000;

/// Answers what is asked of `/prometheus/api/v1/…`.
pub(super) async fn answer(state: State, path: &str, parameters: Parameters) -> Result<Response, Failure> {
    let name = path.rsplit("/api/v1/").next().unwrap_or_default().to_owned();
    let reads = state.reads.clone();
    let body = match name.as_str() {
        "query" | "query_range" => {
            let range = name == "query_range";
            let allowance = state.capacity.allowance();
            let evaluate =
                move || evaluate(&*state.samples, range, &parameters, (&Remarks::default(), allowance));
            reads.run(evaluate).await??
        }
        "rules" => data(&json!({ "groups": [] })),
        "alerts" => data(&json!({ "alerts": [] })),
        "targets" => data(&targets::targets(&state.scraping.targets(), &parameters)),
        "status/tsdb" => {
            reads.run(move || data(&result::statistics(&state.samples.series_statistics()))).await?
        }
        "status/buildinfo" => data(&json!({
            "version": env!("CARGO_PKG_VERSION"), "revision": "", "branch": "", "buildUser": "", "buildDate": "",
            "goVersion": "",
        })),
        _ if describes(&name) => {
            reads
                .run(move || Ok::<_, Failure>(described(&*state.samples, &name, &parameters)?.body()))
                .await??
        }
        _ => return Err(Failure::Unknown(format!("/api/v1/{name}"))),
    };
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// Remarks on a query that are not the evaluation's own.
pub(super) type Remarks = Mutex<Vec<String>>;

/// `query` or `query_range`.
pub(super) fn evaluate(
    samples: &dyn SampleRead,
    range: bool,
    parameters: &Parameters,
    (remarks, allowance): (&Remarks, Allowance),
) -> Result<String, Failure> {
    let limit = parameters.count("limit").map_err(|error| bad("limit", &error.to_string()))?;
    let limits = limits(parameters, allowance)?;
    let mut outcome =
        if range { over_range(samples, parameters, &limits) } else { instant(samples, parameters, &limits) }?;
    // Zero is no limit.
    if limit.is_some_and(|limit| limit > 0 && outcome.data.truncate(limit)) {
        outcome.warnings.push(CUT.to_owned());
    }
    outcome.warnings.append(&mut remarks.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(result::outcome(&outcome))
}

fn data(value: &Value) -> String {
    json!({ "status": "success", "data": value }).to_string()
}

fn bad(name: &str, detail: &str) -> Failure {
    Failure::Bad(format!("invalid parameter {name:?}: {detail}"))
}

/// The bounds of a query, its own time among them if it is shorter, and how far back it looks.
fn limits(parameters: &Parameters, allowance: Allowance) -> Result<Limits, Failure> {
    let asked = parameters.duration("timeout").map_err(|error| bad("timeout", &error.to_string()))?;
    let timeout = asked.map_or(QUERY_TIME, |nanos| Duration::from_nanos(nanos).min(QUERY_TIME));
    let lookback = parameters.duration("lookback_delta").map_err(|_| {
        let text = parameters.get("lookback_delta").unwrap_or_default();
        Failure::Bad(format!(
            "error parsing lookback delta duration: cannot parse {text:?} to a valid duration"
        ))
    })?;
    let defaults = Limits::default();
    let lookback = lookback.filter(|nanos| *nanos > 0).map_or(defaults.lookback, Duration::from_nanos);
    Ok(Limits { timeout, lookback, allowance, ..defaults })
}

fn instant(samples: &dyn SampleRead, parameters: &Parameters, limits: &Limits) -> Result<Outcome, Failure> {
    let at = time(parameters, "time")?.unwrap_or_else(now);
    let expr = parse(parameters.get("query").unwrap_or_default())?;
    Ok(evaluate_instant(&expr, samples, (at / MILLI) as i64, limits)?)
}

fn over_range(
    samples: &dyn SampleRead,
    parameters: &Parameters,
    limits: &Limits,
) -> Result<Outcome, Failure> {
    let needed = |name: &str| -> Result<u64, Failure> {
        time(parameters, name)?.ok_or_else(|| bad(name, "cannot parse \"\" to a valid timestamp"))
    };
    let (start, end) = (needed("start")?, needed("end")?);
    let step = parameters.duration("step").map_err(|error| bad("step", &error.to_string()))?;
    let step = step.ok_or_else(|| bad("step", "cannot parse \"\" to a valid duration"))?;
    let expr = parse(parameters.get("query").unwrap_or_default())?;
    let times = ((start / MILLI) as i64, (end / MILLI) as i64);
    let step = Duration::from_nanos(step);
    Ok(evaluate_range(&expr, samples, times, step, limits)?)
}

/// Whether a part of the interface lists what there is.
pub(super) fn describes(name: &str) -> bool {
    matches!(name, "labels" | "series" | "metadata")
        || name.starts_with("label/") && name.ends_with("/values")
}

/// What there is: a list, or families by their names, and how many entries there may be.
pub(super) struct Described {
    /// `data` of the answer.
    pub(super) data: Value,
    /// Of `data`.
    pub(super) limit: usize,
}

impl Described {
    /// The whole body. A list that is too long is cut, and says so.
    pub(super) fn body(mut self) -> String {
        let list = self.data.as_array_mut();
        let cut = list.is_some_and(|list| {
            let cut = list.len() > self.limit;
            list.truncate(self.limit);
            cut
        });
        let mut body = json!({ "status": "success", "data": self.data });
        if let (true, Some(fields)) = (cut, body.as_object_mut()) {
            fields.insert("warnings".to_owned(), json!([CUT]));
        }
        body.to_string()
    }
}

/// `labels`, `label/…/values`, `series` and `metadata`.
pub(super) fn described(
    samples: &dyn SampleRead,
    name: &str,
    parameters: &Parameters,
) -> Result<Described, Failure> {
    let start = time(parameters, "start")?.unwrap_or(0);
    let end = time(parameters, "end")?.unwrap_or(u64::MAX);
    let window = Window { start, end: end.saturating_add(1) };
    let limit = parameters.count("limit").map_err(|error| bad("limit", &error.to_string()))?;
    // None and zero are no limit of the client's; there is one of ours.
    let limit = limit.filter(|limit| (1..NAMES).contains(limit)).unwrap_or(NAMES);
    let selectors: Vec<Vec<Matcher>> = parameters
        .all("match[]")
        .map(parse_selector)
        .collect::<Result<_, PromError>>()
        .map_err(|error| bad("match[]", &error.to_string()))?;
    if name == "metadata" {
        let wanted = parameters.get("metric");
        return Ok(Described { data: result::metadata(&samples.metadata()?, wanted, limit), limit });
    }
    let list: Vec<Value> = if name == "series" {
        if selectors.is_empty() {
            return Err(Failure::Bad("no match[] parameter provided".to_owned()));
        }
        let sets = samples.label_sets(&selectors, window)?;
        sets.iter().map(|labels| labels.iter().collect::<Value>()).collect()
    } else if name == "labels" {
        samples.label_names(&selectors, window)?.into_iter().map(Value::from).collect()
    } else {
        let label = name.trim_start_matches("label/").trim_end_matches("/values");
        let label = unescaped(&percent_decoded(label));
        samples.label_values(&label, &selectors, window)?.into_iter().map(Value::from).collect()
    };
    Ok(Described { data: list.into(), limit })
}

/// A part of a path, as it was before it was put there.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match code.filter(|_| *first == b'%').and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A name that clients wrote in letters, digits and `_` alone: `U__http_2e_status` is `http.status`.
fn unescaped(name: &str) -> String {
    let Some(mut rest) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut out = String::new();
    while let Some((before, after)) = rest.split_once('_') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let code = after.split_once('_').and_then(|(code, after)| {
            Some((u32::from_str_radix(code, 16).ok().and_then(char::from_u32)?, after))
        });
        let Some((character, after)) = code else { return name.to_owned() };
        out.push(character);
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names_are_read() {
        for (escaped, name) in [
            ("job", "job"),
            ("U__http_2e_status", "http.status"),
            ("U__a__b", "a_b"),
            ("U___1f600_", "\u{1f600}"),
            ("U__broken_zz_", "U__broken_zz_"),
        ] {
            assert_eq!(unescaped(escaped), name);
        }
        assert_eq!(percent_decoded("a%2Eb%2"), "a.b%2");
    }
}
