//! What each protocol answers to what it cannot take, and that nothing else suffers for it.

use std::sync::Arc;

use axum::http::Method;

use super::ways::{Way, ways};
use super::{Answer, ask, over, port, send};
use crate::elastic_apm::{ElasticApm, ElasticApmOptions};
use crate::jaeger::Jaeger;
use crate::kept::Kept;
use crate::otlp::{Otlp, OtlpOptions};
use crate::zipkin::Zipkin;
use crate::{Intake, MAX_BODY, MAX_IN_FLIGHT, Protocol};

/// A protocol's words for what may happen to a request.
struct Words {
    taken: &'static str,
    malformed: &'static str,
    too_large: &'static str,
    busy: &'static str,
}

fn words(way: &Way) -> Words {
    let http = |taken| Words { taken, malformed: "400", too_large: "413", busy: "503" };
    match way.name {
        _ if way.is_grpc() => {
            Words { taken: "grpc 0", malformed: "grpc 3", too_large: "grpc 8", busy: "grpc 14" }
        }
        name if name.starts_with("otlp") => http("200"),
        name if name.starts_with("loki") || name.starts_with("remote") => http("204"),
        _ => http("202"),
    }
}

/// The ways whose names begin so; there are some.
fn named(start: &'static str) -> impl Iterator<Item = &'static Way> {
    assert!(ways().any(|way| way.name.starts_with(start)), "{start}");
    ways().filter(move |way| way.name.starts_with(start))
}

async fn bounded(kept: &Arc<Kept>, way: &Way, max_body: usize, in_flight: usize, body: Vec<u8>) -> Answer {
    ask(port(kept, max_body, in_flight), Method::POST, way.path, &way.headers(), body).await
}

#[tokio::test]
async fn success_is_said_in_each_protocols_own_way() {
    for way in ways() {
        let (answer, kept) = send(way, &[], way.body(&[true, true])).await;
        assert_eq!((&*answer.code(), kept.records()), (words(way).taken, 2), "{}", way.name);
        let expected = match way.name {
            "otlp spans json" => "{}",
            _ if way.is_grpc() => "\0\0\0\0\0",
            _ => "",
        };
        assert_eq!(answer.text, expected, "{}", way.name);
        if way.name.starts_with("otlp") {
            assert_eq!(answer.header("content-type"), Some(way.media), "the answer is as the request");
        }
    }
}

#[tokio::test]
async fn the_media_type_is_read_as_each_protocol_reads_it() {
    const OTLP: &str = "supported: [application/json, application/x-protobuf]";
    for (start, media, code, text) in [
        ("otlp spans json", "text/plain", "415", OTLP),
        ("otlp spans json", "", "415", OTLP),
        ("otlp spans json", "APPLICATION/JSON; charset=utf-8", "200", ""),
        ("otlp logs at loki", "application/grpc", "415", OTLP),
        ("otlp metrics grpc", "application/json", "415", ""),
        ("jaeger grpc", "", "415", ""),
        ("otlp spans grpc", "application/grpc+proto", "grpc 0", ""),
        ("zipkin v2", "text/plain", "202", ""),
        ("zipkin v1", "", "202", ""),
        ("zipkin v1 thrift", "application/json", "400", "bad JSON"),
        ("zipkin v2 protobuf", "application/json", "400", "bad JSON"),
        ("jaeger thrift", "", "400", "Cannot parse content type: mime: no media type"),
        ("jaeger thrift", "application/<b>", "400", "Unsupported content type: application/&lt;b&gt;"),
        ("elastic apm", "", "202", ""),
        ("elastic apm", "application/json", "400", "invalid content type: 'application/json'"),
        ("loki json", "", "400", "mime: no media type"),
        ("loki json", "nonsense", "400", "mime: no media type"),
        ("loki json", "text/plain", "400", "snappy"),
        ("loki protobuf", "application/octet-stream", "204", ""),
        ("loki protobuf", "application/json", "400", "Content-Encoding snappy of a JSON body"),
        ("remote write", "application/vnd.google.protobuf", "415", "expected application/x-protobuf"),
        ("remote write", "application/x-protobuf;proto=other", "415", "io.prometheus.write.v2.Request"),
        ("remote write", "", "415", "expected application/x-protobuf"),
    ] {
        let way = ways().find(|way| way.name == start).unwrap();
        let headers: Vec<_> = way.headers().into_iter().filter(|(name, _)| *name != "content-type").collect();
        let media_type = if media.is_empty() { vec![] } else { vec![("content-type", media)] };
        let kept = Arc::new(Kept::default());
        let router = port(&kept, MAX_BODY, MAX_IN_FLIGHT);
        let headers = [headers, media_type].concat();
        let answer = ask(router, Method::POST, way.path, &headers, way.body(&[true])).await;
        assert_eq!(answer.code(), code, "{start} as {media}: {}", answer.text);
        assert!(answer.text.contains(text), "{start} as {media}: {}", answer.text);
        assert_eq!(kept.records() == 1, ["200", "202", "204", "grpc 0"].contains(&code), "{start}: {media}");
    }
}

#[tokio::test]
async fn other_methods_are_told_which_one_is_taken() {
    for way in ways().filter(|way| !way.is_grpc()) {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let kept = Arc::new(Kept::default());
            let router = port(&kept, MAX_BODY, MAX_IN_FLIGHT);
            let answer = ask(router, method.clone(), way.path, &way.headers(), way.body(&[true])).await;
            if way.name == "elastic apm" {
                assert_eq!(answer.code(), "400");
                assert!(answer.text.contains("only POST requests are supported"), "{}", answer.text);
            } else {
                assert_eq!((&*answer.code(), answer.header("allow")), ("405", Some("POST")), "{}", way.name);
            }
            assert_eq!(kept.records(), 0);
        }
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_malformed_and_nothing_of_it_is_kept() {
    for way in ways() {
        let words = words(way);
        let message = way.message(&[true, true]);
        let cut = &message[..message.len() - 7];
        let (answer, kept) = send(way, &[], way.framed(cut)).await;
        assert_eq!(answer.code(), words.malformed, "{}: {}", way.name, answer.text);
        // Lines of Elastic's agents stand each for itself; of a protobuf message, what is whole in it does for those protocols
        // that leave out single records.
        let whole = usize::from(way.name == "elastic apm");
        assert_eq!(kept.records(), whole, "{}", way.name);
        let mut framed = way.body(&[true, true]);
        framed.truncate(framed.len() - 7);
        let (answer, kept) = send(way, &[], framed).await;
        assert_eq!((&*answer.code(), kept.records()), (words.malformed, whole), "{}", way.name);
    }
}

#[tokio::test]
async fn one_bad_record_costs_no_neighbour_and_is_told_as_the_protocol_has_it() {
    for (name, code, text, records) in [
        ("otlp spans", "200", "trace_id is not 16 bytes", 2),
        ("otlp spans json", "200", r#""rejectedSpans":"1""#, 2),
        ("otlp spans grpc", "grpc 0", "trace_id is not 16 bytes", 2),
        // Kept without its id, of which the sender is warned.
        ("otlp logs", "200", "id", 3),
        ("otlp logs at loki", "200", "id", 3),
        ("otlp logs grpc", "grpc 0", "id", 3),
        ("otlp metrics", "200", "point", 2),
        ("otlp metrics grpc", "grpc 0", "point", 2),
        ("zipkin v2", "202", "1 of 3 spans left out; the first: span 1", 2),
        ("zipkin v2 protobuf", "202", "1 of 3 spans left out; the first: span 1", 2),
        ("zipkin v1", "202", "1 of 3 spans left out; the first: span 1", 2),
        ("zipkin v1 thrift", "202", "1 of 3 spans left out; the first: span 1", 2),
        ("jaeger thrift", "202", "1 of 3 spans left out; the first: span 1", 2),
        ("jaeger grpc", "grpc 0", "", 2),
        ("elastic apm", "400", r#""accepted":2"#, 2),
        ("loki json", "400", "1 of 3 entries were not taken, the others are stored", 2),
        ("loki protobuf", "400", "1 of 3 entries were not taken, the others are stored", 2),
        ("remote write", "400", "1 of the request could not be taken, the rest is stored", 2),
        ("remote write 2", "400", "1 of the request could not be taken, the rest is stored", 2),
    ] {
        let way = ways().find(|way| way.name == name).unwrap();
        let (answer, kept) = send(way, &[], way.body(&[true, false, true])).await;
        assert_eq!((&*answer.code(), kept.records()), (code, records), "{name}: {}", answer.text);
        assert!(answer.text.contains(text), "{name}: {}", answer.text);
        if name == "remote write 2" {
            assert_eq!(answer.header("x-prometheus-remote-write-samples-written"), Some("2"));
        }
    }
}

#[tokio::test]
async fn fields_that_nobody_knows_are_passed_over() {
    for way in ways().filter(|way| !way.name.contains("thrift")) {
        let mut message = way.message(&[true, true]);
        match std::str::from_utf8(&message).ok().filter(|_| message.starts_with(b"{") || message[0] == b'[') {
            Some(text) => {
                // In the first object, but for Elastic's lines, of which each says what it is by its only key.
                let place = if way.name == "elastic apm" { r#""service":{"# } else { "{" };
                let unknown = format!(r#"{place}"notKnown":{{"a":[1.5,null,"x"]}},"#);
                message = text.replacen(place, &unknown, 1).into();
            }
            // Numbers 1007 and 1008: a varint, and bytes.
            None => message.extend([0xf8, 0x3e, 1, 0x82, 0x3f, 2, 0xff, 0xff]),
        }
        let (answer, kept) = send(way, &[], way.framed(&message)).await;
        let expected = (words(way).taken, 2);
        assert_eq!((&*answer.code(), kept.records()), expected, "{}: {}", way.name, answer.text);
    }
}

#[tokio::test]
async fn nothing_at_all_is_taken_or_malformed_as_the_protocol_has_it() {
    for way in ways() {
        let (answer, kept) = send(way, &[], Vec::new()).await;
        let expected = match way.name {
            // No JSON, no struct, no snappy.
            "otlp spans json" | "jaeger thrift" | "loki json" | "loki protobuf" | "remote write"
            | "remote write 2" => "400",
            _ if way.is_grpc() => "grpc 3",
            _ => words(way).taken,
        };
        assert_eq!((&*answer.code(), kept.records()), (expected, 0), "{}: {}", way.name, answer.text);
        if way.is_grpc() {
            let (answer, _) = send(way, &[], way.framed(&[])).await;
            assert_eq!(answer.code(), "grpc 0", "{}", way.name);
        }
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_too_large_and_one_at_the_limit_is_not() {
    for way in ways() {
        let kept = Arc::new(Kept::default());
        let (message, body) = (way.message(&[true]), way.body(&[true]));
        let most = if way.is_grpc() { message.len() } else { message.len().max(body.len()) };
        let answer = bounded(&kept, way, most, MAX_IN_FLIGHT, body.clone()).await;
        assert_eq!((&*answer.code(), kept.records()), (words(way).taken, 1), "{}", way.name);
        let kept = Arc::new(Kept::default());
        let answer = bounded(&kept, way, message.len() - 1, MAX_IN_FLIGHT, body).await;
        assert_eq!(answer.code(), words(way).too_large, "{}: {}", way.name, answer.text);
        assert!(way.name == "elastic apm" || kept.records() == 0, "{}", way.name);
    }
}

/// Whether an answer says when to come back.
fn says_when(way: &Way, answer: &Answer, seconds: u64) {
    if way.is_grpc() {
        assert!(answer.header("google.rpc.retryinfo-bin").is_some(), "{}", way.name);
        assert!(answer.header("grpc-status-details-bin").is_some(), "{}", way.name);
    } else {
        assert_eq!(answer.header("retry-after"), Some(&*seconds.to_string()), "{}", way.name);
    }
}

#[tokio::test]
async fn who_comes_when_there_is_no_room_is_told_when_to_come_back_and_is_taken_then() {
    for way in ways() {
        let body = way.body(&[true]);
        let answer = bounded(&Arc::new(Kept::full()), way, MAX_BODY, MAX_IN_FLIGHT, body.clone()).await;
        assert_eq!(answer.code(), words(way).busy, "{}: {}", way.name, answer.text);
        says_when(way, &answer, 7);
        let kept = Arc::new(Kept::default());
        let intake = Intake::new(kept.clone(), Arc::default(), None);
        let router = over(&intake, MAX_BODY);
        // Another request holds all of it.
        let mut held = intake.door(Protocol::Otlp, MAX_BODY).reservation();
        assert!(held.grow(MAX_IN_FLIGHT));
        let answer = ask(router.clone(), Method::POST, way.path, &way.headers(), body.clone()).await;
        // Elastic's agents send nothing again, so what was read of them is kept.
        let already = usize::from(way.name == "elastic apm");
        assert_eq!((&*answer.code(), kept.records()), (words(way).busy, already), "{}", way.name);
        says_when(way, &answer, 1);
        drop(held);
        let answer = ask(router, Method::POST, way.path, &way.headers(), body).await;
        assert_eq!((&*answer.code(), kept.records()), (words(way).taken, already + 1), "{}", way.name);
    }
}

#[tokio::test]
async fn a_compression_that_is_not_known_is_named_with_those_that_are() {
    for (start, code) in [
        ("otlp spans", "400"),
        ("zipkin", "400"),
        ("jaeger thrift", "400"),
        ("loki", "400"),
        ("remote write", "415"),
        // Told by the bytes alone.
        ("elastic apm", "202"),
    ] {
        for way in named(start).filter(|way| !way.is_grpc()) {
            let headers = [("content-type", way.media), ("content-encoding", "br")];
            let kept = Arc::new(Kept::default());
            let router = port(&kept, MAX_BODY, MAX_IN_FLIGHT);
            let answer = ask(router, Method::POST, way.path, &headers, way.body(&[true])).await;
            assert_eq!(answer.code(), code, "{}: {}", way.name, answer.text);
            assert!(code == "202" || answer.text.contains("expected"), "{}: {}", way.name, answer.text);
        }
    }
    for way in ways().filter(|way| way.is_grpc()) {
        let (answer, _) = send(way, &[("grpc-encoding", "br")], way.body(&[true])).await;
        assert_eq!(answer.code(), "grpc 12", "{}", way.name);
        assert_eq!(answer.header("grpc-accept-encoding"), Some("identity,gzip,deflate,zstd,snappy"));
    }
}

#[tokio::test]
async fn json_that_nests_without_end_is_malformed() {
    let deep = [b"[".repeat(1 << 20), br#"{"a":"#.repeat(1 << 18)].concat();
    for way in ways().filter(|way| way.media.contains("json")) {
        let message = String::from_utf8(way.message(&[true])).unwrap();
        for place in ["{", "["] {
            let (before, after) = message.split_once(place).unwrap_or(("", ""));
            let body = [before.as_bytes(), place.as_bytes(), b"\"x\":", &deep, after.as_bytes()].concat();
            let (answer, _) = send(way, &[], body).await;
            assert_eq!(answer.code(), "400", "{}", way.name);
        }
    }
}

#[tokio::test]
async fn who_has_the_wrong_port_or_path_is_told_the_right_one_and_never_that_all_is_well() {
    let intake = Intake::new(Arc::new(Kept::default()), Arc::default(), None);
    let otlp = Otlp::new(&intake, OtlpOptions::default());
    let (zipkin, jaeger) = (Zipkin::new(&intake, MAX_BODY), Jaeger::new(&intake, MAX_BODY));
    let apm = ElasticApm::new(&intake, ElasticApmOptions::default());
    for (port, path, media, code, text) in [
        (otlp.http_port(), "/", "application/x-protobuf", "404", "/v1/traces"),
        (otlp.http_port(), "/v1/trace", "application/json", "404", "/v1/traces"),
        (otlp.http_port(), "/opentelemetry.x/Export", "application/grpc", "grpc 12", "4317"),
        (otlp.grpc_port(), "/v1/traces", "application/x-protobuf", "404", "4318"),
        (otlp.grpc_port(), "/opentelemetry.x/Export", "application/grpc", "grpc 12", "OTLP"),
        (zipkin.port(), "/api/v2/span", "application/json", "404", "/api/v2/spans"),
        (
            jaeger.http_port(),
            "/jaeger.api_v2.CollectorService/PostSpans",
            "application/grpc",
            "grpc 12",
            "14250",
        ),
        (jaeger.grpc_port(), "/api/traces", "application/x-thrift", "404", "14268"),
        (apm.port(), "/intake/v1/events", "application/x-ndjson", "404", "/intake/v2/events"),
    ] {
        let answer = ask(port, Method::POST, path, &[("content-type", media)], vec![]).await;
        assert_eq!(answer.code(), code, "{path}");
        let said = answer.header("grpc-message").unwrap_or(&answer.text);
        assert!(said.contains(text), "{path}: {said}");
    }
}
