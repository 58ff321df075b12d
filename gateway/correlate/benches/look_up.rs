//! What one look-up costs: `cargo bench -p correlate --bench look_up [-- REQUESTS]` (50,000 unless given), each of 8 spans over four
//! pods and 20 lines, half of them without an id, so that the store holds a million lines. Requests come as they do within an hour;
//! those that are asked for are sealed, or still in the head; without and with metrics, of which each pod has ten and a thousand other
//! services have a hundred each. Told are wall times and the CPU time of all threads.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program whose product is a table")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use correlate::{CorrelateOptions, Correlator, StoredMetrics};
use parsers::otlp::SpanEncoder;
use parsers::record::{
    Batch, Labels, LogBatch, LogRow, MetricBatch, Resource, SampleRow, Scope, Span, SpanId, SpanKind,
    Spelling, SpellingKind, Status, TraceId, Value,
};
use store::{Store, StoreOptions};

const MS: u64 = 1_000_000;
const START: u64 = 1_760_000_000_000 * MS;
const HOUR: u64 = 3_600_000 * MS;
const SERVICES: [&str; 4] = ["front", "basket", "ledger", "stock"];
const SPANS: u64 = 8;
const LINES: u64 = 20;
/// Requests of a batch: two thousand lines, as agents send them.
const BATCH: u64 = 100;
/// Requests that stay in the head.
const RECENT: u64 = 2_000;
const ASKED: usize = 1_000;

/// The same numbers in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

struct Shop {
    dice: Dice,
    scope: Arc<Scope>,
    resources: [Arc<Resource>; 4],
    streams: [Arc<Labels>; 4],
    /// From the start of one request to that of the next, ns.
    step: u64,
    asked: Vec<TraceId>,
}

impl Shop {
    fn new(requests: u64) -> Self {
        let resource = |service: &str| {
            let pod = format!("{service}-7d9f5c6b4-x2x1z");
            let pairs =
                [("service.name", service), ("k8s.namespace.name", "shop"), ("k8s.pod.name", pod.as_str())];
            let pairs = pairs.map(|(key, value)| (key.to_owned(), Value::Str(value.to_owned())));
            Arc::new(Resource { attributes: pairs.into() })
        };
        let stream = |service: &str| {
            let pod = format!("{service}-7d9f5c6b4-x2x1z");
            let pairs =
                [("namespace", "shop"), ("pod", &pod), ("container", service), ("service_name", service)];
            Arc::new(Labels::new(pairs))
        };
        Self {
            dice: Dice(0x9e37_79b9_7f4a_7c15),
            scope: Arc::default(),
            resources: SERVICES.map(resource),
            streams: SERVICES.map(stream),
            step: HOUR / requests.max(1),
            asked: Vec::new(),
        }
    }

    fn request(&mut self, number: u64, spans: &mut SpanEncoder, logs: &mut LogBatch) {
        let spelling = Spelling::new(SpellingKind::Hex(32));
        let bits = u128::from(self.dice.below(u64::MAX)) << 64 | u128::from(self.dice.below(u64::MAX) | 1);
        let trace_id = TraceId::new(bits, spelling).unwrap();
        self.asked.push(trace_id);
        let (begin, thread) = (START + number * self.step, self.dice.below(8));
        for depth in 0..SPANS {
            let (id, inset) = (number * 16 + depth + 1, depth * 3 * MS);
            let pairs = [
                ("thread.name", format!("exec-{thread}")),
                ("url.path", format!("/cart/{}", self.dice.below(10_000))),
                ("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64)".to_owned()),
                ("server.address", format!("10.244.0.{}", self.dice.below(250))),
            ];
            spans
                .push(&Span {
                    trace_id,
                    span_id: SpanId::new(id).unwrap(),
                    parent_span_id: (depth > 0).then(|| SpanId::new(id - 1).unwrap()),
                    trace_state: String::new(),
                    flags: 1,
                    name: format!("step {depth}"),
                    kind: if depth % 2 == 0 { SpanKind::Server } else { SpanKind::Client },
                    start: begin + inset,
                    end: begin + 60 * MS - inset,
                    attributes: pairs.map(|(key, value)| (key.to_owned(), Value::Str(value))).into(),
                    events: Vec::new(),
                    links: Vec::new(),
                    status: Status::default(),
                    resource: Arc::clone(&self.resources[depth as usize / 2]),
                    scope: Arc::clone(&self.scope),
                })
                .unwrap();
        }
        for line in 0..LINES {
            let named = line % 2 == 0;
            let at = begin + 20 * MS + self.dice.below(10 * MS);
            let (item, took) = (self.dice.below(100_000), self.dice.below(900));
            let mut text = format!(
                "INFO [exec-{thread}] shop.handler.Step{line} : item {item} of cart {} was looked up in {took} us, stock is low",
                self.dice.below(10_000)
            );
            if named {
                text.push_str(&format!(" trace_id={bits:032x}"));
            }
            let range = logs.push_text(text.as_bytes());
            logs.rows.push(LogRow {
                time: at,
                observed: at,
                trace: if named { bits } else { 0 },
                stream: (line % 4) as u32,
                line: range,
                spelling: if named { spelling } else { Spelling::default() },
                ..LogRow::default()
            });
        }
    }

