use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use parsers::record::{
    LogRecord, Severity, Span, SpanKind, StatusCode as SpanStatus, TraceId, Value, attribute,
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use tower::ServiceExt;

use super::{AgentSettings, ElasticApm, ElasticApmOptions};
use crate::kept::Kept;
use crate::{Intake, MAX_BODY};

const EVENTS: &str = "/intake/v2/events";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
const TRANSACTION: &str = "00f067aa0ba902b8";
/// Microseconds.
const TIME: u64 = 1_700_000_000_123_456;

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Json {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

async fn ask(
    apm: &ElasticApm,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = apm.port().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let (parts, body) = answer.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Answer { status: parts.status, headers: parts.headers, text }
}

fn apm(kept: &Arc<Kept>, options: ElasticApmOptions) -> ElasticApm {
    let options = ElasticApmOptions { max_body: MAX_BODY, ..options };
    ElasticApm::new(&Intake::new(kept.clone(), Arc::default(), None), options)
}

fn open(kept: &Arc<Kept>) -> ElasticApm {
    apm(kept, ElasticApmOptions::default())
}

fn metadata() -> Json {
    json!({"metadata": {
        "service": {"name": "shop", "version": "1.2", "environment": "prod", "agent": {"name": "python", "version": "6.1"},
                    "language": {"name": "python", "version": null}, "node": {"configured_name": "i1"}},
        "process": {"pid": 7, "ppid": null},
        "system": {"hostname": "h1", "container": {"id": "c1"},
                   "kubernetes": {"namespace": "ns", "pod": {"name": "p1", "uid": "u1"}}},
        "cloud": {"provider": "aws", "region": "eu"},
        "labels": {"team": "blue", "n": 5}}})
}

fn transaction() -> Json {
    json!({"transaction": {"id": TRANSACTION, "trace_id": TRACE, "type": "request", "name": "GET /buy", "duration": 32.592_981,
        "timestamp": TIME, "span_count": {"started": 1, "dropped": null}, "result": "HTTP 5xx", "sampled": true,
        "context": {"request": {"method": "GET", "url": {"full": "http://shop/buy"}}, "response": {"status_code": 503},
                    "tags": {"order": "o7", "team": "red", "gone": null}, "user": {"id": 99}}}})
}

fn span() -> Json {
    json!({"span": {"id": SPAN, "trace_id": TRACE, "parent_id": TRANSACTION, "transaction_id": TRANSACTION, "name": "SELECT",
        "type": "db", "subtype": "postgresql", "action": "query", "start": 1.5, "duration": 3, "timestamp": TIME + 1500,
        "outcome": "failure", "context": {"db": {"statement": "select 1", "type": "sql", "instance": "orders"},
        "destination": {"address": "db", "port": 5432}}, "links": [{"trace_id": TRACE, "span_id": SPAN}]}})
}

fn failure() -> Json {
    json!({"error": {"id": "e1", "trace_id": TRACE, "parent_id": SPAN, "transaction_id": TRANSACTION, "timestamp": TIME + 2000,
        "culprit": "shop.buy", "exception": {"type": "ValueError", "message": "no stock",
        "stacktrace": [{"filename": "shop.py", "lineno": 3, "function": "buy"}]}}})
}

fn lines(events: &[Json]) -> Vec<u8> {
    let mut out = String::new();
    for event in events {
        out.push_str(&event.to_string());
        out.push('\n');
    }
    out.into_bytes()
}

async fn post(kept: &Arc<Kept>, events: &[Json]) -> Answer {
    let headers = [("content-type", "application/x-ndjson"), ("accept", "application/json")];
    ask(&open(kept), Method::POST, EVENTS, &headers, lines(events)).await
}

/// What one request leaves: spans and log records.
async fn taken(events: &[Json]) -> (Vec<Span>, Vec<LogRecord>) {
    let kept = Arc::new(Kept::default());
    let answer = post(&kept, events).await;
    assert_eq!((answer.status, &*answer.text), (StatusCode::ACCEPTED, ""));
    (kept.spans_so_far(), kept.logs())
}

fn text<'s>(span: &'s Span, name: &str) -> Option<&'s str> {
    attribute(&span.attributes, name)?.as_str()
}

