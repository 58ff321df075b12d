//! Services, operations and the graph of services in a window, from the calls that the store counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parsers::record::{SpanKind, TraceId};
use store::read::{Calls, Connection, EdgeCalls, OperationCalls, Sketch, Window};

/// What a question about a window was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RedQuestion {
    /// The window that was answered: whole minutes.
    pub window: Window,
    /// Seconds of it that have passed since spans are stored: what rates are over.
    pub seconds: f64,
    /// When the oldest stored span started, if that is within the window.
    pub begins: Option<u64>,
}

impl RedQuestion {
    /// Of calls that were counted up to this instant.
    pub fn of(calls: &Calls, now: u64) -> Self {
        let window = calls.window;
        // What lies ahead is empty, as is what was before there was anything: both would make every rate too small.
        let begins = calls.begins.filter(|begins| window.contains(*begins) && *begins > window.start);
        let start = begins.unwrap_or(window.start);
        let passed = window.end.min(now.max(start)) - start;
        Self { window, seconds: (passed as f64 / 1e9).max(1.0), begins }
    }
}

/// Rate, errors and durations.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measures {
    /// How many.
    pub calls: u64,
    /// How many of them failed.
    pub errors: u64,
    /// Calls a second.
    pub rate: f64,
    /// Failed calls a second.
    pub error_rate: f64,
    /// Durations in nanoseconds that 50, 95 and 99 of 100 do not exceed, within 3 %; `None` where none was measured.
    pub percentiles: Option<[u64; 3]>,
}

impl Measures {
    fn new(calls: u64, errors: u64, latency: &Sketch, question: RedQuestion) -> Self {
        Self {
            calls,
            errors,
            rate: calls as f64 / question.seconds,
            error_rate: errors as f64 / question.seconds,
            percentiles: percentiles(latency),
        }
    }
}

fn percentiles(latency: &Sketch) -> Option<[u64; 3]> {
    let percentile = |share| latency.quantile(share);
    Some([percentile(0.5)?, percentile(0.95)?, percentile(0.99)?])
}

/// A service.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceMeasures {
    /// `service.name`.
    pub name: Arc<str>,
    /// Of the requests that entered it; of all its spans, if it has no span by which one does.
    pub measures: Measures,
    /// How many operations it has, by name and kind.
    pub operations: usize,
}

/// An operation of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationMeasures {
    /// `service.name`.
    pub service: Arc<str>,
    /// Name of its spans.
    pub name: Arc<str>,
    /// Their kind.
    pub kind: SpanKind,
    /// Requests enter the service by it.
    pub entry: bool,
    /// Of its spans.
    pub measures: Measures,
}

/// What a node of the graph is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeKind {
    /// It sends spans.
    Service,
    /// A database, as its callers say.
    Database,
    /// A queue, as its users say.
    Queue,
    /// Something else that sends no spans.
    External,
    /// Whoever calls where traces begin.
    User,
}

impl NodeKind {
    /// Lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Database => "database",
            Self::Queue => "queue",
            Self::External => "external",
            Self::User => "user",
        }
    }
}

/// A node of the graph.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphNode {
    /// `service.name`, or what callers call it.
    pub name: Arc<str>,
    /// What it is.
    pub kind: NodeKind,
    /// Of a service, as in [`ServiceMeasures`]; of another node what its callers see of it, and of the user what it calls.
    pub measures: Measures,
}

/// Calls of one node by another.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphEdge {
    /// Who calls.
    pub client: Arc<str>,
    /// What the caller is.
    pub client_kind: NodeKind,
    /// Who is called.
    pub server: Arc<str>,
    /// What the callee is.
    pub server_kind: NodeKind,
    /// As Tempo calls it: empty, `messaging_system`, `database` or `virtual_node`.
    pub connection_type: &'static str,
    /// With durations as callers see them.
    pub client_side: Measures,
    /// Durations as callees see them.
    pub server_percentiles: Option<[u64; 3]>,
    /// How long messages waited between the two.
    pub queue_percentiles: Option<[u64; 3]>,
    /// Traces in which it was called: the slowest, and one that failed.
    pub examples: Vec<TraceId>,
}

/// The graph of a window.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceGraph {
    /// Busiest first.
    pub nodes: Vec<GraphNode>,
    /// Busiest first.
    pub edges: Vec<GraphEdge>,
    /// Sides of calls that name nobody and whose other side was not found.
    pub unpaired: u64,
    /// Sides of calls whose other side may still arrive: they count nowhere yet.
    pub pending: u64,
}

impl ServiceGraph {
    /// Leaves so many nodes, the busiest, and so many edges between them. Says how many nodes and edges it left out.
    pub fn truncate(&mut self, limit: usize) -> (usize, usize) {
        let (nodes, edges) = (self.nodes.len(), self.edges.len());
        if nodes > limit {
            self.nodes.truncate(limit);
            let left: BTreeSet<(&str, NodeKind)> =
                self.nodes.iter().map(|node| (&*node.name, node.kind)).collect();
            self.edges.retain(|edge| {
                left.contains(&(&*edge.client, edge.client_kind))
                    && left.contains(&(&*edge.server, edge.server_kind))
            });
        }
        self.edges.truncate(limit);
        (nodes - self.nodes.len(), edges - self.edges.len())
    }
}

