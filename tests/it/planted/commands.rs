//! The same questions as commands: what is wrong stands first in a terminal, too, and what is not there comes with its reason.

use anyhow::{Context, Result, ensure};
use tests::shop::{Fault, Kind, Plan, Service};

use super::compare::PURCHASES;
use super::scene::Scene;

/// What a command printed, which must have found something.
async fn told(scene: &Scene, command: &[&str]) -> Result<String> {
    let window = scene.whole();
    let mut all = command.to_vec();
    all.extend(["--start", &window[0].1, "--end", &window[1].1]);
    let (code, text, error) = scene.command(&all).await?;
    ensure!(code == Some(0), "{command:?} ended with {code:?}: {error}\n{text}");
    ensure!(text.lines().all(|line| line.chars().count() <= 120), "{command:?}:\n{text}");
    Ok(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_question_is_a_command_that_names_the_cause() -> Result<()> {
    let scene = Scene::of(Plan::new(11, Fault::DeadPeer)).await?;
    // The line after the titles is of the one that fails most.
    let first = |text: &str, line: usize| text.lines().nth(line).unwrap_or_default().to_owned();
    let services = told(&scene, &["services"]).await?;
    ensure!(services.starts_with("Services, ") && first(&services, 2).contains('('), "{services}");
    let operations = told(&scene, &["operations", "payment"]).await?;
    ensure!(first(&operations, 2).contains("payment  POST"), "{operations}");
    let graph = told(&scene, &["service-graph"]).await?;
    let acquirer =
        graph.lines().find(|line| line.contains("acquirer")).context("nobody calls the acquirer")?;
    ensure!(acquirer.contains("external") && acquirer.contains('%'), "{graph}");
    ensure!(graph.contains("mailer") && graph.contains("waits p95"), "{graph}");
    let variance = told(&scene, &["variance", "frontend", "POST /checkout"]).await?;
    ensure!(variance.contains("Who has which share of the difference"), "{variance}");
    let conditions = PURCHASES.trim_end_matches('}');
    let failed = format!("{conditions} && status = error}}");
    let compared = told(&scene, &["compare", &failed, &format!("{conditions} && status != error}}")]).await?;
    let cause = compared.lines().find(|line| line.contains(" 1. ")).context("no finding")?;
    ensure!(cause.contains("errors begin in POST of payment"), "{compared}");
    let versions = told(&scene, &["versions", "catalog"]).await?;
    ensure!(versions.contains("compared with"), "{versions}");
    let patterns = told(&scene, &["patterns", "payment"]).await?;
    ensure!(patterns.contains("refused"), "{patterns}");
    let exemplars =
        told(&scene, &["exemplars", "http_server_request_duration_seconds_bucket{job=\"frontend\"}"]).await?;
    ensure!(exemplars.contains("received"), "{exemplars}");
    let pivot = told(&scene, &["correlate", "--service", "payment"]).await?;
    ensure!(pivot.contains("Traces") && pivot.contains("Log lines"), "{pivot}");

    // What they name can be opened.
    let id = compared.split_once("trefoil trace ").context("no trace")?.1;
    let id = id.split_whitespace().next().context("no id")?;
    let (code, trace, error) = scene.command(&["trace", id]).await?;
    ensure!(code == Some(0) && trace.contains("refused"), "{error}\n{trace}");
    let failing = scene.traffic.of(Service::Payment);
    let failing = failing.filter(|span| span.kind == Kind::Client && span.error.is_some());
    ensure!(failing.into_iter().any(|span| format!("{:032x}", span.trace) == id), "{id}");
    scene.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_finds_nothing_says_why_and_one_that_is_wrong_says_how_it_is_right() -> Result<()> {
    let scene = Scene::of(Plan { visits: 20, ..Plan::new(11, Fault::None) }).await?;
    let (code, text, error) = scene.command(&["operations", "nobody"]).await?;
    ensure!(
        code == Some(3) && text.contains("no span of service \"nobody\"") && !error.is_empty(),
        "{text}{error}"
    );
    let (code, text, _) = scene.command(&["correlate", "--metric", "nothing_such"]).await?;
    ensure!(code == Some(3) && text.contains("no series of \"nothing_such\""), "{text}");
    let (code, _, error) = scene.command(&["compare", "{", "{}"]).await?;
    ensure!(code == Some(2) && error.contains("400"), "{error}");
    let (code, _, error) = scene.command(&["services", "--since", "soon"]).await?;
    ensure!(code == Some(2) && error.contains("expected a duration"), "{error}");
    let (code, _, error) = scene.command(&["correlate", "--labels", "{app=\"shop\"}"]).await?;
    ensure!(code == Some(2) && error.contains("--time"), "{error}");
    let (code, json, _) = scene.command(&["services", "--since", "1h", "--limit", "2", "--json"]).await?;
    let json: serde_json::Value = serde_json::from_str(&json)?;
    ensure!(code == Some(0) && json["services"].as_array().is_some_and(|all| all.len() == 2), "{json}");
    scene.close().await
}
