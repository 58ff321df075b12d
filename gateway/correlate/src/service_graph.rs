//! Which service calls which, counted over stored traces.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use parsers::record::{Span, SpanKind, StatusCode, Value, attribute};
use store::read::{ReadError, SpanSelect, TraceRead, Window};

use crate::tree;

/// Most spans that are looked at, newest traces first: some seconds of reading, and a picture that more would not change.
const MAX_SPANS: usize = 1_000_000;
/// Longest time for it: well inside what a client waits for.
const MAX_TIME: Duration = Duration::from_secs(15);
/// Most edges that are held, for senders that make names up.
const MAX_EDGES: usize = 10_000;

/// Calls of one service by another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCalls {
    /// Who calls.
    pub parent: String,
    /// Who is called.
    pub child: String,
    /// How often.
    pub calls: u64,
    /// How many of them failed.
    pub errors: u64,
    /// The callee sends spans; otherwise it is known by what callers say only, as a database is.
    pub traced: bool,
}

/// The calls whose callee, or caller where the callee sends no spans, started in the window; sorted. Bounded: of more than
/// [`MAX_SPANS`] spans the newest count.
pub fn service_graph(traces: &dyn TraceRead, window: Window) -> Result<Vec<ServiceCalls>, ReadError> {
    let began = Instant::now();
    let mut edges = Edges::default();
    let mut seen = 0;
    traces.scan_traces(&SpanSelect { window, service: None, name: None }, &mut |spans| {
        seen += spans.len();
        edges.add(spans, window);
        if seen < MAX_SPANS && began.elapsed() < MAX_TIME {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    Ok(edges.into_list())
}

/// Calls and errors by caller, callee and whether the callee is traced.
#[derive(Default)]
struct Edges(BTreeMap<(String, String, bool), (u64, u64)>);

impl Edges {
    fn add(&mut self, spans: Vec<Span>, window: Window) {
        let nodes = tree::build(spans).nodes;
        let mut has_callee = vec![false; nodes.len()];
        for node in &nodes {
            let Some((index, parent)) = node.parent.and_then(|index| Some((index, nodes.get(index)?))) else {
                continue;
            };
            let (caller, callee) = (parent.span.resource.service(), node.span.resource.service());
            if caller == callee {
                continue;
            }
            if let Some(has) = has_callee.get_mut(index) {
                *has = true;
            }
            if window.contains(node.span.start) {
                self.count(caller, callee, true, &node.span);
            }
        }
        for (node, _) in nodes.iter().zip(has_callee).filter(|(_, has_callee)| !has_callee) {
            let calls = matches!(node.span.kind, SpanKind::Client | SpanKind::Producer);
            let peer = attribute(&node.span.attributes, "peer.service").and_then(Value::as_str);
            let peer = peer.filter(|peer| !peer.is_empty() && *peer != node.span.resource.service());
            if let (true, true, Some(peer)) = (calls, window.contains(node.span.start), peer) {
                self.count(node.span.resource.service(), peer, false, &node.span);
            }
        }
    }

    fn count(&mut self, caller: &str, callee: &str, traced: bool, span: &Span) {
        let key = (caller.to_owned(), callee.to_owned(), traced);
        if self.0.len() >= MAX_EDGES && !self.0.contains_key(&key) {
            return;
        }
        let (calls, errors) = self.0.entry(key).or_default();
        *calls += 1;
        *errors += u64::from(span.status.code == StatusCode::Error);
    }

    fn into_list(self) -> Vec<ServiceCalls> {
        let edge = |((parent, child, traced), (calls, errors))| ServiceCalls {
            parent,
            child,
            calls,
            errors,
            traced,
        };
        self.0.into_iter().map(edge).collect()
    }
}

#[cfg(test)]
mod tests;
