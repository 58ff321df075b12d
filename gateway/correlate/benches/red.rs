//! What RED costs: `cargo bench -p correlate --bench red [-- SPANS]` (1,000,000 unless given).
//!
//! An hour of a shop's spans: eight a trace over five services, with a database, a queue and a peer that sends none. Making series of
//! them is set against storing them, until sealed; then the graph of the hour is asked for, of segments and right after a start.
//! Times are CPU times of the thread that does the work.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program whose product is a table")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use correlate::red::{RedOptions, RedQuestion, SpanMetrics, graph};
use parsers::otlp::SpanEncoder;
use parsers::record::{
    Batch, Resource, Scope, Span, SpanId, SpanKind, Spelling, SpellingKind, Status, StatusCode, TraceId,
    Value,
};
use store::read::{TraceRead, Window};
use store::{Store, StoreOptions};

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_760_000_000 * SECOND;
const HOUR: u64 = 3600 * SECOND;
const BATCH: usize = 1_000;

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
}

/// Service, parent, kind, names, and an attribute that says who is called.
type Step = (usize, u64, SpanKind, &'static [&'static str], Option<(&'static str, &'static str)>);

const SERVICES: [&str; 5] = ["frontend", "checkout", "cart", "payment", "mailer"];
const TRACE: [Step; 8] = [
    (0, 0, SpanKind::Server, &["GET /", "GET /product/{id}", "POST /cart", "POST /checkout"], None),
    (0, 1, SpanKind::Client, &["GET", "POST"], Some(("server.address", "checkout.shop"))),
    (1, 2, SpanKind::Server, &["POST /orders", "GET /orders/{id}"], None),
    (
        1,
        3,
        SpanKind::Client,
        &["SELECT orders", "INSERT orders", "UPDATE stock"],
        Some(("db.system", "postgresql")),
    ),
    (1, 3, SpanKind::Client, &["charge"], Some(("peer.service", "bank"))),
    (1, 3, SpanKind::Producer, &["orders publish"], Some(("messaging.destination.name", "orders"))),
    (4, 6, SpanKind::Consumer, &["orders process"], Some(("messaging.destination.name", "orders"))),
    (2, 3, SpanKind::Internal, &["price", "discount"], None),
];

fn batches(spans: usize) -> Vec<Arc<Batch>> {
    let mut dice = Dice(11);
    let resource = |name: &str| {
        let pairs = [("service.name", name), ("k8s.pod.name", "pod-7d9f"), ("service.version", "1.4.2")];
        let pairs = pairs.map(|(key, value)| (key.to_owned(), Value::Str(value.to_owned())));
        Arc::new(Resource { attributes: pairs.into() })
    };
    let resources = SERVICES.map(resource);
    let scope = Arc::new(Scope { name: "shop".to_owned(), ..Scope::default() });
    let step = HOUR / (spans as u64 / TRACE.len() as u64).max(1);
    let mut batches = Vec::new();
    let mut encoder = SpanEncoder::default();
    let (mut made, mut waiting) = (0, 0);
    while made < spans {
        let trace = u128::from(dice.below(u64::MAX)) << 64 | u128::from(dice.below(u64::MAX)) | 1;
        let base = dice.below(u64::MAX / 2) + 1;
        let start = START + (made / TRACE.len()) as u64 * step;
        for (at, (service, parent, kind, names, attribute)) in TRACE.iter().enumerate() {
            let route = ("http.route".to_owned(), Value::Str("/orders/{id}".to_owned()));
            let mut attributes = vec![
                route,
                ("http.response.status_code".to_owned(), Value::Int(200)),
                ("user_agent.original".to_owned(), Value::Str("Mozilla/5.0 (X11; Linux x86_64)".to_owned())),
                ("network.protocol.version".to_owned(), Value::Str("1.1".to_owned())),
            ];
            attributes.extend(attribute.map(|(key, value)| (key.to_owned(), Value::Str(value.to_owned()))));
            let begin = start + at as u64 * 1_000_000;
            let failed = dice.below(50) == 0;
            let span = Span {
                trace_id: TraceId::new(trace, Spelling::new(SpellingKind::Hex(32))).unwrap(),
                span_id: SpanId::new(base + at as u64).unwrap(),
                parent_span_id: SpanId::new(if *parent == 0 { 0 } else { base + parent - 1 }),
                trace_state: String::new(),
                flags: 1,
                name: names[dice.below(names.len() as u64) as usize].to_owned(),
                kind: *kind,
                start: begin,
                end: begin + 1_000_000 + dice.below(80_000_000),
                attributes,
                events: Vec::new(),
                links: Vec::new(),
                status: Status {
                    code: if failed { StatusCode::Error } else { StatusCode::Unset },
                    ..Status::default()
                },
                resource: Arc::clone(&resources[*service]),
                scope: Arc::clone(&scope),
            };
            encoder.push(&span).unwrap();
            made += 1;
            waiting += 1;
        }
        if waiting >= BATCH || made >= spans {
            let spans = std::mem::take(&mut encoder).finish();
            batches.push(Arc::new(Batch { spans, ..Batch::default() }));
            waiting = 0;
        }
    }
    batches
}

