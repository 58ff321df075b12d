//! Promise: Grafana's Prometheus data source can be pointed at the gateway. A real Prometheus answers queries in its own words, and
//! exemplars are those that it has, those that the gateway received, and those that spans make.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::routing::get;
use jiff::Timestamp;
use serde_json::{Value, json};
use tests::harness::{Answer, Http, Prometheus, Scrape, until};
use tests::program::Program;

const SOON: Duration = Duration::from_mins(1);
const SLOW: &str = "5eed0000000000000000000000000011";
const QUICK: &str = "5eed0000000000000000000000000012";
const RECEIVED: &str = "5eed0000000000000000000000000013";
const SCRAPED: &str = "5eed0000000000000000000000000014";
const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded")];

struct Scene {
    _folder: tempfile::TempDir,
    _prometheus: Prometheus,
    http: Http,
    trefoil: Program,
    server: String,
    began: i64,
}

/// A service that counts durations: without exemplars in one histogram, with one in another.
async fn service() -> Result<String> {
    let count = Arc::new(AtomicU64::new(1));
    let text = move || {
        let count = count.fetch_add(1, Ordering::Relaxed);
        let now = Timestamp::now().as_millisecond() as f64 / 1e3;
        let histogram = |name: &str, exemplar: &str| {
            format!(
                "# TYPE {name} histogram\n{name}_bucket{{le=\"0.1\"}} {count}\n{name}_bucket{{le=\"1.0\"}} {both}{exemplar}\n\
                 {name}_bucket{{le=\"+Inf\"}} {both}\n{name}_sum 0.1\n{name}_count {both}\n",
                both = 2 * count
            )
        };
        let body = histogram("http_server_duration_seconds", "")
            + &histogram("queue_wait_seconds", &format!(" # {{trace_id=\"{SCRAPED}\"}} 0.5 {now}"))
            + "# EOF\n";
        std::future::ready((
            [("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8")],
            body,
        ))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/metrics", get(text))).await });
    Ok(address)
}

/// A slow and a quick request of the service, over OTLP.
fn spans(now: i64) -> Value {
    let span = |trace: &str, millis: i64| {
        json!({"traceId": trace, "spanId": "0000000000000001", "name": "GET", "kind": 2,
               "startTimeUnixNano": ((now - millis) * 1_000_000).to_string(), "endTimeUnixNano": (now * 1_000_000).to_string()})
    };
    json!({"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "checkout"}}]},
        "scopeSpans": [{"spans": [span(SLOW, 700), span(QUICK, 50), span(QUICK, 50)]}]}]})
}

/// A histogram with an exemplar, over OTLP.
fn metrics(now: i64) -> Value {
    let nanos = (now * 1_000_000).to_string();
    let point = json!({"timeUnixNano": nanos, "startTimeUnixNano": nanos, "count": "1", "sum": 0.3, "bucketCounts": ["1", "0"],
        "explicitBounds": [1.0],
        "exemplars": [{"timeUnixNano": nanos, "asDouble": 0.3, "traceId": RECEIVED, "spanId": "0000000000000007"}]});
    json!({"resourceMetrics": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "mailer"}}]},
        "scopeMetrics": [{"metrics": [{"name": "mail.delay", "unit": "s", "histogram": {"aggregationTemporality": 2, "dataPoints": [point]}}]}]}]})
}

