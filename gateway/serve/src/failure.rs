//! Why a surface has no answer, told in plain text with a status; Jaeger's and Tempo's own ways of telling it lie with them. What
//! went wrong inside stays in the log.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use query::QueryError;
use store::read::ReadError;

use crate::blocking::{NotRead, RETRY_AFTER};
use crate::parameters::Malformed;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request cannot be answered as it stands.
    Refused(String),
    /// There is no such thing.
    NotFound(String),
    /// The query is wrong, asks for too much, or could not be read.
    Query(QueryError),
    /// No room.
    NotRead(NotRead),
}

impl Failure {
    pub(crate) fn refused(detail: impl Into<String>) -> Self {
        Self::Refused(detail.into())
    }

    /// The status, and what to say.
    pub(crate) fn told(self) -> (StatusCode, String) {
        match self {
            Self::Refused(detail) => (StatusCode::BAD_REQUEST, detail),
            Self::NotFound(detail) => (StatusCode::NOT_FOUND, detail),
            Self::NotRead(error) => (error.status(), error.to_string()),
            Self::Query(QueryError::Read(error)) => (StatusCode::INTERNAL_SERVER_ERROR, unreadable(&error)),
            Self::Query(error @ QueryError::Timeout(_)) => (StatusCode::GATEWAY_TIMEOUT, error.to_string()),
            Self::Query(error @ QueryError::Busy(_)) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            Self::Query(error) => (StatusCode::BAD_REQUEST, error.to_string()),
        }
    }
}

/// What is said where the store failed; the log has the reason.
pub(crate) fn unreadable(error: &ReadError) -> String {
    tracing::error!(%error, "a query failed");
    "what is stored could not be read".to_owned()
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
        let (status, detail) = self.told();
        retriable(status, (status, detail).into_response())
    }
}

/// Says when to come again, if that helps.
pub(crate) fn retriable(status: StatusCode, mut response: Response) -> Response {
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER.as_secs().into());
    }
    response
}
