//! Which log lines come from the container that a span ran in.

use std::sync::Arc;

use parsers::record::{Labels, Resource, TENANT, Value, Workload, attribute};
use rustc_hash::FxHashMap;

use crate::SpanNode;

/// Containers that stand before others and write access logs for them.
pub(super) const PROXIES: [&str; 6] =
    ["istio-proxy", "envoy", "linkerd-proxy", "nginx", "traefik", "haproxy"];

/// What ran, and for whom: of a span's resource, or of a log line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Origin {
    pub(super) workload: Workload,
    /// Another name that a line gives its service.
    service: Option<String>,
    /// Whose it is, where several share this gateway.
    pub(super) tenant: Option<String>,
}

/// How the origin of a line and that of a span fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    /// Another container of the same pod, as a proxy before the application.
    Beside,
    /// The same container.
    Same,
}

/// Spans by what they ran in, of each at most so many.
pub(crate) fn by_origin(nodes: &[SpanNode], most: usize) -> Vec<(Origin, Vec<&SpanNode>)> {
    let mut origins: Vec<(Origin, Vec<&SpanNode>)> = Vec::new();
    // Spans of one process share their resource.
    let mut known: FxHashMap<*const Resource, usize> = FxHashMap::default();
    for node in nodes {
        let at = *known.entry(Arc::as_ptr(&node.span.resource)).or_insert_with(|| {
            let origin = Origin::of_resource(&node.span.resource);
            origins.iter().position(|(known, _)| *known == origin).unwrap_or_else(|| {
                origins.push((origin, Vec::new()));
                origins.len() - 1
            })
        });
        if let Some((_, spans)) = origins.get_mut(at).filter(|(_, spans)| spans.len() < most) {
            spans.push(node);
        }
    }
    origins
}

fn text(value: Option<&str>) -> Option<String> {
    value.filter(|value| !value.is_empty()).map(str::to_owned)
}

impl Origin {
    /// Of a span.
    pub(crate) fn of_resource(resource: &Resource) -> Self {
        let tenant = attribute(&resource.attributes, TENANT).and_then(Value::as_str);
        Self { workload: Workload::from_resource(resource), service: None, tenant: text(tenant) }
    }

    /// Of a line.
    pub(crate) fn of_line<'a>(labels: &Labels, metadata: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut origin = Self { workload: Workload::from_labels(labels), service: None, tenant: None };
        for (key, value) in metadata {
            let slot = match key {
                "pod_uid" | "k8s_pod_uid" => &mut origin.workload.pod_uid,
                "host" | "host_name" | "hostname" => &mut origin.workload.host,
                "instance" | "service_instance_id" => &mut origin.workload.instance,
                "service_name" => &mut origin.service,
                TENANT => &mut origin.tenant,
                _ => continue,
            };
            *slot = text(Some(value));
        }
        origin
    }

    /// Whether a line of this origin may have been written while a span of the other one ran. The most exact of what both say
    /// decides: pod UID, pod, service and host. Never across tenants.
    pub(crate) fn fits(&self, span: &Self) -> Option<Fit> {
        if self.tenant != span.tenant {
            return None;
        }
        let (line, ran) = (&self.workload, &span.workload);
        let differ = |a: &Option<String>, b: &Option<String>| matches!((a, b), (Some(a), Some(b)) if a != b);
        if differ(&line.cluster, &ran.cluster) || differ(&line.namespace, &ran.namespace) {
            return None;
        }
        let both = |a: &Option<String>, b: &Option<String>| a.is_some() && b.is_some();
        let service = [&line.service, &self.service, &line.container];
        let same_service = ran.service.is_some() && service.iter().any(|name| **name == ran.service);
        let same_pod = if both(&line.pod_uid, &ran.pod_uid) {
            line.pod_uid == ran.pod_uid
        } else if both(&line.pod, &ran.pod) {
            line.pod == ran.pod
        } else {
            let elsewhere = differ(&line.host, &ran.host)
                || differ(&line.node, &ran.node)
                || differ(&line.instance, &ran.instance);
            return (same_service && !elsewhere).then_some(Fit::Same);
        };
        if !same_pod {
            return None;
        }
        let proxy = |name: &Option<String>| name.as_deref().is_some_and(|name| PROXIES.contains(&name));
        let beside = differ(&line.container, &ran.container)
            || (ran.container.is_none() && proxy(&line.container) && !same_service);
        Some(if beside { Fit::Beside } else { Fit::Same })
    }

    /// Whether both ran on one host, whatever they are.
    pub(crate) fn shares_host(&self, span: &Self) -> bool {
        let (line, ran) = (&self.workload, &span.workload);
        let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
        let host = same(&line.node, &ran.node) || same(&line.host, &ran.host);
        host && self.tenant == span.tenant && (line.cluster == ran.cluster || line.cluster.is_none())
    }
}

#[cfg(test)]
mod tests;
