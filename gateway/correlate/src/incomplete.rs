//! Traces of which parts are missing: parents that spans name, the root, the other side of a call, or what is on its way.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::ControlFlow;

use parsers::record::{Resource, SpanKind, TraceId, Value, Workload, attribute};
use store::read::{RunningSelect, TraceRead, Window};

use crate::absent::absence;
use crate::skew::clock;
use crate::{Absence, AbsentReason, AbsentSignal, Oddity, SpanNode};

/// A trace whose newest span is younger may have more on its way, ns: SDKs send every five seconds, and a Collector waits as well.
const ARRIVING: u64 = 15_000_000_000;
/// Ids and names that are told.
const TOLD: usize = 5;
/// Peers that are asked for.
const MAX_PEERS: usize = 16;
/// Before and after the trace a peer is known to send spans, ns.
const ROUND: u64 = 60_000_000_000;
/// Bytes of spans that are read to know it.
const PEER_BYTES: u64 = 4 << 20;

fn listed(names: impl IntoIterator<Item = String>) -> String {
    let all: BTreeSet<String> = names.into_iter().collect();
    let more = all.len().saturating_sub(TOLD);
    let told = all.into_iter().take(TOLD).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{told} and {more} more") } else { told }
}

/// Parents and roots that are missing.
pub(crate) fn lost(nodes: &[SpanNode]) -> Option<Absence> {
    let orphans: Vec<&SpanNode> = nodes.iter().filter(|node| node.is(Oddity::Orphan)).collect();
    if orphans.is_empty() {
        return None;
    }
    let parents = listed(orphans.iter().filter_map(|node| Some(node.span.parent_span_id?.to_string())));
    let by = listed(orphans.iter().map(|node| node.service().to_owned()));
    let has_root = nodes.iter().any(|node| node.span.parent_span_id.is_none());
    let root = if has_root { "" } else { "the root is lost: every span names a parent; " };
    let detail = format!("{root}missing parents: {parents}, named by spans of {by}");
    Some(absence(AbsentSignal::Spans, AbsentReason::Incomplete, detail))
}

/// That more may come. `now` is ns.
pub(crate) fn arriving(nodes: &[SpanNode], now: u64) -> Option<String> {
    let end = |node: &SpanNode| node.span.end.max(node.span.start);
    let newest = nodes.iter().max_by_key(|node| end(node))?;
    let Some(age) = now.checked_sub(end(newest)) else {
        let ahead = (end(newest) - now) / 1_000_000;
        return Some(format!(
            "the trace may still be arriving: its newest span ends {ahead} ms after this answer, so that the clock of {} is ahead by \
             at least as much",
            clock(&newest.span)
        ));
    };
    let millis = age / 1_000_000;
    (age < ARRIVING).then(|| {
        format!("the trace may still be arriving: its newest span ended {millis} ms before this answer")
    })
}

/// That messages were sent whose consumers are not here: one that takes many at once has a trace of its own, and links back to each.
pub(crate) fn unlinked(id: TraceId, nodes: &[SpanNode]) -> Option<String> {
    let mut taken = vec![false; nodes.len()];
    for node in nodes {
        if let Some(parent) = node.parent.and_then(|parent| taken.get_mut(parent)) {
            *parent = true;
        }
    }
    let sent = nodes.iter().zip(taken).filter(|(node, taken)| node.span.kind == SpanKind::Producer && !taken);
    let sent = sent.count();
    (sent > 0).then(|| {
        format!(
            "{sent} spans sent messages, and who took them is not among these spans: consumers that take several at once are in traces \
             of their own that link to this one; such links are not followed here, TraceQL finds them: {{ link:traceID = \"{id}\" }}"
        )
    })
}

/// Services that were called, send spans at that time, and sent none of this trace.
pub(crate) fn silent(nodes: &[SpanNode], traces: &dyn TraceRead) -> Vec<Absence> {
    let present: BTreeSet<&str> = nodes.iter().map(SpanNode::service).collect();
    let mut answered = vec![false; nodes.len()];
    for node in nodes {
        if let Some(parent) = node.parent.and_then(|parent| answered.get_mut(parent)) {
            *parent = true;
        }
    }
    let mut asked = BTreeSet::new();
    let mut list = Vec::new();
    for (node, answered) in nodes.iter().zip(answered) {
        let calls = matches!(node.span.kind, SpanKind::Client | SpanKind::Producer) && !answered;
        let Some(peer) = calls.then(|| peer(node)).flatten() else { continue };
        let name = peer.name;
        if present.contains(name) || asked.len() >= MAX_PEERS || !asked.insert(peer.clone()) {
            continue;
        }
        let (start, end) = (node.span.start, node.span.end.max(node.span.start));
        let window = Window { start: start.saturating_sub(ROUND), end: end.saturating_add(ROUND) };
        let select =
            RunningSelect { window, services: vec![name.to_owned()], longest: ROUND, bytes: PEER_BYTES };
        let mut sends = false;
        let visited = traces.running(&select, &mut |view| {
            sends = peer.is(view.resource());
            if sends { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if visited.is_ok() && sends {
            let (span, service) = (node.span.span_id, node.service());
            let detail = format!(
                "`{name}` is silent: span {span} of `{service}` called it, and it sent spans of other traces within a minute, but \
                 none of this one; it may drop the trace context, or its spans are late"
            );
            list.push(absence(AbsentSignal::Spans, AbsentReason::Incomplete, detail));
        }
    }
    list
}

/// A service that was called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Peer<'a> {
    name: &'a str,
    /// The Kubernetes namespace that it must be of, if it says any.
    namespace: Option<String>,
}

impl Peer<'_> {
    /// Whether spans of its name with this resource are its own.
    fn is(&self, resource: &Resource) -> bool {
        let of = Workload::from_resource(resource).namespace;
        !matches!((&of, &self.namespace), (Some(a), Some(b)) if a != b)
    }
}

/// Who a span called: `peer.service` names a service, an address is the name of one in a cluster.
fn peer(node: &SpanNode) -> Option<Peer<'_>> {
    let of = |key: &str| attribute(&node.span.attributes, key).and_then(Value::as_str);
    let other = |name: &&str| !name.is_empty() && *name != node.service();
    if let Some(name) = of("peer.service").filter(other) {
        return Some(Peer { name, namespace: None });
    }
    let named = of("server.address").or_else(|| of("net.peer.name"))?;
    let host = named.split(':').next().unwrap_or(named).trim_end_matches('.');
    if host.parse::<IpAddr>().is_ok() {
        return None;
    }
    // `cart`, `cart.shop`, `cart.shop.svc.cluster.local`, `cart-0.cart.shop.svc`; any other name is of the world outside.
    let labels: Vec<&str> = host.split('.').collect();
    let (name, namespace) = match labels.as_slice() {
        [name] => (*name, Workload::from_resource(&node.span.resource).namespace),
        [name, namespace] => (*name, Some((*namespace).to_owned())),
        _ => {
            let svc = labels.iter().skip(2).position(|label| *label == "svc")?;
            (*labels.get(svc)?, labels.get(svc + 1).map(|namespace| (*namespace).to_owned()))
        }
    };
    Some(Peer { name, namespace }).filter(|peer| other(&peer.name))
}

#[cfg(test)]
mod tests;
