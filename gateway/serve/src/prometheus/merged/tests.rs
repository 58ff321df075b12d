mod owned;

use axum::http::{HeaderMap, Method};
use parsers::record::Sample;
use serde_json::Value as Json;

use super::*;
use crate::fakes::{Nothing, ask, state};
use crate::prometheus::tests::Samples;

/// A server with two series of `b_total`, one of which is stored here as well, and one of `c_total`.
struct Server {
    down: bool,
}

impl Server {
    fn failure(&self) -> Result<(), ReadError> {
        let error =
            ReadError::Unreachable { server: "prometheus at x".to_owned(), detail: "refused".to_owned() };
        if self.down { Err(error) } else { Ok(()) }
    }
}

#[async_trait::async_trait]
impl Forward for Server {
    async fn forward(
        &self,
        _: Method,
        path_and_query: &str,
        _: &HeaderMap,
        _: Bytes,
    ) -> Result<Response, ForwardFailure> {
        let failed =
            |error: ReadError| ForwardFailure { status: StatusCode::BAD_GATEWAY, detail: error.to_string() };
        self.failure().map_err(failed)?;
        let body = if path_and_query.contains("/label/") || path_and_query.contains("/labels") {
            r#"{"status":"success","data":["b_total","c_total"]}"#
        } else if path_and_query.contains("/series") {
            r#"{"status":"success","data":[{"__name__":"b_total","job":"theirs"}]}"#
        } else if path_and_query.contains("/metadata") {
            r#"{"status":"success","data":{"c_total":[{"type":"counter","help":"","unit":""}]}}"#
        } else {
            "theirs"
        };
        Ok(body.into_response())
    }

    async fn samples(
        &self,
        matchers: &[Matcher],
        window: Window,
        limits: SampleLimits,
        _: Option<&str>,
    ) -> Result<Vec<SeriesSamples>, ReadError> {
        self.failure()?;
        let sets = [
            Labels::new([("__name__", "b_total"), ("job", "theirs")]),
            Labels::new([("__name__", "b_total"), ("http.status", "2"), ("job", "x")]),
            Labels::new([("__name__", "c_total"), ("job", "x")]),
        ];
        let sample = |n: u64| Sample { time: (1000 + 30 * n) * 1_000_000_000, value: 7.0 };
        let samples: Vec<Sample> = (0..20).map(sample).filter(|s| window.contains(s.time)).collect();
        let wanted = sets.into_iter().filter(|labels| matchers.iter().all(|m| m.matches(labels)));
        let series = |labels| SeriesSamples {
            labels: Arc::new(labels),
            samples: samples.clone(),
            histograms: Vec::new(),
        };
        let found: Vec<SeriesSamples> = wanted.map(series).collect();
        if found.len() > limits.series {
            return Err(ReadError::TooMany { what: "series", limit: limits.series as u64 });
        }
        Ok(found)
    }
}

async fn asked(down: bool, path: &str) -> (StatusCode, String) {
    let state = State {
        samples: Arc::new(Samples),
        prometheus: Some(Arc::new(Server { down })),
        ..state(Arc::new(Nothing), Arc::new(Nothing))
    };
    let path =
        format!("/prometheus/api/v1/{path}").replace('{', "%7B").replace('}', "%7D").replace(' ', "%20");
    ask(state, &path, &[]).await
}

async fn result(down: bool, path: &str) -> Vec<(String, String)> {
    let (status, body) = asked(down, path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    let body: Json = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{path}: {body}"));
    let list = body["data"]["result"].as_array().cloned().unwrap_or_default();
    let pair = |one: &Json| {
        (
            one["metric"]["job"].as_str().unwrap_or("-").to_owned(),
            one["value"][1].as_str().unwrap_or("-").to_owned(),
        )
    };
    list.iter().map(pair).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_the_servers_alone_is_handed_on_and_what_is_not_is_evaluated_here() {
    for path in
        ["query?query=c_total", "query?query=1%2B1", "query?query=sum(", "rules", "query_range?query=up"]
    {
        assert_eq!(asked(false, path).await, (StatusCode::OK, "theirs".to_owned()), "{path}");
    }
    // Both have the series of job x; the samples that are stored here come first where there are two.
    assert_eq!(result(false, "query?query=b_total&time=1060").await, pairs(&[("x", "60"), ("theirs", "7")]));
    assert_eq!(result(false, "query?query=b_total&time=1035").await, pairs(&[("x", "7"), ("theirs", "7")]));
    assert_eq!(
        result(false, "query?query=g * on () group_left () sum(c_total)&time=1120").await,
        pairs(&[("\"z\"", "840")])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_server_what_is_stored_here_is_told_with_a_warning() {
    let (status, body) = asked(true, "query?query=b_total&time=1060").await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains(r#""warnings":["series that are stored here alone: prometheus at x"#), "{body}");
    assert_eq!(result(true, "query?query=b_total&time=1060").await, pairs(&[("x", "60")]));
    // What is nowhere else has no answer.
    let (status, body) = asked(true, "query?query=b_total + on (job) c_total&time=1060").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert!(body.contains("prometheus at x cannot be reached"), "{body}");
    let (status, body) = asked(true, "label/__name__/values").await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("what is stored here alone") && body.contains("a_total"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_those_of_both() {
    for (path, expected) in [
        ("label/__name__/values", r#"{"data":["a_total","b_total","c_total","g"],"status":"success"}"#),
        // Nothing is added: the answer is the server's own.
        ("label/__name__/values?match[]=b_total", r#"{"status":"success","data":["b_total","c_total"]}"#),
        (
            "label/__name__/values?limit=2",
            r#"{"data":["a_total","b_total"],"status":"success","warnings":["results truncated due to limit"]}"#,
        ),
        // A server that knows no limit has its answer cut, whether or not something is added.
        (
            "label/__name__/values?match[]=c_total&limit=1",
            r#"{"data":["b_total"],"status":"success","warnings":["results truncated due to limit"]}"#,
        ),
        (
            "label/__name__/values?match[]=b_total&limit=1",
            r#"{"data":["b_total"],"status":"success","warnings":["results truncated due to limit"]}"#,
        ),
        ("labels?match[]=c_total&limit=2", r#"{"status":"success","data":["b_total","c_total"]}"#),
        (
            "series?match[]=b_total",
            r#"{"data":[{"__name__":"b_total","http.status":"2","job":"x"},{"__name__":"b_total","job":"theirs"}],"status":"success"}"#,
        ),
        ("series", r#"{"status":"success","data":[{"__name__":"b_total","job":"theirs"}]}"#),
    ] {
        assert_eq!(asked(false, path).await, (StatusCode::OK, expected.to_owned()), "{path}");
    }
    let (_, body) = asked(false, "metadata").await;
    let body: Json = serde_json::from_str(&body).unwrap();
    let names: Vec<&String> = body["data"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["a_total", "c_total", "g"]);
}
