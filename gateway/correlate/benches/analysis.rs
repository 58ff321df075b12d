//! What analyses cost over a sealed store: `cargo bench -p correlate [-- TRACES]` (10,000 unless given), of 8 spans and 20 lines
//! each. Told are the CPU time and the wall time of one question; the budget is a second.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program whose product is a table")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use correlate::analysis::compare::{CompareQuestion, Selection, VersionsQuestion};
use correlate::analysis::{AnalysisOptions, Analyst, VarianceQuestion};
use parsers::otlp::SpanEncoder;
use parsers::record::{
    Batch, Labels, LogBatch, LogRow, Resource, Scope, Span, SpanId, SpanKind, Spelling, SpellingKind, Status,
    StatusCode, TraceId, Value,
};
use store::read::Window;
use store::{Store, StoreOptions};

const MS: u64 = 1_000_000;
const START: u64 = 1_760_000_000_000 * MS;
const SERVICES: [&str; 8] =
    ["frontend", "cart", "catalog", "db", "checkout", "payment", "inventory", "reviews"];
const LINES: u64 = 20;
const BATCH: u64 = 500;
const ROUNDS: usize = 5;

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
    resources: Vec<Arc<Resource>>,
    scope: Arc<Scope>,
    dice: Dice,
}

impl Shop {
    fn new() -> Self {
        let resource = |service: &str, version: &str| {
            let pairs = [
                ("service.name", service.to_owned()),
                ("service.version", version.to_owned()),
                ("k8s.namespace.name", "shop".to_owned()),
                ("k8s.pod.name", format!("{service}-{version}-7d9f")),
                ("k8s.node.name", "node-3".to_owned()),
                ("telemetry.sdk.language", "go".to_owned()),
            ];
            let attributes = pairs.map(|(key, value)| (key.to_owned(), Value::Str(value)));
            Arc::new(Resource { attributes: attributes.into() })
        };
        let resources = ["1.9.0", "1.10.0"]
            .iter()
            .flat_map(|version| SERVICES.iter().map(move |service| resource(service, version)))
            .collect();
        Self { resources, scope: Arc::new(Scope::default()), dice: Dice(0x9e37_79b9_7f4a_7c15) }
    }

    /// Each service calls the next; a tenth goes through new versions, in which the database is slow.
    fn trace(&mut self, number: u64, spans: &mut SpanEncoder, logs: &mut LogBatch) {
        let spelling = Spelling::new(SpellingKind::Hex(32));
        let bits = u128::from(self.dice.below(u64::MAX)) << 64 | u128::from(self.dice.below(u64::MAX) | 1);
        let trace_id = TraceId::new(bits, spelling).unwrap();
        let canary = self.dice.below(10) == 0;
        let slow = if canary { (100 + self.dice.below(100)) * MS } else { self.dice.below(5) * MS };
        let (start, whole) = (START + number * 200_000, 40 * MS + slow);
        for (at, service) in SERVICES.iter().enumerate() {
            let (id, inset) = (number * 16 + at as u64 + 1, at as u64 * 2 * MS);
            let text = |text: String| Value::Str(text);
            let pairs = [
                ("http.route", text(format!("/{service}/{{id}}"))),
                ("http.request.method", text("GET".to_owned())),
                ("http.response.status_code", Value::Int(200)),
                ("net.peer.port", Value::Int(30_000 + self.dice.below(20_000) as i64)),
                ("user.id", text(format!("u-{}", self.dice.below(5_000)))),
                ("request.id", text(format!("{:x}", self.dice.below(u64::MAX)))),
                ("code.filepath", text(format!("{service}/handler.go"))),
                ("code.lineno", Value::Int(42)),
            ];
            let end = start + whole - inset / 2 - if at > 3 { slow } else { 0 };
            let resource = Arc::clone(&self.resources[at + if canary { SERVICES.len() } else { 0 }]);
            let failed = self.dice.below(100) == 0;
            spans
                .push(&Span {
                    trace_id,
                    span_id: SpanId::new(id).unwrap(),
                    parent_span_id: (at > 0).then(|| SpanId::new(id - 1).unwrap()),
                    trace_state: String::new(),
                    flags: 1,
                    name: format!("GET /{service}"),
                    kind: SpanKind::Server,
                    start: start + inset,
                    end,
                    attributes: pairs.map(|(key, value)| (key.to_owned(), value)).into(),
                    events: Vec::new(),
                    links: Vec::new(),
                    status: Status {
                        code: if failed { StatusCode::Error } else { StatusCode::Unset },
                        message: String::new(),
                    },
                    resource,
                    scope: Arc::clone(&self.scope),
                })
                .unwrap();
        }
        for line in 0..LINES {
            let at = line % 8;
            let text = match line {
                0 if canary => format!("[db.go:77] waited {} ms for lock", self.dice.below(900)),
                _ => format!(
                    "handled request {} in {} ms by {}",
                    number,
                    self.dice.below(90),
                    SERVICES[at as usize]
                ),
            };
            let range = logs.push_text(text.as_bytes());
            logs.rows.push(LogRow {
                time: start + at * 3 * MS,
                observed: start,
                trace: bits,
                span: number * 16 + at + 1,
                stream: at as u32,
                line: range,
                spelling,
                ..LogRow::default()
            });
        }
    }
}

