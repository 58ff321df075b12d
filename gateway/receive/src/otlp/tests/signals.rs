//! Logs and metrics: what rows a request of the generated types, or of JSON, becomes.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, exemplar, exponential_histogram_data_point::Buckets,
    metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use parsers::derived::Deriver;
use parsers::otlp::{Promoted, Reason, Rejections, walk_logs, walk_metrics};
use parsers::record::{LogBatch, MetricBatch, MetricKind, NativeHistogram, Pairs, Severity};
use proptest::prelude::*;

use super::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const ID: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;

fn text(text: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.into())) }
}

fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    pairs
        .iter()
        .map(|(key, value)| KeyValue { key: (*key).into(), value: Some(text(value)), ..KeyValue::default() })
        .collect()
}

fn resource(pairs: &[(&str, &str)]) -> Resource {
    Resource { attributes: attributes(pairs), ..Resource::default() }
}

fn logs(from: &[(&str, &str)], log_records: Vec<LogRecord>) -> ResourceLogs {
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    ResourceLogs { resource: Some(resource(from)), scope_logs, ..ResourceLogs::default() }
}

fn walked(resource_logs: Vec<ResourceLogs>) -> (LogBatch, Rejections) {
    let deriver = Deriver::new(&[]).unwrap();
    let body = ExportLogsServiceRequest { resource_logs }.encode_to_vec();
    let walked = walk_logs(&body, 99, Some(&deriver), None).unwrap();
    (walked.logs, walked.rejections)
}

#[test]
fn few_resource_attributes_are_labels_and_the_others_metadata() {
    let from = [("service.name", "cart"), ("k8s.pod.name", "cart-1"), ("host.name", "n1"), ("a.b", "c")];
    let record = LogRecord {
        time_unix_nano: 5,
        severity_number: 17,
        body: Some(text("boom")),
        attributes: attributes(&[("user.id", "7")]),
        trace_id: ID.to_be_bytes().to_vec(),
        span_id: vec![1; 8],
        ..LogRecord::default()
    };
    let (batch, rejections) = walked(vec![logs(&from, vec![record.clone()]), logs(&from, vec![record])]);
    assert!(rejections.is_empty());
    assert_eq!(batch.streams.len(), 1);
    let labels: Vec<_> = batch.streams[0].iter().collect();
    assert_eq!(labels, [("pod", "cart-1"), ("service_name", "cart")]);
    let row = &batch.rows[1];
    assert_eq!((row.time, row.observed, row.severity), (5, 99, Severity::Error));
    assert_eq!((row.trace, row.span, batch.line(row)), (ID, 0x0101_0101_0101_0101, &b"boom"[..]));
    let metadata: Vec<_> = batch.metadata(row).collect();
    assert_eq!(metadata, [("host", "n1"), ("a_b", "c"), ("user_id", "7"), ("severity_number", "17")]);
}

#[test]
fn a_record_without_an_id_has_that_of_its_text() {
    let record = LogRecord { body: Some(text(&format!("trace_id={TRACE} failed"))), ..LogRecord::default() };
    let (batch, _) = walked(vec![logs(&[], vec![record])]);
    let record = batch.record(&batch.rows[0]);
    assert_eq!(record.trace_id.unwrap().bits(), ID);
    assert!(record.rule.is_some());
    assert_eq!(record.labels.get("service_name"), Some("unknown_service"));
    assert_eq!(record.time, 99);
}

#[test]
fn a_record_with_a_broken_id_is_kept_without_it() {
    let record = LogRecord { trace_id: vec![1; 15], body: Some(text("x")), ..LogRecord::default() };
    let (batch, rejections) = walked(vec![logs(&[], vec![record])]);
    assert_eq!((batch.rows.len(), batch.rows[0].trace, rejections.rejected()), (1, 0, 0));
    assert_eq!(rejections.iter().collect::<Vec<_>>(), [(Reason::LogId, 1)]);
}

