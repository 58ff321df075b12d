//! Where batches go.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parsers::record::Batch;

/// Why a batch was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// Too much at once.
    Busy,
    /// No room.
    Full,
    /// Something broke.
    Failed,
}

/// A batch that was not taken. It is offered again: nothing is dropped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// What kind of trouble.
    pub kind: RefusalKind,
    /// For people.
    pub detail: String,
    /// When to try again at the earliest.
    pub retry_after: Duration,
}

/// Takes batches. `Ok` means safe: the positions in the batch count from then on.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Takes a batch whole, or not at all.
    async fn deliver(&self, batch: Arc<Batch>) -> Result<(), Refusal>;
}
