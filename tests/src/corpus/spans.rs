//! OTLP trace export bodies (protobuf), as five services would send them: a trace's spans are spread over several bodies.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span::Event};
use prost::Message;

use super::SAMPLED_IDS;
use super::dice::Dice;

/// Spans in each body.
pub const SPANS_PER_BODY: usize = 1000;
/// Spans of each trace.
pub const SPANS_PER_TRACE: usize = 8;

const SEED: u64 = 11;
const SERVICES: [&str; 5] = ["frontend", "checkout", "cart", "payment", "shipping"];
const OPERATIONS: [&str; 6] =
    ["GET /api/v1/users/{id}", "POST /cart", "SELECT orders", "charge", "quote", "GET /shop/slow"];
/// Spans that wait to be sent, from which each body is drawn.
const WAITING: usize = 4000;
/// The oldest of them, among which a body's are chosen.
const WINDOW: usize = 1500;

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanManifest {
    /// Spans in all bodies.
    pub spans: u64,
    /// Bytes of all bodies.
    pub bytes: u64,
    /// Up to 1,000 trace ids in lower-case hex of which every span ([`SPANS_PER_TRACE`]) is in the bodies.
    pub sample: Vec<String>,
}

/// At least `spans` spans in bodies of [`SPANS_PER_BODY`], starting at `start_nanos`.
pub fn span_bodies(spans: u64, start_nanos: u64) -> (Vec<Vec<u8>>, SpanManifest) {
    let mut dice = Dice::new(SEED);
    let mut waiting: Vec<(&'static str, Span)> = Vec::with_capacity(WAITING + SPANS_PER_TRACE);
    let mut ids = Vec::new();
    let mut now = start_nanos;
    let mut bodies = Vec::new();
    while (bodies.len() * SPANS_PER_BODY) < spans as usize {
        while waiting.len() < WAITING {
            now += 100_000 + dice.below(800_000);
            ids.push(push_trace(&mut dice, now, &mut waiting));
        }
        dice.shuffle(&mut waiting[..WINDOW]);
        bodies.push(body(waiting.drain(..SPANS_PER_BODY)));
    }
    let unsent: std::collections::HashSet<&[u8]> =
        waiting.iter().map(|(_, span)| span.trace_id.as_slice()).collect();
    let mut sample: Vec<u128> =
        ids.into_iter().filter(|id| !unsent.contains(id.to_be_bytes().as_slice())).collect();
    dice.shuffle(&mut sample);
    sample.truncate(SAMPLED_IDS);
    let manifest = SpanManifest {
        spans: (bodies.len() * SPANS_PER_BODY) as u64,
        bytes: bodies.iter().map(|body| body.len() as u64).sum(),
        sample: sample.into_iter().map(|id| format!("{id:032x}")).collect(),
    };
    (bodies, manifest)
}

fn push_trace(dice: &mut Dice, start: u64, waiting: &mut Vec<(&'static str, Span)>) -> u128 {
    let trace = dice.trace_id();
    let whole = dice.waiting(60e6) as u64 + 1_000_000;
    let (mut parent, mut offset) = (Vec::new(), 0);
    for depth in 0..SPANS_PER_TRACE {
        let name = *dice.pick(&OPERATIONS);
        let begin = start + offset;
        let end = begin + (whole >> depth).max(1000);
        let mut span = Span {
            trace_id: trace.to_be_bytes().to_vec(),
            span_id: dice.span_id().to_be_bytes().to_vec(),
            parent_span_id: parent.clone(),
            name: name.to_owned(),
            kind: 1 + dice.below(3) as i32,
            start_time_unix_nano: begin,
            end_time_unix_nano: end,
            attributes: vec![
                text("http.request.method", if dice.chance(500) { "GET" } else { "POST" }),
                text("http.route", name),
                int("http.response.status_code", if dice.chance(20) { 500 } else { 200 }),
                text("server.address", &format!("10.244.{}.{}", dice.below(8), dice.below(250))),
                text("user.id", &format!("u-{}", dice.below(100_000))),
                int("thread.id", dice.below(64) as i64),
                text("db.system", "postgresql"),
                key_value("queue.depth", Value::DoubleValue(dice.waiting(20.0))),
            ],
            ..Span::default()
        };
        if dice.chance(30) {
            span.status = Some(Status { code: 2, message: String::new() });
            span.events.push(Event {
                time_unix_nano: end,
                name: "exception".to_owned(),
                attributes: vec![
                    text("exception.type", "TimeoutError"),
                    text("exception.message", "upstream timed out"),
                ],
                dropped_attributes_count: 0,
            });
        }
        if dice.chance(700) {
            parent.clone_from(&span.span_id);
        }
        offset += 10_000 + dice.below(390_000);
        let service = SERVICES[(depth + dice.below(2) as usize) % SERVICES.len()];
        waiting.push((service, span));
    }
    trace
}

fn body(spans: impl Iterator<Item = (&'static str, Span)>) -> Vec<u8> {
    let mut request = ExportTraceServiceRequest::default();
    let mut services: Vec<&str> = Vec::new();
    for (service, span) in spans {
        let at = services.iter().position(|&known| known == service).unwrap_or_else(|| {
            services.push(service);
            request.resource_spans.push(ResourceSpans {
                resource: Some(Resource {
                    attributes: vec![
                        text("service.name", service),
                        text("service.version", "1.0"),
                        text("k8s.namespace.name", "shop"),
                        text("k8s.pod.name", &format!("{service}-7d9f5c6b4-x2x1z")),
                    ],
                    ..Resource::default()
                }),
                scope_spans: vec![ScopeSpans {
                    scope: Some(InstrumentationScope {
                        name: "corpus".to_owned(),
                        ..InstrumentationScope::default()
                    }),
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            });
            services.len() - 1
        });
        request.resource_spans[at].scope_spans[0].spans.push(span);
    }
    request.encode_to_vec()
}

fn text(key: &str, value: &str) -> KeyValue {
    key_value(key, Value::StringValue(value.to_owned()))
}

fn int(key: &str, value: i64) -> KeyValue {
    key_value(key, Value::IntValue(value))
}

fn key_value(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
