//! The one table that says which Prometheus labels mean the same as which field of a workload.

use std::fmt;

use parsers::record::{Labels, Workload};

/// A field of a [`Workload`] that labels may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WorkloadField {
    /// `service.name`.
    Service,
    /// `k8s.namespace.name`.
    Namespace,
    /// `k8s.pod.name`.
    Pod,
    /// `k8s.container.name`.
    Container,
    /// `k8s.node.name`.
    Node,
    /// `service.version`.
    Version,
    /// `service.instance.id`.
    Instance,
    /// `k8s.cluster.name`.
    Cluster,
}

impl WorkloadField {
    /// The resource attribute.
    pub fn attribute(self) -> &'static str {
        match self {
            Self::Service => "service.name",
            Self::Namespace => "k8s.namespace.name",
            Self::Pod => "k8s.pod.name",
            Self::Container => "k8s.container.name",
            Self::Node => "k8s.node.name",
            Self::Version => "service.version",
            Self::Instance => "service.instance.id",
            Self::Cluster => "k8s.cluster.name",
        }
    }

    /// The field's value in a workload.
    pub fn of(self, workload: &Workload) -> Option<&str> {
        match self {
            Self::Service => workload.service.as_deref(),
            Self::Namespace => workload.namespace.as_deref(),
            Self::Pod => workload.pod.as_deref(),
            Self::Container => workload.container.as_deref(),
            Self::Node => workload.node.as_deref(),
            Self::Version => workload.version.as_deref(),
            Self::Instance => workload.instance.as_deref(),
            Self::Cluster => workload.cluster.as_deref(),
        }
    }
}

/// Workload fields with the label names that carry them, in order of preference. `Display` prints it a row a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelMapping {
    /// The rows.
    pub rows: Vec<(WorkloadField, Vec<String>)>,
}

impl Default for LabelMapping {
    fn default() -> Self {
        let row = |field, names: &[&str]| (field, names.iter().map(|&name| name.to_owned()).collect());
        Self {
            rows: vec![
                row(
                    WorkloadField::Service,
                    &["service_name", "service", "app", "app_kubernetes_io_name", "job"],
                ),
                row(WorkloadField::Namespace, &["namespace", "k8s_namespace_name", "kubernetes_namespace"]),
                row(WorkloadField::Pod, &["pod", "k8s_pod_name", "pod_name", "kubernetes_pod_name"]),
                row(WorkloadField::Container, &["container", "k8s_container_name", "container_name"]),
                row(WorkloadField::Node, &["node", "k8s_node_name"]),
                row(WorkloadField::Version, &["service_version", "version"]),
                row(WorkloadField::Instance, &["service_instance_id", "instance"]),
                row(WorkloadField::Cluster, &["cluster", "k8s_cluster_name"]),
            ],
        }
    }
}

/// How a series' labels compare with a workload.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Agreement {
    /// Labels that agree.
    pub(crate) agreed: Vec<String>,
    /// Fields of the table that the workload has.
    pub(crate) mapped: usize,
    /// Fields of which the labels say something else than the workload.
    pub(crate) contradicted: Vec<WorkloadField>,
    /// Whether the service or the pod is among those that agree, and nothing says that it is another one of that name: without
    /// either, a shared namespace says nothing.
    pub(crate) identifies: bool,
}

/// Which of several services or pods of one name it is.
const PLACES: [WorkloadField; 3] = [WorkloadField::Cluster, WorkloadField::Namespace, WorkloadField::Pod];
/// Prometheus' own label of what it scraped: an address, which denies no `service.instance.id`.
const ADDRESS: &str = "instance";

impl Agreement {
    /// Agreeing fields of those mapped, 0 to 1.
    pub(crate) fn confidence(&self) -> f64 {
        if self.mapped == 0 { 0.0 } else { self.agreed.len() as f64 / self.mapped as f64 }
    }
}

impl LabelMapping {
    /// Label names that carry a field.
    pub fn names(&self, field: WorkloadField) -> &[String] {
        self.rows.iter().find(|(f, _)| *f == field).map(|(_, names)| names.as_slice()).unwrap_or_default()
    }

    /// Compares field by field. A field agrees when any of its labels has the workload's value; Prometheus Operator's
    /// `job` is `namespace/name`, as OpenTelemetry's is, so its last part counts for the service as well.
    pub(crate) fn compare(&self, workload: &Workload, labels: &Labels) -> Agreement {
        let mut result = Agreement::default();
        for (field, names) in &self.rows {
            let Some(expected) = field.of(workload).filter(|value| !value.is_empty()) else { continue };
            let mut present = false;
            let mut agreeing = None;
            for name in names {
                let Some(value) = labels.get(name) else { continue };
                present |= name != ADDRESS;
                let tail = (name == "job").then(|| value.rsplit('/').next()).flatten();
                if value == expected || tail == Some(expected) {
                    agreeing = Some(name);
                    break;
                }
            }
            result.mapped += 1;
            match agreeing {
                Some(name) => {
                    result.agreed.push(name.clone());
                    result.identifies |= matches!(field, WorkloadField::Service | WorkloadField::Pod);
                }
                None if present => result.contradicted.push(*field),
                None => {}
            }
        }
        // The same service, but another pod of it, or one of its name in another namespace or cluster.
        result.identifies &= !result.contradicted.iter().any(|field| PLACES.contains(field));
        result
    }
}

impl fmt::Display for LabelMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (field, names) in &self.rows {
            writeln!(f, "{}: {}", field.attribute(), names.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload() -> Workload {
        let text = |text: &str| Some(text.to_owned());
        Workload {
            service: text("shop"),
            namespace: text("blue"),
            cluster: text("east"),
            pod: text("shop-0"),
            instance: text("0b5ab6ae"),
            ..Workload::default()
        }
    }

    #[test]
    fn a_series_of_the_same_service_elsewhere_is_not_of_the_workload() {
        for (more, identifies) in [
            (("namespace", "blue"), true),
            (("namespace", "green"), false),
            (("cluster", "west"), false),
            (("pod", "shop-1"), false),
            (("instance", "10.0.0.1:80"), true),
            (("version", "2"), true),
        ] {
            let labels = Labels::new([("job", "ns/shop"), more]);
            assert_eq!(
                LabelMapping::default().compare(&workload(), &labels).identifies,
                identifies,
                "{more:?}"
            );
        }
    }

    #[test]
    fn of_several_labels_of_one_field_one_that_agrees_is_enough() {
        let labels = [("job", "shop"), ("namespace", "monitoring"), ("k8s_namespace_name", "blue")];
        let found = LabelMapping::default().compare(&workload(), &Labels::new(labels));
        assert!(found.identifies && found.contradicted.is_empty(), "{found:?}");
    }
}
