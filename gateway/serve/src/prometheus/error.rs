//! Failures as Prometheus tells them. What went wrong inside stays in the log.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use query::QueryError;
use serde_json::json;
use store::read::ReadError;

use crate::blocking::RETRY_AFTER;

/// An error as Prometheus writes it.
pub(crate) fn error(status: StatusCode, kind: &str, detail: &str) -> Response {
    let body = Json(json!({ "status": "error", "errorType": kind, "error": detail }));
    let mut response = (status, body).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER.as_secs().into());
    }
    response
}

/// Why there are no exemplars.
#[derive(Debug)]
pub(super) enum Failure {
    /// The request cannot be answered as it stands.
    Bad(String),
    /// A source failed.
    Read(ReadError),
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        Self::Bad(format!("invalid parameter \"query\": {error}"))
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Bad(detail) => error(StatusCode::BAD_REQUEST, "bad_data", &detail),
            Self::Read(refused @ ReadError::Refused { .. }) => {
                error(StatusCode::BAD_REQUEST, "bad_data", &refused.to_string())
            }
            Self::Read(failure) => {
                tracing::error!(error = %failure, "exemplars could not be read");
                error(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the exemplars could not be read")
            }
        }
    }
}
