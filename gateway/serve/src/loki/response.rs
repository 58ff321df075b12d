//! JSON as Grafana's streaming reader wants it: `resultType`, `encodingFlags`, `result`, `stats` in this order; `stream`
//! before `values` and nothing else beside them, since that reader does not skip what it does not know.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parsers::record::{Labels, Sample, lossy};
use query::logql::{Data, Entry, Outcome, Stream};
use serde::Serialize;
use serde::ser::{SerializeSeq as _, Serializer};
use serde_json::Value as Json;
use store::read::ScanReport;

use super::request::CATEGORIZE;

#[derive(Serialize)]
struct Envelope<T> {
    status: &'static str,
    data: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<[String; 1]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QueryData<'a> {
    result_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding_flags: Option<[&'static str; 1]>,
    result: Answered<'a>,
    stats: Stats,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answered<'a> {
    Streams(Vec<StreamBody<'a>>),
    Matrix(Vec<MatrixBody<'a>>),
    Vector(Vec<VectorBody<'a>>),
    Scalar(Point),
}

#[derive(Serialize)]
struct StreamBody<'a> {
    stream: BTreeMap<&'a str, &'a str>,
    values: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct MatrixBody<'a> {
    metric: BTreeMap<&'a str, &'a str>,
    values: Vec<Point>,
}

#[derive(Serialize)]
struct VectorBody<'a> {
    metric: BTreeMap<&'a str, &'a str>,
    value: Point,
}

/// `[ns, line]`, and what stands behind the line if `kinds` is there.
struct Line<'a> {
    entry: &'a Entry,
    kinds: Option<Kinds<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Kinds<'a> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    structured_metadata: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    parsed: BTreeMap<&'a str, &'a str>,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut parts = serializer.serialize_seq(Some(2 + usize::from(self.kinds.is_some())))?;
        parts.serialize_element(&self.entry.time.to_string())?;
        parts.serialize_element(&lossy(&self.entry.line))?;
        if let Some(kinds) = &self.kinds {
            parts.serialize_element(kinds)?;
        }
        parts.end()
    }
}

/// Seconds, and the value as text.
#[derive(Serialize)]
struct Point(f64, Number);

/// A text where it is written: an answer has up to a million of them.
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&number(self.0))
    }
}

impl Point {
    fn new(time: u64, value: f64) -> Self {
        // Whole milliseconds: what the reader keeps, and short in JSON.
        Self((time / 1_000_000) as f64 / 1e3, Number(value))
    }
}

/// As Go writes it.
fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}

#[derive(Serialize)]
struct Stats {
    summary: Summary,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    bytes_processed_per_second: u64,
    lines_processed_per_second: u64,
    total_bytes_processed: u64,
    total_lines_processed: u64,
    /// Seconds.
    exec_time: f64,
}

impl Summary {
    fn new(report: ScanReport, took: Duration) -> Self {
        let seconds = took.as_secs_f64();
        let a_second = |count: u64| if seconds > 0.0 { (count as f64 / seconds) as u64 } else { 0 };
        Self {
            bytes_processed_per_second: a_second(report.bytes),
            lines_processed_per_second: a_second(report.records),
            total_bytes_processed: report.bytes,
            total_lines_processed: report.records,
            exec_time: seconds,
        }
    }
}

/// The answer of a query; `categorized` if the client asked to be told the kinds of labels.
pub(super) fn outcome(outcome: &Outcome, categorized: bool, took: Duration) -> Vec<u8> {
    let (result_type, result) = match &outcome.data {
        Data::Streams(streams) if categorized => {
            ("streams", Answered::Streams(streams.iter().map(told_apart).collect()))
        }
        data => measured(data, whole),
    };
    let data = QueryData {
        result_type,
        encoding_flags: categorized.then_some([CATEGORIZE]),
        result,
        stats: Stats { summary: Summary::new(outcome.report, took) },
    };
    let damaged = outcome.report.damaged_blocks;
    let warnings = (damaged > 0).then(|| [format!("{damaged} damaged blocks could not be read")]);
    body(&Envelope { status: "success", data, warnings })
}

/// Volumes; `by_label` says that their labels are names alone, which Loki writes with empty values.
pub(super) fn volumes(data: &Data, by_label: bool, took: Duration) -> Vec<u8> {
    let (result_type, result) = measured(data, if by_label { named } else { whole });
    let stats = Stats { summary: Summary::new(ScanReport::default(), took) };
    let data = QueryData { result_type, encoding_flags: None, result, stats };
    body(&Envelope { status: "success", data, warnings: None })
}

fn whole(labels: &Labels) -> BTreeMap<&str, &str> {
    labels.iter().collect()
}

fn named(labels: &Labels) -> BTreeMap<&str, &str> {
    labels.iter().map(|(name, _)| (name, "")).collect()
}

