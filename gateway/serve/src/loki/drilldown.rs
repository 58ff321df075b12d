//! What Grafana's Logs Drilldown asks beside queries and volumes: the fields of lines, and what it may ask for.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use query::log_fields::{self, LogField};
use query::logql::{self, Data, Limits, RangeParams};
use serde::Serialize;
use serde_json::{Value as Json, json};
use store::read::{Direction, Matcher};

use super::request;
use super::routes::json as body_of;
use crate::State;
use crate::failure::Failure;
use crate::parameters::{Parameters, now};
use crate::tenant::Extract;

/// Lines that fields are drawn from when the client does not say, as Loki has it.
const DEFAULT_FIELD_LINES: usize = 1_000;
/// Most such lines.
const MAX_FIELD_LINES: usize = 5_000;
/// Fields, or values, in an answer when the client does not say, as Loki has it.
const DEFAULT_FIELDS: usize = 1_000;

/// These paths.
pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/loki/api/v1/detected_fields", get(detected_fields).post(detected_fields))
        .route("/loki/api/v1/detected_field/{name}/values", get(field_values).post(field_values))
        .route("/loki/api/v1/drilldown-limits", get(limits))
}

/// Stream selector of a parameter; without one, all streams.
pub(super) fn matchers(parameters: &Parameters) -> Result<Vec<Matcher>, Failure> {
    match parameters.get("query") {
        // What Drilldown sends for no choice at all.
        None | Some("{}") => Ok(Vec::new()),
        Some(text) => Ok(logql::parse_selector(text)?),
    }
}

/// The fields of the newest lines that a query selects.
async fn fields(
    state: State,
    parameters: &Parameters,
) -> Result<(BTreeMap<String, LogField>, usize), Failure> {
    let query = parameters.get("query").unwrap_or_default().to_owned();
    let window = request::listing_window(parameters, now())?;
    let limit = parameters.count("limit")?.filter(|limit| *limit > 0).unwrap_or(DEFAULT_FIELDS);
    let lines = parameters.count("line_limit")?.unwrap_or(DEFAULT_FIELD_LINES).clamp(1, MAX_FIELD_LINES);
    let found = state.reads.run(move || {
        let expression = logql::parse(&query)?;
        if !expression.is_of_lines() {
            return Err(Failure::refused("fields are those of lines: expected a log query"));
        }
        let params = RangeParams {
            start: window.start,
            end: window.end,
            step: Duration::from_secs(1),
            interval: Duration::ZERO,
            limit: lines,
            direction: Direction::Backward,
        };
        let outcome = logql::evaluate_range(&expression, &*state.logs, &params, &Limits::default())?;
        match outcome.data {
            Data::Streams(streams) => Ok(log_fields::detect(&streams)),
            Data::Matrix(_) | Data::Vector(_) | Data::Scalar(_) => Ok(BTreeMap::new()),
        }
    });
    Ok((found.await??, limit))
}

async fn detected_fields(
    Extract(state): Extract<State>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let (found, limit) = fields(state, &parameters).await?;
    let shown: Vec<Json> = found.iter().take(limit).map(|(name, field)| field_body(name, field)).collect();
    Ok(written(&json!({ "fields": shown, "limit": limit })))
}

/// Without parsers it is structured metadata, which Grafana tells by the null.
fn field_body(name: &str, field: &LogField) -> Json {
    let mut body = json!({
        "label": name,
        "type": field.kind,
        "cardinality": field.values.len(),
        "parsers": (!field.parsers.is_empty()).then_some(&field.parsers),
    });
    if let (false, Some(keys)) = (field.path.is_empty(), body.as_object_mut()) {
        keys.insert("jsonPath".to_owned(), json!(field.path));
    }
    body
}

async fn field_values(
    Extract(state): Extract<State>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let (mut found, limit) = fields(state, &parameters).await?;
    let values: Vec<String> =
        found.remove(&name).map(|field| field.values).unwrap_or_default().into_iter().take(limit).collect();
    Ok(written(&json!({ "values": values, "limit": limit })))
}

/// What may be asked.
async fn limits(Extract(state): Extract<State>) -> Response {
    written(&json!({
        "limits": {
            "discover_log_levels": true,
            "discover_service_name": ["service_name"],
            "log_level_fields": ["detected_level", "level", "severity"],
            "max_entries_limit_per_query": Limits::default().entries,
            "max_line_size_truncate": false,
            "max_query_bytes_read": "0B",
            "max_query_length": "0s",
            "max_query_lookback": "0s",
            "max_query_range": "0s",
            "max_query_series": Limits::default().series,
            "metric_aggregation_enabled": false,
            "otlp_config": {},
            "pattern_persistence_enabled": false,
            "query_timeout": format!("{}s", crate::DEFAULT_REQUEST_TIMEOUT.as_secs()),
            "retention_period": format!("{}s", state.log_retention.as_secs()),
            "retention_stream": [],
            "volume_enabled": true,
            "volume_max_series": 5_000,
        },
        "pattern_ingester_enabled": true,
        "version": concat!("trefoil-", env!("CARGO_PKG_VERSION")),
    }))
}

fn written(value: &impl Serialize) -> Response {
    // String keys and plain values only: writing them to memory cannot fail.
    body_of(serde_json::to_vec(value).unwrap_or_default())
}

#[cfg(test)]
mod tests;
