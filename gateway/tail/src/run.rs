//! The loop round the tailer: time, the sink, waiting, and the way out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use parsers::derived::Deriver;
use parsers::record::{Batch, Position};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::options::TailOptions;
use crate::report::Counters;
use crate::sink::Sink;
use crate::tailer::{Step, Tailer};

/// Between sweeps while lines come: half of what a person notices.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// Between sweeps while nothing comes: a thousand idle files cost a few thousand calls a second at most.
const IDLE_PAUSE: Duration = Duration::from_millis(250);

/// Between looks at the files while a batch waits: often enough that nothing is rotated away twice between two of them.
const LOOK_WHILE_WAITING: Duration = Duration::from_millis(500);

/// First wait after a refusal that names none.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// Longest wait after refusals, unless the sink asks for more.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// What to read and how, and the rules that find ids.
pub type Plan = (TailOptions, Arc<Deriver>);

/// Tails until shutdown, by another plan whenever one comes. What the sink has not taken by then is read again by the next run.
pub async fn run(
    mut plans: watch::Receiver<Plan>,
    sink: Arc<dyn Sink>,
    positions: Vec<Position>,
    counters: Arc<Counters>,
    shutdown: CancellationToken,
) {
    let (options, deriver) = plans.borrow_and_update().clone();
    let mut tailer = Tailer::new(options, deriver, positions, Arc::clone(&counters));
    let mut pause = BUSY_PAUSE;
    while !shutdown.is_cancelled() {
        if plans.has_changed().unwrap_or(false) {
            let (options, deriver) = plans.borrow_and_update().clone();
            tailer.reconfigure(options, deriver);
        }
        let Some((back, step)) = aside(tailer, |tailer| tailer.step(now())).await else { return };
        tailer = back;
        match step {
            Step::Deliver(batch) => {
                let Some(back) = deliver_watching(tailer, &*sink, batch, &counters, &shutdown).await else {
                    return;
                };
                tailer = back;
                tailer.acknowledged(now());
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
    }
}

/// Disks may be slow: reading has a thread of its own. `None` if it has failed, and tailing with it.
async fn aside<T: Send + 'static>(
    mut tailer: Tailer,
    work: impl FnOnce(&mut Tailer) -> T + Send + 'static,
) -> Option<(Tailer, T)> {
    let worked = tokio::task::spawn_blocking(move || {
        let result = work(&mut tailer);
        (tailer, result)
    });
    worked.await.inspect_err(|error| tracing::error!(%error, "tailing has ended")).ok()
}

/// Delivers; for as long as that takes, keeps an eye on the files. `None` at shutdown.
async fn deliver_watching(
    mut tailer: Tailer,
    sink: &dyn Sink,
    batch: Arc<Batch>,
    counters: &Counters,
    shutdown: &CancellationToken,
) -> Option<Tailer> {
    let mut delivering = std::pin::pin!(deliver(sink, batch, counters, shutdown));
    loop {
        tokio::select! {
            taken = &mut delivering => return taken.then_some(tailer),
            () = tokio::time::sleep(LOOK_WHILE_WAITING) => {
                (tailer, ()) = aside(tailer, |tailer| tailer.watch(now())).await?;
            }
        }
    }
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
