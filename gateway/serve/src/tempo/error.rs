//! Failures as Tempo tells them: plain text. What went wrong inside stays in the log.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use query::QueryError;
use store::read::ReadError;
use tonic::Status;

use crate::blocking::NotRead;
use crate::parameters::Malformed;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// A parameter cannot be read.
    Malformed(Malformed),
    /// The query is wrong, asks for too much, or could not be read.
    Query(QueryError),
    /// No room.
    NotRead(NotRead),
    /// The store failed.
    Read(ReadError),
}

impl From<Malformed> for Failure {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
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

impl Failure {
    /// The same over gRPC.
    pub(super) fn status(self) -> Status {
        match self {
            Self::Malformed(error) => Status::invalid_argument(error.to_string()),
            Self::NotRead(NotRead::Busy) => Status::unavailable(NotRead::Busy.to_string()),
            Self::NotRead(error) => Status::internal(error.to_string()),
            Self::Query(QueryError::Read(error)) | Self::Read(error) => {
                tracing::error!(%error, "a trace query failed");
                Status::internal("the traces could not be read")
            }
            Self::Query(error @ QueryError::Timeout(_)) => Status::deadline_exceeded(error.to_string()),
            Self::Query(error) => Status::invalid_argument(error.to_string()),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Malformed(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
            Self::NotRead(error) => error.into_response(),
            Self::Query(QueryError::Read(error)) | Self::Read(error) => {
                tracing::error!(%error, "a trace query failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "the traces could not be read").into_response()
            }
            Self::Query(error @ QueryError::Timeout(_)) => {
                (StatusCode::GATEWAY_TIMEOUT, error.to_string()).into_response()
            }
            Self::Query(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
        }
    }
}
