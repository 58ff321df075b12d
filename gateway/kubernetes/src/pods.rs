//! What is known of the pods of a node, for whoever reads their logs, or of all of a cluster, for whoever is sent something by
//! them. Deleted ones are remembered for a while: their last lines are still to be read. Whatever becomes of the API, what is known
//! stays, and nobody waits for it.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::api::{Access, Api, Kind};
use crate::follow::{Follower, follow};
use crate::node::zone;
use crate::pod::{Pod, PodObject, Selection};

/// How long a deleted pod is remembered: longer than its files stay after it.
const REMEMBERED: Duration = Duration::from_mins(10);
/// Pods of a node that are known at once, those that are deleted among them: several times what a kubelet runs.
const MAX_OF_NODE: usize = 2_000;
/// Pods of a cluster that are known at once: about 20 MB.
const MAX_OF_CLUSTER: usize = 20_000;
/// Between looks for the files of a service account, which may come late.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// What to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// The API.
    pub access: Access,
    /// The node whose pods these are; without one, they are those of the whole cluster.
    pub node: Option<String>,
    /// Labels and annotations that are kept.
    pub selection: Selection,
}

/// What came of the watch.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests that failed, and watches that broke off.
    pub failures: AtomicU64,
    /// Whether the API answers.
    pub reached: AtomicBool,
}

/// What is known of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// This.
    Pod(Arc<Pod>),
    /// Nothing yet, while the API can be reached: it may come at any moment.
    Awaited,
    /// Nothing, and nobody knows whether anything will come.
    Nothing,
}

/// The pods of a node or of a cluster. Cheap to ask.
#[derive(Debug)]
pub struct Pods {
    selection: Selection,
    table: RwLock<Table>,
    revision: AtomicU64,
    /// What came of the watch.
    pub counters: Counters,
}

#[derive(Debug, Default)]
struct Table {
    by_uid: HashMap<String, Entry>,
    /// Keys of [`Table::by_uid`].
    by_address: HashMap<IpAddr, String>,
    /// How many are known at once.
    most: usize,
    zone: Option<Arc<str>>,
    trouble: Option<String>,
}

#[derive(Debug)]
struct Entry {
    pod: Arc<Pod>,
    deleted: Option<Instant>,
}

impl Watch {
    fn most(&self) -> usize {
        if self.node.is_some() { MAX_OF_NODE } else { MAX_OF_CLUSTER }
    }
}

impl Pods {
    /// Watches until the shutdown.
    pub fn watch(watch: Watch, shutdown: CancellationToken) -> Arc<Self> {
        let pods = Arc::new(Self::new(watch.selection.clone(), watch.most()));
        let known = Arc::clone(&pods);
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = known.keep(&watch) => {}
            }
        });
        pods
    }

    fn new(selection: Selection, most: usize) -> Self {
        let counters = Counters { reached: AtomicBool::new(true), ..Counters::default() };
        let table = RwLock::new(Table { most, ..Table::default() });
        Self { selection, table, revision: AtomicU64::new(0), counters }
    }

    async fn keep(&self, watch: &Watch) {
        let api = loop {
            match Api::new(&watch.access) {
                Ok(api) => break api,
                Err(failure) => self.trouble(Some(&failure)),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        };
        let of_node = watch.node.iter().map(|node| ("fieldSelector", format!("spec.nodeName={node}")));
        let kind = Kind {
            path: "/api/v1/pods".to_owned(),
            filters: of_node.collect(),
            cached: true,
            most: watch.most(),
        };
        let zone = async {
            let Some(node) = &watch.node else { return };
            let zone = zone(&api, node).await;
            self.change(|table| {
                table.zone = zone.map(Arc::from);
                table.zone.is_some()
            });
        };
        tokio::join!(zone, follow(&api, &kind, self));
    }

    /// Grows with every change of what is told.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// The pod of this UID, which is a hash for a static one; or of this name, where a path says no UID.
    pub fn pod(&self, uid: Option<&str>, namespace: &str, name: &str) -> Told {
        let table = self.read();
        let found = match uid {
            Some(uid) => table.by_uid.get(uid).map(|entry| &entry.pod),
            None => {
                let mut named = table.by_uid.values();
                let is_it = |entry: &&Entry| entry.pod.name == name && entry.pod.namespace == namespace;
                // One of a name may have followed another.
                let mut named: Vec<&Entry> = named.by_ref().filter(is_it).collect();
                named.sort_by_key(|entry| entry.deleted.is_some());
                named.first().map(|entry| &entry.pod)
            }
        };
        match found {
            Some(pod) => Told::Pod(Arc::clone(pod)),
            None if self.counters.reached.load(Ordering::Relaxed) => Told::Awaited,
            None => Told::Nothing,
        }
    }

    /// The pod of this UID, if it is known.
    pub fn of_uid(&self, uid: &str) -> Option<Arc<Pod>> {
        self.read().by_uid.get(uid).map(|entry| Arc::clone(&entry.pod))
    }

    /// The pod that has this address now, for itself alone.
    pub fn of_address(&self, address: IpAddr) -> Option<Arc<Pod>> {
        let table = self.read();
        table.by_uid.get(table.by_address.get(&address)?).map(|entry| Arc::clone(&entry.pod))
    }

    /// The zone of the node, if it is in one.
    pub fn zone(&self) -> Option<Arc<str>> {
        self.read().zone.clone()
    }

    /// How many are known that are not deleted.
    pub fn known(&self) -> usize {
        self.read().by_uid.values().filter(|entry| entry.deleted.is_none()).count()
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// `change` says whether anything is different now.
    fn change(&self, change: impl FnOnce(&mut Table) -> bool) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if change(&mut table) {
            self.revision.fetch_add(1, Ordering::Release);
        }
    }
}

