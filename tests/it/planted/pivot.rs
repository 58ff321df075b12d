//! From a span, a line, a metric or a service to the request behind it.

use anyhow::{Context, Result, ensure};
use tests::shop::{Fault, Kind, Line, Plan, Service};

use super::scene::{Scene, each_seed, list, short};

/// The first trace to which a question leads.
async fn leads_to(scene: &Scene, question: &[(&str, String)], trace: u128) -> Result<()> {
    let answer = scene.ask("/api/v1/correlate", question).await?;
    let first = list(&answer, "traces")?.first();
    let first = first.with_context(|| format!("{question:?} leads to no trace: {}", short(&answer)))?;
    ensure!(first["trace_id"] == format!("{trace:032x}"), "{question:?} leads to {first}, not {trace:032x}");
    ensure!(first["rule"].is_string() && first["confidence"].is_number(), "{first}");
    Ok(())
}

fn of_line(scene: &Scene, line: &Line) -> [(&'static str, String); 2] {
    let pod = &scene.traffic.pods[line.pod];
    let time = scene.traffic.shown(line.pod, scene.opened, line.time);
    [("labels", format!("{{pod=\"{}\"}}", pod.name)), ("time", time.to_string())]
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_and_lines_lead_to_their_request() -> Result<()> {
    each_seed("pivot", async |seed| {
        let scene = Scene::of(Plan { visits: 60, ..Plan::new(seed, Fault::None) }).await?;
        for service in Service::ALL {
            let span = scene.traffic.of(service).next().context("no span")?;
            leads_to(&scene, &[("span_id", format!("{:016x}", span.id))], span.trace).await?;
            let mut lines = scene.traffic.lines.iter().filter(|line| line.says_so);
            if let Some(line) = lines.find(|line| scene.traffic.pods[line.pod].service == service) {
                leads_to(&scene, &of_line(&scene, line), line.belongs.0).await?;
            }
        }
        scene.close().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_and_its_metric_lead_to_its_requests_lines_and_workloads() -> Result<()> {
    each_seed("pivot from a service and a metric", async |seed| {
        let scene = Scene::of(Plan { visits: 60, ..Plan::new(seed, Fault::None) }).await?;
        let [start, end] = scene.whole();
        let answer = scene.ask("/api/v1/correlate", &[("service", "reviews".to_owned()), start, end]).await?;
        let served =
            |id: &str| scene.traffic.of(Service::Reviews).any(|span| format!("{:032x}", span.trace) == id);
        for key in ["traces", "logs", "metrics", "workloads"] {
            ensure!(!list(&answer, key)?.is_empty(), "no {key}: {}", short(&answer));
        }
        for trace in list(&answer, "traces")? {
            ensure!(trace["trace_id"].as_str().is_some_and(served), "{trace}");
        }
        let last = scene.traffic.of(Service::Reviews).filter(|s| s.kind == Kind::Server).map(|s| s.end).max();
        let metric = "django_http_requests_latency_seconds_by_view_method_count{view=\"reviews\"}";
        let question = [("metric", metric.to_owned()), ("time", scene.at(last.context("no request")?))];
        let answer = scene.ask("/api/v1/correlate", &question).await?;
        let trace = list(&answer, "traces")?.first().context("no trace")?;
        ensure!(trace["trace_id"].as_str().is_some_and(served), "{trace}");
        scene.close().await
    })
    .await
}
