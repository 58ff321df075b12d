//! Names of attributes and their values, for the lists of query editors.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use parsers::record::Value;
use store::read::{
    AttributeScope, AttributeValue, ScanReport, SpanView, TraceRead, TraceSelect, TraceVisitor, ValueView,
    Window,
};

use super::ast::{Field, Intrinsic, Query, Scope, Static};
use super::expression::{At, Node, field_value};
use super::hint;
use super::names::{INTRINSICS, SCOPES};
use super::parser;
use super::pipeline::{Pipeline, Step};
use super::plan::Needed;
use super::sets::{Finder, union};
use super::trace::Trace;
use super::value::Val;
use crate::QueryError;

/// Spans whose attributes' names are gathered from a source that does not know them: what is in use occurs in the newest.
const NAME_SPANS: u64 = 20_000;
/// Spans whose values are gathered, for the same reason: a rarer value takes longer to come up.
const VALUE_SPANS: u64 = 200_000;
/// Spans that are read for the values of those that meet a query, which may be few.
const FILTERED_SPANS: u64 = 2_000_000;
/// How long values are looked for in spans: somebody is typing meanwhile. What was found until then is listed.
const VALUE_TIME: Duration = Duration::from_millis(1500);

/// Names by scope.
pub type Scopes = Vec<(&'static str, Vec<String>)>;

/// Names of attributes by scope, of all scopes but those without any: from statistics, or from recent spans of a source without,
/// as of spans that meet a query.
pub fn tags(
    traces: &dyn TraceRead,
    query: Option<&Query>,
    window: Window,
    limit: usize,
) -> Result<Scopes, QueryError> {
    let pipeline = narrowing(query)?;
    let mut names =
        Names { pipeline: pipeline.as_ref(), found: BTreeMap::new(), limit, started: Instant::now() };
    let known = if pipeline.is_none() { traces.statistics(window)? } else { None };
    if let Some(statistics) = known {
        for (scope, name) in statistics.iter().flat_map(|part| part.attributes.keys()) {
            names.add(scope_of(*scope), name);
        }
    } else {
        let needed = pipeline.as_ref().map(Needed::of).unwrap_or_default();
        let select = TraceSelect {
            window,
            reach: None,
            service: needed.service.clone(),
            contains: needed.contains.clone(),
            hint: needed.hint.clone(),
            wanted: &|span| needed.wants(span),
            whole: pipeline.is_some(),
        };
        traces.visit_traces(&select, &mut names)?;
    }
    let mut found = names.found;
    let mut scopes: Scopes = Vec::new();
    for scope in ["resource", "span", "event", "link", "instrumentation"] {
        let names: Vec<String> = found.remove(scope).unwrap_or_default().into_iter().collect();
        // The first two are there for whoever knows only them.
        if !names.is_empty() || matches!(scope, "resource" | "span") {
            scopes.push((scope, names));
        }
    }
    let mut intrinsics: Vec<String> = INTRINSICS
        .iter()
        .filter(|(intrinsic, _)| *intrinsic != Intrinsic::Parent)
        .flat_map(|(_, spellings)| spellings.iter().map(|name| (*name).to_owned()))
        .collect();
    intrinsics.sort_unstable();
    scopes.push(("intrinsic", intrinsics));
    Ok(scopes)
}

fn scope_of(place: AttributeScope) -> Scope {
    match place {
        AttributeScope::Resource => Scope::Resource,
        AttributeScope::Span => Scope::Span,
        AttributeScope::Event => Scope::Event,
        AttributeScope::Link => Scope::Link,
        AttributeScope::Instrumentation => Scope::Instrumentation,
    }
}

/// What a query leaves, if it leaves anything out.
fn narrowing(query: Option<&Query>) -> Result<Option<Pipeline>, QueryError> {
    let pipeline = query.map(|query| Pipeline::new(&query.pipeline)).transpose()?;
    Ok(pipeline.filter(|pipeline| !is_everything(pipeline)))
}

/// The spans of a trace that a pipeline leaves, by index; without one, all.
fn left(pipeline: Option<&Pipeline>, trace: &Trace<'_>) -> Vec<usize> {
    match pipeline {
        Some(pipeline) => pipeline.of(trace).into_iter().fold(Vec::new(), |all, set| union(&all, &set.spans)),
        None => (0..trace.spans.len()).collect(),
    }
}

struct Names<'a> {
    pipeline: Option<&'a Pipeline>,
    found: BTreeMap<&'static str, BTreeSet<String>>,
    limit: usize,
    started: Instant,
}

