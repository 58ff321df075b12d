//! What a window is asked about: a service, or a Kubernetes workload; which spans and which streams are of it.

use std::collections::BTreeSet;

use parsers::record::{Labels, Resource, Value, Workload, attribute};
use regex::Regex;
use store::read::{LogRead, MatchOp, Matcher, ReadError, Window};

use super::Reason;
use super::queries::{quoted, trace_ql};
use crate::streams::{self, Selection};
use crate::{LabelMapping, WorkloadField};

/// Characters of which Kubernetes makes the ends of pods' names: neither vowels nor what looks like them.
const MADE: &str = "[bcdfghjklmnpqrstvwxz2456789]";
/// Attributes that name what owns a pod.
const OWNERS: [&str; 7] = [
    "k8s.deployment.name",
    "k8s.statefulset.name",
    "k8s.daemonset.name",
    "k8s.replicaset.name",
    "k8s.cronjob.name",
    "k8s.job.name",
    "k8s.pod.name",
];
/// The end of a pod's name was made by Kubernetes as far as can be told.
const OWNED_CONFIDENCE: f64 = 0.9;

/// A workload as `namespace/name`, where the name is a pod's or that of what owns pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadName {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Pod, deployment, stateful set, daemon set, job.
    pub name: String,
}

impl WorkloadName {
    /// Reads `namespace/name`, or `namespace/kind/name`.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('/').map(str::trim).collect();
        let ([namespace, name] | [namespace, _, name]) = parts[..] else { return None };
        let is_name = |text: &str| {
            !text.is_empty()
                && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
        };
        (is_name(namespace) && is_name(name))
            .then(|| Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

/// What a window is asked about.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) workload: Workload,
    /// Names of its pods, for a workload of Kubernetes.
    pods: Option<Regex>,
    name: String,
}

impl Subject {
    pub(super) fn service(name: String) -> Self {
        let workload = Workload { service: Some(name), ..Workload::default() };
        Self::service_in(workload)
    }

    /// A service in the namespace and the cluster that a workload names, as far as it names them.
    pub(super) fn service_in(of: Workload) -> Self {
        let name = of.service.clone().unwrap_or_default();
        let Workload { service, namespace, cluster, .. } = of;
        Self { workload: Workload { service, namespace, cluster, ..Workload::default() }, pods: None, name }
    }

    pub(super) fn workload(name: &WorkloadName) -> Self {
        let own = regex::escape(&name.name);
        // The pod itself; of a deployment (a hash and five characters), a daemon set or a job (five), a stateful set (a number).
        let pods = format!("^(?:{own}(?:-{MADE}{{1,10}})?(?:-{MADE}{{5}})?|{own}-[0-9]+)$");
        Self {
            workload: Workload { namespace: Some(name.namespace.clone()), ..Workload::default() },
            pods: Regex::new(&pods).ok(),
            name: name.name.clone(),
        }
    }

    pub(super) fn text(&self) -> String {
        match &self.workload.namespace {
            Some(namespace) => format!("{namespace}/{}", self.name),
            None => self.name.clone(),
        }
    }

    /// `service.name`, if that is what is asked about.
    pub(super) fn service_name(&self) -> Option<&str> {
        self.workload.service.as_deref()
    }

    /// The namespace and the cluster that are asked about.
    fn place(&self) -> impl Iterator<Item = (WorkloadField, &str)> {
        let fields = [WorkloadField::Cluster, WorkloadField::Namespace];
        fields.into_iter().filter_map(|field| Some((field, field.of(&self.workload)?)))
    }

    /// Whether a series says that it is of another namespace or cluster.
    pub(super) fn denied_by(&self, mapping: &LabelMapping, labels: &Labels) -> bool {
        let denied = mapping.compare(&self.workload, labels).contradicted;
        self.place().any(|(field, _)| denied.contains(&field))
    }

