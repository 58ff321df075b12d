//! Promise: what PromQL gives over our own store is what a real Prometheus gives over the same samples.
//!
//! Samples lie at times that no range of a query begins or ends at: there the second version of Prometheus, which is run
//! here, and the third, whose language this is, differ.

mod compare;
mod generate;
mod written;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use futures::stream::{self, StreamExt};
use parsers::record::{Labels, MetricMeta};
use query::promql::{Limits, evaluate_instant, evaluate_range, parse};
use store::read::{Matcher, ReadError, SampleLimits, SampleRead, SeriesSamples, Window};
use store::{Store, StoreOptions};
use tests::harness::{Http, Prometheus};
use tests::program::Program;

use compare::{Given, differ};

/// Queries kept by hand: one a line, `#` begins a comment.
const KEPT: &str = include_str!("promql/queries.txt");
/// How many are generated besides those that go through all functions and operators.
const RANDOM: usize = 500;
/// Requests under way at a time.
const AT_ONCE: usize = 8;
const HOUR: u64 = 3600 * 1000;

/// When a query is asked, in milliseconds after the first sample.
#[derive(Debug, Clone, Copy)]
enum When {
    Instant(u64),
    Range { start: u64, end: u64, step: u64 },
}

const WHEN: [When; 4] = [
    When::Instant(47 * 60_000 + 33_500),
    When::Instant(93 * 60_000 + 12_700),
    When::Range { start: 20 * 60_000 + 903, end: 96 * 60_000 + 411, step: 157_000 },
    When::Range { start: 60 * 60_000 + 500, end: 64 * 60_000 + 411, step: 19_000 },
];

/// `$T` in a query is an instant within the samples, in seconds.
fn at_base(query: &str, base: u64) -> String {
    query.replace("$T", &format!("{:.3}", (base + 50 * 60_000 + 500) as f64 / 1000.0))
}

async fn theirs(http: &Http, url: &str, query: &str, when: When, base: u64) -> Result<Given> {
    let seconds = |millis: u64| format!("{:.3}", (base + millis) as f64 / 1000.0);
    let (path, times) = match when {
        When::Instant(at) => ("query", format!("time={}", seconds(at))),
        When::Range { start, end, step } => {
            let step = step as f64 / 1000.0;
            ("query_range", format!("start={}&end={}&step={step}", seconds(start), seconds(end)))
        }
    };
    let mut escaped = String::new();
    for byte in query.bytes() {
        write!(escaped, "%{byte:02x}")?;
    }
    let form = format!("query={escaped}&{times}");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = http.post(&format!("{url}/api/v1/{path}"), &headers, form.into_bytes()).await?;
    Given::read(&answer.json().with_context(|| format!("{query} at {when:?}"))?)
}

/// All samples in memory, so that a thousand queries need not read them from the disk a thousand times.
struct Loaded(Vec<SeriesSamples>);

impl SampleRead for Loaded {
    fn select(
        &self,
        matchers: &[Matcher],
        window: Window,
        _: SampleLimits,
    ) -> Result<Vec<SeriesSamples>, ReadError> {
        let wanted = |s: &&SeriesSamples| matchers.iter().all(|matcher| matcher.matches(&s.labels));
        let mut found: Vec<SeriesSamples> = self.0.iter().filter(wanted).cloned().collect();
        for series in &mut found {
            series.samples.retain(|sample| window.contains(sample.time));
            series.histograms.retain(|(time, _)| window.contains(*time));
        }
        found.retain(|series| !series.samples.is_empty() || !series.histograms.is_empty());
        Ok(found)
    }
    fn label_sets(&self, _: &[Vec<Matcher>], _: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        Ok(Vec::new())
    }
    fn metadata(&self) -> Result<Vec<MetricMeta>, ReadError> {
        Ok(Vec::new())
    }
}