impl Names<'_> {
    fn add(&mut self, scope: Scope, name: &str) {
        let scope = SCOPES.iter().find(|(known, _)| *known == scope).map_or("", |(_, name)| name);
        let names = self.found.entry(scope).or_default();
        if names.len() < self.limit && !names.contains(name) {
            names.insert(name.to_owned());
        }
    }
}

impl TraceVisitor for Names<'_> {
    fn trace(&mut self, spans: &[SpanView<'_>]) -> ControlFlow<()> {
        let Some(trace) = Trace::new(spans) else { return ControlFlow::Continue(()) };
        for span in left(self.pipeline, &trace).into_iter().filter_map(|index| spans.get(index)) {
            let mut names = Vec::new();
            span.attributes(&mut |name, _| names.push(name.to_owned()));
            for name in &names {
                self.add(Scope::Span, name);
            }
            for (name, _) in &span.resource().attributes {
                self.add(Scope::Resource, name);
            }
            for (name, _) in &span.scope().attributes {
                self.add(Scope::Instrumentation, name);
            }
            let Some(whole) = span.whole() else { continue };
            for (name, _) in whole.events.iter().flat_map(|event| &event.attributes) {
                self.add(Scope::Event, name);
            }
            for (name, _) in whole.links.iter().flat_map(|link| &link.attributes) {
                self.add(Scope::Link, name);
            }
        }
        ControlFlow::Continue(())
    }

    fn progress(&mut self, report: ScanReport, _: u64) -> ControlFlow<()> {
        let most = if self.pipeline.is_some() { FILTERED_SPANS } else { NAME_SPANS };
        proceed(report, most, self.started)
    }
}

/// Values of an attribute with their types: from statistics, or from recent spans where those do not tell, as of spans that meet
/// a query.
pub fn tag_values(
    traces: &dyn TraceRead,
    tag: &str,
    query: Option<&Query>,
    window: Window,
    limit: usize,
) -> Result<Vec<(&'static str, String)>, QueryError> {
    let words = |words: &[&str]| words.iter().map(|word| ("keyword", (*word).to_owned())).collect();
    let field = parser::field(tag).unwrap_or_else(|_| Field::Attribute {
        scope: Scope::Any,
        parent: false,
        name: tag.to_owned(),
    });
    match &field {
        Field::Intrinsic(Intrinsic::Status) => return Ok(words(&["error", "ok", "unset"])),
        Field::Intrinsic(Intrinsic::Kind) => {
            return Ok(words(&["client", "consumer", "internal", "producer", "server", "unspecified"]));
        }
        // No list helps with these.
        Field::Intrinsic(
            Intrinsic::Duration
            | Intrinsic::TraceDuration
            | Intrinsic::EventTimeSinceStart
            | Intrinsic::NestedSetLeft
            | Intrinsic::NestedSetRight
            | Intrinsic::NestedSetParent
            | Intrinsic::ChildCount
            | Intrinsic::Parent,
        ) => return Ok(Vec::new()),
        _ => {}
    }
    let pipeline = narrowing(query)?;
    if pipeline.is_none()
        && let Some(known) = known(traces, &field, window, limit)?
    {
        return Ok(known);
    }
    let needed = pipeline.as_ref().map(Needed::of).unwrap_or_default();
    let local = Node::Field(field.clone()).is_local();
    let mut contains = needed.contains.clone();
    if let (Field::Attribute { name, .. }, None) = (&field, &pipeline) {
        contains.push(name.as_bytes().to_vec());
    }
    let started = Instant::now();
    let mut values = Values { pipeline: pipeline.as_ref(), field, found: BTreeSet::new(), limit, started };
    let select = TraceSelect {
        window,
        reach: None,
        service: needed.service.clone(),
        contains,
        hint: needed.hint.clone(),
        wanted: &|span| needed.wants(span),
        whole: pipeline.is_some() || !local,
    };
    traces.visit_traces(&select, &mut values)?;
    Ok(values.found.into_iter().collect())
}