#[test]
fn a_stream_label_is_cut_between_characters() {
    let name = "\u{e9}".repeat(2000);
    let (batch, _) = walked(vec![logs(&[("k8s.pod.name", &format!("x{name}"))], vec![])]);
    assert!(batch.rows.is_empty());
    assert!(batch.streams.iter().all(|labels| labels.get("pod").is_none_or(|pod| pod.len() == 2047)));
}

fn metrics(name: &str, unit: &str, data: Data) -> (MetricBatch, Rejections) {
    let from = [("service.name", "cart"), ("service.namespace", "shop"), ("service.instance.id", "i1")];
    metrics_of(&[&from], name, unit, &data, &Promoted::default())
}

pub(super) fn metrics_of(
    resources: &[&[(&str, &str)]],
    name: &str,
    unit: &str,
    data: &Data,
    promoted: &Promoted,
) -> (MetricBatch, Rejections) {
    let metric =
        Metric { name: name.into(), unit: unit.into(), data: Some(data.clone()), ..Metric::default() };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }];
    let of_resource = |from: &&[(&str, &str)]| ResourceMetrics {
        resource: Some(resource(from)),
        scope_metrics: scope_metrics.clone(),
        ..ResourceMetrics::default()
    };
    let resource_metrics = resources.iter().map(of_resource).collect();
    let body = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec();
    walk_metrics(&body, 99, promoted).unwrap()
}

/// `name{le} value` of each sample.
fn shown(batch: &MetricBatch) -> Vec<String> {
    let show = |row: &parsers::record::SampleRow| {
        let labels = &batch.series[row.series as usize];
        format!(
            "{}{{{}}} {}",
            labels.get("__name__").unwrap(),
            labels.get("le").unwrap_or_default(),
            row.value
        )
    };
    batch.samples.iter().map(show).collect()
}

#[test]
fn a_histogram_becomes_buckets_and_its_exemplar_names_trace_and_bucket() {
    let exemplar = Exemplar {
        filtered_attributes: attributes(&[("user.id", "7")]),
        time_unix_nano: 3,
        span_id: vec![1; 8],
        trace_id: ID.to_be_bytes().to_vec(),
        value: Some(exemplar::Value::AsDouble(0.3)),
    };
    let point = HistogramDataPoint {
        attributes: attributes(&[("http.route", "/buy")]),
        count: 6,
        sum: Some(1.5),
        min: Some(0.05),
        max: Some(2.5),
        bucket_counts: vec![1, 2, 3],
        explicit_bounds: vec![0.1, 0.5],
        exemplars: vec![exemplar],
        ..HistogramDataPoint::default()
    };
    let histogram = Histogram { data_points: vec![point], aggregation_temporality: 2 };
    let (batch, rejections) = metrics("http.server.duration", "s", Data::Histogram(histogram));
    assert!(rejections.is_empty());
    let name = "http_server_duration_seconds";
    let expected = [
        "_bucket{0.1} 1",
        "_bucket{0.5} 3",
        "_bucket{+Inf} 6",
        "_count{} 6",
        "_sum{} 1.5",
        "_min{} 0.05",
        "_max{} 2.5",
    ];
    assert_eq!(shown(&batch), expected.map(|rest| format!("{name}{rest}")));
    let labels = &batch.series[1];
    assert_eq!((labels.get("job"), labels.get("instance")), (Some("shop/cart"), Some("i1")));
    assert_eq!(labels.get("http_route"), Some("/buy"));
    let row = batch.exemplars[0];
    assert_eq!((row.trace, row.span, row.time, row.series), (ID, 0x0101_0101_0101_0101, 3, 1));
    assert_eq!(Pairs::new(row.labels.of(&batch.meta)).collect::<Vec<_>>(), [("user_id", "7")]);
}

pub(super) fn sum(temporality: i32, label: &str) -> Data {
    let value = Some(number_data_point::Value::AsInt(4));
    let attributes = attributes(&[("k", label)]);
    let data_points =
        vec![NumberDataPoint { value, attributes, start_time_unix_nano: 9, ..NumberDataPoint::default() }];
    Data::Sum(Sum { data_points, aggregation_temporality: temporality, is_monotonic: true })
}

