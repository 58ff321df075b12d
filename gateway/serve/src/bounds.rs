//! How many requests are answered at once and how long each may take; over that, an error in the surface's own shape.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State as Extract};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::pace::Pace;
use crate::{jaeger, prometheus};

/// Requests under way at once: all that [`crate::Reads`] lets run and wait, and some that read nothing.
pub(crate) const MAX_REQUESTS: usize = 256;

/// When to ask again: most answers take less than a second.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The bounds of a router. A cheap clone; all clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    places: Arc<Semaphore>,
    timeout: Duration,
    pace: Pace,
}

impl Bounds {
    /// At most `requests` at once, each for at most `timeout`.
    pub(crate) fn new(requests: usize, timeout: Duration) -> Self {
        Self { places: Arc::new(Semaphore::new(requests)), timeout, pace: Pace::default() }
    }
}

/// Lets a request in if there is room, and ends it when its time is over.
pub(crate) async fn keep(Extract(bounds): Extract<Bounds>, request: Request, next: Next) -> Response {
    let surface = Surface::of(request.uri().path());
    let Ok(_place) = bounds.places.try_acquire() else { return surface.too_many() };
    match tokio::time::timeout(bounds.timeout, next.run(request)).await {
        Ok(response) => bounds.pace.keep(response).await.unwrap_or_else(|| surface.too_many()),
        Err(_) => surface.too_slow(bounds.timeout),
    }
}

/// Whose errors a client reads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Surface {
    /// Loki's, Tempo's and Zipkin's, and where nobody parses them.
    Text,
    Prometheus,
    Jaeger,
    Native,
}

impl Surface {
    pub(crate) fn of(path: &str) -> Self {
        if path.starts_with("/prometheus/") {
            Self::Prometheus
        } else if path.starts_with("/jaeger/") {
            Self::Jaeger
        } else if path.starts_with("/api/v1/") {
            Self::Native
        } else {
            Self::Text
        }
    }

    fn too_many(self) -> Response {
        let after = [(header::RETRY_AFTER, RETRY_AFTER.as_secs().to_string())];
        let detail = "too many requests are being answered; try again in a second";
        (after, self.error(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)).into_response()
    }

    fn too_slow(self, after: Duration) -> Response {
        let status = match self {
            // As Prometheus has it: Grafana reads its errors on 503, not on 504.
            Self::Prometheus => StatusCode::SERVICE_UNAVAILABLE,
            Self::Text | Self::Jaeger | Self::Native => StatusCode::GATEWAY_TIMEOUT,
        };
        self.error(status, "timeout", &format!("the request timed out after {after:?}"))
    }

    pub(crate) fn error(self, status: StatusCode, kind: &str, detail: &str) -> Response {
        match self {
            Self::Text => (status, detail.to_owned()).into_response(),
            Self::Prometheus => prometheus::error(status, kind, detail),
            Self::Jaeger => jaeger::error(status, detail),
            Self::Native => (status, Json(json!({ "error": detail }))).into_response(),
        }
    }
}

#[cfg(test)]
mod tests;