/// Whether a query leaves no span out, as an editor's does that has no condition yet.
fn is_everything(pipeline: &Pipeline) -> bool {
    matches!(pipeline.steps.as_slice(), [Step::Spans(Finder::Where(Node::Static(Static::Bool(true))))])
}

/// Values that are known without reading spans; `None` of what is not.
fn known(
    traces: &dyn TraceRead,
    field: &Field,
    window: Window,
    limit: usize,
) -> Result<Option<Vec<(&'static str, String)>>, QueryError> {
    let Some(statistics) = traces.statistics(window)? else { return Ok(None) };
    let mut found = BTreeSet::new();
    match field {
        Field::Attribute { scope, parent: false, name } => {
            for place in hint::places(*scope) {
                let lists = statistics.iter().filter_map(|part| part.values(*place, name));
                for value in lists.flat_map(|list| list.counts.keys()) {
                    found.insert(listed(value));
                }
            }
        }
        Field::Intrinsic(Intrinsic::Name) => {
            let names = traces.services(window)?.into_iter().flat_map(|(_, operations)| operations);
            found.extend(names.map(|name| ("string", name)));
        }
        _ => return Ok(None),
    }
    Ok(Some(found.into_iter().take(limit).collect()))
}

fn listed(value: &AttributeValue) -> (&'static str, String) {
    match value {
        AttributeValue::Str(text) => ("string", text.clone()),
        AttributeValue::Int(number) => ("int", number.to_string()),
        AttributeValue::Double(bits) => ("float", f64::from_bits(*bits).to_string()),
        AttributeValue::Bool(truth) => ("bool", truth.to_string()),
    }
}

struct Values<'a> {
    pipeline: Option<&'a Pipeline>,
    field: Field,
    started: Instant,
    found: BTreeSet<(&'static str, String)>,
    limit: usize,
}

impl TraceVisitor for Values<'_> {
    fn trace(&mut self, spans: &[SpanView<'_>]) -> ControlFlow<()> {
        let Some(trace) = Trace::new(spans) else { return ControlFlow::Continue(()) };
        for at in left(self.pipeline, &trace).into_iter().filter_map(|index| At::within(&trace, index)) {
            match field_value(&self.field, at) {
                Val::Each(values) | Val::List(values) => values.iter().for_each(|value| self.add(value)),
                value => self.add(&value),
            }
        }
        if self.found.len() < self.limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn progress(&mut self, report: ScanReport, _: u64) -> ControlFlow<()> {
        let most = if self.pipeline.is_some() { FILTERED_SPANS } else { VALUE_SPANS };
        proceed(report, most, self.started)
    }
}

/// Whether there is room and time for more.
fn proceed(report: ScanReport, most: u64, started: Instant) -> ControlFlow<()> {
    if report.records < most && started.elapsed() < VALUE_TIME {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}

impl Values<'_> {
    /// Of several, each.
    fn add(&mut self, value: &Val<'_>) {
        if let Val::List(items) | Val::Each(items) = value {
            return items.iter().for_each(|item| self.add(item));
        }
        let shown = match value.to_static() {
            Static::Str(text) => ("string", text),
            Static::Int(number) => ("int", number.to_string()),
            Static::Float(number) => ("float", number.to_string()),
            Static::Bool(truth) => ("bool", truth.to_string()),
            _ => return,
        };
        if self.found.len() < self.limit {
            self.found.insert(shown);
        }
    }
}

fn item(value: &Static) -> Value {
    match shown(value) {
        ValueView::Str(text) => Value::Str(text.into_owned()),
        ValueView::Int(number) => Value::Int(number),
        ValueView::Double(number) => Value::Double(number),
        ValueView::Bool(truth) => Value::Bool(truth),
        ValueView::Other(other) => other.into_owned(),
    }
}

/// A value as search answers and labels have it in their own types: keywords and durations are texts there.
pub fn shown(value: &Static) -> ValueView<'_> {
    match value {
        Static::Str(text) => ValueView::Str(text.into()),
        Static::Int(number) => ValueView::Int(*number),
        Static::Float(number) => ValueView::Double(*number),
        Static::Bool(truth) => ValueView::Bool(*truth),
        Static::List(items) => ValueView::Other(Cow::Owned(Value::Array(items.iter().map(item).collect()))),
        other => ValueView::Str(other.to_string().into()),
    }
}