fn ours(source: &dyn SampleRead, query: &str, when: When, base: u64) -> Given {
    let limits = Limits::default();
    let at = |millis: u64| (base + millis) as i64;
    let outcome = parse(query).and_then(|expr| match when {
        When::Instant(time) => evaluate_instant(&expr, source, at(time), &limits),
        When::Range { start, end, step } => {
            evaluate_range(&expr, source, (at(start), at(end)), Duration::from_millis(step), &limits)
        }
    });
    Given::of(outcome)
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_a_real_prometheus() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let prometheus = Prometheus::start_receiver(&folder.path().join("prometheus")).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
    let base = (now / HOUR - 3) * HOUR;
    let store = Store::open(StoreOptions::new(folder.path().join("store")))?;
    let http = Http::new()?;
    let written = written::samples(base);
    let parts = written::in_parts(&written);
    for (number, part) in parts.iter().enumerate() {
        let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
        let body = snap::raw::Encoder::new().compress_vec(&written::remote_write(part))?;
        let answer = http.post(&format!("{}/api/v1/write", prometheus.url), &headers, body).await?;
        ensure!(answer.status < 300, "{} {}", answer.status, answer.text());
        store.append(Arc::new(written::batch(part)))?;
        // Both what is sealed and what is not is read.
        if number == parts.len() / 2 {
            store.seal()?;
        }
    }

    let limits = SampleLimits { series: usize::MAX, samples: u64::MAX };
    let loaded = Loaded(store.select(&[], Window::ALL, limits)?);
    let mut queries: Vec<String> = KEPT.lines().map(str::to_owned).collect();
    queries.retain(|line| !line.trim().is_empty() && !line.starts_with('#'));
    queries.extend(generate::systematic());
    queries.extend(generate::random(RANDOM));
    queries.sort();
    queries.dedup();
    ensure!(queries.len() >= 600, "{} queries", queries.len());
    let asked: Vec<(String, When)> =
        queries.iter().flat_map(|query| WHEN.map(|when| (at_base(query, base), when))).collect();
    let answers = stream::iter(&asked).map(|(query, when)| {
        let (http, url) = (http.clone(), prometheus.url.clone());
        async move { theirs(&http, &url, query, *when, base).await }
    });
    let answers: Vec<Result<Given>> = answers.buffered(AT_ONCE).collect().await;
    let (mut wrong, mut empty, mut errors, mut other_words) = (Vec::new(), 0, 0, Vec::new());
    for ((query, when), theirs) in asked.iter().zip(answers) {
        // What is kept by hand is read from the store itself.
        let source: &dyn SampleRead = if KEPT.contains(query.as_str()) { &store } else { &loaded };
        let (theirs, ours) = (theirs?, ours(source, query, *when, base));
        empty += usize::from(theirs.is_empty());
        if let (Given::Error { text, .. }, Given::Error { text: own, .. }) = (&theirs, &ours) {
            errors += 1;
            if !text.contains(own.as_str()) {
                other_words.push(format!("{query}\n    theirs: {text}\n    ours:   {own}"));
            }
        }
        if let Some(difference) = differ(query, &theirs, &ours) {
            wrong.push(format!("{query}\n    {when:?}: {difference}"));
        }
    }
    let (all, count) = (asked.len(), wrong.len());
    println!("{} queries, {all} answers, {empty} empty, {errors} errors", queries.len());
    println!("{} errors in other words:\n  {}", other_words.len(), other_words.join("\n  "));
    ensure!(wrong.is_empty(), "{count} of {all} answers differ:\n  {}", wrong.join("\n  "));
    // An answer without anything says little.
    ensure!(empty * 3 < all, "{empty} of {all} answers are empty");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_to_the_gateway_is_asked_of_it_without_another_server() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let trefoil = Program::start(&folder.path().join("data"), &folder.path().join("pods/*/*/*.log")).await?;
    let http = Http::new()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
    let base = (now / HOUR - 2) * HOUR;
    let written = written::samples(base);
    for part in written::in_parts(&written) {
        let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
        let body = snap::raw::Encoder::new().compress_vec(&written::remote_write(&part))?;
        let answer = http.post(&format!("http://{}/api/v1/write", trefoil.main), &headers, body).await?;
        ensure!(answer.status < 300, "{} {}", answer.status, answer.text());
    }
    // The same samples in a store beside it say what the surface must answer.
    let store = Store::open(StoreOptions::new(folder.path().join("store")))?;
    for part in written::in_parts(&written) {
        store.append(Arc::new(written::batch(&part)))?;
    }
    let url = format!("http://{}/prometheus", trefoil.main);
    let kept = KEPT.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    for query in kept.map(|query| at_base(query, base)) {
        let query = query.as_str();
        for when in [WHEN[0], WHEN[2]] {
            let (theirs, ours) =
                (theirs(&http, &url, query, when, base).await?, ours(&store, query, when, base));
            let difference = differ(query, &theirs, &ours);
            ensure!(difference.is_none(), "{query} at {when:?}: {difference:?}");
        }
    }
    let values = http.get(&format!("{url}/api/v1/label/room/values")).await?.ok_json()?;
    ensure!(values["data"] == serde_json::json!(["attic", "cellar", "hall", "kitchen"]), "{values}");
    trefoil.stop().await
}