fn fill(store: &Store, traces: u64) {
    let mut shop = Shop::new();
    for first in (0..traces).step_by(BATCH as usize) {
        let streams = SERVICES.map(|service| Arc::new(Labels::new([("service_name", service)])));
        let (mut spans, mut logs) =
            (SpanEncoder::default(), LogBatch { streams: streams.into(), ..LogBatch::default() });
        for number in first..traces.min(first + BATCH) {
            shop.trace(number, &mut spans, &mut logs);
        }
        store.append(Arc::new(Batch { spans: spans.finish(), logs, ..Batch::default() })).unwrap();
    }
    store.seal().unwrap();
}

/// CPU time of all threads, in hundredths of a second.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks = |place: usize| stat.rsplit(' ').nth(place).unwrap().parse::<u64>().unwrap();
    Duration::from_millis((ticks(38) + ticks(37)) * 10)
}

/// The middle of some rounds.
fn timed<T>(what: &str, mut ask: impl FnMut() -> T) -> T {
    let mut times: Vec<(Duration, Duration)> = Vec::new();
    loop {
        let (started, before) = (Instant::now(), cpu());
        let answer = ask();
        times.push((cpu().saturating_sub(before), started.elapsed()));
        if times.len() >= ROUNDS {
            times.sort();
            let (cpu, wall) = times[ROUNDS / 2];
            let ms = |time: Duration| time.as_secs_f64() * 1e3;
            println!("{what:<34} {:>7.0} ms of CPU, {:>7.0} ms (budget 1,000 ms)", ms(cpu), ms(wall));
            return answer;
        }
    }
}

fn main() {
    let traces = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(10_000);
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(dir.path())).unwrap();
    fill(&store, traces);
    println!("{traces} traces of {} spans and {LINES} lines", SERVICES.len());
    let store = Arc::new(store);
    let no_lines = AnalysisOptions { log_trace_limit: 0, ..AnalysisOptions::default() };
    let of_spans = Analyst::new(store.clone(), no_lines);
    let analyst = Analyst::new(store.clone(), AnalysisOptions::default()).with_logs(store);
    let window = Window::ALL;

    let (service, operation) = ("frontend".to_owned(), Some("GET /frontend".to_owned()));
    let asked = VarianceQuestion { service, operation, window, limit: 20 };
    let _ = timed("variance, no lines", || of_spans.variance(&asked).unwrap());
    let variance = timed("variance", || analyst.variance(&asked).unwrap());
    let first = &variance.contributors[0];
    println!(
        "  {:?} {:.2} {:?}",
        first.operation.operation,
        first.share,
        first.attributes.first().map(|a| &a.value)
    );

    let read = |text: &str| (text.to_owned(), Selection::read(text).unwrap());
    let (a, b) =
        ("name = \"GET /frontend\" && duration > 100ms", "name = \"GET /frontend\" && duration <= 100ms");
    let (a, b) = (read(&format!("{{ {a} }}")), read(&format!("{{ {b} }}")));
    let asked = CompareQuestion {
        a,
        a_window: window,
        b: Some(b),
        b_window: window,
        now: u64::MAX,
        limit: 50,
        pairs: 100,
    };
    let found = timed("compare, slow against others", || analyst.compare(&asked).unwrap());
    println!(
        "  {} of {} tested: {:?}",
        found.findings.len(),
        found.tested,
        found.findings.first().map(|f| &f.what)
    );

    let asked = VersionsQuestion {
        service: "db".to_owned(),
        by: "service.version".to_owned(),
        window,
        versions: 100,
        limit: 50,
    };
    let found = timed("versions", || analyst.versions(&asked).unwrap());
    let first = found.compared.first().and_then(|version| version.comparison.findings.first());
    println!(
        "  {:?}: {:?}",
        found.versions.iter().map(|v| (&v.version, v.share)).collect::<Vec<_>>(),
        first.map(|f| &f.what)
    );
}
