use std::collections::BTreeMap;
use std::sync::Arc;

use parsers::otlp::SpanEncoder;
use parsers::record::{
    Link, MetricBatch, Resource, Scope, Span, SpanBatch, SpanId, SpanKind, Spelling, SpellingKind, Status,
    StatusCode, TraceId, Value,
};
use proptest::prelude::*;

use super::*;

mod calls;
mod graph;

use SpanKind::{Client, Consumer, Internal, Producer, Server};

const NOW: u64 = 1_760_000_000_000_000_000;
const SECOND: u64 = 1_000_000_000;

fn span(trace: u128, id: u64, parent: u64, service: &str, kind: SpanKind, millis: u64) -> Span {
    let service = Value::Str(service.to_owned());
    Span {
        trace_id: TraceId::new(trace, Spelling::new(SpellingKind::Hex(32))).unwrap(),
        span_id: SpanId::new(id).unwrap(),
        parent_span_id: SpanId::new(parent),
        trace_state: String::new(),
        flags: 0,
        name: format!("op {}", kind.as_str()),
        kind,
        start: NOW - millis * 1_000_000,
        end: NOW,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        status: Status::default(),
        resource: Arc::new(Resource { attributes: vec![("service.name".to_owned(), service)] }),
        scope: Arc::new(Scope::default()),
    }
}

fn with(mut span: Span, key: &str, value: &str) -> Span {
    span.attributes.push((key.to_owned(), Value::Str(value.to_owned())));
    span
}

/// With links to the span of this number in traces.
fn linking(mut span: Span, traces: impl IntoIterator<Item = u128>, id: u64) -> Span {
    let link = |trace| Link {
        trace_id: TraceId::new(trace, Spelling::default()),
        span_id: SpanId::new(id),
        attributes: Vec::new(),
    };
    span.links.extend(traces.into_iter().map(link));
    span
}

fn failed(mut span: Span) -> Span {
    span.status.code = StatusCode::Error;
    span
}

fn batch(spans: &[Span]) -> SpanBatch {
    let mut encoder = SpanEncoder::default();
    for span in spans {
        encoder.push(span).unwrap();
    }
    encoder.finish()
}

/// The newest value of each series, as `name{label="value"}`.
fn values(batch: &MetricBatch) -> BTreeMap<String, f64> {
    let mut values = BTreeMap::new();
    for sample in &batch.samples {
        let labels = &batch.series[sample.series as usize];
        let name = labels.get("__name__").unwrap();
        let others: Vec<String> =
            labels.iter().filter(|(n, _)| *n != "__name__").map(|(n, v)| format!("{n}={v}")).collect();
        values.insert(format!("{name}{{{}}}", others.join(",")), sample.value);
    }
    values
}

fn edges(values: &BTreeMap<String, f64>) -> Vec<String> {
    let edge = |(name, value): (&String, &f64)| {
        let labels = name.strip_prefix("traces_service_graph_request_total{")?;
        Some(format!("{} {value}", labels.trim_end_matches('}')))
    };
    values.iter().filter_map(edge).collect()
}

#[test]
fn spans_are_counted_measured_and_weighed_by_operation_kind_and_status() {
    let mut metrics = SpanMetrics::new(&RedOptions::default(), NOW - SECOND);
    let failed = failed(span(2, 2, 1, "shop", Server, 300));
    let spans = batch(&[span(1, 1, 0, "shop", Server, 3), span(2, 1, 0, "shop", Server, 5), failed]);
    metrics.add(&spans, NOW);
    let written = metrics.collect(NOW);
    let of = values(&written);
    let labels = "service=shop,span_kind=SPAN_KIND_SERVER,span_name=op server,status_code=STATUS_CODE_UNSET";
    assert_eq!(of[&format!("traces_spanmetrics_calls_total{{{labels}}}")], 2.0);
    assert_eq!(of[&format!("traces_spanmetrics_latency_bucket{{le=0.002,{labels}}}")], 0.0);
    assert_eq!(of[&format!("traces_spanmetrics_latency_bucket{{le=0.004,{labels}}}")], 1.0);
    assert_eq!(of[&format!("traces_spanmetrics_latency_bucket{{le=+Inf,{labels}}}")], 2.0);
    assert_eq!(of[&format!("traces_spanmetrics_latency_sum{{{labels}}}")], 0.008);
    assert_eq!(of[&format!("traces_spanmetrics_latency_count{{{labels}}}")], 2.0);
    let bytes: usize = spans.rows[..2].iter().map(|row| row.payload.len()).sum();
    assert_eq!(of[&format!("traces_spanmetrics_size_total{{{labels}}}")], bytes as f64);
    // A series begins with 0, so that a rate has something to begin with, and a second time without.
    let zeros = written.samples.iter().filter(|sample| sample.time < NOW);
    assert!(zeros.clone().all(|sample| sample.value == 0.0 && sample.time >= NOW - SECOND));
    assert_eq!(zeros.count() * 2, written.samples.len());
    assert!(metrics.collect(NOW + SECOND).samples.iter().all(|sample| sample.time == NOW + SECOND));
}

