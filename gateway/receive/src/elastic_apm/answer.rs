//! What senders are told.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::headers;

/// Errors that are told one by one; agents only log them.
const MAX_ERRORS: usize = 5;
/// Bytes of a bad line that its error shows.
const MAX_DOCUMENT: usize = 1024;

/// What became of a request of events.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub accepted: u64,
    errors: Vec<(String, Option<String>)>,
    /// The highest of the errors.
    status: Option<StatusCode>,
    pub retry_after: Option<Duration>,
}

impl Report {
    /// Adds an error, with the line that it is about.
    pub(super) fn error(&mut self, status: StatusCode, message: String, document: Option<&[u8]>) {
        self.status = self.status.max(Some(status));
        if self.errors.len() < MAX_ERRORS {
            let document = document
                .map(|line| String::from_utf8_lossy(line.get(..MAX_DOCUMENT).unwrap_or(line)).into_owned());
            self.errors.push((message, document));
        }
    }

    /// One error and nothing else.
    pub(super) fn only(status: StatusCode, message: &str) -> Self {
        let mut report = Self::default();
        report.error(status, message.to_owned(), None);
        report
    }

    /// The answer: nothing if all went well, unless it is asked for.
    pub(super) fn answer(&self, headers: &HeaderMap, verbose: bool) -> Response {
        let Some(status) = self.status else {
            if verbose {
                return body(StatusCode::ACCEPTED, headers, &json!({ "accepted": self.accepted }));
            }
            return (StatusCode::ACCEPTED, [(header::X_CONTENT_TYPE_OPTIONS, "nosniff")]).into_response();
        };
        let errors: Vec<Value> = self
            .errors
            .iter()
            .map(|(message, document)| match document {
                Some(document) => json!({ "message": message, "document": document }),
                None => json!({ "message": message }),
            })
            .collect();
        let mut response = body(status, headers, &json!({ "accepted": self.accepted, "errors": errors }));
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Close"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let after = self.retry_after.unwrap_or(crate::limits::RETRY_AFTER);
            let seconds = after.as_millis().div_ceil(1000).max(1) as u64;
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// JSON with line breaks for who accepts it, else the same in one line as plain text.
pub(super) fn body(status: StatusCode, headers: &HeaderMap, value: &Value) -> Response {
    let accept = headers::value(headers, header::ACCEPT);
    let nosniff = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if accept.contains("application/json") || accept.contains("*/*") {
        let media = (header::CONTENT_TYPE, "application/json");
        (status, [media, nosniff], format!("{value:#}\n")).into_response()
    } else {
        let media = (header::CONTENT_TYPE, "text/plain; charset=utf-8");
        (status, [media, nosniff], format!("{value}\n")).into_response()
    }
}

/// `{"error": text}`.
pub(super) fn error(status: StatusCode, headers: &HeaderMap, text: &str) -> Response {
    body(status, headers, &json!({ "error": text }))
}
