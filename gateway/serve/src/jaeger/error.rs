//! Failures as Jaeger tells them: its usual envelope with a list of errors; in the third version, one error.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::failure::{Failure, retriable};

/// A failure in the usual envelope.
pub(super) struct Enveloped(Failure);

impl<T: Into<Failure>> From<T> for Enveloped {
    fn from(error: T) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Enveloped {
    fn into_response(self) -> Response {
        let (status, detail) = self.0.told();
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
pub(super) struct Third(Failure);

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
