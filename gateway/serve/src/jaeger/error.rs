//! Failures as Jaeger tells them: its usual envelope with a list of errors; in the third version, one error. What went wrong inside
//! stays in the log.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use query::QueryError;
use serde_json::json;
use store::read::ReadError;

use crate::blocking::{NotRead, RETRY_AFTER};
use crate::parameters::Malformed;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The request cannot be answered as it stands.
    Refused(String),
    /// No such trace.
    NotFound,
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

impl Failure {
    fn told(self) -> (StatusCode, String) {
        match self {
            Self::Refused(detail) => (StatusCode::BAD_REQUEST, detail),
            Self::NotFound => (StatusCode::NOT_FOUND, "trace not found".to_owned()),
            Self::Query(QueryError::Read(error)) => {
                tracing::error!(%error, "a trace search failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "the traces could not be read".to_owned())
            }
            Self::Query(error) => (StatusCode::BAD_REQUEST, error.to_string()),
            Self::NotRead(error) => (error.status(), error.to_string()),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, detail) = self.told();
        error(status, &detail)
    }
}

/// The envelope with one error.
pub(crate) fn error(status: StatusCode, detail: &str) -> Response {
    let body = json!({
        "data": null,
        "errors": [{ "code": status.as_u16(), "msg": detail }],
        "limit": 0,
        "offset": 0,
        "total": 0,
    });
    retriable(status, (status, Json(body)).into_response())
}

/// A failure as the third version has it.
pub(super) struct Third(pub(super) Failure);

impl<T: Into<Failure>> From<T> for Third {
    fn from(error: T) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Third {
    fn into_response(self) -> Response {
        let (status, detail) = self.0.told();
        let body = json!({ "error": { "httpCode": status.as_u16(), "message": detail } });
        retriable(status, (status, Json(body)).into_response())
    }
}

/// Says when to come again, if that helps.
fn retriable(status: StatusCode, mut response: Response) -> Response {
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER.as_secs().into());
    }
    response
}
