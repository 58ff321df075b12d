//! Answers kept for a while, bounded by their bytes; the same question asked twice at once goes out once.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use moka::Expiry;
use store::read::{ReadError, Window};

use super::request::{Ask, Asker};

/// A window that is still filling: one scrape interval of a busy set-up.
const LIVE: Duration = Duration::from_secs(5);
/// A window that has passed.
const PAST: Duration = Duration::from_mins(5);
/// Samples and remote writes may come this late; a window is past after it.
const LATE: Duration = Duration::from_mins(5);

#[derive(Clone)]
struct Kept {
    body: Bytes,
    life: Duration,
}

struct Life;

impl Expiry<String, Kept> for Life {
    fn expire_after_create(&self, _: &String, kept: &Kept, _: Instant) -> Option<Duration> {
        Some(kept.life)
    }
}

pub(super) struct Cache {
    kept: moka::future::Cache<String, Kept>,
}

impl Cache {
    pub(super) fn new(bytes: u64) -> Self {
        let kept = moka::future::Cache::builder()
            .max_capacity(bytes)
            .weigher(|key: &String, kept: &Kept| {
                u32::try_from(key.len() + kept.body.len() + size_of::<Kept>()).unwrap_or(u32::MAX)
            })
            .expire_after(Life)
            .build();
        Self { kept }
    }

    /// The body of an answer, kept or fresh. Failures are not kept.
    pub(super) async fn get(&self, ask: Ask, window: Window, asker: &Asker) -> Result<Bytes, ReadError> {
        let tenants = ask.tenants.as_deref().unwrap_or_default();
        let key = format!("{tenants} {}?{}", ask.endpoint, ask.form);
        let life = life(window, SystemTime::now());
        let fresh = async { asker.ask(ask).await.map(|body| Kept { body, life }) };
        let kept = self.kept.try_get_with(key, fresh).await;
        kept.map(|kept| kept.body).map_err(|error: Arc<ReadError>| ReadError::clone(&error))
    }
}

fn life(window: Window, now: SystemTime) -> Duration {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    if Duration::from_nanos(window.end).saturating_add(LATE) < now { PAST } else { LIVE }
}
