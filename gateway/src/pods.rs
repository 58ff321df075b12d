//! What the Kubernetes API tells of a node's pods, in the words of the tailer: labels of streams, metadata of records, stages.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use kubernetes::{Pod, Pods, Told};
use parsers::container::PodPath;
use tail::{Known, Notes};
use tokio_util::sync::CancellationToken;

use crate::config::Collect;

/// Wishes of pods that were said to be wrong: each is said once, however often its pod changes.
const MAX_SAID: usize = 1_000;

/// The pods of a node.
#[derive(Debug)]
pub struct NodePods {
    pods: Arc<Pods>,
    said: Mutex<BTreeSet<String>>,
}

impl NodePods {
    /// Starts to watch, if the configuration wants it.
    pub fn start(collect: &Collect, shutdown: &CancellationToken) -> Option<Arc<Self>> {
        let watch = collect.kubernetes.watch(collect.node.as_deref())?;
        Some(Arc::new(Self { pods: Pods::watch(watch, shutdown.clone()), said: Mutex::default() }))
    }

    /// What is watched.
    pub fn watched(&self) -> Arc<Pods> {
        Arc::clone(&self.pods)
    }

    fn say(&self, pod: &Pod) {
        if pod.wishes.problems.is_empty() {
            return;
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        for problem in &pod.wishes.problems {
            if said.len() < MAX_SAID && said.insert(format!("{} {problem}", pod.uid)) {
                let Pod { namespace, name, .. } = pod;
                tracing::warn!(namespace, pod = name, "an annotation cannot be followed: {problem}");
            }
        }
    }
}

impl tail::Pods for NodePods {
    fn revision(&self) -> u64 {
        self.pods.revision()
    }

    fn container(&self, path: &PodPath<'_>) -> Known {
        match self.pods.pod(path.uid, path.namespace, path.pod) {
            Told::Pod(pod) => {
                self.say(&pod);
                Known::Notes(Arc::new(notes(&pod, path.container, self.pods.zone().as_deref())))
            }
            Told::Awaited => Known::Awaited,
            Told::Nothing => Known::Nothing,
        }
    }
}

/// What is said of a container: few labels, which all its streams share, and metadata under the names that OpenTelemetry's
/// attributes have in Loki.
fn notes(pod: &Pod, container: &str, zone: Option<&str>) -> Notes {
    let mut notes = Notes {
        excluded: pod.wishes.exclude.covers(container),
        stages: pod.wishes.stages.clone(),
        raw: pod.wishes.raw,
        problems: pod.wishes.problems.clone(),
        ..Notes::default()
    };
    let mut label = |name: &str, value: &Option<String>| {
        notes.labels.extend(value.clone().map(|value| (name.to_owned(), value)));
    };
    label("service_name", &pod.service);
    label("app", &pod.app);
    notes.metadata.extend(pod.attributes().into_iter().map(|(name, value)| (sanitised(&name), value)));
    notes.metadata.extend(zone.map(|zone| ("cloud_availability_zone".to_owned(), zone.to_owned())));
    let mut discovered = |name: String, value: &str| notes.discovered.push((name, value.to_owned()));
    discovered("__meta_kubernetes_pod_node_name".to_owned(), &pod.node);
    if let Some(owner) = &pod.owner {
        discovered("__meta_kubernetes_pod_controller_kind".to_owned(), &owner.kind);
        discovered("__meta_kubernetes_pod_controller_name".to_owned(), &owner.name);
    }
    for (kind, pairs) in [("label", &pod.labels), ("annotation", &pod.annotations)] {
        for (key, value) in pairs {
            discovered(format!("__meta_kubernetes_pod_{kind}_{}", sanitised(key)), value);
        }
    }
    notes
}

/// As Prometheus makes a label's name of it.
fn sanitised(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
