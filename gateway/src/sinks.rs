//! The store as the sink of both collectors: appending waits for the disk, so it has a thread of its own. What is stored is shown
//! to whoever follows.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parsers::record::Batch;
use store::{LeftOut, Refused, Store};
use tokio::sync::broadcast::{Receiver, Sender};

use crate::span_metrics::Counted;

/// Appends batches to the store.
#[derive(Debug, Clone)]
pub struct StoreSink {
    store: Store,
    followers: Sender<Arc<Batch>>,
    /// Where spans are counted, if they are.
    counted: Option<Arc<Counted>>,
}

/// Batches that are held for a follower that is slow: some megabytes as agents and SDKs send, at worst as many of the largest
/// bodies that are taken.
const HELD_BATCHES: usize = 16;

/// When a batch that was not even tried may be sent again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl StoreSink {
    /// Into this store; spans are counted when they are stored.
    pub fn new(store: Store, counted: Option<Arc<Counted>>) -> Self {
        Self { store, followers: Sender::new(HELD_BATCHES), counted }
    }

    /// The same store for spans that no series are made of: our own would be in every map.
    #[must_use]
    pub fn uncounted(&self) -> Self {
        Self { counted: None, ..self.clone() }
    }

    async fn append(&self, batch: Arc<Batch>) -> Result<LeftOut, Refused> {
        let store = self.store.clone();
        let shown =
            (self.followers.receiver_count() > 0 && !batch.logs.rows.is_empty()).then(|| Arc::clone(&batch));
        let counted = self.counted.clone().filter(|_| !batch.spans.rows.is_empty());
        let append = move || {
            let Some(counted) = counted else { return store.append(batch) };
            let left_out = store.append(Arc::clone(&batch))?;
            counted.count(batch);
            Ok(left_out)
        };
        let appended = tokio::task::spawn_blocking(append).await.unwrap_or_else(|error| {
            Err(Refused::Failed {
                detail: format!("appending ended early: {error}"),
                retry_after: RETRY_AFTER,
            })
        });
        if let (Ok(_), Some(batch)) = (&appended, shown) {
            // Nobody follows any more: nothing to tell.
            let _ = self.followers.send(batch);
        }
        appended
    }
}

impl serve::Follow for StoreSink {
    fn follow(&self) -> Receiver<Arc<Batch>> {
        self.followers.subscribe()
    }
}

#[async_trait]
impl tail::Sink for StoreSink {
    async fn deliver(&self, batch: Arc<Batch>) -> Result<(), tail::Refusal> {
        self.append(batch).await.map(|_| ()).map_err(|refused| tail::Refusal {
            kind: match refused {
                Refused::Busy { .. } => tail::RefusalKind::Busy,
                Refused::Full { .. } => tail::RefusalKind::Full,
                Refused::Failed { .. } => tail::RefusalKind::Failed,
            },
            retry_after: refused.retry_after(),
            detail: refused.to_string(),
        })
    }
}

#[async_trait]
impl receive::Sink for StoreSink {
    async fn accept(&self, batch: Arc<Batch>) -> Result<(), receive::Refusal> {
        self.accept_telling(batch).await.map(|_| ())
    }

    async fn accept_telling(&self, batch: Arc<Batch>) -> Result<receive::LeftOut, receive::Refusal> {
        let taken = self.append(batch).await;
        let taken = taken.map(|left| receive::LeftOut { samples: left.refused(), reason: left.reason });
        taken.map_err(|refused| receive::Refusal {
            kind: match refused {
                Refused::Busy { .. } => receive::RefusalKind::Busy,
                Refused::Full { .. } => receive::RefusalKind::Full,
                Refused::Failed { .. } => receive::RefusalKind::Failed,
            },
            retry_after: refused.retry_after(),
            detail: refused.to_string(),
        })
    }
}
