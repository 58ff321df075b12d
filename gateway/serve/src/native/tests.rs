use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use parsers::record::{Exemplar, Labels, Series};
use serde_json::Value;
use store::read::{MetricRead, ReadError, Window};

use crate::fakes;

async fn get(path: &str) -> (StatusCode, Value) {
    let (status, body) = fakes::get(path).await;
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn an_unknown_trace_is_404_with_every_key() {
    let (status, body) = get("/api/v1/traces/4BF92F3577B34DA6A3CE929D0E0E4736").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    for key in [
        "trace_id",
        "spellings",
        "window",
        "services",
        "spans",
        "logs",
        "mentions",
        "exemplars",
        "metrics",
        "critical_path",
        "links",
        "clocks",
        "total_spans",
        "next",
        "absent",
        "warnings",
    ] {
        assert!(body.get(key).is_some(), "{key}");
    }
    assert_eq!(body["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
}

#[tokio::test]
async fn what_is_no_id_is_400_and_says_what_was_expected() {
    let (status, body) = get("/api/v1/traces/not-an-id").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body["error"].as_str().unwrap().contains("expected"));
}

#[tokio::test]
async fn what_is_not_there_is_404_and_says_so() {
    let trace = "/api/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736";
    for (path, told) in
        [("/api/v1/trace", "/openapi.json".to_owned()), (&*format!("{trace}/"), format!(": {trace};"))]
    {
        let (status, body) = get(path).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(body["error"].as_str().is_some_and(|error| error.contains(&told)), "{path}: {body}");
    }
}

#[tokio::test]
async fn parts_and_keys_of_an_answer_can_be_asked_for_and_what_cannot_be_read_is_400() {
    let trace = "/api/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736";
    let (status, body) = get(&format!("{trace}?fields=absent,next&limit=7&min_confidence=0.5")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["absent", "next"]);
    assert!(
        body["absent"].as_array().unwrap().iter().all(|a| a["hint"].as_str().is_some_and(|h| !h.is_empty()))
    );
    for wrong in ["cursor=7", "cursor=spans-x", "limit=x", "min_confidence=2", "mentions=x"] {
        let (status, body) = get(&format!("{trace}?{wrong}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
        assert!(body["error"].as_str().unwrap().contains("expected"), "{wrong}: {body}");
    }
}

#[tokio::test]
async fn a_pivot_has_one_start_and_the_times_that_go_with_it() {
    for (query, expected) in [
        ("", "expected exactly one of"),
        ("trace_id=4bf92f3577b34da6a3ce929d0e0e4736&service=shop", "trace_id and service"),
        ("labels=%7Bapp%3D%22shop%22%7D", "needs `time`"),
        ("labels=%7Bapp&time=1", "LogQL selector"),
        ("labels=%7Bapp%3D%22x%22%7D%20%7C%3D&time=1", "parse error"),
        ("labels=rate(%7Bapp%3D%22x%22%7D%5B1m%5D)&time=1", "a metric is no line"),
        ("service=shop&time=1", "`time` goes with labels, metric"),
        ("metric=up&start=1", "`start` goes with"),
        ("metric=)(", "metric"),
        ("metric=1%2B1&time=1", "PromQL selector"),
        ("span_id=zz", "16 hex digits"),
        ("trace_id=zz", "a trace id"),
        ("workload=shop", "namespace/pod"),
        ("service=shop&start=5&end=4", "not before"),
    ] {
        let (status, body) = get(&format!("/api/v1/correlate?{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        assert!(body["error"].as_str().unwrap().contains(expected), "{query}: {body}");
    }
    let (status, body) = get("/api/v1/correlate?service=shop").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let absent = body["absent"].as_array().unwrap();
    assert!(absent.iter().all(|a| !a["detail"].as_str().unwrap().is_empty()) && absent.len() >= 4, "{body}");
}

#[tokio::test]
async fn patterns_and_exemplars_of_nothing_say_why() {
    for path in ["/api/v1/patterns?service=shop&against=1h", "/api/v1/exemplars?query=http_requests_total"] {
        let (status, body) = get(path).await;
        assert_eq!(status, StatusCode::OK, "{path} {body}");
        assert!(!body["absent"].as_array().unwrap().is_empty(), "{path} {body}");
    }
    for path in [
        "/api/v1/patterns?against=5/4",
        "/api/v1/patterns?against=soon",
        "/api/v1/patterns?labels=%7B",
        "/api/v1/exemplars",
        "/api/v1/exemplars?query=1",
    ] {
        assert_eq!(get(path).await.0, StatusCode::BAD_REQUEST, "{path}");
    }
    let (_, body) = get("/api/v1/patterns?fields=patterns,%20absent").await;
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["absent", "patterns"]);
}

#[tokio::test]
async fn what_nobody_reads_is_refused_with_what_there_is() {
    for (path, expected) in [
        ("services?fields=nosuch", "unknown key in fields \"nosuch\""),
        ("services?fields=servces", "did you mean `services`?"),
        ("patterns?serivce=payment", "unknown parameter \"serivce\": did you mean `service`?"),
        ("traces/4bf92f3577b34da6a3ce929d0e0e4736?fields=spans,log", "did you mean `logs`?"),
        ("services?limit=0", "from 1 on"),
        ("services?start=1760000100&end=1760000000", "2025-10-09T08:55:00."),
        ("analysis/compare?a=%7B%7D&window=1h", "unknown parameter \"window\""),
        ("operations?service=", "invalid service \"\": expected a value"),
        ("analysis/versions?service=shop&by=", "invalid by \"\""),
        ("services?fields=", "invalid fields \"\""),
        ("services?limit=1&limit=2", "`limit` is there more than once: expected one"),
        ("services?start=-5", "invalid start \"-5\": expected a time from 1970 on"),
        ("correlate?metric=up&time=-5", "invalid time \"-5\""),
        ("exemplars", "query is missing: expected a PromQL selector"),
        ("exemplars?query=up&step=0", "invalid step \"0\": expected a duration above zero"),
        ("exemplars?query=up&step=-1", "invalid step \"-1\": expected a duration above zero"),
        ("patterns?against=0s", "invalid against \"0s\": expected a duration above zero"),
        ("patterns?against=-5/4", "invalid start \"-5\""),
    ] {
        let (status, body) = get(&format!("/api/v1/{path}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {body}");
        assert!(body["error"].as_str().unwrap().contains(expected), "{path}: {body}");
    }
    let (_, document) = get("/openapi.json").await;
    assert!(
        document["components"]["schemas"]["ServicesBody"]["required"].is_null(),
        "fields leaves keys out"
    );
}

#[tokio::test]
async fn windows_that_cannot_be_compared_are_told() {
    for (query, expected) in [
        ("start=0&end=5", "nothing lies before `start`"),
        ("start=100&end=200&against=50/150", "between 1970-01-01T00:01:40"),
    ] {
        let (status, body) = get(&format!("/api/v1/patterns?{query}")).await;
        assert_eq!(status, StatusCode::OK, "{query} {body}");
        let warnings = body["warnings"].as_array().unwrap();
        assert!(warnings.iter().any(|w| w.as_str().unwrap().contains(expected)), "{query}: {body}");
    }
}

#[tokio::test]
async fn a_name_of_which_there_is_nothing_has_those_that_are_near() {
    let stream = [("namespace", "shop"), ("pod", "cart-7d4b9c-x2x2z"), ("app", "cart")];
    let logs = vec![fakes::line(1_000_000_000, &stream, "hello")];
    let spans =
        ["cart", "B"].map(|service| fakes::span("a", "b", service, "GET", 1_000_000_000, 2_000_000_000));
    let memory = Arc::new(fakes::Memory { logs, spans: spans.to_vec(), ..fakes::Memory::default() });
    for (query, signal, near) in [
        ("service=crat", "spans", "near to it: cart"),
        ("service=nobody", "spans", "services that are known: "),
        ("service=cart&tenant=ghost", "spans", "ask without `tenant`"),
        ("workload=shop/crat", "logs", "near to it: shop/cart"),
        ("workload=shop/nobody", "logs", "`GET /loki/api/v1/series` lists them"),
    ] {
        let path = format!("/api/v1/correlate?{query}&start=0&end=5");
        let (status, body) = fakes::ask(fakes::state(memory.clone(), memory.clone()), &path, &[]).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
        let mut absent = body["absent"].as_array().unwrap().iter().filter(|a| a["signal"] == signal);
        let hint = absent.next().unwrap()["hint"].as_str().unwrap();
        assert!(hint.contains(near) && absent.next().is_none(), "{query}: {body}");
    }
}

#[tokio::test]
async fn while_the_metrics_server_is_down_nobody_says_that_there_is_no_exemplar() {
    struct Down;
    #[async_trait::async_trait]
    impl MetricRead for Down {
        fn name(&self) -> &'static str {
            "prometheus"
        }
        async fn series(&self, _: &[String], _: Window) -> Result<Vec<Labels>, ReadError> {
            Err(ReadError::Unreachable { server: "prometheus".to_owned(), detail: "refused".to_owned() })
        }
        async fn range(&self, _: &str, _: Window, _: Duration) -> Result<Vec<Series>, ReadError> {
            Ok(Vec::new())
        }
        async fn exemplars(&self, _: &str, window: Window) -> Result<Vec<Exemplar>, ReadError> {
            self.series(&[], window).await.map(|_| Vec::new())
        }
    }
    let nothing = Arc::new(fakes::Nothing);
    let state = fakes::state(nothing.clone(), nothing.clone());
    let exemplars = state.exemplars.over(nothing.clone(), nothing, Some(Arc::new(Down)));
    let state = crate::State { exemplars, ..state };
    let (status, body) = fakes::ask(state, "/api/v1/exemplars?query=up", &[]).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, StatusCode::OK, "{body}");
    let reasons: Vec<_> = body["absent"].as_array().unwrap().iter().map(|a| &a["reason"]).collect();
    assert_eq!(reasons, ["source_down"], "{body}");
}

#[tokio::test]
async fn a_part_that_is_not_ready_says_why() {
    let (status, body) = get("/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["parts"]["store"]["reason"], "replaying the journal");
}

#[tokio::test]
async fn the_checked_in_description_is_the_one_that_is_served() {
    let (status, served) = get("/openapi.json").await;
    assert_eq!(status, StatusCode::OK);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file, serde_json::to_string_pretty(&served).unwrap() + "\n").unwrap();
    }
    let checked_in: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(checked_in, served, "run this test once with UPDATE=1");
}
