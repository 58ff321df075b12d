//! Answers of both sides in one form, and how they differ.

use anyhow::{Context, Result, bail};
use query::promql::{Data, Outcome, PromError, Value};
use serde_json::Value as Json;

/// Largest difference of two numbers, relative to the larger; to one if both are small.
const TOLERANCE: f64 = 1e-9;

type Labels = Vec<(String, String)>;

/// An answer.
#[derive(Debug, Clone)]
pub enum Given {
    Error { kind: String, text: String },
    Text(String),
    Scalar(f64),
    Vector(Vec<(Labels, f64)>),
    Matrix(Vec<(Labels, Vec<(i64, f64)>)>),
}

/// Of a native histogram its number of observations stands for it.
fn number(value: &Value) -> f64 {
    match value {
        Value::Float(value) => *value,
        Value::Histogram(histogram) => histogram.count,
    }
}

fn read_number(json: &Json) -> Result<f64> {
    if let Some(count) = json.get("count") {
        return read_number(count);
    }
    let text = json.as_str().context("a value is no string")?;
    Ok(text.trim_start_matches('+').parse()?)
}

fn millis(json: &Json) -> Result<i64> {
    Ok((json.as_f64().context("a time is no number")? * 1000.0).round() as i64)
}

fn read_labels(json: &Json) -> Result<Labels> {
    let pairs = json.as_object().context("no labels")?;
    let mut labels: Labels =
        pairs.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap_or("?").to_owned())).collect();
    labels.sort();
    Ok(labels)
}

impl Given {
    /// What Prometheus answers.
    pub fn read(json: &Json) -> Result<Self> {
        if json["status"] != "success" {
            let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
            return Ok(Self::Error { kind: text("errorType"), text: text("error") });
        }
        let result = &json["data"]["result"];
        let list = || result.as_array().context("no list");
        Ok(match json["data"]["resultType"].as_str() {
            Some("string") => Self::Text(result[1].as_str().unwrap_or_default().to_owned()),
            Some("scalar") => Self::Scalar(read_number(&result[1])?),
            Some("vector") => {
                let one = |e: &Json| {
                    let value = e.get("value").or(e.get("histogram")).context("no value")?;
                    Ok((read_labels(&e["metric"])?, read_number(&value[1])?))
                };
                Self::Vector(list()?.iter().map(one).collect::<Result<_>>()?)
            }
            Some("matrix") => {
                let point = |p: &Json| Ok((millis(&p[0])?, read_number(&p[1])?));
                let one = |e: &Json| {
                    let lists = ["values", "histograms"].iter().filter_map(|name| e[name].as_array());
                    let mut points: Vec<(i64, f64)> = lists.flatten().map(point).collect::<Result<_>>()?;
                    points.sort_by_key(|(time, _)| *time);
                    Ok((read_labels(&e["metric"])?, points))
                };
                Self::Matrix(list()?.iter().map(one).collect::<Result<_>>()?)
            }
            _ => bail!("{json}"),
        })
    }

    /// What we answer.
    pub fn of(outcome: Result<Outcome, PromError>) -> Self {
        let labels = |labels: &parsers::record::Labels| -> Labels {
            labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        match outcome.map(|outcome| outcome.data) {
            Err(error) => Self::Error { kind: error.kind().to_owned(), text: error.to_string() },
            Ok(Data::Text { text, .. }) => Self::Text(text),
            Ok(Data::Scalar(point)) => Self::Scalar(number(&point.value)),
            Ok(Data::Vector(elements)) => Self::Vector(
                elements.iter().map(|(set, point)| (labels(set), number(&point.value))).collect(),
            ),
            Ok(Data::Matrix(series)) => Self::Matrix(
                series
                    .iter()
                    .map(|one| {
                        let points = one.points.iter().map(|p| (p.time, number(&p.value))).collect();
                        (labels(&one.labels), points)
                    })
                    .collect(),
            ),
        }
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Self::Vector(elements) => elements.is_empty(),
            Self::Matrix(series) => series.is_empty(),
            _ => false,
        }
    }
}

fn equal(a: f64, b: f64) -> bool {
    let near = || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()).max(1.0);
    a == b || (a.is_nan() && b.is_nan()) || near()
}

/// Whether the order of elements is part of the answer.
fn is_ordered(query: &str) -> bool {
    let grouped = query.contains(" by ") || query.contains("without");
    query.starts_with("sort") || (!grouped && (query.starts_with("topk") || query.starts_with("bottomk")))
}

/// Labels as versions after the second give them: `atan2` takes names away as other operators do.
fn later(query: &str, labels: &mut Labels) {
    if query.contains("atan2") {
        labels.retain(|(name, _)| name != "__name__");
    }
}

/// The first difference, in words.
pub fn differ(query: &str, theirs: &Given, ours: &Given) -> Option<String> {
    match (theirs, ours) {
        (Given::Error { kind, .. }, Given::Error { kind: own, .. }) if kind == own => None,
        (Given::Text(a), Given::Text(b)) if a == b => None,
        (Given::Scalar(a), Given::Scalar(b)) if equal(*a, *b) => None,
        (Given::Vector(a), Given::Vector(b)) => {
            let (mut a, mut b) = (a.clone(), b.clone());
            for (labels, _) in &mut a {
                later(query, labels);
            }
            if !is_ordered(query) {
                a.sort_by(|x, y| x.0.cmp(&y.0));
                b.sort_by(|x, y| x.0.cmp(&y.0));
            }
            if a.len() != b.len() {
                return Some(format!("{} elements, ours {}\n    {a:?}\n    {b:?}", a.len(), b.len()));
            }
            let wrong = a.iter().zip(&b).find(|(x, y)| x.0 != y.0 || !equal(x.1, y.1))?;
            Some(format!("{:?}, ours {:?}", wrong.0, wrong.1))
        }
        (Given::Matrix(a), Given::Matrix(b)) => {
            let (mut a, mut b) = (a.clone(), b.clone());
            for (labels, _) in &mut a {
                later(query, labels);
            }
            a.sort_by(|x, y| x.0.cmp(&y.0));
            b.sort_by(|x, y| x.0.cmp(&y.0));
            let names = |m: &[(Labels, Vec<(i64, f64)>)]| m.iter().map(|s| s.0.clone()).collect::<Vec<_>>();
            if names(&a) != names(&b) {
                return Some(format!("series {:?}\n    ours {:?}", names(&a), names(&b)));
            }
            for ((labels, a), (_, b)) in a.iter().zip(&b) {
                let times = |points: &[(i64, f64)]| points.iter().map(|p| p.0).collect::<Vec<_>>();
                if times(a) != times(b) {
                    return Some(format!("{labels:?}: times {:?}\n    ours {:?}", times(a), times(b)));
                }
                if let Some((a, b)) = a.iter().zip(b).find(|(a, b)| !equal(a.1, b.1)) {
                    return Some(format!("{labels:?}: {a:?}, ours {b:?}"));
                }
            }
            None
        }
        _ => Some(format!("{theirs:?}\n    ours {ours:?}").chars().take(600).collect()),
    }
}
