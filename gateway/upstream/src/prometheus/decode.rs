//! Bodies of the server to domain records. Total: anything else than the API's envelope is a [`Failure`].

use std::sync::Arc;

use parsers::record::{Exemplar, ExemplarOrigin, Labels, Sample, Series, SpanId, TraceId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use store::read::ReadError;

/// How much of a wrong answer is shown.
const SHOWN: usize = 120;

/// An answer that is not what was asked for.
#[derive(Debug, PartialEq)]
pub(super) enum Failure {
    Refused(String),
    Bad { got: String, expected: &'static str },
}

impl Failure {
    pub(super) fn into_error(self, server: &str) -> ReadError {
        let server = server.to_owned();
        match self {
            Self::Refused(detail) => ReadError::Refused { server, detail },
            Self::Bad { got, expected } => {
                ReadError::BadAnswer { server, got, expected: expected.to_owned() }
            }
        }
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    status: String,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(default, rename = "errorType")]
    error_type: String,
    #[serde(default)]
    error: String,
}

type Pairs = std::collections::BTreeMap<String, String>;

#[derive(Deserialize)]
struct Matrix {
    #[serde(rename = "resultType")]
    result_type: String,
    result: Vec<MatrixSeries>,
}

#[derive(Deserialize)]
struct MatrixSeries {
    metric: Pairs,
    // Absent for native histograms.
    #[serde(default)]
    values: Vec<(f64, String)>,
}

#[derive(Deserialize)]
struct ExemplarSeries {
    #[serde(rename = "seriesLabels")]
    series: Pairs,
    #[serde(default)]
    exemplars: Vec<RawExemplar>,
}

#[derive(Deserialize)]
struct RawExemplar {
    labels: Pairs,
    value: String,
    timestamp: f64,
}

/// The beginning of a wrong answer on one line.
fn shorten(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..SHOWN * 4).unwrap_or(body));
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("`{}...`", words.get(..end).unwrap_or_default()),
        None if words.is_empty() => "an empty body".to_owned(),
        None => format!("`{words}`"),
    }
}

/// What a status other than 2xx means.
pub(super) fn refusal(status: u16, body: &[u8]) -> Failure {
    match envelope(body) {
        Err(Failure::Refused(detail)) => Failure::Refused(detail),
        _ => Failure::Bad { got: format!("status {status}, {}", shorten(body)), expected: "status 200" },
    }
}

fn envelope(body: &[u8]) -> Result<&RawValue, Failure> {
    let bad = || Failure::Bad { got: shorten(body), expected: "the JSON envelope of the Prometheus API" };
    let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(|_| bad())?;
    match envelope.status.as_str() {
        "success" => envelope.data.ok_or_else(bad),
        "error" if envelope.error_type.is_empty() => Err(Failure::Refused(envelope.error)),
        "error" => Err(Failure::Refused(format!("{}: {}", envelope.error_type, envelope.error))),
        _ => Err(bad()),
    }
}

fn data<T: DeserializeOwned>(body: &[u8], expected: &'static str) -> Result<T, Failure> {
    let data = envelope(body)?;
    serde_json::from_str(data.get())
        .map_err(|error| Failure::Bad { got: format!("{} ({error})", shorten(body)), expected })
}

fn nanos(seconds: f64) -> u64 {
    // Through milliseconds, the API's precision: a double of seconds has no more.
    ((seconds * 1000.0).round().max(0.0) as u64).saturating_mul(1_000_000)
}

/// A list of label sets.
pub(super) fn series(body: &[u8]) -> Result<Vec<Labels>, Failure> {
    let list: Vec<Pairs> = data(body, "a list of label sets")?;
    Ok(list.into_iter().map(Labels::new).collect())
}

/// A matrix. Values are strings, `NaN` and `+Inf` among them; one that is no number is passed over.
pub(super) fn matrix(body: &[u8]) -> Result<Vec<Series>, Failure> {
    let expected = "a matrix";
    let matrix: Matrix = data(body, expected)?;
    if matrix.result_type != "matrix" {
        return Err(Failure::Bad { got: format!("a {}", matrix.result_type), expected });
    }
    let to_sample =
        |(time, value): (f64, String)| Some(Sample { time: nanos(time), value: value.parse().ok()? });
    Ok(matrix
        .result
        .into_iter()
        .map(|series| Series {
            labels: Arc::new(Labels::new(series.metric)),
            samples: series.values.into_iter().filter_map(to_sample).collect(),
        })
        .collect())
}

/// Exemplars; the first of the id labels that holds a trace id names the trace.
pub(super) fn exemplars(
    body: &[u8],
    trace_labels: &[String],
    span_labels: &[String],
) -> Result<Vec<Exemplar>, Failure> {
    let list: Option<Vec<ExemplarSeries>> = data(body, "a list of series with exemplars")?;
    let mut exemplars = Vec::new();
    for series in list.unwrap_or_default() {
        let labels = Arc::new(Labels::new(series.series));
        for raw in series.exemplars {
            let Ok(value) = raw.value.parse() else { continue };
            let mut rest = raw.labels;
            let trace_id = take(&mut rest, trace_labels, |text| TraceId::from_spelling(text.as_bytes()).ok());
            let span_id = take(&mut rest, span_labels, |text| SpanId::from_hex(text.as_bytes()).ok());
            exemplars.push(Exemplar {
                series: Arc::clone(&labels),
                labels: rest.into_iter().collect(),
                value,
                time: nanos(raw.timestamp),
                trace_id,
                span_id,
                origin: ExemplarOrigin::Application,
            });
        }
    }
    Ok(exemplars)
}

/// Takes the first label that reads as an id out of the rest.
fn take<T>(labels: &mut Pairs, names: &[String], read: impl Fn(&str) -> Option<T>) -> Option<T> {
    let (name, id) = names.iter().find_map(|name| Some((name, read(labels.get(name)?)?)))?;
    labels.remove(name);
    Some(id)
}
