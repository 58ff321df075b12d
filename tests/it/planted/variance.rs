//! Why times vary: the operation with the largest share, what goes with it, and the place in the code.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::shop::{CANARY, Fault, Plan, SLOW_PRICES, SLOW_TENANT};

use super::scene::{Scene, each_seed, list, short};

/// The first contributor, which must have this service and operation and most of the variance.
async fn largest(scene: &Scene, question: &[(&'static str, &str)], named: (&str, &str)) -> Result<Value> {
    let answer = scene.ask_of_all("/api/v1/analysis/variance", question).await?;
    let contributors = list(&answer, "contributors")?;
    let first = contributors.first().context("no contributor")?;
    ensure!(
        (&first["service"], &first["operation"]) == (&named.0.into(), &named.1.into()),
        "{}",
        short(&answer)
    );
    let share = first["share"].as_f64().context("no share")?;
    ensure!(share > 0.5, "{share} of the variance: {}", short(&answer));
    let shares: f64 = contributors.iter().filter_map(|contributor| contributor["share"].as_f64()).sum();
    let rest = answer["others"]["share"].as_f64().unwrap_or_default();
    ensure!((shares + rest - 1.0).abs() < 1e-6, "shares add up to {shares} and {rest}");
    Ok(first.clone())
}

/// The keys of the first values, which explain as much as the very first does.
fn first_keys(contributor: &Value) -> Result<Vec<(&str, &str)>> {
    let attributes = list(contributor, "attributes")?;
    let explains = |attribute: &Value| attribute["explains"].as_f64().unwrap_or_default();
    let most = attributes.first().map(explains).context("no attribute")?;
    let equal = attributes.iter().filter(|attribute| explains(attribute) >= most - 1e-9);
    Ok(equal.filter_map(|a| Some((a["key"].as_str()?, a["value"].as_str()?))).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_statement_of_a_canary_is_named_with_its_version() -> Result<()> {
    each_seed("slow query, variance", async |seed| {
        let scene = Scene::of(Plan::new(seed, Fault::SlowQuery)).await?;
        let question = [("service", "frontend")];
        let first = largest(&scene, &question, ("catalog", "SELECT shop")).await?;
        let keys = first_keys(&first)?;
        ensure!(keys.contains(&("db.statement", SLOW_PRICES)), "{keys:?}: {}", short(&first));
        ensure!(keys.contains(&("service.version", CANARY)), "{keys:?}: {}", short(&first));
        scene.close().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_named_with_the_line_of_code_that_waits_for_it() -> Result<()> {
    each_seed("lock", async |seed| {
        let scene = Scene::of(Plan { spacing_ms: 150, ..Plan::new(seed, Fault::Lock) }).await?;
        let question = [("service", "checkout"), ("operation", "POST /orders")];
        let first = largest(&scene, &question, ("inventory", "POST /reservations")).await?;
        let pattern = list(&first, "patterns")?.first().context("no pattern")?;
        let text = pattern["pattern"].as_str().context("no text")?;
        ensure!(text.contains("for the stock lock"), "{}", short(&first));
        let code = list(&first, "code")?.first().context("no place in the code")?;
        ensure!(code["file"] == "inventory.go" && code["line"] == 87, "{}", short(&first));
        scene.close().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_for_whom_all_is_slow_is_named() -> Result<()> {
    each_seed("slow tenant, variance", async |seed| {
        let scene = Scene::of(Plan::new(seed, Fault::SlowTenant)).await?;
        let question = [("service", "frontend"), ("operation", "GET /products/{id}")];
        let first = largest(&scene, &question, ("reviews", "SELECT shop")).await?;
        let keys = first_keys(&first)?;
        ensure!(keys.iter().any(|(_, value)| *value == SLOW_TENANT), "{keys:?}: {}", short(&first));
        scene.close().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_printer_is_named_whose_lines_never_have_an_id_though_several_parcels_are_at_hand() -> Result<()> {
    each_seed("printer", async |seed| {
        let scene = Scene::of(Plan { spacing_ms: 40, ..Plan::new(seed, Fault::Printer) }).await?;
        let question = [("service", "checkout"), ("operation", "POST /orders")];
        let first = largest(&scene, &question, ("shipping", "POST /parcels")).await?;
        let pattern = list(&first, "patterns")?.first().context("no pattern")?;
        let text = pattern["pattern"].as_str().context("no text")?;
        ensure!(text.contains("label printer warmed up again"), "{}", short(&first));
        let code = list(&first, "code")?.first().context("no place in the code")?;
        ensure!(code["file"] == "labels.go" && code["line"] == 88, "{}", short(&first));
        scene.close().await
    })
    .await
}
