//! Promise: the generated dashboards have the shape that Grafana's own types give them, unknown keys included.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

/// What Grafana's types say of these files; nothing if they fit.
fn complaints(files: &[PathBuf]) -> Result<String> {
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/grafana-schema/check.mjs");
    let output = Command::new("node").arg(check).args(files).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success() == said.is_empty(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    Ok(said)
}

fn written(folder: &Path, change: impl Fn(&mut Value)) -> Result<Vec<PathBuf>> {
    let target = dashboards::Target::new(dashboards::TargetKind::File, "http://localhost:8080");
    let mut paths = Vec::new();
    for file in dashboards::dashboards(&target) {
        let mut dashboard: Value = serde_json::from_str(&file.contents)?;
        change(&mut dashboard);
        let path = folder.join(file.name);
        std::fs::write(&path, dashboard.to_string())?;
        paths.push(path);
    }
    Ok(paths)
}

#[test]
fn every_generated_dashboard_is_one_by_grafanas_own_types() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let said = complaints(&written(folder.path(), |_| {})?)?;
    ensure!(said.is_empty(), "{said}");
    Ok(())
}

#[test]
fn a_key_or_value_that_grafana_does_not_know_would_be_found() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let files = written(folder.path(), |dashboard| {
        dashboard["tagz"] = json!([]);
        for panel in dashboard["panels"].as_array_mut().into_iter().flatten() {
            if panel["type"] == "logs" {
                panel["options"]["sortOrder"] = json!("Sideways");
            }
        }
    })?;
    let said = complaints(&files)?;
    ensure!(said.matches("tagz").count() >= files.len(), "{said}");
    ensure!(said.contains("Sideways"), "{said}");
    Ok(())
}
