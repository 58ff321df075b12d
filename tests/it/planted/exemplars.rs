//! From a metric that knows no exemplars to the requests behind it.

use anyhow::{Context, Result, ensure};
use tests::shop::{Fault, Kind, Plan, Service};

use super::scene::{Scene, each_seed, list, short};

const DJANGO: &str = "django_http_requests_latency_seconds_by_view_method_bucket";

#[tokio::test(flavor = "multi_thread")]
async fn the_slowest_requests_of_a_django_view_are_exemplars_of_its_histogram() -> Result<()> {
    each_seed("exemplars", async |seed| {
        let scene = Scene::of(Plan { visits: 200, ..Plan::new(seed, Fault::SlowTenant) }).await?;
        let query = format!("{DJANGO}{{view=\"reviews\"}}");
        let answer =
            scene.ask_of_all("/api/v1/exemplars", &[("query", query.as_str()), ("step", "30s")]).await?;
        let made = list(&answer, "exemplars")?;
        ensure!(!made.is_empty(), "{}", short(&answer));
        let served: Vec<_> =
            scene.traffic.of(Service::Reviews).filter(|span| span.kind == Kind::Server).collect();
        for exemplar in made {
            ensure!(exemplar["origin"] == "trefoil" && exemplar["stored"] == true, "{exemplar}");
            let trace = exemplar["trace_id"].as_str().context("no trace")?;
            let span = served.iter().find(|span| format!("{:032x}", span.trace) == trace);
            let span = span.with_context(|| format!("no request of the view: {exemplar}"))?;
            let value = exemplar["value"].as_f64().context("no value")?;
            ensure!((value - span.duration() as f64 / 1e9).abs() < 1e-6, "{exemplar}, {span:?}");
        }
        let slowest = served.iter().max_by_key(|span| span.duration()).context("nobody read reviews")?;
        let slowest = format!("{:032x}", slowest.trace);
        let found = made.iter().any(|exemplar| exemplar["trace_id"] == slowest.as_str());
        ensure!(found, "the slowest, {slowest}, is not among {} exemplars", made.len());
        // What the application itself sent stays as it is.
        let query = "http_server_request_duration_seconds_bucket{job=\"frontend\"}";
        let answer = scene.ask_of_all("/api/v1/exemplars", &[("query", query)]).await?;
        let sent = list(&answer, "exemplars")?;
        ensure!(sent.iter().any(|exemplar| exemplar["origin"] == "application"), "{}", short(&answer));
        scene.close().await
    })
    .await
}
