//! Operations of a service. The store lists names; kinds are drawn from recent traces.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use parsers::record::SpanKind;
use serde::Serialize;
use store::read::{ReadError, SpanSelect, TraceRead, Window};

/// Traces looked at for kinds: an operation has one kind mostly, so that recent ones tell.
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

/// Names with the kinds that recent spans have; of one kind only, if it is given.
pub(super) fn with_kinds(
    traces: &dyn TraceRead,
    service: &str,
    kind: Option<&str>,
    now: u64,
) -> Result<Vec<Operation>, ReadError> {
    let window = Window { start: 0, end: now };
    let select = SpanSelect { window, service: Some(service.to_owned()), name: None };
    let (mut found, mut seen) = (BTreeSet::new(), 0);
    traces.scan_traces(&select, &mut |spans| {
        for span in spans.into_iter().filter(|span| span.resource.service() == service) {
            let span_kind = match span.kind {
                SpanKind::Unspecified => "",
                kind => kind.as_str(),
            };
            found.insert(Operation { name: span.name, span_kind });
        }
        seen += 1;
        if seen < KIND_TRACES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    match kind {
        Some(kind) => found.retain(|operation| operation.span_kind.eq_ignore_ascii_case(kind)),
        None => {
            let known: BTreeSet<String> = found.iter().map(|operation| operation.name.clone()).collect();
            found.extend(names(traces, service)?.into_iter().filter(|one| !known.contains(&one.name)));
        }
    }
    Ok(found.into_iter().collect())
}
