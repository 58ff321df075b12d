//! Promise: one request of a real Django application is answered with its spans, its very log lines and the series of its
//! service, out of a real Prometheus; and Trefoil's own exemplars come back through that Prometheus.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::harness::{DJANGO_SERVICE, Django, Http, Otlp, Prometheus, Scrape, until};
use tests::program::Program;

/// Export every 200 ms, two scrapes a second apart, on a machine that may be compiling.
const SOON: Duration = Duration::from_mins(1);
/// The id that the caller chooses, as a browser or a mesh would.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER_SPAN: &str = "00f067aa0ba902b7";
/// Calls before the slow one, so that the service's counters have moved between scrapes.
const WARM_UP: usize = 5;

/// The log lines below `pods` that carry the id, without what the container runtime put before them, in file order.
fn written_lines(pods: &Path, id: &str) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for pod in std::fs::read_dir(pods)? {
        for container in std::fs::read_dir(pod?.path())? {
            let text = std::fs::read_to_string(container?.path().join("0.log"))?;
            lines.extend(
                text.lines()
                    .filter(|line| line.contains(id))
                    .filter_map(|line| line.splitn(4, ' ').nth(3))
                    .map(str::to_owned),
            );
        }
    }
    Ok(lines)
}

fn list<'a>(answer: &'a Value, key: &str) -> Result<&'a [Value]> {
    answer[key].as_array().map(Vec::as_slice).with_context(|| format!("no list `{key}` in {answer}"))
}

fn texts<'a>(items: &'a [Value], key: &str) -> Vec<&'a str> {
    items.iter().filter_map(|item| item[key].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_django_request_is_answered_with_spans_lines_and_series() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let pods = at("pods");
    let prometheus_port = Prometheus::reserve()?;
    let sections = format!(
        "store: {{dir: '{}'}}\nupstream: {{prometheus: {{url: 'http://127.0.0.1:{prometheus_port}'}}}}\n",
        at("data").display()
    );
    let trefoil = Program::start_configured(&at("data"), &pods.join("*/*/*.log"), &sections).await?;
    let otlp = Otlp::Http(format!("http://{}", trefoil.otlp_http));
    let django = Django::start(&at("django"), &pods, otlp).await?;
    let scrapes = [
        Scrape { job: DJANGO_SERVICE.to_owned(), address: django.address.clone() },
        Scrape { job: "trefoil".to_owned(), address: trefoil.main.to_string() },
    ];
    let prometheus = Prometheus::start(&at("prometheus"), prometheus_port, &scrapes).await?;
    let http = Http::new()?;

    // A person clicks about, then meets the slow page.
    let page = |name: &str| format!("http://{}/{name}", django.address);
    for _ in 0..WARM_UP {
        ensure!(http.get(&page("fast")).await?.status == 200);
    }
    let traceparent = format!("00-{TRACE}-{CALLER_SPAN}-01");
    let answer = http.get_with(&page("slow"), &[("traceparent", &traceparent)]).await?;
    ensure!(answer.status == 200, "{}", answer.text());

    // And asks Trefoil what happened.
    let url = format!("http://{}/api/v1/traces/{TRACE}", trefoil.main);
    let answer = until("spans, lines and series of the slow request", SOON, || {
        let (http, url) = (http.clone(), url.clone());
        async move {
            let answer = http.get(&url).await?.ok_json()?;
            let counts = [list(&answer, "spans")?.len(), list(&answer, "logs")?.len()];
            ensure!(counts == [3, 3], "{counts:?} spans and lines: {answer}");
            let metrics = list(&answer, "metrics")?;
            // A scrape between the warming up and the slow request does not have what counts that one yet.
            let counted = |series: &Value| series.to_string().contains("django_http");
            ensure!(metrics.iter().any(counted), "{metrics:?}; absent: {}", answer["absent"]);
            Ok(answer)
        }
    })
    .await?;

    let spans = list(&answer, "spans")?;
    let mut names = texts(spans, "name");
    names.sort_unstable();
    assert_eq!(names, ["GET slow", "SELECT prices", "add up"]);
    assert!(texts(spans, "service").iter().all(|service| *service == DJANGO_SERVICE), "{spans:?}");
    let root = spans.iter().find(|span| span["name"] == "GET slow").context("the request's own span")?;
    assert_eq!(root["parent_span_id"], CALLER_SPAN);

    let logs = list(&answer, "logs")?;
    assert_eq!(texts(logs, "line"), written_lines(&pods, TRACE)?, "the very lines, in the order written");
    for log in logs {
        assert_eq!(log["join"]["rule"], "trace_id", "{log}");
        let named = log["span_id"].as_str().context("the line names its span")?;
        assert!(texts(spans, "span_id").contains(&named), "{log}");
    }

    let metrics = answer["metrics"].to_string();
    assert!(metrics.contains(DJANGO_SERVICE), "series of the service: {metrics}");
    assert!(metrics.contains("django_http"), "what django-prometheus counts: {metrics}");

    own_exemplars_come_back(&http, &trefoil, &prometheus).await?;
    django.stop()?;
    trefoil.stop().await
}