fn per_span(time: Duration, spans: usize) -> f64 {
    time.as_nanos() as f64 / spans as f64
}

fn main() {
    let spans = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    let batches = batches(spans);
    let spans: usize = batches.iter().map(|batch| batch.spans.rows.len()).sum();

    let mut metrics = SpanMetrics::new(&RedOptions::default(), START);
    let ((), added) = spent(|| {
        for batch in &batches {
            let now = batch.spans.rows.last().map_or(START, |row| row.end);
            metrics.add(&batch.spans, now);
        }
    });
    let (written, collected) = spent(|| metrics.collect(START + HOUR + SECOND));
    println!("series of {spans} spans");
    println!("  counting            {:.0} ns of CPU a span", per_span(added, spans));
    println!("  samples once        {:.1} ms for {}", collected.as_secs_f64() * 1e3, written.samples.len());

    let dir = tempfile::tempdir().unwrap();
    let options = || StoreOptions { head_bytes: 32 << 20, ..StoreOptions::new(dir.path()) };
    let store = Store::open(options()).unwrap();
    let (mut appended, mut sealed) = (Duration::ZERO, Duration::ZERO);
    for batch in &batches {
        appended += spent(|| store.append(Arc::clone(batch)).unwrap()).1;
        if store.stats().head_bytes > 30 << 20 {
            sealed += spent(|| store.seal().unwrap()).1;
        }
    }
    println!(
        "storing them          {:.0} ns of CPU a span to append, {:.0} to seal",
        per_span(appended, spans),
        per_span(sealed, spans)
    );

    let hour = Window { start: START, end: START + HOUR };
    let ask = |store: &Store, what: &str| {
        let mut times: Vec<Duration> = (0..5)
            .map(|_| {
                let began = Instant::now();
                let (calls, time) = spent(|| store.calls(hour).unwrap());
                let question = RedQuestion::of(&calls, hour.end);
                let graph = graph(&calls, question);
                assert!(
                    graph.edges.len() >= 6 && graph.unpaired == 0,
                    "{} edges, {}",
                    graph.edges.len(),
                    graph.unpaired
                );
                println!(
                    "    {what}: {:.1} ms of CPU, {:.1} ms",
                    time.as_secs_f64() * 1e3,
                    began.elapsed().as_secs_f64() * 1e3
                );
                time
            })
            .collect();
        times.sort();
    };
    println!("the graph of the hour");
    ask(&store, "with a head");
    store.seal().unwrap();
    ask(&store, "sealed");
    store.close();
    drop(store);
    let store = Store::open(options()).unwrap();
    ask(&store, "opened again");
}
