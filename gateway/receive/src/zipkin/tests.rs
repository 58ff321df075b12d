//! What reporters get over HTTP, and what becomes of what they send.

use std::io::Write;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use parsers::otlp::Writer;
use parsers::record::{Span, SpanKind, StatusCode as Outcome, Value, attribute};
use proptest::prelude::*;
use tower::ServiceExt;

use super::*;
use crate::kept::Kept;
use crate::thrift::Protocol;
use crate::thrift::writer::{Thrift, text};

struct Got {
    status: StatusCode,
    text: String,
    spans: Vec<Span>,
}

async fn send(path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Got {
    let kept = Arc::new(Kept::default());
    let router = Zipkin::new(&Intake::new(kept.clone(), Arc::default(), None), crate::MAX_BODY).http();
    let (status, text) = post(router, path, headers, body.into()).await;
    Got { status, text, spans: kept.spans() }
}

async fn post(router: Router, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> (StatusCode, String) {
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = router.oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

async fn v2(body: &str) -> Got {
    send("/api/v2/spans", &[], body).await
}

async fn v1(body: &str) -> Got {
    send("/api/v1/spans", &[("content-type", "application/json")], body).await
}

fn tag<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    attribute(&span.attributes, key).and_then(Value::as_str)
}

fn of_resource<'a>(span: &'a Span, key: &str) -> Option<&'a Value> {
    attribute(&span.resource.attributes, key)
}

const MICROS: u64 = 1_700_000_000_000_000;

#[tokio::test]
async fn a_span_has_all_that_was_reported() {
    let got = v2(r#"[{"traceId":"5AF7183FB1D4CF5F5af7183fb1d4cf60","id":"352bff9a74ca9ad2","parentId":"6b221d5bc9e6496c",
        "name":"Get /Api","kind":"CLIENT","timestamp":1700000000000000,"duration":1431,"debug":true,
        "localEndpoint":{"serviceName":"Front","ipv4":"10.0.0.1","port":65535},
        "remoteEndpoint":{"serviceName":"back","ipv6":"::ffff:10.0.0.2","port":9000},
        "annotations":[{"timestamp":1700000000000100,"value":"retry"}],
        "tags":{"http.method":"GET","k8s.pod.name":"front-1","otel.scope.name":"lib","otel.scope.version":"2","w3c.tracestate":"a=b"},
        "new":{"key":[1]}}]"#)
    .await;
    assert_eq!((got.status, got.text.as_str()), (StatusCode::ACCEPTED, ""));
    let [span] = &got.spans[..] else { panic!("{:?}", got.spans) };
    assert_eq!(span.trace_id.as_written(), "5AF7183FB1D4CF5F5AF7183FB1D4CF60");
    assert_eq!(span.span_id.to_string(), "352bff9a74ca9ad2");
    assert_eq!(span.parent_span_id.unwrap().to_string(), "6b221d5bc9e6496c");
    assert_eq!((span.name.as_str(), span.kind), ("Get /Api", SpanKind::Client));
    assert_eq!((span.start, span.duration()), (MICROS * 1000, 1_431_000));
    assert_eq!(span.resource.service(), "Front");
    assert_eq!(of_resource(span, "network.local.address"), Some(&Value::Str("10.0.0.1".into())));
    assert_eq!(of_resource(span, "network.local.port"), Some(&Value::Int(65535)));
    assert_eq!(of_resource(span, "k8s.pod.name"), Some(&Value::Str("front-1".into())));
    assert_eq!(tag(span, "peer.service"), Some("back"));
    assert_eq!(tag(span, "network.peer.address"), Some("10.0.0.2"));
    assert_eq!(attribute(&span.attributes, "network.peer.port"), Some(&Value::Int(9000)));
    assert_eq!(attribute(&span.attributes, "zipkin.debug"), Some(&Value::Bool(true)));
    assert_eq!(tag(span, "http.method"), Some("GET"));
    assert_eq!((span.scope.name.as_str(), span.scope.version.as_str()), ("lib", "2"));
    assert_eq!((span.trace_state.as_str(), span.flags), ("a=b", 1));
    let [event] = &span.events[..] else { panic!("{:?}", span.events) };
    assert_eq!((event.name.as_str(), event.time), ("retry", (MICROS + 100) * 1000));
}