/// Values with their labels as `metric` writes them.
fn measured(data: &Data, metric: fn(&Labels) -> BTreeMap<&str, &str>) -> (&'static str, Answered<'_>) {
    let point = |sample: &Sample| Point::new(sample.time, sample.value);
    match data {
        Data::Streams(streams) => ("streams", Answered::Streams(merged(streams))),
        Data::Matrix(series) => {
            let bodies = series.iter().map(|one| MatrixBody {
                metric: metric(&one.labels),
                values: one.samples.iter().map(point).collect(),
            });
            ("matrix", Answered::Matrix(bodies.collect()))
        }
        Data::Vector(samples) => {
            let bodies = samples
                .iter()
                .map(|(labels, sample)| VectorBody { metric: metric(labels), value: point(sample) });
            ("vector", Answered::Vector(bodies.collect()))
        }
        Data::Scalar(sample) => ("scalar", Answered::Scalar(point(sample))),
    }
}

fn told_apart(stream: &Stream) -> StreamBody<'_> {
    let line = |entry| Line {
        entry,
        kinds: Some(Kinds { structured_metadata: pairs(&entry.structured), parsed: pairs(&entry.parsed) }),
    };
    StreamBody { stream: stream.labels.iter().collect(), values: stream.entries.iter().map(line).collect() }
}

/// One stream for each set of labels, metadata and parsed labels, in the order of their first lines. Of one name, the
/// parsed label is shown rather than the metadata, and a stream label rather than either.
fn merged(streams: &[Stream]) -> Vec<StreamBody<'_>> {
    let mut bodies: Vec<StreamBody<'_>> = Vec::new();
    let mut places: HashMap<BTreeMap<&str, &str>, usize> = HashMap::new();
    for stream in streams {
        for entry in &stream.entries {
            let mut labels = pairs(&entry.structured);
            labels.extend(pairs(&entry.parsed));
            labels.extend(stream.labels.iter());
            let place = *places.entry(labels).or_insert_with_key(|labels| {
                bodies.push(StreamBody { stream: labels.clone(), values: Vec::new() });
                bodies.len() - 1
            });
            if let Some(body) = bodies.get_mut(place) {
                body.values.push(Line { entry, kinds: None });
            }
        }
    }
    bodies
}

fn pairs(pairs: &[(String, String)]) -> BTreeMap<&str, &str> {
    pairs.iter().map(|(name, value)| (&**name, &**value)).collect()
}

/// Label names or values.
pub(super) fn names(names: &BTreeSet<String>) -> Vec<u8> {
    body(&Envelope { status: "success", data: names, warnings: None })
}

/// Label sets.
pub(super) fn series(streams: &BTreeSet<Arc<Labels>>) -> Vec<u8> {
    let data: Vec<BTreeMap<&str, &str>> = streams.iter().map(|labels| labels.iter().collect()).collect();
    body(&Envelope { status: "success", data, warnings: None })
}

/// How much a query would read.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Size {
    pub(super) streams: u64,
    /// Of Loki's own storage; we have none.
    pub(super) chunks: u64,
    pub(super) bytes: u64,
    pub(super) entries: u64,
}

/// A size hint, which has no envelope.
pub(super) fn size(size: Size) -> Vec<u8> {
    body(&size)
}

/// A text alone, such as a query laid out.
pub(super) fn text(text: &str) -> Vec<u8> {
    body(&Envelope { status: "success", data: text, warnings: None })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DetectedLabels<'a> {
    detected_labels: Vec<DetectedLabel<'a>>,
}

#[derive(Serialize)]
struct DetectedLabel<'a> {
    label: &'a str,
    cardinality: usize,
}

/// Labels and how many values each has, without an envelope.
pub(super) fn detected_labels<'a>(labels: impl Iterator<Item = (&'a str, usize)>) -> Vec<u8> {
    let labels = labels.map(|(label, cardinality)| DetectedLabel { label, cardinality });
    body(&DetectedLabels { detected_labels: labels.collect() })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BuildInfo {
    version: &'static str,
    revision: &'static str,
    branch: &'static str,
    build_user: &'static str,
    build_date: &'static str,
    go_version: &'static str,
}

/// Which program this is, in Loki's shape.
pub(super) fn build_info() -> Vec<u8> {
    let version = concat!("trefoil-", env!("CARGO_PKG_VERSION"));
    body(&BuildInfo { version, revision: "", branch: "", build_user: "", build_date: "", go_version: "" })
}

#[derive(Serialize)]
struct Tailed<'a> {
    streams: Vec<StreamBody<'a>>,
    dropped_entries: Option<&'a [Json]>,
}

/// A message of live tail.
pub(super) fn tailed(streams: &[Stream], dropped: &[Json]) -> String {
    let dropped_entries = (!dropped.is_empty()).then_some(dropped);
    let message = Tailed { streams: merged(streams), dropped_entries };
    serde_json::to_string(&message).unwrap_or_default()
}

fn body(value: &impl Serialize) -> Vec<u8> {
    // These shapes have string keys and plain values only: writing them to memory cannot fail.
    serde_json::to_vec(value).unwrap_or_default()
}
