//! Promise: log lines without an id are offered with the probability that they are the trace's, and never across tenants; a trace
//! of a hundred thousand spans is answered in parts.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::corpus::{Container, containers, silent_containers};
use tests::harness::Http;
use tests::join::{Joined, measure};
use tests::program::{Program, resident_memory};

const JSON: (&str, &str) = ("content-type", "application/json");

/// Of what is offered with 0.8 and more for these containers, enough, and nearly all right.
async fn high_confidence_is_right(
    seed: u64,
    containers: &[Container],
    requests: usize,
    asked: usize,
) -> Result<()> {
    let mut all = Joined::default();
    for joined in measure(seed, containers, requests, asked).await? {
        all.add(&joined);
    }
    let ((sure, _), (precision, recall)) = (all.between(0.8, 2.0), all.precision_and_recall(0.8));
    ensure!(sure >= 50, "only {sure} lines were offered with 0.8 and more");
    ensure!(precision >= 0.95, "{precision} of {sure} are right; {recall} of {} are found", all.written);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_offered_with_high_confidence_is_right() -> Result<()> {
    high_confidence_is_right(7, &containers(), 60, 12).await
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_where_no_line_has_an_id_and_requests_are_sampled_out() -> Result<()> {
    high_confidence_is_right(7, &silent_containers(), 120, 12).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_of_another_tenant_is_offered() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let http = Http::new()?;
    let trefoil = Program::start(&folder.path().join("data"), &folder.path().join("none/*.log")).await?;
    let main = format!("http://{}", trefoil.main);
    let time = jiff::Timestamp::now().as_nanosecond() - 60_000_000_000;
    let resource = json!({ "attributes": [
        { "key": "service.name", "value": { "stringValue": "cart" } },
        { "key": "k8s.pod.name", "value": { "stringValue": "cart-1" } }] });
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let spans = json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "spans": [{
        "traceId": trace, "spanId": "00f067aa0ba902b7", "name": "GET /cart", "kind": 2,
        "startTimeUnixNano": time.to_string(), "endTimeUnixNano": (time + 50_000_000).to_string() }] }] }] });
    let line = |text: &str, later: i128| {
        json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [{ "logRecords": [{
            "timeUnixNano": (time + 20_000_001 + later).to_string(), "body": { "stringValue": text } }] }] }] })
    };
    for (path, tenant, body) in [
        ("/v1/traces", "team-7", spans),
        ("/v1/logs", "team-7", line("ours", 0)),
        ("/v1/logs", "team-8", line("theirs", 0)),
        ("/v1/logs", "team-7", line(&format!("we asked about {trace} again"), 5_000_000_000)),
        ("/v1/logs", "team-8", line(&format!("they asked about {trace} again"), 5_000_000_000)),
    ] {
        let headers = [JSON, ("x-scope-orgid", tenant)];
        let answer = http.post(&format!("{main}{path}"), &headers, body.to_string().into()).await?;
        ensure!(answer.status == 200, "{path}: {}", answer.text());
    }
    let answer =
        http.get(&format!("{main}/api/v1/traces/{trace}?min_confidence=0&mentions=true")).await?.json()?;
    let logs = answer["logs"].as_array().context("no logs")?;
    let lines: Vec<_> = logs.iter().filter_map(|log| log["line"].as_str()).collect();
    ensure!(lines == ["ours"], "{answer}");
    let mentions = answer["mentions"].as_array().context("no mentions")?;
    ensure!(mentions.len() == 1, "{answer}");
    ensure!(mentions[0]["line"].as_str().is_some_and(|line| line.starts_with("we asked")), "{answer}");
    ensure!(mentions[0]["join"]["rule"] == "mention" && mentions[0]["join"]["confidence"] == 0.5, "{answer}");
    let log = &logs[0];
    ensure!(log["join"]["rule"] == "workload_time" && log["span_id"] == "00f067aa0ba902b7", "{log}");
    trefoil.stop().await
}

/// Spans of the large trace, and of each request that sends it and each part that is read.
const LARGE: usize = 100_000;
const SENT: usize = 5_000;
/// What the program may hold more after a look-up of all of it, which reads an outline of the trace for each part.
const MORE: u64 = 400 << 20;
/// What a second look-up may add to that: the memory of the first is used again.
const STEADY: u64 = 96 << 20;

/// Reads all parts of the large trace: each span once, none before its parent.
async fn read_all(http: &Http, main: &str, trace: &str) -> Result<()> {
    let (mut seen, mut cursor, mut parts) = (BTreeSet::new(), String::new(), 0);
    loop {
        let url = format!("{main}/api/v1/traces/{trace}?fields=spans,next,total_spans&limit={SENT}{cursor}");
        let answer = http.get(&url).await?.json()?;
        ensure!(answer["total_spans"] == LARGE, "{}", answer["total_spans"]);
        for span in answer["spans"].as_array().context("no spans")? {
            let parent = span["parent_span_id"].as_str().unwrap_or_default();
            ensure!(parent.is_empty() || seen.contains(parent), "{span} stands before its parent");
            ensure!(span["attributes"]["note"].as_str().is_some_and(|note| note.len() == 300), "{span}");
            ensure!(seen.insert(span["span_id"].as_str().context("no id")?.to_owned()), "{span} comes twice");
        }
        parts += 1;
        let Some(next) = answer["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    ensure!(seen.len() == LARGE && parts == LARGE / SENT, "{} spans in {parts} parts", seen.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_of_a_hundred_thousand_spans_is_answered_in_parts() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let http = Http::new()?;
    let trefoil = Program::start(&folder.path().join("data"), &folder.path().join("none/*.log")).await?;
    let main = format!("http://{}", trefoil.main);
    let time = jiff::Timestamp::now().as_nanosecond() - 600_000_000_000;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for from in (0..LARGE).step_by(SENT) {
        let spans: Vec<_> = (from + 1..=from + SENT)
            .map(|n| {
                let parent = if n == 1 { String::new() } else { format!("{:016x}", n / 10 + 1) };
                json!({ "traceId": trace, "spanId": format!("{n:016x}"), "parentSpanId": parent, "name": "step",
                    "startTimeUnixNano": (time + n as i128 * 1000).to_string(),
                    "endTimeUnixNano": (time + 400_000_000 - n as i128 * 1000).to_string(),
                    "attributes": [{ "key": "note", "value": { "stringValue": "x".repeat(300) } }] })
            })
            .collect();
        let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] });
        let answer = http.post(&format!("{main}/v1/traces"), &[JSON], body.to_string().into()).await?;
        ensure!(answer.status == 200, "{}", answer.text());
    }
    let id = trefoil.id()?;
    let environment = std::fs::read(format!("/proc/{id}/environ"))?;
    let bounded = environment.split(|byte| *byte == 0).any(|entry| entry.starts_with(b"MALLOC_ARENA_MAX="));
    ensure!(bounded, "what each thread frees stays with it");
    let before = resident_memory(id)?;
    read_all(&http, &main, trace).await?;
    let once = resident_memory(id)?;
    ensure!(once.saturating_sub(before) < MORE, "{} bytes more are held", once - before);
    read_all(&http, &main, trace).await?;
    let again = resident_memory(id)?.saturating_sub(once);
    ensure!(again < STEADY, "{again} bytes more are held each time");
    trefoil.stop().await
}
