//! Failures as Loki tells them: plain text, which Grafana shows as it is. What went wrong inside stays in the log.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use query::QueryError;
use store::read::ReadError;

use crate::blocking::NotRead;
use crate::parameters::Malformed;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The request cannot be answered as it stands.
    Refused(String),
    /// The query is wrong, asks for too much, or could not be read.
    Query(QueryError),
    /// No room.
    NotRead(NotRead),
    /// The store failed.
    Read(ReadError),
}

impl Failure {
    pub(super) fn refused(detail: impl Into<String>) -> Self {
        Self::Refused(detail.into())
    }
}

impl From<Malformed> for Failure {
    fn from(error: Malformed) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

impl From<NotRead> for Failure {
    fn from(error: NotRead) -> Self {
        Self::NotRead(error)
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
            Self::Refused(detail) => (StatusCode::BAD_REQUEST, detail).into_response(),
            Self::NotRead(error) => error.into_response(),
            Self::Query(QueryError::Read(error)) | Self::Read(error) => {
                tracing::error!(%error, "a log query failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "the logs could not be read").into_response()
            }
            Self::Query(error @ QueryError::Timeout(_)) => {
                (StatusCode::GATEWAY_TIMEOUT, error.to_string()).into_response()
            }
            Self::Query(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
        }
    }
}