#[tokio::test]
async fn transactions_and_spans_become_spans_of_one_trace() {
    let (spans, _) = taken(&[metadata(), transaction(), span()]).await;
    let [entry, call] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!(
        (entry.trace_id.to_string(), entry.span_id.to_string()),
        (TRACE.to_owned(), TRANSACTION.to_owned())
    );
    assert_eq!((entry.kind, entry.parent_span_id, &*entry.name), (SpanKind::Server, None, "GET /buy"));
    assert_eq!((entry.start, entry.duration()), (TIME * 1000, 32_592_981));
    assert_eq!((entry.status.code, entry.flags), (SpanStatus::Error, 1), "503 without an outcome");
    assert_eq!(attribute(&entry.attributes, "http.response.status_code"), Some(&Value::Int(503)));
    assert_eq!(text(entry, "url.full"), Some("http://shop/buy"));
    assert_eq!((text(entry, "labels.order"), text(entry, "labels.gone")), (Some("o7"), None));
    assert_eq!((call.kind, call.parent_span_id), (SpanKind::Client, Some(entry.span_id)));
    assert_eq!((call.start, call.duration()), ((TIME + 1500) * 1000, 3_000_000));
    assert_eq!(
        (text(call, "db.statement"), text(call, "span.subtype")),
        (Some("select 1"), Some("postgresql"))
    );
    assert_eq!(call.links[0].span_id, Some(call.span_id));
    assert_eq!(call.status.code, SpanStatus::Error);
    let resource = &entry.resource;
    assert_eq!(resource.service(), "shop");
    for (name, value) in [
        ("deployment.environment.name", "prod"),
        ("k8s.pod.uid", "u1"),
        ("host.name", "h1"),
        ("labels.team", "blue"),
        ("cloud.provider", "aws"),
    ] {
        assert_eq!(attribute(&resource.attributes, name).and_then(Value::as_str), Some(value), "{name}");
    }
    assert_eq!(entry.scope.name, "elastic-apm-python");
}

#[tokio::test]
async fn labels_of_an_event_do_not_leak_into_the_next() {
    let (spans, _) = taken(&[metadata(), transaction(), span()]).await;
    assert_eq!(text(&spans[0], "labels.team"), Some("red"), "the event's own");
    assert_eq!((text(&spans[1], "labels.team"), text(&spans[1], "labels.order")), (None, None));
}

#[tokio::test]
async fn an_error_is_a_log_record_and_an_event_of_its_span() {
    let (spans, logs) = taken(&[metadata(), failure(), transaction(), span()]).await;
    let log = &logs[0];
    assert_eq!(
        (log.trace_id.unwrap().to_string(), log.span_id.unwrap().to_string()),
        (TRACE.into(), SPAN.into())
    );
    assert_eq!((&log.line[..], log.severity), (&b"ValueError: no stock"[..], Severity::Error));
    assert_eq!((log.labels.get("service_name"), log.labels.get("pod")), (Some("shop"), Some("p1")));
    let field =
        |name: &str| log.metadata.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(field("exception_stacktrace"), Some("at buy (shop.py:3)\n"));
    assert_eq!((field("error_id"), field("pod_uid")), (Some("e1"), Some("u1")));
    assert_eq!((&*spans[1].events[0].name, spans[1].events[0].time), ("exception", (TIME + 2000) * 1000));
    assert!(spans[0].events.is_empty());
}

#[tokio::test]
async fn log_events_are_read_flat_and_nested() {
    let flat = json!({"log": {"@timestamp": TIME, "message": "one", "log.level": "warning", "trace.id": TRACE, "span.id": SPAN,
        "log": {"level": "error"}, "labels": {"a": 1}}});
    let nested = json!({"log": {"@timestamp": "2023-11-14T22:13:20.5Z", "message": "two", "trace": {"id": TRACE},
        "transaction": {"id": TRANSACTION}, "service": {"name": "shop"}}});
    let plain = json!({"log": {"message": format!("three trace_id={TRACE}")}});
    let (_, logs) = taken(&[metadata(), flat, nested, plain]).await;
    assert!(logs.iter().all(|log| log.trace_id.unwrap().to_string() == TRACE));
    assert_eq!((logs[0].time, logs[0].severity), (TIME * 1000, Severity::Error), "nested wins");
    assert_eq!(
        (logs[1].time, logs[1].span_id.unwrap().to_string()),
        (1_700_000_000_500_000_000, TRANSACTION.into())
    );
    assert!(logs[2].time > TIME * 1000, "the time of arrival");
    assert_eq!(logs[2].rule.as_deref(), Some("logfmt"));
}

