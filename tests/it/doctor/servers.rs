//! Troubles of the servers behind data sources, and of the file that names them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::Json;
use axum::routing::get;
use dashboards::{Target, TargetKind, Token};
use gateway::doctor::{DataSource, Finding, of_gateway, of_provisioning};
use serde_json::json;
use tests::harness::Prometheus;

use super::{Scene, dead, settings};
use crate::security::authority::{Authority, server};
use crate::security::{READ, access, start};

/// A clock that is wrong by two hours.
const WRONG: Duration = Duration::from_hours(2);

fn source<'a>(sources: &'a mut [DataSource], uid: &str) -> Result<&'a mut DataSource> {
    sources.iter_mut().find(|source| source.uid == uid).with_context(|| uid.to_owned())
}

/// That only this is dead, and what mends it.
fn only(found: &[Finding], link: &str, remedy: &str) -> Result<()> {
    let [finding] = found else { anyhow::bail!("one is dead: {found:#?}") };
    let told = finding.remedy.as_deref().unwrap_or_default();
    ensure!(finding.link == link && told.contains(remedy), "{link}, {remedy}: {finding:#?}");
    Ok(())
}

pub(super) async fn each_trouble_is_told(demo: &Scene) -> Result<()> {
    let gone = async |change: fn(&mut DataSource), uid: &str| {
        let mut sources = demo.sources()?;
        change(source(&mut sources, uid)?);
        anyhow::Ok(dead(&sources).await)
    };
    let found = gone(|tempo| tempo.url = "http://127.0.0.1:1/tempo".to_owned(), "trefoil-tempo").await?;
    only(&found, "server", "or start what it names")?;
    let found = gone(|jaeger| jaeger.kind = "zipkin".to_owned(), "trefoil-jaeger").await?;
    only(&found, "server", "set `type: jaeger`")?;
    let found = gone(|own| own.url = own.url.replace("/prometheus", ""), "trefoil-prometheus").await?;
    only(&found, "server", "/prometheus, where a prometheus answers")?;

    // One that has neither series of the map nor exemplars.
    let folder = tempfile::tempdir()?;
    let prometheus = Prometheus::start_receiver(folder.path()).await?;
    let mut sources = demo.sources()?;
    source(&mut sources, "trefoil-prometheus")?.url.clone_from(&prometheus.url);
    let found = dead(&sources).await;
    let told = |link: &str, remedy: &str| {
        let finding = found.iter().find(|finding| finding.link == link);
        let told = finding.and_then(|finding| finding.remedy.as_ref());
        ensure!(told.is_some_and(|told| told.contains(remedy)), "{link}: {found:#?}");
        Ok(())
    };
    told("exemplar to trace", "exemplar-storage")?;
    told("service map", "metrics_from_spans")?;

    // In a file, single dollars are Grafana's own.
    let file = dashboards::datasources(&Target::new(TargetKind::File, demo.0.url.as_str()))?;
    ensure!(dead(&of_provisioning(&file)?).await.is_empty());
    for (single, path) in [
        ("${__trace.traceId}", "jsonData.tracesToLogsV2.query"),
        ("$__rate_interval", "jsonData.tracesToMetrics.queries[0].query"),
        ("${__value.raw}", "jsonData.derivedFields[0].url"),
    ] {
        let found = dead(&of_provisioning(&file.replace(&format!("${single}"), single))?).await;
        let finding = found.iter().find(|finding| finding.link == path);
        let told = finding.and_then(|finding| finding.remedy.as_deref()).unwrap_or_default();
        ensure!(told.contains(&format!("${single}")), "{single}: {found:#?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_token_and_a_certificate_that_nobody_trusts_are_told_apart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let guarded = start(folder.path(), &access("")?, "").await?;
    let url = format!("http://{}", guarded.main);
    let target = Target::new(TargetKind::File, url.as_str());
    let found = dead(&of_provisioning(&dashboards::datasources(&target)?)?).await;
    let refused = found.iter().filter(|finding| finding.link == "server").map(|f| (&f.detail, &f.remedy));
    let refused: Vec<_> = refused.collect();
    ensure!(refused.len() == 5, "{found:#?}");
    for (detail, remedy) in refused {
        ensure!(detail.contains("401"), "{detail}");
        ensure!(remedy.as_ref().is_some_and(|told| told.contains("httpHeaderValue1")), "{remedy:?}");
    }
    let target = Target { token: Some(Token::Value(READ.to_owned())), ..target };
    let found = dead(&of_provisioning(&dashboards::datasources(&target)?)?).await;
    only(&found, "a request to follow", "--id")?;
    guarded.stop().await?;

    let authority = Authority::new("root")?;
    let files = authority.put(folder.path(), "gateway")?;
    let distrusted = start(folder.path(), "", &server(&files, None)).await?;
    let found = dead(&of_gateway(&format!("https://{}", distrusted.main))?).await;
    let told = |finding: &&Finding| finding.remedy.as_ref().is_some_and(|told| told.contains("tlsCACert"));
    ensure!(found.iter().filter(told).count() == 5, "{found:#?}");
    distrusted.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_is_told() -> Result<()> {
    let answer = || async {
        let date = jiff::Timestamp::now() - jiff::SignedDuration::try_from(WRONG).unwrap_or_default();
        let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let two = json!({"status": "success", "data": {"resultType": "vector", "result": []}});
        ([("date", date)], Json(two))
    };
    let routes = axum::Router::new().route("/loki/api/v1/query", get(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let text = format!("datasources: [{{name: Loki, uid: loki, type: loki, url: '{url}'}}]");
    let found = dead(&of_provisioning(&text)?).await;
    let clock =
        found.iter().find(|finding| finding.link == "clock").with_context(|| format!("{found:#?}"))?;
    ensure!(clock.detail.contains("behind"), "{clock:?}");
    let seconds: u64 = clock.detail.split(' ').find_map(|word| word.parse().ok()).context("seconds")?;
    ensure!(seconds.abs_diff(WRONG.as_secs()) < 60, "{clock:?}");
    Ok(())
}

/// Settings of what is generated stay what they are: a fault is planted in a copy.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_generated_is_the_same_by_file_and_by_address() -> Result<()> {
    let url = "http://127.0.0.1:1";
    let mut by_file = of_provisioning(&dashboards::datasources(&Target::new(TargetKind::File, url))?)?;
    let mut by_address = of_gateway(url)?;
    for uid in ["trefoil-loki", "trefoil-tempo", "trefoil-prometheus"] {
        ensure!(settings(&mut by_file, uid)? == settings(&mut by_address, uid)?, "{uid}");
    }
    Ok(())
}
