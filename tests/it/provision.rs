//! Promise: `trefoil provision grafana` sets up a Grafana that runs, or says why not.

use anyhow::{Result, ensure};
use tests::program::binary;
use tokio::net::TcpListener;
use tokio::process::Command;

#[tokio::test]
async fn a_grafana_that_does_not_answer_is_told_with_its_address() -> Result<()> {
    let nobody = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let url = format!("http://{nobody}");
    let output = Command::new(binary()?).args(["provision", "grafana", "--url", &url]).output().await?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(1), "{:?}: {said}", output.status);
    ensure!(said.lines().count() == 1 && said.starts_with("trefoil: ") && said.contains(&url), "{said}");
    Ok(())
}