#[tokio::test]
async fn metric_sets_become_samples() {
    let kept = Arc::new(Kept::default());
    let set = json!({"metricset": {"timestamp": TIME, "tags": {"env": "x"}, "transaction": {"name": "GET /", "type": "request"},
        "samples": {"system.memory.free": {"value": 5.5, "type": "gauge", "unit": "byte"},
                    "latency": {"values": [1.0, 2.0], "counts": [3, 4], "type": "histogram"}}}});
    assert_eq!(post(&kept, &[metadata(), set]).await.status, StatusCode::ACCEPTED);
    let stored = kept.metrics();
    let shown: BTreeMap<_, _> = stored
        .samples
        .iter()
        .map(|row| {
            let labels = &stored.series[row.series as usize];
            let bound = labels.get("le").unwrap_or_default();
            ((labels.get("__name__").unwrap(), bound), (row.value, row.time))
        })
        .collect();
    let time = TIME * 1000;
    let expected = [
        (("latency_bucket", "+Inf"), (7.0, time)),
        (("latency_bucket", "1"), (3.0, time)),
        (("latency_bucket", "2"), (7.0, time)),
        (("latency_count", ""), (7.0, time)),
        (("latency_sum", ""), (11.0, time)),
        (("system_memory_free", ""), (5.5, time)),
    ];
    assert_eq!(shown.into_iter().collect::<Vec<_>>(), expected);
    let labels = &stored.series[0];
    assert_eq!((labels.get("job"), labels.get("env")), (Some("shop"), Some("x")));
    assert_eq!(labels.get("transaction_name"), Some("GET /"));
}

#[tokio::test]
async fn opaque_ids_are_kept_verbatim() {
    let mut odd = span();
    for (key, id) in
        [("trace_id", "00xxxxFFaaaa1234"), ("id", "a-fifteen-chars"), ("parent_id", "abcdef012345678")]
    {
        odd["span"][key] = json!(id);
    }
    let (spans, _) = taken(&[metadata(), odd]).await;
    assert_eq!(Some(spans[0].trace_id), TraceId::opaque(b"00xxxxFFaaaa1234"));
    assert_eq!(text(&spans[0], "trace.id"), Some("00xxxxFFaaaa1234"));
    assert_eq!(text(&spans[0], "span.id"), Some("a-fifteen-chars"));
    assert_eq!(spans[0].parent_span_id.unwrap().to_string(), "0abcdef012345678", "padded on the left");
}

#[tokio::test]
async fn a_bad_event_costs_no_neighbour_and_is_shown() {
    let kept = Arc::new(Kept::default());
    let mut number = span();
    number["span"]["id"] = json!(12345);
    let mut body = lines(&[metadata(), transaction(), number]);
    body.extend_from_slice(b"\n{broken\n[1]\n{\"tarnsaction\":{}}\n");
    body.extend(lines(&[json!({"log": {"message": "x".repeat(400_000)}}), span()]));
    let answer = ask(&open(&kept), Method::POST, EVENTS, &[("accept", "*/*")], body).await;
    assert_eq!(
        (answer.status, answer.headers["connection"].to_str().unwrap()),
        (StatusCode::BAD_REQUEST, "Close")
    );
    assert_eq!(answer.headers["content-type"], "application/json");
    let told = answer.json();
    assert_eq!((&told["accepted"], told["errors"].as_array().unwrap().len()), (&json!(2), 5), "{told}");
    assert_eq!(told["errors"][0]["message"], "validation error: 'span.id' must be a string");
    assert!(told["errors"][0]["document"].as_str().unwrap().contains("12345"));
    assert_eq!(told["errors"][4]["message"], "event exceeded the permitted size");
    assert_eq!(kept.spans_so_far().len(), 2, "before and after");
}

#[tokio::test]
async fn what_is_required_is_required() {
    for (event, path, part) in [
        (transaction(), "/transaction/span_count", "'transaction.span_count' required"),
        (transaction(), "/transaction/trace_id", "'transaction.trace_id' required"),
        (transaction(), "/transaction/duration", "'transaction.duration' required"),
        (span(), "/span/parent_id", "'span.parent_id' required"),
        (span(), "/span/name", "'span.name' required"),
        (failure(), "/error/exception", "'error.exception' and 'error.log'"),
        (failure(), "/error/trace_id", "'error.trace_id' required"),
        (failure(), "/error/parent_id", "'error.parent_id' required"),
        (json!({"metricset": {"samples": {"a*": {"value": 1}}}}), "", "a*"),
        (json!({"metricset": {"samples": {"a": {}}}}), "", "'sample.value'"),
    ] {
        let mut event = event;
        if let Some(field) = event.pointer_mut(path).filter(|_| !path.is_empty()) {
            *field = Json::Null;
        }
        let answer = post(&Arc::default(), &[metadata(), event]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        let message = answer.json()["errors"][0]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(part), "{part} in {message}");
    }
}

