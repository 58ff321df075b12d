//! Promise: what programs show of their metrics is fetched as their Prometheus does it, and their exemplars lead from a trace to
//! its series, also where no Prometheus keeps them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::harness::{Http, Process, Prometheus, client, free_port, until};
use tests::program::Program;

/// An interpreter, two scrapes and a look-up, on a machine that may be compiling.
const SOON: Duration = Duration::from_mins(1);
const SPAN: &str = "00f067aa0ba902b7";

/// A client that shows its metrics on a port, with exemplars of this trace.
fn shown(script: &str, port: u16, trace: &str, folder: &Path) -> Result<Process> {
    let mut command = client(script)?;
    command.args([&port.to_string(), trace, SPAN]);
    let output = folder.join(format!("{port}.out"));
    Process::start(script, command.as_std_mut(), &output)
}

/// The only target of a job, once it is up.
async fn up(http: &Http, trefoil: &Program, job: &str) -> Result<Value> {
    let url = format!("http://{}/api/v1/scrape/targets?job={job}", trefoil.main);
    until(&format!("a good scrape of {job}"), SOON, || async {
        let answer = http.get(&url).await?.ok_json()?;
        let target = answer["targets"].get(0).with_context(|| format!("no target: {answer}"))?;
        ensure!(target["health"] == "up", "{answer}");
        Ok(target.clone())
    })
    .await
}

/// Metric, value and labels of the exemplars of a trace, once there are so many.
async fn exemplars(http: &Http, trefoil: &Program, trace: &str, count: usize) -> Result<Vec<Value>> {
    let url = format!("http://{}/api/v1/traces/{trace}", trefoil.main);
    until(&format!("{count} exemplars of {trace}"), SOON, || async {
        let answer = http.get(&url).await?.json()?;
        let found = answer["exemplars"].as_array().cloned().unwrap_or_default();
        ensure!(found.len() == count, "{answer}");
        Ok(found)
    })
    .await
}

fn metric<'a>(exemplars: &'a [Value], name: &str) -> Result<&'a Value> {
    let found = exemplars.iter().find(|exemplar| exemplar["metric"] == name);
    found.with_context(|| format!("no exemplar of {name} in {exemplars:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn exemplars_of_scraped_programs_are_found_by_their_trace() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let (python, node, server) = (free_port()?, free_port()?, Prometheus::reserve()?);
    let (carts, clicks) = ("4bf92f3577b34da6a3ce929d0e0e4736", "5bf92f3577b34da6a3ce929d0e0e4736");
    let _python = shown("reporters/prometheus_page.py", python, carts, folder.path())?;
    let _node = shown("node-reporters/prometheus_page.js", node, clicks, folder.path())?;
    let _prometheus = Prometheus::start(&at("prometheus"), server, &[]).await?;
    std::fs::write(
        at("targets.yml"),
        format!("- {{targets: ['127.0.0.1:{server}'], labels: {{team: ops}}}}\n"),
    )?;
    let scrape = format!(
        "store: {{dir: '{}'}}\nscrape:\n  interval: 500ms\n  jobs:\n\
         \x20   - {{job: python, targets: ['127.0.0.1:{python}'], labels: {{namespace: shop}}}}\n\
         \x20   - {{job: node, targets: ['127.0.0.1:{node}']}}\n\
         \x20   - {{job: prometheus, file_sd: ['{}']}}\n",
        at("data").display(),
        at("targets.yml").display()
    );
    let trefoil = Program::start_configured(&at("data"), &at("pods/*/*/*.log"), &scrape).await?;
    let http = Http::new()?;

    let target = up(&http, &trefoil, "python").await?;
    ensure!(target["last_error"].is_null() && target["bad_lines"] == 0, "{target}");
    ensure!(target["labels"]["instance"] == format!("127.0.0.1:{python}"), "{target}");
    let found = exemplars(&http, &trefoil, carts, 2).await?;
    let orders = metric(&found, "shop_orders_total")?;
    ensure!(orders["value"] == 3.0 && orders["span_id"] == SPAN, "{orders}");
    ensure!(orders.to_string().contains(r#""customer":"Zoë""#), "its own labels: {orders}");
    for label in [r#""job":"python""#, r#""namespace":"shop""#, r#""method":"card""#] {
        ensure!(orders.to_string().contains(label), "{label} in {orders}");
    }
    let wait = metric(&found, "shop_wait_seconds_bucket")?;
    ensure!(wait["value"] == 0.5 && wait.to_string().contains(r#""le":"1.0""#), "{wait}");

    let target = up(&http, &trefoil, "node").await?;
    ensure!(target["last_error"].is_null() && target["bad_lines"] == 0, "{target}");
    let found = exemplars(&http, &trefoil, clicks, 2).await?;
    ensure!(metric(&found, "front_clicks_total")?["value"] == 4.0, "{found:?}");
    ensure!(metric(&found, "front_wait_seconds_bucket")?["value"] == 0.25, "{found:?}");

    let target = up(&http, &trefoil, "prometheus").await?;
    ensure!(target["last_error"].is_null() && target["bad_lines"] == 0, "{target}");
    ensure!(target["labels"]["team"] == "ops", "{target}");
    ensure!(target["samples"].as_u64() > Some(200), "{target}");

    // The same exemplars are on every page.
    until("further scrapes", SOON, || async {
        let target = up(&http, &trefoil, "python").await?;
        ensure!(target["scrapes_total"].as_u64() > Some(4), "{target}");
        Ok(())
    })
    .await?;
    exemplars(&http, &trefoil, carts, 2).await?;
    let counted = http.get(&format!("http://{}/metrics", trefoil.main)).await?.text();
    for series in [
        r#"trefoil_scrape_targets{state="up"} 3"#,
        r#"trefoil_received_exemplars_total{protocol="scrape"} 4"#,
        r#"trefoil_scrape_left_out_total{kind="bad_line"} 0"#,
    ] {
        ensure!(counted.contains(series), "{series} in {counted}");
    }
    trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_come_and_go_with_the_configuration_while_it_runs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let (port, trace) = (free_port()?, "6bf92f3577b34da6a3ce929d0e0e4736");
    let store = format!("store: {{dir: '{}'}}\n", at("data").display());
    let trefoil = Program::start_configured(&at("data"), &at("pods/*/*/*.log"), &store).await?;
    let http = Http::new()?;
    let config = at("data.yaml");
    let before = std::fs::read_to_string(&config)?;
    let jobs = format!("scrape: {{interval: 500ms, jobs: [{{job: late, targets: ['127.0.0.1:{port}']}}]}}\n");
    std::fs::write(&config, format!("{before}{jobs}"))?;
    let url = format!("http://{}/api/v1/scrape/targets", trefoil.main);
    until("a target that is down", SOON, || async {
        let answer = http.get(&url).await?.ok_json()?;
        ensure!(answer["targets"][0]["health"] == "down", "{answer}");
        ensure!(answer["targets"][0]["last_error"].to_string().contains("refused"), "{answer}");
        Ok(())
    })
    .await?;
    let _python = shown("reporters/prometheus_page.py", port, trace, folder.path())?;
    up(&http, &trefoil, "late").await?;
    exemplars(&http, &trefoil, trace, 2).await?;
    std::fs::write(&config, before)?;
    until("no target", SOON, || async {
        let answer = http.get(&url).await?.ok_json()?;
        ensure!(answer["targets"].as_array().is_some_and(Vec::is_empty), "{answer}");
        Ok(())
    })
    .await?;
    trefoil.stop().await
}