#[tokio::test]
async fn null_is_absent_everywhere() {
    let got = v2(r#"[{"traceId":"1","id":"2","parentId":null,"name":null,"kind":null,"timestamp":null,"duration":null,"debug":null,
        "shared":null,"localEndpoint":null,"remoteEndpoint":{"serviceName":null,"ipv4":null,"ipv6":null,"port":null},
        "annotations":[null,{"timestamp":null,"value":"a"},{"timestamp":5,"value":null}],"tags":{"a":null,"b":""}},
        {"traceId":"1","id":"3","annotations":null,"tags":null}]"#)
    .await;
    assert_eq!((got.status, got.text.as_str(), got.spans.len()), (StatusCode::ACCEPTED, "", 2));
    let span = &got.spans[0];
    assert_eq!((span.parent_span_id, span.kind, span.name.as_str()), (None, SpanKind::Internal, ""));
    assert_eq!(span.attributes, [("b".to_owned(), Value::Str(String::new()))]);
    assert_eq!((span.events.len(), span.resource.service()), (1, "unknown_service"));
    assert!(span.start > MICROS * 1000 && span.duration() == 0, "it begins when it arrives: {}", span.start);
}

#[tokio::test]
async fn ids_of_every_width_are_padded_on_the_left() {
    let bits = 0x5af7_183f_b1d4_cf5f_u128;
    for (id, expected) in [
        ("1", 1),
        ("af7183fb1d4cf5f", bits & ((1 << 60) - 1)),
        ("5af7183fb1d4cf5f", bits),
        ("15af7183fb1d4cf5f", 1 << 64 | bits),
        ("00000000000000005af7183fb1d4cf5f", bits),
        ("5af7183fb1d4cf5f5af7183fb1d4cf5f", bits << 64 | bits),
    ] {
        let got = v2(&format!(r#"[{{"traceId":"{id}","id":"7","parentId":"0000000000000000"}}]"#)).await;
        let span = &got.spans[0];
        assert_eq!((span.trace_id.bits(), span.span_id.bits(), span.parent_span_id), (expected, 7, None));
        assert_eq!(span.trace_id.as_written(), id);
    }
    let own_parent = v2(r#"[{"traceId":"1","id":"7","parentId":"07"}]"#).await;
    assert_eq!(own_parent.spans[0].parent_span_id, None);
}

#[tokio::test]
async fn a_bad_span_loses_none_of_its_neighbours() {
    for bad in [
        r#"{"id":"2"}"#,
        r#"{"traceId":"0","id":"2"}"#,
        r#"{"traceId":"xyz","id":"2"}"#,
        r#"{"traceId":"111111111111111111111111111111111","id":"2"}"#,
        r#"{"traceId":1,"id":"2"}"#,
        r#"{"traceId":"1"}"#,
        r#"{"traceId":"1","id":"00"}"#,
        r#"{"traceId":"1","id":"11111111111111111"}"#,
        r#"{"traceId":"1","id":"2","tags":{"a":[1]}}"#,
        r#"{"traceId":"1","id":"2","tags":{"a":{}}}"#,
        r#"{"traceId":"1","id":"2","tags":[]}"#,
        r#"{"traceId":"1","id":"2","annotations":{}}"#,
        r#"{"traceId":"1","id":"2","timestamp":"soon"}"#,
        "null",
        "5",
        "[[]]",
        r#""text""#,
    ] {
        let got = v2(&format!(r#"[{{"traceId":"1","id":"a"}},{bad},{{"traceId":"1","id":"b"}}]"#)).await;
        assert_eq!((got.status, got.spans.len()), (StatusCode::ACCEPTED, 2), "{bad}: {}", got.text);
        assert!(got.text.starts_with("1 of 3 spans left out; the first: span 1: "), "{bad}: {}", got.text);
        let got = v2(&format!("[{bad}]")).await;
        assert_eq!((got.status, got.spans.len()), (StatusCode::BAD_REQUEST, 0), "{bad}: {}", got.text);
    }
}

#[tokio::test]
async fn an_event_of_opentelemetry_has_its_attributes_again() {
    let attributes = |text: &str| {
        let body = serde_json::json!([{"traceId": "1", "id": "2", "annotations": [{"timestamp": 5, "value": text}]}]);
        async move {
            let event = v2(&body.to_string()).await.spans.remove(0).events.remove(0);
            (event.name, event.attributes)
        }
    };
    let wanted: Vec<(String, Value)> = vec![
        ("a".into(), Value::Str("x: {".into())),
        ("b".into(), Value::Array(vec![Value::Int(1), Value::Double(2.5)])),
        ("c".into(), Value::Bool(true)),
    ];
    let json = r#"{"a": "x: {", "b": [1, 2.5], "c": true}"#;
    for text in [format!(r#"{{"my \"event\"": {json}}}"#), format!(r#""my \"event\"":{json}"#)] {
        assert_eq!(attributes(&text).await, (r#"my "event""#.to_owned(), wanted.clone()), "{text}");
    }
    assert_eq!(attributes(&format!("my event: {json}")).await, ("my event".to_owned(), wanted));
    let long = format!(r#""e":{{"a":"{}"}}"#, "x".repeat(70_000));
    for text in [
        "retry",
        "{}",
        "}",
        "{",
        "{\"a\"}",
        r#"{"a":1}"#,
        r#"{"a":{"b":{}}}"#,
        r#"{"a":{},"b":{}}"#,
        "set {x: {y}}",
        r#""a":{"b":[[1]]}"#,
        &long,
        "",
    ] {
        assert_eq!(attributes(text).await, (text.to_owned(), vec![]), "what is no such event stays as it is");
    }
}

#[tokio::test]
async fn both_halves_of_a_shared_span_are_kept() {
    let got = v2(r#"[{"traceId":"1","id":"2","kind":"CLIENT","localEndpoint":{"serviceName":"a"}},
        {"traceId":"1","id":"2","kind":"SERVER","shared":true,"localEndpoint":{"serviceName":"b"}}]"#)
    .await;
    let halves: Vec<_> = got.spans.iter().map(|span| (span.kind, span.resource.service())).collect();
    assert_eq!(halves, [(SpanKind::Client, "a"), (SpanKind::Server, "b")]);
    assert_eq!(attribute(&got.spans[1].attributes, "zipkin.shared"), Some(&Value::Bool(true)));
}

#[tokio::test]
async fn scalar_tags_are_texts() {
    let got = v2(r#"[{"traceId":"1","id":"2","tags":{"a":1,"b":-2,"c":1.5,"d":true,"e":"x","f":""}}]"#).await;
    let tags: Vec<_> = ["a", "b", "c", "d", "e", "f"].map(|key| tag(&got.spans[0], key).unwrap()).into();
    assert_eq!(tags, ["1", "-2", "1.5", "true", "x", ""]);
}

#[tokio::test]
async fn the_error_tag_is_the_status_unless_it_says_false() {
    for (tags, outcome, message) in [
        (r#"{"error":"out of stock"}"#, Outcome::Error, "out of stock"),
        (r#"{"error":""}"#, Outcome::Error, ""),
        (r#"{"error":"true"}"#, Outcome::Error, ""),
        (r#"{"error":true}"#, Outcome::Error, ""),
        (r#"{"error":"false"}"#, Outcome::Unset, ""),
        (r#"{"error":false}"#, Outcome::Unset, ""),
        (r#"{"error":null}"#, Outcome::Unset, ""),
        (r#"{"a":"error"}"#, Outcome::Unset, ""),
        (r#"{"otel.status_code":"OK"}"#, Outcome::Ok, ""),
        (r#"{"otel.status_code":"ERROR","error":"why"}"#, Outcome::Error, "why"),
        (r#"{"otel.status_code":"ERROR","otel.status_description":"d","error":"true"}"#, Outcome::Error, "d"),
    ] {
        let got = v2(&format!(r#"[{{"traceId":"1","id":"2","tags":{tags}}}]"#)).await;
        let status = &got.spans[0].status;
        assert_eq!((status.code, status.message.as_str()), (outcome, message), "{tags}");
    }
}

#[tokio::test]
async fn times_are_microseconds_however_they_are_written() {
    for (time, duration, expected) in [
        ("1700000000000001", "1", (1_700_000_000_000_001_000, 1000)),
        ("\"1700000000000001\"", "\"7\"", (1_700_000_000_000_001_000, 7000)),
        ("1700000000000001.0", "0.5", (1_700_000_000_000_001_000, 500)),
        ("1700000000000001", "-5", (1_700_000_000_000_001_000, 0)),
        ("1700000000000001", "1e300", (1_700_000_000_000_001_000, 0)),
        ("1700000000000001", "18446744073709551615", (1_700_000_000_000_001_000, 0)),
    ] {
        let body = format!(r#"[{{"traceId":"1","id":"2","timestamp":{time},"duration":{duration}}}]"#);
        let span = &v2(&body).await.spans[0];
        assert_eq!((span.start, span.duration()), expected, "{time} {duration}");
    }
    let only_noted = r#"[{"traceId":"1","id":"2","timestamp":0,"annotations":[{"timestamp":9,"value":"b"},{"timestamp":7,"value":"a"}]}]"#;
    assert_eq!(v2(only_noted).await.spans[0].start, 7000, "the first annotation's time");
}

#[tokio::test]
async fn nothing_is_accepted_and_anything_but_a_list_is_refused() {
    for (path, kind) in [
        ("/api/v2/spans", "application/json"),
        ("/api/v1/spans", "application/json"),
        ("/api/v2/spans", "application/x-protobuf"),
        ("/api/v1/spans", "application/x-thrift"),
    ] {
        let got = send(path, &[("content-type", kind)], "").await;
        assert_eq!((got.status, got.text.as_str()), (StatusCode::ACCEPTED, ""), "{path} {kind}");
    }
    for body in ["[]", " \n", " [ ] "] {
        assert_eq!(v2(body).await.status, StatusCode::ACCEPTED, "{body}");
    }
    for body in
        ["{}", "5", "null", "\"\"", "[", "[{}", "[{}]]", "[{\"traceId\":\"1\",\"id\":\"2\"}", "hello", "[,]"]
    {
        let got = v2(body).await;
        assert_eq!((got.status, got.spans.len()), (StatusCode::BAD_REQUEST, 0), "{body}");
        assert!(!got.text.is_empty());
    }
}

#[tokio::test]
async fn the_wrong_version_is_told_which_one_is_expected() {
    let got = v2(r#"[{"traceId":"1","id":"2","annotations":[],"binaryAnnotations":[]}]"#).await;
    assert_eq!((got.status, got.spans.len()), (StatusCode::BAD_REQUEST, 0));
    assert_eq!(got.text, "expected Zipkin v2 JSON, came Zipkin v1: send it to /api/v1/spans");
    for key in ["tags", "localEndpoint", "remoteEndpoint"] {
        let got = v1(&format!(r#"[{{"traceId":"1","id":"2","{key}":{{}}}}]"#)).await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST);
        assert_eq!(got.text, "expected Zipkin v1 JSON, came Zipkin v2: send it to /api/v2/spans");
    }
    // What a tag says is no key.
    assert_eq!(v2(r#"[{"traceId":"1","id":"2","tags":{"binaryAnnotations":"1"}}]"#).await.spans.len(), 1);
}

#[tokio::test]
async fn any_content_type_is_json_and_gzip_is_undone() {
    let body = r#"[{"traceId":"1","id":"2"}]"#;
    for kind in ["", "text/plain", "application/json; charset=utf-8", "APPLICATION/JSON", "nonsense"] {
        let got = send("/api/v2/spans", &[("content-type", kind)], body).await;
        assert_eq!((got.status, got.spans.len()), (StatusCode::ACCEPTED, 1), "{kind}");
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(body.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    for encoding in ["gzip", "GZIP", "x-gzip"] {
        let got = send("/api/v2/spans", &[("content-encoding", encoding)], gzip.clone()).await;
        assert_eq!((got.status, got.spans.len()), (StatusCode::ACCEPTED, 1), "{encoding}: {}", got.text);
    }
    let got = send("/api/v2/spans", &[("content-encoding", "gzip")], body).await;
    assert_eq!(got.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_text_that_is_not_utf8_loses_nothing() {
    let got =
        send("/api/v2/spans", &[], &b"[{\"traceId\":\"1\",\"id\":\"2\",\"name\":\"caf\xe9\"}]"[..]).await;
    assert_eq!(got.spans[0].name, "caf\u{fffd}");
}

#[tokio::test]
async fn too_many_tags_are_refused_with_their_span_alone() {
    let tags: Vec<String> = (0..20_000).map(|n| format!("\"{n}\":1")).collect();
    let body =
        format!(r#"[{{"traceId":"1","id":"2","tags":{{{}}}}},{{"traceId":"1","id":"3"}}]"#, tags.join(","));
    let got = v2(&body).await;
    assert_eq!((got.status, got.spans.len()), (StatusCode::ACCEPTED, 1));
    assert!(got.text.contains("more than 16384 tags"), "{}", got.text);
}

#[tokio::test]
async fn a_call_in_one_span_of_version_1_is_two_spans() {
    let got = v1(
        r#"[{"traceId":"1","id":"2","parentId":"3","name":"get","timestamp":100,"duration":90,"annotations":[
        {"timestamp":100,"value":"cs","endpoint":{"serviceName":"a","ipv4":"10.0.0.1"}},
        {"timestamp":120,"value":"sr","endpoint":{"serviceName":"b","port":80}},
        {"timestamp":130,"value":"cache miss","endpoint":{"serviceName":"b"}},
        {"timestamp":140,"value":"ws","endpoint":{"serviceName":"a"}},
        {"timestamp":150,"value":"ss","endpoint":{"serviceName":"b"}},
        {"timestamp":190,"value":"cr","endpoint":{"serviceName":"a"}}],
        "binaryAnnotations":[{"key":"http.path","value":"/a","endpoint":{"serviceName":"a"}},
        {"key":"http.path","value":"/b","endpoint":{"serviceName":"b"}},{"key":"n","value":5},
        {"key":"sa","value":true,"endpoint":{"serviceName":"b","ipv4":"10.0.0.2"}},
        {"key":"ca","value":true,"endpoint":{"ipv4":"10.0.0.1","port":40000}}]}]"#,
    )
    .await;
    let [client, server] = &got.spans[..] else { panic!("{} {:?}", got.text, got.spans) };
    for half in [client, server] {
        assert_eq!((half.span_id.bits(), half.parent_span_id.unwrap().bits()), (2, 3));
    }
    assert_eq!((client.kind, client.resource.service()), (SpanKind::Client, "a"));
    assert_eq!((client.start, client.end), (100_000, 190_000));
    assert_eq!((tag(client, "http.path"), tag(client, "n")), (Some("/a"), Some("5")));
    assert_eq!(tag(client, "network.peer.address"), Some("10.0.0.2"));
    assert_eq!(client.events.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), ["ws"]);
    assert_eq!((server.kind, server.resource.service()), (SpanKind::Server, "b"));
    assert_eq!((server.start, server.end), (120_000, 150_000));
    assert_eq!(attribute(&server.attributes, "zipkin.shared"), Some(&Value::Bool(true)));
    assert_eq!(tag(server, "http.path"), Some("/b"));
    assert_eq!(attribute(&server.attributes, "network.peer.port"), Some(&Value::Int(40000)));
    assert_eq!(server.events[0].name, "cache miss");
}

#[tokio::test]
async fn every_role_of_version_1_has_its_kind_and_times() {
    let span = |annotations: &[(&str, u64)], more: &str| {
        let annotations: Vec<_> = annotations
            .iter()
            .map(|(value, at)| {
                format!(r#"{{"value":"{value}","timestamp":{at},"endpoint":{{"serviceName":"s"}}}}"#)
            })
            .collect();
        format!(r#"[{{"traceId":"1","id":"2","annotations":[{}]{more}}}]"#, annotations.join(","))
    };
    for (annotations, more, kind, start, end) in [
        (&[("cs", 5), ("cr", 9)][..], "", SpanKind::Client, 5000, 9000),
        (&[("sr", 5), ("ss", 9)], "", SpanKind::Server, 5000, 9000),
        (&[("sr", 5), ("ss", 9)], r#","timestamp":4,"duration":8"#, SpanKind::Server, 4000, 12000),
        (&[("ms", 5)], r#","timestamp":5"#, SpanKind::Producer, 5000, 5000),
        (&[("mr", 7), ("wr", 5)], "", SpanKind::Consumer, 5000, 7000),
        (&[("cr", 9)], "", SpanKind::Client, 9000, 9000),
        (&[("x", 3)], "", SpanKind::Internal, 3000, 3000),
        (
            &[],
            r#","timestamp":4,"duration":1,"binaryAnnotations":[{"key":"lc","value":""}]"#,
            SpanKind::Internal,
            4000,
            5000,
        ),
    ] {
        let got = v1(&span(annotations, more)).await;
        let [span] = &got.spans[..] else { panic!("{annotations:?}: {} {:?}", got.text, got.spans) };
        assert_eq!((span.kind, span.start, span.end), (kind, start, end), "{annotations:?} {more}");
        assert!(span.attributes.iter().all(|(key, _)| key != "lc"));
    }
}

#[tokio::test]
async fn a_span_of_version_1_with_only_addresses_is_its_clients() {
    let got = v1(r#"[{"traceId":"1","id":"2","timestamp":5,"binaryAnnotations":[
        {"key":"sa","value":true,"endpoint":{"serviceName":"mysql"}},{"key":"lc","value":"finatra","endpoint":{"serviceName":"web"}}]}]"#)
    .await;
    let span = &got.spans[0];
    assert_eq!((span.kind, span.resource.service()), (SpanKind::Client, "web"));
    assert_eq!((tag(span, "peer.service"), tag(span, "lc")), (Some("mysql"), Some("finatra")));
}

fn host(service: &str, port: i16) -> Thrift {
    let ip = i32::from_be_bytes([10, 0, 0, 1]);
    Thrift::Struct(vec![(1, Thrift::I32(ip)), (2, Thrift::I16(port)), (3, text(service))])
}

fn note(at: i64, value: &str, service: &str) -> Thrift {
    Thrift::Struct(vec![(1, Thrift::I64(at)), (2, text(value)), (3, host(service, -1))])
}

fn binary(key: &str, code: i32, value: &[u8]) -> Thrift {
    let value = Thrift::Bytes(value.to_vec());
    Thrift::Struct(vec![(1, text(key)), (2, value), (3, Thrift::I32(code)), (4, host("b", 80))])
}

fn thrift_span(trace: i64, high: i64, id: i64) -> Thrift {
    let tags = vec![
        binary("i16", 2, &[0xff, 0xfe]),
        binary("i32", 3, &[0, 0, 1, 0]),
        binary("i64", 4, &[0; 8]),
        binary("double", 5, &1.5f64.to_be_bytes()),
        binary("bool", 0, &[1]),
        binary("text", 6, b"caf\xe9"),
        binary("short", 4, b"5"),
        binary("sa", 0, &[1]),
    ];
    Thrift::Struct(vec![
        (1, Thrift::I64(trace)),
        (3, text("get")),
        (4, Thrift::I64(id)),
        (5, Thrift::I64(-3)),
        (6, Thrift::List(vec![note(100, "cs", "a"), note(190, "cr", "a")])),
        (8, Thrift::List(tags)),
        (9, Thrift::Bool(true)),
        (10, Thrift::I64(100)),
        (11, Thrift::I64(90)),
        (12, Thrift::I64(high)),
        (99, Thrift::Map(vec![(text("new"), Thrift::Double(0.0))])),
    ])
}

#[tokio::test]
async fn version_1_in_thrift_is_read_with_signed_ids_and_typed_tags() {
    let list = Thrift::List(vec![thrift_span(-1, 7, -2), thrift_span(0, 0, 1), thrift_span(5, 0, 1)]);
    let body = list.encode(Protocol::Binary);
    let headers = [("content-type", "application/x-thrift")];
    let got = send("/api/v1/spans", &headers, body.clone()).await;
    assert_eq!((got.status, got.spans.len()), (StatusCode::ACCEPTED, 2), "{}", got.text);
    let span = &got.spans[0];
    assert_eq!(span.trace_id.bits(), 7 << 64 | u128::from(u64::MAX));
    assert_eq!((span.span_id.bits(), span.parent_span_id.unwrap().bits()), (u64::MAX - 1, u64::MAX - 2));
    assert_eq!((span.kind, span.start, span.end), (SpanKind::Client, 100_000, 190_000));
    assert_eq!(of_resource(span, "network.local.port"), Some(&Value::Int(65535)));
    let tags = ["i16", "i32", "i64", "double", "bool", "text", "short", "peer.service"];
    let tags: Vec<_> = tags.map(|key| tag(span, key).unwrap()).into();
    assert_eq!(tags, ["-2", "256", "0", "1.5", "true", "caf\u{fffd}", "5", "b"]);
    for cut in 1..body.len() {
        let got = send("/api/v1/spans", &headers, body[..cut].to_vec()).await;
        assert_eq!((got.status, got.spans.len()), (StatusCode::BAD_REQUEST, 0), "cut at {cut}");
    }
}

fn proto_span(trace: &[u8], id: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut w = Writer::new(&mut out);
    w.bytes(1, trace);
    w.bytes(2, &[0, 0, 0, 0, 0, 0, 0, 9]);
    w.bytes(3, id);
    w.varint(4, 2);
    w.bytes(5, b"get");
    w.fixed64(6, MICROS);
    w.varint(7, 12);
    w.message(8, |out| {
        let mut w = Writer::new(out);
        w.bytes(1, b"back");
        w.bytes(3, &std::net::Ipv6Addr::LOCALHOST.octets());
        w.varint(4, 40000);
    });
    w.message(10, |out| {
        let mut w = Writer::new(out);
        w.fixed64(1, MICROS + 1);
        w.bytes(2, b"note");
    });
    w.message(11, |out| {
        let mut w = Writer::new(out);
        w.bytes(1, b"error");
        w.bytes(2, b"boom");
    });
    w.varint(13, 1);
    out
}

fn proto_list(spans: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for span in spans {
        Writer::new(&mut out).always_bytes(1, span);
    }
    out
}

#[tokio::test]
async fn protobuf_is_read_and_a_broken_span_in_it_left_out_alone() {
    let id = [0, 0, 0, 0, 0, 0, 0, 7];
    let body = proto_list(&[
        proto_span(&[1; 16], &id),
        proto_span(&[1; 15], &id),
        proto_span(&[1; 8], &id),
        vec![0xff; 9],
        proto_span(&[1; 8], &[]),
    ]);
    let got = send("/api/v2/spans", &[("content-type", "application/x-protobuf")], body).await;
    assert_eq!((got.status, got.spans.len()), (StatusCode::ACCEPTED, 2), "{}", got.text);
    assert!(got.text.starts_with("3 of 5 spans left out"), "{}", got.text);
    let span = &got.spans[0];
    assert_eq!(span.trace_id.bits(), u128::from_be_bytes([1; 16]));
    assert_eq!(got.spans[1].trace_id.bits(), u128::from(u64::from_be_bytes([1; 8])));
    assert_eq!((span.span_id.bits(), span.parent_span_id.unwrap().bits()), (7, 9));
    assert_eq!((span.kind, span.name.as_str()), (SpanKind::Server, "get"));
    assert_eq!((span.start, span.duration()), (MICROS * 1000, 12_000));
    assert_eq!((span.resource.service(), span.events[0].name.as_str()), ("back", "note"));
    assert_eq!(of_resource(span, "network.local.address"), Some(&Value::Str("::1".into())));
    assert_eq!((span.status.code, span.status.message.as_str()), (Outcome::Error, "boom"));
    assert_eq!(attribute(&span.attributes, "zipkin.shared"), Some(&Value::Bool(true)));
}

#[tokio::test]
async fn other_methods_are_told_so_and_a_browser_may_send() {
    let zipkin = || {
        let kept = Arc::new(Kept::default());
        Zipkin::new(&Intake::new(kept, Arc::default(), None), crate::MAX_BODY).port()
    };
    let get = Request::get("/api/v2/spans").body(Body::empty()).unwrap();
    assert_eq!(zipkin().oneshot(get).await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
    let preflight = Request::options("/api/v2/spans")
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type");
    let answer = zipkin().oneshot(preflight.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    let health = Request::get("/health").body(Body::empty()).unwrap();
    let answer = zipkin().oneshot(health).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"{\"status\":\"UP\""));
}

#[tokio::test]
async fn too_much_is_a_413_and_a_full_sink_says_when_to_come_back() {
    let (kept, counters) = (Arc::new(Kept::full()), Arc::default());
    let zipkin = Zipkin::new(&Intake::new(kept, Arc::clone(&counters), None), 1000);
    let send = |body: Vec<u8>| {
        let request = Request::post("/api/v2/spans").body(Body::from(body)).unwrap();
        zipkin.http().oneshot(request)
    };
    let answer = send(vec![b' '; 1001]).await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let answer = send(br#"[{"traceId":"1","id":"2"}]"#.to_vec()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "7");
    let spans = &counters.of(crate::Protocol::Zipkin).spans;
    assert_eq!(spans.refused.load(std::sync::atomic::Ordering::Relaxed), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_are_taken_or_refused_with_a_reason(
        mut body in prop::collection::vec(any::<u8>(), 0..200),
        valid in 0usize..4, at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let id = [0, 0, 0, 0, 0, 0, 0, 7];
        let (path, kind) = [
            ("/api/v2/spans", ""), ("/api/v1/spans", ""), ("/api/v2/spans", "application/x-protobuf"),
            ("/api/v1/spans", "application/x-thrift"),
        ][valid];
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mutated = {
            let mut valid = match valid {
                0 => br#"[{"traceId":"1","id":"2","tags":{"a":1},"annotations":[{"timestamp":5,"value":"x"}]}]"#.to_vec(),
                1 => br#"[{"traceId":"1","id":"2","binaryAnnotations":[{"key":"sa","value":true}]}]"#.to_vec(),
                2 => proto_list(&[proto_span(&[1; 16], &id)]),
                _ => Thrift::List(vec![thrift_span(1, 2, 3)]).encode(Protocol::Binary),
            };
            let at = at.index(valid.len());
            valid[at] = byte;
            valid
        };
        for body in [std::mem::take(&mut body), mutated] {
            let got = runtime.block_on(send(path, &[("content-type", kind)], body));
            prop_assert!(matches!(got.status, StatusCode::ACCEPTED | StatusCode::BAD_REQUEST), "{}", got.status);
            prop_assert!(got.status == StatusCode::ACCEPTED || !got.text.is_empty());
        }
    }
}