#[test]
fn each_bucket_has_its_highest_example_and_its_first() {
    let mut metrics = SpanMetrics::new(&RedOptions::default(), NOW);
    let spans =
        [span(1, 1, 0, "a", Internal, 5), span(2, 1, 0, "a", Internal, 7), span(3, 1, 0, "a", Internal, 6)];
    metrics.add(&batch(&spans), NOW);
    let written = metrics.collect(NOW);
    let told: Vec<(u128, f64)> = written.exemplars.iter().map(|e| (e.trace, e.value)).collect();
    assert_eq!(told, [(2, 0.007), (1, 0.005)]);
    let series = &written.series[written.exemplars[0].series as usize];
    assert_eq!(
        (series.get("__name__"), series.get("le")),
        (Some("traces_spanmetrics_latency_bucket"), Some("0.008"))
    );
    assert!(metrics.collect(NOW + SECOND).exemplars.is_empty(), "each is written once");
    let shown = metrics.tracks().next().unwrap().histograms[0].examples[2];
    assert_eq!(shown.shown().unwrap().trace, 2);
}

/// Calls and messages of a service under so many names each.
fn noise(service: &str, names: u128) -> Vec<Span> {
    let call = |n: u128| Span { name: format!("GET /{n}"), ..span(n + 1, 1, 0, service, Internal, 1) };
    (0..names).map(call).collect()
}

#[test]
fn a_service_with_names_without_end_leaves_room_for_all_others_and_its_rest_bears_its_name() {
    let mut metrics = SpanMetrics::new(&RedOptions::default(), NOW);
    for service in ["loud", "louder", "loudest"] {
        metrics.add(&batch(&noise(service, 3_000)), NOW);
        // Calls to as many hosts.
        let calls = (0..2_000u64).map(|n| {
            with(span((n + 1).into(), 2, 1, service, Client, 1), "db.namespace", &format!("db-{n}"))
        });
        let calls: Vec<Span> = calls.map(|span| with(span, "db.system", "mysql")).collect();
        metrics.add(&batch(&calls), NOW);
    }
    let late =
        [span(9, 1, 0, "late", Server, 5), with(span(9, 2, 1, "late", Client, 2), "db.system", "postgresql")];
    metrics.add(&batch(&late), NOW);
    let of = values(&metrics.collect(NOW));
    let late = "service=late,span_kind=SPAN_KIND_SERVER,span_name=op server,status_code=STATUS_CODE_UNSET";
    assert_eq!(of[&format!("traces_spanmetrics_calls_total{{{late}}}")], 1.0);
    let edges: Vec<String> = edges(&of).into_iter().filter(|edge| edge.contains("late")).collect();
    let expected = [
        "client=late,connection_type=database,server=postgresql 1",
        "client=user,connection_type=virtual_node,server=late 1",
    ];
    assert_eq!(edges, expected);
    for service in ["loud", "louder", "loudest"] {
        let others = format!(
            "metric_overflow=true,service={service},span_kind=SPAN_KIND_INTERNAL,span_name=(others),status_code=STATUS_CODE_UNSET"
        );
        let rest = of[&format!("traces_spanmetrics_calls_total{{{others}}}")];
        let known = of.keys().filter(|name| {
            name.starts_with("traces_spanmetrics_calls_total{service=")
                && name.contains("INTERNAL")
                && name.contains(&format!("service={service},"))
        });
        assert_eq!(rest + known.count() as f64, 3_000.0, "{service}");
    }
    assert!(!of.contains_key("traces_spanmetrics_calls_total{metric_overflow=true}"));
    assert!(metrics.stats().series <= RedOptions::default().max_series);
    // What was idle leaves its room to others.
    metrics.collect(NOW + 16 * 60 * SECOND);
    assert_eq!(metrics.stats().series, 0);
}

