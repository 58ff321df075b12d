//! Containers that log beside their spans, most lines without an id, and the truth of which request wrote each line.
//!
//! What differs from container to container: how many requests run at once, whether threads tell them apart, how many are sampled,
//! how many lines carry an id, how much the container writes of itself, and how far its clock is off.

use std::collections::HashMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::dice::Dice;

const MS: u64 = 1_000_000;
/// Requests of a container come in bursts with pauses between, each as long as the other, of this many ms.
const BURST: u64 = 4_000;
const PATHS: [&str; 6] = ["/cart", "/checkout", "/hello", "/products", "/orders", "/login"];

/// Whether threads tell requests apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// A thread for each request, from a pool that is used again.
    Pool,
    /// Spans and lines name whichever thread of a few happened to run the task.
    Tasks,
    /// Neither names one.
    Silent,
}

/// What a container is like.
#[derive(Debug, Clone, Copy)]
pub struct Container {
    /// Requests that run at once on average, in a burst.
    pub at_once: u64,
    /// Its threads.
    pub threads: Threads,
    /// Of a thousand requests, those that send spans.
    pub sampled: u64,
    /// Of a thousand lines, those that carry an id.
    pub with_id: u64,
    /// Lines a second that no request writes.
    pub own_lines: u64,
    /// How far its clock is off, ms.
    pub off: i64,
}

/// What was made.
#[derive(Debug, Default)]
pub struct Untold {
    /// Trace export requests.
    pub spans: Vec<Vec<u8>>,
    /// Log export requests.
    pub logs: Vec<Vec<u8>>,
    /// How many of each.
    pub counts: (u64, u64),
    /// Which trace wrote the line with this number, of those that carry no id; none for the container's own.
    pub truth: HashMap<u64, Option<u128>>,
    /// Traces with spans, with the number of the container that served them, in random order.
    pub traces: Vec<(u128, usize)>,
}

/// The containers of a usual run: from one request at a time to fifty, in all manners.
pub fn containers() -> Vec<Container> {
    let mut list = Vec::new();
    for (n, at_once) in [1, 2, 5, 10, 20, 50].into_iter().enumerate() {
        for (m, threads) in [Threads::Pool, Threads::Tasks, Threads::Silent].into_iter().enumerate() {
            let number = n * 3 + m;
            list.push(Container {
                at_once,
                threads,
                sampled: [1000, 1000, 300, 1000, 100][number % 5],
                with_id: [500, 0, 300, 0][number % 4],
                own_lines: [1, 20, 5, 0, 60, 2, 200][number % 7],
                off: [0, 2_700, -1_300, 40][number % 4],
            });
        }
    }
    list
}

/// Containers whose lines never have an id, of whose requests some to most are sampled out: nothing but spans and words tells.
pub fn silent_containers() -> Vec<Container> {
    let mut list = Vec::new();
    for sampled in [100, 300, 700] {
        for at_once in [1, 5, 20] {
            for threads in [Threads::Pool, Threads::Tasks, Threads::Silent] {
                let own_lines = [0, 10, 2, 40][list.len() % 4];
                list.push(Container { at_once, threads, sampled, with_id: 0, own_lines, off: 40 });
            }
        }
    }
    list
}

/// `requests` requests of each container, from `start` nanoseconds on.
pub fn untold(seed: u64, containers: &[Container], requests: usize, start: u64) -> Untold {
    let mut made = Untold::default();
    let mut dice = Dice::new(seed);
    for (number, container) in containers.iter().enumerate() {
        let mut one = Making { dice: &mut dice, container, start, lines: Vec::new(), spans: Vec::new() };
        let last = one.requests(requests, number, &mut made);
        one.own(last, &mut made);
        let Making { lines, spans, .. } = one;
        let resource = || {
            let pod = format!("untold-{number}-x1");
            let attributes = vec![
                text("service.name", &format!("untold-{number}")),
                text("k8s.namespace.name", "shop"),
                text("k8s.pod.name", &pod),
                text("k8s.container.name", "app"),
            ];
            Some(Resource { attributes, ..Resource::default() })
        };
        made.counts.0 += spans.len() as u64;
        made.counts.1 += lines.len() as u64;
        for spans in spans.chunks(1000) {
            let scope_spans = vec![ScopeSpans { spans: spans.to_vec(), ..ScopeSpans::default() }];
            let of = ResourceSpans { resource: resource(), scope_spans, ..ResourceSpans::default() };
            made.spans.push(ExportTraceServiceRequest { resource_spans: vec![of] }.encode_to_vec());
        }
        for lines in lines.chunks(1000) {
            let scope_logs = vec![ScopeLogs { log_records: lines.to_vec(), ..ScopeLogs::default() }];
            let of = ResourceLogs { resource: resource(), scope_logs, ..ResourceLogs::default() };
            made.logs.push(ExportLogsServiceRequest { resource_logs: vec![of] }.encode_to_vec());
        }
    }
    dice.shuffle(&mut made.traces);
    made
}

struct Making<'a> {
    dice: &'a mut Dice,
    container: &'a Container,
    start: u64,
    lines: Vec<LogRecord>,
    spans: Vec<Span>,
}

/// A request, as its lines tell of it.
struct Request {
    trace: u128,
    span: u64,
    begin: u64,
    end: u64,
    thread: usize,
    path: &'static str,
    user: u64,
    id: String,
    status: u16,
}

