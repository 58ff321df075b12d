//! What is new after a deployment, told by lines and exceptions.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::shop::{DEPLOYED, Fault, Plan, Service, Traffic};

use super::scene::{Scene, each_seed, list, short};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deployment_broke_is_the_first_new_pattern_and_exception() -> Result<()> {
    each_seed("deployment", async |seed| {
        let scene = Scene::of(Plan { visits: 240, ..Plan::new(seed, Fault::Deployment) }).await?;
        let turn = scene.turn()?;
        let question = [
            ("service", Service::Reviews.name().to_owned()),
            ("start", scene.at(turn)),
            ("end", scene.at(scene.traffic.closed + 1)),
            ("against", format!("{}/{}", scene.at(0), scene.at(turn))),
        ];
        let answer = scene.ask("/api/v1/patterns", &question).await?;
        let pattern = list(&answer, "patterns")?.first().context("no pattern")?;
        let named = pattern["pattern"].as_str().is_some_and(|text| text.contains("failed: AttributeError"));
        ensure!(named && pattern["novelty"] == "new", "{}", short(&answer));
        told_by(&scene.traffic, pattern)?;
        let written = scene.traffic.lines.iter().filter(|line| line.text.contains("AttributeError")).count();
        ensure!(pattern["count"] == written, "{written} were written: {pattern}");
        let exception = list(&answer, "exceptions")?.first().context("no exception")?;
        ensure!(exception["type"] == "AttributeError", "{}", short(&answer));
        ensure!(exception["novelty"] == "new", "{exception}");
        ensure!(exception["stack"].to_string().contains("words"), "{exception}");
        told_by(&scene.traffic, exception)?;
        scene.close().await
    })
    .await
}

/// The traces that are given as examples are ones in which the new version failed.
fn told_by(traffic: &Traffic, found: &Value) -> Result<()> {
    let examples = list(found, "traces")?;
    ensure!(!examples.is_empty(), "no example: {found}");
    for example in examples {
        let id = example["trace_id"].as_str().context("no id")?;
        let mut failed = traffic.of(Service::Reviews).filter(|span| span.thrown.is_some());
        let told = failed
            .any(|span| format!("{:032x}", span.trace) == id && traffic.pods[span.pod].version == DEPLOYED);
        ensure!(told, "nothing was thrown in {id}");
    }
    Ok(())
}
