//! Answers of queries in Prometheus' JSON: values as texts, times as seconds.

use parsers::record::{Labels, MetricKind, MetricMeta, NativeHistogram};
use query::promql::{Data, Outcome, Point, Value, show_number, shown_buckets};
use serde_json::{Map, Value as Json, json};
use store::read::SeriesStatistics;

/// Text quoted for JSON.
fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

fn push_labels(out: &mut String, labels: &Labels) {
    out.push('{');
    for (number, (name, value)) in labels.iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        out.push_str(&quoted(name));
        out.push(':');
        out.push_str(&quoted(value));
    }
    out.push('}');
}

/// Seconds with as many decimals as there are.
fn push_time(out: &mut String, millis: i64) {
    out.push_str(&(millis / 1000).to_string());
    let rest = (millis % 1000).unsigned_abs();
    if rest > 0 {
        out.push_str(format!(".{rest:03}").trim_end_matches('0'));
    }
}

/// `[time, "value"]`, or with a histogram in its place.
fn push_point(out: &mut String, point: &Point) {
    out.push('[');
    push_time(out, point.time);
    out.push(',');
    match &point.value {
        Value::Float(value) => out.push_str(&format!("\"{}\"", show_number(*value))),
        Value::Histogram(histogram) => out.push_str(&shown(histogram).to_string()),
    }
    out.push(']');
}

fn shown(histogram: &NativeHistogram) -> Json {
    let number = |value: f64| show_number(value);
    let buckets = shown_buckets(histogram);
    let buckets = buckets
        .iter()
        .map(|b| json!([b.boundaries, number(b.lower), number(b.upper), number(b.count)]))
        .collect::<Vec<_>>();
    let mut fields = Map::new();
    fields.insert("count".to_owned(), number(histogram.count).into());
    fields.insert("sum".to_owned(), number(histogram.sum).into());
    if !buckets.is_empty() {
        fields.insert("buckets".to_owned(), buckets.into());
    }
    fields.into()
}

/// Points of one kind under their name; nothing if there is none.
fn push_points(out: &mut String, name: &str, points: &[Point], wanted: fn(&Point) -> bool) {
    let mut any = false;
    for point in points.iter().filter(|point| wanted(point)) {
        out.push_str(if any { "," } else { "" });
        if !any {
            out.push_str(&format!(",\"{name}\":["));
        }
        any = true;
        push_point(out, point);
    }
    if any {
        out.push(']');
    }
}

fn is_float(point: &Point) -> bool {
    matches!(point.value, Value::Float(_))
}

/// The whole body.
pub(super) fn outcome(outcome: &Outcome) -> String {
    let mut out = String::from("{\"status\":\"success\",\"data\":{\"resultType\":\"");
    match &outcome.data {
        Data::Scalar(point) => {
            out.push_str("scalar\",\"result\":");
            push_point(&mut out, point);
        }
        Data::Text { time, text } => {
            out.push_str("string\",\"result\":[");
            push_time(&mut out, *time);
            out.push(',');
            out.push_str(&quoted(text));
            out.push(']');
        }
        Data::Vector(elements) => {
            out.push_str("vector\",\"result\":[");
            for (number, (labels, point)) in elements.iter().enumerate() {
                out.push_str(if number > 0 { ",{\"metric\":" } else { "{\"metric\":" });
                push_labels(&mut out, labels);
                out.push_str(if is_float(point) { ",\"value\":" } else { ",\"histogram\":" });
                push_point(&mut out, point);
                out.push('}');
            }
            out.push(']');
        }
        Data::Matrix(series) => {
            out.push_str("matrix\",\"result\":[");
            for (number, one) in series.iter().enumerate() {
                out.push_str(if number > 0 { ",{\"metric\":" } else { "{\"metric\":" });
                push_labels(&mut out, &one.labels);
                push_points(&mut out, "values", &one.points, is_float);
                push_points(&mut out, "histograms", &one.points, |point| !is_float(point));
                out.push('}');
            }
            out.push(']');
        }
    }
    out.push('}');
    for (name, notes) in [("warnings", &outcome.warnings), ("infos", &outcome.infos)] {
        if !notes.is_empty() {
            out.push_str(&format!(",\"{name}\":{}", json!(notes)));
        }
    }
    out.push('}');
    out
}

/// What senders said, by family.
pub(super) fn metadata(said: &[MetricMeta], wanted: Option<&str>, limit: usize) -> Json {
    let mut families: Map<String, Json> = Map::new();
    for meta in said.iter().filter(|meta| wanted.is_none_or(|name| name == meta.name)) {
        if families.len() >= limit && !families.contains_key(&meta.name) {
            continue;
        }
        let kind = match meta.kind {
            MetricKind::Unknown => "unknown",
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
            MetricKind::Summary => "summary",
        };
        let statement = json!({ "type": kind, "help": meta.help, "unit": meta.unit });
        let known = families.entry(meta.name.clone()).or_insert_with(|| json!([]));
        if let Some(list) = known.as_array_mut() {
            list.push(statement);
        }
    }
    families.into()
}

/// What series are made of.
pub(super) fn statistics(all: &SeriesStatistics) -> Json {
    let list = |entries: &[(String, u64)]| -> Json {
        entries.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
    };
    let millis = |nanos: Option<u64>| nanos.map_or(0, |nanos| nanos / 1_000_000);
    json!({
        "headStats": {
            "numSeries": all.series,
            "numLabelPairs": all.label_pairs,
            "minTime": millis(all.oldest),
            "maxTime": millis(all.newest),
            "maxSeries": all.max_series,
        },
        "seriesCountByMetricName": list(&all.series_by_metric),
        "labelValueCountByLabelName": list(&all.values_by_label),
        "memoryInBytesByLabelName": list(&all.bytes_by_label),
        "seriesCountByLabelValuePair": list(&all.series_by_pair),
    })
}
