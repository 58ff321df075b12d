//! Series that `metrics` stages make of lines: what they have counted is written into the store as samples.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parsers::record::Batch;
use store::Store;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Writes samples so often, and once more at the shutdown.
pub async fn keep_writing(
    tailed: Arc<tail::Counters>,
    every: Duration,
    store: Store,
    shutdown: CancellationToken,
) {
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = now();
    loop {
        let stopping = tokio::select! {
            _ = ticks.tick() => false,
            () = shutdown.cancelled() => true,
        };
        let (at, store) = (now(), store.clone());
        let metrics = tailed.line_metrics.collect(before, at);
        before = at;
        if !metrics.samples.is_empty() {
            // It cannot fail but by a defect, which the log tells.
            let _ = tokio::task::spawn_blocking(move || {
                if let Err(refused) = store.append(Arc::new(Batch { metrics, ..Batch::default() })) {
                    tracing::warn!(%refused, "samples of lines were not stored; counters go on, and the next have all");
                }
            })
            .await;
        }
        if stopping {
            return;
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