/// Trefoil's requests carry exemplars, Prometheus scrapes them, and Trefoil's Prometheus surface hands them out again.
async fn own_exemplars_come_back(http: &Http, trefoil: &Program, prometheus: &Prometheus) -> Result<()> {
    let asked = "5bf92f3577b34da6a3ce929d0e0e4737";
    let traceparent = format!("00-{asked}-{CALLER_SPAN}-01");
    let look_up = format!("http://{}/api/v1/traces/{TRACE}", trefoil.main);
    let bucket = dashboards::metric_names::MetricName::HttpRequestDuration.buckets();
    let path = |base: &str| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let (start, end) = (now.as_secs() - 600, now.as_secs() + 60);
        format!("{base}/api/v1/query_exemplars?query={bucket}&start={start}&end={end}")
    };
    for base in [prometheus.url.clone(), format!("http://{}/prometheus", trefoil.main)] {
        until("an exemplar of Trefoil's own request", SOON, || {
            let (http, look_up, traceparent, url) =
                (http.clone(), look_up.clone(), traceparent.clone(), path(&base));
            async move {
                http.get_with(&look_up, &[("traceparent", &traceparent)]).await?;
                let answer = http.get(&url).await?.ok_json()?;
                let found = list(&answer, "data")?
                    .iter()
                    .flat_map(|series| series["exemplars"].as_array().cloned().unwrap_or_default())
                    .any(|exemplar| exemplar["labels"]["trace_id"] == asked);
                ensure!(found, "{url}: {answer}");
                Ok(())
            }
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_application_is_heard_over_grpc() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pods = folder.path().join("pods");
    let trefoil = Program::start(&folder.path().join("data"), &pods.join("*/*/*.log")).await?;
    let otlp = Otlp::Grpc(format!("http://{}", trefoil.otlp_grpc));
    let django = Django::start(&folder.path().join("django"), &pods, otlp).await?;
    let http = Http::new()?;
    let traceparent = format!("00-{TRACE}-{CALLER_SPAN}-01");
    let answer =
        http.get_with(&format!("http://{}/fast", django.address), &[("traceparent", &traceparent)]).await?;
    ensure!(answer.status == 200, "{}", answer.text());
    let url = format!("http://{}/api/v1/traces/{TRACE}", trefoil.main);
    until("the span and the line of the fast request", SOON, || async {
        let answer = http.get(&url).await?.ok_json()?;
        let counts = [list(&answer, "spans")?.len(), list(&answer, "logs")?.len()];
        ensure!(counts == [1, 1], "{counts:?} spans and lines: {answer}");
        Ok(())
    })
    .await?;
    django.stop()?;
    trefoil.stop().await
}
