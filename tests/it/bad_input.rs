//! Promise: whatever comes in, it gets its protocol's error or a noted problem; memory stays bounded, good neighbours are kept.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use serde_json::Value;
use tests::harness::{Answer, Http, until};
use tests::program::Program;

/// Generous: the program is not optimised here.
const SOON: Duration = Duration::from_mins(1);
/// Well below what the inputs here would take if they were held as they come: a gigabyte of zeros, lines of 10 MB.
const MEMORY: u64 = 400 << 20;
const LONG_LINE: usize = 10 << 20;
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

fn hex(id: u128) -> String {
    format!("{id:032x}")
}

fn span(trace: Vec<u8>, id: Vec<u8>, name: &str) -> Span {
    Span {
        trace_id: trace,
        span_id: id,
        name: name.to_owned(),
        start_time_unix_nano: now(),
        end_time_unix_nano: now() + 1000,
        ..Span::default()
    }
}

fn body(resource: Option<Resource>, spans: Vec<Span>) -> Vec<u8> {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn good(trace: u128) -> Vec<u8> {
    let span = span(trace.to_be_bytes().to_vec(), 7u64.to_be_bytes().to_vec(), "good");
    body(Some(Resource::default()), vec![span])
}

struct Scene {
    folder: tempfile::TempDir,
    http: Http,
    trefoil: Program,
}

impl Scene {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let trefoil =
            Program::start(&folder.path().join("data"), &folder.path().join("pods/*/*/*.log")).await?;
        Ok(Self { folder, http: Http::new()?, trefoil })
    }

    fn log_folder(&self, pod: &str) -> Result<std::path::PathBuf> {
        let path =
            self.folder.path().join(format!("pods/shop_{pod}_11111111-2222-4333-8444-555555555555/web"));
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }

    async fn export(&self, headers: &[(&str, &str)], body: Vec<u8>) -> Result<Answer> {
        self.http.post(&format!("http://{}/v1/traces", self.trefoil.otlp_http), headers, body).await
    }

    async fn trace(&self, id: &str) -> Result<Value> {
        self.http.get(&format!("http://{}/api/v1/traces/{id}", self.trefoil.main)).await?.json()
    }

    /// Waits until the trace has this many lines, and gives them.
    async fn lines(&self, id: &str, count: usize) -> Result<Vec<String>> {
        until(&format!("{count} lines of {id}"), SOON, || async {
            let answer = self.trace(id).await?;
            let lines: Vec<String> = answer["logs"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|log| log["line"].as_str().map(str::to_owned))
                .collect();
            ensure!(lines.len() == count, "{}: {}", lines.len(), answer["absent"]);
            Ok(lines)
        })
        .await
    }

    async fn end(self) -> Result<()> {
        let peak = self.trefoil.peak_memory()?;
        ensure!(peak < MEMORY, "{} MiB at its peak", peak >> 20);
        self.trefoil.stop().await
    }
}

/// Nanoseconds: not older than what retention keeps.
fn now() -> u64 {
    Timestamp::now().as_nanosecond() as u64
}

/// A line as the container runtime writes it, at this moment.
fn cri(flag: char, text: &[u8]) -> Vec<u8> {
    let mut line = format!("{:.9} stdout {flag} ", Timestamp::now()).into_bytes();
    line.extend_from_slice(text);
    line.push(b'\n');
    line
}