    /// Whether a span's resource is of it, by what and how surely.
    pub(super) fn of(&self, resource: &Resource) -> Option<(f64, Vec<String>)> {
        let get = |key: &str| attribute(&resource.attributes, key).and_then(Value::as_str);
        if let Some(service) = self.service_name() {
            let elsewhere = self.place().any(|(field, own)| {
                get(field.attribute()).is_some_and(|other| !other.is_empty() && other != own)
            });
            let is_it = resource.service() == service && !elsewhere;
            return is_it.then(|| (1.0, vec!["service.name".to_owned()]));
        }
        if get("k8s.namespace.name") != self.workload.namespace.as_deref() {
            return None;
        }
        if let Some(owner) = OWNERS.iter().find(|key| get(key) == Some(self.name.as_str())) {
            return Some((1.0, vec!["k8s.namespace.name".to_owned(), (*owner).to_owned()]));
        }
        let owned =
            self.pods.as_ref().is_some_and(|pods| get("k8s.pod.name").is_some_and(|p| pods.is_match(p)));
        owned.then(|| (OWNED_CONFIDENCE, vec!["k8s.namespace.name".to_owned(), "k8s.pod.name".to_owned()]))
    }

    /// Its streams; `pods` are those that its spans name.
    pub(super) fn selections(
        &self,
        logs: &dyn LogRead,
        mapping: &LabelMapping,
        pods: &BTreeSet<String>,
        window: Window,
    ) -> Result<Vec<Selection>, ReadError> {
        if let Some(service) = self.service_name() {
            let place =
                |streams: &[Matcher]| streams::of_service(logs, mapping, service, pods, streams, window);
            let label = |field| if field == WorkloadField::Cluster { "cluster" } else { "namespace" };
            let said: Vec<Matcher> =
                self.place().map(|(field, own)| Matcher::equal(label(field), own)).collect();
            let there = place(&said)?;
            if said.is_empty() || !there.is_empty() {
                return Ok(there);
            }
            // Those that do not say where they are: none of them says that it is elsewhere.
            let unsaid: Vec<Matcher> =
                said.iter().map(|place| Matcher::equal(place.name.as_str(), "")).collect();
            return place(&unsaid);
        }
        let (Some(namespace), Some(pods)) = (&self.workload.namespace, &self.pods) else {
            return Ok(Vec::new());
        };
        let pod = Matcher { name: "pod".to_owned(), op: MatchOp::Regex(pods.clone()) };
        let matchers = vec![Matcher::equal("namespace", namespace.as_str()), pod];
        let known: BTreeSet<String> = logs
            .streams(&matchers, window)?
            .iter()
            .filter_map(|labels| labels.get("pod").map(regex::escape))
            .collect();
        let known = known.into_iter().collect::<Vec<_>>().join("|");
        Ok(if known.is_empty() {
            Vec::new()
        } else {
            vec![Selection { matchers, by: ("pod".to_owned(), known) }]
        })
    }

    /// Why a line of these labels is of it.
    pub(super) fn reason(&self, selection: &Selection, labels: &Labels, why: String) -> Reason {
        let (label, _) = &selection.by;
        let exact = self.service_name().is_some() || labels.get("pod") == Some(self.name.as_str());
        // The container's name, or a pod's, says so less surely than the service's own.
        let sure =
            exact && !matches!(label.as_str(), "container" | "pod") || labels.get("pod") == Some(&*self.name);
        let agreed = self.workload.namespace.iter().map(|_| "namespace".to_owned()).chain([label.clone()]);
        Reason::new("labels", if sure { 1.0 } else { OWNED_CONFIDENCE }, why).by(agreed)
    }

    /// TraceQL for its spans.
    pub(super) fn trace_ql(&self) -> String {
        match (self.service_name(), &self.workload.namespace, &self.pods) {
            (None, Some(namespace), Some(pods)) => format!(
                "{{ resource.k8s.namespace.name = {} && resource.k8s.pod.name =~ {} }}",
                quoted(namespace),
                quoted(pods.as_str())
            ),
            _ => {
                let place = self.place().map(|(field, own)| (field.attribute(), own));
                trace_ql(place.chain([(WorkloadField::Service.attribute(), &*self.name)]))
            }
        }
    }
}
