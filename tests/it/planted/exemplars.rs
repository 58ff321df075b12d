//! From a metric that knows no exemplars to the requests behind it.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::shop::{Fault, Kind, Plan, Service};

use super::scene::{Scene, each_seed, list, short};

const DJANGO: &str = "django_http_requests_latency_seconds_by_view_method_bucket";

#[tokio::test(flavor = "multi_thread")]
async fn the_slowest_requests_of_a_django_view_are_exemplars_of_its_histogram() -> Result<()> {
    each_seed("exemplars", async |seed| {
        let scene = Scene::of(Plan { visits: 200, ..Plan::new(seed, Fault::SlowTenant) }).await?;
        let query = format!("{DJANGO}{{view=\"reviews\"}}");
        let answer =
            scene.ask_of_all("/prometheus/api/v1/query_exemplars", &[("query", query.as_str())]).await?;
        let made: Vec<&Value> = list(&answer, "data")?
            .iter()
            .filter_map(|series| series["exemplars"].as_array())
            .flatten()
            .collect();
        ensure!(!made.is_empty(), "{}", short(&answer));
        let served: Vec<_> =
            scene.traffic.of(Service::Reviews).filter(|span| span.kind == Kind::Server).collect();
        for exemplar in &made {
            let labels = &exemplar["labels"];
            ensure!(labels["trefoil_made"] == "true", "{exemplar}");
            let trace = labels["trace_id"].as_str().context("no trace")?;
            let span = served.iter().find(|span| format!("{:032x}", span.trace) == trace);
            let span = span.with_context(|| format!("no request of the view: {exemplar}"))?;
            let value: f64 = exemplar["value"].as_str().context("no value")?.parse()?;
            ensure!((value - span.duration() as f64 / 1e9).abs() < 1e-6, "{exemplar}, {span:?}");
        }
        let slowest = served.iter().max_by_key(|span| span.duration()).context("nobody read reviews")?;
        let slowest = format!("{:032x}", slowest.trace);
        let found = made.iter().any(|exemplar| exemplar["labels"]["trace_id"] == slowest.as_str());
        ensure!(found, "the slowest, {slowest}, is not among {} exemplars", made.len());
        scene.close().await
    })
    .await
}
