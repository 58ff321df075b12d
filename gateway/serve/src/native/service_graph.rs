//! `GET /api/v1/service-graph`: who calls whom in a window, how often, how long, and with what outcome.

use axum::response::{IntoResponse, Response};
use correlate::red::{self, GraphEdge, GraphNode, ServiceGraph};
use serde::Serialize;
use store::read::PAIRING_WAIT;
use utoipa::ToSchema;

use super::request::{self, Refusal};
use super::services::{Asked, Latency, RedWindow};
use super::shape::AbsenceBody;
use crate::State;
use crate::parameters::{Parameters, SECOND};
use crate::tenant::Extract;

/// Nodes and edges each, where a request does not say how many: more than a picture shows.
const DEFAULT_LIMIT: usize = 1_000;
/// And at most: some megabytes of JSON.
const MAX_LIMIT: usize = 10_000;

/// Who calls whom in a window.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ServiceGraphBody {
    window: RedWindow,
    /// Busiest first.
    nodes: Vec<Node>,
    /// Busiest first.
    edges: Vec<Edge>,
    /// Nodes that are left out: more than `limit`.
    omitted_nodes: usize,
    /// Edges that are left out: more than `limit`, or of nodes that are left out.
    omitted_edges: usize,
    /// Sides of calls that name nobody and whose other side was not found.
    unpaired: u64,
    /// Sides of calls that ended less than ten seconds ago and whose other side may still arrive: they are in no edge yet.
    pending: u64,
    /// Why there is nothing.
    absent: Vec<AbsenceBody>,
    /// What a reader should know before trusting the rest.
    warnings: Vec<String>,
}

/// A service, or what services deal with that sends no spans.
#[derive(Debug, Serialize, ToSchema)]
struct Node {
    name: String,
    /// `service`, `database`, `queue`, `external` or `user`.
    kind: &'static str,
    /// Requests that entered it, or calls that its callers made.
    calls: u64,
    errors: u64,
    /// Calls a second.
    rate: f64,
    /// Failed calls a second.
    error_rate: f64,
    /// Null where nothing was measured.
    latency: Option<Latency>,
}

/// Calls of one node by another.
#[derive(Debug, Serialize, ToSchema)]
struct Edge {
    client: String,
    client_kind: &'static str,
    server: String,
    server_kind: &'static str,
    /// As Tempo has it: empty, `messaging_system`, `database` or `virtual_node`.
    connection_type: &'static str,
    /// Of messages, one for each that has a known sender, however many are taken at once.
    calls: u64,
    /// Failed as either side has it.
    failed: u64,
    /// Calls a second.
    rate: f64,
    /// Failed calls a second.
    failed_rate: f64,
    /// As callers measured; null where they sent no spans of it.
    client_latency: Option<Latency>,
    /// As callees measured; null where they sent no spans of it.
    server_latency: Option<Latency>,
    /// How long messages waited between the two; null for other calls.
    queue_latency: Option<Latency>,
    /// The slowest, and one that failed.
    trace_ids: Vec<String>,
}

impl From<GraphNode> for Node {
    fn from(node: GraphNode) -> Self {
        let measures = node.measures;
        Self {
            name: node.name.to_string(),
            kind: node.kind.as_str(),
            calls: measures.calls,
            errors: measures.errors,
            rate: measures.rate,
            error_rate: measures.error_rate,
            latency: measures.percentiles.map(Latency::from),
        }
    }
}

impl From<GraphEdge> for Edge {
    fn from(edge: GraphEdge) -> Self {
        let measures = edge.client_side;
        Self {
            client: edge.client.to_string(),
            client_kind: edge.client_kind.as_str(),
            server: edge.server.to_string(),
            server_kind: edge.server_kind.as_str(),
            connection_type: edge.connection_type,
            calls: measures.calls,
            failed: measures.errors,
            rate: measures.rate,
            failed_rate: measures.error_rate,
            client_latency: measures.percentiles.map(Latency::from),
            server_latency: edge.server_percentiles.map(Latency::from),
            queue_latency: edge.queue_percentiles.map(Latency::from),
            trace_ids: edge.examples.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Who calls whom: services, databases, queues and other peers, with rates, errors and durations.
///
/// Counted from spans by the minute in which they started, also of those that sampling dropped since.
#[utoipa::path(
    get,
    path = "/api/v1/service-graph",
    params(
        ("limit" = Option<usize>, Query, description = "Nodes, and edges between them, each; 1000 without it, at most 10000"),
        request::Shared,
    ),
    responses(
        (status = 200, description = "The graph; `absent` says why it is empty", body = ServiceGraphBody),
        (status = 400, description = "A parameter cannot be read", body = Refusal),
    )
)]
pub(super) async fn service_graph(Extract(state): Extract<State>, parameters: Parameters) -> Response {
    let limit = match request::limit(&parameters, DEFAULT_LIMIT, MAX_LIMIT) {
        Ok(limit) => limit,
        Err(refusal) => return refusal.into_response(),
    };
    let mut asked = match Asked::read(&state, &parameters, None).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    let mut graph = red::graph(&asked.calls, asked.question);
    let (omitted_nodes, omitted_edges) = graph.truncate(limit);
    let ServiceGraph { nodes, edges, unpaired, pending } = graph;
    if pending > 0 {
        let wait = PAIRING_WAIT / SECOND;
        asked.warnings.push(format!(
            "{pending} sides of calls that ended less than {wait} s ago wait for their other side, which may still be arriving; \
             they are in no edge yet"
        ));
    }
    let body = ServiceGraphBody {
        window: asked.window(),
        nodes: nodes.into_iter().map(Node::from).collect(),
        edges: edges.into_iter().map(Edge::from).collect(),
        omitted_nodes,
        omitted_edges,
        unpaired,
        pending,
        absent: asked.absent,
        warnings: asked.warnings,
    };
    request::answer(&parameters, &body)
}