fn append(file: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::File::options().create(true).append(true).open(file)?.write_all(bytes)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_round_a_broken_one_are_kept() -> Result<()> {
    let scene = Scene::start().await?;
    let file = scene.log_folder("broken-0")?.join("0.log");
    let id = hex(0xbad_0000_0000_0000_0001);
    let traced = |what: &str| format!("level=info trace_id={id} {what}").into_bytes();
    let mut bytes = cri('F', &traced("first"));
    bytes.extend(cri('F', &vec![b'x'; LONG_LINE]));
    bytes.extend(cri('F', &traced("after a line of 10 MB")));
    bytes.extend(cri('F', b"nul \0\0 bytes"));
    bytes.extend(cri('F', &[0xff, 0xfe, 0x80, 0xc3]));
    bytes.extend(b"no CRI prefix at all\n\n\0\n");
    bytes.extend(b"2026-13-45T99:99:99Z stdout F a time that is none\n");
    bytes.extend(cri('F', &traced("after broken lines")));
    // One record in more pieces than anybody would write.
    for piece in 0..2000 {
        bytes.extend(cri('P', format!("{piece} ").repeat(1000).as_bytes()));
    }
    bytes.extend(cri('F', b"end"));
    bytes.extend(cri('F', &traced("after a record of pieces")));
    append(&file, &bytes)?;
    // Half a line now, its other half once the first part has been read.
    let last = cri('F', &traced("written in two halves"));
    let (head, tail) = last.split_at(last.len() / 2);
    append(&file, head)?;
    scene.lines(&id, 4).await?;
    append(&file, tail)?;
    let lines = scene.lines(&id, 5).await?;
    let ends =
        ["first", "after a line of 10 MB", "after broken lines", "after a record of pieces", "in two halves"];
    for (line, end) in lines.iter().zip(ends) {
        ensure!(line.ends_with(end), "{line} should end in {end}");
    }
    scene.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_vanishes_takes_no_other_with_it() -> Result<()> {
    let scene = Scene::start().await?;
    let (gone, stays) = (scene.log_folder("gone-0")?, scene.log_folder("stays-0")?);
    let id = hex(0xbad_0000_0000_0000_0002);
    let line = |n: u64| cri('F', format!("trace_id={id} n={n}").as_bytes());
    append(&gone.join("0.log"), &line(1))?;
    append(&stays.join("0.log"), &line(2))?;
    scene.lines(&id, 2).await?;
    std::fs::remove_dir_all(gone.parent().unwrap_or(&gone))?;
    append(&stays.join("0.log"), &line(3))?;
    scene.lines(&id, 3).await?;
    // And it may come back, under the same name.
    append(&scene.log_folder("gone-0")?.join("0.log"), &line(4))?;
    scene.lines(&id, 4).await?;
    scene.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_cut_at_any_byte_is_refused_or_read_whole_and_the_next_is_taken() -> Result<()> {
    let scene = Scene::start().await?;
    let whole = good(0xbad_0000_0000_0000_0003);
    for end in 1..whole.len() {
        let answer = scene.export(&[PROTOBUF], whole[..end].to_vec()).await?;
        ensure!(answer.status == 400, "cut at {end}: {} {}", answer.status, answer.text());
        ensure!(
            answer.content_type.starts_with("application/x-protobuf"),
            "errors come in the request's encoding"
        );
    }
    ensure!(scene.export(&[PROTOBUF], whole).await?.status == 200);
    let answer = scene.trace(&hex(0xbad_0000_0000_0000_0003)).await?;
    ensure!(answer["spans"].as_array().is_some_and(|spans| spans.len() == 1), "{answer}");
    scene.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_body_that_unpacks_to_a_gigabyte_is_refused() -> Result<()> {
    let scene = Scene::start().await?;
    let mut bomb = GzEncoder::new(Vec::new(), Compression::fast());
    let zeros = vec![0; 1 << 20];
    for _ in 0..1024 {
        bomb.write_all(&zeros)?;
    }
    let bomb = bomb.finish()?;
    let answer = scene.export(&[PROTOBUF, ("content-encoding", "gzip")], bomb).await?;
    ensure!((400..500).contains(&answer.status), "{} {}", answer.status, answer.text());
    let garbage = scene.export(&[PROTOBUF, ("content-encoding", "gzip")], b"not gzip".to_vec()).await?;
    ensure!(garbage.status == 400, "{} {}", garbage.status, garbage.text());
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&good(0xbad_0000_0000_0000_0004))?;
    let taken = scene.export(&[PROTOBUF, ("content-encoding", "gzip")], packed.finish()?).await?;
    ensure!(taken.status == 200, "{} {}", taken.status, taken.text());
    scene.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_with_ids_of_wrong_length_are_counted_out_and_their_neighbours_kept() -> Result<()> {
    let scene = Scene::start().await?;
    let trace = 0xbad_0000_0000_0000_0005_u128;
    let id = |n: u64| n.to_be_bytes().to_vec();
    let spans = vec![
        span(vec![1; 5], id(1), "trace id of five bytes"),
        span(vec![0; 16], id(2), "trace id of zeros"),
        span(trace.to_be_bytes().to_vec(), vec![1, 2, 3], "span id of three bytes"),
        span(trace.to_be_bytes().to_vec(), id(4), "good"),
        span(Vec::new(), id(5), "no trace id"),
    ];
    // No resource at all: whose the span is stays unknown, that it was is not lost.
    let answer = scene.export(&[PROTOBUF], body(None, spans)).await?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
    let response = opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse::decode(
        answer.body.as_slice(),
    )?;
    let partial = response.partial_success.unwrap_or_default();
    ensure!(partial.rejected_spans == 4, "{partial:?}");
    ensure!(!partial.error_message.is_empty(), "the sender is told why");
    let answer = scene.trace(&hex(trace)).await?;
    let names: Vec<&str> =
        answer["spans"].as_array().into_iter().flatten().filter_map(|span| span["name"].as_str()).collect();
    ensure!(names == ["good"], "{names:?}");
    scene.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_none_is_told_so_and_an_unknown_one_is_answered_with_its_reasons() -> Result<()> {
    let scene = Scene::start().await?;
    let long = "f".repeat(10_000);
    for id in ["hello", "0", "00000000000000000000000000000000", "12g4", long.as_str()] {
        let answer = scene.http.get(&format!("http://{}/api/v1/traces/{id}", scene.trefoil.main)).await?;
        ensure!(answer.status == 400, "{id:.40}: {} {}", answer.status, answer.text());
    }
    let url = format!("http://{}/api/v1/traces/{}", scene.trefoil.main, hex(0xbad_0000_0000_0000_0006));
    let answer = scene.http.get(&url).await?;
    ensure!(answer.status == 404, "{}", answer.status);
    let answer = answer.json()?;
    ensure!(answer["absent"].as_array().is_some_and(|absent| !absent.is_empty()), "{answer}");
    scene.end().await
}
