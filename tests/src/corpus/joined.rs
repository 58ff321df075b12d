//! Requests of eight spans over four pods and twenty log lines, half of them without an id: what a look-up joins.

use std::ops::Range;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::dice::Dice;

const SEED: u64 = 17;
/// Requests whose spans and lines are sent together: 512 spans, as SDKs do unless told otherwise.
const EXPORTED: usize = 64;
const PODS: [&str; 4] = ["front-1", "basket-1", "ledger-1", "stock-1"];
/// Lines of each request.
pub const LINES_PER_REQUEST: usize = 20;
/// Spans of each request.
pub const SPANS_PER_REQUEST: usize = 8;

/// Requests, one every hundred milliseconds.
#[derive(Debug, Default)]
pub struct Joined {
    /// Trace and log export requests, by turns, as exporters send them: some at a time.
    pub exports: Vec<(Vec<u8>, Vec<u8>)>,
    /// Trace ids in lower-case hex.
    pub traces: Vec<String>,
}

/// So many requests from `start` nanoseconds on.
pub fn joined(count: usize, start: u64) -> Joined {
    let mut dice = Dice::new(SEED);
    let mut joined = Joined::default();
    for first in (0..count as u64).step_by(EXPORTED) {
        let numbers = first..(first + EXPORTED as u64).min(count as u64);
        let exports = export(numbers, start, &mut dice, &mut joined.traces);
        joined.exports.push(exports);
    }
    joined
}

/// What is exported of these requests: spans, and lines.
fn export(numbers: Range<u64>, start: u64, dice: &mut Dice, traces: &mut Vec<String>) -> (Vec<u8>, Vec<u8>) {
    let mut spans: Vec<Vec<Span>> = vec![Vec::new(); PODS.len()];
    let mut logs: Vec<Vec<LogRecord>> = vec![Vec::new(); PODS.len()];
    for number in numbers {
        let trace = dice.trace_id();
        traces.push(format!("{trace:032x}"));
        let begin = start + number * 100_000_000;
        let mut parent = Vec::new();
        for depth in 0..SPANS_PER_REQUEST {
            let at = depth as u64 * 3_000_000;
            let (from, to) = (begin + at, begin + 60_000_000 - at);
            let id = dice.span_id().to_be_bytes().to_vec();
            spans[depth / 2].push(Span {
                trace_id: trace.to_be_bytes().to_vec(),
                span_id: id.clone(),
                parent_span_id: std::mem::replace(&mut parent, id),
                name: format!("step {depth}"),
                kind: if depth % 2 == 0 { 2 } else { 3 },
                start_time_unix_nano: from,
                end_time_unix_nano: to,
                attributes: vec![
                    text("thread.name", &format!("exec-{}", number % 8)),
                    text("url.path", "/cart"),
                ],
                ..Span::default()
            });
        }
        for line in 0..LINES_PER_REQUEST {
            let pod = line % PODS.len();
            let at = begin + 20_000_000 + dice.below(10_000_000);
            let id = if line % 2 == 0 { format!(" trace_id={trace:032x}") } else { String::new() };
            let body = format!("INFO [exec-{}] step {line} taken{id}", number % 8);
            let body = Some(AnyValue { value: Some(Value::StringValue(body)) });
            logs[pod].push(LogRecord { time_unix_nano: at, body, ..LogRecord::default() });
        }
    }
    let of_pods = spans.into_iter().zip(PODS).map(|(spans, pod)| ResourceSpans {
        resource: Some(resource(pod)),
        scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    });
    let spans = ExportTraceServiceRequest { resource_spans: of_pods.collect() }.encode_to_vec();
    let of_pods = logs.into_iter().zip(PODS).map(|(log_records, pod)| ResourceLogs {
        resource: Some(resource(pod)),
        scope_logs: vec![ScopeLogs { log_records, ..ScopeLogs::default() }],
        ..ResourceLogs::default()
    });
    let logs = ExportLogsServiceRequest { resource_logs: of_pods.collect() }.encode_to_vec();
    (spans, logs)
}

fn resource(pod: &str) -> Resource {
    let service = pod.trim_end_matches("-1");
    let attributes =
        vec![text("service.name", service), text("k8s.namespace.name", "shop"), text("k8s.pod.name", pod)];
    Resource { attributes, ..Resource::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}