#[test]
fn a_counter_ends_in_total_a_delta_is_kept_as_one_and_long_labels_are_rejected() {
    let (batch, _) = metrics("requests", "{request}", sum(2, "v"));
    assert_eq!((shown(&batch), batch.samples[0].time), (vec!["requests_total{} 4".to_owned()], 99));
    let (batch, rejections) = metrics("requests", "", sum(1, "v"));
    assert_eq!((shown(&batch), rejections.is_empty()), (vec!["requests{} 4".to_owned()], true));
    assert_eq!(batch.series[0].get("__temporality__"), Some("delta"));
    assert_eq!((batch.samples[0].start, batch.families[0].kind), (9, MetricKind::Gauge));
    let (batch, rejections) = metrics("requests", "", sum(2, &"v".repeat(2049)));
    assert_eq!((batch.samples.len(), rejections.iter().next()), (0, Some((Reason::Label, 1))));
}

/// An exponential histogram whose positive buckets are (2, 4] and (8, 16].
fn exponential(temporality: i32) -> Data {
    let exemplar = Exemplar { trace_id: ID.to_be_bytes().to_vec(), ..Exemplar::default() };
    let point = ExponentialHistogramDataPoint {
        count: 8,
        sum: Some(30.5),
        zero_count: 1,
        zero_threshold: 0.25,
        positive: Some(Buckets { offset: 1, bucket_counts: vec![4, 0, 2] }),
        negative: Some(Buckets { offset: -3, bucket_counts: vec![1] }),
        exemplars: vec![exemplar],
        ..ExponentialHistogramDataPoint::default()
    };
    let data_points = vec![point];
    Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality: temporality })
}

fn native(batch: &MetricBatch) -> NativeHistogram {
    let [row] = &batch.samples[..] else { panic!("{batch:?}") };
    assert_eq!(row.value, 8.0);
    NativeHistogram::decode(row.histogram.of(&batch.meta)).unwrap().unwrap()
}

#[test]
fn an_exponential_histogram_becomes_a_native_one() {
    let (batch, rejections) = metrics("latency", "s", exponential(2));
    assert!(rejections.is_empty());
    assert_eq!(shown(&batch), ["latency_seconds{} 8"]);
    let expected = NativeHistogram {
        count: 8.0,
        sum: 30.5,
        zero_count: 1.0,
        zero_threshold: 0.25,
        positive: vec![(2, 4.0), (4, 2.0)],
        negative: vec![(-2, 1.0)],
        ..NativeHistogram::default()
    };
    assert_eq!(native(&batch), expected);
    assert_eq!((batch.exemplars[0].trace, batch.exemplars[0].series), (ID, 0));
    let (batch, _) = metrics("latency", "s", exponential(1));
    assert_eq!(native(&batch), NativeHistogram { reset_hint: 3, ..expected });
    assert_eq!(batch.series[0].get("__temporality__"), Some("delta"));
}

#[tokio::test]
async fn an_exponential_histogram_in_json_is_the_same() {
    let body = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"latency","unit":"s","exponentialHistogram":
        {"aggregationTemporality":2,"dataPoints":[{"count":"8","sum":30.5,"scale":0,"zeroCount":"1","zeroThreshold":0.25,
        "positive":{"offset":1,"bucketCounts":["4",0,"2"]},"negative":{"offset":-3,"bucketCounts":[1]}}]}}]}]}]}"#;
    let (otlp, sink) = otlp(false);
    let (answer, _) = post(otlp.http(), "/v1/metrics", &[JSON], body.as_bytes().to_vec()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let batch = &sink.batches.lock().unwrap()[0].metrics;
    assert_eq!(native(batch), native(&metrics("latency", "s", exponential(2)).0));
}

