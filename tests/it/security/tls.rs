//! Real clients over TLS: what is offered, whose certificates are taken, and what happens when those change.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use serde_json::{Value, json};
use tests::harness::{Process, client, run, until};
use tests::program::binary;

use super::authority::{Authority, server};
use super::{INGEST, READ, access, bearer, json_of, start, text};

const SOON: Duration = Duration::from_mins(1);

/// What a listener chooses of these protocols.
fn chosen(address: SocketAddr, root: &str, offered: &[&str]) -> Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root.as_bytes())?)?;
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
    let mut connection = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost")?)?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(SOON))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(String::from_utf8_lossy(connection.alpn_protocol().unwrap_or_default()).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_listener_speaks_tls_and_offers_http_2() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new("root")?;
    let files = authority.put(folder.path(), "gateway")?;
    let trefoil = start(folder.path(), "", &server(&files, None)).await?;
    let https = authority.client(None)?;
    let mut addresses = vec![trefoil.main, trefoil.otlp_grpc, trefoil.otlp_http];
    let streams = trefoil.receivers.iter().filter(|(name, _)| !name.contains("UDP"));
    addresses.extend(streams.map(|(_, address)| *address));
    ensure!(addresses.len() >= 7, "{addresses:?}");
    for address in addresses {
        let root = authority.pem.clone();
        tokio::task::spawn_blocking(move || {
            ensure!(chosen(address, &root, &["http/1.1", "h2"])? == "h2", "{address}");
            ensure!(chosen(address, &root, &["http/1.1"])? == "http/1.1", "{address}");
            Ok(())
        })
        .await??;
        // Nothing is said in the open.
        let plain = reqwest::get(format!("http://{address}/healthz")).await;
        ensure!(plain.is_err(), "{plain:?}");
    }
    let sources = https.get(format!("https://{}/grafana/datasources.yaml", trefoil.main)).send().await?;
    let text = text(sources).await?;
    let (tls, open) = (format!("https://{}", trefoil.main), format!("http://{}", trefoil.main));
    ensure!(text.contains(&tls) && !text.contains(&open), "{text}");
    trefoil.stop().await
}

/// One span of OpenTelemetry's SDK for Python; whether it was taken, and its trace.
async fn sdk(way: &str, endpoint: &str, environment: &[(&str, String)]) -> Result<(bool, String)> {
    let mut command = client("otlp/secured.py")?;
    command.args([way, endpoint]).envs(environment.iter().map(|(name, value)| (*name, value)));
    // Python's `requests` would take these for more than what the SDK says.
    command.env_remove("REQUESTS_CA_BUNDLE").env_remove("CURL_CA_BUNDLE");
    let told = run(&mut command).await?;
    eprint!("{}", told.complaints);
    let told = told.records.first().cloned();
    let told = told.context("it tells one thing")?;
    let trace = told["trace_id"].as_str().context("an id")?.to_owned();
    Ok((told["taken"] == json!(true), trace))
}

