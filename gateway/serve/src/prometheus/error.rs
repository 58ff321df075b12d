//! Failures as Prometheus tells them. What went wrong inside stays in the log.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use query::QueryError;
use query::promql::PromError;
use serde_json::json;
use store::read::ReadError;

use crate::blocking::NotRead;
use crate::failure::retriable;

/// An error as Prometheus writes it.
pub(crate) fn error(status: StatusCode, kind: &str, detail: &str) -> Response {
    let body = Json(json!({ "status": "error", "errorType": kind, "error": detail }));
    retriable(status, (status, body).into_response())
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The request cannot be answered as it stands.
    Bad(String),
    /// A source failed.
    Read(ReadError),
    /// A query has no answer.
    Query(PromError),
    /// Nothing was read.
    NotRead(NotRead),
    /// There is no such path.
    Unknown(String),
}

impl From<PromError> for Failure {
    fn from(error: PromError) -> Self {
        Self::Query(error)
    }
}

impl From<NotRead> for Failure {
    fn from(error: NotRead) -> Self {
        Self::NotRead(error)
    }
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
            Self::Query(parse @ PromError::Parse { .. }) => {
                let detail = format!("invalid parameter \"query\": {parse}");
                error(StatusCode::BAD_REQUEST, "bad_data", &detail)
            }
            Self::Query(PromError::Read(failure)) => Self::Read(failure).into_response(),
            Self::Query(failure) => {
                let status = match failure.kind() {
                    "bad_data" => StatusCode::BAD_REQUEST,
                    "timeout" | "unavailable" => StatusCode::SERVICE_UNAVAILABLE,
                    _ => StatusCode::UNPROCESSABLE_ENTITY,
                };
                error(status, failure.kind(), &failure.to_string())
            }
            Self::NotRead(failure) => error(failure.status(), "unavailable", &failure.to_string()),
            Self::Unknown(path) => {
                let detail = format!("{path} is not answered here");
                error(StatusCode::NOT_FOUND, "not_found", &detail)
            }
            Self::Read(refused @ ReadError::Refused { .. }) => {
                error(StatusCode::BAD_REQUEST, "bad_data", &refused.to_string())
            }
            Self::Read(failure @ ReadError::Timeout { .. }) => {
                error(StatusCode::GATEWAY_TIMEOUT, "unavailable", &failure.to_string())
            }
            Self::Read(failure @ (ReadError::Unreachable { .. } | ReadError::BadAnswer { .. })) => {
                error(StatusCode::BAD_GATEWAY, "unavailable", &failure.to_string())
            }
            Self::Read(failure @ ReadError::TooMany { .. }) => {
                error(StatusCode::UNPROCESSABLE_ENTITY, "execution", &failure.to_string())
            }
            Self::Read(failure) => {
                tracing::error!(error = %failure, "metrics could not be read");
                error(StatusCode::INTERNAL_SERVER_ERROR, "internal", "what is stored could not be read")
            }
        }
    }
}
