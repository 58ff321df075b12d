use std::io::Write;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use parsers::otlp::Writer;
use parsers::record::{LogRecord, Severity};
use proptest::prelude::*;
use tower::ServiceExt;

use super::LokiPush;
use crate::kept::Kept;
use crate::{Intake, MAX_BODY};

type Pairs<'p> = &'p [(&'p str, &'p str)];

const PATHS: [&str; 2] = ["/loki/api/v1/push", "/api/prom/push"];
const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

async fn send(path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> (StatusCode, String, Vec<LogRecord>) {
    let kept = Arc::new(Kept::default());
    let (status, text) = send_to(&kept, MAX_BODY, path, headers, body).await;
    (status, text, kept.logs())
}

async fn send_to(
    kept: &Arc<Kept>,
    max_body: usize,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (StatusCode, String) {
    let router = LokiPush::new(&Intake::new(kept.clone(), Arc::default(), None), max_body).http();
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = router.oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let status = answer.status();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        assert!(answer.headers().contains_key("retry-after"));
    }
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(text.to_vec()).unwrap())
}

async fn push(text: &str) -> (StatusCode, String, Vec<LogRecord>) {
    send(PATHS[0], &[JSON], text.as_bytes().to_vec()).await
}

/// A `PushRequest` in protobuf, in one snappy block.
fn protobuf(labels: &str, entries: &[(u64, &str, Pairs<'_>)]) -> Vec<u8> {
    let mut out = Vec::new();
    Writer::new(&mut out).message(1, |out| {
        Writer::new(out).bytes(1, labels.as_bytes());
        for (seconds, line, fields) in entries {
            Writer::new(out).message(2, |out| {
                Writer::new(out).message(1, |out| {
                    Writer::new(out).varint(1, *seconds);
                    Writer::new(out).varint(2, 5);
                });
                Writer::new(out).bytes(2, line.as_bytes());
                for (name, value) in *fields {
                    Writer::new(out).message(3, |out| {
                        Writer::new(out).bytes(1, name.as_bytes());
                        Writer::new(out).bytes(2, value.as_bytes());
                    });
                }
            });
        }
    });
    snap::raw::Encoder::new().compress_vec(&out).unwrap()
}

#[tokio::test]
async fn both_shapes_are_taken_on_both_paths_with_exactly_204() {
    let shapes = [
        r#"{"streams":[{"stream":{"app":"shop"},"values":[["1700000000000000005","hello"]]}]}"#,
        r#"{"streams":[{"values":[["1700000000000000005","hello"]],"stream":{"app":"shop"}}]}"#,
        r#"{"streams":[{"labels":"{app=\"shop\"}","entries":[{"ts":"2023-11-14T22:13:20.000000005Z","line":"hello"}]}]}"#,
        r#"{"streams":[{"entries":[{"ts":"2023-11-14T23:13:20.000000005+01:00","line":"hello"}],"labels":"{app=`shop`}","x":[1]}]}"#,
    ];
    for shape in shapes {
        for path in PATHS {
            let (status, text, logs) = send(path, &[JSON], shape.as_bytes().to_vec()).await;
            assert_eq!((status, &*text), (StatusCode::NO_CONTENT, ""), "{shape}");
            assert_eq!((logs.len(), logs[0].time), (1, 1_700_000_000_000_000_005));
            assert_eq!(logs[0].line, b"hello");
            assert_eq!(
                logs[0].labels.iter().collect::<Vec<_>>(),
                [("app", "shop"), ("service_name", "shop")]
            );
        }
    }
}

#[tokio::test]
async fn protobuf_is_snappy_whatever_the_header_says() {
    let fields: &[(&str, &str)] = &[("trace_id", TRACE), ("span_id", SPAN), ("user", "7")];
    let body = protobuf("{job=\"prod/web\", level=\"warn\"}", &[(9, "late", fields), (3, "early", &[])]);
    for encoding in ["snappy", "identity", ""] {
        let (status, _, logs) =
            send(PATHS[0], &[PROTOBUF, ("content-encoding", encoding)], body.clone()).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        let [late, early] = &logs[..] else { panic!("{logs:?}") };
        assert_eq!((late.time, early.time), (9_000_000_005, 3_000_000_005));
        assert_eq!(late.trace_id.unwrap().to_string(), TRACE);
        assert_eq!(late.span_id.unwrap().to_string(), SPAN);
        assert_eq!(late.metadata, [("user".to_owned(), "7".to_owned())]);
        assert_eq!((late.severity, early.severity), (Severity::Warn, Severity::Warn));
        assert_eq!(late.labels.get("service_name"), Some("web"));
        assert_eq!(early.trace_id, None);
    }
}

/// https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber
#[tokio::test]
async fn a_severity_s_number_counts_where_no_word_says_it() {
    let of = |fields: &[(&str, &str)]| protobuf("{app=\"a\"}", &[(1, "plain", fields)]);
    for (fields, expected) in [
        (&[("severity_number", "17")][..], Severity::Error),
        (&[("severity_number", "5")], Severity::Debug),
        (&[("severity_number", "17"), ("severity_text", "warn")], Severity::Warn),
        (&[("level", "info"), ("severity_number", "17")], Severity::Info),
        (&[("severity_number", "x")], Severity::Unknown),
    ] {
        let (_, _, logs) = send(PATHS[0], &[PROTOBUF], of(fields)).await;
        assert_eq!(logs[0].severity, expected, "{fields:?}");
        let kept = logs[0].metadata.iter().any(|(name, _)| name == "severity_number");
        assert!(kept, "{fields:?}");
    }
}

#[tokio::test]
async fn ids_are_found_in_metadata_then_labels_then_the_line_and_never_stay_labels() {
    let other = "5bf92f3577b34da6a3ce929d0e0e4737";
    let text = format!(
        r#"{{"streams":[{{"stream":{{"app":"a","traceID":"{other}"}},"values":[
            ["1","trace_id=6bf92f3577b34da6a3ce929d0e0e4738",{{"trace_id":"{TRACE}"}}],["2","plain"]]}},
            {{"stream":{{"app":"a"}},"values":[["3","msg=x trace_id={TRACE} span_id={SPAN}"]]}}]}}"#
    );
    let (status, _, logs) = push(&text).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let ids: Vec<String> = logs.iter().map(|log| log.trace_id.unwrap().to_string()).collect();
    assert_eq!(ids, [TRACE, other, TRACE]);
    assert_eq!(logs[2].span_id.unwrap().to_string(), SPAN);
    assert_eq!(logs[2].rule.as_deref(), Some("logfmt"));
    assert!(logs.iter().all(|log| log.labels.len() == 2), "{:?}", logs[0].labels);
    assert_eq!(logs[1].metadata, [("traceID".to_owned(), other.to_owned())]);
}

