//! Which pod sent spans and log records that do not say it: the one whose UID or address they name, else the one from whose
//! address the request came, as OpenTelemetry's `k8sattributes` processor goes about it. What is said is never overruled, and
//! where somebody may have handed a request on, its address says nothing.
//!
//! What is not known when a request comes stays unsaid: nobody waits.

mod logs;
mod said;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::ConnectInfo;
use axum::http::HeaderMap;
use axum::http::header::{FORWARDED, USER_AGENT, VIA};
use axum::http::request::Parts;
use kubernetes::{Pod, Pods};
use parsers::otlp::{add_to_resources, decode_resource};
use parsers::record::{Batch, SpanBatch};

use said::{Said, resolve};

/// By what the pod was known: an attribute of resources, metadata of log records.
const KNOWN_BY: &str = "trefoil.pod_by";
/// Bytes that are added to one request at most; its records beyond stay as they came.
const MAX_ADDED: usize = 32 << 20;
/// A head by which proxies say for whom they ask.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// Programs that hand on what others have sent or written, by how their `User-Agent` begins: OpenTelemetry's Collector in its
/// distributions, and those that read logs.
const FORWARDERS: [&str; 11] = [
    "opentelemetry collector",
    "otelcol",
    "otel-collector",
    "alloy",
    "grafanaagent",
    "grafana-agent",
    "promtail",
    "fluent",
    "vector",
    "logstash",
    "trefoil",
];

/// Knows the pods of a cluster.
pub trait Senders: Send + Sync {
    /// The pod of this UID.
    fn of_uid(&self, uid: &str) -> Option<Arc<Pod>>;
    /// The pod that has this address now, for itself alone.
    fn of_address(&self, address: IpAddr) -> Option<Arc<Pod>>;
}

impl Senders for Pods {
    fn of_uid(&self, uid: &str) -> Option<Arc<Pod>> {
        Self::of_uid(self, uid)
    }

    fn of_address(&self, address: IpAddr) -> Option<Arc<Pod>> {
        Self::of_address(self, address)
    }
}

/// From where a request came; nothing if it was handed on by somebody.
pub(crate) fn address(head: &Parts) -> Option<IpAddr> {
    let ConnectInfo(address) = head.extensions.get::<ConnectInfo<SocketAddr>>()?;
    (!is_handed_on(&head.headers)).then(|| address.ip().to_canonical())
}

fn is_handed_on(headers: &HeaderMap) -> bool {
    let by_proxy = headers.contains_key(FORWARDED_FOR) || headers.contains_key(FORWARDED);
    let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let begins = |name: &str| agent.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name));
    by_proxy || headers.contains_key(VIA) || FORWARDERS.iter().any(|name| begins(name))
}

/// Notes what is known of the pods that sent a batch.
pub(crate) fn mark(batch: &mut Batch, senders: &dyn Senders, address: Option<IpAddr>) {
    // An agent of ours has asked the API itself.
    if !batch.positions.is_empty() || !batch.logs.files.is_empty() {
        return;
    }
    let pod = address.and_then(|address| senders.of_address(address));
    spans(&mut batch.spans, senders, pod.as_ref());
    logs::mark(&mut batch.logs, senders, pod.as_ref());
}

fn spans(batch: &mut SpanBatch, senders: &dyn Senders, sender: Option<&Arc<Pod>>) {
    let decoded =
        |resource: &parsers::record::ResourceRow| decode_resource(resource.payload.of(&batch.bytes));
    let resources: Vec<_> = batch.resources.iter().map(decoded).collect();
    let said: Vec<Said<'_>> = resources.iter().map(Said::of_resource).collect();
    let mut found = resolve(&said, senders, sender).into_iter().zip(&resources);
    let mut added = 0;
    add_to_resources(batch, |_| {
        let Some((Some(found), resource)) = found.next() else { return Vec::new() };
        if added > MAX_ADDED {
            return Vec::new();
        }
        let mut more = found.attributes();
        more.retain(|(key, _)| !resource.attributes.iter().any(|(known, _)| known == key));
        if !more.is_empty() {
            more.push((KNOWN_BY.to_owned(), found.by.to_owned()));
        }
        added += more.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        more
    });
}
