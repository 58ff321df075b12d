//! What a pod says of itself, and what of that is kept.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

use crate::api::or_default;
use crate::follow::Object;
use crate::owner::Owner;
use crate::wishes::{self, Wishes};

/// Bytes of a value that are kept: labels have 63, annotations may have a quarter of a megabyte.
const MAX_VALUE: usize = 1024;
/// Bytes of a host's name, to which the kubelet cuts that of a pod.
const MAX_HOST: usize = 63;
/// Labels and annotations that are kept of one pod, each.
const MAX_KEPT: usize = 64;
/// By this the kubelet names the folders of a static pod, whose object in the API has another UID.
const STATIC_HASH: &str = "kubernetes.io/config.hash";
/// As OpenTelemetry's operator reads it.
const SERVICE_ANNOTATION: &str = "resource.opentelemetry.io/service.name";
/// Labels that name the service, in this order.
const SERVICE_LABELS: [&str; 3] = ["app.kubernetes.io/name", "app.kubernetes.io/instance", "app"];
/// Labels that name the version, in this order; Istio's is the second.
const VERSION_LABELS: [&str; 2] = ["app.kubernetes.io/version", "version"];

/// Which labels and annotations are kept: whole keys, or with `*` for anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Of labels.
    pub labels: Vec<String>,
    /// Of annotations.
    pub annotations: Vec<String>,
}

/// What is kept of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pod {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID of the object.
    pub uid: String,
    /// What stands for the UID in the paths of a static pod.
    pub static_hash: Option<String>,
    /// Node.
    pub node: String,
    /// Containers, those of its beginning and its debugging among them.
    pub containers: Vec<String>,
    /// The workload, if it belongs to one.
    pub owner: Option<Owner>,
    /// What the service is called, if labels or annotations say it.
    pub service: Option<String>,
    /// Label `app`, or what stands for it.
    pub app: Option<String>,
    /// The version, if a label says it.
    pub version: Option<String>,
    /// Labels that are allowed.
    pub labels: Vec<(String, String)>,
    /// Annotations that are allowed.
    pub annotations: Vec<(String, String)>,
    /// What its `trefoil.io/` annotations want.
    pub wishes: Wishes,
    /// Its own addresses, while it runs: one that shares those of its node has none, and one that has ended may see its address
    /// at another one.
    pub addresses: Vec<IpAddr>,
    /// What its processes take for the host's name, if that is not its own.
    pub hostname: Option<String>,
}

impl Pod {
    /// What is said of it beside its identity, by the names of OpenTelemetry's attributes: the workload, the version, the node, and
    /// the labels and annotations that are allowed.
    pub fn attributes(&self) -> Vec<(String, String)> {
        let mut said = Vec::new();
        if let Some(owner) = &self.owner {
            said.push((format!("k8s.{}.name", owner.kind.to_ascii_lowercase()), owner.name.clone()));
            said.extend(owner.job.clone().map(|job| ("k8s.job.name".to_owned(), job)));
        }
        said.extend(self.version.clone().map(|version| ("service.version".to_owned(), version)));
        if !self.node.is_empty() {
            said.push(("k8s.node.name".to_owned(), self.node.clone()));
        }
        for (kind, pairs) in [("label", &self.labels), ("annotation", &self.annotations)] {
            said.extend(pairs.iter().map(|(key, value)| (format!("k8s.pod.{kind}.{key}"), value.clone())));
        }
        said
    }

