//! Promise: the linter of Dockerfiles has nothing to say of ours.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

#[test]
fn hadolint_has_nothing_to_say() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let linter = root.join(".venv/image/bin/hadolint");
    let lint = |file: &Path| {
        let output =
            Command::new(&linter).arg(file).output().context("hadolint: tests/run --full installs it")?;
        anyhow::Ok((output.status.success(), String::from_utf8(output.stdout)?))
    };
    let (fine, said) = lint(&root.join("Dockerfile"))?;
    ensure!(fine && said.is_empty(), "{said}");
    let folder = tempfile::tempdir()?;
    let careless = folder.path().join("Dockerfile");
    std::fs::write(&careless, "FROM debian\nRUN apt-get install -y curl\n")?;
    let (fine, said) = lint(&careless)?;
    ensure!(!fine && said.contains("DL3006"), "it would say something: {said}");
    Ok(())
}
