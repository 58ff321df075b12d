//! Traces in memory, written as lines of text, for the tests of what queries find.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use parsers::record::*;
use store::read::{ReadError, ScanReport, SpanSelect, TraceRead, TraceRecords, Window};

use super::super::lexer::value_of;
use super::super::{Static, parse};

/// Second 0 of what is stored.
pub(super) const ZERO: u64 = 1_700_000_000_000_000_000;
const MILLISECOND: u64 = 1_000_000;

/// Traces, each with its spans.
#[derive(Default)]
pub(super) struct Stored(pub(super) Vec<Vec<Span>>);

impl TraceRead for Stored {
    fn trace(&self, id: TraceId, _: usize) -> Result<TraceRecords, ReadError> {
        let spans = self.0.iter().flatten().filter(|span| span.trace_id.matches(id).is_some());
        Ok(TraceRecords { spans: spans.cloned().collect(), ..TraceRecords::default() })
    }

    fn scan_traces(
        &self,
        _: &SpanSelect,
        visit: &mut dyn FnMut(Vec<Span>) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        let _ = self.0.iter().cloned().try_for_each(visit);
        Ok(ScanReport::default())
    }

    fn services(&self, _: Window) -> Result<Vec<(String, Vec<String>)>, ReadError> {
        Ok(Vec::new())
    }
}

pub(super) fn bare(trace: u64, id: u64, parent: u64) -> Span {
    Span {
        trace_id: TraceId::new(u128::from(trace), Spelling::new(SpellingKind::Binary)).unwrap(),
        span_id: SpanId::new(id).unwrap(),
        parent_span_id: SpanId::new(parent),
        trace_state: String::new(),
        flags: 0,
        name: String::new(),
        kind: SpanKind::Internal,
        start: ZERO,
        end: ZERO,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        status: Status::default(),
        resource: Arc::new(Resource::default()),
        scope: Arc::new(Scope::default()),
    }
}

/// `"x"`, `5`, `0.5`, `true`, `[1,2]`.
fn value(text: &str) -> Value {
    if let Some(items) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return Value::Array(items.split(',').map(value).collect());
    }
    match (value_of(text), text.parse(), text.parse()) {
        (Some(Static::Bool(truth)), ..) => Value::Bool(truth),
        (_, Ok(number), _) => Value::Int(number),
        (_, _, Ok(number)) => Value::Double(number),
        _ => Value::Str(text.trim_matches('"').to_owned()),
    }
}

/// One line a span: `trace id parent service name start-ms length-ms` and words: `status=`, `kind=`, `message=`, `lib=name/version`,
/// `event=name@ms`, `link=trace/span`, `resource.x=`, `event.x=`, `link.x=` and `x=` for attributes.
pub(super) fn read(text: &str) -> Stored {
    let mut traces: BTreeMap<u64, Vec<Span>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [trace, id, parent, service, name, start, length, rest @ ..] = words.as_slice() else {
            panic!("{line}")
        };
        let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("{text} in {line}"));
        let mut span = bare(number(trace), number(id), if *parent == "-" { 0 } else { number(parent) });
        span.name = (*name).to_owned();
        span.start = ZERO + number(start) * MILLISECOND;
        span.end = span.start + number(length) * MILLISECOND;
        let mut resource = vec![("service.name".to_owned(), Value::Str((*service).to_owned()))];
        let mut scope = Scope::default();
        for word in rest {
            let (key, text) = word.split_once('=').unwrap_or_else(|| panic!("{word} in {line}"));
            match key {
                "status" => {
                    span.status.code = if text == "error" { StatusCode::Error } else { StatusCode::Ok };
                }
                "message" => span.status.message = text.to_owned(),
                "kind" => {
                    span.kind = (0..6).map(SpanKind::from_code).find(|kind| kind.as_str() == text).unwrap();
                }
                "lib" => {
                    let (name, version) = text.split_once('/').unwrap();
                    (scope.name, scope.version) = (name.to_owned(), version.to_owned());
                }
                "event" => {
                    let (name, at) = text.split_once('@').unwrap();
                    let time = span.start + number(at) * MILLISECOND;
                    span.events.push(Event { time, name: name.to_owned(), attributes: Vec::new() });
                }
                "link" => {
                    let (trace, id) = text.split_once('/').unwrap();
                    span.links.push(Link {
                        trace_id: Some(bare(number(trace), 1, 0).trace_id),
                        span_id: SpanId::new(number(id)),
                        attributes: Vec::new(),
                    });
                }
                _ => {
                    let (list, key) = match key.split_once('.') {
                        Some(("resource", key)) => (&mut resource, key),
                        Some(("lib", key)) => (&mut scope.attributes, key),
                        Some(("event", key)) => (&mut span.events.last_mut().unwrap().attributes, key),
                        Some(("link", key)) => (&mut span.links.last_mut().unwrap().attributes, key),
                        _ => (&mut span.attributes, key),
                    };
                    list.push((key.to_owned(), value(text)));
                }
            }
        }
        span.resource = Arc::new(Resource { attributes: resource });
        span.scope = Arc::new(scope);
        traces.entry(number(trace)).or_default().push(span);
    }
    Stored(traces.into_values().collect())
}

/// Blocks of a file of cases: spans, an empty line, `query => answer` lines, `---` between blocks.
pub(super) fn blocks(text: &str) -> impl Iterator<Item = (Stored, Vec<(&str, &str)>)> {
    text.split("\n---\n").map(|block| {
        let (spans, cases) = block.split_once("\n\n").unwrap_or_else(|| panic!("no cases: {block}"));
        let spans = spans.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
        let cases = cases.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        let cases =
            cases.map(|case| case.split_once("=>").map(|(query, answer)| (query.trim(), answer.trim())));
        (read(&spans), cases.map(|case| case.expect("query => answer")).collect())
    })
}

pub(super) fn query(text: &str) -> super::super::Query {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}
