//! A client of `tests/clients`: a program that talks to the gateway as applications do and prints what it told, a JSON object a
//! line. Complaints go to its standard error.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::process::Command;

/// An interpreter and its packages to load, on a machine that may be compiling.
const ENDS_WITHIN: Duration = Duration::from_mins(1);

/// What a client said.
#[derive(Debug)]
pub struct Said {
    /// What it told the gateway.
    pub records: Vec<Value>,
    /// All else.
    pub complaints: String,
}

/// The client in a file below `tests/clients`, a script for Node or one for Python with the environment of its folder.
pub fn client(script: &str) -> anyhow::Result<Command> {
    let path = clients().join(script);
    let mut command = if path.extension().is_some_and(|kind| kind == "js") {
        Command::new("node")
    } else {
        Command::new(python(Path::new(script).parent().context("a folder")?)?)
    };
    command.arg(path).kill_on_drop(true);
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONWARNINGS", "ignore");
    Ok(command)
}

/// The client that is a program of its own below `tests/clients`, built by `tests/run --full`.
pub fn built(program: &str) -> anyhow::Result<Command> {
    let path = clients().join(program);
    ensure!(path.is_file(), "{} is missing: tests/run --full makes it", path.display());
    let mut command = Command::new(path);
    command.kill_on_drop(true);
    Ok(command)
}

/// The folder of all clients.
pub fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// Runs a client to its end, which must be a good one.
pub async fn run(command: &mut Command) -> anyhow::Result<Said> {
    let name = format!("{:?}", command.as_std());
    let ended = tokio::time::timeout(ENDS_WITHIN, command.output()).await;
    let Output { status, stdout, stderr } = ended.with_context(|| format!("{name} does not end"))??;
    let (said, complaints) =
        (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr).into_owned());
    ensure!(status.success(), "{name} ended with {status}:\n{said}\n{complaints}");
    let records: Result<Vec<Value>, _> = said.lines().map(serde_json::from_str).collect();
    let records = records.with_context(|| format!("{name} said:\n{said}"))?;
    ensure!(!records.is_empty(), "{name} told nothing:\n{complaints}");
    Ok(Said { records, complaints })
}

fn python(folder: &Path) -> anyhow::Result<PathBuf> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = tests.parent().context("the crate lies in the workspace")?;
    let python = workspace.join(".venv").join(folder).join("bin/python");
    ensure!(python.is_file(), "{} is missing: tests/run makes it", python.display());
    Ok(python)
}
