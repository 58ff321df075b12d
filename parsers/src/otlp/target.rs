//! What a resource makes of its series: `job`, `instance`, the attributes that become labels, and `target_info`.
//!
//! As Prometheus' own OTLP receiver has it, but for `instance`: SDKs often know no `service.instance.id`, and two pods whose
//! counters ran into one series would be worth nothing, so that whatever else tells them apart stands in for it.

use std::sync::Arc;

use crate::record::{Attributes, Labels, RESOURCE_LABELS, attribute};

use super::MAX_LABEL;
use super::logs::{cut, text_of};
use super::metric_names::label_name;
use super::traces::UNKNOWN_SERVICE;

/// The gauge, always 1, whose labels are the attributes of a resource.
pub(super) const TARGET_INFO: &str = "target_info";

/// Labels of `target_info`: real resources have ten to forty attributes.
const MAX_INFO: usize = 128;

/// Resource attributes that become labels by default: those by which spans, lines and dashboards know a workload. They make no
/// more series, since they are the same for all of an instance.
pub const PROMOTED: [&str; 9] = [
    "service.name",
    "service.version",
    "deployment.environment",
    "deployment.environment.name",
    "k8s.cluster.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.container.name",
    "k8s.node.name",
];

/// Resource attributes that become labels of every series of the resource. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promoted(Arc<[(String, String)]>);

impl Promoted {
    /// Labels are named as those of log streams are ([`RESOURCE_LABELS`]); other attributes as Prometheus writes them, with `_`
    /// for what is no letter and no digit.
    pub fn new(attributes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let named = |attribute: String| {
            let row = RESOURCE_LABELS.iter().find(|(known, _)| *known == attribute);
            let label = row.map_or_else(|| label_name(&attribute), |(_, label)| (*label).to_owned());
            (attribute, label)
        };
        Self(attributes.into_iter().map(|attribute| named(attribute.into())).collect())
    }

    /// The attributes, as they were given.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(attribute, _)| attribute.as_str())
    }
}

impl Default for Promoted {
    fn default() -> Self {
        Self::new(PROMOTED)
    }
}

/// What all series of a resource share.
pub(super) struct Target {
    /// `job` and `instance`: no attribute of a point takes their place.
    pub own: Vec<(String, String)>,
    /// A point's own attribute of the same name comes first.
    pub promoted: Vec<(String, String)>,
    /// The series of `target_info`, where the resource says more than which service it is.
    pub info: Option<Arc<Labels>>,
}

impl Target {
    pub fn new(resource: &Attributes, promoted: &Promoted) -> Self {
        let get = |key: &str| attribute(resource, key).map(text_of).filter(|text| !text.is_empty());
        let service = get("service.name").unwrap_or_else(|| UNKNOWN_SERVICE.to_owned());
        let job = match get("service.namespace") {
            Some(namespace) => format!("{namespace}/{service}"),
            None => service,
        };
        let mut own = vec![("job".to_owned(), job)];
        own.extend(instance(&get).map(|instance| ("instance".to_owned(), instance)));
        let labels = promoted.0.iter().filter_map(|(key, label)| Some((label.clone(), cut(get(key)?))));
        Self { promoted: labels.collect(), info: info(resource, &own), own }
    }
}

/// What tells this process from the others of its service.
///
/// `service.instance.id`; else the pod, as OpenTelemetry's operator writes it (`namespace.pod.container`, or the pod's UID), the
/// container, the function's instance or the host, and `:pid` behind each of these.
fn instance(get: &impl Fn(&str) -> Option<String>) -> Option<String> {
    if let Some(id) = get("service.instance.id") {
        return Some(id);
    }
    let pod = || match get("k8s.pod.name") {
        Some(pod) => Some([get("k8s.namespace.name"), Some(pod)].into_iter().flatten().collect()),
        None => get("k8s.pod.uid").map(|uid| vec![uid]),
    };
    let of_pod = || {
        let mut parts: Vec<String> = pod()?;
        parts.extend(get("k8s.container.name"));
        Some(parts.join("."))
    };
    let place = of_pod()
        .or_else(|| ["container.id", "faas.instance", "host.name", "host.id"].into_iter().find_map(get));
    match (place, get("process.pid")) {
        (Some(place), Some(pid)) => Some(format!("{place}:{pid}")),
        (place, pid) => place.or(pid),
    }
}

fn info(resource: &Attributes, own: &[(String, String)]) -> Option<Arc<Labels>> {
    let identifies = |key: &str| matches!(key, "service.name" | "service.namespace" | "service.instance.id");
    if resource.iter().all(|(key, _)| identifies(key)) {
        return None;
    }
    let attributes = resource.iter().map(|(key, value)| (label_name(key), cut(text_of(value))));
    let mut pairs: Vec<(String, String)> =
        attributes.filter(|(name, _)| !name.is_empty() && name.len() <= MAX_LABEL).take(MAX_INFO).collect();
    pairs.extend_from_slice(own);
    pairs.push(("__name__".to_owned(), TARGET_INFO.to_owned()));
    Some(Arc::new(Labels::new(pairs)))
}
