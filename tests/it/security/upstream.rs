//! A server that Trefoil asks, behind TLS and a token: what it shows there, and that a renewed token is taken.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use tests::harness::{Http, until};
use tests::program::Program;

use super::authority::{Authority, server};
use super::{INGEST, READ, access, start};

const SOON: Duration = Duration::from_mins(1);

async fn asked(http: &Http, trefoil: &Program) -> Result<(u16, Value)> {
    let answer = http.get(&format!("http://{}/prometheus/api/v1/query?query=1%2B1", trefoil.main)).await?;
    Ok((answer.status, answer.json()?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_behind_tls_is_asked_with_the_token_that_its_file_holds_now() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let authority = Authority::new("root")?;
    let files = authority.put(folder.path(), "gateway")?;
    // A Trefoil does for a Prometheus.
    let (behind, before) = (at("behind"), at("before"));
    std::fs::create_dir_all(&behind)?;
    std::fs::create_dir_all(&before)?;
    let metrics = start(&behind, &access("")?, &server(&files, None)).await?;
    std::fs::write(at("token"), INGEST)?;
    let upstream = format!(
        "upstream: {{prometheus: {{url: 'https://localhost:{}/prometheus', ca_file: '{}', bearer_token_file: '{}'}}}}\n",
        metrics.main.port(),
        files[2].display(),
        at("token").display()
    );
    let trefoil = start(&before, &upstream, "").await?;
    let http = Http::new()?;
    let (status, said) = asked(&http, &trefoil).await?;
    ensure!(status == 403 || status == 401, "a token of another role: {status} {said}");
    std::fs::write(at("token"), format!("{READ}\n"))?;
    until("the renewed token", SOON, || async {
        let (status, said) = asked(&http, &trefoil).await?;
        ensure!(status == 200 && said["data"]["result"][1] == "2", "{status} {said}");
        Ok(())
    })
    .await?;
    std::fs::remove_file(at("token"))?;
    let (status, said) = asked(&http, &trefoil).await?;
    ensure!(status >= 500 && !said.to_string().contains(READ), "{status} {said}");
    trefoil.stop().await?;

    // Without the authority it is not believed.
    let distrusting = format!(
        "upstream: {{prometheus: {{url: 'https://localhost:{}/prometheus', bearer_token: {READ}}}}}\n",
        metrics.main.port()
    );
    let trefoil = start(&before, &distrusting, "").await?;
    let (status, said) = asked(&http, &trefoil).await?;
    ensure!(status >= 500 && said.to_string().contains("certificate"), "{status} {said}");
    ensure!(!said.to_string().contains(READ), "{said}");
    trefoil.stop().await?;
    metrics.stop().await
}
