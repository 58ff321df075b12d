//! What `trefoil doctor` prints for a person, and with which status it ends.

use std::process::Output;

use anyhow::{Context, Result, ensure};
use dashboards::{Target, TargetKind};
use tests::program::binary;
use tokio::process::Command;

use super::Scene;

async fn doctor(arguments: &[&str]) -> Result<(Output, String)> {
    let output =
        Command::new(binary()?).arg("doctor").args(arguments).env_remove("TREFOIL_TOKEN").output().await?;
    let said = String::from_utf8(output.stdout.clone())?;
    Ok((output, said))
}

pub(super) async fn what_is_found_is_printed(demo: &Scene) -> Result<()> {
    let url = demo.0.url.as_str();
    let (output, said) = doctor(&["--url", url]).await?;
    ensure!(output.status.success(), "{said}");
    ensure!(said.lines().last().is_some_and(|last| last.ends_with("0 are dead")), "{said}");
    let headings = said.lines().filter(|line| line.ends_with(')') && !line.starts_with(' ')).count();
    ensure!(headings == 5, "each data source once:\n{said}");

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("datasources.yaml");
    let text = dashboards::datasources(&Target::new(TargetKind::File, url))?;
    std::fs::write(&file, text.replace("datasourceUid: trefoil-loki", "datasourceUid: loki-of-old"))?;
    let (output, said) = doctor(&["--datasources", file.to_str().context("a path")?]).await?;
    ensure!(output.status.code() == Some(1), "{said}");
    let at = said.lines().position(|line| line.contains("DEAD") && line.contains("loki-of-old"));
    let remedy = at.and_then(|at| said.lines().nth(at + 1)).context("a remedy")?;
    ensure!(remedy.contains("to mend it:") && remedy.contains("trefoil-loki"), "{said}");
    Ok(())
}
