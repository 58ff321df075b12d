//! What can go wrong with a request of any protocol. Each protocol writes its own body of it.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::limits::RETRY_AFTER;

/// A request that is not answered with success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The body cannot be read.
    #[error("{0}")]
    Malformed(String),
    /// The body is over the limit.
    #[error("the body is over the limit of {0} bytes, on the wire or decompressed")]
    TooLarge(usize),
    /// Try again later.
    #[error("{detail}")]
    Unavailable {
        /// For people.
        detail: String,
        /// How much later.
        retry_after: Duration,
    },
}

impl From<parsers::otlp::WalkError> for Trouble {
    fn from(error: parsers::otlp::WalkError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl Trouble {
    /// Over the bound on bytes in flight.
    pub(crate) fn busy() -> Self {
        Self::Unavailable { detail: "too many bytes in flight".to_owned(), retry_after: RETRY_AFTER }
    }

    /// 400, 413 or 503.
    pub(crate) fn http_status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// An answer with this body, the status and `Retry-After` where a retry makes sense.
    pub(crate) fn answer(&self, body: impl IntoResponse) -> Response {
        let mut response = (self.http_status(), body).into_response();
        if let Self::Unavailable { retry_after, .. } = self {
            let seconds = retry_after.as_millis().div_ceil(1000).max(1) as u64;
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    /// [`Trouble::answer`] as plain text, for protocols without a form of their own.
    pub(crate) fn plain(&self) -> Response {
        self.answer(self.to_string())
    }
}
