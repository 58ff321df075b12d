use std::sync::Arc;

use async_trait::async_trait;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::Response;
use correlate::{CorrelateOptions, Exemplars};
use parsers::record::{Exemplar, ExemplarOrigin, Labels, MetricKind, MetricMeta, Sample, SpanId, TraceId};
use serde_json::{Value as Json, json};
use store::read::{
    ExemplarLimits, ExemplarRead, Matcher, ReadError, SampleLimits, SampleRead, SeriesSamples,
    StoredExemplars, Window,
};
use tower::ServiceExt as _;

use crate::fakes::{Nothing, ask, get, state};
use crate::{Forward, ForwardFailure, State, router};

#[tokio::test]
async fn without_a_server_the_health_query_is_two_and_the_exemplar_probe_empty() {
    let (status, body) = get("/prometheus/api/v1/query?query=1%2B1&time=4").await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains(r#""result":[4,"2"]"#), "{body}");
    let probe = "query=test&start=1763647200000&end=1763733600000";
    let (status, body) = get(&format!("/prometheus/api/v1/query_exemplars?{probe}")).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, r#"{"status":"success","data":[]}"#));
}

/// Three counters and a gauge, a sample a minute from 1000 s on.
pub(super) struct Samples;

impl SampleRead for Samples {
    fn select(
        &self,
        matchers: &[Matcher],
        window: Window,
        _: SampleLimits,
    ) -> Result<Vec<SeriesSamples>, ReadError> {
        let sets = self.label_sets(&[matchers.to_vec()], window)?;
        let sample = |n: u64| Sample { time: (1000 + 60 * n) * 1_000_000_000, value: (n * 60) as f64 };
        let samples: Vec<Sample> = (0..10).map(sample).filter(|s| window.contains(s.time)).collect();
        let series = |labels| SeriesSamples { labels, samples: samples.clone(), histograms: Vec::new() };
        Ok(sets.into_iter().map(series).collect())
    }

    fn label_sets(&self, selectors: &[Vec<Matcher>], _: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        let set =
            |name: &str, job: &str| Labels::new([("__name__", name), ("job", job), ("http.status", "2")]);
        let all = [set("a_total", "x"), set("a_total", "y"), set("b_total", "x"), set("g", "\"z\"")];
        let wanted = |labels: &Labels| {
            selectors.is_empty() || selectors.iter().any(|all| all.iter().all(|m| m.matches(labels)))
        };
        Ok(all.into_iter().filter(wanted).map(Arc::new).collect())
    }

    fn metadata(&self) -> Result<Vec<MetricMeta>, ReadError> {
        let meta = |name: &str, kind| MetricMeta { name: name.to_owned(), kind, ..MetricMeta::default() };
        Ok(vec![meta("a_total", MetricKind::Counter), meta("g", MetricKind::Gauge)])
    }
}

#[tokio::test]
async fn without_a_server_what_is_stored_answers() {
    let fake = || State { samples: Arc::new(Samples), ..state(Arc::new(Nothing), Arc::new(Nothing)) };
    for (asked, expected, body) in [
        (
            "query?query=sum+by+(job)+(rate(a_total[3m]))&time=1300.5",
            StatusCode::OK,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"job":"x"},"value":[1300.5,"1"]},{"metric":{"job":"y"},"value":[1300.5,"1"]}]}}"#,
        ),
        (
            "query_range?query=g&start=1000&end=1120&step=1m",
            StatusCode::OK,
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"g","http.status":"2","job":"\"z\""},"values":[[1000,"0"],[1060,"60"],[1120,"120"]]}]}}"#,
        ),
        (
            "query?query=quantile(2,g)&time=1000",
            StatusCode::OK,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1000,"+Inf"]}]},"warnings":["PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)"]}"#,
        ),
        (
            "query?query=a_total&time=1000&limit=1",
            StatusCode::OK,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"a_total","http.status":"2","job":"x"},"value":[1000,"0"]}]},"warnings":["results truncated due to limit"]}"#,
        ),
        (
            "query_range?query=sum+by+(job)(a_total)&start=1000&end=1000&step=1&limit=1",
            StatusCode::OK,
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"job":"x"},"values":[[1000,"0"]]}]},"warnings":["results truncated due to limit"]}"#,
        ),
        (
            "query?query=g&time=1000&limit=1&lookback_delta=30s",
            StatusCode::OK,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"g","http.status":"2","job":"\"z\""},"value":[1000,"0"]}]}}"#,
        ),
        (
            "query?query=g&time=1600&lookback_delta=30s&limit=0",
            StatusCode::OK,
            r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#,
        ),
        (
            "query_range?query=g&start=1570&end=1600&step=30&lookback_delta=40s",
            StatusCode::OK,
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"g","http.status":"2","job":"\"z\""},"values":[[1570,"540"]]}]}}"#,
        ),
        (
            "query?query=g&lookback_delta=soon",
            StatusCode::BAD_REQUEST,
            r#"{"error":"error parsing lookback delta duration: cannot parse \"soon\" to a valid duration","errorType":"bad_data","status":"error"}"#,
        ),
        (
            "query?query=time()&time=1.0006",
            StatusCode::OK,
            r#"{"status":"success","data":{"resultType":"scalar","result":[1.001,"1.001"]}}"#,
        ),
        (
            "query_range?query=time()&start=0.9996&end=2.0004&step=1",
            StatusCode::OK,
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"],[2,"2"]]}]}}"#,
        ),
        (
            "query?query=%22text%22&time=4",
            StatusCode::OK,
            r#"{"status":"success","data":{"resultType":"string","result":[4,"text"]}}"#,
        ),
        ("labels", StatusCode::OK, r#"{"data":["__name__","http.status","job"],"status":"success"}"#),
        (
            "label/__name__/values?match[]={job=%22x%22}",
            StatusCode::OK,
            r#"{"data":["a_total","b_total"],"status":"success"}"#,
        ),
        ("label/U__http_2e_status/values", StatusCode::OK, r#"{"data":["2"],"status":"success"}"#),
        (
            "label/__name__/values?limit=1",
            StatusCode::OK,
            r#"{"data":["a_total"],"status":"success","warnings":["results truncated due to limit"]}"#,
        ),
        (
            "series?match[]=b_total",
            StatusCode::OK,
            r#"{"data":[{"__name__":"b_total","http.status":"2","job":"x"}],"status":"success"}"#,
        ),
        (
            "metadata?metric=g",
            StatusCode::OK,
            r#"{"data":{"g":[{"help":"","type":"gauge","unit":""}]},"status":"success"}"#,
        ),
        (
            "status/tsdb",
            StatusCode::OK,
            r#"{"data":{"headStats":{"maxSeries":0,"maxTime":0,"minTime":0,"numLabelPairs":0,"numSeries":0},"labelValueCountByLabelName":[],"memoryInBytesByLabelName":[],"seriesCountByLabelValuePair":[],"seriesCountByMetricName":[]},"status":"success"}"#,
        ),
        ("rules", StatusCode::OK, r#"{"data":{"groups":[]},"status":"success"}"#),
        (
            "query?query=rate(g)",
            StatusCode::BAD_REQUEST,
            r#"{"error":"invalid parameter \"query\": 1:6: parse error: expected type range vector in call to function \"rate\", got instant vector","errorType":"bad_data","status":"error"}"#,
        ),
        (
            "query?query=a_total/on()a_total&time=1300",
            StatusCode::UNPROCESSABLE_ENTITY,
            r#"{"error":"found duplicate series for the match group {} on the right hand-side of the operation: [{__name__=\"a_total\", http.status=\"2\", job=\"y\"}, {__name__=\"a_total\", http.status=\"2\", job=\"x\"}];many-to-many matching not allowed: matching labels must be unique on one side","errorType":"execution","status":"error"}"#,
        ),
        (
            "query?query=sum(a_total)&timeout=0s",
            StatusCode::SERVICE_UNAVAILABLE,
            r#"{"error":"query timed out in expression evaluation","errorType":"timeout","status":"error"}"#,
        ),
        (
            "series",
            StatusCode::BAD_REQUEST,
            r#"{"error":"no match[] parameter provided","errorType":"bad_data","status":"error"}"#,
        ),
        (
            "admin/tsdb/snapshot",
            StatusCode::NOT_FOUND,
            r#"{"error":"/api/v1/admin/tsdb/snapshot is not answered here","errorType":"not_found","status":"error"}"#,
        ),
    ] {
        let path = format!("/prometheus/api/v1/{asked}");
        let path = path.replace('{', "%7B").replace('}', "%7D");
        let (status, found) = ask(fake(), &path, &[]).await;
        assert_eq!((status, found.as_str()), (expected, body), "{asked}");
    }
}

/// One exemplar that is stored, at 1000.25 s.
struct Stored;

impl ExemplarRead for Stored {
    fn stored_exemplars(
        &self,
        selectors: &[Vec<Matcher>],
        window: Window,
        _: ExemplarLimits,
    ) -> Result<StoredExemplars, ReadError> {
        let series = Arc::new(Labels::new([("__name__", "a_bucket"), ("le", "1")]));
        let time = 1_000_250_000_000;
        let wanted = selectors.iter().any(|all| all.iter().all(|m| m.matches(&series)));
        let exemplar = Exemplar {
            series,
            labels: vec![("k".to_owned(), "v".to_owned())],
            value: 0.5,
            time,
            trace_id: TraceId::from_hex(b"abc").ok(),
            span_id: SpanId::new(1),
            origin: ExemplarOrigin::Trefoil,
        };
        let found = if wanted && window.contains(time) { vec![exemplar] } else { Vec::new() };
        Ok(found.into())
    }
}

/// Says what it was asked.
struct Echo;

#[async_trait]
impl Forward for Echo {
    async fn forward(
        &self,
        method: Method,
        path_and_query: &str,
        _: &HeaderMap,
        body: Bytes,
    ) -> Result<Response, ForwardFailure> {
        if path_and_query.ends_with("/series") {
            return Err(ForwardFailure { status: StatusCode::BAD_GATEWAY, detail: "down".to_owned() });
        }
        let text = format!("{method} {path_and_query} {}", String::from_utf8_lossy(&body));
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
        Ok(response)
    }

    async fn samples(
        &self,
        _: &[Matcher],
        _: Window,
        _: SampleLimits,
        _: Option<&str>,
    ) -> Result<Vec<SeriesSamples>, ReadError> {
        Ok(Vec::new())
    }
}

fn with(prometheus: Option<Arc<dyn Forward>>) -> State {
    let exemplars = Exemplars::new(Arc::new(Nothing), Arc::new(Stored), None, &CorrelateOptions::default());
    State { exemplars, prometheus, ..state(Arc::new(Nothing), Arc::new(Nothing)) }
}

async fn posted(path: &str, form: &'static str) -> (StatusCode, String) {
    let request = Request::post(format!("/prometheus/api/v1/{path}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form))
        .unwrap();
    let response = router(with(Some(Arc::new(Echo)))).oneshot(request).await.unwrap();
    let status = response.status();
    #[expect(clippy::disallowed_methods, reason = "bounded")]
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn exemplars_have_the_shape_that_grafana_reads_in_both_methods() {
    let expected = json!({"status": "success", "data": [{
        "seriesLabels": {"__name__": "a_bucket", "le": "1"},
        "exemplars": [{
            "labels": {"k": "v", "trace_id": "00000000000000000000000000000abc", "span_id": "0000000000000001",
                       "trefoil_made": "true"},
            "value": "0.5", "timestamp": 1000.25
        }]
    }]});
    let nothing = json!({"status": "success", "data": []});
    for (form, expected) in [
        ("query=rate(a_bucket[1m])&start=1000&end=1001.5", &expected),
        ("query=rate(a_bucket[1m])&start=1970-01-01T00:16:40Z&end=1970-01-01T00:16:41Z", &expected),
        ("query=a_bucket&start=1000.25&end=1000.25", &expected),
        ("query=a_bucket", &expected),
        ("query=a_bucket&start=1001&end=1002", &nothing),
        ("query=b%7Ble%3D%221%22%7D", &nothing),
    ] {
        let (status, body) =
            ask(with(None), &format!("/prometheus/api/v1/query_exemplars?{form}"), &[]).await;
        assert_eq!(
            (status, &serde_json::from_str::<Json>(&body).unwrap()),
            (StatusCode::OK, expected),
            "{form}"
        );
        assert_eq!(posted("query_exemplars", form).await, (StatusCode::OK, body), "{form}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_question_is_said_as_prometheus_says_it() {
    for (form, words) in [
        ("", "invalid parameter \\\"query\\\""),
        ("query=a%7B", "found the end"),
        ("query=a&start=noon", "cannot parse \\\"noon\\\" to a valid timestamp"),
        ("query=a&start=2&end=1", "end timestamp must not be before start timestamp"),
    ] {
        let (status, body) = posted("query_exemplars", form).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{form}: {body}");
        assert!(body.contains(words) && body.contains(r#""errorType":"bad_data""#), "{form}: {body}");
    }
}

#[tokio::test]
async fn without_a_server_an_exemplar_query_is_read_as_one() {
    let path = "/prometheus/api/v1/query_exemplars?query=rate(&start=1&end=2";
    let (status, body) = ask(with(None), path, &[]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    let told = r#"{"error":"invalid parameter \"query\": 1:6: parse error: "#;
    assert!(body.starts_with(told) && body.contains(r#""errorType":"bad_data""#), "{body}");
}

#[tokio::test]
async fn all_else_is_handed_on_as_it_is() {
    let (status, body) = posted("query_range", "query=up&step=15").await;
    assert_eq!((status.as_u16(), body.as_str()), (422, "POST /api/v1/query_range query=up&step=15"));
    for path in ["label/U__a_2e_b/values?match[]=x", "format_query?query=a", "parse_query?query=a", "alerts"]
    {
        let (_, body) = ask(with(Some(Arc::new(Echo))), &format!("/prometheus/api/v1/{path}"), &[]).await;
        assert_eq!(body, format!("GET /api/v1/{path} "));
    }
    let (status, body) = posted("series", "match[]=up").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert_eq!(body, r#"{"error":"down","errorType":"unavailable","status":"error"}"#);
}
