//! What clients get over HTTP, gRPC and UDP, and what becomes of what they send.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use parsers::otlp::Writer;
use parsers::record::{Span, SpanKind, StatusCode as Outcome, Value, attribute};
use proptest::prelude::*;
use tower::ServiceExt;

use super::*;
use crate::kept::Kept;
use crate::thrift::writer::{Thrift, text};

struct Got {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
    spans: Vec<Span>,
}

fn jaeger(kept: &Arc<Kept>) -> Jaeger {
    Jaeger::new(&Intake::new(kept.clone(), Arc::default(), None), crate::MAX_BODY)
}

async fn call(router: Router, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap();
    (parts.status, parts.headers, String::from_utf8_lossy(&body.to_bytes()).into_owned())
}

async fn post(media: Option<&str>, body: Vec<u8>) -> Got {
    let kept = Arc::new(Kept::default());
    let mut request = Request::post("/api/traces?format=jaeger.thrift");
    if let Some(media) = media {
        request = request.header("content-type", media);
    }
    let (status, headers, text) = call(jaeger(&kept).http(), request.body(Body::from(body)).unwrap()).await;
    Got { status, headers, text, spans: kept.spans() }
}

const THRIFT: Option<&str> = Some("application/x-thrift");

fn framed(message: &[u8]) -> Vec<u8> {
    [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat()
}

async fn grpc(message: &[u8]) -> Got {
    let kept = Arc::new(Kept::default());
    let request = Request::post("/jaeger.api_v2.CollectorService/PostSpans")
        .header("content-type", "application/grpc")
        .body(Body::from(framed(message)));
    let (parts, body) = jaeger(&kept).grpc().oneshot(request.unwrap()).await.unwrap().into_parts();
    let body = body.collect().await.unwrap();
    // Failures are in the head, success in the trailers.
    let mut headers = parts.headers;
    headers.extend(body.trailers().cloned().unwrap_or_default());
    let text = headers.get("grpc-message").map(|text| text.to_str().unwrap().to_owned());
    Got { status: parts.status, headers, text: text.unwrap_or_default(), spans: kept.spans() }
}

fn thrift_tag(key: &str, code: i32, field: i16, value: Thrift) -> Thrift {
    Thrift::Struct(vec![(1, text(key)), (2, Thrift::I32(code)), (field, value)])
}

fn string_tag(key: &str, value: &str) -> Thrift {
    thrift_tag(key, 0, 3, text(value))
}

fn tags() -> Thrift {
    Thrift::List(vec![
        string_tag("component", "http"),
        thrift_tag("double", 1, 4, Thrift::Double(1.5)),
        thrift_tag("error", 2, 5, Thrift::Bool(true)),
        thrift_tag("long", 3, 6, Thrift::I64(-1 << 60)),
        thrift_tag("binary", 4, 7, Thrift::Bytes(vec![0, 255])),
        string_tag("span.kind", "server"),
        string_tag("otel.scope.name", "lib"),
        string_tag("otel.status_description", "boom"),
        string_tag("w3c.tracestate", "a=b"),
    ])
}

fn reference(relation: i32, low: i64, high: i64, span: i64) -> Thrift {
    Thrift::Struct(vec![
        (1, Thrift::I32(relation)),
        (2, Thrift::I64(low)),
        (3, Thrift::I64(high)),
        (4, Thrift::I64(span)),
    ])
}

fn log(at: i64, fields: &[(&str, &str)]) -> Thrift {
    let fields = fields.iter().map(|(key, value)| string_tag(key, value)).collect();
    Thrift::Struct(vec![(1, Thrift::I64(at)), (2, Thrift::List(fields))])
}

/// A span with everything; `more` comes last and wins.
fn span(low: i64, high: i64, id: i64, parent: i64, references: Vec<Thrift>) -> Thrift {
    Thrift::Struct(vec![
        (1, Thrift::I64(low)),
        (2, Thrift::I64(high)),
        (3, Thrift::I64(id)),
        (4, Thrift::I64(parent)),
        (5, text("GET /")),
        (6, Thrift::List(references)),
        (7, Thrift::I32(3)),
        (8, Thrift::I64(1_700_000_000_000_000)),
        (9, Thrift::I64(1234)),
        (10, tags()),
        (
            11,
            Thrift::List(vec![
                log(1_700_000_000_000_001, &[("event", "cache miss"), ("key", "k")]),
                log(5, &[("message", "hello")]),
                log(
                    6,
                    &[("event", "error"), ("error.kind", "IOError"), ("message", "disk"), ("stack", "at x")],
                ),
            ]),
        ),
        (12, Thrift::Bool(false)),
        (99, Thrift::List(vec![Thrift::I64(1)])),
    ])
}

fn process() -> Thrift {
    let tags = Thrift::List(vec![string_tag("hostname", "h1"), string_tag("jaeger.version", "Python-4.8.0")]);
    Thrift::Struct(vec![(1, text("shop")), (2, tags)])
}

fn batch(spans: Vec<Thrift>) -> Thrift {
    Thrift::Struct(vec![(1, process()), (2, Thrift::List(spans))])
}

fn check_span(span: &Span) {
    assert_eq!(span.trace_id.bits(), 2 << 64 | u128::from(u64::MAX));
    assert_eq!((span.span_id.bits(), span.parent_span_id.unwrap().bits()), (u64::MAX - 1, u64::MAX - 2));
    assert_eq!((span.name.as_str(), span.kind, span.flags), ("GET /", SpanKind::Server, 1));
    assert_eq!((span.start, span.duration()), (1_700_000_000_000_000_000, 1_234_000));
    let get = |key| attribute(&span.attributes, key).cloned();
    assert_eq!(get("component"), Some(Value::Str("http".into())));
    assert_eq!(get("double"), Some(Value::Double(1.5)));
    assert_eq!(get("error"), Some(Value::Bool(true)));
    assert_eq!(get("long"), Some(Value::Int(-1 << 60)));
    assert_eq!(get("binary"), Some(Value::Bytes(vec![0, 255])));
    assert_eq!(get("jaeger.debug"), Some(Value::Bool(true)));
    assert_eq!(get("span.kind"), None);
    assert_eq!((span.status.code, span.status.message.as_str()), (Outcome::Error, "boom"));
    assert_eq!((span.scope.name.as_str(), span.trace_state.as_str()), ("lib", "a=b"));
    assert_eq!(span.resource.service(), "shop");
    for key in ["hostname", "host.name"] {
        assert_eq!(attribute(&span.resource.attributes, key), Some(&Value::Str("h1".into())));
    }
    let events: Vec<_> = span.events.iter().map(|event| (event.name.as_str(), event.time)).collect();
    let first = 1_700_000_000_000_001_000;
    assert_eq!(events, [("cache miss", first), ("hello", 5000), ("exception", 6000)]);
    let fields: Vec<_> = span.events[2].attributes.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(fields, ["exception.type", "exception.message", "exception.stacktrace"]);
}

#[tokio::test]
async fn a_thrift_batch_is_read_with_signed_ids_and_typed_tags() {
    let references = vec![reference(0, -1, 2, -3), reference(1, -1, 2, 8), reference(0, 5, 0, 9)];
    let body = batch(vec![span(-1, 2, -2, -3, references)]).encode(Protocol::Binary);
    for media in ["application/x-thrift", "application/vnd.apache.thrift.binary; v=1", "Application/X-Thrift"]
    {
        let got = post(Some(media), body.clone()).await;
        assert_eq!((got.status, got.text.as_str()), (StatusCode::ACCEPTED, ""), "{media}");
        let [span] = &got.spans[..] else { panic!("{:?}", got.spans) };
        check_span(span);
        let links: Vec<_> = span
            .links
            .iter()
            .map(|link| {
                (link.trace_id.unwrap().bits(), link.span_id.unwrap().bits(), link.attributes[0].1.clone())
            })
            .collect();
        let trace = 2 << 64 | u128::from(u64::MAX);
        let (child, follows) = (Value::Str("child_of".into()), Value::Str("follows_from".into()));
        assert_eq!(links, [(trace, 8, follows), (5, 9, child)], "the parent is no link");
    }
    for cut in 0..body.len() {
        let got = post(THRIFT, body[..cut].to_vec()).await;
        assert_eq!((got.status, got.spans.len()), (StatusCode::BAD_REQUEST, 0), "cut at {cut}");
        assert!(got.text.starts_with("Unable to process request body: "), "{}", got.text);
    }
}

#[tokio::test]
async fn the_parent_is_the_field_else_a_reference_within_the_trace() {
    for (parent, references, expected) in [
        (4, vec![reference(0, 1, 0, 5)], Some(4)),
        (0, vec![reference(1, 1, 0, 6), reference(0, 1, 0, 5)], Some(5)),
        (0, vec![reference(1, 1, 0, 6)], Some(6)),
        (0, vec![reference(0, 9, 0, 5)], None),
        (0, vec![], None),
        (2, vec![], None),
    ] {
        let body = batch(vec![span(1, 0, 2, parent, references)]).encode(Protocol::Binary);
        let spans = post(THRIFT, body).await.spans;
        assert_eq!(spans[0].parent_span_id.map(|id| id.bits()), expected);
    }
}

#[tokio::test]
async fn content_types_are_told_apart_as_the_collector_does() {
    let body = batch(vec![]).encode(Protocol::Binary);
    let got = post(None, body.clone()).await;
    assert_eq!(got.status, StatusCode::BAD_REQUEST);
    assert_eq!(got.text, "Cannot parse content type: mime: no media type");
    let got = post(Some("text/<script>"), body.clone()).await;
    assert_eq!(got.status, StatusCode::BAD_REQUEST);
    assert_eq!(got.text, "Unsupported content type: text/&lt;script&gt;");
    assert_eq!(got.headers["x-content-type-options"], "nosniff");
    assert_eq!(post(THRIFT, body).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_bad_span_loses_none_of_its_neighbours() {
    let good = || span(1, 0, 2, 0, vec![]);
    let bad = [span(0, 0, 2, 0, vec![]), span(1, 0, 0, 0, vec![]), Thrift::Struct(vec![])];
    for bad in bad {
        let got = post(THRIFT, batch(vec![good(), bad.clone(), good()]).encode(Protocol::Binary)).await;
        assert_eq!((got.status, got.spans.len()), (StatusCode::ACCEPTED, 2), "{}", got.text);
        assert!(got.text.starts_with("1 of 3 spans left out; the first: span 1: "), "{}", got.text);
        let got = post(THRIFT, batch(vec![bad]).encode(Protocol::Binary)).await;
        assert_eq!((got.status, got.spans.len()), (StatusCode::BAD_REQUEST, 0));
    }
}

#[tokio::test]
async fn a_process_may_come_late_or_not_at_all() {
    let spans = Thrift::List(vec![span(1, 0, 2, 0, vec![])]);
    let late = Thrift::Struct(vec![(2, spans.clone()), (1, process())]);
    assert_eq!(post(THRIFT, late.encode(Protocol::Binary)).await.spans[0].resource.service(), "shop");
    let none = Thrift::Struct(vec![(2, spans)]);
    let got = post(THRIFT, none.encode(Protocol::Binary)).await;
    assert_eq!(got.spans[0].resource.service(), "unknown_service");
}

#[tokio::test]
async fn a_span_without_a_time_begins_when_it_arrives() {
    for start in [0, -5, i64::MAX] {
        let bare = Thrift::Struct(vec![(1, Thrift::I64(1)), (3, Thrift::I64(2)), (8, Thrift::I64(start))]);
        let spans = post(THRIFT, batch(vec![bare]).encode(Protocol::Binary)).await.spans;
        assert!(spans[0].start > 1_700_000_000_000_000_000 && spans[0].duration() == 0, "{start}");
    }
}

#[tokio::test]
async fn too_many_tags_are_refused_with_their_span_alone() {
    let tags = Thrift::List(vec![string_tag("a", ""); 20_000]);
    let large = Thrift::Struct(vec![(1, Thrift::I64(1)), (3, Thrift::I64(2)), (10, tags)]);
    let body = batch(vec![large, span(1, 0, 2, 0, vec![])]).encode(Protocol::Binary);
    let got = post(THRIFT, body).await;
    assert_eq!((got.status, got.spans.len()), (StatusCode::ACCEPTED, 1));
    assert!(got.text.contains("more than 16384 references, tags and log fields"), "{}", got.text);
}

fn proto_tag(out: &mut Vec<u8>, number: u32, key: &str, code: u64, value: impl FnOnce(&mut Writer<'_>)) {
    Writer::new(out).message(number, |out| {
        let mut w = Writer::new(out);
        w.bytes(1, key.as_bytes());
        w.varint(2, code);
        value(&mut w);
    });
}

fn proto_string(out: &mut Vec<u8>, number: u32, key: &str, text: &str) {
    proto_tag(out, number, key, 0, |w| w.bytes(3, text.as_bytes()));
}

fn proto_time(out: &mut Vec<u8>, number: u32, seconds: u64, nanos: u64) {
    Writer::new(out).message(number, |out| {
        let mut w = Writer::new(out);
        w.varint(1, seconds);
        w.varint(2, nanos);
    });
}

fn proto_span(trace: &[u8], id: u64, own_process: Option<&str>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut w = Writer::new(&mut out);
    w.bytes(1, trace);
    w.bytes(2, &id.to_be_bytes());
    w.bytes(3, b"GET /");
    w.message(4, |out| {
        let mut w = Writer::new(out);
        w.bytes(1, trace);
        w.bytes(2, &(u64::MAX - 2).to_be_bytes());
    });
    w.varint(5, 3);
    proto_time(&mut out, 6, 1_700_000_000, 0);
    proto_time(&mut out, 7, 0, 1_234_000);
    proto_string(&mut out, 8, "component", "http");
    proto_tag(&mut out, 8, "double", 3, |w| w.always_double(6, 1.5));
    proto_tag(&mut out, 8, "error", 1, |w| w.varint(4, 1));
    proto_tag(&mut out, 8, "long", 2, |w| w.varint(5, (-1i64 << 60) as u64));
    proto_tag(&mut out, 8, "binary", 4, |w| w.bytes(7, &[0, 255]));
    proto_string(&mut out, 8, "span.kind", "server");
    proto_string(&mut out, 8, "otel.scope.name", "lib");
    proto_string(&mut out, 8, "otel.status_description", "boom");
    proto_string(&mut out, 8, "w3c.tracestate", "a=b");
    for (seconds, nanos, fields) in [
        (1_700_000_000, 1000, &[("event", "cache miss"), ("key", "k")][..]),
        (0, 5000, &[("message", "hello")]),
        (0, 6000, &[("event", "error"), ("error.kind", "IOError"), ("message", "disk"), ("stack", "at x")]),
    ] {
        Writer::new(&mut out).message(9, |out| {
            proto_time(out, 1, seconds, nanos);
            for (key, text) in fields {
                proto_string(out, 2, key, text);
            }
        });
    }
    if let Some(service) = own_process {
        Writer::new(&mut out).message(10, |out| Writer::new(out).bytes(1, service.as_bytes()));
    }
    Writer::new(&mut out).bytes(12, b"clock skew");
    out
}

fn proto_request(spans: &[Vec<u8>], with_process: bool) -> Vec<u8> {
    let mut out = Vec::new();
    Writer::new(&mut out).message(1, |out| {
        for span in spans {
            Writer::new(out).always_bytes(1, span);
        }
        if with_process {
            Writer::new(out).message(2, |out| {
                Writer::new(out).bytes(1, b"shop");
                proto_string(out, 2, "hostname", "h1");
            });
        }
    });
    out
}

fn trace() -> [u8; 16] {
    (2u128 << 64 | u128::from(u64::MAX)).to_be_bytes()
}

#[tokio::test]
async fn a_grpc_batch_is_read_and_a_spans_own_process_wins() {
    let spans = [proto_span(&trace(), u64::MAX - 1, None), proto_span(&[1; 8], 5, Some("other"))];
    let got = grpc(&proto_request(&spans, true)).await;
    assert_eq!((got.status, &got.headers["grpc-status"]), (StatusCode::OK, &"0".parse().unwrap()));
    check_span(&got.spans[0]);
    let warnings = Value::Array(vec![Value::Str("clock skew".into())]);
    assert_eq!(attribute(&got.spans[0].attributes, "jaeger.warnings"), Some(&warnings));
    assert!(got.spans[0].links.is_empty());
    assert_eq!(got.spans[1].resource.service(), "other");
    assert_eq!(got.spans[1].trace_id.bits(), u128::from(u64::from_be_bytes([1; 8])));
}

#[tokio::test]
async fn a_grpc_batch_without_any_process_is_of_an_unknown_service() {
    let got = grpc(&proto_request(&[proto_span(&trace(), 1, None)], false)).await;
    assert_eq!(got.spans[0].resource.service(), "unknown_service");
}

#[tokio::test]
async fn bad_spans_over_grpc_are_left_out_alone_and_invalid_if_none_is_good() {
    let bad =
        [proto_span(&[1; 15], 1, None), proto_span(&[], 1, None), proto_span(&trace(), 0, None), vec![0xff]];
    for bad in bad {
        let spans = [proto_span(&trace(), 1, None), bad.clone(), proto_span(&trace(), 2, None)];
        let got = grpc(&proto_request(&spans, true)).await;
        assert_eq!((&got.headers["grpc-status"], got.spans.len()), (&"0".parse().unwrap(), 2));
        let got = grpc(&proto_request(&[bad], true)).await;
        assert_eq!((&got.headers["grpc-status"], got.spans.len()), (&"3".parse().unwrap(), 0));
        assert!(got.text.contains("1%20of%201%20spans"), "{}", got.text);
    }
    let got = grpc(&[0xff; 5]).await;
    assert_eq!(got.headers["grpc-status"], "3");
    assert_eq!(grpc(&[]).await.headers["grpc-status"], "0");
}

#[tokio::test]
async fn old_clients_are_told_to_sample_everything() {
    let router = || jaeger(&Arc::default()).sampling().merge(jaeger(&Arc::default()).http());
    for path in ["/sampling?service=shop", "/api/sampling?service=shop", "/sampling?a=b&service=x"] {
        let (status, headers, text) = call(router(), Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(
            (status, &headers["content-type"]),
            (StatusCode::OK, &"application/json".parse().unwrap())
        );
        let body: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(body["strategyType"], "PROBABILISTIC");
        assert_eq!(body["probabilisticSampling"]["samplingRate"], 1.0);
    }
    let over_grpc = Request::post("/jaeger.api_v2.SamplingManager/GetSamplingStrategy")
        .header("content-type", "application/grpc")
        .body(Body::from(framed(b"\x0a\x04shop")));
    let answer = jaeger(&Arc::default()).grpc().oneshot(over_grpc.unwrap()).await.unwrap();
    let message = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(&message[..], framed(&[&[0x12, 9, 9][..], &1f64.to_le_bytes()].concat()));
    let request = Request::get("/sampling").body(Body::empty()).unwrap();
    assert_eq!(call(router(), request).await.0, StatusCode::BAD_REQUEST);
}

async fn take(jaeger: &Jaeger, protocol: Protocol, datagram: &[u8]) {
    let mut waiting = agent::Waiting::new(&jaeger.intake, protocol);
    waiting.add(datagram);
    waiting.deliver().await;
}

#[tokio::test]
async fn datagrams_of_both_protocols_are_taken_and_bad_ones_counted() {
    use std::sync::atomic::Ordering::Relaxed;
    let kept = Arc::new(Kept::default());
    let counters = Arc::new(crate::Counters::default());
    let jaeger = Jaeger::new(&Intake::new(kept.clone(), counters.clone(), None), crate::MAX_BODY);
    let argument = Thrift::Struct(vec![(1, batch(vec![span(-1, 2, -2, -3, vec![])]))]);
    let zipkin = Thrift::Struct(vec![
        (1, Thrift::I64(5)),
        (3, text("zipkin")),
        (4, Thrift::I64(6)),
        (10, Thrift::I64(100)),
    ]);
    let zipkin = Thrift::Struct(vec![(1, Thrift::List(vec![zipkin]))]);
    for protocol in [Protocol::Compact, Protocol::Binary] {
        take(&jaeger, protocol, &argument.call(protocol, "emitBatch")).await;
        check_span(&kept.spans()[0]);
        take(&jaeger, protocol, &zipkin.call(protocol, "emitZipkinBatch")).await;
        assert_eq!(kept.spans().last().unwrap().name, "zipkin");
        for bad in [&b""[..], b"hello", &argument.call(protocol, "emitNothing"), &argument.encode(protocol)] {
            let before = counters.bad_datagrams.load(Relaxed);
            take(&jaeger, protocol, bad).await;
            assert_eq!(counters.bad_datagrams.load(Relaxed), before + 1, "{bad:?}");
        }
    }
    assert_eq!(counters.of(crate::Protocol::Jaeger).spans.accepted.load(Relaxed), 4);
}

#[tokio::test]
async fn a_socket_is_read_until_shutdown() {
    let kept = Arc::new(Kept::default());
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async move {
        let _ = stopped.await;
    };
    let agent = tokio::spawn(jaeger(&kept).agent(socket, Protocol::Compact, shutdown));
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let argument = Thrift::Struct(vec![(1, batch(vec![span(1, 2, 3, 4, vec![])]))]);
    for _ in 0..20 {
        client.send_to(&argument.call(Protocol::Compact, "emitBatch"), address).await.unwrap();
    }
    let mut arrived = 0;
    while arrived < 20 {
        kept.arrived().await;
        arrived += kept.spans().len();
    }
    assert_eq!(arrived, 20);
    stop.send(()).unwrap();
    agent.await.unwrap();
}

#[tokio::test]
async fn a_full_sink_says_when_to_come_back_where_it_can() {
    use std::sync::atomic::Ordering::Relaxed;
    let (kept, counters) = (Arc::new(Kept::full()), Arc::default());
    let jaeger = Jaeger::new(&Intake::new(kept, Arc::clone(&counters), None), 100_000);
    let whole = batch(vec![span(1, 2, 3, 4, vec![])]);
    let request = Request::post("/api/traces").header("content-type", "application/x-thrift");
    let request = request.body(Body::from(whole.encode(Protocol::Binary))).unwrap();
    let (status, headers, text) = call(jaeger.http(), request).await;
    assert_eq!((status, text.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "disk full"));
    assert_eq!(headers["retry-after"], "7");
    let request = Request::post("/jaeger.api_v2.CollectorService/PostSpans")
        .header("content-type", "application/grpc")
        .body(Body::from(framed(&proto_request(&[proto_span(&trace(), 1, None)], true))));
    let (_, headers, _) = call(jaeger.grpc(), request.unwrap()).await;
    assert_eq!(headers["grpc-status"], "14");
    assert!(headers.contains_key("google.rpc.retryinfo-bin"));
    let argument = Thrift::Struct(vec![(1, whole)]).call(Protocol::Compact, "emitBatch");
    take(&jaeger, Protocol::Compact, &argument).await;
    assert_eq!((counters.lost_datagrams.load(Relaxed), counters.bad_datagrams.load(Relaxed)), (1, 0));
}

#[test]
fn what_the_kernel_dropped_is_read_from_its_tables() {
    let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
         1107: 0100007F:1AAF 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 90210 2 0000000000000000 0\n\
         1108: 0100007F:1AB0 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 90211 2 0000000000000000 42\n";
    let of = |inode| drops::drops(table, inode);
    assert_eq!((of(90210), of(90211), of(90212)), (Some(0), Some(42), None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_are_taken_or_refused_with_a_reason(
        body in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let whole = batch(vec![span(1, 2, 3, 4, vec![reference(0, 1, 2, 3)])]);
        let mutate = |mut whole: Vec<u8>| {
            let at = at.index(whole.len());
            whole[at] = byte;
            whole
        };
        for body in [body.clone(), mutate(whole.encode(Protocol::Binary))] {
            let got = runtime.block_on(post(THRIFT, body));
            prop_assert!(matches!(got.status, StatusCode::ACCEPTED | StatusCode::BAD_REQUEST), "{}", got.status);
        }
        for body in [body.clone(), mutate(proto_request(&[proto_span(&trace(), 1, Some("p"))], true))] {
            let got = runtime.block_on(grpc(&body));
            prop_assert!(matches!(&got.headers["grpc-status"].to_str(), Ok("0" | "3")));
        }
        for protocol in [Protocol::Compact, Protocol::Binary] {
            let argument = Thrift::Struct(vec![(1, whole.clone())]).call(protocol, "emitBatch");
            for body in [body.clone(), mutate(argument)] {
                runtime.block_on(take(&jaeger(&Arc::default()), protocol, &body));
            }
        }
    }
}
