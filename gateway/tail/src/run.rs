//! The loop round the tailer: time, the sink, waiting, and the way out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use parsers::derived::Deriver;
use parsers::record::{Batch, Position};
use tokio_util::sync::CancellationToken;

use crate::options::TailOptions;
use crate::report::Counters;
use crate::sink::Sink;
use crate::tailer::{Step, Tailer};

/// Between sweeps while lines come: half of what a person notices.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// Between sweeps while nothing comes: a thousand idle files cost a few thousand calls a second at most.
const IDLE_PAUSE: Duration = Duration::from_millis(250);

/// First wait after a refusal that names none.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// Longest wait after refusals, unless the sink asks for more.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// Tails until shutdown. What the sink has not taken by then is read again by the next run.
pub async fn run(
    options: TailOptions,
    deriver: Arc<Deriver>,
    sink: Arc<dyn Sink>,
    positions: Vec<Position>,
    counters: Arc<Counters>,
    shutdown: CancellationToken,
) {
    let mut tailer = Tailer::new(options, deriver, positions, Arc::clone(&counters));
    let mut pause = BUSY_PAUSE;
    while !shutdown.is_cancelled() {
        let Some((mut stepped, step)) = with(tailer, |tailer| tailer.step(now())).await else { return };
        match step {
            Step::Deliver(batch) => {
                let mut delivery = std::pin::pin!(deliver(&*sink, batch, &counters, &shutdown));
                let taken = loop {
                    tokio::select! {
                        taken = &mut delivery => break taken,
                        // What comes and is rotated meanwhile has to be opened before it is compressed or deleted.
                        () = tokio::time::sleep(IDLE_PAUSE) => {
                            let Some((looked, ())) = with(stepped, |tailer| tailer.look(now())).await else { return };
                            stepped = looked;
                        }
                    }
                };
                if !taken {
                    return;
                }
                stepped.acknowledged();
                pause = BUSY_PAUSE;
            }
            Step::Again => {}
            Step::Idle(waiting) => {
                pause = if waiting { BUSY_PAUSE } else { (pause * 2).min(IDLE_PAUSE) };
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = shutdown.cancelled() => {}
                }
            }
        }
        tailer = stepped;
    }
}

/// Disks may be slow: what looks at them has a thread of its own.
async fn with<T: Send + 'static>(
    mut tailer: Tailer,
    act: impl FnOnce(&mut Tailer) -> T + Send + 'static,
) -> Option<(Tailer, T)> {
    let acted = tokio::task::spawn_blocking(move || {
        let result = act(&mut tailer);
        (tailer, result)
    });
    acted.await.inspect_err(|error| tracing::error!(%error, "tailing has ended")).ok()
}

/// Offers the batch until it is taken; `false` at shutdown.
pub(crate) async fn deliver(
    sink: &dyn Sink,
    batch: Arc<Batch>,
    counters: &Counters,
    shutdown: &CancellationToken,
) -> bool {
    let mut backoff = FIRST_BACKOFF;
    loop {
        // A sink may itself wait for long; at shutdown the batch is left to the next run.
        let refused = tokio::select! {
            result = sink.deliver(Arc::clone(&batch)) => match result {
                Ok(()) => return true,
                Err(refused) => refused,
            },
            () = shutdown.cancelled() => return false,
        };
        counters.refusals.fetch_add(1, Ordering::Relaxed);
        let wait = refused.retry_after.max(backoff);
        tracing::warn!(kind = ?refused.kind, wait_ms = wait.as_millis() as u64, "a batch was not taken: {refused}");
        backoff = (backoff * 2).min(MAX_BACKOFF);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shutdown.cancelled() => return false,
        }
    }
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
