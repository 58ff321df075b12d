//! Exceptions of lines and of span events, those of one type and stack together.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

use memchr::memmem::Finder;
use parsers::record::{Span, TENANT, Value, attribute};
use parsers::stack::{Language, Stack};
use rustc_hash::{FxHashMap, FxHashSet};
use store::read::{LogView, ReadError, ScanReport, SpanView, TraceSelect, TraceVisitor};

use super::count::add_example;
use super::novelty::{expected, judge};
use super::of_labels::OfLabels;
use super::{Counted, ExampleTrace, LogPatterns, PatternQuestion, Spent, Verdict};

/// Groups that are held.
const MAX_GROUPS: usize = 1_000;
/// Services that are named of a group.
const MAX_SERVICES: usize = 16;
/// Occurrences of a group that are told apart by trace and span: one that is both in a line and in a span counts once.
const MAX_OCCURRENCES: usize = 20_000;
/// The event, and the start of its attributes' names.
const EVENT: &str = "exception";
/// Characters of a message that are kept.
const MAX_MESSAGE: usize = 300;

/// Exceptions of one type and stack.
#[derive(Debug, Clone, PartialEq)]
pub struct ExceptionGroup {
    /// Who wrote the stack; none if there is no stack.
    pub language: Option<Language>,
    /// The exception's class.
    pub kind: String,
    /// The class of the innermost cause.
    pub cause: Option<String>,
    /// What one of them said.
    pub message: String,
    /// Functions, innermost first.
    pub frames: Vec<String>,
    /// How often in the window: one that a line and its span both tell counts once, as does one on its way through several spans.
    pub count: u64,
    /// How often in the window that it is compared with.
    pub count_against: u64,
    /// Lines of the window that hold it.
    pub in_logs: u64,
    /// Span events of the window that hold it.
    pub in_spans: u64,
    /// Whether that is news.
    pub verdict: Verdict,
    /// First seen in either window.
    pub first: u64,
    /// Last seen in either window.
    pub last: u64,
    /// Services that it was seen in, sorted.
    pub services: Vec<String>,
    /// Traces of the window that have it, those with stored spans first.
    pub traces: Vec<ExampleTrace>,
}

/// Where and when an exception was seen.
pub(super) struct Seen<'a> {
    pub(super) side: usize,
    pub(super) time: u64,
    pub(super) service: &'a str,
    pub(super) trace: Option<ExampleTrace>,
    pub(super) in_span: bool,
    /// It is told once more, by a span that it went through.
    pub(super) again: bool,
}

type Key = (String, Option<String>, Vec<String>);

#[derive(Default)]
struct Group {
    language: Option<Language>,
    message: String,
    counts: [u64; 2],
    in_logs: u64,
    in_spans: u64,
    first: u64,
    last: u64,
    services: BTreeSet<String>,
    traces: Vec<ExampleTrace>,
    occurrences: FxHashSet<(u128, u64)>,
}

/// All groups.
#[derive(Default)]
pub(super) struct Groups {
    by_key: FxHashMap<Key, Group>,
    left_out: u64,
    /// Spans of the question that were looked at, window by window.
    pub(super) spans: [u64; 2],
    /// Whether any span was read of the window to compare with.
    had_spans: bool,
    pub(super) warnings: Vec<String>,
}

impl Groups {
    pub(super) fn note(&mut self, stack: Stack, seen: &Seen<'_>) {
        let language = (!stack.frames.is_empty()).then_some(stack.language);
        let key = (stack.kind, stack.cause, stack.frames);
        if self.by_key.len() >= MAX_GROUPS && !self.by_key.contains_key(&key) {
            self.left_out += 1;
            return;
        }
        let group = self.by_key.entry(key).or_insert_with(|| Group {
            language,
            message: stack.message,
            first: seen.time,
            last: seen.time,
            ..Group::default()
        });
        group.note(seen);
    }

    /// Groups whose stack is the inner part of exactly one other's are of that one: a span that catches on the way sees less of it.
    fn merged(self) -> Vec<(Key, Group)> {
        let mut groups: Vec<(Key, Group)> = self.by_key.into_iter().collect();
        groups.sort_by(|a, b| b.0.2.len().cmp(&a.0.2.len()).then_with(|| a.0.cmp(&b.0)));
        let mut merged: Vec<(Key, Group)> = Vec::new();
        for (key, group) in groups {
            let mut longer = merged.iter_mut().filter(|(other, _)| {
                other.0 == key.0
                    && other.2.starts_with(&key.2)
                    && (other.1 == key.1 || key.1.is_none() || other.1.is_none())
            });
            match (longer.next(), longer.next()) {
                (Some((_, whole)), None) => whole.merge(group),
                _ => merged.push((key, group)),
            }
        }
        merged
    }

