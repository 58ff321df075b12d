//! Traces of a small shop with something planted in them, for tests of the analyses.

use std::ops::ControlFlow;
use std::sync::Arc;

use parsers::record::{
    Attributes, Labels, LogRecord, Resource, Scope, Severity, Span, SpanId, SpanKind, Spelling, SpellingKind,
    Status, StatusCode, TraceId, Value,
};
use store::read::{ReadError, ScanReport, SpanSelect, TraceRead, TraceRecords, Window};

/// Spans and lines in memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    pub(super) traces: Vec<(Vec<Span>, Vec<LogRecord>)>,
}

impl TraceRead for Memory {
    fn trace(&self, id: TraceId, _: usize) -> Result<TraceRecords, ReadError> {
        let found = self.traces.iter().find(|(spans, _)| spans.iter().any(|span| span.trace_id == id));
        let (spans, logs) = found.cloned().unwrap_or_default();
        Ok(TraceRecords { spans, logs, ..TraceRecords::default() })
    }

    fn scan_traces(
        &self,
        select: &SpanSelect,
        visit: &mut dyn FnMut(Vec<Span>) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        for (spans, _) in &self.traces {
            if spans.iter().any(|span| select.window.contains(span.start)) && visit(spans.clone()).is_break()
            {
                break;
            }
        }
        Ok(ScanReport::default())
    }

    fn services(&self, _: Window) -> Result<Vec<(String, Vec<String>)>, ReadError> {
        Ok(Vec::new())
    }
}

/// Numbers that look random and are the same each time.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end.max(1)
    }
}

pub(super) const MS: u64 = 1_000_000;

/// One request: `frontend GET /cart` calls `catalog GET /products`, which runs `SELECT products`.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) number: u64,
    pub(super) start: u64,
    pub(super) customer: String,
    pub(super) version: &'static str,
    /// Time that the frontend waits before the catalog begins, ns.
    pub(super) waits: u64,
    /// Whether the frontend fails though nobody else does.
    pub(super) gives_up: bool,
    /// Time of the statement, ns.
    pub(super) statement: u64,
    pub(super) statement_fails: bool,
    /// Time of `reviews GET /stars`, ns, if the frontend asks that too.
    pub(super) reviews: Option<u64>,
    /// Lines inside the statement.
    pub(super) lines: Vec<String>,
}

impl Request {
    /// An ordinary one.
    pub(super) fn new(number: u64, dice: &mut Dice) -> Self {
        Self {
            number,
            start: 1_000_000 * MS + number * 100 * MS,
            customer: ["initech", "hooli", "umbrella", "acme"][dice.below(4) as usize].to_owned(),
            version: "1.0.0",
            waits: 0,
            gives_up: false,
            statement: (5 + dice.below(5)) * MS,
            statement_fails: false,
            reviews: Some(4 * MS),
            lines: vec![format!("read {} rows", dice.below(100))],
        }
    }

    pub(super) fn trace(&self) -> TraceId {
        let bits = u128::from(self.number.wrapping_add(1)) << 64 | u128::from(self.number * 7919 + 13);
        TraceId::new(bits, Spelling::new(SpellingKind::Hex(32))).unwrap()
    }

    fn span(&self, id: u64, parent: u64, service: &str, name: &str, start: u64, end: u64) -> Span {
        let text = |text: &str| Value::Str(text.to_owned());
        let resource: Attributes = vec![
            ("service.name".to_owned(), text(service)),
            ("service.version".to_owned(), text(if service == "catalog" { self.version } else { "3.1" })),
            ("k8s.pod.name".to_owned(), text(&format!("{service}-{}", self.version))),
        ];
        Span {
            trace_id: self.trace(),
            span_id: SpanId::new(self.number * 16 + id).unwrap(),
            parent_span_id: (parent != 0).then(|| SpanId::new(self.number * 16 + parent).unwrap()),
            trace_state: String::new(),
            flags: 1,
            name: name.to_owned(),
            kind: SpanKind::Internal,
            start: self.start + start,
            end: self.start + end,
            attributes: vec![("request.id".to_owned(), text(&format!("{}-{id}", self.number)))],
            events: Vec::new(),
            links: Vec::new(),
            status: Status::default(),
            resource: Arc::new(Resource { attributes: resource }),
            scope: Arc::new(Scope::default()),
        }
    }

    pub(super) fn stored(&self) -> (Vec<Span>, Vec<LogRecord>) {
        let begun = self.waits + 2 * MS;
        let end = begun + 8 * MS + self.statement;
        let last = self.reviews.map_or(end, |reviews| end.max(2 * MS + reviews));
        let mut root = self.span(1, 0, "frontend", "GET /cart", 0, last + 6 * MS);
        root.attributes.push(("customer".to_owned(), Value::Str(self.customer.clone())));
        let products = self.span(2, 1, "catalog", "GET /products", begun, end + MS);
        let asked = begun + 3 * MS;
        let mut statement = self.span(3, 2, "catalog", "SELECT products", asked, asked + self.statement);
        statement.attributes.extend([
            ("code.filepath".to_owned(), Value::Str("catalog/db.go".to_owned())),
            ("code.lineno".to_owned(), Value::Int(42)),
        ]);
        if self.gives_up {
            root.status.code = StatusCode::Error;
        }
        if self.statement_fails {
            for span in [&mut statement, &mut root] {
                span.status.code = StatusCode::Error;
            }
        }
        let mut spans = vec![root, products, statement];
        if let Some(reviews) = self.reviews {
            spans.push(self.span(4, 1, "reviews", "GET /stars", 2 * MS, 2 * MS + reviews));
        }
        let line = |line: &String| LogRecord {
            time: self.start + 6 * MS,
            observed: self.start + 6 * MS,
            labels: Arc::new(Labels::new([("service_name", "catalog")])),
            metadata: Vec::new(),
            trace_id: Some(self.trace()),
            span_id: SpanId::new(self.number * 16 + 3),
            severity: Severity::Info,
            line: line.clone().into_bytes(),
            source: None,
            rule: None,
        };
        (spans, self.lines.iter().map(line).collect())
    }
}

/// So many requests, each as `plant` leaves it.
pub(super) fn shop(seed: u64, requests: u64, plant: impl Fn(&mut Request, &mut Dice)) -> Memory {
    let mut dice = Dice::new(seed);
    let mut traces = Vec::new();
    for number in 1..=requests {
        let mut request = Request::new(number, &mut dice);
        plant(&mut request, &mut dice);
        traces.push(request.stored());
    }
    Memory { traces }
}
