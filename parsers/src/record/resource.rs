//! Who sent a record: resource and scope as OTLP has them, and the workload identity that joins signals without ids.

use super::{Attributes, Labels, Value, attribute};

/// Name under which a record says which tenant it is of, where one gateway serves several: metadata of a log record, an
/// attribute of a span's resource.
pub const TENANT: &str = "trefoil.tenant";

/// The label of a series that says the same. Two tenants may send series of the same labels, whose counts must not run into one
/// another, so the tenant is a part of what a series is; under the name that Mimir gives it where it answers for several.
pub const TENANT_LABEL: &str = "__tenant_id__";

/// Resource attributes that become labels of log streams, and the names of those labels: few, and the same for all records of a
/// container. Where labels of series are made of these attributes, they have the same names.
pub const RESOURCE_LABELS: [(&str, &str); 8] = [
    ("service.name", "service_name"),
    ("service.namespace", "service_namespace"),
    ("deployment.environment.name", "deployment_environment"),
    ("k8s.cluster.name", "cluster"),
    ("k8s.namespace.name", "namespace"),
    ("k8s.pod.name", "pod"),
    ("k8s.container.name", "container"),
    ("k8s.node.name", "node"),
];

/// The resource that a span, log or metric came from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resource {
    /// Resource attributes, `service.name` among them.
    pub attributes: Attributes,
}

impl Resource {
    /// `service.name`, or `unknown_service` as the specification says.
    pub fn service(&self) -> &str {
        attribute(&self.attributes, "service.name")
            .and_then(Value::as_str)
            .filter(|s| !s.is_empty())
            .unwrap_or("unknown_service")
    }
}

/// The instrumentation scope.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scope {
    /// Library name.
    pub name: String,
    /// Library version.
    pub version: String,
    /// Scope attributes.
    pub attributes: Attributes,
}

/// What runs: the fields by which spans, log streams and Prometheus series of one program find each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Workload {
    /// `k8s.cluster.name`, `cluster`.
    pub cluster: Option<String>,
    /// `k8s.namespace.name`, `namespace`.
    pub namespace: Option<String>,
    /// `k8s.pod.uid`, `pod_uid`, `uid`.
    pub pod_uid: Option<String>,
    /// `k8s.pod.name`, `pod`.
    pub pod: Option<String>,
    /// `k8s.container.name`, `container`.
    pub container: Option<String>,
    /// `k8s.node.name`, `node`.
    pub node: Option<String>,
    /// `service.name`, `service_name`, `app`, `job`.
    pub service: Option<String>,
    /// `service.version`, `version`.
    pub version: Option<String>,
    /// `service.instance.id`, `instance`.
    pub instance: Option<String>,
    /// `host.name`, `host`.
    pub host: Option<String>,
}

impl Workload {
    /// From the resource of a span.
    pub fn from_resource(resource: &Resource) -> Self {
        let get = |key: &str| {
            attribute(&resource.attributes, key)
                .and_then(Value::as_str)
                .filter(|s| !s.is_empty())
                .map(str::to_owned)
        };
        Self {
            cluster: get("k8s.cluster.name"),
            namespace: get("k8s.namespace.name"),
            pod_uid: get("k8s.pod.uid"),
            pod: get("k8s.pod.name"),
            container: get("k8s.container.name"),
            node: get("k8s.node.name"),
            service: get("service.name"),
            version: get("service.version"),
            instance: get("service.instance.id"),
            host: get("host.name"),
        }
    }

    /// From the labels of a log stream or a series, by the names that Promtail and Prometheus give them.
    pub fn from_labels(labels: &Labels) -> Self {
        let get = |names: &[&str]| names.iter().find_map(|n| labels.get(n)).map(str::to_owned);
        Self {
            cluster: get(&["cluster"]),
            namespace: get(&["namespace"]),
            pod_uid: get(&["pod_uid", "uid"]),
            pod: get(&["pod"]),
            container: get(&["container"]),
            node: get(&["node"]),
            service: get(&["service_name", "service", "app", "job"]),
            version: get(&["service_version", "version"]),
            instance: get(&["instance"]),
            host: get(&["host", "hostname"]),
        }
    }
}
