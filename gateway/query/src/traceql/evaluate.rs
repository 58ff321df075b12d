//! A query over whole traces.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use parsers::record::{Span, StatusCode, Value, attribute};
use store::read::{ReadError, SpanSelect, TraceRead, Window};

use super::parser::field_of;
use super::{Condition, Field, Found, Query, SearchParams, ServiceStats, SpanHit, Spans, TraceHit, Wanted};
use crate::QueryError;

/// Traces looked at for tag names and values: recent ones tell what is in use.
const TAG_TRACES: usize = 2_000;

/// Traces that have spans as asked for, newest first.
pub fn search(query: &Query, traces: &dyn TraceRead, params: &SearchParams) -> Result<Found, QueryError> {
    let window = Window { start: params.start, end: params.end };
    let mut select = SpanSelect { window, service: None, name: None };
    if let Spans::Where(Some(condition)) = &query.spans {
        narrow(condition, &mut select);
    }
    let mut hits = Vec::new();
    let report = traces.scan_traces(&select, &mut |spans| {
        if hits.len() < params.limit {
            hits.extend(hit(query, &spans, params.spans_per_set));
        }
        if hits.len() < params.limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(Found { hits, report })
}

/// What every span that is looked for must have.
fn narrow(condition: &Condition, select: &mut SpanSelect) {
    match condition {
        Condition::And(left, right) => {
            narrow(left, select);
            narrow(right, select);
        }
        Condition::Compare { field, op: "=", value: Wanted::Text(value) } => match field {
            Field::Resource(key) if key == "service.name" => select.service = Some(value.clone()),
            Field::Name => select.name = Some(value.clone()),
            _ => {}
        },
        _ => {}
    }
}

/// What conditions on the whole trace look at.
struct Trace<'a> {
    root: &'a Span,
    start: u64,
    end: u64,
}

fn hit(query: &Query, spans: &[Span], shown: usize) -> Option<TraceHit> {
    let root = spans
        .iter()
        .filter(|span| span.parent_span_id.is_none())
        .min_by_key(|span| span.start)
        .or_else(|| spans.iter().min_by_key(|span| span.start))?;
    let start = spans.iter().map(|span| span.start).min()?;
    let end = spans.iter().map(|span| span.end).max()?;
    let trace = Trace { root, start, end };
    let matched = matching(&query.spans, spans, &trace);
    if matched.is_empty() {
        return None;
    }
    if let Some((op, bound)) = query.at_least
        && !ordered(op, matched.len() as f64, bound)
    {
        return None;
    }
    let mut services: BTreeMap<String, ServiceStats> = BTreeMap::new();
    for span in spans {
        let stats = services.entry(span.resource.service().to_owned()).or_default();
        stats.spans += 1;
        stats.errors += u64::from(span.status.code == StatusCode::Error);
    }
    let compared = compared(&query.spans);
    let span_hit = |index: &usize| {
        let span = spans.get(*index)?;
        let fields = query.select.iter().chain(compared.iter().copied());
        let mut attributes: Vec<(String, Value)> = Vec::new();
        for field in fields {
            let (Field::Resource(key) | Field::Span(key) | Field::Any(key)) = field else { continue };
            if let Some(value) = value(field, span, &trace).filter(|_| attribute(&attributes, key).is_none())
            {
                attributes.push((key.clone(), value.into_owned()));
            }
        }
        Some(SpanHit {
            span_id: span.span_id,
            name: span.name.clone(),
            start: span.start,
            duration: span.duration(),
            attributes,
        })
    };
    Some(TraceHit {
        trace_id: root.trace_id,
        root_service: root.resource.service().to_owned(),
        root_name: root.name.clone(),
        start,
        duration: end.saturating_sub(start),
        spans: matched.iter().take(shown).filter_map(span_hit).collect(),
        matched: matched.len() as u64,
        services,
    })
}

/// The fields that the conditions compare, which a table shows beside each span.
fn compared(spans: &Spans) -> Vec<&Field> {
    fn of<'a>(condition: &'a Condition, out: &mut Vec<&'a Field>) {
        match condition {
            Condition::And(left, right) | Condition::Or(left, right) => {
                of(left, out);
                of(right, out);
            }
            Condition::Not(inner) => of(inner, out),
            Condition::Compare { field, .. } => out.push(field),
            Condition::Always(_) => {}
        }
    }
    let mut out = Vec::new();
    match spans {
        Spans::Where(Some(condition)) => of(condition, &mut out),
        Spans::Where(None) => {}
        Spans::Both(left, right) | Spans::Either(left, right) => {
            out.extend(compared(left));
            out.extend(compared(right));
        }
    }
    out
}

