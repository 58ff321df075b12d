//! Failures as Zipkin tells them: plain text. What went wrong inside stays in the log.

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
    /// No such trace; the id as it was asked for.
    NotFound(String),
    /// It asks for too much, or could not be read.
    Query(QueryError),
    /// No room.
    NotRead(NotRead),
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

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::Query(QueryError::Read(error))
    }
}

impl From<NotRead> for Failure {
    fn from(error: NotRead) -> Self {
        Self::NotRead(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(detail) => (StatusCode::BAD_REQUEST, detail).into_response(),
            Self::NotFound(id) => (StatusCode::NOT_FOUND, format!("{id} not found")).into_response(),
            Self::NotRead(error) => error.into_response(),
            Self::Query(QueryError::Read(error)) => {
                tracing::error!(%error, "a trace search failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "the traces could not be read").into_response()
            }
            Self::Query(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
        }
    }
}
