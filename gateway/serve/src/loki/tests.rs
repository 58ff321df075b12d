use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use parsers::record::{Labels, LogRecord, Severity, SpanId, TraceId};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::request::{InstantRequest, RangeRequest};
use crate::fakes::{Memory, Nothing, ask, state};
use crate::parameters::{Parameters, SECOND};
use crate::router;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const NOON: u64 = 1_760_000_000 * SECOND;

fn record(after: u64, line: &str, traced: bool) -> LogRecord {
    LogRecord {
        time: NOON + after,
        observed: NOON + after,
        labels: Arc::new(Labels::new([("namespace", "shop"), ("service_name", "checkout")])),
        metadata: vec![("stream".to_owned(), "stdout".to_owned())],
        trace_id: traced.then(|| TraceId::from_hex(TRACE.as_bytes()).unwrap()),
        span_id: traced.then(|| SpanId::from_hex(b"00f067aa0ba902b7").unwrap()),
        severity: Severity::Error,
        line: line.as_bytes().to_vec(),
        source: None,
        rule: None,
    }
}

fn logs() -> Arc<Memory> {
    let logs = vec![
        record(1, "card declined", true),
        record(2, "nothing to see", false),
        record(3, "order placed", true),
    ];
    Arc::new(Memory { logs, ..Memory::default() })
}

/// Path and parameters, encoded.
fn url(path: &str, parameters: &[(&str, &str)]) -> String {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
            .collect()
    };
    let pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    format!("/loki/api/v1/{path}?{}", pairs.join("&"))
}

async fn get(path: &str, parameters: &[(&str, &str)], headers: &[(&str, &str)]) -> (StatusCode, String) {
    ask(state(Arc::new(Nothing), logs()), &url(path, parameters), headers).await
}

const FLAGS: [(&str, &str); 1] = [("X-Loki-Response-Encoding-Flags", "categorize-labels")];

async fn lines(query: &str, headers: &[(&str, &str)]) -> String {
    let parameters = [("query", query), ("start", "1760000000"), ("end", "1760000060"), ("limit", "1000")];
    let (status, body) = get("query_range", &parameters, headers).await;
    assert_eq!(status, StatusCode::OK, "{query}: {body}");
    body
}

