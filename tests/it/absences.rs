//! Promise: who misses something is told why, and what to do about it at this very gateway.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::harness::{Http, until};
use tests::program::{Program, binary};
use tokio::process::{Child, Command};

/// From the start until it answers, on a machine that may be compiling.
const SOON: Duration = Duration::from_mins(1);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// What is said of spans that are missed: of a trace that nobody sent, and of all services.
async fn hints(http: &Http, main: SocketAddr) -> Result<[String; 2]> {
    let hint = async |path: &str| {
        let answer = http.get(&format!("http://{main}{path}")).await?.json()?;
        let absent = answer["absent"].as_array().map(Vec::as_slice).unwrap_or_default();
        let spans = absent.iter().find(|absent| absent["signal"] == "spans");
        let hint = spans.and_then(|absent: &Value| absent["hint"].as_str()).map(str::to_owned);
        hint.with_context(|| format!("{path} does not say why there are no spans: {answer}"))
    };
    Ok([hint(&format!("/api/v1/traces/{TRACE}")).await?, hint("/api/v1/services").await?])
}

#[tokio::test(flavor = "multi_thread")]
async fn who_misses_spans_is_told_the_addresses_that_are_configured() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let trefoil = Program::start(&folder.path().join("data"), &folder.path().join("none/*.log")).await?;
    let http = Http::new()?;
    for hint in hints(&http, trefoil.main).await? {
        for address in [trefoil.otlp_grpc, trefoil.otlp_http] {
            ensure!(hint.contains(&address.to_string()), "no {address}: {hint}");
        }
        ensure!(!hint.contains("null"), "{hint}");
    }
    let [_, all] = hints(&http, trefoil.main).await?;
    let zipkin = trefoil.receivers.get("Zipkin").context("no port of Zipkin's own")?;
    ensure!(all.contains(&format!("Zipkin on {zipkin}")), "{all}");
    trefoil.stop().await
}

/// A gateway that receives what is written here, and its main port.
async fn receiving(folder: &Path, receive: &str) -> Result<(Child, SocketAddr)> {
    let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let (config, data) = (folder.join("trefoil.yaml"), folder.join("data"));
    let text =
        format!("server: {{listen: '{free}'}}\nstore: {{dir: '{}'}}\nreceive: {receive}\n", data.display());
    std::fs::write(&config, text)?;
    let mut command = Command::new(binary()?);
    command.arg("serve").arg("--config").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
    let program = command.kill_on_drop(true).spawn()?;
    let http = Http::new()?;
    until("the gateway to be ready", SOON, async || {
        let answer = http.get(&format!("http://{free}/readyz")).await?;
        ensure!(answer.status == 200, "{}", answer.text());
        Ok(())
    })
    .await?;
    Ok((program, free))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_misses_spans_is_told_that_a_receiver_is_off_and_what_takes_them() -> Result<()> {
    const OTHERS: &str = "zipkin: null, jaeger: null, elastic_apm: null";
    let http = Http::new()?;
    for (otlp, off) in [
        ("otlp: null", "`receive.otlp` is null"),
        ("otlp: {grpc: null, http: '127.0.0.1:0'}", "`receive.otlp.grpc` is null"),
        ("otlp: {grpc: '127.0.0.1:0', http: null}", "`receive.otlp.http` is null"),
    ] {
        let folder = tempfile::tempdir()?;
        let (mut program, main) = receiving(folder.path(), &format!("{{{otlp}, {OTHERS}}}")).await?;
        for hint in hints(&http, main).await? {
            ensure!(hint.contains(off) && hint.contains(&format!("on {main} alone")), "{otlp}: {hint}");
        }
        program.kill().await?;
    }
    Ok(())
}