impl Making<'_> {
    fn shown(&self, time: u64) -> u64 {
        time.saturating_add_signed(self.container.off * MS as i64)
    }

    /// Gives the end of the last one.
    fn requests(&mut self, count: usize, number: usize, made: &mut Untold) -> u64 {
        let mean = 60.0 * MS as f64;
        let apart = mean / self.container.at_once as f64;
        let mut now = self.start;
        let mut free: Vec<u64> = Vec::new();
        let mut last = now;
        for _ in 0..count {
            now += self.dice.waiting(apart) as u64;
            if (now - self.start) / (BURST * MS) % 2 == 1 {
                now = self.start + ((now - self.start) / (BURST * MS) + 1) * BURST * MS;
            }
            let long = (self.dice.waiting(mean) as u64).clamp(3 * MS, 600 * MS);
            let end = now + long;
            last = last.max(end);
            // The first thread that is idle.
            let thread = free.iter().position(|until| *until < now).unwrap_or_else(|| {
                free.push(0);
                free.len() - 1
            });
            free[thread] = end;
            let id = self.dice.trace_id();
            let request = Request {
                trace: self.dice.trace_id(),
                span: self.dice.span_id(),
                begin: now,
                end,
                thread,
                path: self.dice.pick::<&str>(&PATHS),
                user: self.dice.below(200),
                id: format!("{:016x}", (id >> 64) as u64),
                status: if self.dice.chance(50) { 500 } else { 200 },
            };
            let sampled = self.dice.chance(self.container.sampled);
            if sampled {
                made.traces.push((request.trace, number));
                self.span(&request);
            }
            for _ in 0..=self.dice.below(5) {
                let at = now + self.dice.below(long);
                self.line(&request, at, sampled, made);
            }
        }
        last
    }

    fn thread(&mut self, own: usize) -> Option<String> {
        match self.container.threads {
            Threads::Pool => Some(format!("exec-{own}")),
            Threads::Tasks => Some(format!("worker-{}", self.dice.below(4))),
            Threads::Silent => None,
        }
    }

    fn span(&mut self, request: &Request) {
        let mut attributes = vec![
            text("http.request.method", "GET"),
            text("url.path", request.path),
            text("http.response.status_code", &request.status.to_string()),
        ];
        if self.dice.chance(500) {
            attributes.push(text("user.id", &format!("u-{}", request.user)));
        }
        if self.dice.chance(300) {
            attributes.push(text("http.request.header.x-request-id", &request.id));
        }
        if let Some(thread) = self.thread(request.thread) {
            attributes.push(text("thread.name", &thread));
        }
        let (begin, end) = (self.shown(request.begin), self.shown(request.end));
        self.spans.push(Span {
            trace_id: request.trace.to_be_bytes().to_vec(),
            span_id: request.span.to_be_bytes().to_vec(),
            name: format!("GET {}", request.path),
            kind: 2,
            start_time_unix_nano: begin,
            end_time_unix_nano: end,
            attributes: attributes.clone(),
            ..Span::default()
        });
        if self.dice.chance(600) {
            let third = (end - begin) / 3;
            self.spans.push(Span {
                trace_id: request.trace.to_be_bytes().to_vec(),
                span_id: self.dice.span_id().to_be_bytes().to_vec(),
                parent_span_id: request.span.to_be_bytes().to_vec(),
                name: "SELECT".to_owned(),
                kind: 3,
                start_time_unix_nano: begin + third,
                end_time_unix_nano: end - third,
                attributes: attributes.pop().into_iter().filter(|a| a.key == "thread.name").collect(),
                ..Span::default()
            });
        }
    }

    fn line(&mut self, request: &Request, at: u64, sampled: bool, made: &mut Untold) {
        let number = made.counts.1 + self.lines.len() as u64;
        let thread = self.thread(request.thread);
        let said = match self.dice.below(7) {
            0 => format!("answered path={} status={}", request.path, request.status),
            1 => format!("stock checked user=u-{}", request.user),
            2 => format!("GET {} HTTP/1.1 {} 12ms", request.path, request.status),
            3 => format!("order placed request_id={}", request.id),
            4 => "cache missed, loading".to_owned(),
            5 => format!("query took {} ms", self.dice.below(90)),
            _ => "retrying upstream".to_owned(),
        };
        let with_id = self.dice.chance(self.container.with_id);
        let id = if with_id { format!(" trace_id={:032x}", request.trace) } else { String::new() };
        let in_brackets = thread.map(|thread| format!("[{thread}] ")).unwrap_or_default();
        if !with_id {
            made.truth.insert(number, Some(request.trace).filter(|_| sampled));
        }
        self.write(at, &format!("INFO {in_brackets}{said}{id} #{number}"));
    }

    /// What the container writes of itself, until a while after the last request.
    fn own(&mut self, last: u64, made: &mut Untold) {
        if self.container.own_lines == 0 {
            return;
        }
        let mut now = self.start;
        let apart = 1e9 / self.container.own_lines as f64;
        while now < last + 5_000 * MS {
            now += self.dice.waiting(apart) as u64;
            let number = made.counts.1 + self.lines.len() as u64;
            let said = match self.dice.below(4) {
                0 => "heartbeat sent".to_owned(),
                // Words that requests use, too.
                1 => "cache missed, loading".to_owned(),
                2 => format!("consumer caught up, {} left", self.dice.below(100)),
                _ => format!("GET /healthz HTTP/1.1 200 {}ms", self.dice.below(3)),
            };
            let thread = self.dice.below(3);
            let thread = match self.container.threads {
                Threads::Silent => String::new(),
                Threads::Tasks => format!("[worker-{thread}] "),
                Threads::Pool => format!("[scheduler-{thread}] "),
            };
            made.truth.insert(number, None);
            self.write(now, &format!("INFO {thread}{said} #{number}"));
        }
    }

    fn write(&mut self, at: u64, line: &str) {
        let body = Some(AnyValue { value: Some(Value::StringValue(line.to_owned())) });
        self.lines.push(LogRecord { time_unix_nano: self.shown(at), body, ..LogRecord::default() });
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}
