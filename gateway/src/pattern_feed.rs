//! Shows what is stored to the patterns: first the newest of what there is, then what arrives.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use parsers::record::Batch;
use store::{Patterns, Store};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

/// Runs until shutdown. Where more arrives than can be looked at, some of it is not: patterns are counted, not billed.
pub async fn run(
    mut arriving: Receiver<Arc<Batch>>,
    store: Store,
    patterns: Arc<Patterns>,
    shutdown: CancellationToken,
) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let of_past = Arc::clone(&patterns);
    let read = tokio::task::spawn_blocking(move || of_past.note_stored(&store, now));
    if let Ok(Err(error)) = read.await {
        tracing::warn!(%error, "patterns begin with what arrives: the stored lines could not be read");
    }
    loop {
        let batch = tokio::select! {
            batch = arriving.recv() => batch,
            () = shutdown.cancelled() => return,
        };
        match batch {
            Ok(batch) => {
                let patterns = Arc::clone(&patterns);
                // It cannot fail but by a defect, which the log tells.
                let _ = tokio::task::spawn_blocking(move || patterns.note(&batch)).await;
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}
