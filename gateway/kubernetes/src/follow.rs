//! Objects of a kind, listed once and then watched for ever: over ends, breaks, silence and forgotten versions.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::api::{Api, Event, Failure, Kind};

/// After the first failure; twice that after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// An API that is down is asked no less often than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// An object of the API, as much of it as is needed.
pub trait Object: DeserializeOwned + Send {
    /// `metadata.resourceVersion`
    fn resource_version(&self) -> &str;
}

/// Takes what is told of the objects.
pub trait Follower<T>: Send + Sync {
    /// Whether this one of a list is worth keeping.
    fn wants(&self, object: &T) -> bool;
    /// These are all that there are.
    fn replaced(&self, objects: Vec<T>);
    /// This one is new or changed.
    fn put(&self, object: T);
    /// This one is gone.
    fn removed(&self, object: T);
    /// What is wrong with the API; `None` once nothing is. What was told before stays true as far as anybody knows.
    fn trouble(&self, trouble: Option<&str>);
}

/// How long to wait after failures. Programs on a thousand nodes that saw the same failure do not come back at the same moment.
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub fn new() -> Self {
        Self(FIRST_PAUSE)
    }

    pub fn reset(&mut self) {
        self.0 = FIRST_PAUSE;
    }

    pub async fn pause(&mut self) {
        let spread = RandomState::new().build_hasher().finish() % 512;
        let pause = self.0.mul_f64(0.5 + spread as f64 / 1024.0);
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
        tokio::time::sleep(pause).await;
    }
}

/// Lists, then watches from there; lists again when the API has forgotten where that is. Runs until it is dropped.
pub async fn follow<T: Object>(api: &Api, kind: &Kind, follower: &dyn Follower<T>) {
    let mut backoff = Backoff::new();
    // What the API has in memory may be older than what it has just called too old.
    let mut cached = kind.cached;
    loop {
        let mut version = match api.list(kind, cached, |object| follower.wants(object)).await {
            Ok((objects, version)) => {
                follower.replaced(objects);
                version
            }
            Err(failure) => {
                follower.trouble(Some(&failure.to_string()));
                cached &= !matches!(failure, Failure::Expired);
                backoff.pause().await;
                continue;
            }
        };
        loop {
            match watch(api, kind, follower, &mut version, &mut backoff).await {
                Ok(()) => {}
                Err(Failure::Expired) => {
                    cached = false;
                    backoff.pause().await;
                    break;
                }
                Err(failure) => {
                    follower.trouble(Some(&failure.to_string()));
                    backoff.pause().await;
                }
            }
        }
    }
}

/// Takes what changes until the API ends the answer, as it does every few minutes.
async fn watch<T: Object>(
    api: &Api,
    kind: &Kind,
    follower: &dyn Follower<T>,
    version: &mut String,
    backoff: &mut Backoff,
) -> Result<(), Failure> {
    let mut events = api.watch(kind, version).await?;
    follower.trouble(None);
    let mut any = false;
    loop {
        let event = match events.next::<T>().await {
            Ok(Some(event)) => event,
            Ok(None) => break,
            // It was well until now: only if the next one fails, too, is anything wrong.
            Err(Failure::Other(detail)) if any => {
                tracing::debug!("a watch ended: {detail}");
                any = false;
                break;
            }
            Err(failure) => return Err(failure),
        };
        any = true;
        backoff.reset();
        let (Event::Put(object) | Event::Deleted(object) | Event::Bookmark(object)) = &event;
        if !object.resource_version().is_empty() {
            object.resource_version().clone_into(version);
        }
        match event {
            Event::Put(object) => follower.put(object),
            Event::Deleted(object) => follower.removed(object),
            Event::Bookmark(_) => {}
        }
    }
    // One that ends every answer at once is not asked in a loop.
    if !any {
        backoff.pause().await;
    }
    Ok(())
}
