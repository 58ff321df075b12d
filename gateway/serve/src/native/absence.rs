//! Why a question about spans finds none, and what to try next: names that are near to the one that was asked for.

use parsers::record::format_rfc3339;
use store::read::Window;

use super::near;
use super::shape::AbsenceBody;
use crate::State;

/// Names that are told where none is near.
const MAX_KNOWN: usize = 10;

/// Whose spans are wanted, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// `service.name`; any without it.
    pub(super) service: Option<&'a str>,
    /// Name of a span; any without it.
    pub(super) operation: Option<&'a str>,
    /// In which they start.
    pub(super) window: Window,
}

/// Why there are none in the window.
pub(super) async fn of_spans(state: &State, wanted: Wanted<'_>) -> AbsenceBody {
    let traces = state.traces.clone();
    let known = match state.reads.run(move || traces.services(Window::ALL)).await {
        Ok(Ok(known)) => known,
        Ok(Err(error)) => return down(error.to_string()),
        Err(error) => return down(error.to_string()),
    };
    let names = || known.iter().map(|(name, _)| name.as_str());
    let operations = |service: &str| known.iter().find(|(name, _)| name == service).map(|(_, list)| list);
    if known.is_empty() {
        return spans(
            "no_spans",
            "no spans are stored".to_owned(),
            format!("send some to a receiver: {}", state.correlator.doors().all()),
        );
    }
    if let Some(service) = wanted.service {
        let Some(operations) = operations(service) else {
            let detail = format!("no span of service {service:?} is stored");
            return spans("never_seen", detail, next("services", "/api/v1/services", service, names()));
        };
        if let Some(operation) = wanted.operation
            && !operations.iter().any(|name| name == operation)
        {
            let detail = format!("no span {operation:?} of service {service:?} is stored");
            let list = operations.iter().map(String::as_str);
            return spans("never_seen", detail, next("operations", "/api/v1/operations", operation, list));
        }
    }
    let whose = wanted.service.map_or_else(String::new, |service| format!(" of service {service:?}"));
    let (start, end) = (format_rfc3339(wanted.window.start), format_rfc3339(wanted.window.end));
    spans(
        "outside_window",
        format!("there are spans{whose}, but none started between {start} and {end}"),
        "widen `start` and `end`; `GET /api/v1/services` counts who sent spans between them".to_owned(),
    )
}

/// Spans are there, in traces that have more of them than this question looks at.
pub(super) fn too_large(detail: String) -> AbsenceBody {
    let hint = "ask `GET /api/v1/operations` for rates and durations, which count all spans, and `GET /api/v1/traces/{id}` of one such \
                trace, which is read in parts, for its `critical_path`; or ask for an operation of smaller traces";
    spans("truncated", detail, hint.to_owned())
}

/// Services that have spans here, however old; none where they cannot be read.
pub(super) async fn names(state: &State) -> Vec<String> {
    let traces = state.traces.clone();
    let known = state.reads.run(move || traces.services(Window::ALL)).await;
    known.ok().and_then(Result::ok).unwrap_or_default().into_iter().map(|(name, _)| name).collect()
}

/// Which names of this kind, which this path lists, to try instead of one that is not known.
pub(super) fn next<'a>(
    kind: &str,
    path: &str,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> String {
    let near = near::to(name, known.clone());
    if !near.is_empty() {
        return format!("{kind} with a name near to it: {}", near.join(", "));
    }
    let some: Vec<&str> = known.take(MAX_KNOWN).collect();
    format!("{kind} that are known: {}; `GET {path}` lists them", some.join(", "))
}

fn down(detail: String) -> AbsenceBody {
    spans("source_failed", detail, "ask again; `/readyz` and the log of Trefoil say what is wrong".to_owned())
}

/// An absence of spans.
pub(super) fn spans(reason: &'static str, detail: String, hint: String) -> AbsenceBody {
    AbsenceBody { signal: "spans", reason, detail, hint }
}
