//! Promise: `trefoil doctor` finds nothing dead in what Trefoil generates, and each planted fault in what somebody else set up, with
//! the setting that would mend it.

mod faults;
mod printed;
mod servers;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gateway::caller::Caller;
use gateway::doctor::{DataSource, Doorway, Finding, Outcome, examine, of_gateway, of_provisioning};
use serde_json::Value;
use tests::harness::{Demo, until};

use faults::FAULTS;

/// Orders arrive a second apart, metrics are exported every few seconds, series are made of spans every quarter of a minute.
const SOON: Duration = Duration::from_mins(2);

fn doorway() -> Doorway {
    // An error says that another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Doorway::direct(Caller::default().of("").unwrap())
}

/// A demo and the data sources that are generated for it.
struct Scene(Demo);

impl Scene {
    fn sources(&self) -> Result<Vec<DataSource>> {
        Ok(of_gateway(&self.0.url)?)
    }

    /// Waits until all links of what is generated lead somewhere.
    async fn ready(&self) -> Result<()> {
        let sources = self.sources()?;
        until("a demo whose links are all alive", SOON, || async {
            let findings = examine(&sources, &doorway(), None).await;
            let dead: Vec<&Finding> = findings.iter().filter(|f| f.outcome == Outcome::Dead).collect();
            ensure!(dead.is_empty(), "{dead:#?}");
            let alive =
                |link: &str| findings.iter().any(|f| f.outcome == Outcome::Alive && f.link.starts_with(link));
            for link in [
                "log line to trace",
                "trace by id",
                "span to logs",
                "span to metrics",
                "service map",
                "exemplar to trace",
            ] {
                ensure!(alive(link), "{link} is not alive: {findings:#?}");
            }
            Ok(())
        })
        .await
    }
}

fn settings<'a>(sources: &'a mut [DataSource], uid: &str) -> Result<&'a mut Value> {
    let source = sources.iter_mut().find(|source| source.uid == uid).context("a data source")?;
    Ok(&mut source.settings)
}

/// What is dead, with what would mend it.
async fn dead(sources: &[DataSource]) -> Vec<Finding> {
    let findings = examine(sources, &doorway(), None).await;
    findings.into_iter().filter(|finding| finding.outcome == Outcome::Dead).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_dead_in_what_is_generated_and_each_planted_fault_is_found() -> Result<()> {
    let demo = Scene(Demo::start("").await?);
    demo.ready().await?;
    for (fault, plant, link, remedy) in FAULTS {
        let mut sources = demo.sources()?;
        plant(&mut sources)?;
        let found = dead(&sources).await;
        let told = found.iter().find(|finding| finding.link == link);
        let told = told.with_context(|| format!("{fault}: nothing is dead at {link}: {found:#?}"))?;
        ensure!(told.remedy.as_ref().is_some_and(|said| said.contains(remedy)), "{fault}: {told:#?}");
        ensure!(found.len() == 1, "{fault} kills one link: {found:#?}");
    }
    servers::each_trouble_is_told(&demo).await?;
    printed::what_is_found_is_printed(&demo).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_request_to_follow_it_says_so() -> Result<()> {
    let nobody =
        of_provisioning("datasources: [{name: Loki, uid: loki, type: loki, url: 'http://127.0.0.1:1'}]")?;
    let found = dead(&nobody).await;
    ensure!(
        found.iter().any(|finding| finding.link == "server" && finding.detail.contains("127.0.0.1:1")),
        "{found:#?}"
    );
    ensure!(found.iter().any(|finding| finding.link == "a request to follow"), "{found:#?}");
    Ok(())
}
