use std::sync::Arc;

use axum::http::StatusCode;
use parsers::record::{Labels, LogRecord, Severity};

use super::*;
use crate::fakes::{Memory, Nothing, ask, get as get_nothing, state};
use crate::parameters::SECOND;

const START: u64 = 1_760_000_000 * SECOND;

fn record(seconds: u64, labels: &[(&str, &str)], line: &str) -> LogRecord {
    LogRecord {
        time: START + seconds * SECOND,
        observed: 0,
        labels: Arc::new(Labels::new(labels.iter().copied())),
        metadata: vec![("pod_uid".to_owned(), "u".to_owned())],
        trace_id: None,
        span_id: None,
        severity: Severity::Info,
        line: line.as_bytes().to_vec(),
        source: None,
        rule: None,
    }
}

/// Lines of the shop's two pods and of the mailer.
fn logs() -> Arc<Memory> {
    let shop = [("service_name", "shop"), ("pod", "0"), ("build", "12")];
    let other = [("service_name", "shop"), ("pod", "1"), ("build", "13")];
    let logs = vec![
        record(0, &shop, "a=1 b=2s"),
        record(10, &shop, "a=2"),
        record(10, &other, r#"{"a":"x"}"#),
        record(70, &[("service_name", "mailer")], "hello!"),
    ];
    Arc::new(Memory { logs, ..Memory::default() })
}

async fn get(path: &str) -> (StatusCode, String) {
    let path = format!("/loki/api/v1/{path}&start={}&end={}", START, START + 100 * SECOND);
    ask(state(Arc::new(Nothing), logs()), &path, &[]).await
}

async fn found(path: &str) -> Json {
    let (status, body) = get(path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn fields_are_told_with_their_parsers_and_values() {
    let query = "query=%7Bservice_name%3D%22shop%22%7D";
    let body = found(&format!("detected_fields?{query}")).await;
    let fields = body["fields"].as_array().unwrap();
    for expected in [
        json!({"label": "a", "type": "string", "cardinality": 3, "parsers": ["json", "logfmt"], "jsonPath": ["a"]}),
        json!({"label": "b", "type": "duration", "cardinality": 1, "parsers": ["logfmt"]}),
        json!({"label": "pod_uid", "type": "string", "cardinality": 1, "parsers": null}),
        json!({"label": "detected_level", "type": "string", "cardinality": 1, "parsers": null}),
    ] {
        assert!(fields.contains(&expected), "{expected}: {body}");
    }
    assert_eq!(body["limit"], 1_000);
    assert_eq!(
        found(&format!("detected_field/a/values?{query}")).await,
        json!({"values": ["1", "2", "x"], "limit": 1_000})
    );
    assert_eq!(
        found(&format!("detected_field/none/values?{query}&limit=5")).await,
        json!({"values": [], "limit": 5})
    );
    assert_eq!(
        found(&format!("detected_fields?{query}&limit=1")).await["fields"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn what_cannot_be_asked_is_400_in_plain_words() {
    for (path, words) in [("detected_fields?query=vector(1)", "expected a log query")] {
        let (status, body) = get(path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {body}");
        assert!(body.contains(words), "{path}: {body}");
    }
    let (status, body) = get_nothing("/loki/api/v1/drilldown-limits").await;
    let body: Json = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["limits"]["volume_enabled"]), (StatusCode::OK, &json!(true)));
}

#[tokio::test]
async fn patterns_are_told_with_seconds_and_counts() {
    for (query, expected) in [
        (
            "query=%7Bapp%3D%22shop%22%7D&start=1000&end=1100&step=30s",
            json!([{"pattern": "order <_> placed", "level": "info", "samples": [[1000, 30]]}]),
        ),
        ("query=%7Bapp%3D%22mailer%22%7D", json!([])),
    ] {
        let (status, body) = get_nothing(&format!("/loki/api/v1/patterns?{query}")).await;
        let body: Json = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (status, &body),
            (StatusCode::OK, &json!({"status": "success", "data": expected})),
            "{query}"
        );
    }
}