impl Table {
    /// Whether that was news.
    fn put(&mut self, pod: Pod, now: Instant) -> bool {
        let key = key(&pod).to_owned();
        if let Some(entry) = self.by_uid.get_mut(&key) {
            let again = entry.deleted.take().is_some();
            let news = *entry.pod != pod;
            if news || again {
                let before = std::mem::replace(&mut entry.pod, Arc::new(pod));
                let after = Arc::clone(&entry.pod);
                self.leave(&key, &before.addresses);
                self.settle(&key, &after.addresses);
            }
            return news;
        }
        if self.by_uid.len() >= self.most {
            self.forget(now);
        }
        if self.by_uid.len() >= self.most {
            return false;
        }
        self.settle(&key, &pod.addresses);
        self.by_uid.insert(key, Entry { pod: Arc::new(pod), deleted: None });
        true
    }

    fn remove(&mut self, key: &str, now: Instant) {
        if let Some(entry) = self.by_uid.get_mut(key) {
            entry.deleted.get_or_insert(now);
            let pod = Arc::clone(&entry.pod);
            self.leave(key, &pod.addresses);
        }
    }

    /// Addresses are this pod's from now on, whose ever they were.
    fn settle(&mut self, key: &str, addresses: &[IpAddr]) {
        self.by_address.extend(addresses.iter().map(|address| (*address, key.to_owned())));
    }

    /// Addresses are this pod's no more; another one may have them already.
    fn leave(&mut self, key: &str, addresses: &[IpAddr]) {
        for address in addresses {
            if self.by_address.get(address).is_some_and(|owner| owner == key) {
                self.by_address.remove(address);
            }
        }
    }

    /// Lets go of those that were deleted long ago, and of any deleted ones where there are too many.
    fn forget(&mut self, now: Instant) {
        let crowded = self.by_uid.len() >= self.most;
        let old = |since: Instant| crowded || now.saturating_duration_since(since) > REMEMBERED;
        self.by_uid.retain(|_, entry| !entry.deleted.is_some_and(old));
    }
}

/// By what a pod is known: its UID, which is a hash for a static one.
fn key(pod: &Pod) -> &str {
    pod.static_hash.as_ref().unwrap_or(&pod.uid)
}

impl Follower<PodObject> for Pods {
    fn wants(&self, _: &PodObject) -> bool {
        true
    }

    fn replaced(&self, objects: Vec<PodObject>) {
        let now = Instant::now();
        let pods: Vec<Pod> = objects.into_iter().map(|object| object.kept(&self.selection)).collect();
        self.change(|table| {
            let there: HashSet<&str> = pods.iter().map(key).collect();
            let gone = table.by_uid.keys().filter(|known| !there.contains(known.as_str()));
            for gone in gone.cloned().collect::<Vec<_>>() {
                table.remove(&gone, now);
            }
            let mut news = false;
            for pod in pods {
                news |= table.put(pod, now);
            }
            news
        });
    }

    fn put(&self, object: PodObject) {
        let pod = object.kept(&self.selection);
        self.change(|table| table.put(pod, Instant::now()));
    }

    fn removed(&self, object: PodObject) {
        let pod = object.kept(&self.selection);
        self.change(|table| {
            let now = Instant::now();
            table.remove(key(&pod), now);
            table.forget(now);
            false
        });
    }

    fn trouble(&self, trouble: Option<&str>) {
        self.counters.reached.store(trouble.is_none(), Ordering::Relaxed);
        if trouble.is_some() {
            self.counters.failures.fetch_add(1, Ordering::Relaxed);
        }
        let mut said = None;
        self.change(|table| {
            if table.trouble.as_deref() != trouble {
                said = table.trouble.take();
                table.trouble = trouble.map(str::to_owned);
                // Who waits for a pod need not wait any more.
                return trouble.is_some();
            }
            false
        });
        match (trouble, said) {
            (Some(trouble), before) if before.as_deref() != Some(trouble) => {
                tracing::warn!("pods cannot be asked for; all goes on with what was known before: {trouble}");
            }
            (None, Some(_)) => tracing::info!("pods are told again"),
            _ => {}
        }
    }
}
