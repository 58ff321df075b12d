//! Causes that the graph of services shows.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::shop::{Fault, Kind, Plan, Service, Span};

use super::compare::PURCHASES;
use super::scene::{Scene, each_seed, first, list, short, words};

fn edge<'a>(answer: &'a Value, client: &str, server: &str) -> Result<&'a Value> {
    let found =
        list(answer, "edges")?.iter().find(|edge| edge["client"] == client && edge["server"] == server);
    found.with_context(|| format!("no edge from {client} to {server}: {}", short(answer)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_peer_is_the_node_without_spans_to_which_calls_fail() -> Result<()> {
    each_seed("dead peer, graph", async |seed| {
        let scene = Scene::of(Plan::new(seed, Fault::DeadPeer)).await?;
        let answer = scene.ask_of_all("/api/v1/service-graph", &[]).await?;
        let dead = edge(&answer, "payment", "acquirer")?;
        let truth = |failed: bool| {
            let calls = scene.traffic.of(Service::Payment).filter(|span| span.kind == Kind::Client);
            calls.filter(|span| !failed || span.error.is_some()).count()
        };
        ensure!(dead["calls"] == truth(false) && dead["failed"] == truth(true), "{dead}");
        ensure!(dead["server_kind"] == "external", "{dead}");
        let share = |edge: &Value| {
            edge["failed"].as_f64().unwrap_or_default() / edge["calls"].as_f64().unwrap_or(1.0)
        };
        for edge in list(&answer, "edges")? {
            let upstream = edge["server_kind"] == "service" || edge["client_kind"] == "user";
            ensure!(upstream || edge == dead || share(edge) == 0.0, "{edge}");
            ensure!(share(edge) <= share(dead) + 1e-9, "{edge} fails more often than {dead}");
        }
        scene.close().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_whose_consumer_is_slow_is_an_edge_of_messages_that_take_long() -> Result<()> {
    each_seed("queue lag, graph", async |seed| {
        let scene = Scene::of(Plan::new(seed, Fault::QueueLag)).await?;
        let answer = scene.ask_of_all("/api/v1/service-graph", &[]).await?;
        let messages = edge(&answer, "checkout", "mailer")?;
        ensure!(messages["connection_type"] == "messaging_system", "{messages}");
        let orders = scene.traffic.of(Service::Mailer).count();
        ensure!(messages["calls"] == orders, "{orders} orders: {messages}");
        let mut took: Vec<u64> = scene.traffic.of(Service::Mailer).map(Span::duration).collect();
        took.sort_unstable();
        let truth = took[took.len() * 95 / 100];
        let told: u64 = messages["server_latency"]["p95_nano"].as_str().context("no latency")?.parse()?;
        ensure!(told.abs_diff(truth) < truth / 5, "{told} ns, truly {truth}: {messages}");
        let changed = scene.compare_after_with_before(PURCHASES).await?;
        let found = first(&changed, None)?;
        ensure!(
            found["kind"] == "latency"
                && found["service"] == "mailer"
                && found["operation"] == "orders process",
            "{}",
            words(&changed)
        );
        scene.close().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_a_shop_that_is_well_is_an_edge_with_its_number() -> Result<()> {
    each_seed("graph", async |seed| {
        let scene = Scene::of(Plan { visits: 150, ..Plan::new(seed, Fault::None) }).await?;
        let answer = scene.ask_of_all("/api/v1/service-graph", &[]).await?;
        for (client, server) in [
            ("edge", "frontend"),
            ("frontend", "checkout"),
            ("frontend", "catalog"),
            ("frontend", "reviews"),
            ("checkout", "catalog"),
            ("checkout", "inventory"),
            ("checkout", "payment"),
            ("checkout", "shipping"),
        ] {
            let mut parents = std::collections::HashMap::new();
            for span in &scene.traffic.spans {
                parents.insert(span.id, span);
            }
            let calls = scene.traffic.spans.iter().filter(|span| {
                let parent = span.parent.and_then(|parent| parents.get(&parent));
                let from = parent.map(|parent| scene.traffic.pods[parent.pod].service.name());
                scene.traffic.pods[span.pod].service.name() == server && from == Some(client)
            });
            let calls = calls.count();
            let found = edge(&answer, client, server)?;
            ensure!(found["calls"] == calls && found["failed"] == 0, "{calls} calls: {found}");
        }
        let services = scene.ask_of_all("/api/v1/services", &[]).await?;
        for service in Service::ALL {
            let named = list(&services, "services")?.iter().any(|found| found["name"] == service.name());
            ensure!(named, "no {service:?}: {}", short(&services));
        }
        scene.close().await
    })
    .await
}