#[tokio::test]
async fn without_metadata_nothing_is_taken() {
    let mut bad = metadata();
    bad["metadata"]["service"]["agent"] = json!({"name": "x"});
    for first in [transaction(), bad, json!({"metadata": {}}), json!({"metadata": 5}), json!(7)] {
        let kept = Arc::new(Kept::default());
        let answer = post(&kept, &[first, transaction()]).await;
        assert_eq!((answer.status, &answer.json()["accepted"]), (StatusCode::BAD_REQUEST, &json!(0)));
        assert!(kept.spans_so_far().is_empty());
    }
}

#[tokio::test]
async fn compression_is_told_by_the_bytes_and_an_empty_body_is_fine() {
    let plain = lines(&[metadata(), transaction(), span()]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(&plain).unwrap();
    let (gzip, zlib) = (gzip.finish().unwrap(), zlib.finish().unwrap());
    for (body, encoding) in
        [(gzip.clone(), "gzip"), (gzip.clone(), ""), (zlib.clone(), "deflate"), (zlib, ""), (plain, "gzip")]
    {
        let kept = Arc::new(Kept::default());
        let headers = [("content-encoding", encoding)];
        let answer = ask(&open(&kept), Method::POST, EVENTS, &headers, body).await;
        assert_eq!((answer.status, kept.spans_so_far().len()), (StatusCode::ACCEPTED, 2), "{encoding}");
    }
    let headers = [("content-encoding", "gzip")];
    let answer =
        ask(&open(&Arc::default()), Method::POST, "/intake/v2/events?flushed=true", &headers, vec![]).await;
    assert_eq!((answer.status, &*answer.text), (StatusCode::ACCEPTED, ""));
    // Cut off: what came is kept.
    let kept = Arc::new(Kept::default());
    let cut = gzip[..gzip.len() - 10].to_vec();
    let answer = ask(&open(&kept), Method::POST, EVENTS, &headers, cut).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    // A bomb.
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..100 {
        bomb.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    let answer = ask(&open(&kept), Method::POST, EVENTS, &headers, bomb.finish().unwrap()).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn wrong_methods_types_and_browsers_have_their_answers() {
    let apm = open(&Arc::default());
    let answer = ask(&apm, Method::GET, EVENTS, &[], vec![]).await;
    assert_eq!((answer.status, &answer.json()["accepted"]), (StatusCode::BAD_REQUEST, &json!(0)));
    assert!(answer.text.contains("only POST requests are supported"));
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    let answer = ask(&apm, Method::POST, EVENTS, &[("content-type", "application/json")], vec![]).await;
    assert!(answer.text.contains("invalid content type: 'application/json'"), "{}", answer.text);
    for path in ["/intake/v2/rum/events", "/intake/v3/rum/events"] {
        let answer = ask(&apm, Method::POST, path, &[], vec![]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.text.contains("RUM endpoint is disabled"));
    }
    let verbose = lines(&[metadata(), transaction()]);
    let answer = ask(&apm, Method::POST, "/intake/v2/events?verbose", &[], verbose).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::ACCEPTED, json!({"accepted": 1})));
    let answer = post(&Arc::new(Kept::full()), &[metadata(), transaction()]).await;
    assert_eq!((answer.status, &answer.json()["accepted"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(0)));
    assert_eq!(answer.headers["retry-after"], "7");
}

#[tokio::test]
async fn a_token_or_a_key_is_asked_for_where_one_is_set() {
    let options = ElasticApmOptions {
        secret_token: Some("s3cret".to_owned()),
        api_keys: vec!["id:key".to_owned()],
        ..ElasticApmOptions::default()
    };
    let kept = Arc::new(Kept::default());
    let apm = apm(&kept, options);
    let body = lines(&[metadata(), transaction()]);
    for (shown, status) in [
        ("", 401),
        ("Bearer s3cret", 202),
        ("Bearer s3cre", 401),
        ("bearer s3cret", 401),
        ("Bearer id:key", 401),
        ("ApiKey aWQ6a2V5", 202),
        ("ApiKey aWQ6a2V6", 401),
        ("ApiKey %", 401),
    ] {
        let answer = ask(&apm, Method::POST, EVENTS, &[("authorization", shown)], body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{shown}");
        if status == 401 {
            assert!(answer.json()["error"].as_str().unwrap().starts_with("authentication failed: "));
            assert!(answer.headers.contains_key("www-authenticate"));
        }
        let about = ask(&apm, Method::GET, "/", &[("authorization", shown)], vec![]).await;
        assert_eq!((about.status, about.text.is_empty()), (StatusCode::OK, status == 401), "{shown}");
        let config =
            ask(&apm, Method::GET, "/config/v1/agents?service.name=a", &[("authorization", shown)], vec![])
                .await;
        assert_eq!(config.status.as_u16(), if status == 401 { 401 } else { 200 });
        assert!(config.headers.contains_key("cache-control"));
    }
    assert_eq!(kept.spans_so_far().len(), 2);
    let about = ask(&open(&kept), Method::GET, "/", &[("accept", "text/plain")], vec![]).await.json();
    assert!(about["version"].as_str().unwrap().split('.').all(|part| part.parse::<u32>().is_ok()));
}

#[tokio::test]
async fn agents_get_the_settings_of_their_service_and_nothing_new_is_304() {
    let settings = |service: Option<&str>, environment: Option<&str>, rate: &str| AgentSettings {
        service: service.map(str::to_owned),
        environment: environment.map(str::to_owned),
        settings: BTreeMap::from([("transaction_sample_rate".to_owned(), rate.to_owned())]),
    };
    let agents = vec![
        settings(None, Some("prod"), "0.3"),
        settings(Some("shop"), None, "0.2"),
        settings(Some("shop"), Some("prod"), "0.1"),
    ];
    let apm = apm(&Arc::default(), ElasticApmOptions { agents, ..ElasticApmOptions::default() });
    for (query, rate) in [
        ("service.name=shop&service.environment=prod", Some("0.1")),
        ("service.name=shop&service.environment=test", Some("0.2")),
        ("service.name=cart&service.environment=prod", Some("0.3")),
        ("service.name=cart", None),
    ] {
        let path = format!("/config/v1/agents?{query}");
        let answer = ask(&apm, Method::GET, &path, &[], vec![]).await;
        assert_eq!(
            (answer.status, answer.json()["transaction_sample_rate"].as_str()),
            (StatusCode::OK, rate)
        );
        let etag = answer.headers["etag"].to_str().unwrap().to_owned();
        assert_eq!(etag == "\"-\"", rate.is_none());
        assert_eq!(answer.headers["cache-control"], "max-age=30, must-revalidate");
        let again = ask(&apm, Method::GET, &path, &[("if-none-match", &etag)], vec![]).await;
        assert_eq!((again.status, &*again.text), (StatusCode::NOT_MODIFIED, ""));
    }
    let body = json!({"service": {"name": "shop", "environment": "prod"}}).to_string().into_bytes();
    let answer = ask(&apm, Method::POST, "/config/v1/agents", &[], body).await;
    assert_eq!(answer.json(), json!({"transaction_sample_rate": "0.1"}));
    for (method, path, status) in [
        (Method::GET, "/config/v1/agents", 400),
        (Method::POST, "/config/v1/agents", 400),
        (Method::PUT, "/config/v1/agents?service.name=a", 405),
    ] {
        let answer = ask(&apm, method, path, &[], vec![]).await;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.headers["cache-control"], "max-age=300, must-revalidate");
    }
}

proptest! {
    #[test]
    fn any_bytes_have_a_status(body: Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let answer = runtime.block_on(ask(&open(&Arc::default()), Method::POST, EVENTS, &[], body));
        prop_assert!(matches!(answer.status.as_u16(), 202 | 400));
    }

    #[test]
    fn mutated_events_have_a_status_and_cost_no_neighbour(at in 0usize..2000, byte in 11u8..128, which in 0usize..3) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let event = [transaction(), span(), failure()][which].to_string();
        let mut mutated = event.into_bytes();
        let len = mutated.len();
        mutated[at % len] = byte;
        let mut body = lines(&[metadata()]);
        body.extend(mutated);
        body.push(b'\n');
        body.extend(lines(&[json!({"log": {"message": "neighbour"}})]));
        let kept = Arc::new(Kept::default());
        let answer = runtime.block_on(ask(&open(&kept), Method::POST, EVENTS, &[], body));
        prop_assert!(matches!(answer.status.as_u16(), 202 | 400));
        prop_assert!(kept.logs().iter().any(|log| log.line == b"neighbour"));
    }
}
