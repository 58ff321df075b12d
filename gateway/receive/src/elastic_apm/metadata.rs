//! The first line: who sends, as an OTLP resource.

use std::sync::Arc;

use parsers::record::{Attributes, Labels, Resource, Scope, Value};
use serde_json::Value as Json;

use super::fields::Fields;
use super::flat;

/// Who sends, in the shapes that events need.
pub(super) struct Sender {
    pub resource: Arc<Resource>,
    pub scope: Arc<Scope>,
}

/// Attributes of the resource that become labels of log streams, as those of OTLP do.
const LABELS: [(&str, &str); 6] = [
    ("service.name", "service_name"),
    ("deployment.environment.name", "deployment_environment"),
    ("k8s.namespace.name", "namespace"),
    ("k8s.pod.name", "pod"),
    ("k8s.node.name", "node"),
    ("k8s.cluster.name", "cluster"),
];

/// Reads the metadata.
pub(super) fn read(value: &Json) -> Result<Sender, String> {
    let metadata = Fields::new("metadata", value)?;
    let service = metadata.inner("service")?;
    let service = metadata.required("service", service)?;
    let agent = service.inner("agent")?;
    let agent = service.required("agent", agent)?;
    let (agent_name, agent_version) = (agent.required_text("name")?, agent.required_text("version")?);
    let mut attributes = Attributes::new();
    let mut put = |name: &str, value: Option<&str>| {
        attributes.extend(
            value.filter(|v| !v.is_empty()).map(|value| (name.to_owned(), Value::Str(value.to_owned()))),
        );
    };
    put("service.name", Some(service.required_text("name")?));
    put("service.version", service.text("version")?);
    put("deployment.environment.name", service.text("environment")?);
    if let Some(node) = service.inner("node")? {
        put("service.instance.id", node.text("configured_name")?);
    }
    put("telemetry.sdk.name", Some(agent_name));
    put("telemetry.sdk.version", Some(agent_version));
    for (key, name, version) in [
        ("language", "telemetry.sdk.language", "service.language.version"),
        ("runtime", "process.runtime.name", "process.runtime.version"),
        ("framework", "service.framework.name", "service.framework.version"),
    ] {
        if let Some(part) = service.inner(key)? {
            put(name, part.text("name")?);
            put(version, part.text("version")?);
        }
    }
    if let Some(system) = metadata.inner("system")? {
        let host = [
            system.text("configured_hostname")?,
            system.text("detected_hostname")?,
            system.text("hostname")?,
        ];
        put("host.name", host.into_iter().flatten().next());
        put("host.arch", system.text("architecture")?);
        put("os.type", system.text("platform")?);
        if let Some(container) = system.inner("container")? {
            put("container.id", container.text("id")?);
        }
        if let Some(kubernetes) = system.inner("kubernetes")? {
            put("k8s.namespace.name", kubernetes.text("namespace")?);
            if let Some(pod) = kubernetes.inner("pod")? {
                put("k8s.pod.name", pod.text("name")?);
                put("k8s.pod.uid", pod.text("uid")?);
            }
            if let Some(node) = kubernetes.inner("node")? {
                put("k8s.node.name", node.text("name")?);
            }
        }
    }
    if let Some(cloud) = metadata.inner("cloud")? {
        cloud.required_text("provider")?;
        flat::flatten(cloud.object(), "cloud", &[], &mut attributes);
    }
    if let Some(process) = metadata.inner("process")? {
        let pid = process.number("pid")?;
        let pid = process.required("pid", pid)?;
        attributes.push(("process.pid".to_owned(), Value::Int(pid as i64)));
        let title = process.text("title")?;
        attributes.extend(title.map(|title| ("process.title".to_owned(), Value::Str(title.to_owned()))));
    }
    if let Some(labels) = metadata.inner("labels")? {
        flat::labels(labels.object(), &mut attributes);
    }
    let scope = Scope {
        name: format!("elastic-apm-{agent_name}"),
        version: agent_version.to_owned(),
        attributes: Attributes::new(),
    };
    Ok(Sender { resource: Arc::new(Resource { attributes }), scope: Arc::new(scope) })
}

/// The labels of a resource's log stream.
pub(super) fn stream_labels(resource: &Resource) -> Labels {
    let text = |name: &str| {
        let found = resource.attributes.iter().find(|(key, _)| key == name);
        found.and_then(|(_, value)| value.as_str()).map(str::to_owned)
    };
    Labels::new(LABELS.iter().filter_map(|(name, label)| Some((*label, text(name)?))))
}