#[tokio::test]
async fn logs_in_json_are_taken_and_a_spoilt_one_is_rejected_alone() {
    let body = format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"cart"}}}}]}},"scopeLogs":[
        {{"scope":{{"name":"lib"}},"logRecords":[{{"timeUnixNano":"5","severityNumber":"SEVERITY_NUMBER_WARN","severityText":"WARN",
        "body":{{"kvlistValue":{{"values":[{{"key":"n","value":{{"intValue":"3"}}}}]}}}},"traceId":"{TRACE}","spanId":"0102030405060708"}},
        {{"timeUnixNano":[]}}]}}]}}]}}"#
    );
    let (otlp, sink) = otlp(false);
    let (answer, body) = post(otlp.http(), "/v1/logs", &[JSON], body.into_bytes()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(String::from_utf8(body).unwrap().contains(r#""rejectedLogRecords":"1""#));
    let batch = &sink.batches.lock().unwrap()[0].logs;
    let row = &batch.rows[0];
    assert_eq!((row.time, row.severity, row.trace, row.span), (5, Severity::Warn, ID, 0x0102_0304_0506_0708));
    assert_eq!((batch.line(row), batch.streams[0].get("service_name")), (&br#"{"n":3}"#[..], Some("cart")));
}

#[tokio::test]
async fn metrics_in_json_are_taken() {
    let body = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[
        {{"name":"temp","gauge":{{"dataPoints":[{{"asInt":"-3","timeUnixNano":"7"}}]}}}},
        {{"name":"lat","unit":"ms","histogram":{{"aggregationTemporality":2,"dataPoints":[{{"count":"2","sum":3.5,
          "bucketCounts":["0",2],"explicitBounds":[1],"exemplars":[{{"asDouble":2.5,"traceId":"{TRACE}","spanId":"0102030405060708"}}]}}]}}}},
        {{"name":"q","summary":{{"dataPoints":[{{"count":1,"sum":2,"quantileValues":[{{"quantile":0.5,"value":2}}]}}]}}}}]}}]}}]}}"#
    );
    let (otlp, sink) = otlp(false);
    let (answer, _) = post(otlp.http(), "/v1/metrics", &[JSON], body.into_bytes()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let batch = &sink.batches.lock().unwrap()[0].metrics;
    let expected = [
        "temp{} -3",
        "lat_milliseconds_bucket{1} 0",
        "lat_milliseconds_bucket{+Inf} 2",
        "lat_milliseconds_count{} 2",
        "lat_milliseconds_sum{} 3.5",
        "q{} 2",
        "q_count{} 1",
        "q_sum{} 2",
    ];
    assert_eq!(shown(batch), expected);
    assert_eq!((batch.exemplars[0].trace, batch.exemplars[0].series), (ID, 2));
}

/// JSON with the keys that the tables know, in any shape.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let keys = prop::sample::select(vec![
        "resourceSpans",
        "scopeSpans",
        "spans",
        "traceId",
        "kind",
        "attributes",
        "key",
        "value",
        "arrayValue",
        "values",
        "resourceLogs",
        "scopeLogs",
        "logRecords",
        "body",
        "severityNumber",
        "resourceMetrics",
        "scopeMetrics",
        "metrics",
        "histogram",
        "dataPoints",
        "bucketCounts",
        "explicitBounds",
        "exemplars",
        "timeUnixNano",
        "bytesValue",
        "x",
    ]);
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
        "[0-9a-f]{16,32}".prop_map(Into::into),
    ];
    leaf.prop_recursive(9, 60, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::vec((keys.clone(), inner), 0..4)
                .prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

fn rewrite(body: &[u8]) {
    for signal in [Signal::Traces, Signal::Logs, Signal::Metrics] {
        if let Ok((protobuf, _)) = json::to_protobuf(signal, body) {
            let _ = (
                walk_logs(&protobuf, 1, None, None),
                walk_metrics(&protobuf, 1, &Promoted::default()),
                parsers::otlp::walk_traces(protobuf),
            );
        }
    }
}

proptest! {
    #[test]
    fn any_json_is_rewritten_without_a_panic(value in any_json()) {
        rewrite(value.to_string().as_bytes());
    }

    #[test]
    fn any_text_is_rewritten_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        rewrite(&body);
    }
}
