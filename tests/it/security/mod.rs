//! Promise: a gateway that is opened is protected: by TLS on every listener, by tokens that are good for what they are for, within
//! their limits, and by telling nobody its secrets.

pub mod authority;
mod limits;
mod secrets;
mod tls;
mod tokens;
mod upstream;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use reqwest::Response;
use serde_json::Value;
use tests::program::{Program, body};

/// Tokens, made at random once and for all.
const INGEST: &str = "trefoil_zb5eSggP9Qn1C7hVbXU0TzNgxVQ1mJXk3b8m1cV0ing";
pub const READ: &str = "trefoil_zb5eSggP9Qn1C7hVbXU0TzNgxVQ1mJXk3b8m1cVread";
const ADMIN: &str = "trefoil_zb5eSggP9Qn1C7hVbXU0TzNgxVQ1mJXk3b8m1cadmin";
const RED: &str = "trefoil_zb5eSggP9Qn1C7hVbXU0TzNgxVQ1mJXk3b8m1cV0red";

/// SHA-256 in hex, by the tool that everybody has.
fn hash(token: &str) -> Result<String> {
    let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().context("a pipe")?.write_all(token.as_bytes())?;
    let said = String::from_utf8(child.wait_with_output()?.stdout)?;
    Ok(said.split(' ').next().context("a hash")?.to_owned())
}

/// The body of an answer as text.
async fn text(answer: Response) -> Result<String> {
    Ok(String::from_utf8(body(answer).await?)?)
}

/// The body of an answer as JSON.
async fn json_of(answer: Response) -> Result<Value> {
    Ok(serde_json::from_slice(&body(answer).await?)?)
}

/// `Authorization` with a token.
fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// `access` with a token of each role and one of a tenant, and more.
pub fn access(more: &str) -> Result<String> {
    let tokens = [
        token("senders", "ingest", INGEST, "")?,
        token("grafana", "read", READ, "")?,
        token("us", "admin", ADMIN, "")?,
        token("red", "ingest, read", RED, ", tenant: red")?,
    ];
    Ok(format!("access: {{tokens: [{}{more}]}}\n", tokens.join(", ")))
}

/// One of `access.tokens`.
fn token(name: &str, roles: &str, token: &str, rest: &str) -> Result<String> {
    Ok(format!("{{name: {name}, roles: [{roles}], sha256: {}{rest}}}", hash(token)?))
}

/// A gateway with further sections and more that `server` says.
pub async fn start(folder: &Path, sections: &str, server: &str) -> Result<Program> {
    let (data, logs) = (folder.join("data"), folder.join("none/*.log"));
    let sections = format!("store: {{dir: '{}'}}\n{sections}", data.display());
    Program::start_reached(&data, &logs, &sections, server).await
}
