//! Waiting for something to become true, within bounds.

use std::future::Future;
use std::time::Duration;

use anyhow::bail;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Between two looks: short against anything worth waiting for, long enough not to be load.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Looks until `probe` finds what it wants and gives that. Past `within`, fails with `what` was awaited and what the last look
/// saw instead.
pub async fn until<T, F>(what: &str, within: Duration, mut probe: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let end = Instant::now() + within;
    let mut ticks = interval(LOOK_AGAIN);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match probe().await {
            Ok(found) => return Ok(found),
            Err(reason) if Instant::now() >= end => {
                bail!("{what} did not come within {within:?}: {reason:#}")
            }
            Err(_) => {}
        }
    }
}
