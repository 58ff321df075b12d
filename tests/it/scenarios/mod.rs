//! Promise: what the query surfaces answer is what the documentation of Loki, Tempo, Jaeger, Zipkin and Prometheus says. The
//! scenarios are files in `tests/scenarios`, a folder a surface: what is sent, what is asked, what is expected. They hold
//! nothing of Trefoil's own, so that they can be run against the other servers too.

mod asked;
mod sent;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tests::harness::Http;
use tests::program::Program;

/// How long ago a scenario's second 0 was.
const AGO: u64 = 600;
/// It falls on a whole minute, so that steps do.
const WHOLE: u64 = 60;
/// From an acknowledgement to an answer; stored is readable, so this is generous.
const STORED_WITHIN: Duration = Duration::from_secs(10);

/// Seconds of a scenario as times of the clock.
#[derive(Clone, Copy)]
struct Clock {
    /// Second 0, since 1970.
    zero: u64,
}

impl Clock {
    fn new() -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        Ok(Self { zero: (now - AGO) / WHOLE * WHOLE })
    }

    /// Nanoseconds since 1970.
    fn nanos(self, second: f64) -> u64 {
        self.zero * 1_000_000_000 + (second * 1e6).round() as u64 * 1000
    }

    /// `$s(1.5)`, `$ms(..)`, `$us(..)` and `$ns(..)` become that instant in that unit.
    fn fill(self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            filled.push_str(before);
            let instant = after.split_once(')').and_then(|(call, rest)| Some((call.split_once('(')?, rest)));
            let unit = instant.and_then(|((unit, second), after)| {
                let divisor = match unit {
                    "s" => 1_000_000_000,
                    "ms" => 1_000_000,
                    "us" => 1000,
                    "ns" => 1,
                    _ => return None,
                };
                Some((divisor, second.parse::<f64>().ok()?, after))
            });
            match unit {
                Some((divisor, second, after)) => {
                    filled.push_str(&(self.nanos(second) / divisor).to_string());
                    rest = after;
                }
                None => {
                    filled.push('$');
                    rest = after;
                }
            }
        }
        filled.push_str(rest);
        filled
    }
}

/// Whether an answer holds what is expected: objects may hold more, lists may not, and a number may stand as text.
fn holds(got: &Value, wanted: &Value, clock: Clock) -> Result<()> {
    match (got, wanted) {
        (Value::Object(got), Value::Object(wanted)) => wanted.iter().try_for_each(|(key, wanted)| {
            let got = got.get(key).with_context(|| format!("no `{key}`"))?;
            holds(got, wanted, clock).with_context(|| format!("in `{key}`"))
        }),
        (Value::Array(got), Value::Array(wanted)) => {
            ensure!(got.len() == wanted.len(), "{} of {} entries", got.len(), wanted.len());
            got.iter().zip(wanted).enumerate().try_for_each(|(at, (got, wanted))| {
                holds(got, wanted, clock).with_context(|| format!("in entry {at}"))
            })
        }
        (got, Value::String(wanted)) => {
            let wanted = clock.fill(wanted);
            let same = got.as_str().map_or_else(|| *got.to_string() == wanted, |got| got == wanted);
            ensure!(same, "{got}, expected {wanted}");
            Ok(())
        }
        (Value::Number(got), Value::Number(wanted)) if got.as_f64() == wanted.as_f64() => Ok(()),
        (Value::String(got), Value::Number(wanted)) if got.parse().ok() == wanted.as_f64() => Ok(()),
        (got, wanted) => {
            ensure!(got == wanted, "{got}, expected {wanted}");
            Ok(())
        }
    }
}

/// Plays one file; what does not hold, case by case.
async fn play(file: &Path) -> Result<Vec<String>> {
    let scenario: Value = serde_saphyr::from_str(&std::fs::read_to_string(file)?)?;
    let keys = scenario.as_object().context("no mapping")?.keys();
    let known = ["about", "source", "logs", "spans", "metrics", "cases"];
    if let Some(key) = keys.map(String::as_str).find(|key| !known.contains(key)) {
        bail!("unknown key `{key}`");
    }
    let folder = tempfile::tempdir()?;
    let trefoil = Program::start(&folder.path().join("data"), &folder.path().join("none/*.log")).await?;
    let (http, clock) = (Http::new()?, Clock::new()?);
    sent::logs(&http, trefoil.main, &scenario["logs"], clock).await?;
    sent::spans(&http, trefoil.main, &scenario["spans"], clock).await?;
    sent::metrics(&http, trefoil.main, &scenario["metrics"], clock).await?;
    let cases = scenario["cases"].as_array().context("no cases")?;
    ensure!(!cases.is_empty(), "no cases");
    let mut wrong = Vec::new();
    for case in cases {
        if let Err(error) = asked::case(&http, trefoil.main, case, clock).await {
            wrong.push(format!("{}: {error:#}", asked::name(case)));
        }
    }
    trefoil.stop().await?;
    Ok(wrong)
}

/// All files of a surface.
async fn play_all(surface: &str) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(surface);
    let entries = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    files.sort();
    ensure!(!files.is_empty(), "{} is empty", folder.display());
    let mut wrong = Vec::new();
    for file in files {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match play(&file).await {
            Ok(cases) => wrong.extend(cases.into_iter().map(|case| format!("{name}: {case}"))),
            Err(error) => wrong.push(format!("{name}: {error:#}")),
        }
    }
    ensure!(wrong.is_empty(), "{} cases do not hold:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lokis_surface_answers_as_documented() -> Result<()> {
    play_all("loki").await
}

#[tokio::test(flavor = "multi_thread")]
async fn tempos_surface_answers_as_documented() -> Result<()> {
    play_all("tempo").await
}

#[tokio::test(flavor = "multi_thread")]
async fn jaegers_surface_answers_as_documented() -> Result<()> {
    play_all("jaeger").await
}

#[tokio::test(flavor = "multi_thread")]
async fn zipkins_surface_answers_as_documented() -> Result<()> {
    play_all("zipkin").await
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_surface_answers_as_documented() -> Result<()> {
    play_all("prometheus").await
}
