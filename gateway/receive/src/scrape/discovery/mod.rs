//! What there is to scrape beside what the configuration names: sources that change, each watched by a task of its own. A
//! source that fails keeps what it found last.

mod files;
mod kubernetes;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::options::{Group, Job, Kubernetes};
use super::report::Scraping;

/// A source of targets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// Files that match any of these.
    Files(Vec<String>),
    /// Pods.
    Kubernetes(Kubernetes),
}

impl Source {
    /// Those of a job.
    pub fn of(job: &Job) -> Vec<Self> {
        let files = (!job.files.is_empty()).then(|| Self::Files(job.files.clone()));
        files.into_iter().chain(job.kubernetes.iter().cloned().map(Self::Kubernetes)).collect()
    }

    /// For people.
    pub fn name(&self) -> String {
        match self {
            Self::Files(files) => files.join(", "),
            Self::Kubernetes(pods) => {
                let api = pods.api.as_deref().unwrap_or("the cluster's API");
                let namespaces = if pods.namespaces.is_empty() { "all" } else { &pods.namespaces.join(", ") };
                format!("pods of {api}, namespaces: {namespaces}")
            }
        }
    }
}

/// What all sources have found so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    groups: Mutex<BTreeMap<String, Vec<Group>>>,
    changed: Notify,
}

impl Found {
    /// Waits until something else is found.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What a source has found.
    pub fn groups(&self, key: &str) -> Vec<Group> {
        let groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.get(key).cloned().unwrap_or_default()
    }

    fn set(&self, key: &str, found: Vec<Group>) {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if groups.get(key) != Some(&found) {
            groups.insert(key.to_owned(), found);
            self.changed.notify_one();
        }
    }

    fn forget(&self, key: &str) {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// A source being watched. Ends when dropped, and what it found goes with it.
#[derive(Debug)]
pub(super) struct Watched {
    key: String,
    found: Arc<Found>,
    stop: CancellationToken,
}

impl Watched {
    /// Starts to watch.
    pub fn start(source: &Source, found: &Arc<Found>, scraping: &Arc<Scraping>) -> Self {
        let (key, stop) = (format!("{source:?}"), CancellationToken::new());
        let outlet = Arc::new(Outlet {
            key: key.clone(),
            name: source.name(),
            found: Arc::clone(found),
            scraping: Arc::clone(scraping),
        });
        let (source, stopped) = (source.clone(), stop.clone());
        tokio::spawn(async move {
            let watch = async {
                match source {
                    Source::Files(patterns) => files::watch(&patterns, &outlet).await,
                    Source::Kubernetes(pods) => kubernetes::watch(&pods, &outlet).await,
                }
            };
            tokio::select! {
                () = stopped.cancelled() => {}
                () = watch => {}
            }
        });
        Self { key, found: Arc::clone(found), stop }
    }

    /// What it has found.
    pub fn groups(&self) -> Vec<Group> {
        self.found.groups(&self.key)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.stop.cancel();
        self.found.forget(&self.key);
    }
}

/// Where a source says what it finds.
struct Outlet {
    key: String,
    name: String,
    found: Arc<Found>,
    scraping: Arc<Scraping>,
}

impl Outlet {
    /// All that there is now.
    fn set(&self, found: Vec<Group>) {
        self.found.set(&self.key, found);
    }

    /// What is wrong with it; `None` if nothing is.
    fn trouble(&self, trouble: Option<&str>) {
        if self.scraping.discovery(&self.name, trouble)
            && let Some(trouble) = trouble
        {
            tracing::warn!(source = %self.name, "what is to be scraped cannot be found, what was found before goes on: {trouble}");
        }
    }
}
