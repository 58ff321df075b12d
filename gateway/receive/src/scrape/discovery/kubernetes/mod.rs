//! Pods that say in their annotations that they want to be scraped: listed once, then watched. Whatever the API does, what is
//! known of it goes on being scraped.

mod pods;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kubernetes::{Access, Api, Follower, Kind, follow};
use tokio::task::JoinSet;

use super::Outlet;
use crate::scrape::options::{Group, Kubernetes};
use pods::Pod;

/// Between looks for the files of a service account, which may come late.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Pods with annotations, of one source.
const MAX_PODS: usize = 20_000;

/// Watches until it is dropped.
pub(super) async fn watch(pods: &Kubernetes, outlet: &Arc<Outlet>) {
    let access = access(pods);
    let api = loop {
        match Api::new(&access) {
            Ok(api) => break Arc::new(api),
            Err(failure) => outlet.trouble(Some(&failure)),
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    let known = Arc::new(Known { outlet: Arc::clone(outlet), spaces: Mutex::default() });
    let mut spaces: Vec<Option<&str>> = pods.namespaces.iter().map(|namespace| Some(&**namespace)).collect();
    if spaces.is_empty() {
        spaces.push(None);
    }
    let mut tasks = JoinSet::new();
    for (number, namespace) in spaces.into_iter().enumerate() {
        let (api, kind) = (Arc::clone(&api), kind(pods, namespace));
        let space = InSpace { number, known: Arc::clone(&known) };
        tasks.spawn(async move { follow(&api, &kind, &space).await });
    }
    while tasks.join_next().await.is_some() {}
}

fn access(pods: &Kubernetes) -> Access {
    Access {
        url: pods.api.clone(),
        token_file: pods.token_file.clone(),
        ca_file: pods.tls.ca_file.clone(),
        insecure_skip_verify: pods.tls.insecure_skip_verify,
    }
}

fn kind(pods: &Kubernetes, namespace: Option<&str>) -> Kind {
    let path = match namespace {
        Some(namespace) => format!("/api/v1/namespaces/{namespace}/pods"),
        None => "/api/v1/pods".to_owned(),
    };
    let mut filters = Vec::new();
    filters.extend(pods.node.as_ref().map(|node| ("fieldSelector", format!("spec.nodeName={node}"))));
    filters.extend(pods.selector.as_ref().map(|selector| ("labelSelector", selector.clone())));
    Kind { path, filters, cached: false, most: MAX_PODS }
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

/// One of the namespaces, by its number.
struct InSpace {
    number: usize,
    known: Arc<Known>,
}

impl Follower<Pod> for InSpace {
    fn wants(&self, pod: &Pod) -> bool {
        pod.wants_scraping()
    }

    fn replaced(&self, pods: Vec<Pod>) {
        self.known.change(self.number, |space| {
            space.pods.clear();
            for pod in &pods {
                space.put(pod);
            }
        });
    }

    fn put(&self, pod: Pod) {
        self.known.change(self.number, |space| space.put(&pod));
    }

    fn removed(&self, pod: Pod) {
        self.known.change(self.number, |space| space.remove(&pod));
    }

    fn trouble(&self, trouble: Option<&str>) {
        self.known.change(self.number, |space| space.trouble = trouble.map(str::to_owned));
    }
}