/// Indices of the spans that are in the set.
fn matching(set: &Spans, spans: &[Span], trace: &Trace<'_>) -> BTreeSet<usize> {
    match set {
        Spans::Where(None) => (0..spans.len()).collect(),
        Spans::Where(Some(condition)) => spans
            .iter()
            .enumerate()
            .filter(|(_, span)| holds(condition, span, trace))
            .map(|(i, _)| i)
            .collect(),
        Spans::Both(left, right) => {
            let (left, right) = (matching(left, spans, trace), matching(right, spans, trace));
            if left.is_empty() || right.is_empty() { BTreeSet::new() } else { &left | &right }
        }
        Spans::Either(left, right) => &matching(left, spans, trace) | &matching(right, spans, trace),
    }
}

fn holds(condition: &Condition, span: &Span, trace: &Trace<'_>) -> bool {
    match condition {
        Condition::And(left, right) => holds(left, span, trace) && holds(right, span, trace),
        Condition::Or(left, right) => holds(left, span, trace) || holds(right, span, trace),
        Condition::Not(inner) => !holds(inner, span, trace),
        Condition::Always(truth) => *truth,
        Condition::Compare { field, op, value: wanted } => {
            let value = value(field, span, trace);
            match wanted {
                Wanted::Nil => value.is_none() == (*op == "="),
                _ => value.is_some_and(|value| compare(&value, op, wanted)),
            }
        }
    }
}

fn compare(value: &Value, op: &str, wanted: &Wanted) -> bool {
    let equal = match (value, wanted) {
        (Value::Str(text), Wanted::Matches(regex)) => return regex.is_match(text) == (op == "=~"),
        (_, Wanted::Matches(_)) => return false,
        (Value::Int(_) | Value::Double(_), Wanted::Number(bound)) => {
            return number(value).is_some_and(|number| ordered(op, number, *bound));
        }
        (Value::Str(text), Wanted::Text(wanted)) => {
            return match op {
                "=" => text == wanted,
                "!=" => text != wanted,
                _ => ordered_text(op, text, wanted),
            };
        }
        (Value::Bool(truth), Wanted::Truth(wanted)) => truth == wanted,
        // The older form of a search knows only texts.
        (Value::Int(_) | Value::Double(_), Wanted::Text(wanted)) => {
            number(value).is_some_and(|number| wanted.parse() == Ok(number))
        }
        (Value::Bool(truth), Wanted::Text(wanted)) => wanted.parse() == Ok(*truth),
        _ => return false,
    };
    equal == (op == "=")
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Double(number) => Some(*number),
        _ => None,
    }
}

fn ordered(op: &str, value: f64, bound: f64) -> bool {
    match op {
        "=" => value == bound,
        "!=" => value != bound,
        ">" => value > bound,
        ">=" => value >= bound,
        "<" => value < bound,
        "<=" => value <= bound,
        _ => false,
    }
}

fn ordered_text(op: &str, value: &str, bound: &str) -> bool {
    match op {
        ">" => value > bound,
        ">=" => value >= bound,
        "<" => value < bound,
        "<=" => value <= bound,
        _ => false,
    }
}

