//! The one way from a surface to what reads disk: blocking work beside the runtime, bounded in how much of it runs and
//! how much of it waits.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use crate::failure::retriable;

/// Reads that run at once. They share cores with what is received, and a scan holds one decoded block at a time.
const DEFAULT_RUNNING: usize = 16;

/// Reads that wait for one of those to end. A dashboard asks some twenty questions at once; this is ten of them.
const DEFAULT_WAITING: usize = 200;

/// When to ask again: most reads end within a second.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Runs blocking reads. A cheap clone; all clones share the bounds.
#[derive(Debug, Clone)]
pub struct Reads {
    admitted: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

impl Default for Reads {
    fn default() -> Self {
        Self::new(DEFAULT_RUNNING, DEFAULT_WAITING)
    }
}

impl Reads {
    /// At most `running` at once, and `waiting` more that wait for their turn.
    pub fn new(running: usize, waiting: usize) -> Self {
        Self {
            admitted: Arc::new(Semaphore::new(running.saturating_add(waiting))),
            running: Arc::new(Semaphore::new(running)),
        }
    }

    /// Runs `read` when its turn comes. Its place is given back when it has ended, also where the asker left before.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotRead> {
        let admitted = self.admitted.clone().try_acquire_owned().map_err(|_| NotRead::Busy)?;
        let running = self.running.clone().acquire_owned().await.map_err(|_| NotRead::Ended)?;
        let work = tokio::task::spawn_blocking(move || {
            let _places = (admitted, running);
            read()
        });
        work.await.map_err(|error| {
            tracing::error!(%error, "a read ended early");
            NotRead::Ended
        })
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotRead {
    /// All places are taken.
    #[error("too many queries are waiting; try again in a second")]
    Busy,
    /// The read failed in a way that the log tells.
    #[error("the query ended early")]
    Ended,
}

impl NotRead {
    /// As HTTP says it.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Ended => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for NotRead {
    fn into_response(self) -> Response {
        retriable(self.status(), (self.status(), self.to_string()).into_response())
    }
}

#[cfg(test)]
mod tests;
