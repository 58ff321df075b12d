//! How long to wait before a request is sent again.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use async_trait::async_trait;

/// First wait: a server that restarts is back within seconds.
const FIRST: Duration = Duration::from_millis(500);

/// Longest wait that is not asked for: an outage of hours ends with all agents back within half a minute.
const LONGEST: Duration = Duration::from_secs(30);

/// Lets time pass; a test's does not.
#[async_trait]
pub trait Timer: Send + Sync {
    /// Returns after this long.
    async fn wait(&self, time: Duration);
}

/// The real one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock;

#[async_trait]
impl Timer for Clock {
    async fn wait(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// Waits that double, each shortened by chance to between a half and the whole, so that a thousand agents do not come back in
/// one moment.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: FIRST }
    }

    /// The wait before the next attempt; never shorter than the server asked for.
    pub(super) fn wait(&mut self, asked: Option<Duration>) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(LONGEST);
        let chance = RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64;
        match asked {
            // Those who were told the same moment are spread after it.
            Some(asked) => asked + FIRST.mul_f64(chance),
            None => whole.mul_f64(0.5 + chance / 2.0),
        }
    }
}