    /// Judges the groups and puts them in order; how many are left out is told with them.
    pub(super) fn report(mut self, windows: &[Counted; 2], limit: usize) -> (Vec<ExceptionGroup>, usize) {
        let [window, against] = windows;
        // As of patterns: where no line was written, what spans tell says nothing of what is new.
        let comparable = against.lines > 0 || window.lines == 0 && self.had_spans;
        let left_out = std::mem::take(&mut self.left_out) as usize;
        let mut groups = self.merged();
        // What is told on the way alone is of another group.
        groups.retain(|(_, group)| group.counts != [0, 0]);
        // What is expected is the same time's worth: exceptions do not tell how traffic has changed.
        let expected = comparable.then(|| expected(&[], (window.seconds(), against.seconds())));
        let comparisons = groups.len();
        let mut found: Vec<ExceptionGroup> = groups
            .into_iter()
            .map(|((kind, cause, frames), group)| ExceptionGroup {
                language: group.language,
                kind,
                cause,
                message: group.message,
                frames,
                count: group.counts[0],
                count_against: group.counts[1],
                in_logs: group.in_logs,
                in_spans: group.in_spans,
                verdict: judge(group.counts[0], group.counts[1], expected, comparisons),
                first: group.first,
                last: group.last,
                services: group.services.into_iter().collect(),
                traces: group.traces,
            })
            .collect();
        found.sort_by(|a, b| {
            let news = a.verdict.order().cmp(&b.verdict.order());
            let counts = b.count.cmp(&a.count).then_with(|| b.count_against.cmp(&a.count_against));
            news.then(counts).then_with(|| (&a.kind, &a.frames).cmp(&(&b.kind, &b.frames)))
        });
        let cut = found.len().saturating_sub(limit) + left_out;
        found.truncate(limit);
        (found, cut)
    }
}

impl Group {
    fn note(&mut self, seen: &Seen<'_>) {
        self.first = self.first.min(seen.time);
        self.last = self.last.max(seen.time);
        if seen.side == 0 {
            *(if seen.in_span { &mut self.in_spans } else { &mut self.in_logs }) += 1;
        }
        if self.services.len() < MAX_SERVICES && !seen.service.is_empty() {
            self.services.insert(seen.service.to_owned());
        }
        if let Some(example) = seen.trace {
            if seen.side == 0 {
                add_example(&mut self.traces, example);
            }
            let span = example.span_id.map_or(0, |span| span.bits());
            let full = self.occurrences.len() >= MAX_OCCURRENCES;
            if span != 0 && !full && !self.occurrences.insert((example.trace_id.bits(), span)) {
                return;
            }
        }
        if seen.again {
            return;
        }
        if let Some(count) = self.counts.get_mut(seen.side) {
            *count += 1;
        }
    }

    fn merge(&mut self, other: Self) {
        let shared = other.occurrences.iter().filter(|one| self.occurrences.contains(one)).count() as u64;
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        // Told twice in the window that is asked about: which it was for the other one does not matter to its reader.
        self.counts[0] = self.counts[0].saturating_sub(shared);
        self.occurrences.extend(other.occurrences);
        self.language = self.language.or(other.language);
        self.in_logs += other.in_logs;
        self.in_spans += other.in_spans;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.services.extend(other.services);
        if self.message.is_empty() {
            self.message = other.message;
        }
        for example in other.traces {
            add_example(&mut self.traces, example);
        }
    }
}

fn of_tenant<'a>(span: &'a SpanView<'_>) -> Option<&'a str> {
    attribute(&span.resource().attributes, TENANT).and_then(Value::as_str)
}

/// Adds the exceptions that spans of both windows tell as events.
pub(super) fn of_spans(
    patterns: &LogPatterns,
    question: &PatternQuestion,
    spent: &mut Spent<'_>,
    groups: Groups,
) -> Result<Groups, ReadError> {
    let mut groups = groups;
    let of_labels = match OfLabels::new(&question.matchers, &patterns.mapping) {
        Ok(of_labels) => of_labels,
        Err(label) => {
            let told =
                format!("exceptions of spans are left out: nothing that spans say is known as label {label}");
            groups.warnings.push(told);
            return Ok(groups);
        }
    };
    for (side, window) in [question.window, question.against].into_iter().enumerate() {
        let finder = Finder::new(EVENT);
        let service = question.service.as_deref();
        let looked_at = Cell::new(0);
        let wanted = |span: &SpanView<'_>| {
            let ours =
                service.is_none_or(|service| span.service() == service) && of_labels.mean(span.resource());
            let tenant = question.tenant.as_deref();
            if ours && window.contains(span.start) && (tenant.is_none() || tenant == of_tenant(span)) {
                looked_at.set(looked_at.get() + 1);
            }
            ours && span.mentions(&finder)
        };
        let select = TraceSelect {
            window,
            reach: None,
            service: question.service.clone(),
            contains: vec![EVENT.as_bytes().to_vec()],
            hint: store::read::SpanHint::Anything,
            wanted: &wanted,
            whole: false,
        };
        let mut visit = Events {
            question,
            of_labels: &of_labels,
            spent,
            side,
            groups: &mut groups,
            finder: &finder,
            window,
            cut: false,
        };
        let report = patterns.traces.visit_traces(&select, &mut visit)?;
        let cut = visit.cut;
        spent.bytes += report.bytes;
        if let Some(spans) = groups.spans.get_mut(side) {
            *spans = looked_at.get();
        }
        groups.had_spans |= side == 1 && report.records > 0;
        if cut {
            let which = if side == 0 { "the window" } else { "the window to compare with" };
            groups
                .warnings
                .push(format!("exceptions of spans are of the first {} spans of {which}", report.records));
        }
    }
    Ok(groups)
}

