//! The measurements as OTLP metrics, sent over HTTP.

use std::sync::Arc;
use std::time::Duration;

use parsers::otlp::{Writer, encode_resource, encode_scope, encode_value};
use parsers::record::{Scope, Value};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::arrivals::Arrivals;
use super::exporter::Gateway;
use super::metrics::{BOUNDS, Histogram, Measurements, SeriesKey};
use super::now;
use super::services::Pod;

/// How often metrics are sent: often enough that a trace that was just printed has its exemplars.
const SEND_EVERY: Duration = Duration::from_secs(2);
/// The first time sooner, so that the first trace is complete within two seconds.
const SEND_FIRST: Duration = Duration::from_secs(1);
/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u64 = 2;

/// Sends until told to stop, and then once more.
pub(super) async fn send_metrics(
    gateway: Gateway,
    measurements: Arc<Measurements>,
    arrivals: Arc<Arrivals>,
    shutdown: CancellationToken,
) {
    let start = now();
    let mut ticks = tokio::time::interval_at(Instant::now() + SEND_FIRST, SEND_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stopping = false;
    while !stopping {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.cancelled() => stopping = true,
        }
        let series = measurements.take();
        if series.is_empty() {
            continue;
        }
        if let Err(error) = gateway.post("/v1/metrics", &encode(&series, start, now())).await {
            gateway.warn(&error);
        }
        // A trace without its exemplars is still worth showing, so these count as through either way.
        arrivals.arrived(series.iter().flat_map(|(_, histogram)| &histogram.examples).map(|it| it.ids.trace));
    }
}

/// An `ExportMetricsServiceRequest`: for each pod its durations as a histogram and its requests as a counter.
pub(super) fn encode(series: &[(SeriesKey, Histogram)], start: u64, time: u64) -> Vec<u8> {
    let mut body = Vec::new();
    let mut w = Writer::new(&mut body);
    for pod in Pod::ALL {
        let of_pod: Vec<_> = series.iter().filter(|(key, _)| key.pod == pod).collect();
        if of_pod.is_empty() {
            continue;
        }
        w.message(1, |out| {
            let mut w = Writer::new(out);
            w.message(1, |out| encode_resource(&pod.resource(), out));
            w.message(2, |out| {
                let mut w = Writer::new(out);
                let scope = Scope { name: pod.spec().scope.to_owned(), ..Scope::default() };
                w.message(1, |out| encode_scope(&scope, out));
                w.message(2, |out| {
                    let mut w = Writer::new(out);
                    w.bytes(1, b"http.server.request.duration");
                    w.bytes(2, b"Time from a request's arrival to its answer");
                    w.bytes(3, b"s");
                    w.message(9, |out| {
                        let mut w = Writer::new(out);
                        for (key, histogram) in &of_pod {
                            w.message(1, |out| histogram_point(key, histogram, start, time, out));
                        }
                        w.varint(2, CUMULATIVE);
                    });
                });
                w.message(2, |out| {
                    let mut w = Writer::new(out);
                    w.bytes(1, b"http.server.requests");
                    w.bytes(2, b"Requests answered");
                    w.bytes(3, b"{request}");
                    w.message(7, |out| {
                        let mut w = Writer::new(out);
                        for (key, histogram) in &of_pod {
                            w.message(1, |out| counter_point(key, histogram, start, time, out));
                        }
                        w.varint(2, CUMULATIVE);
                        w.varint(3, 1);
                    });
                });
            });
        });
    }
    body
}

fn histogram_point(key: &SeriesKey, histogram: &Histogram, start: u64, time: u64, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    w.fixed64(2, start);
    w.fixed64(3, time);
    w.always_fixed64(4, histogram.counts.iter().sum());
    w.always_double(5, histogram.sum);
    let packed =
        |values: &mut dyn Iterator<Item = u64>| values.flat_map(u64::to_le_bytes).collect::<Vec<u8>>();
    w.bytes(6, &packed(&mut histogram.counts.iter().copied()));
    w.bytes(7, &packed(&mut BOUNDS.iter().map(|bound| bound.to_bits())));
    for example in &histogram.examples {
        w.message(8, |out| {
            let mut w = Writer::new(out);
            w.fixed64(2, example.time);
            w.always_double(3, example.seconds);
            w.bytes(4, &example.ids.span.bits().to_be_bytes());
            w.bytes(5, &example.ids.trace.bits().to_be_bytes());
        });
    }
    attributes(&mut w, 9, key);
}

fn counter_point(key: &SeriesKey, histogram: &Histogram, start: u64, time: u64, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    w.fixed64(2, start);
    w.fixed64(3, time);
    w.always_fixed64(6, histogram.counts.iter().sum());
    attributes(&mut w, 7, key);
}

fn attributes(w: &mut Writer<'_>, field: u32, key: &SeriesKey) {
    let pairs = [
        ("http.request.method", Value::Str(key.method.to_owned())),
        ("http.route", Value::Str(key.route.to_owned())),
        ("http.response.status_code", Value::Int(i64::from(key.status))),
        ("version", Value::Str(key.pod.spec().version.to_owned())),
    ];
    for (name, value) in pairs {
        w.message(field, |out| {
            let mut w = Writer::new(out);
            w.bytes(1, name.as_bytes());
            w.message(2, |out| encode_value(&value, out));
        });
    }
}
