//! ANSWER. One folder a surface; each translates a request into a call of the core and its answer into the wire shape.
//!
//! No joins, no scans and no query evaluation live here.

mod admin;
mod native;
mod tempo;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use correlate::Correlator;
use store::read::TraceRead;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::timeout::TimeoutLayer;

pub use admin::{PartState, Readiness};

/// Longest time for any answer. Grafana's own default for a data source is 30 s: this ends just before, so that the
/// client sees the reason and not its own timeout.
pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(28);

/// What the surfaces answer from. A cheap clone.
#[derive(Clone)]
pub struct State {
    /// Joins by trace id.
    pub correlator: Arc<Correlator>,
    /// Spans by trace id.
    pub traces: Arc<dyn TraceRead>,
    /// Which parts of the gateway are ready.
    pub readiness: Arc<dyn Readiness>,
    /// Longest time for any answer, after which it is 408.
    pub request_timeout: Duration,
}

/// All surfaces under their paths.
pub fn router(state: State) -> Router {
    let timeout = state.request_timeout;
    Router::new()
        .merge(native::routes())
        .merge(tempo::routes())
        .merge(admin::routes())
        .with_state(state)
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, timeout))
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::new())
}
