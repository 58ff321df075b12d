//! Promise: what does not come from files arrives as they do: each record once, with its ids, labels and stages.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::harness::{Http, until};
use tests::node::Faulty;
use tests::program::{Program, binary};

const SOON: Duration = Duration::from_mins(1);
const TRACE: &str = "50a4ce00000000000000000000000001";

/// One stored record.
#[derive(Debug, Clone, PartialEq)]
struct Stored {
    line: String,
    /// Stream labels and structured metadata.
    labels: Value,
}

/// What the gateway has of a stream selector, oldest first.
async fn stored(http: &Http, gateway: &Program, selector: &str) -> Result<Vec<Stored>> {
    let url = format!(
        "http://{}/loki/api/v1/query_range?query={selector}&limit=5000&direction=forward&start=0&end=4000000000",
        gateway.main
    );
    let answer = http.get(&url).await?.ok_json()?;
    let mut found = Vec::new();
    for stream in answer["data"]["result"].as_array().context("no result")? {
        for value in stream["values"].as_array().context("no values")? {
            let time: u64 = value[0].as_str().context("no time")?.parse()?;
            let line = value[1].as_str().context("no line")?.to_owned();
            found.push((time, Stored { line, labels: stream["stream"].clone() }));
        }
    }
    found.sort_by_key(|(time, _)| *time);
    Ok(found.into_iter().map(|(_, stored)| stored).collect())
}

/// Writes an agent's configuration that ships to this address.
fn agent_config(folder: &Path, to: std::net::SocketAddr, collect: &str) -> Result<PathBuf> {
    let file = folder.join("agent.yaml");
    let text = format!(
        "server: {{listen: '127.0.0.1:0'}}\ncollect: {{files: [], positions_dir: '{}', {collect}}}\n\
         ship: {{trefoil: {{url: 'http://{to}'}}}}\n",
        folder.join("positions").display(),
    );
    std::fs::write(&file, text)?;
    Ok(file)
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_input_is_shipped_to_its_end_once_though_the_network_fails() -> Result<()> {
    const LINES: usize = 4000;
    let folder = tempfile::tempdir()?;
    let http = Http::new()?;
    let gateway = Program::start(&folder.path().join("data"), &folder.path().join("none/*.log")).await?;
    let network = Faulty::start(gateway.main, 11).await?;
    let config = agent_config(
        folder.path(),
        network.address,
        "stdin: {labels: {job: import}, pipeline_stages: [{drop: {expression: '^#'}}, {logfmt: {mapping: {n: }}}]}",
    )?;
    let mut child = Command::new(binary()?)
        .args(["agent", "--stdin", "--config"])
        .arg(&config)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = child.stdin.take().context("no standard input")?;
    let healing = network.clone();
    let written = tokio::task::spawn_blocking(move || -> Result<_> {
        writeln!(input, "# not wanted")?;
        for n in 1..=LINES {
            // No newline after the last.
            write!(input, "{}trace_id={TRACE} n={n}", if n == 1 { "" } else { "\n" })?;
            if n == LINES / 2 {
                input.flush()?;
                // So that more than one batch goes through the failures.
                while healing.faults() == 0 {
                    std::thread::yield_now();
                }
            }
        }
        healing.heal();
        drop(input);
        Ok(child.wait()?)
    });
    let status = tokio::time::timeout(SOON, written).await.context("it did not end")???;
    ensure!(status.success(), "it ended with {status}");
    // It has ended, so everything is there.
    let found = stored(&http, &gateway, "{job=\"import\"}").await?;
    let mut numbers: Vec<usize> =
        found.iter().filter_map(|s| s.line.rsplit("n=").next()?.parse().ok()).collect();
    numbers.sort_unstable();
    ensure!(numbers == (1..=LINES).collect::<Vec<_>>(), "each line once: {} came", found.len());
    ensure!(found[0].labels["trace_id"] == TRACE, "{}", found[0].labels);
    ensure!(found[0].labels["service_name"] == "import", "{}", found[0].labels);
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_piped_into_the_agent_is_unwrapped_and_its_traces_are_joined() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let http = Http::new()?;
    let gateway = Program::start(&folder.path().join("data"), &folder.path().join("none/*.log")).await?;
    let config = agent_config(
        folder.path(),
        gateway.main,
        "stdin: {pipeline_stages: [{multiline: {firstline: stack_traces}}]}",
    )?;
    let mut child = Command::new(binary()?)
        .args(["agent", "--stdin", "--config"])
        .arg(&config)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let text = "2026-01-02T03:04:05.1Z stderr F java.lang.IllegalStateException: no\n\
                2026-01-02T03:04:05.2Z stderr F \tat a.B.c(B.java:1)\n\
                2026-01-02T03:04:06.1Z stdout P half \n2026-01-02T03:04:06.1Z stdout F and half\n";
    child.stdin.take().context("no standard input")?.write_all(text.as_bytes())?;
    ensure!(child.wait()?.success());
    let found = until("the records", SOON, || async {
        let found = stored(&http, &gateway, "{job=\"stdin\"}").await?;
        ensure!(found.len() >= 2, "{found:?}");
        Ok(found)
    })
    .await?;
    let lines: Vec<&str> = found.iter().map(|s| s.line.as_str()).collect();
    ensure!(
        lines == ["java.lang.IllegalStateException: no\n\tat a.B.c(B.java:1)", "half and half"],
        "{lines:?}"
    );
    gateway.stop().await
}
