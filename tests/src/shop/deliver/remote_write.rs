//! Prometheus' remote write, version 1.0: snappy-compressed protobuf, whose few messages are declared here.

use prost::Message;

use super::Delivery;
use crate::shop::Series;

/// Series of one request.
const SERIES_A_BODY: usize = 200;

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    exemplars: Vec<Exemplar>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(int64, tag = "3")]
    timestamp: i64,
}

/// Requests with all series.
pub(super) fn bodies(delivery: &Delivery<'_>) -> anyhow::Result<Vec<Vec<u8>>> {
    let requests = delivery.traffic.series.chunks(SERIES_A_BODY).map(|series| {
        let timeseries = series.iter().map(|series| written(delivery.opened, series)).collect();
        let bytes = WriteRequest { timeseries }.encode_to_vec();
        Ok(snap::raw::Encoder::new().compress_vec(&bytes)?)
    });
    requests.collect()
}

fn written(opened: u64, series: &Series) -> TimeSeries {
    let millis = |time: u64| ((opened + time) / 1_000_000) as i64;
    let mut labels: Vec<Label> = std::iter::once(label("__name__", series.name))
        .chain(series.labels.iter().map(|(name, value)| label(name, value)))
        .collect();
    labels.sort_by(|a, b| a.name.cmp(&b.name));
    let samples =
        series.samples.iter().map(|(time, value)| Sample { value: *value, timestamp: millis(*time) });
    let exemplars = series.exemplars.iter().map(|(time, value, trace, span)| Exemplar {
        labels: vec![label("trace_id", &format!("{trace:032x}")), label("span_id", &format!("{span:016x}"))],
        value: *value,
        timestamp: millis(*time),
    });
    TimeSeries { labels, samples: samples.collect(), exemplars: exemplars.collect() }
}

fn label(name: &str, value: &str) -> Label {
    Label { name: name.to_owned(), value: value.to_owned() }
}
