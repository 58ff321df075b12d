//! A browser as people have it, without a window.

use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::process::Command;

/// A browser to start and a page to show, on a machine that may be compiling.
const ENDS_WITHIN: Duration = Duration::from_mins(2);
/// What the browser's own clock shows, in milliseconds, when it tells what the page is: it stands while something is asked for.
const BUDGET: &str = "--virtual-time-budget=20000";

/// What a page has become once all that it asks for has come, as markup.
pub async fn shown(url: &str) -> anyhow::Result<String> {
    let profile = tempfile::tempdir()?;
    let mut command = Command::new("chromium");
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", BUDGET])
        .args(["--window-size=1400,1300", "--dump-dom", url])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .kill_on_drop(true);
    let ended = tokio::time::timeout(ENDS_WITHIN, command.output()).await.context("chromium does not end")?;
    let output = ended.context("chromium cannot be started: tests/run installs it")?;
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success() && page.contains("</html>"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(page)
}