    /// Whether its processes take this for the host's name: whole, or with a domain.
    pub fn is_host(&self, name: &str) -> bool {
        let own = self.hostname.as_ref().unwrap_or(&self.name);
        let own = own.get(..own.floor_char_boundary(MAX_HOST)).unwrap_or_default();
        name.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// As much of the object as is looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PodObject {
    pub metadata: Metadata,
    #[serde(deserialize_with = "or_default")]
    spec: Spec,
    #[serde(deserialize_with = "or_default")]
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    #[serde(deserialize_with = "or_default")]
    phase: String,
    #[serde(rename = "podIP", deserialize_with = "or_default")]
    pod_ip: String,
    #[serde(rename = "podIPs", deserialize_with = "or_default")]
    pod_ips: Vec<PodIp>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PodIp {
    ip: String,
}

impl Status {
    fn addresses(&self) -> Vec<IpAddr> {
        if matches!(self.phase.as_str(), "Succeeded" | "Failed") {
            return Vec::new();
        }
        let all = std::iter::once(&self.pod_ip).chain(self.pod_ips.iter().map(|one| &one.ip));
        let mut addresses: Vec<IpAddr> = all.filter_map(|text| text.parse().ok()).collect();
        addresses.dedup();
        addresses
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub namespace: String,
    #[serde(deserialize_with = "or_default")]
    pub uid: String,
    #[serde(deserialize_with = "or_default")]
    pub resource_version: String,
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    owner_references: Vec<Reference>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reference {
    kind: String,
    name: String,
    #[serde(deserialize_with = "or_default")]
    controller: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    #[serde(deserialize_with = "or_default")]
    node_name: String,
    #[serde(deserialize_with = "or_default")]
    host_network: bool,
    #[serde(deserialize_with = "or_default")]
    hostname: String,
    #[serde(deserialize_with = "or_default")]
    containers: Vec<Container>,
    #[serde(deserialize_with = "or_default")]
    init_containers: Vec<Container>,
    #[serde(deserialize_with = "or_default")]
    ephemeral_containers: Vec<Container>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    name: String,
}

impl Object for PodObject {
    fn resource_version(&self) -> &str {
        &self.metadata.resource_version
    }
}

impl PodObject {
    /// What is kept of it.
    pub fn kept(self, selection: &Selection) -> Pod {
        let Self { metadata, spec, status } = self;
        let label =
            |name: &str| metadata.labels.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let annotation =
            |name: &str| metadata.annotations.get(name).map(String::as_str).filter(|v| !v.is_empty());
        let first = |names: &[&str]| names.iter().find_map(|name| label(name)).map(str::to_owned);
        let all = [spec.containers, spec.init_containers, spec.ephemeral_containers];
        let containers: Vec<String> = all.into_iter().flatten().map(|container| container.name).collect();
        let controller = metadata.owner_references.iter().find(|owner| owner.controller);
        // A static pod is the node's own.
        let controller = controller.filter(|owner| owner.kind != "Node");
        Pod {
            owner: controller.map(|owner| Owner::of(&owner.kind, &owner.name, label)),
            static_hash: annotation(STATIC_HASH).map(str::to_owned),
            service: annotation(SERVICE_ANNOTATION)
                .map(|name| bounded(name).to_owned())
                .or_else(|| first(&SERVICE_LABELS)),
            app: first(&["app", "app.kubernetes.io/name"]),
            version: first(&VERSION_LABELS),
            wishes: wishes::read(&containers, annotation),
            labels: allowed(&selection.labels, &metadata.labels),
            annotations: allowed(&selection.annotations, &metadata.annotations),
            addresses: if spec.host_network { Vec::new() } else { status.addresses() },
            hostname: Some(spec.hostname).filter(|name| !name.is_empty()),
            node: spec.node_name,
            namespace: metadata.namespace,
            name: metadata.name,
            uid: metadata.uid,
            containers,
        }
    }
}

fn allowed(patterns: &[String], pairs: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let pairs = pairs.iter().filter(|(key, _)| patterns.iter().any(|pattern| matches(pattern, key)));
    pairs.map(|(key, value)| (key.clone(), bounded(value).to_owned())).take(MAX_KEPT).collect()
}

/// The beginning of a value.
fn bounded(value: &str) -> &str {
    value.get(..value.floor_char_boundary(MAX_VALUE)).unwrap_or_default()
}

/// Whether a key is one that a pattern means: `*` stands for any text.
pub(crate) fn matches(pattern: &str, key: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == key };
    let Some(mut left) = key.strip_prefix(head) else { return false };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*').filter(|part| !part.is_empty()) {
        match left.split_once(part) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    left.ends_with(tail)
}
