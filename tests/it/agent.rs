//! Promise: what `trefoil agent` tails on a node is found in the gateway that it ships to, each line once, though the agent
//! is killed.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use jiff::Timestamp;
use tests::harness::{Http, Process, until};
use tests::node::Torture;
use tests::program::{Program, binary};

const SOON: Duration = Duration::from_mins(1);
const TRACE: &str = "a9e70000000000000000000000000001";
/// Lines written at a time.
const LINES: usize = 100;

struct Node {
    folder: PathBuf,
    file: PathBuf,
    written: usize,
}

impl Node {
    fn new(folder: &Path, gateway: &Program) -> Result<Self> {
        let container = folder.join("pods/shop_cart-0_33333333-2222-4333-8444-555555555555/cart");
        std::fs::create_dir_all(&container)?;
        let text = format!(
            "server: {{listen: '127.0.0.1:0'}}\n\
             collect: {{files: [{{path: '{0}/pods/*/*/*.log'}}], positions_dir: '{0}/positions', node: node-7}}\n\
             ship: {{trefoil: {{url: 'http://{1}'}}}}\n",
            folder.display(),
            gateway.main
        );
        std::fs::write(folder.join("agent.yaml"), text)?;
        Ok(Self { folder: folder.to_owned(), file: container.join("0.log"), written: 0 })
    }

    fn start_agent(&self) -> Result<Process> {
        let mut command = Command::new(binary()?);
        command.arg("agent").arg("--config").arg(self.folder.join("agent.yaml"));
        Process::start("trefoil agent", &mut command, &self.folder.join("agent.out"))
    }

    fn write(&mut self) -> Result<()> {
        let mut text = String::new();
        for _ in 0..LINES {
            self.written += 1;
            text += &format!("{:.9} stdout F trace_id={TRACE} n={}\n", Timestamp::now(), self.written);
        }
        std::fs::File::options().create(true).append(true).open(&self.file)?.write_all(text.as_bytes())?;
        Ok(())
    }

    /// Waits until the gateway has every line written so far, and ensures that it has each once.
    async fn all_there(&self, http: &Http, gateway: &Program, agent: &mut Process) -> Result<()> {
        let url = format!("http://{}/api/v1/traces/{TRACE}", gateway.main);
        let lines = until("the lines of the node", SOON, || {
            let running = agent.ensure_running();
            let url = url.as_str();
            async move {
                running?;
                let answer = http.get(url).await?.json()?;
                let logs = answer["logs"].as_array().cloned().unwrap_or_default();
                ensure!(logs.len() >= self.written, "{} of {} lines", logs.len(), self.written);
                Ok(logs)
            }
        })
        .await?;
        let mut numbers: Vec<usize> =
            lines.iter().filter_map(|log| log["line"].as_str()?.rsplit("n=").next()?.parse().ok()).collect();
        numbers.sort_unstable();
        ensure!(numbers == (1..=self.written).collect::<Vec<_>>(), "each line once: {} came", numbers.len());
        let labels = &lines[0]["labels"];
        ensure!(labels["namespace"] == "shop" && labels["container"] == "cart", "{labels}");
        ensure!(lines[0]["join"]["rule"] == "trace_id", "{}", lines[0]);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_a_node_reach_the_gateway_once_though_the_agent_is_killed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let http = Http::new()?;
    let gateway = Program::start(&folder.path().join("data"), &folder.path().join("none/*.log")).await?;
    let mut node = Node::new(&folder.path().join("node"), &gateway)?;
    node.write()?;
    let mut agent = node.start_agent()?;
    node.all_there(&http, &gateway, &mut agent).await?;
    node.write()?;
    node.all_there(&http, &gateway, &mut agent).await?;

    agent.kill()?;
    node.write()?;
    let mut agent = node.start_agent()?;
    node.all_there(&http, &gateway, &mut agent).await?;
    ensure!(agent.stop()?.success(), "{}", agent.last_words());
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_comes_once_though_containers_rotate_the_agent_is_killed_and_the_network_fails()
-> Result<()> {
    let folder = tempfile::tempdir()?;
    let torture =
        Torture { containers: 20, rounds: 100, lines_a_round: 60, rotate_at: 100_000, kills: 4, seed: 7 };
    let outcome = torture.run(folder.path()).await?;
    ensure!(outcome.rotations > 40 && outcome.kills == 4 && outcome.faults >= 3, "{outcome:?}");
    ensure!(outcome.lost + outcome.doubled + outcome.out_of_order == 0, "{outcome:?}");
    Ok(())
}