#[tokio::test]
async fn a_bad_entry_costs_no_neighbour() {
    let (status, text, logs) = push(
        r#"{"streams":[
            {"stream":{"a":"1"},"values":[["1","one"],[2,"number"],["3",4],["x","bad"],7,["5","five",{"n.x":5,"o":{"p":1},"q":null}],["6","six","no"],null]},
            {"labels":"{broken","entries":[{"ts":"1","line":"lost"}]},
            {"stream":{"a":1,"b":{"c":2}},"values":[["7","seven"]]}]}"#,
    )
    .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    for part in ["7 of 10", "2: timestamp cannot be read", "the line is no string", "1: labels"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let lines: Vec<_> = logs.iter().map(|log| String::from_utf8_lossy(&log.line)).collect();
    assert_eq!(lines, ["one", "five", "seven"]);
    assert_eq!(
        logs[1].metadata,
        [("n_x".to_owned(), "5".to_owned()), ("o".to_owned(), r#"{"p":1}"#.to_owned())]
    );
    assert_eq!((logs[2].labels.get("a"), logs[2].labels.get("b")), (Some("1"), Some(r#"{"c":2}"#)));
}

#[tokio::test]
async fn a_broken_protobuf_entry_costs_no_neighbour() {
    let mut out = Vec::new();
    Writer::new(&mut out).message(1, |out| {
        Writer::new(out).bytes(1, b"{a=\"b\"}");
        Writer::new(out).always_bytes(2, b"\x12\x7f");
        Writer::new(out).message(2, |out| {
            Writer::new(out).message(1, |out| Writer::new(out).varint(1, 1));
            Writer::new(out).bytes(2, b"good");
        });
    });
    let body = snap::raw::Encoder::new().compress_vec(&out).unwrap();
    let (status, text, logs) = send(PATHS[0], &[PROTOBUF], body).await;
    assert_eq!((status, logs.len()), (StatusCode::BAD_REQUEST, 1), "{text}");
}

#[tokio::test]
async fn many_labels_and_long_values_become_metadata_and_tailed_names_stay_labels() {
    let many: Vec<String> = (0..30).map(|i| format!(r#""l{i:02}":"v{i}""#)).collect();
    let text = format!(
        r#"{{"streams":[{{"stream":{{{},"long":"{}","namespace":"shop","my-label":"x"}},"values":[["1","x"]]}}]}}"#,
        many.join(","),
        "v".repeat(3000)
    );
    let (status, _, logs) = push(&text).await;
    assert_eq!((status, logs[0].labels.len()), (StatusCode::NO_CONTENT, 15));
    assert_eq!(logs[0].labels.get("namespace"), Some("shop"));
    assert_eq!(logs[0].labels.get("service_name"), Some("unknown_service"));
    assert_eq!(logs[0].metadata.len(), 30 + 4 - 14 + 1 - 2);
    assert!(logs[0].metadata.iter().any(|(name, value)| name == "long" && value.len() == 3000));
    assert!(logs[0].metadata.iter().any(|(name, _)| name == "my_label"));
}

#[tokio::test]
async fn compressions_mean_what_they_mean_to_loki() {
    let plain = br#"{"streams":[{"stream":{"a":"b"},"values":[["1","x"]]}]}"#;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(plain).unwrap();
    let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    raw.write_all(plain).unwrap();
    for (encoding, body) in [("gzip", gzip.finish().unwrap()), ("deflate", raw.finish().unwrap())] {
        let (status, text, logs) = send(PATHS[0], &[JSON, ("content-encoding", encoding)], body).await;
        assert_eq!((status, logs.len()), (StatusCode::NO_CONTENT, 1), "{encoding}: {text}");
    }
    for encoding in ["snappy", "zstd", "br"] {
        let (status, text, _) = send(PATHS[0], &[JSON, ("content-encoding", encoding)], plain.to_vec()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(text.contains(encoding), "{text}");
    }
}

#[tokio::test]
async fn each_mistake_has_its_status() {
    let good = br#"{"streams":[{"stream":{"a":"b"},"values":[["1","x"]]}]}"#.to_vec();
    let cases: [(Pairs<'_>, Vec<u8>, u16, &str); 8] = [
        (&[], good.clone(), 400, "mime: no media type"),
        (&[("content-type", "nonsense")], good.clone(), 400, "mime: no media type"),
        (&[("content-type", "text/plain")], good.clone(), 400, "snappy"),
        (&[JSON], b"{\"streams\":[{]}".to_vec(), 400, "bad JSON"),
        (&[JSON], b"[]".to_vec(), 400, "bad JSON"),
        (&[JSON], br#"{"streams":[]}"#.to_vec(), 422, "at least one valid stream"),
        (&[PROTOBUF], snap::raw::Encoder::new().compress_vec(&[7; 9]).unwrap(), 400, "protobuf"),
        // A block that says that it holds 4 GiB.
        (&[PROTOBUF], vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0], 413, "limit"),
    ];
    for (headers, body, status, part) in cases {
        let (got, text, _) = send(PATHS[0], headers, body).await;
        assert_eq!(got.as_u16(), status, "{text}");
        assert!(text.contains(part), "{part} in {text}");
    }
    let kept = Arc::new(Kept::full());
    let (status, text) = send_to(&kept, MAX_BODY, PATHS[0], &[JSON], good.clone()).await;
    assert_eq!((status, &*text), (StatusCode::SERVICE_UNAVAILABLE, "disk full"));
    let (status, _) = send_to(&kept, 10, PATHS[0], &[JSON], good).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_tenant_is_kept_and_a_long_line_is_cut_and_says_so() {
    let text =
        format!(r#"{{"streams":[{{"stream":{{"a":"b"}},"values":[["1","{}"]]}}]}}"#, "é".repeat(150_000));
    let (status, _, logs) = send(PATHS[0], &[JSON, ("X-Scope-OrgID", "team-7")], text.into_bytes()).await;
    assert_eq!((status, logs[0].line.len()), (StatusCode::NO_CONTENT, 256 * 1024));
    let metadata: Vec<_> =
        logs[0].metadata.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(metadata, [("truncated_bytes", "37856"), ("trefoil.tenant", "team-7")]);
}

#[test]
fn label_strings_are_read_as_go_writes_them() {
    let read = |text| {
        let labels = super::labels::parse(text)?;
        Some(labels.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>())
    };
    assert_eq!(read("{}"), Some(vec![]));
    assert_eq!(
        read(r#" { a = "b" , c="d\"\\\n\u00e9\x41",} "#),
        Some(vec!["a=b".into(), "c=d\"\\\né\u{41}".into()])
    );
    for bad in ["", "a=\"b\"", "{a}", "{a=b}", "{a=\"b}", "{a=\"b\" c=\"d\"}", "{=\"b\"}", "{a=\"\\q\"}"] {
        assert_eq!(read(bad), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn any_bytes_have_a_status(body: Vec<u8>, json: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let body = if json { body } else { snap::raw::Encoder::new().compress_vec(&body).unwrap() };
        let headers = [if json { JSON } else { PROTOBUF }];
        let (status, _, _) = runtime.block_on(send(PATHS[0], &headers, body));
        prop_assert!(matches!(status.as_u16(), 204 | 400 | 422));
    }

    #[test]
    fn a_mutated_push_has_a_status(at in 0usize..400, byte: u8, cut in 0usize..400, json: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let fields: &[(&str, &str)] = &[("trace_id", TRACE), ("user", "7")];
        let (header, mut body) = if json {
            (JSON, format!(r#"{{"streams":[{{"stream":{{"a":"b"}},"values":[["1","x",{{"trace_id":"{TRACE}"}}],["2","y"]]}}]}}"#).into_bytes())
        } else {
            let packed = protobuf("{a=\"b\"}", &[(1, "x", fields), (2, "y", &[])]);
            (PROTOBUF, snap::raw::Decoder::new().decompress_vec(&packed).unwrap())
        };
        if let Some(slot) = body.get_mut(at) {
            *slot = byte;
        }
        body.truncate(body.len().saturating_sub(cut % 40));
        let body = if json { body } else { snap::raw::Encoder::new().compress_vec(&body).unwrap() };
        let (status, _, _) = runtime.block_on(send(PATHS[0], &[header], body));
        prop_assert!(matches!(status.as_u16(), 204 | 400 | 422));
    }
}
