//! Promise: of a million container log lines every sampled trace id returns exactly the lines that carry it; of the spans that
//! were sent in pieces, every sampled trace is whole.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use tests::corpus::{SPANS_PER_TRACE, span_bodies, write_logs};
use tests::harness::Http;
use tests::program::Program;

const RECORDS: u64 = 1_000_000;
const SPANS: u64 = 100_000;
/// The corpus begins this long ago, so that retention has no say in it.
const AGE: Duration = Duration::from_hours(1);
/// Unoptimised, on a machine that does other things too.
const READ_WITHIN: Duration = Duration::from_mins(8);

fn start_nanos() -> u64 {
    (SystemTime::now() - AGE).duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sampled_id_of_a_million_lines_returns_as_many_lines_as_were_written() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pods = folder.path().join("pods");
    let manifest = write_logs(&pods, RECORDS, start_nanos())?;
    let mut trefoil = Program::start(&folder.path().join("data"), &pods.join("*/*/*.log")).await?;
    trefoil.wait_for_records("logs", manifest.records, READ_WITHIN).await?;

    let http = Http::new()?;
    let mut wrong = Vec::new();
    for (id, expected) in &manifest.sample {
        let answer = http.get(&format!("http://{}/api/v1/traces/{id}", trefoil.main)).await?.ok_json()?;
        let logs = answer["logs"].as_array().map_or(&[][..], Vec::as_slice);
        let carries =
            |log: &serde_json::Value| log["line"].as_str().is_some_and(|line| line.contains(id.as_str()));
        if logs.len() as u64 != *expected || !logs.iter().all(carries) {
            wrong.push(format!("{id}: {} lines, {expected} were written", logs.len()));
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} of {} ids: {:?}",
        wrong.len(),
        manifest.sample.len(),
        &wrong[..wrong.len().min(5)]
    );
    trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sampled_trace_is_whole_though_its_spans_came_in_several_bodies() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut trefoil =
        Program::start(&folder.path().join("data"), &folder.path().join("pods/*/*/*.log")).await?;
    let (bodies, manifest) = span_bodies(SPANS, start_nanos());
    let http = Http::new()?;
    let url = format!("http://{}/v1/traces", trefoil.otlp_http);
    for body in bodies {
        let answer = http.post(&url, &[("content-type", "application/x-protobuf")], body).await?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
    }
    trefoil.wait_for_records("traces", manifest.spans, READ_WITHIN).await?;
    for id in &manifest.sample {
        let answer = http.get(&format!("http://{}/api/v1/traces/{id}", trefoil.main)).await?.ok_json()?;
        let spans = answer["spans"].as_array().map_or(0, Vec::len);
        ensure!(spans == SPANS_PER_TRACE, "{id}: {spans} spans");
    }
    trefoil.stop().await
}
