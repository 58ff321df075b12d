//! What a pod says of itself, and the targets that follow: one for the port of its annotation, or one for each that it declares.

use std::collections::BTreeMap;

use kubernetes::{Object, or_default};
use serde::Deserialize;

use crate::scrape::options::Group;

/// What everybody's pods carry who want to be scraped.
const PREFIX: &str = "prometheus.io/";

/// As much of a pod as is needed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pod {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    name: String,
    namespace: String,
    uid: String,
    resource_version: String,
    #[serde(deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    annotations: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    owner_references: Vec<Owner>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Owner {
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
    containers: Vec<Container>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    name: String,
    #[serde(deserialize_with = "or_default")]
    ports: Vec<Port>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Port {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(rename = "containerPort")]
    number: u16,
    #[serde(deserialize_with = "or_default")]
    protocol: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    #[serde(rename = "podIP", deserialize_with = "or_default")]
    pod_ip: String,
    #[serde(deserialize_with = "or_default")]
    phase: String,
}

impl Object for Pod {
    fn resource_version(&self) -> &str {
        &self.metadata.resource_version
    }
}

impl Pod {
    /// By what it is told from others.
    pub fn key(&self) -> (String, String) {
        (self.metadata.namespace.clone(), self.metadata.name.clone())
    }

    fn annotation(&self, name: &str) -> Option<&str> {
        let value = self.metadata.annotations.get(&format!("{PREFIX}{name}"))?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// Whether it is to be scraped when it runs.
    pub fn wants_scraping(&self) -> bool {
        self.annotation("scrape") == Some("true")
    }

    /// Its targets; none if it does not run or does not want to be scraped.
    pub fn groups(&self) -> Vec<Group> {
        if !self.wants_scraping() || self.status.pod_ip.is_empty() || self.status.phase != "Running" {
            return Vec::new();
        }
        let declared: Vec<(&Container, &Port)> = self
            .spec
            .containers
            .iter()
            .flat_map(|container| container.ports.iter().map(move |port| (container, port)))
            .filter(|(_, port)| port.protocol.is_empty() || port.protocol == "TCP")
            .collect();
        if let Some(port) = self.annotation("port") {
            let here = declared.iter().find(|(_, declared)| declared.number.to_string() == port);
            return vec![self.group(Some(port), here.copied())];
        }
        if declared.is_empty() {
            return vec![self.group(None, None)];
        }
        let group = |here: (&Container, &Port)| self.group(Some(&here.1.number.to_string()), Some(here));
        declared.into_iter().map(group).collect()
    }

    fn group(&self, port: Option<&str>, here: Option<(&Container, &Port)>) -> Group {
        let ip = &self.status.pod_ip;
        let ip = if ip.contains(':') { format!("[{ip}]") } else { ip.clone() };
        let address = port.map_or(ip.clone(), |port| format!("{ip}:{port}"));
        let Metadata { name, namespace, uid, .. } = &self.metadata;
        let node = &self.spec.node_name;
        let mut labels: Vec<(String, String)> = Vec::new();
        let mut set = |name: &str, value: &str| {
            if !value.is_empty() {
                labels.push((name.to_owned(), value.to_owned()));
            }
        };
        set("namespace", namespace);
        set("pod", name);
        set("node", node);
        set("__meta_kubernetes_namespace", namespace);
        set("__meta_kubernetes_pod_name", name);
        set("__meta_kubernetes_pod_uid", uid);
        set("__meta_kubernetes_pod_ip", &self.status.pod_ip);
        set("__meta_kubernetes_pod_node_name", node);
        set("__meta_kubernetes_pod_phase", &self.status.phase);
        if let Some(owner) = self.metadata.owner_references.iter().find(|owner| owner.controller) {
            set("__meta_kubernetes_pod_controller_kind", &owner.kind);
            set("__meta_kubernetes_pod_controller_name", &owner.name);
        }
        if let Some((container, port)) = here {
            set("container", &container.name);
            set("__meta_kubernetes_pod_container_name", &container.name);
            set("__meta_kubernetes_pod_container_port_name", &port.name);
            set("__meta_kubernetes_pod_container_port_number", &port.number.to_string());
        }
        for (kind, pairs) in [("label", &self.metadata.labels), ("annotation", &self.metadata.annotations)] {
            for (name, value) in pairs {
                let name = sanitised(name);
                set(&format!("__meta_kubernetes_pod_{kind}_{name}"), value);
                set(&format!("__meta_kubernetes_pod_{kind}present_{name}"), "true");
            }
        }
        if let Some(path) = self.annotation("path") {
            set("__metrics_path__", path);
        }
        if let Some(scheme) = self.annotation("scheme") {
            set("__scheme__", scheme);
        }
        for (name, value) in &self.metadata.annotations {
            if let Some(param) = name.strip_prefix("prometheus.io/param_") {
                set(&format!("__param_{param}"), value);
            }
        }
        Group { targets: vec![address], labels }
    }
}

/// As Prometheus makes a label's name of it.
fn sanitised(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
