//! OTLP requests of all signals with all kinds of values and metrics in them.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use serde_json::to_vec;

const TIME: u64 = 1_700_000_000_000_000_000;
const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
const SPAN: u64 = 0x00f0_67aa_0ba9_02b7;

/// Path, gRPC method, and the request in protobuf and in JSON, of each signal.
pub(super) fn requests() -> Vec<(&'static str, &'static str, Vec<u8>, Vec<u8>)> {
    let (traces, logs, metrics) = (traces(), logs(), metrics());
    vec![
        (
            "/v1/traces",
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            traces.encode_to_vec(),
            to_vec(&traces).unwrap_or_default(),
        ),
        (
            "/v1/logs",
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            logs.encode_to_vec(),
            to_vec(&logs).unwrap_or_default(),
        ),
        (
            "/v1/metrics",
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            metrics.encode_to_vec(),
            to_vec(&metrics).unwrap_or_default(),
        ),
    ]
}

fn text(text: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.to_owned())) }
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// One of each kind.
fn attributes() -> Vec<KeyValue> {
    let list = ArrayValue { values: vec![text("a"), AnyValue::default()] };
    let map = KeyValueList { values: vec![pair("inner", Value::IntValue(-7))] };
    vec![
        pair("text", Value::StringValue("t\u{e9}xt \u{1f600}".to_owned())),
        pair("truth", Value::BoolValue(true)),
        pair("int", Value::IntValue(i64::MIN)),
        pair("double", Value::DoubleValue(1.5)),
        pair("list", Value::ArrayValue(list)),
        pair("map", Value::KvlistValue(map)),
        pair("bytes", Value::BytesValue(vec![0, 255])),
    ]
}

fn resource() -> Resource {
    let service = Value::StringValue("shop".to_owned());
    let attributes = [vec![pair("service.name", service)], attributes()].concat();
    Resource { attributes, ..Resource::default() }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope { name: "lib".to_owned(), version: "1".to_owned(), ..Default::default() }
}

fn traces() -> ExportTraceServiceRequest {
    let span = |id: u64| Span {
        trace_id: TRACE.to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id: SPAN.to_be_bytes().to_vec(),
        trace_state: "a=b".to_owned(),
        name: "GET /".to_owned(),
        kind: 2,
        start_time_unix_nano: TIME,
        end_time_unix_nano: TIME + 1000,
        attributes: attributes(),
        events: vec![Event {
            time_unix_nano: TIME,
            name: "exception".to_owned(),
            attributes: attributes(),
            ..Event::default()
        }],
        links: vec![Link {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            attributes: attributes(),
            ..Link::default()
        }],
        status: Some(Status { message: "boom".to_owned(), code: 2 }),
        flags: 1,
        ..Span::default()
    };
    let scope_spans =
        vec![ScopeSpans { scope: Some(scope()), spans: vec![span(1), span(2)], ..ScopeSpans::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource()),
            scope_spans,
            ..ResourceSpans::default()
        }],
    }
}

fn logs() -> ExportLogsServiceRequest {
    let record = |body: &str, trace: &[u8]| LogRecord {
        time_unix_nano: TIME,
        observed_time_unix_nano: TIME + 1,
        severity_number: 17,
        severity_text: "ERROR".to_owned(),
        body: Some(text(body)),
        attributes: attributes(),
        trace_id: trace.to_vec(),
        span_id: SPAN.to_be_bytes().to_vec(),
        event_name: "paid".to_owned(),
        ..LogRecord::default()
    };
    let in_text = format!(
        r#"level=info trace_id={TRACE:032x} {{"span_id":"{SPAN:016x}"}} 1.2.3.4 - "GET / HTTP/1.1" 200"#
    );
    let log_records = vec![record("plain", &TRACE.to_be_bytes()), record(&in_text, &[])];
    let scope_logs = vec![ScopeLogs { scope: Some(scope()), log_records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource()),
            scope_logs,
            ..ResourceLogs::default()
        }],
    }
}

fn exemplars() -> Vec<Exemplar> {
    vec![Exemplar {
        filtered_attributes: attributes(),
        time_unix_nano: TIME,
        span_id: SPAN.to_be_bytes().to_vec(),
        trace_id: TRACE.to_be_bytes().to_vec(),
        value: Some(exemplar::Value::AsDouble(0.3)),
    }]
}

fn number() -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(),
        start_time_unix_nano: TIME - 1000,
        time_unix_nano: TIME,
        exemplars: exemplars(),
        value: Some(number_data_point::Value::AsInt(7)),
        ..NumberDataPoint::default()
    }
}

fn metrics() -> ExportMetricsServiceRequest {
    let histogram = HistogramDataPoint {
        attributes: attributes(),
        time_unix_nano: TIME,
        count: 7,
        sum: Some(9.5),
        bucket_counts: vec![1, 2, 4],
        explicit_bounds: vec![0.1, 1.0],
        exemplars: exemplars(),
        min: Some(0.01),
        max: Some(5.0),
        ..HistogramDataPoint::default()
    };
    let buckets = |offset| Some(Buckets { offset, bucket_counts: vec![1, 0, 3] });
    let exponential = ExponentialHistogramDataPoint {
        attributes: attributes(),
        time_unix_nano: TIME,
        count: 9,
        sum: Some(1.0),
        scale: 3,
        zero_count: 1,
        positive: buckets(-4),
        negative: buckets(2),
        exemplars: exemplars(),
        zero_threshold: 1e-9,
        ..ExponentialHistogramDataPoint::default()
    };
    let summary = SummaryDataPoint {
        attributes: attributes(),
        time_unix_nano: TIME,
        count: 3,
        sum: 4.0,
        quantile_values: vec![ValueAtQuantile { quantile: 0.5, value: 1.0 }],
        ..SummaryDataPoint::default()
    };
    let metric = |name: &str, data| Metric {
        name: name.to_owned(),
        description: "about it".to_owned(),
        unit: "s".to_owned(),
        data: Some(data),
        ..Metric::default()
    };
    let sum = |aggregation_temporality| {
        Data::Sum(Sum { data_points: vec![number()], aggregation_temporality, is_monotonic: true })
    };
    let metrics = vec![
        metric("queue.length", Data::Gauge(Gauge { data_points: vec![number()] })),
        metric("requests", sum(2)),
        metric("hits", sum(1)),
        metric(
            "latency",
            Data::Histogram(Histogram { data_points: vec![histogram], aggregation_temporality: 2 }),
        ),
        metric(
            "size",
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points: vec![exponential],
                aggregation_temporality: 2,
            }),
        ),
        metric("old", Data::Summary(Summary { data_points: vec![summary] })),
    ];
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope()), metrics, ..ScopeMetrics::default() }];
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource()),
            scope_metrics,
            ..ResourceMetrics::default()
        }],
    }
}