/// What a field is in a span; `None` where it has none.
fn value<'a>(field: &Field, span: &'a Span, trace: &Trace<'_>) -> Option<Cow<'a, Value>> {
    let text = |text: &str| Some(Cow::Owned(Value::Str(text.to_owned())));
    let nanos = |nanos: u64| Some(Cow::Owned(Value::Double(nanos as f64)));
    match field {
        Field::Resource(key) => attribute(&span.resource.attributes, key).map(Cow::Borrowed),
        Field::Span(key) => attribute(&span.attributes, key).map(Cow::Borrowed),
        Field::Any(key) => attribute(&span.attributes, key)
            .or_else(|| attribute(&span.resource.attributes, key))
            .map(Cow::Borrowed),
        Field::Name => text(&span.name),
        Field::Kind => text(span.kind.as_str()),
        Field::Status => text(span.status.code.as_str()),
        Field::StatusMessage => text(&span.status.message),
        Field::Duration => nanos(span.duration()),
        Field::RootName => text(&trace.root.name),
        Field::RootService => text(trace.root.resource.service()),
        Field::TraceDuration => nanos(trace.end.saturating_sub(trace.start)),
        Field::TraceId => text(&span.trace_id.to_string()),
        Field::SpanId => text(&span.span_id.to_string()),
        Field::ParentId => span.parent_span_id.and_then(|id| text(&id.to_string())),
    }
}

/// Names of attributes by scope, drawn from recent traces.
pub fn tags(
    traces: &dyn TraceRead,
    window: Window,
    limit: usize,
) -> Result<Vec<(&'static str, Vec<String>)>, QueryError> {
    let (mut resource, mut span) = (BTreeSet::new(), BTreeSet::new());
    recent(traces, window, &mut |spans| {
        for one in spans {
            resource.extend(one.resource.attributes.iter().map(|(key, _)| key.clone()));
            span.extend(one.attributes.iter().map(|(key, _)| key.clone()));
        }
    })?;
    let intrinsic = [
        "duration",
        "kind",
        "name",
        "rootName",
        "rootServiceName",
        "status",
        "statusMessage",
        "traceDuration",
    ];
    Ok(vec![
        ("resource", resource.into_iter().take(limit).collect()),
        ("span", span.into_iter().take(limit).collect()),
        ("intrinsic", intrinsic.iter().map(|&name| name.to_owned()).collect()),
    ])
}

/// Values of an attribute with their types, drawn from recent traces; of those that meet the query, if one is given.
pub fn tag_values(
    traces: &dyn TraceRead,
    tag: &str,
    query: Option<&Query>,
    window: Window,
    limit: usize,
) -> Result<Vec<(&'static str, String)>, QueryError> {
    let words = |words: &[&str]| words.iter().map(|word| ("keyword", (*word).to_owned())).collect();
    let field = field_of(tag).unwrap_or_else(|| Field::Any(tag.to_owned()));
    match field {
        Field::Status => return Ok(words(&["error", "ok", "unset"])),
        Field::Kind => {
            return Ok(words(&["client", "consumer", "internal", "producer", "server", "unspecified"]));
        }
        Field::Duration | Field::TraceDuration => return Ok(Vec::new()),
        _ => {}
    }
    let mut found = BTreeSet::new();
    recent(traces, window, &mut |spans| {
        let Some(root) = spans.iter().find(|span| span.parent_span_id.is_none()).or(spans.first()) else {
            return;
        };
        let trace = Trace {
            root,
            start: spans.iter().map(|span| span.start).min().unwrap_or(0),
            end: spans.iter().map(|span| span.end).max().unwrap_or(0),
        };
        let wanted = query.map(|query| matching(&query.spans, spans, &trace));
        for (index, span) in spans.iter().enumerate() {
            if wanted.as_ref().is_some_and(|wanted| !wanted.contains(&index)) || found.len() >= limit {
                continue;
            }
            let shown = match value(&field, span, &trace).as_deref() {
                Some(Value::Str(text)) => ("string", text.clone()),
                Some(Value::Int(number)) => ("int", number.to_string()),
                Some(Value::Double(number)) => ("float", number.to_string()),
                Some(Value::Bool(truth)) => ("bool", truth.to_string()),
                _ => continue,
            };
            found.insert(shown);
        }
    })?;
    Ok(found.into_iter().collect())
}

fn recent(traces: &dyn TraceRead, window: Window, visit: &mut dyn FnMut(&[Span])) -> Result<(), ReadError> {
    let mut seen = 0;
    traces.scan_traces(&SpanSelect { window, service: None, name: None }, &mut |spans| {
        visit(&spans);
        seen += 1;
        if seen < TAG_TRACES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(())
}
