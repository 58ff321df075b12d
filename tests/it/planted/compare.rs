//! What is different between two sets of requests: versions, failed and others, slow and others, before and after. The first
//! finding is the planted cause, not one of its consequences.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::shop::{
    CANARY, Fault, NOISY_HOST, Plan, SLOW_PRICES, SLOW_TENANT, STABLE, Service, throttled_pod,
};

use super::scene::{Scene, each_seed, first, list, short, words};

pub(super) const PURCHASES: &str = r#"{resource.service.name="frontend" && name="POST /checkout"}"#;
const LOOKS: &str = r#"{resource.service.name="frontend" && name="GET /products/{id}"}"#;

/// Requests of a query that took longer than so many milliseconds, and the others.
fn slower(query: &str, millis: u64) -> (String, String) {
    let conditions = query.trim_start_matches('{').trim_end_matches('}');
    (
        format!("{{{conditions} && duration > {millis}ms}}"),
        format!("{{{conditions} && duration <= {millis}ms}}"),
    )
}

fn is_of(finding: &Value, service: &str, operation: &str) -> bool {
    finding["service"] == service && finding["operation"] == operation
}

fn has_attribute(finding: &Value, keys: &[&str], value: &str) -> bool {
    finding["value"] == value && finding["key"].as_str().is_some_and(|key| keys.contains(&key))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_with_a_slow_statement_is_compared_with_the_other() -> Result<()> {
    each_seed("slow query, versions", async |seed| {
        let scene = Scene::of(Plan::new(seed, Fault::SlowQuery)).await?;
        let answer = scene.ask_of_all("/api/v1/analysis/versions", &[("service", "catalog")]).await?;
        ensure!(answer["baseline"] == STABLE, "{}", short(&answer));
        let compared = list(&answer, "compared")?;
        ensure!(compared.len() == 1 && compared[0]["version"] == CANARY, "{}", short(&answer));
        let found = first(&compared[0], None)?;
        let statement = has_attribute(found, &["db.statement"], SLOW_PRICES);
        ensure!(
            is_of(found, "catalog", "SELECT shop") && (statement || found["kind"] == "latency"),
            "{}",
            words(&compared[0])
        );
        let attribute = first(&compared[0], Some("attribute"))?;
        ensure!(has_attribute(attribute, &["db.statement"], SLOW_PRICES), "{}", words(&compared[0]));
        let served = scene.traffic.of(Service::Catalog).filter(|span| span.text("http.route").is_some());
        let (canary, all) = served.fold((0, 0), |(canary, all), span| {
            (canary + u32::from(scene.traffic.pods[span.pod].version == CANARY), all + 1)
        });
        let version = list(&answer, "versions")?.iter().find(|version| version["version"] == CANARY);
        let share = version.and_then(|version| version["share"].as_f64()).unwrap_or_default();
        let truth = f64::from(canary) / f64::from(all);
        ensure!((share - truth).abs() < 0.02, "share {share}, truly {truth}");
        scene.close().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_requests_differ_from_others_by_the_canary_that_served_them() -> Result<()> {
    each_seed("slow query, slow against others", async |seed| {
        let scene = Scene::of(Plan::new(seed, Fault::SlowQuery)).await?;
        let (slow, others) = slower(LOOKS, 100);
        let answer = scene.compare(&slow, &others).await?;
        let found = first(&answer, None)?;
        let attribute = first(&answer, Some("attribute"))?;
        ensure!(is_of(found, "catalog", "SELECT shop") || found == attribute, "{}", words(&answer));
        let statement = has_attribute(attribute, &["db.statement"], SLOW_PRICES);
        let version = has_attribute(attribute, &["service.version"], CANARY);
        ensure!(statement || version, "{}", words(&answer));
        scene.close().await
    })
    .await
}

/// Whether a finding tells of the slow statement, and not of who waits for it.
fn names_the_statement(found: &Value) -> bool {
    match found["kind"].as_str() {
        Some("latency") => is_of(found, "catalog", "SELECT shop"),
        _ => {
            has_attribute(found, &["db.statement"], SLOW_PRICES)
                || has_attribute(found, &["service.version"], CANARY)
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_thread_of_the_slow_version_is_behind_the_slow_statement() -> Result<()> {
    each_seed("slow query, callers wait", async |seed| {
        let scene = Scene::of(Plan { spacing_ms: 60, ..Plan::new(seed, Fault::Crowded) }).await?;
        // Those for whom the statement alone is hardly enough.
        let (slow, others) = slower(LOOKS, 250);
        let compared = scene.compare(&slow, &others).await?;
        let versions = scene.ask_of_all("/api/v1/analysis/versions", &[("service", "catalog")]).await?;
        let by_version = list(&versions, "compared")?.first().context("nothing is compared")?;
        let latency = |finding: &&Value| finding["kind"] == "latency";
        for answer in [&compared, by_version] {
            ensure!(names_the_statement(first(answer, None)?), "{}", words(answer));
            let slowest = list(answer, "findings")?.iter().find(latency);
            ensure!(slowest.is_some_and(names_the_statement), "{}", words(answer));
        }
        // Most waited longer for their turn than for the statement.
        let waits = |finding: &&Value| latency(finding) && is_of(finding, "frontend", "GET");
        ensure!(list(&compared, "findings")?.iter().any(|finding| waits(&finding)), "{}", words(&compared));
        scene.close().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_were_given_up_differ_by_the_statement_that_made_them_late() -> Result<()> {
    each_seed("slow query, deadline", async |seed| {
        let scene = Scene::of(Plan::new(seed, Fault::Deadline)).await?;
        let conditions = LOOKS.trim_end_matches('}');
        let answer = scene
            .compare(
                &format!("{conditions} && status = error}}"),
                &format!("{conditions} && status != error}}"),
            )
            .await?;
        ensure!(names_the_statement(first(&answer, None)?), "{}", words(&answer));
        let errors = first(&answer, Some("errors"))?;
        ensure!(is_of(errors, "frontend", "GET /products/{id}"), "{}", words(&answer));
        scene.close().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_purchases_differ_from_others_by_the_call_of_the_dead_peer() -> Result<()> {
    each_seed("dead peer, failed against others", async |seed| {
        let scene = Scene::of(Plan::new(seed, Fault::DeadPeer)).await?;
        let conditions = PURCHASES.trim_end_matches('}');
        let (failed, others) =
            (format!("{conditions} && status = error}}"), format!("{conditions} && status != error}}"));
        let answer = scene.compare(&failed, &others).await?;
        let found = first(&answer, None)?;
        ensure!(found["kind"] == "errors" && is_of(found, "payment", "POST"), "{}", words(&answer));
        scene.close().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_requests_differ_from_others_by_the_host_with_a_noisy_neighbour() -> Result<()> {
    each_seed("noisy neighbour", async |seed| {
        let scene = Scene::of(Plan::new(seed, Fault::NoisyNeighbour)).await?;
        // Of all that the inventory answered, what took longer than it does on a quiet host.
        let query = r#"{resource.service.name="inventory" && name="POST /reservations"}"#;
        let (slow, others) = slower(query, 16);
        let answer = scene.compare(&slow, &others).await?;
        let attribute = first(&answer, Some("attribute"))?;
        let host = has_attribute(attribute, &["k8s.node.name", "host.name"], NOISY_HOST);
        ensure!(host && attribute["service"] == "inventory", "{}", words(&answer));
        let rank = list(&answer, "findings")?.iter().position(|finding| finding == attribute);
        ensure!(rank.is_some_and(|rank| rank <= 1), "{}", words(&answer));
        scene.close().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_requests_differ_from_others_by_their_tenant() -> Result<()> {
    each_seed("slow tenant", async |seed| {
        let scene = Scene::of(Plan::new(seed, Fault::SlowTenant)).await?;
        let (slow, others) = slower(LOOKS, 100);
        let answer = scene.compare(&slow, &others).await?;
        ensure!(first(&answer, None)?["service"] == "reviews", "{}", words(&answer));
        let tenant = list(&answer, "findings")?
            .iter()
            .find(|finding| finding["kind"] == "attribute" && finding["key"] != "db.statement");
        ensure!(tenant.is_some_and(|finding| finding["value"] == SLOW_TENANT), "{}", words(&answer));
        scene.close().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_retries_is_more_calls_of_the_inventory_than_before() -> Result<()> {
    each_seed("retry storm", async |seed| {
        let scene = Scene::of(Plan::new(seed, Fault::RetryStorm)).await?;
        let answer = scene.compare_after_with_before(PURCHASES).await?;
        let found = first(&answer, None)?;
        let failing = found["kind"] == "errors" && is_of(found, "inventory", "POST /reservations");
        let calling = found["kind"] == "structure" && found["service"] == "inventory";
        ensure!(failing || calling, "{}", words(&answer));
        let calls = list(&answer, "findings")?.iter().find(|finding| {
            finding["kind"] == "structure" && is_of(finding, "inventory", "POST /reservations")
        });
        let more = calls.is_some_and(|calls| calls["a"].as_f64() > calls["b"].as_f64());
        ensure!(more, "{}", words(&answer));
        scene.close().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flushed_cache_is_a_question_to_the_database_that_was_not_asked_before() -> Result<()> {
    each_seed("cache flush", async |seed| {
        let scene = Scene::of(Plan::new(seed, Fault::CacheFlush)).await?;
        let answer = scene.compare_after_with_before(LOOKS).await?;
        let found = first(&answer, None)?;
        let missed = match found["kind"].as_str() {
            Some("pattern") => found["pattern"].as_str().is_some_and(|text| text.contains("is not cached")),
            Some("attribute") => found["value"].as_str().is_some_and(|value| {
                value == "SELECT * FROM products WHERE id = $1" || value == "SET product"
            }),
            _ => ["SELECT shop", "SET"].iter().any(|operation| is_of(found, "catalog", operation)),
        };
        ensure!(missed && found["service"] == "catalog", "{}", words(&answer));
        // Lines are read for as many traces as there is time for, which may be too few to tell anything.
        if let Ok(pattern) = first(&answer, Some("pattern")) {
            ensure!(pattern["pattern"].to_string().contains("is not cached"), "{}", words(&answer));
        }
        scene.close().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_throttled_is_told_by_its_metric() -> Result<()> {
    each_seed("throttled pod", async |seed| {
        let scene =
            Scene::of(Plan { visits: 600, spacing_ms: 600, ..Plan::new(seed, Fault::Throttled) }).await?;
        let query = r#"{resource.service.name="checkout" && name="POST /orders"}"#;
        let (slow, others) = slower(query, 150);
        let answer = scene.compare(&slow, &others).await?;
        let metric = first(&answer, Some("metric"))?;
        ensure!(metric["metric"] == "container_cpu_cfs_throttled_seconds_total", "{}", words(&answer));
        ensure!(metric["service"] == "checkout", "{metric}");
        let pod = throttled_pod(&scene.traffic);
        ensure!(
            metric["labels"]["pod"] == pod && metric["what"].to_string().contains(pod),
            "{pod}: {metric}"
        );
        // Its node goes with it, if it has no other pod of the service.
        let named = |finding: &Value| finding["kind"] == "attribute" && finding["value"] == pod;
        let findings = answer["findings"].as_array().context("findings")?;
        ensure!(findings.iter().any(named), "{}", words(&answer));
        scene.close().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_is_well_has_no_difference_to_tell() -> Result<()> {
    each_seed("nothing wrong", async |seed| {
        let scene = Scene::of(Plan::new(seed, Fault::None)).await?;
        for query in [PURCHASES, LOOKS] {
            let itself = scene.compare(query, query).await?;
            ensure!(list(&itself, "findings")?.is_empty(), "{}", words(&itself));
            let before = scene.compare_after_with_before(query).await?;
            ensure!(list(&before, "findings")?.is_empty(), "{}", words(&before));
        }
        let question = [("service", "catalog")];
        let versions = scene.ask_of_all("/api/v1/analysis/versions", &question).await?;
        let compared = &versions["compared"][0];
        // They differ by name and place, and by what they use, since they do not get the same traffic.
        let usual = |finding: &Value| finding["kind"] == "attribute" || finding["kind"] == "metric";
        let told: Vec<_> = list(compared, "findings")?.iter().filter(|finding| !usual(finding)).collect();
        ensure!(told.is_empty(), "of {} tested: {told:?}", compared["tested"]);
        scene.close().await
    })
    .await
}