#[test]
fn past_the_limit_of_services_too_one_series_of_each_kind_counts_the_rest_and_says_so() {
    let mut metrics = SpanMetrics::new(&RedOptions { max_series: 160, ..RedOptions::default() }, NOW);
    for service in 0..100 {
        metrics.add(&batch(&noise(&format!("shop-{service}"), 3)), NOW);
    }
    let of = values(&metrics.collect(NOW));
    let calls = of.iter().filter(|(name, _)| name.starts_with("traces_spanmetrics_calls_total"));
    assert_eq!(calls.map(|(_, value)| value).sum::<f64>(), 300.0);
    let rest = of["traces_spanmetrics_calls_total{metric_overflow=true}"];
    assert!(rest > 200.0 && metrics.stats().overflowed >= rest as u64, "{rest}");
    assert!(metrics.stats().series <= 160 + 19);
}

#[test]
fn dimensions_are_labels_and_old_spans_are_not_counted() {
    let options = RedOptions { dimensions: vec!["http.route".to_owned()], ..RedOptions::default() };
    let mut metrics = SpanMetrics::new(&options, NOW);
    let known = with(span(1, 1, 0, "shop", Internal, 1), "http.route", "/pay");
    metrics.add(&batch(&[known.clone(), known, span(2, 1, 0, "shop", Internal, 1)]), NOW);
    metrics.add(&batch(&[span(3, 1, 0, "shop", Internal, 1)]), NOW + 180 * SECOND);
    let of = values(&metrics.collect(NOW));
    let calls: Vec<_> =
        of.iter().filter(|(name, _)| name.starts_with("traces_spanmetrics_calls_total")).collect();
    assert_eq!(calls.len(), 2);
    assert!(calls[0].0.contains("http_route=/pay") && *calls[0].1 == 2.0, "{calls:?}");
    assert_eq!((*calls[1].1, metrics.stats().late), (1.0, 1));
}

#[test]
fn idle_series_end_and_begin_anew() {
    let mut metrics = SpanMetrics::new(&RedOptions::default(), NOW);
    metrics.add(&batch(&[span(1, 1, 0, "shop", Internal, 1)]), NOW);
    let series = metrics.collect(NOW).series.len();
    let later = NOW + 16 * 60 * SECOND;
    let written = metrics.collect(later);
    assert_eq!(written.samples.len(), series);
    assert!(written.samples.iter().all(|sample| sample.value.to_bits() == 0x7ff0_0000_0000_0002));
    assert_eq!(metrics.stats().series, 0);
    assert!(metrics.collect(later + SECOND).samples.is_empty());
}

proptest! {
    #[test]
    fn every_span_is_counted_once_and_waits_within_its_bound(
        spans in prop::collection::vec((1..20u64, 1..40u64, 0..40u64, 0..4usize, 0..6u8, 0..20_000u64), 0..200),
        steps in prop::collection::vec(0..8u64, 1..10),
    ) {
        let spans: Vec<Span> = spans
            .into_iter()
            .map(|(trace, id, parent, service, kind, millis)| {
                span(trace.into(), id, parent, ["a", "b", "c", "d"][service], SpanKind::from_code(kind), millis)
            })
            .collect();
        let mut metrics = SpanMetrics::new(&RedOptions::default(), NOW);
        let mut now = NOW;
        let mut total = BTreeMap::new();
        for (part, step) in spans.chunks(30).zip(steps.iter().cycle()) {
            now += step * SECOND;
            metrics.add(&batch(part), now);
            total = values(&metrics.collect(now));
            prop_assert!(metrics.stats().waiting <= spans.len());
        }
        let sum = |name: &str| -> f64 {
            total.iter().filter(|(series, _)| series.starts_with(name)).map(|(_, value)| value).sum()
        };
        prop_assert_eq!(sum("traces_spanmetrics_calls_total"), spans.len() as f64);
        prop_assert_eq!(sum("traces_spanmetrics_latency_count"), spans.len() as f64);
        let called = spans.iter().filter(|span| !matches!(span.kind, Internal | SpanKind::Unspecified)).count();
        prop_assert!(sum("traces_service_graph_request_total") <= called as f64);
    }
}
