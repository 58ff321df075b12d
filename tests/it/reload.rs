//! Promise: a changed configuration is taken while the agent runs, a wrong one is refused aloud while the old one goes on,
//! and no line is lost or doubled by either.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use tests::harness::{Http, Process, free_port, until};
use tests::program::{Program, binary};

const SOON: Duration = Duration::from_mins(1);
const TRACE: &str = "a9e70000000000000000000000000002";

fn configure(folder: &Path, port: u16, gateway: &Program, pods: &str, more: &str) -> Result<()> {
    let text = format!(
        "server: {{listen: '127.0.0.1:{port}'}}\n\
         collect: {{files: [{{path: '{0}/pods/{pods}/*/*.log'{more}}}], positions_dir: '{0}/positions'}}\n\
         ship: {{trefoil: {{url: 'http://{1}'}}}}\n",
        folder.display(),
        gateway.main
    );
    // Replaced at once, as a mounted ConfigMap is.
    std::fs::write(folder.join("agent.new"), text)?;
    Ok(std::fs::rename(folder.join("agent.new"), folder.join("agent.yaml"))?)
}

fn write(folder: &Path, pod: &str, text: &str) -> Result<()> {
    let container = folder.join(format!("pods/shop_{pod}_33333333-2222-4333-8444-555555555555/app"));
    std::fs::create_dir_all(&container)?;
    let line = format!("{:.9} stdout F trace_id={TRACE} {text}\n", jiff::Timestamp::now());
    let mut file = std::fs::File::options().create(true).append(true).open(container.join("0.log"))?;
    Ok(file.write_all(line.as_bytes())?)
}

/// Waits until the gateway has just these lines, in whatever order.
async fn stored(http: &Http, gateway: &Program, expected: &[&str]) -> Result<Vec<Value>> {
    let url = format!("http://{}/api/v1/traces/{TRACE}", gateway.main);
    until("the lines", SOON, || async {
        let answer = http.get(&url).await?.json()?;
        let logs = answer["logs"].as_array().cloned().unwrap_or_default();
        let end =
            |log: &Value| log["line"].as_str().and_then(|line| line.rsplit(' ').next()).map(str::to_owned);
        let mut lines: Vec<String> = logs.iter().filter_map(end).collect();
        lines.sort_unstable();
        ensure!(lines == expected, "{lines:?}");
        Ok(logs)
    })
    .await
}

async fn metric(http: &Http, port: u16, series: &str) -> Result<f64> {
    let text = http.get(&format!("http://127.0.0.1:{port}/metrics")).await?.text();
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
    value.ok_or_else(|| anyhow::anyhow!("no {series}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_takes_another_configuration_and_refuses_a_wrong_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let http = Http::new()?;
    let gateway = Program::start(&folder.path().join("data"), &folder.path().join("none/*.log")).await?;
    let port = free_port()?;
    configure(folder.path(), port, &gateway, "shop_one*", "")?;
    write(folder.path(), "one", "a")?;
    write(folder.path(), "two", "b")?;
    let mut command = Command::new(binary()?);
    command.arg("agent").arg("--config").arg(folder.path().join("agent.yaml"));
    let mut agent = Process::start("trefoil agent", &mut command, &folder.path().join("agent.out"))?;
    stored(&http, &gateway, &["a"]).await?;

    // A mistake: said, counted, and what was there goes on.
    configure(folder.path(), port, &gateway, "*", ", pipeline_stage: []")?;
    agent.signal("HUP")?;
    until("the refusal", SOON, || async {
        ensure!(metric(&http, port, "trefoil_config_reloads_total{outcome=\"refused\"}").await? == 1.0);
        Ok(())
    })
    .await?;
    ensure!(metric(&http, port, "trefoil_config_current").await? == 0.0);
    ensure!(agent.last_words().contains("pipeline_stage"), "{}", agent.last_words());
    write(folder.path(), "one", "c")?;
    stored(&http, &gateway, &["a", "c"]).await?;

    // The file alone, without a signal: more files, and a stage.
    configure(folder.path(), port, &gateway, "*", ", pipeline_stages: [{static_labels: {team: shop}}]")?;
    let logs = stored(&http, &gateway, &["a", "b", "c"]).await?;
    ensure!(logs.iter().filter(|log| log["labels"]["team"] == "shop").count() == 1, "{logs:?}");
    write(folder.path(), "one", "d")?;
    let logs = stored(&http, &gateway, &["a", "b", "c", "d"]).await?;
    ensure!(logs.iter().filter(|log| log["labels"]["team"] == "shop").count() == 2, "{logs:?}");
    ensure!(metric(&http, port, "trefoil_config_current").await? == 1.0);

    // What is read, as the agent itself says.
    let url = format!("http://127.0.0.1:{port}/api/v1/collect/files");
    until("the positions", SOON, || async {
        let answer = http.get(&url).await?.json()?;
        let (totals, files) = (&answer["totals"], &answer["files"]);
        ensure!(totals["files"] == 2 && totals["lines"] == 4 && totals["linked_share"] == 1.0, "{answer}");
        ensure!(
            totals["bytes_behind"] == 0 && totals["bytes_read"] == totals["bytes_acknowledged"],
            "{answer}"
        );
        ensure!(files[0]["pod"] == "one" && files[0]["lag_seconds"] == 0.0, "{answer}");
        Ok(())
    })
    .await?;
    ensure!(agent.stop()?.success(), "{}", agent.last_words());
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_takes_other_files_and_says_what_waits_for_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let http = Http::new()?;
    write(folder.path(), "one", "a")?;
    write(folder.path(), "two", "b")?;
    let data = folder.path().join("data");
    let gateway = Program::start(&data, &folder.path().join("pods/shop_one*/*/*.log")).await?;
    stored(&http, &gateway, &["a"]).await?;
    let config = data.with_extension("yaml");
    let text = std::fs::read_to_string(&config)?.replace("shop_one*", "*");
    std::fs::write(&config, text + "upstream: {prometheus: {url: 'http://127.0.0.1:9'}}\n")?;
    stored(&http, &gateway, &["a", "b"]).await?;
    let said = gateway.has_said("takes effect at the next start").await?;
    ensure!(said.contains("upstream"), "{said}");
    gateway.stop().await
}