    fn batch(&mut self, numbers: std::ops::Range<u64>) -> Arc<Batch> {
        let mut spans = SpanEncoder::default();
        let mut logs = LogBatch { streams: self.streams.to_vec(), ..LogBatch::default() };
        numbers.for_each(|number| self.request(number, &mut spans, &mut logs));
        logs.rows.sort_by_key(|row| row.time);
        Arc::new(Batch { spans: spans.finish(), logs, ..Batch::default() })
    }
}

/// A scrape of all pods, and of other services.
fn scrape(time: u64) -> Arc<Batch> {
    let mut metrics = MetricBatch::default();
    let others =
        (0..1000).flat_map(|service| (0..100).map(move |number| (format!("other-{service}"), number)));
    let own =
        SERVICES.into_iter().flat_map(|service| (0..10).map(move |number| (service.to_owned(), number)));
    for (service, number) in own.chain(others) {
        let (pod, route) = (format!("{service}-7d9f5c6b4-x2x1z"), format!("/{number}"));
        let name = match number % 10 {
            0..5 => "http_server_request_duration_seconds_count".to_owned(),
            5 => "container_cpu_usage_seconds_total".to_owned(),
            other => format!("app_queue_{other}_{}", number / 10),
        };
        let labels =
            [("__name__", name.as_str()), ("service_name", &service), ("pod", &pod), ("http_route", &route)];
        let series = metrics.series.len() as u32;
        metrics.series.push(Arc::new(Labels::new(labels)));
        metrics.samples.push(SampleRow {
            time,
            value: (time / MS / 1000) as f64,
            series,
            ..SampleRow::default()
        });
    }
    Arc::new(Batch { metrics, ..Batch::default() })
}

/// CPU time of all threads, in hundredths of a second.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks = |place: usize| stat.rsplit(' ').nth(place).unwrap().parse::<u64>().unwrap();
    Duration::from_millis((ticks(38) + ticks(37)) * 10)
}

fn ask(what: &str, correlator: &Correlator, ids: &[TraceId], dice: &mut Dice) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mut times, mut offered, before) = (Vec::new(), 0, cpu());
    for _ in 0..ASKED {
        let id = ids[dice.below(ids.len() as u64) as usize];
        let began = Instant::now();
        let answer = runtime.block_on(correlator.answer(id));
        times.push(began.elapsed().as_secs_f64() * 1e3);
        assert_eq!(answer.spans.len() as u64, SPANS);
        offered += answer.logs.len();
    }
    let cpu = cpu().saturating_sub(before).as_secs_f64() * 1e3 / ASKED as f64;
    times.sort_by(f64::total_cmp);
    let (half, most) = (times[ASKED / 2], times[ASKED * 99 / 100]);
    let lines = offered as f64 / ASKED as f64;
    println!(
        "{what:<12} p50 {half:>6.2} ms  p99 {most:>6.2} ms  {cpu:.2} ms of CPU, {lines:.1} lines (budget: p99 5 ms)"
    );
}

fn main() {
    let requests: u64 = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(50_000);
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(dir.path())).unwrap();
    let mut shop = Shop::new(requests + RECENT);
    for first in (0..requests + RECENT).step_by(BATCH as usize) {
        if first == requests {
            store.seal().unwrap();
        }
        store.append(shop.batch(first..(first + BATCH).min(requests + RECENT))).unwrap();
    }
    println!("{} lines, {} spans", store.stats().logs.records, store.stats().traces.records);
    let store = Arc::new(store);
    let correlator =
        Correlator::new(store.clone(), None, CorrelateOptions::default()).with_logs(store.clone());
    let (sealed, recent) = shop.asked.split_at(requests as usize);
    let rounds = |correlator: &Correlator, dice: &mut Dice| {
        for round in 0..3 {
            println!("round {round}");
            ask("sealed", correlator, sealed, dice);
            ask("in the head", correlator, recent, dice);
        }
    };
    rounds(&correlator, &mut shop.dice);
    for minute in 0..60 {
        store.append(scrape(START + minute * HOUR / 60)).unwrap();
        if minute == 50 {
            store.seal().unwrap();
        }
    }
    println!("with metrics: {} samples", store.stats().metrics.records);
    let metrics = Arc::new(StoredMetrics::new(store.clone()));
    rounds(&correlator.over(store.clone(), Some(metrics), "with metrics"), &mut shop.dice);
}
