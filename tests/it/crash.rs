//! Promise: what was acknowledged is readable after `kill -9`, once; and lines of files are stored once, however often the
//! program is killed while it reads them.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tests::harness::Http;
use tests::program::Program;
use tokio::sync::{Mutex, Notify};

/// Kills.
const ROUNDS: usize = 50;
/// Clients that send at once, so that requests are under way whenever the program is killed.
const CLIENTS: usize = 4;
/// Spans in a body, all of one trace.
const SPANS: usize = 3;
/// Lines appended to the log file in each round.
const LINES: u64 = 200;
/// How long the last run may take to read what is left of the files.
const CATCH_UP: Duration = Duration::from_mins(1);
/// How long a round may take to have its bodies acknowledged.
const ROUND_LIMIT: Duration = Duration::from_mins(1);
/// Sealed often, so that kills fall into sealing and merging as well.
const HEAD_BYTES: u64 = 1 << 20;

/// A generator that every run of the test repeats.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn trace_body(id: u128, padding: usize) -> Vec<u8> {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos()
            as u64;
    let attribute = |key: &str, value: String| KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(any_value::Value::StringValue(value)) }),
        ..KeyValue::default()
    };
    let spans = (1..=SPANS as u64)
        .map(|span| Span {
            trace_id: id.to_be_bytes().to_vec(),
            span_id: span.to_be_bytes().to_vec(),
            parent_span_id: if span == 1 { Vec::new() } else { 1u64.to_be_bytes().to_vec() },
            name: "crash".into(),
            start_time_unix_nano: now,
            end_time_unix_nano: now + span,
            attributes: vec![attribute("padding", format!("{id:x}").repeat(padding))],
            ..Span::default()
        })
        .collect();
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
    .encode_to_vec()
}

/// How many spans and lines the program has of a trace.
async fn found(http: &Http, program: &Program, id: u128) -> Result<(usize, usize)> {
    let answer = http.get(&format!("http://{}/api/v1/traces/{id:032x}", program.main)).await?.json()?;
    let count = |key: &str| answer[key].as_array().map(Vec::len).context("an answer lacks a list");
    Ok((count("spans")?, count("logs")?))
}

/// Appends lines, one trace id each; every fourth round the file is rotated by rename first, as a kubelet does.
fn write_lines(folder: &Path, round: usize, next_id: &mut u128) -> Result<Vec<u128>> {
    let file = folder.join("0.log");
    if round % 4 == 3 {
        std::fs::rename(&file, folder.join(format!("0.log.20260101-{round:06}")))?;
    }
    let mut ids = Vec::new();
    let mut out = std::fs::OpenOptions::new().create(true).append(true).open(&file)?;
    let mut text = String::new();
    for _ in 0..LINES {
        *next_id += 1;
        text += &format!(
            "{:.9} stdout F level=info trace_id={:032x} msg=crash\n",
            jiff::Timestamp::now(),
            *next_id
        );
        ids.push(*next_id);
    }
    out.write_all(text.as_bytes())?;
    Ok(ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_fifty_kills_once() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let folder = dir.path().join("pods/shop_crash-0_11111111-2222-3333-4444-555555555555/crash");
    std::fs::create_dir_all(&folder)?;
    let glob = dir.path().join("pods/*/*/*.log");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut next_line = 0xc0ff_ee00_0000_0000_0000_0000_u128;
    let mut lines: Vec<u128> = Vec::new();
    let acknowledged: Arc<Mutex<Vec<u128>>> = Arc::default();
    let mut checked = 0;
    let http = Http::new()?;

    for round in 0..ROUNDS {
        let program =
            Program::start_with(&data, &glob, HEAD_BYTES).await.with_context(|| format!("start {round}"))?;
        let known = acknowledged.lock().await.clone();
        let older = (0..10)
            .filter_map(|_| known.get(random.below(known.len().max(1) as u64) as usize).copied())
            .collect::<Vec<_>>();
        for &id in known[checked..].iter().chain(&older) {
            ensure!(
                found(&http, &program, id).await?.0 == SPANS,
                "round {round}: acknowledged trace {id:032x} is not whole"
            );
        }
        checked = known.len();
        lines.extend(write_lines(&folder, round, &mut next_line)?);

        let kill_at = 1 + random.below(60) as usize;
        let (sent, enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (acknowledged, sent, enough) = (acknowledged.clone(), sent.clone(), enough.clone());
                let (http, url) = (http.clone(), format!("http://{}/v1/traces", program.otlp_http));
                let padding = 200 + random.below(1500) as usize;
                tokio::spawn(async move {
                    for n in 1u128.. {
                        let id = (1 << 120) | ((round as u128) << 64) | ((client as u128) << 32) | n;
                        let kind = [("content-type", "application/x-protobuf")];
                        match http.post(&url, &kind, trace_body(id, padding)).await {
                            Ok(answer) if answer.status == 200 => acknowledged.lock().await.push(id),
                            // Told to wait: the next one will do as well.
                            Ok(answer) if answer.status == 503 => continue,
                            Ok(answer) => bail!("a body was answered {}: {}", answer.status, answer.text()),
                            // The program was killed under it.
                            Err(_) => return Ok(()),
                        }
                        if sent.fetch_add(1, Ordering::Relaxed) + 1 >= kill_at {
                            enough.notify_one();
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        tokio::time::timeout(ROUND_LIMIT, enough.notified())
            .await
            .context("too few bodies were acknowledged")?;
        program.kill().await?;
        for client in clients {
            client.await??;
        }
    }

    let mut program = Program::start_with(&data, &glob, HEAD_BYTES).await?;
    program.wait_for_records("logs", lines.len() as u64, CATCH_UP).await?;
    for &id in acknowledged.lock().await.iter() {
        ensure!(
            found(&http, &program, id).await?.0 == SPANS,
            "acknowledged trace {id:032x} is not there once at the end"
        );
    }
    for &id in &lines {
        ensure!(found(&http, &program, id).await?.1 == 1, "line {id:032x} is not there once");
    }
    program.stop().await
}
