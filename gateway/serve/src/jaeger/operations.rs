//! Operations of a service. The store lists names; kinds are those of the calls that it has counted.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use parsers::record::SpanKind;
use serde::Serialize;
use store::read::{OTHERS, ReadError, SpanSelect, TraceRead, Window};

/// How far back what was counted tells of kinds, ns: what runs at all runs once a day.
const KIND_TIME: u64 = 24 * 3_600 * 1_000_000_000;
/// Traces looked at for kinds where nothing was counted: an operation has one kind mostly, so that recent ones tell.
const KIND_TRACES: usize = 1_000;

/// A name, and what spans of it do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Operation {
    pub(super) name: String,
    /// Empty where it is not known.
    pub(super) span_kind: &'static str,
}

/// Names alone, sorted.
pub(super) fn names(traces: &dyn TraceRead, service: &str) -> Result<Vec<Operation>, ReadError> {
    let known = traces.services(Window::ALL)?;
    let names =
        known.into_iter().find(|(name, _)| name == service).map(|(_, names)| names).unwrap_or_default();
    Ok(names.into_iter().map(|name| Operation { name, span_kind: "" }).collect())
}

/// Names with the kinds that spans of the last day have; of one kind only, if it is given. Of a service that was silent for so
/// long, newer traces tell.
pub(super) fn with_kinds(
    traces: &dyn TraceRead,
    service: &str,
    kind: Option<&str>,
    now: u64,
) -> Result<Vec<Operation>, ReadError> {
    let mut found = counted(traces, service, now)?;
    if found.is_empty() {
        found = sampled(traces, service, now)?;
    }
    match kind {
        Some(kind) => found.retain(|operation| operation.span_kind.eq_ignore_ascii_case(kind)),
        None => {
            let known: BTreeSet<String> = found.iter().map(|operation| operation.name.clone()).collect();
            found.extend(names(traces, service)?.into_iter().filter(|one| !known.contains(&one.name)));
        }
    }
    Ok(found.into_iter().collect())
}

/// As the store has counted them.
fn counted(traces: &dyn TraceRead, service: &str, now: u64) -> Result<BTreeSet<Operation>, ReadError> {
    let calls = traces.calls(Window { start: now.saturating_sub(KIND_TIME), end: now })?;
    let of_service = calls.operations.into_iter().filter(|one| &*one.service == service);
    let named = of_service.filter(|one| &*one.name != OTHERS);
    Ok(named.map(|one| Operation { name: one.name.to_string(), span_kind: word(one.kind) }).collect())
}

/// Those of the newest traces.
fn sampled(traces: &dyn TraceRead, service: &str, now: u64) -> Result<BTreeSet<Operation>, ReadError> {
    let window = Window { start: 0, end: now };
    let select = SpanSelect { window, service: Some(service.to_owned()), name: None };
    let (mut found, mut seen) = (BTreeSet::new(), 0);
    traces.scan_traces(&select, &mut |spans| {
        for span in spans.into_iter().filter(|span| span.resource.service() == service) {
            found.insert(Operation { span_kind: word(span.kind), name: span.name });
        }
        seen += 1;
        if seen < KIND_TRACES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(found)
}

fn word(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified => "",
        kind => kind.as_str(),
    }
}
