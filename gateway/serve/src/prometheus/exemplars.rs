//! Exemplars of the metrics server, less those that point to traces which sampling dropped.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::http::{StatusCode, header};
use axum::response::Response;
use parsers::record::TraceId;
use serde_json::Value;
use store::read::TraceRead;

use super::routes::{body, error};
use crate::State;

/// Some hundred thousand exemplars: as much as is handed on of any answer.
const ANSWER_LIMIT: usize = 64 << 20;

/// The same answer, less what points to dropped traces. An error of the server goes through as it is.
pub(super) async fn without_dropped(response: Response, state: &State) -> Response {
    let is_plain = !response.headers().contains_key(header::CONTENT_ENCODING);
    if response.status() != StatusCode::OK {
        return response;
    }
    #[expect(clippy::disallowed_methods, reason = "this is the bounded reader: the limit is ours")]
    let read = to_bytes(response.into_body(), ANSWER_LIMIT).await.ok();
    let answer = read.filter(|_| is_plain).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let Some(mut answer) = answer else {
        let detail =
            "the server's exemplars could not be read, to leave out those of traces that are dropped here";
        return error(StatusCode::BAD_GATEWAY, "unavailable", detail);
    };
    let traces = Arc::clone(&state.traces);
    let filtered = state.reads.run(move || {
        remove(&mut answer, &*traces);
        answer
    });
    match filtered.await {
        Ok(answer) => body(StatusCode::OK, &answer),
        Err(busy) => axum::response::IntoResponse::into_response(busy),
    }
}

fn remove(answer: &mut Value, traces: &dyn TraceRead) {
    let Some(series) = answer.get_mut("data").and_then(Value::as_array_mut) else { return };
    series.retain_mut(|series| {
        let Some(exemplars) = series.get_mut("exemplars").and_then(Value::as_array_mut) else { return true };
        exemplars.retain(|exemplar| !is_dropped(exemplar, traces));
        !exemplars.is_empty()
    });
}

fn is_dropped(exemplar: &Value, traces: &dyn TraceRead) -> bool {
    let labels = exemplar.get("labels").and_then(Value::as_object);
    let of_trace = labels.into_iter().flatten().filter(|(name, _)| names_trace(name));
    let ids = of_trace.filter_map(|(_, value)| TraceId::from_spelling(value.as_str()?.as_bytes()).ok());
    ids.into_iter().any(|id| traces.sampled_out(id).is_some())
}

/// `trace_id`, `traceID`, `TraceId` and the like.
fn names_trace(label: &str) -> bool {
    let letters = label.chars().filter(char::is_ascii_alphabetic);
    letters.map(|letter| letter.to_ascii_lowercase()).eq("traceid".chars())
}
