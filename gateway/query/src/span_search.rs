//! Whole traces by a condition on their spans, newest first: for surfaces that have forms instead of a language.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use parsers::record::Span;
use store::read::{SpanSelect, TraceRead};

use crate::QueryError;

/// What a search may cost.
#[derive(Debug, Clone, Copy)]
pub struct SearchLimits {
    /// Traces found.
    pub traces: usize,
    /// Spans of the found traces together; the trace that goes over it is the last one.
    pub spans: usize,
    /// Time spent looking.
    pub time: Duration,
}

/// The traces that `wanted` holds for. A search that runs out of time before it has found as many as it may is an error, since
/// nobody could tell its answer from a complete one.
pub fn find(
    traces: &dyn TraceRead,
    select: &SpanSelect,
    limits: &SearchLimits,
    wanted: impl Fn(&[Span]) -> bool,
) -> Result<Vec<Vec<Span>>, QueryError> {
    let began = Instant::now();
    let (mut found, mut spans, mut examined, mut late) = (Vec::new(), 0, 0u64, false);
    traces.scan_traces(select, &mut |trace| {
        if found.len() >= limits.traces || spans >= limits.spans {
            return ControlFlow::Break(());
        }
        examined += 1;
        if wanted(&trace) {
            spans += trace.len();
            found.push(trace);
        }
        late = began.elapsed() > limits.time;
        let enough = found.len() >= limits.traces || spans >= limits.spans;
        if enough || late { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if late && found.len() < limits.traces && spans < limits.spans {
        return Err(QueryError::TooMuch(format!(
            "the search ended after {:?} with {examined} traces looked at and {} found: ask for a shorter time, or for a service",
            limits.time,
            found.len()
        )));
    }
    Ok(found)
}