impl Scene {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = Prometheus::reserve()?;
        let server = format!("http://127.0.0.1:{port}");
        let sections = format!(
            "store: {{dir: '{}'}}\nupstream: {{prometheus: {{url: '{server}'}}}}\n",
            folder.path().join("data").display()
        );
        let logs = folder.path().join("pods/*/*/*.log");
        let mut trefoil = Program::start_configured(&folder.path().join("data"), &logs, &sections).await?;
        let scrape = Scrape { job: "checkout".to_owned(), address: service().await? };
        let prometheus = Prometheus::start(&folder.path().join("prometheus"), port, &[scrape]).await?;
        let (http, began) = (Http::new()?, Timestamp::now().as_millisecond());
        for (path, body) in [("/v1/traces", spans(began)), ("/v1/metrics", metrics(began))] {
            let url = format!("http://{}{path}", trefoil.main);
            let kind = [("content-type", "application/json")];
            let sent = http.post(&url, &kind, body.to_string().into_bytes()).await?;
            ensure!(sent.status == 200, "{path}: {} {}", sent.status, sent.text());
        }
        trefoil.wait_for_records("traces", 3, SOON).await?;
        let scene = Self { _folder: folder, _prometheus: prometheus, http, trefoil, server, began };
        until("the service's series", SOON, || async {
            let series = scene.get("series", &[("match[]", "queue_wait_seconds_bucket")]).await?.ok_json()?;
            ensure!(series["data"].as_array().is_some_and(|list| list.len() == 3), "{series}");
            Ok(())
        })
        .await?;
        Ok(scene)
    }

    fn url(base: &str, path: &str, parameters: &[(&str, &str)]) -> Result<String> {
        Ok(reqwest::Url::parse_with_params(&format!("{base}/api/v1/{path}"), parameters)?.to_string())
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Answer> {
        let base = format!("http://{}/prometheus", self.trefoil.main);
        self.http.get(&Self::url(&base, path, parameters)?).await
    }

    /// Exemplars of the minutes round the start; the same in both methods.
    async fn exemplars(&self, query: &str) -> Result<Vec<Value>> {
        let (start, end) = ((self.began / 1_000 - 120).to_string(), (self.began / 1_000 + 120).to_string());
        let parameters = [("query", query), ("start", start.as_str()), ("end", end.as_str())];
        let answer = self.get("query_exemplars", &parameters).await?.ok_json()?;
        ensure!(answer["status"] == "success" && answer.get("warnings").is_none(), "{answer}");
        let series = answer["data"].as_array().context("a list, never null")?.clone();
        for exemplar in series.iter().flat_map(|one| one["exemplars"].as_array().into_iter().flatten()) {
            ensure!(exemplar["value"].is_string() && exemplar["timestamp"].is_number(), "{exemplar}");
            let keys = exemplar.as_object().map(|keys| keys.len());
            ensure!(keys == Some(3) && exemplar["labels"]["trace_id"].is_string(), "{exemplar}");
        }
        Ok(series)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_answers_through_the_gateway_in_its_own_words() -> Result<()> {
    let scene = Scene::start().await?;
    let time = (scene.began as f64 / 1e3).to_string();
    let end = (scene.began as f64 / 1e3 + 10.0).to_string();
    for (path, parameters) in [
        ("query", vec![("query", "1+1"), ("time", "4")]),
        ("query", vec![("query", "sum("), ("time", "4")]),
        ("query", vec![("query", "nosuchfunction(up)")]),
        ("query_range", vec![("query", "vector(1)"), ("start", &time), ("end", &end), ("step", "5")]),
        ("query_range", vec![("query", "up"), ("start", "2"), ("end", "1"), ("step", "5")]),
        ("label/le/values", vec![("match[]", "queue_wait_seconds_bucket")]),
        ("label/nosuchlabel/values", vec![]),
        ("series", vec![]),
        ("metadata", vec![("metric", "queue_wait_seconds")]),
        ("rules", vec![]),
        ("alerts", vec![]),
        ("format_query", vec![("query", "sum by(a)(b)")]),
        ("status/flags", vec![]),
        ("status/buildinfo", vec![]),
        ("nosuchpath", vec![]),
    ] {
        let through = scene.get(path, &parameters).await?;
        let direct = scene.http.get(&Scene::url(&scene.server, path, &parameters)?).await?;
        assert_eq!(
            (through.status, &through.content_type),
            (direct.status, &direct.content_type),
            "{path} {parameters:?}"
        );
        assert_eq!(through.text(), direct.text(), "{path} {parameters:?}");
    }
    let url = format!("http://{}/prometheus/api/v1", scene.trefoil.main);
    for (path, form) in [
        ("query", format!("query=1%2B1&time={time}")),
        ("query_range", format!("query=vector(1)&start={time}&end={end}&step=5")),
        ("labels", "match[]=queue_wait_seconds_bucket&limit=40000".to_owned()),
        ("series", "match[]=queue_wait_seconds_bucket".to_owned()),
    ] {
        let posted =
            scene.http.post(&format!("{url}/{path}"), &FORM, form.clone().into_bytes()).await?.ok_json()?;
        let got = scene.http.get(&format!("{url}/{path}?{form}")).await?.ok_json()?;
        assert_eq!(posted, got, "{path}");
        ensure!(posted["status"] == "success", "{path}: {posted}");
    }
    for path in ["admin/tsdb/snapshot", "write", "../-/reload"] {
        let answer = scene.http.post(&format!("{url}/{path}"), &FORM, Vec::new()).await?;
        ensure!(answer.status >= 400, "{path}: only reading is handed on, got {}", answer.status);
    }
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn exemplars_come_from_the_server_from_what_was_received_and_from_spans() -> Result<()> {
    let scene = Scene::start().await?;
    let probe = [("query", "test"), ("start", "1763647200000"), ("end", "1763733600000")];
    let answer = scene.get("query_exemplars", &probe).await?.ok_json()?;
    assert_eq!(answer, json!({"status": "success", "data": []}));

    let sent = until("the scraped exemplar", SOON, || async {
        let found = scene.exemplars("rate(queue_wait_seconds_bucket[1m])").await?;
        ensure!(!found.is_empty(), "none yet");
        Ok(found)
    })
    .await?;
    assert_eq!(sent[0]["seriesLabels"]["job"], "checkout");
    for exemplar in sent.iter().flat_map(|one| one["exemplars"].as_array().into_iter().flatten()) {
        assert_eq!(
            exemplar["labels"],
            json!({"trace_id": SCRAPED}),
            "the application sends some: none are made"
        );
    }

    let received = scene
        .exemplars(
            r#"histogram_quantile(.9, sum by (le) (rate({__name__="mail_delay_seconds_bucket"}[5m])))"#,
        )
        .await?;
    assert_eq!(received.len(), 1, "{received:?}");
    let labels = json!({"trace_id": RECEIVED, "span_id": "0000000000000007"});
    assert_eq!(
        (&received[0]["exemplars"][0]["labels"], &received[0]["exemplars"][0]["value"]),
        (&labels, &json!("0.3"))
    );

    let query = r#"histogram_quantile(0.9, sum(rate(http_server_duration_seconds_bucket{job="checkout"}[1m])) by (le))"#;
    let made = until("exemplars of spans", SOON, || async {
        let found = scene.exemplars(query).await?;
        ensure!(found.len() == 2, "{found:?}");
        Ok(found)
    })
    .await?;
    for (bound, trace, value) in [("0.1", QUICK, "0.05"), ("1.0", SLOW, "0.7")] {
        let series = made.iter().find(|one| one["seriesLabels"]["le"] == bound);
        let exemplar = &series.with_context(|| format!("{bound}: {made:?}"))?["exemplars"][0];
        let of = exemplar["labels"]["trefoil_of"].clone();
        ensure!(of == "typical" || of == "highest", "{exemplar}");
        let labels = json!({"trace_id": trace, "span_id": "0000000000000001", "trefoil_made": "true", "trefoil_of": of});
        assert_eq!((&exemplar["labels"], &exemplar["value"]), (&labels, &json!(value)));
        let url = format!("http://{}/api/v1/traces/{trace}", scene.trefoil.main);
        ensure!(scene.http.get(&url).await?.status == 200, "it leads to a trace that is stored");
    }
    let refused = scene.get("query_exemplars", &[("query", "sum("), ("start", "1"), ("end", "2")]).await?;
    ensure!(refused.status == 400 && refused.json()?["errorType"] == "bad_data", "{}", refused.text());
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_what_is_stored_answers() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let trefoil = Program::start(&folder.path().join("data"), &folder.path().join("pods/*/*/*.log")).await?;
    let (http, now) = (Http::new()?, Timestamp::now().as_millisecond());
    let kind = [("content-type", "application/json")];
    let url = format!("http://{}", trefoil.main);
    http.post(&format!("{url}/v1/metrics"), &kind, metrics(now).to_string().into_bytes()).await?;
    let parameters = format!("start={}&end={}", now / 1_000 - 60, now / 1_000 + 60);
    until("the stored exemplar", SOON, || async {
        let query =
            format!("{url}/prometheus/api/v1/query_exemplars?query=mail_delay_seconds_bucket&{parameters}");
        let answer = http.get(&query).await?.ok_json()?;
        ensure!(answer["data"][0]["exemplars"][0]["labels"]["trace_id"] == RECEIVED, "{answer}");
        Ok(())
    })
    .await?;
    let query =
        format!("{url}/prometheus/api/v1/query?query=mail_delay_seconds_bucket&time={}", now / 1_000 + 1);
    let answer = http.get(&query).await?.ok_json()?;
    let buckets = answer["data"]["result"].as_array().context("no list")?;
    ensure!(buckets.len() == 2 && buckets.iter().all(|bucket| bucket["value"][1] == "1"), "{answer}");
    trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_spans_are_linked_to_stored_series_and_make_their_exemplars() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let trefoil = Program::start(&folder.path().join("data"), &folder.path().join("none/*.log")).await?;
    let (http, now) = (Http::new()?, Timestamp::now().as_millisecond());
    let url = format!("http://{}", trefoil.main);
    let point = |millis: i64, count: u64| {
        json!({"timeUnixNano": (millis * 1_000_000).to_string(), "startTimeUnixNano": ((now - 60_000) * 1_000_000).to_string(),
               "count": count.to_string(), "sum": 0.8, "bucketCounts": [(count - 1).to_string(), "1", "0"],
               "explicitBounds": [0.1, 1.0]})
    };
    let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "checkout"}}]});
    let points = [point(now - 30_000, 2), point(now - 1_000, 3)];
    let metrics = json!({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [
        {"name": "http.server.request.duration", "unit": "s",
         "histogram": {"aggregationTemporality": 2, "dataPoints": points}}]}]}]});
    for (path, body) in [("/v1/metrics", metrics), ("/v1/traces", spans(now))] {
        let kind = [("content-type", "application/json")];
        let sent = http.post(&format!("{url}{path}"), &kind, body.to_string().into_bytes()).await?;
        ensure!(sent.status == 200, "{path}: {} {}", sent.status, sent.text());
    }
    let query = format!(
        "{url}/prometheus/api/v1/query_exemplars?query=http_server_request_duration_seconds_bucket&start={}&end={}",
        now / 1_000 - 60,
        now / 1_000 + 60
    );
    let answer = http.get(&query).await?.ok_json()?;
    for (bound, trace) in [("0.1", QUICK), ("1", SLOW)] {
        let series = answer["data"].as_array().into_iter().flatten();
        let of_bound = series.clone().find(|one| one["seriesLabels"]["le"] == bound);
        let labels = &of_bound.with_context(|| answer.to_string())?["exemplars"][0]["labels"];
        ensure!(labels["trace_id"] == trace && labels["trefoil_made"] == "true", "{answer}");
    }
    let trace = http.get(&format!("{url}/api/v1/traces/{SLOW}")).await?.ok_json()?;
    let links = trace["metrics"].as_array().context("metrics")?;
    ensure!(!links.is_empty(), "{}", trace["absent"]);
    ensure!(links.iter().all(|link| link["labels"]["job"] == "checkout"), "{links:?}");
    trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn series_that_are_stored_here_and_those_of_the_server_are_one_to_who_asks() -> Result<()> {
    let scene = Scene::start().await?;
    let time = (Timestamp::now().as_millisecond() as f64 / 1e3).to_string();
    let numbers = |answer: &Value| -> Result<Vec<f64>> {
        let list = answer["data"]["result"].as_array().with_context(|| answer.to_string())?;
        list.iter().map(|one| Ok(one["value"][1].as_str().context("no value")?.parse()?)).collect()
    };
    for (query, expected) in [
        // Stored here alone.
        ("sum(mail_delay_seconds_count)", 1.0),
        // Both, by remote read.
        ("count(queue_wait_seconds_bucket) + sum(mail_delay_seconds_count)", 4.0),
        ("count({__name__=~\"queue_wait_seconds_sum|mail_delay_seconds_sum\"})", 2.0),
    ] {
        let answer = scene.get("query", &[("query", query), ("time", &time)]).await?.ok_json()?;
        ensure!(numbers(&answer)? == [expected] && answer.get("warnings").is_none(), "{query}: {answer}");
    }
    let names = scene.get("label/__name__/values", &[]).await?.ok_json()?;
    let names: Vec<&str> =
        names["data"].as_array().context("a list")?.iter().filter_map(Value::as_str).collect();
    ensure!(names.is_sorted() && names.contains(&"queue_wait_seconds_sum"), "{names:?}");
    ensure!(names.contains(&"mail_delay_seconds_sum"), "{names:?}");
    let series =
        scene.get("series", &[("match[]", "{__name__=~\".+_delay_seconds_sum|up\"}")]).await?.ok_json()?;
    let jobs: Vec<&str> =
        series["data"].as_array().context("a list")?.iter().filter_map(|one| one["job"].as_str()).collect();
    ensure!(jobs == ["mailer", "checkout"] || jobs == ["checkout", "mailer"], "{series}");
    let federated =
        Scene::url(&format!("http://{}", scene.trefoil.main), "", &[("match[]", "{job=\"mailer\"}")])?;
    let federated = federated.replace("/api/v1/", "/federate");
    let text = scene.http.get(&federated).await?.text();
    ensure!(text.contains("# TYPE mail_delay_seconds_count untyped\nmail_delay_seconds_count{"), "{text}");
    let open =
        scene.http.get_with(&federated, &[("accept", "application/openmetrics-text;version=1.0.0")]).await?;
    ensure!(
        open.text().ends_with("# EOF\n") && open.content_type.starts_with("application/openmetrics"),
        "{}",
        open.text()
    );
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_say_no_instance_are_series_of_their_own_with_what_their_resources_say() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let trefoil = Program::start(&folder.path().join("data"), &folder.path().join("pods/*/*/*.log")).await?;
    let (http, now) = (Http::new()?, Timestamp::now().as_second());
    let url = format!("http://{}", trefoil.main);
    // One counts 10 a minute from 1,000 on, the other 20 from 0 on.
    let of_pod = |pod: &str, minute: i64, value: i64| {
        let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
        let resource = json!({"attributes": [
            attribute("service.name", "twopods"),
            attribute("k8s.namespace.name", "shop"),
            attribute("k8s.pod.name", pod),
            attribute("k8s.deployment.name", "pay"),
        ]});
        let time = format!("{}000000000", now - 300 + 60 * minute);
        let points = json!([{"timeUnixNano": time, "asInt": value.to_string()}]);
        let sum = json!({"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": points});
        json!({"resource": resource, "scopeMetrics": [{"metrics": [{"name": "tp", "sum": sum}]}]})
    };
    for minute in 0..=5 {
        let of_pods = [of_pod("pay-1", minute, 1_000 + 10 * minute), of_pod("pay-2", minute, 20 * minute)];
        let body = json!({ "resourceMetrics": of_pods }).to_string().into_bytes();
        let sent =
            http.post(&format!("{url}/v1/metrics"), &[("content-type", "application/json")], body).await?;
        ensure!(sent.status == 200, "{} {}", sent.status, sent.text());
    }
    let asked = |query: &'static str| {
        let time = now.to_string();
        let url = Scene::url(&format!("{url}/prometheus"), "query", &[("query", query), ("time", &time)]);
        let http = &http;
        async move {
            let answer = http.get(&url?).await?.ok_json()?;
            let list = answer["data"]["result"].as_array().cloned().context("no list")?;
            let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            let one = |one: &Value| {
                let of = &one["metric"];
                [
                    text(&of["pod"]),
                    text(&of["instance"]),
                    text(&of["k8s_deployment_name"]),
                    text(&one["value"][1]),
                ]
                .join(" ")
            };
            Ok::<Vec<String>, anyhow::Error>(list.iter().map(one).collect())
        }
    };
    assert_eq!(asked("sort(tp_total)").await?, ["pay-2 shop.pay-2 - 100", "pay-1 shop.pay-1 - 1050"]);
    assert_eq!(asked("count(resets(tp_total[6m]) == 0)").await?, ["- - - 2"]);
    let joined = "sort(tp_total{service_name=\"twopods\",namespace=\"shop\"} * on (job, instance) group_left (k8s_deployment_name) target_info)";
    assert_eq!(asked(joined).await?, ["pay-2 shop.pay-2 pay 100", "pay-1 shop.pay-1 pay 1050"]);
    trefoil.stop().await
}
