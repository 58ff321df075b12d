//! Promise: every query of every generated dashboard, of its variables and of the links between data sources returns something
//! where what it is made for is there: the demo's shop, a real Django, a mesh and a kubelet, Trefoil scraped by itself, and faults
//! for the panels that show faults.

mod asked;
mod fed;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::harness::{Http, until};
use tokio::sync::Mutex;

use asked::{Choices, Grafana, Variable};
use fed::Fed;

/// Series are made of spans every quarter of a minute, and a rate needs two of their samples.
const SOON: Duration = Duration::from_mins(3);

/// One thing that has to return something.
struct Promised {
    /// For people.
    what: String,
    /// As the dashboard has it.
    query: Value,
    panel: Value,
    /// With these variables filled in, one of them at least.
    choices: Vec<Choices>,
}

/// Every target of a dashboard, with all that can be chosen, and with one thing chosen.
async fn promised(grafana: &Grafana<'_>, trace: &str) -> Result<Vec<Promised>> {
    let mut found = Vec::new();
    for file in dashboards::dashboards(&dashboards::Target::new(dashboards::TargetKind::File, "")) {
        let board: Value = serde_json::from_str(&file.contents)?;
        let mut variables = Vec::new();
        for variable in board["templating"]["list"].as_array().into_iter().flatten() {
            let read = grafana.variable(variable, trace).await;
            variables.push(read.with_context(|| format!("{}: {}", file.name, variable["name"]))?);
        }
        for panel in board["panels"].as_array().context("panels")? {
            for query in panel["targets"].as_array().into_iter().flatten() {
                let used: Vec<&Variable> = variables.iter().filter(|v| v.is_used_in(query)).collect();
                for (how, choices) in [("all", Choices::all(&used)), ("one", Choices::one_each(&used))] {
                    let what = format!("{} {} {} ({how})", file.name, panel["title"], query["refId"]);
                    let (query, panel) = (query.clone(), panel.clone());
                    found.push(Promised { what, query, panel, choices });
                }
            }
        }
    }
    Ok(found)
}

/// Whether it returns something now, for one of what can be chosen.
async fn kept(grafana: &Grafana<'_>, promised: &Promised) -> Result<()> {
    let mut said = anyhow::anyhow!("nothing can be chosen");
    for choices in &promised.choices {
        match grafana.shows(&promised.panel, &promised.query, choices).await {
            Ok(()) => return Ok(()),
            Err(error) => said = error,
        }
    }
    Err(said)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_every_dashboard_returns_something() -> Result<()> {
    let fed = Fed::start().await?;
    let http = Http::new()?;
    let grafana = Grafana { http: &http, url: &fed.demo.url };
    // What variables list has to be there first.
    let open = until("values of all variables, and a trace with lines", SOON, || async {
        fed.go_on(&http).await?;
        promised(&grafana, &grafana.trace_with_lines().await?).await
    })
    .await?;
    ensure!(open.len() > 120, "{} queries", open.len());
    let open = Mutex::new(open);
    until("something for each query", SOON, || async {
        fed.go_on(&http).await?;
        let mut open = open.lock().await;
        let (mut left, mut said) = (Vec::new(), Vec::new());
        for promised in open.drain(..) {
            if let Err(error) = kept(&grafana, &promised).await {
                said.push(format!("{}: {error:#}", promised.what));
                left.push(promised);
            }
        }
        *open = left;
        ensure!(open.is_empty(), "{}", said.join("\n"));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_beside_a_span_returns_something() -> Result<()> {
    let fed = Fed::start().await?;
    let http = Http::new()?;
    let grafana = Grafana { http: &http, url: &fed.demo.url };
    let sources = dashboards::datasources(&dashboards::Target::new(dashboards::TargetKind::HttpApi, ""))?;
    let sources: Value = serde_json::from_str(&sources)?;
    let mut queries = BTreeSet::new();
    for source in sources.as_array().into_iter().flatten() {
        for query in source["jsonData"]["tracesToMetrics"]["queries"].as_array().into_iter().flatten() {
            queries.extend(query["query"].as_str().map(str::to_owned));
        }
    }
    ensure!(queries.len() >= 3, "{queries:?}");
    let services = ["payment", fed::DJANGO];
    until("something for each query", SOON, || async {
        fed.go_on(&http).await?;
        for query in &queries {
            for service in services {
                let query = query.replace("$__tags", &format!("job=\"{service}\""));
                grafana.instant(&query).await.with_context(|| query.clone())?;
            }
        }
        Ok(())
    })
    .await
}
