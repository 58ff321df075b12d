//! Pods that say in their annotations that they want to be scraped: listed once, then watched. Whatever the API does, what is
//! known of it goes on being scraped.

mod api;
mod pods;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use super::Outlet;
use crate::scrape::options::{Group, Kubernetes};
use api::{Api, Event, Failure};
use pods::Pod;

/// After the first failure; twice that after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// An API that is down is asked no less often than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Pods with annotations, of one source.
const MAX_PODS: usize = 20_000;

/// Watches until it is dropped.
pub(super) async fn watch(pods: &Kubernetes, outlet: &Arc<Outlet>) {
    let api = loop {
        match Api::new(pods) {
            Ok(api) => break Arc::new(api),
            Err(failure) => outlet.trouble(Some(&failure)),
        }
        // The files of a service account may come late.
        tokio::time::sleep(LONGEST_PAUSE).await;
    };
    let known = Arc::new(Known { outlet: Arc::clone(outlet), spaces: Mutex::default() });
    let mut spaces: Vec<Option<String>> = pods.namespaces.iter().cloned().map(Some).collect();
    if spaces.is_empty() {
        spaces.push(None);
    }
    let mut tasks = JoinSet::new();
    for (number, namespace) in spaces.into_iter().enumerate() {
        let (api, known) = (Arc::clone(&api), Arc::clone(&known));
        tasks.spawn(async move { follow(&api, namespace.as_deref(), number, &known).await });
    }
    while tasks.join_next().await.is_some() {}
}

/// What is known of each namespace that is watched.
struct Known {
    outlet: Arc<Outlet>,
    spaces: Mutex<BTreeMap<usize, Space>>,
}

#[derive(Default)]
struct Space {
    /// By namespace and name.
    pods: BTreeMap<(String, String), Vec<Group>>,
    trouble: Option<String>,
}

impl Known {
    fn change(&self, number: usize, change: impl FnOnce(&mut Space)) {
        let mut spaces = self.spaces.lock().unwrap_or_else(PoisonError::into_inner);
        change(spaces.entry(number).or_default());
        let troubles: Vec<&str> = spaces.values().filter_map(|space| space.trouble.as_deref()).collect();
        self.outlet.trouble((!troubles.is_empty()).then(|| troubles.join("; ")).as_deref());
        self.outlet.set(spaces.values().flat_map(|space| space.pods.values().flatten().cloned()).collect());
    }
}

impl Space {
    fn put(&mut self, pod: &Pod) {
        let groups = pod.groups();
        if groups.is_empty() {
            self.remove(pod);
        } else if self.pods.len() < MAX_PODS {
            self.pods.insert(pod.key(), groups);
        }
    }

    fn remove(&mut self, pod: &Pod) {
        self.pods.remove(&pod.key());
    }
}

/// Lists, then watches from there; lists again when the API has forgotten where that is.
async fn follow(api: &Api, namespace: Option<&str>, number: usize, known: &Known) {
    let mut pause = FIRST_PAUSE;
    loop {
        let listed = api.list(namespace).await;
        let mut version = match listed {
            Ok((pods, version)) => {
                known.change(number, |space| {
                    *space = Space::default();
                    for pod in &pods {
                        space.put(pod);
                    }
                });
                version
            }
            Err(failure) => {
                failed(known, number, &failure, &mut pause).await;
                continue;
            }
        };
        loop {
            match watch_from(api, namespace, number, known, &mut version, &mut pause).await {
                Ok(()) => {}
                Err(Failure::Expired) => break,
                Err(failure) => failed(known, number, &failure, &mut pause).await,
            }
        }
    }
}

async fn failed(known: &Known, number: usize, failure: &Failure, pause: &mut Duration) {
    known.change(number, |space| space.trouble = Some(failure.to_string()));
    tokio::time::sleep(*pause).await;
    *pause = (*pause * 2).min(LONGEST_PAUSE);
}

/// Takes what changes until the API ends the answer, as it does every few minutes.
async fn watch_from(
    api: &Api,
    namespace: Option<&str>,
    number: usize,
    known: &Known,
    version: &mut String,
    pause: &mut Duration,
) -> Result<(), Failure> {
    let mut events = api.watch(namespace, version).await?;
    known.change(number, |space| space.trouble = None);
    let mut any = false;
    while let Some(event) = events.next().await? {
        any = true;
        *pause = FIRST_PAUSE;
        let pod = match &event {
            Event::Put(pod) | Event::Deleted(pod) | Event::Bookmark(pod) => pod,
        };
        version.clone_from(&pod.metadata.resource_version);
        match &event {
            Event::Put(pod) => known.change(number, |space| space.put(pod)),
            Event::Deleted(pod) => known.change(number, |space| space.remove(pod)),
            Event::Bookmark(_) => {}
        }
    }
    // One that ends every answer at once is not asked in a loop.
    if !any {
        tokio::time::sleep(*pause).await;
    }
    Ok(())
}