/// What the attributes of an exception say of it; nothing without a type or a stack.
fn told(kind: Option<&str>, message: Option<&str>, stack: Option<&str>) -> Option<Stack> {
    let mut found = stack.and_then(parsers::stack::parse).unwrap_or_else(|| Stack {
        language: Language::Java,
        kind: String::new(),
        message: String::new(),
        cause: None,
        frames: Vec::new(),
    });
    if let Some(kind) = kind.filter(|kind| !kind.is_empty()) {
        kind.clone_into(&mut found.kind);
    }
    if let Some(message) = message {
        found.message = message.chars().take(MAX_MESSAGE).collect();
    }
    (!found.kind.is_empty() || !found.frames.is_empty()).then_some(found)
}

/// The exception of a line, as its metadata tell it (OpenTelemetry's log records carry it there) or the text itself.
pub(super) fn of_line(view: &LogView<'_>) -> Option<Stack> {
    let (mut kind, mut message, mut stack) = (None, None, None);
    for (key, value) in view.metadata() {
        match key.strip_prefix(EVENT).and_then(|rest| rest.strip_prefix(['.', '_'])) {
            Some("type") => kind = Some(value),
            Some("message") => message = Some(value),
            Some("stacktrace") => stack = Some(value),
            _ => {}
        }
    }
    match told(kind, message, stack) {
        Some(whole) if !whole.frames.is_empty() => Some(whole),
        without_stack => parsers::stack::find(view.line).or(without_stack),
    }
}

struct Events<'a, 'q> {
    question: &'a PatternQuestion,
    of_labels: &'a OfLabels<'a>,
    spent: &'a Spent<'q>,
    side: usize,
    groups: &'a mut Groups,
    finder: &'a Finder<'a>,
    window: store::read::Window,
    cut: bool,
}

/// An exception that a span tells.
struct Thrown {
    stack: Stack,
    time: u64,
    span: Span,
}

impl TraceVisitor for Events<'_, '_> {
    fn trace(&mut self, spans: &[SpanView<'_>]) -> ControlFlow<()> {
        let service = self.question.service.as_deref();
        let mut thrown: Vec<Thrown> = Vec::new();
        for view in spans {
            let ours = service.is_none_or(|service| view.service() == service);
            if !ours || !self.window.contains(view.start) || !view.mentions(self.finder) {
                continue;
            }
            let Some(span) = view.whole().filter(|span| self.of_labels.mean(&span.resource)) else {
                continue;
            };
            let tenant = attribute(&span.resource.attributes, TENANT).and_then(Value::as_str);
            if self.question.tenant.is_some() && self.question.tenant.as_deref() != tenant {
                continue;
            }
            for event in span.events.iter().filter(|event| event.name == EVENT) {
                let said = |key: &str| attribute(&event.attributes, key).and_then(Value::as_str);
                let stack =
                    told(said("exception.type"), said("exception.message"), said("exception.stacktrace"));
                thrown.extend(stack.map(|stack| Thrown { stack, time: event.time, span: span.clone() }));
            }
        }
        // Instrumentation tells an exception anew on each span that it goes through: that of the innermost one counts.
        let mut inner: FxHashSet<(u64, &str, &str)> = FxHashSet::default();
        for Thrown { stack, span, .. } in &thrown {
            let parent = span.parent_span_id.map_or(0, |parent| parent.bits());
            inner.insert((parent, &stack.kind, &stack.message));
        }
        let again: Vec<bool> = thrown
            .iter()
            .map(|Thrown { stack, span, .. }| {
                inner.contains(&(span.span_id.bits(), stack.kind.as_str(), stack.message.as_str()))
            })
            .collect();
        for (Thrown { stack, time, span }, again) in thrown.into_iter().zip(again) {
            let trace =
                ExampleTrace { trace_id: span.trace_id, span_id: Some(span.span_id), time, stored: true };
            let service = span.resource.service();
            let seen = Seen { side: self.side, time, service, trace: Some(trace), in_span: true, again };
            self.groups.note(stack, &seen);
        }
        ControlFlow::Continue(())
    }

    fn progress(&mut self, report: ScanReport, _: u64) -> ControlFlow<()> {
        if self.spent.allows(&report, 1.0) {
            return ControlFlow::Continue(());
        }
        self.cut = true;
        ControlFlow::Break(())
    }
}
