//! How right the joins of lines without an id are: a corpus whose truth is known is sent to the real program, traces are looked up,
//! and what is offered is compared.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::corpus::{Container, untold};
use crate::harness::Http;
use crate::program::Program;

/// How long storing may take.
const LIMIT: Duration = Duration::from_mins(5);
/// Steps of confidence that are told.
pub const STEPS: [f64; 8] = [0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3];

/// Lines that were offered with some confidence.
#[derive(Debug, Default, Clone)]
pub struct Joined {
    /// Confidence of each offered line, and whether it was right.
    pub offered: Vec<(f64, bool)>,
    /// Lines without an id that the traces asked for wrote.
    pub written: usize,
}

impl Joined {
    /// Of those with a confidence in `from..to`: how many, and how many are right.
    pub fn between(&self, from: f64, to: f64) -> (usize, usize) {
        let inside = self.offered.iter().filter(|(confidence, _)| (from..to).contains(confidence));
        inside.fold((0, 0), |(all, right), (_, is_right)| (all + 1, right + usize::from(*is_right)))
    }

    /// Of those with at least this confidence, the part that is right; and of the lines that were written, the part that these
    /// are.
    pub fn precision_and_recall(&self, least: f64) -> (f64, f64) {
        let (all, right) = self.between(least, 2.0);
        (right as f64 / all.max(1) as f64, right as f64 / self.written.max(1) as f64)
    }

    /// Takes another's lines over.
    pub fn add(&mut self, other: &Self) {
        self.offered.extend_from_slice(&other.offered);
        self.written += other.written;
    }
}

/// What the program offers for `asked` traces of each container on average.
pub async fn measure(
    seed: u64,
    containers: &[Container],
    requests: usize,
    asked: usize,
) -> Result<Vec<Joined>> {
    let folder = tempfile::tempdir()?;
    let mut program = Program::start(&folder.path().join("data"), &folder.path().join("none/*.log")).await?;
    let now = u64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos())?;
    let made = untold(seed, containers, requests, now - 1_200_000_000_000);
    let http = Http::new()?;
    let protobuf = [("content-type", "application/x-protobuf")];
    for (path, bodies) in [("traces", &made.spans), ("logs", &made.logs)] {
        for body in bodies {
            let url = format!("http://{}/v1/{path}", program.otlp_http);
            let answer = http.post(&url, &protobuf, body.clone()).await?;
            ensure!(answer.status == 200, "{path}: {}", answer.text());
        }
    }
    program.wait_for_records("traces", made.counts.0, LIMIT).await?;
    program.wait_for_records("logs", made.counts.1, LIMIT).await?;
    let mut joined = vec![Joined::default(); containers.len()];
    for (trace, container) in made.traces.iter().take(asked * containers.len()) {
        let of = joined.get_mut(*container).context("no such container")?;
        of.written += made.truth.values().filter(|wrote| **wrote == Some(*trace)).count();
        let answer =
            http.get(&format!("http://{}/api/v1/traces/{trace:032x}", program.main)).await?.json()?;
        for log in answer["logs"].as_array().context("no logs")? {
            let rule = log["join"]["rule"].as_str().context("no rule")?;
            let number = number(log).with_context(|| format!("no number: {log}"))?;
            match rule {
                "trace_id" => ensure!(!made.truth.contains_key(&number), "{log}"),
                _ => {
                    let wrote = made.truth.get(&number).with_context(|| format!("never written: {log}"))?;
                    let confidence = log["join"]["confidence"].as_f64().context("no confidence")?;
                    of.offered.push((confidence, *wrote == Some(*trace)));
                }
            }
        }
    }
    program.stop().await?;
    Ok(joined)
}

/// The number at the end of a line.
fn number(log: &Value) -> Option<u64> {
    log["line"].as_str()?.rsplit('#').next()?.parse().ok()
}
