//! What LogQL costs over a sealed store: `cargo bench -p query [-- LINES]` (1,000,000 unless given).
//!
//! Lines are of the shapes that services write: JSON, logfmt, access logs, plain. Y is the CPU time of `zstd -1` over the same
//! lines in the same run; times are CPU times of the one thread that does the work.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program whose product is a table")]

use std::sync::Arc;
use std::time::Duration;

use parsers::record::{Batch, Labels, LogBatch, LogRow, Severity, Spelling, TraceId};
use query::logql::{Limits, RangeParams, evaluate_range, parse};
use store::read::Direction;
use store::{Store, StoreOptions};

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_760_000_000 * SECOND;
/// Lines a second: a million are about a quarter of an hour.
const PER_SECOND: u64 = 1_000;
const STREAMS: u64 = 24;
const BATCH: u64 = 1_000;

/// CPU time of this thread.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

fn spent<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let before = cpu();
    let done = work();
    (done, cpu().saturating_sub(before))
}

/// The same numbers in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn words(&mut self) -> String {
        const WORDS: [&str; 24] = [
            "request",
            "handled",
            "cache",
            "miss",
            "retry",
            "upstream",
            "timeout",
            "connection",
            "reset",
            "by",
            "peer",
            "user",
            "session",
            "token",
            "expired",
            "order",
            "placed",
            "inventory",
            "reserved",
            "database",
            "query",
            "took",
            "slow",
            "fallback",
        ];
        let count = 5 + self.below(9);
        (0..count).map(|_| WORDS[self.below(24) as usize]).collect::<Vec<_>>().join(" ")
    }
}

/// A line, its trace and its level. Streams of even numbers write JSON.
fn line(dice: &mut Dice, stream: u64, number: u64) -> (String, u128, Severity) {
    let trace = u128::from(dice.below(u64::MAX)) << 64 | u128::from(dice.below(u64::MAX)) | 1;
    let span = dice.below(u64::MAX);
    let (level, severity) = match dice.below(30) {
        0 => ("error", Severity::Error),
        1..=3 => ("warn", Severity::Warn),
        _ => ("info", Severity::Info),
    };
    let (words, ms) = (dice.words(), dice.below(100_000));
    let text = if stream.is_multiple_of(2) {
        format!(
            r#"{{"level":"{level}","ts":"2025-10-09T08:53:{:02}.123456789Z","caller":"server/handler.go:{}","msg":"{words}","trace_id":"{trace:032x}","span_id":"{span:016x}","path":"/api/v1/users/{number}","duration_ms":{ms}.{:03}}}"#,
            number % 60,
            ms % 400,
            ms % 1000
        )
    } else {
        format!(
            r#"ts=2025-10-09T08:53:{:02}.123Z level={level} caller=handler.go:{} msg="{words}" traceID={trace:032x} spanID={span:016x} path=/cart/{number} duration={ms}ms"#,
            number % 60,
            ms % 400
        )
    };
    (text, trace, severity)
}

fn fill(store: &Store, lines: u64) -> Duration {
    let mut dice = Dice(7);
    let streams: Vec<Arc<Labels>> = (0..STREAMS)
        .map(|n| {
            let format = if n.is_multiple_of(2) { "json" } else { "logfmt" };
            let pod = format!("pod-{n}");
            Arc::new(Labels::new([
                ("namespace", "shop"),
                ("format", format),
                ("pod", &pod),
                ("service_name", "cart"),
            ]))
        })
        .collect();
    let mut packing = Duration::ZERO;
    for batch in 0..lines.div_ceil(BATCH) {
        let mut logs = LogBatch { streams: streams.clone(), ..LogBatch::default() };
        for number in batch * BATCH..((batch + 1) * BATCH).min(lines) {
            let stream = dice.below(STREAMS);
            let (text, trace, severity) = line(&mut dice, stream, number);
            let time = START + number * SECOND / PER_SECOND;
            let spelling = TraceId::from_hex(format!("{trace:032x}").as_bytes()).unwrap().spelling();
            let line = logs.push_text(text.as_bytes());
            logs.rows.push(LogRow {
                time,
                trace,
                spelling,
                severity,
                line,
                stream: stream as u32,
                ..LogRow::default()
            });
        }
        packing += spent(|| zstd::bulk::compress(&logs.text, 1).unwrap()).1;
        let whole = Arc::new(Batch { logs, ..Batch::default() });
        while store.append(Arc::clone(&whole)).is_err() {
            store.seal().unwrap();
        }
    }
    store.seal().unwrap();
    packing
}

fn main() {
    let lines = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(dir.path())).unwrap();
    let yard = fill(&store, lines);
    println!("{lines} lines; Y = {:.3} s", yard.as_secs_f64());
    let params = RangeParams {
        start: START,
        end: START + lines * SECOND / PER_SECOND,
        step: Duration::from_mins(1),
        interval: Duration::ZERO,
        limit: 100,
        direction: Direction::Backward,
    };
    let _ = Spelling::default();
    for query in [
        r#"{namespace="shop"} |= "zeppelin""#,
        r#"{namespace="shop"} |= "timeout""#,
        r#"{namespace="shop"} |~ "zep+elin""#,
        r#"{namespace="shop"} | detected_level="fatal""#,
        r#"{namespace="shop"} |= "4bf92f3577b34da6a3ce929d0e0e4736""#,
        r#"{format="json"} | json | duration_ms > 1000000"#,
        r#"count_over_time({namespace="shop"}[1m])"#,
        r#"sum by (detected_level) (count_over_time({namespace="shop"}[1m]))"#,
        r#"sum by (level) (count_over_time({format="json"} | json [1m]))"#,
        r#"sum by (level) (count_over_time({format="json"} | json | __error__="" [1m]))"#,
        r#"sum by (level) (count_over_time({namespace="shop"} | json | __error__="" [1m]))"#,
        r#"sum by (level) (count_over_time({format="logfmt"} | logfmt [1m]))"#,
        r#"sum by (level, detected_level) (count_over_time({namespace="shop"} | json | logfmt | drop __error__[1m]))"#,
        r#"quantile_over_time(0.99, {format="json"} | json | unwrap duration_ms [1m]) by (level)"#,
        r#"sum(rate({namespace="shop"}[5m]))"#,
        r#"sum by (pod) (count_over_time({namespace="shop"} |= "timeout" [1m]))"#,
    ] {
        let expr = parse(query).unwrap();
        let limits = Limits::default();
        let mut best = Duration::MAX;
        let mut read = 0;
        for _ in 0..3 {
            let (outcome, cpu) = spent(|| evaluate_range(&expr, &store, &params, &limits));
            read = outcome.unwrap().report.records;
            best = best.min(cpu);
        }
        let seconds = best.as_secs_f64();
        println!(
            "{:8.1} ms {:6.2} Y {:9.0} klines/s  {query}",
            seconds * 1e3,
            seconds / yard.as_secs_f64(),
            read as f64 / seconds / 1e3
        );
    }
}