/// Services, busiest first.
pub fn services(calls: &Calls, question: RedQuestion) -> Vec<ServiceMeasures> {
    let mut of: BTreeMap<&Arc<str>, Vec<&OperationCalls>> = BTreeMap::new();
    for operation in &calls.operations {
        of.entry(&operation.service).or_default().push(operation);
    }
    let service = |(name, operations): (&Arc<str>, Vec<&OperationCalls>)| {
        let entered = operations.iter().any(|operation| operation.entry);
        let mut latency = Sketch::default();
        let (mut calls, mut errors) = (0, 0);
        for operation in operations.iter().filter(|operation| operation.entry || !entered) {
            calls += operation.calls;
            errors += operation.errors;
            latency.merge(&operation.latency);
        }
        let mut names: Vec<_> =
            operations.iter().map(|operation| (&operation.name, operation.kind as u8)).collect();
        names.dedup();
        let measures = Measures::new(calls, errors, &latency, question);
        ServiceMeasures { name: Arc::clone(name), measures, operations: names.len() }
    };
    let mut services: Vec<ServiceMeasures> = of.into_iter().map(service).collect();
    services.sort_by_key(|service| std::cmp::Reverse(service.measures.calls));
    services
}

/// Operations of a service, or of all, those by which requests enter first, then the busiest.
pub fn operations(calls: &Calls, service: Option<&str>, question: RedQuestion) -> Vec<OperationMeasures> {
    let wanted = calls.operations.iter().filter(|o| service.is_none_or(|service| *o.service == *service));
    let measured = wanted.map(|operation| OperationMeasures {
        service: Arc::clone(&operation.service),
        name: Arc::clone(&operation.name),
        kind: operation.kind,
        entry: operation.entry,
        measures: Measures::new(operation.calls, operation.errors, &operation.latency, question),
    });
    let mut measured: Vec<OperationMeasures> = measured.collect();
    measured.sort_by_key(|operation| std::cmp::Reverse((operation.entry, operation.measures.calls)));
    measured
}

/// The graph. A peer that sends no spans of a call, but others, is the service that it is.
pub fn graph(calls: &Calls, question: RedQuestion) -> ServiceGraph {
    let mut nodes: BTreeMap<(Arc<str>, NodeKind), Measures> = BTreeMap::new();
    for service in services(calls, question) {
        nodes.insert((service.name, NodeKind::Service), service.measures);
    }
    let known = |name: &str, kind: NodeKind| {
        let is_service = calls.operations.binary_search_by(|o| (*o.service).cmp(name)).is_ok();
        if is_service { NodeKind::Service } else { kind }
    };
    let mut edges = Vec::new();
    let mut seen: BTreeMap<(Arc<str>, NodeKind), (u64, u64, Sketch)> = BTreeMap::new();
    for edge in &calls.edges {
        let (client, server) = ends(edge.connection);
        let client = if client == NodeKind::User { client } else { known(&edge.client, client) };
        let server = known(&edge.server, server);
        // What is no service is known by those that deal with it.
        for (name, kind) in [(&edge.client, client), (&edge.server, server)] {
            if kind != NodeKind::Service {
                let (calls, errors, latency) = seen.entry((Arc::clone(name), kind)).or_default();
                *calls += edge.calls;
                *errors += edge.failed;
                latency.merge(measured(edge));
            }
        }
        edges.push(GraphEdge {
            client: Arc::clone(&edge.client),
            client_kind: client,
            server: Arc::clone(&edge.server),
            server_kind: server,
            connection_type: connection_type(edge.connection),
            client_side: Measures::new(edge.calls, edge.failed, &edge.client_latency, question),
            server_percentiles: percentiles(&edge.server_latency),
            queue_percentiles: percentiles(&edge.queue_latency),
            examples: edge.examples.clone(),
        });
    }
    for (node, (calls, errors, latency)) in seen {
        nodes.insert(node, Measures::new(calls, errors, &latency, question));
    }
    let mut nodes: Vec<GraphNode> =
        nodes.into_iter().map(|((name, kind), measures)| GraphNode { name, kind, measures }).collect();
    nodes.sort_by_key(|node| std::cmp::Reverse(node.measures.calls));
    edges.sort_by_key(|edge| std::cmp::Reverse(edge.client_side.calls));
    ServiceGraph { nodes, edges, unpaired: calls.unpaired, pending: calls.pending }
}

/// How long calls took, as the caller has it if it says so.
fn measured(edge: &EdgeCalls) -> &Sketch {
    if edge.client_latency.count() > 0 { &edge.client_latency } else { &edge.server_latency }
}

fn ends(connection: Connection) -> (NodeKind, NodeKind) {
    use NodeKind::{Database, External, Queue, Service, User};
    match connection {
        Connection::Direct | Connection::Messages => (Service, Service),
        Connection::Database => (Service, Database),
        Connection::ToQueue => (Service, Queue),
        Connection::FromQueue => (Queue, Service),
        Connection::External => (Service, External),
        Connection::User => (User, Service),
    }
}

fn connection_type(connection: Connection) -> &'static str {
    match connection {
        Connection::Direct => "",
        Connection::Messages | Connection::ToQueue | Connection::FromQueue => "messaging_system",
        Connection::Database => "database",
        Connection::External | Connection::User => "virtual_node",
    }
}
