//! Metric sets: a sample becomes a series named as Prometheus would have it.

use std::sync::Arc;

use parsers::record::{Attributes, ByteRange, Labels, MetricBatch, MetricKind, MetricMeta, SampleRow};
use serde_json::Value as Json;

use super::ecs_log::shown;
use super::fields::Fields;
use super::flat;
use super::metadata::Sender;

/// Samples of one set, and series that become of them; agents send some dozens.
const MAX_SAMPLES: usize = 4096;

/// A name with only what Prometheus allows in it.
fn clean(name: &str) -> String {
    let mut out: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out
}

/// A series' name, its value, and its bucket's bound.
type Row = (String, f64, Option<String>);

/// Values and how often each came, as a histogram whose buckets end at them.
fn histogram(name: &str, values: Vec<f64>, counts: &[f64], rows: &mut Vec<Row>) {
    let sum = values.iter().zip(counts).map(|(value, count)| value * count).sum();
    let mut pairs: Vec<(f64, f64)> = values.into_iter().zip(counts.iter().copied()).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut below = 0.0;
    for (value, count) in pairs {
        below += count;
        rows.push((format!("{name}_bucket"), below, Some(value.to_string())));
    }
    rows.push((format!("{name}_bucket"), below, Some("+Inf".to_owned())));
    rows.push((format!("{name}_count"), below, None));
    rows.push((format!("{name}_sum"), sum, None));
}

/// Adds what a metric set says.
pub(super) fn read(
    value: &Json,
    sender: &Sender,
    arrival: u64,
    into: &mut MetricBatch,
) -> Result<(), String> {
    let fields = Fields::new("metricset", value)?;
    let samples = fields.inner("samples")?;
    let samples = fields.required("samples", samples)?;
    let time = fields.timestamp()?.unwrap_or(arrival);
    let mut labels = Vec::new();
    for (name, label) in [("service.name", "job"), ("service.instance.id", "instance"), ("host.name", "host")]
    {
        let found = sender.resource.attributes.iter().find(|(key, _)| key == name);
        labels.extend(found.map(|(_, value)| (label.to_owned(), shown(value))));
    }
    let mut more = Attributes::new();
    if let Some(tags) = fields.inner("tags")? {
        flat::labels(tags.object(), &mut more);
    }
    for key in ["transaction", "span", "service", "faas"] {
        if let Some(part) = fields.inner(key)? {
            flat::flatten(part.object(), key, &[], &mut more);
        }
    }
    labels.extend(
        more.iter().map(|(name, value)| (clean(name.strip_prefix("labels.").unwrap_or(name)), shown(value))),
    );
    // All or nothing of one set: its faults are found before a row is made.
    let mut rows: Vec<Row> = Vec::new();
    for (name, sample) in samples.object().iter().take(MAX_SAMPLES) {
        if name.contains(['*', '"']) {
            return Err(format!(
                "validation error: 'metricset.samples' has the name {name}, which may hold neither * nor \""
            ));
        }
        let sample = Fields::new("sample", sample)?;
        let kind = match sample.text("type")? {
            Some("counter") => MetricKind::Counter,
            Some("histogram") => MetricKind::Histogram,
            Some("summary") => MetricKind::Summary,
            Some("gauge") => MetricKind::Gauge,
            _ => MetricKind::Unknown,
        };
        let unit = sample.text("unit")?.unwrap_or_default().to_owned();
        let name = clean(name);
        let list = |key: &str| -> Option<Vec<f64>> {
            sample.get(key)?.as_array()?.iter().map(Json::as_f64).collect()
        };
        match (sample.number("value")?, list("values"), list("counts")) {
            (_, Some(values), Some(counts)) if values.len() == counts.len() => {
                histogram(&name, values, &counts, &mut rows);
            }
            (Some(value), _, _) => rows.push((name.clone(), value, None)),
            _ => return Err(sample.wrong("value", "or as many 'values' as 'counts' required")),
        }
        if rows.len() > MAX_SAMPLES {
            return Err(format!(
                "validation error: 'metricset.samples' makes more than {MAX_SAMPLES} series"
            ));
        }
        if kind != MetricKind::Unknown || !unit.is_empty() {
            into.families.push(MetricMeta { name, kind, unit, help: String::new() });
        }
    }
    for (name, value, bound) in rows {
        let named = [("__name__".to_owned(), name)];
        let bound = bound.map(|bound| ("le".to_owned(), bound));
        let series = into.series.len() as u32;
        into.series.push(Arc::new(Labels::new(labels.iter().cloned().chain(named).chain(bound))));
        into.samples.push(SampleRow { time, value, start: 0, series, histogram: ByteRange::default() });
    }
    Ok(())
}
