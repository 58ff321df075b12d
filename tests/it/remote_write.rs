//! Promise: what a Prometheus writes is stored as it was sent, and its exemplars lead from a trace to its series.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use parsers::otlp::Writer;
use tests::harness::{Http, Prometheus, Scrape, until};
use tests::program::Program;

/// Two scrapes a second apart and a write, on a machine that may be compiling.
const SOON: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_writes_samples_and_exemplars() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let trefoil = Program::start(&at("data"), &at("pods/*/*/*.log")).await?;
    let http = Http::new()?;
    let scrapes = [Scrape { job: "trefoil".to_owned(), address: trefoil.main.to_string() }];
    let write = format!(
        "remote_write: [{{url: 'http://{}/api/v1/write', send_exemplars: true, send_native_histograms: true}}]\n",
        trefoil.main
    );
    let port = Prometheus::reserve()?;
    let _prometheus = Prometheus::start_with(&at("prometheus"), port, &scrapes, &write).await?;

    // Trefoil's own requests have exemplars, which come back through the Prometheus that scrapes it.
    let asked = "7bf92f3577b34da6a3ce929d0e0e4736";
    let url = format!("http://{}/api/v1/traces/{asked}", trefoil.main);
    let traceparent = format!("00-{asked}-00f067aa0ba902b7-01");
    let answer = until("an exemplar of the trace", SOON, || async {
        let answer = http.get_with(&url, &[("traceparent", &traceparent)]).await?.json()?;
        ensure!(!answer["exemplars"].as_array().context("no list")?.is_empty(), "{answer}");
        Ok(answer)
    })
    .await?;
    let exemplar = &answer["exemplars"][0];
    ensure!(exemplar.to_string().contains("trefoil_http_request_duration_seconds_bucket"), "{exemplar}");
    ensure!(
        exemplar.to_string().contains(r#""job":"trefoil""#),
        "labels of the scraping Prometheus: {exemplar}"
    );

    let counted = http.get(&format!("http://{}/metrics", trefoil.main)).await?.text();
    let count = |series: &str| -> Option<f64> {
        counted.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    };
    let samples = count(r#"trefoil_received_samples_total{protocol="remote_write"}"#);
    ensure!(samples.is_some_and(|samples| samples > 50.0), "{samples:?} samples");
    let rejected = count(r#"trefoil_rejected_records_total{protocol="remote_write",signal="samples"}"#);
    assert_eq!(rejected, Some(0.0), "a real sender sends nothing that is refused");
    trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_type_is_415_and_broken_bytes_are_400() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let trefoil = Program::start(&folder.path().join("data"), &folder.path().join("pods/*/*/*.log")).await?;
    let http = Http::new()?;
    let url = format!("http://{}/api/v1/write", trefoil.main);
    for (media, encoding, status) in [
        ("application/json", "snappy", 415),
        ("application/x-protobuf;proto=a.b.C", "snappy", 415),
        ("application/x-protobuf", "gzip", 415),
        ("application/x-protobuf", "snappy", 400),
    ] {
        let headers = [("content-type", media), ("content-encoding", encoding)];
        let answer = http.post(&url, &headers, vec![0xff; 40]).await?;
        ensure!(answer.status == status, "{media}: {} {}", answer.status, answer.text());
    }
    ensure!(http.get(&url).await?.status == 405);
    trefoil.stop().await
}

/// A write of so many series of one metric from a number on, each told by its `user`, at a time in milliseconds.
fn users(from: usize, count: usize, millis: u64) -> Result<Vec<u8>> {
    valued(from, count, millis, 1.0)
}

fn valued(from: usize, count: usize, millis: u64, value: f64) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for user in from..from + count {
        Writer::new(&mut out).message(1, |out| {
            let user = user.to_string();
            for (name, value) in [("__name__", "logins_total"), ("job", "shop"), ("user", user.as_str())] {
                Writer::new(out).message(1, |out| {
                    Writer::new(out).bytes(1, name.as_bytes());
                    Writer::new(out).bytes(2, value.as_bytes());
                });
            }
            Writer::new(out).message(2, |out| {
                Writer::new(out).always_double(1, value);
                Writer::new(out).varint(2, millis);
            });
        });
    }
    Ok(snap::raw::Encoder::new().compress_vec(&out)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_explodes_is_named_to_its_sender_and_known_series_go_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let sections = format!(
        "store: {{dir: '{}', max_series: 1000, out_of_order: 10m}}\nmetrics_from_spans: {{enabled: false}}\n",
        data.display()
    );
    let trefoil = Program::start_configured(&data, &folder.path().join("none/*.log"), &sections).await?;
    let http = Http::new()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
    let url = format!("http://{}/api/v1/write", trefoil.main);
    let write = async |body: Vec<u8>| {
        let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
        http.post(&url, &headers, body).await
    };
    ensure!(write(users(0, 1000, now)?).await?.status == 204);
    let refused = write(users(990, 20, now + 1)?).await?;
    let text = refused.text();
    ensure!(refused.status == 400 && text.starts_with("10 of the request"), "{} {text}", refused.status);
    ensure!(
        text.contains("store.max_series is 1000") && text.contains("user (1000), __name__ (1)"),
        "{text}"
    );
    let late = write(users(0, 1, now - 11 * 60_000)?).await?;
    ensure!(
        late.status == 400 && late.text().contains("store.out_of_order"),
        "{} {}",
        late.status,
        late.text()
    );
    ensure!(write(users(0, 1, now - 9 * 60_000)?).await?.status == 204);
    // The same again is nothing new; another value of the same time is refused, as Prometheus has it, and the rest is kept.
    ensure!(write(users(5, 1, now)?).await?.status == 204);
    let mut both = snap::raw::Decoder::new().decompress_vec(&valued(5, 1, now, 2.0)?)?;
    both.extend(snap::raw::Decoder::new().decompress_vec(&valued(6, 1, now + 5, 2.0)?)?);
    let contradicts = write(snap::raw::Encoder::new().compress_vec(&both)?).await?;
    let text = contradicts.text();
    ensure!(
        contradicts.status == 400 && text.starts_with("1 of the request"),
        "{} {text}",
        contradicts.status
    );
    ensure!(text.contains("duplicate sample for timestamp") && text.contains("user=\"5\""), "{text}");
    let query =
        format!("http://{}/prometheus/api/v1/query?query=sum(logins_total{{user=~%225|6%22}})", trefoil.main);
    let sum = http.get(&format!("{query}&time={:.3}", (now + 10) as f64 / 1e3)).await?.ok_json()?;
    assert_eq!(sum["data"]["result"][0]["value"][1], "3", "1 of one, 2 of the other: {sum}");
    let status =
        http.get(&format!("http://{}/prometheus/api/v1/status/tsdb", trefoil.main)).await?.ok_json()?;
    assert_eq!(status["data"]["headStats"]["numSeries"], 1000);
    assert_eq!(
        status["data"]["labelValueCountByLabelName"][0],
        serde_json::json!({ "name": "user", "value": 1000 })
    );
    for (series, expected) in [
        ("trefoil_store_series ", 1000.0),
        ("trefoil_store_label_values{label=\"user\"}", 1000.0),
        ("trefoil_store_refused_samples_total{reason=\"too_many_series\"}", 10.0),
        ("trefoil_store_refused_samples_total{reason=\"late\"}", 1.0),
        ("trefoil_store_refused_samples_total{reason=\"duplicate_timestamp\"}", 1.0),
        ("trefoil_rejected_records_total{protocol=\"remote_write\",signal=\"samples\"}", 12.0),
    ] {
        assert_eq!(trefoil.count(series).await?, expected, "{series}");
    }
    trefoil.stop().await
}