fn parsed(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn the_health_query_in_1970_is_a_vector_of_two() {
    let parameters = [("query", "vector(1)+vector(1)"), ("time", "4000000000"), ("direction", "backward")];
    let (status, body) = get("query", &parameters, &FLAGS).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let body = parsed(&body);
    assert_eq!(body["data"]["resultType"], "vector");
    assert_eq!(body["data"]["result"].as_array().unwrap().len(), 1);
    assert_eq!(body["data"]["result"][0]["value"][1], "2");
}

#[tokio::test]
async fn nothing_found_is_an_empty_list_with_its_type() {
    let body = lines(r#"{service_name="nobody"}"#, &FLAGS).await;
    assert!(body.starts_with(
        r#"{"status":"success","data":{"resultType":"streams","encodingFlags":["categorize-labels"],"result":[],"#
    ));
    let body = lines(r#"count_over_time({service_name="nobody"}[1m])"#, &[]).await;
    assert!(body.starts_with(r#"{"status":"success","data":{"resultType":"matrix","result":[],"#), "{body}");
}

#[tokio::test]
async fn with_the_flag_values_have_three_parts_and_the_keys_come_in_their_order() {
    let body = lines(&format!(r#"{{namespace="shop"}} | trace_id="{TRACE}""#), &FLAGS).await;
    let order = ["resultType", "encodingFlags", "result\"", "\"stream\"", "values", "stats"];
    let places: Vec<usize> = order.iter().map(|key| body.find(key).expect(key)).collect();
    assert!(places.is_sorted(), "{body}");
    let kinds = json!({ "structuredMetadata": {
        "detected_level": "error", "span_id": "00f067aa0ba902b7", "stream": "stdout", "trace_id": TRACE,
    } });
    assert_eq!(
        parsed(&body)["data"]["result"],
        json!([{
            "stream": { "namespace": "shop", "service_name": "checkout" },
            "values": [
                ["1760000000000000003", "order placed", kinds],
                ["1760000000000000001", "card declined", kinds],
            ],
        }])
    );
}

#[tokio::test]
async fn without_the_flag_values_have_two_parts_and_metadata_is_among_the_labels() {
    let body = lines(&format!(r#"{{namespace="shop"}} |= "order" | trace_id="{TRACE}""#), &[]).await;
    assert!(!body.contains("encodingFlags"));
    assert_eq!(
        parsed(&body)["data"]["result"],
        json!([{
            "stream": {
                "detected_level": "error", "namespace": "shop", "service_name": "checkout",
                "span_id": "00f067aa0ba902b7", "stream": "stdout", "trace_id": TRACE,
            },
            "values": [["1760000000000000003", "order placed"]],
        }])
    );
}

#[tokio::test]
async fn the_queries_behind_a_spans_log_button_find_its_lines() {
    let labelled = format!(
        "| label_format log_line_contains_trace_id=`{{{{ contains \"{TRACE}\" __line__  }}}}` \
         | log_line_contains_trace_id=\"true\""
    );
    for stages in [
        format!(r#"| trace_id="{TRACE}""#),
        format!(r#"{labelled} or trace_id="{TRACE}""#),
        format!(r#"{labelled} OR trace_id="{TRACE}""#),
    ] {
        let body = parsed(&lines(&format!(r#"{{service_name="checkout"}} {stages}"#), &FLAGS).await);
        let streams = body["data"]["result"].as_array().unwrap();
        let count: usize = streams.iter().map(|stream| stream["values"].as_array().unwrap().len()).sum();
        assert_eq!(count, 2, "{stages}: {body}");
    }
}

#[tokio::test]
async fn labels_values_and_series_come_from_streams_and_never_name_the_trace() {
    let window = ("start", "1760000000");
    let (_, names) = get("labels", &[window], &[]).await;
    assert_eq!(names, r#"{"status":"success","data":["namespace","service_name"]}"#);
    let (_, values) = get("label/namespace/values", &[window], &[]).await;
    assert_eq!(values, r#"{"status":"success","data":["shop"]}"#);
    let elsewhere = ("query", r#"{namespace="elsewhere"}"#);
    let (_, values) = get("label/namespace/values", &[window, elsewhere], &[]).await;
    assert_eq!(values, r#"{"status":"success","data":[]}"#);
    let (_, values) = get("label/__stream_shard__/values", &[window], &[]).await;
    assert_eq!(values, r#"{"status":"success","data":[]}"#);
    let matching = ("match[]", r#"{namespace=~"sh.*"}"#);
    let (_, series) = get("series", &[window, matching], &[]).await;
    assert_eq!(series, r#"{"status":"success","data":[{"namespace":"shop","service_name":"checkout"}]}"#);
}

#[tokio::test]
async fn a_form_is_read_as_a_query_string_is() {
    let asked = url("", &[("match[]", r#"{namespace="shop"}"#), ("start", "1760000000")]);
    let form = asked.split_once('?').unwrap().1.to_owned();
    let request = Request::post("/loki/api/v1/series")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form))
        .unwrap();
    let response = router(state(Arc::new(Nothing), logs())).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    #[expect(clippy::disallowed_methods, reason = "bounded")]
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    assert!(body.ends_with(br#"[{"namespace":"shop","service_name":"checkout"}]}"#), "{body:?}");
}

#[tokio::test]
async fn the_size_hint_counts_streams_lines_and_bytes() {
    let parameters = [("query", r#"{namespace="shop"}"#), ("start", "1760000000")];
    let (_, body) = get("index/stats", &parameters, &[]).await;
    assert_eq!(body, r#"{"streams":1,"chunks":0,"bytes":39,"entries":3}"#);
}

#[tokio::test]
async fn volumes_are_summed_by_the_labels_that_the_query_names() {
    let window = [("query", r#"{service_name=~".+"}"#), ("start", "1760000000"), ("end", "1760000060")];
    let (_, body) = get("index/volume", &window, &[]).await;
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["data"]["resultType"], "vector");
    let expected = json!([{"metric": {"service_name": "checkout"}, "value": [1_760_000_060.0, "39"]}]);
    assert_eq!(answer["data"]["result"], expected);
    let (_, body) = get("index/volume", &[&window[..], &[("targetLabels", "namespace")]].concat(), &[]).await;
    assert!(body.contains(r#"{"metric":{"namespace":"shop"}"#), "{body}");
    let (_, body) = get("index/volume", &[&window[..], &[("aggregateBy", "labels")]].concat(), &[]).await;
    assert!(body.contains(r#"{"metric":{"service_name":""}"#), "{body}");
    let (_, body) = get("index/volume_range", &[&window[..], &[("step", "30")]].concat(), &[]).await;
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["data"]["resultType"], "matrix");
    assert_eq!(answer["data"]["result"][0]["values"], json!([[1_760_000_030.0, "39"]]));
    let (status, _) = get("index/volume", &[&window[..], &[("aggregateBy", "x")]].concat(), &[]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn labels_are_counted_and_queries_laid_out() {
    let (_, body) = get("detected_labels", &[("start", "1760000000")], &[]).await;
    let expected = r#"{"detectedLabels":[{"label":"namespace","cardinality":1},{"label":"service_name","cardinality":1}]}"#;
    assert_eq!(body, expected);
    let (_, body) = get("format_query", &[("query", r#"  {a="b"}|="c""#)], &[]).await;
    assert_eq!(body, r#"{"status":"success","data":"{a=\"b\"} |= \"c\""}"#);
    let (status, body) = get("format_query", &[("query", "{a=")], &[]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.starts_with("parse error at line 1, col 4: syntax error: unexpected the end"), "{body}");
    let (_, body) = get("status/buildinfo", &[], &[]).await;
    assert!(body.contains(r#""version":"trefoil-"#), "{body}");
}

#[tokio::test]
async fn a_metric_over_lines_with_errors_says_so() {
    let query = r#"count_over_time({namespace="shop"} | json [1m])"#;
    let parameters = [("query", query), ("start", "1760000000"), ("end", "1760000060")];
    let (status, body) = get("query_range", &parameters, &FLAGS).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.starts_with("pipeline error: 'JSONParserErr' for series"), "{body}");
}

#[tokio::test]
async fn what_cannot_be_asked_is_400_in_plain_words() {
    let good = r#"{namespace="shop"}"#;
    for (parameters, words) in [
        (vec![("query", "{namespace=")], ""),
        (vec![], "query is missing"),
        (vec![("query", good), ("direction", "sideways")], "expected forward or backward"),
        (vec![("query", good), ("limit", "5001")], "max entries limit per query exceeded"),
        (vec![("query", good), ("limit", "0")], "must be a positive value"),
        (vec![("query", good), ("start", "soon")], "invalid start"),
        (vec![("query", good), ("start", "1760000001"), ("end", "1760000000")], "end timestamp"),
        (vec![("query", good), ("step", "1ms")], "exceeded maximum resolution"),
        (vec![("query", good), ("step", "0")], "invalid step \"0\": zero or negative"),
        (vec![("query", good), ("step", "-5")], "invalid step \"-5\": zero or negative"),
    ] {
        let (status, body) = get("query_range", &parameters, &FLAGS).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{parameters:?}: {body}");
        assert!(body.contains(words) && !body.starts_with('{'), "{parameters:?}: {body}");
    }
}

#[test]
fn what_is_not_said_is_as_in_loki() {
    let said = Parameters::from([("query", "{a=\"b\"}")]);
    let range = RangeRequest::read(&said, NOON).unwrap();
    assert_eq!((range.start, range.end), (NOON - 3_600 * SECOND, NOON));
    assert_eq!((range.limit, range.step.as_secs()), (100, 14));
    assert_eq!(range.direction, store::read::Direction::Backward);
    assert_eq!(InstantRequest::read(&said, NOON).unwrap().time, NOON);
}
