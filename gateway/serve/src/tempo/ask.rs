//! Requests to answers, whichever way they came: what both HTTP and gRPC do.

use query::QueryError;
use query::traceql::{self, Found, Limits, MetricsFound, MetricsParams, Scopes, SearchParams};
use store::read::Window;

use super::request::{MetricsRequest, SearchRequest, TagsRequest};
use crate::State;
use crate::failure::Failure;
use crate::parameters::SECOND;

/// Values with their types.
pub(super) type Values = Vec<(&'static str, String)>;

/// How much one query may read in the time that there is for its answer.
fn limits(state: &State) -> Limits {
    let limits = Limits::default();
    Limits { time: limits.time.min(state.request_timeout), ..limits }
}

/// An error, in Tempo's words, if a time ends before it starts; both in nanoseconds.
pub(super) fn before(start: u64, end: u64) -> Result<(), Failure> {
    if start <= end {
        return Ok(());
    }
    let (start, end) = (start / SECOND, end / SECOND);
    let told = format!("http parameter start must be before end. received start={start} end={end}");
    Err(QueryError::Invalid(told).into())
}

/// Traces that meet a query, newest first.
pub(super) async fn search(state: State, asked: SearchRequest) -> Result<Found, Failure> {
    let query = asked.query.parse()?;
    before(asked.window.start, asked.window.end.saturating_sub(SECOND))?;
    let params = SearchParams {
        start: asked.window.start,
        end: asked.window.end,
        limit: asked.limit,
        spans_per_set: asked.spans,
        limits: limits(&state),
    };
    Ok(state.reads.run(move || traceql::search(&query, &*state.traces, &params)).await??)
}

/// Series of a metrics query, as `write` writes them.
pub(super) async fn metrics<T: Send + 'static>(
    state: State,
    asked: MetricsRequest,
    write: impl FnOnce(MetricsFound) -> T + Send + 'static,
) -> Result<T, Failure> {
    let query = traceql::parse(&asked.query).map_err(QueryError::from)?;
    let params = MetricsParams {
        start: asked.start,
        end: asked.end,
        step: asked.step,
        exemplars: asked.exemplars,
        series: asked.series,
        limits: limits(&state),
        allowance: state.capacity.allowance(),
    };
    // What they hold is given back when they are written.
    let written = state.reads.run(move || traceql::metrics(&query, &*state.traces, &params).map(write));
    Ok(written.await??)
}

/// Scopes of tag names; the last is what says that any will do.
const TAG_SCOPES: [&str; 7] = ["resource", "span", "intrinsic", "event", "link", "instrumentation", "none"];

/// Tag names, by scope. `query` narrows as it does for values.
pub(super) async fn tags(state: State, asked: TagsRequest) -> Result<Scopes, Failure> {
    let window = asked.window.unwrap_or(Window::ALL);
    if !asked.scope.is_empty() && !TAG_SCOPES.contains(&&*asked.scope) {
        let told = format!("invalid scope: {:?}, expected one of {}", asked.scope, TAG_SCOPES.join(", "));
        return Err(QueryError::Invalid(told).into());
    }
    let query = traceql::parse(&asked.query).ok();
    let read = move || traceql::tags(&*state.traces, query.as_ref(), window, asked.limit);
    let mut found = state.reads.run(read).await??;
    found.retain(|(scope, _)| asked.scope.is_empty() || asked.scope == "none" || *scope == asked.scope);
    Ok(found)
}

/// Values of a tag. `query` is what stands in the editor at that moment: where it does not parse, it does not narrow.
pub(super) async fn values(state: State, asked: TagsRequest) -> Result<Values, Failure> {
    let window = asked.window.unwrap_or(Window::ALL);
    let query = traceql::parse(&asked.query).ok();
    let read = move || traceql::tag_values(&*state.traces, &asked.tag, query.as_ref(), window, asked.limit);
    Ok(state.reads.run(read).await??)
}