#[tokio::test(flavor = "multi_thread")]
async fn opentelemetrys_sdk_is_heard_over_tls_with_its_certificate_and_a_token() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (authority, other) = (Authority::new("root")?, Authority::new("other")?);
    let files = authority.put(folder.path(), "gateway")?;
    let [certificate, key, _] = authority.put(folder.path(), "client")?;
    let [strange, strange_key, _] = other.put(folder.path(), "strange")?;
    let shown = |file: &PathBuf| file.display().to_string();
    let trefoil = start(folder.path(), &access("")?, &server(&files, Some(&files[2]))).await?;
    let https = authority.client(Some(&authority.sign("reader")?))?;
    let bare = vec![("OTEL_EXPORTER_OTLP_CERTIFICATE", shown(&files[2]))];
    let with = |certificate: &PathBuf, key: &PathBuf, token: &str| {
        let mut all = bare.clone();
        all.push(("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", shown(certificate)));
        all.push(("OTEL_EXPORTER_OTLP_CLIENT_KEY", shown(key)));
        // As the specification of these variables has it: a space is written as %20.
        all.push(("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{token}")));
        all.push(("OTEL_EXPORTER_OTLP_TIMEOUT", "10".to_owned()));
        all
    };
    for (way, address) in
        [("grpc", trefoil.otlp_grpc), ("protobuf", trefoil.otlp_http), ("grpc", trefoil.main)]
    {
        let endpoint = format!("https://localhost:{}", address.port());
        let (taken, trace) = sdk(way, &endpoint, &with(&certificate, &key, INGEST)).await?;
        ensure!(taken, "{way}");
        let found = https.get(format!("https://{}/api/v1/traces/{trace}", trefoil.main));
        let found = json_of(found.header("authorization", bearer(READ)).send().await?).await?;
        ensure!(found["spans"][0]["name"] == json!(way), "{found}");
        let (taken, trace) = sdk(way, &endpoint, &with(&certificate, &key, READ)).await?;
        ensure!(!taken, "{way}: a token for reading");
        let found = https.get(format!("https://{}/api/v1/traces/{trace}", trefoil.main));
        let found = found.header("authorization", bearer(READ)).send().await?;
        ensure!(found.status() == 404, "{way}: {}", found.status());
    }
    let endpoint = format!("https://localhost:{}", trefoil.otlp_http.port());
    let (taken, _) =
        sdk("protobuf", &endpoint, &with(&strange, &strange_key, INGEST)).await.unwrap_or_default();
    ensure!(!taken, "a certificate of another authority");
    let without = authority.client(None)?;
    let refused = without.get(format!("https://{}/healthz", trefoil.main)).send().await;
    ensure!(refused.is_err(), "no certificate at all: {refused:?}");
    trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_taken_while_connections_go_on_and_a_broken_one_is_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (old, new) = (Authority::new("old")?, Authority::new("new")?);
    let files = old.put(folder.path(), "gateway")?;
    let trefoil = start(folder.path(), "", &server(&files, None)).await?;
    let url = format!("https://{}/metrics", trefoil.main);
    let open = old.client(None)?;
    let text = async |client: &reqwest::Client| text(client.get(&url).send().await?).await;
    text(&open).await?;

    // A certificate that is none: the old one goes on, and it is counted.
    std::fs::write(&files[0], "spoilt")?;
    trefoil.has_said("the changed files of server.tls are refused").await?;
    let said = text(&old.client(None)?).await?;
    ensure!(said.contains("trefoil_config_reloads_total{outcome=\"refused\"} 1"), "{said}");

    new.put(folder.path(), "gateway")?;
    let client = new.client(None)?;
    until("the new certificate", SOON, || async { text(&client).await }).await?;
    ensure!(text(&old.client(None)?).await.is_err(), "the old one is no longer shown");
    // What was connected before still is: a new connection of this client would trust nobody.
    text(&open).await?;
    trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_ships_and_a_command_asks_over_tls_with_certificates_and_tokens() -> Result<()> {
    const TRACE: &str = "a9e70000000000000000000000000077";
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let authority = Authority::new("root")?;
    let files = authority.put(folder.path(), "gateway")?;
    let [certificate, key, root] = authority.put(folder.path(), "agent")?;
    let trefoil = start(folder.path(), &access("")?, &server(&files, Some(&root))).await?;
    let shown = |file: &PathBuf| file.display().to_string();
    std::fs::write(at("ingest.token"), format!("{INGEST}\n"))?;
    let config = format!(
        "server: {{listen: '127.0.0.1:0'}}\ncollect: {{files: [{{path: '{0}/pods/*/*/*.log'}}], positions_dir: '{0}/positions'}}\n\
         ship: {{trefoil: {{url: 'https://{1}', ca_file: '{2}', cert_file: '{3}', key_file: '{4}', bearer_token_file: '{0}/ingest.token'}}}}\n",
        folder.path().display(),
        trefoil.main,
        shown(&root),
        shown(&certificate),
        shown(&key)
    );
    std::fs::write(at("agent.yaml"), config)?;
    let container = at("pods/shop_one_33333333-2222-4333-8444-555555555555/app");
    std::fs::create_dir_all(&container)?;
    let line = format!("{:.9} stdout F trace_id={TRACE} over TLS\n", jiff::Timestamp::now());
    std::fs::File::create(container.join("0.log"))?.write_all(line.as_bytes())?;
    let mut command = Command::new(binary()?);
    command.arg("agent").arg("--config").arg(at("agent.yaml"));
    let mut agent = Process::start("trefoil agent", &mut command, &at("agent.out"))?;
    let https = authority.client(Some(&authority.sign("reader")?))?;
    let url = format!("https://{}/api/v1/traces/{TRACE}", trefoil.main);
    until("the line", SOON, || async {
        let answer = https.get(&url).header("authorization", bearer(READ)).send().await?;
        let answer = json_of(answer).await?;
        ensure!(
            answer["logs"][0]["line"].as_str().is_some_and(|line| line.ends_with("over TLS")),
            "{answer}"
        );
        Ok(())
    })
    .await?;
    ensure!(agent.stop()?.success(), "{}", agent.last_words());
    trefoil.stop().await?;

    // The same store, and no certificates of clients: for people at a terminal.
    let trefoil = start(folder.path(), &access("")?, &server(&files, None)).await?;
    std::fs::write(at("read.token"), READ)?;
    for (token, found) in [("read.token", true), ("ingest.token", false)] {
        let mut command = tokio::process::Command::new(binary()?);
        command.args(["trace", TRACE, "--url", &format!("https://{}", trefoil.main), "--ca-file"]).arg(&root);
        let output = command.arg("--token-file").arg(at(token)).output().await?;
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success() == found && said.contains("over TLS") == found, "{token}: {said}");
        ensure!(found || said.contains("the role read"), "{said}");
    }
    let mut doctor = tokio::process::Command::new(binary()?);
    doctor.args(["doctor", "--json", "--url", &format!("https://{}", trefoil.main), "--ca-file"]).arg(&root);
    let said = doctor.env("TREFOIL_TOKEN", READ).output().await?;
    let findings: Value = serde_json::from_slice(&said.stdout)?;
    let servers = findings.as_array().context("findings")?.iter().filter(|found| found["link"] == "server");
    let outcomes: Vec<&Value> = servers.map(|found| &found["outcome"]).collect();
    ensure!(!outcomes.is_empty() && outcomes.iter().all(|outcome| **outcome == json!("alive")), "{findings}");
    trefoil.stop().await
}
