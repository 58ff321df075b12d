//! The graph of a window.

use store::read::{Calls, Connection, EdgeCalls, Sketch, Window};

use super::*;

fn edge(client: &str, server: &str, calls: u64) -> EdgeCalls {
    EdgeCalls {
        client: client.into(),
        server: server.into(),
        connection: Connection::External,
        calls,
        failed: 0,
        client_latency: Sketch::default(),
        server_latency: Sketch::default(),
        queue_latency: Sketch::default(),
        examples: Vec::new(),
    }
}

#[test]
fn an_edge_is_left_out_with_either_of_its_nodes() {
    let operation = |service: &str, calls| store::read::OperationCalls {
        service: service.into(),
        name: "op".into(),
        kind: Server,
        entry: true,
        calls,
        errors: 0,
        latency: Sketch::default(),
    };
    let calls = Calls {
        window: Window { start: 0, end: 60 * SECOND },
        operations: vec![operation("front", 100), operation("shop", 50)],
        edges: vec![edge("front", "bank", 30), edge("front", "shop", 20), edge("shop", "front", 10)],
        unpaired: 0,
        pending: 0,
        damaged_blocks: 0,
        begins: None,
    };
    let whole = graph(&calls, RedQuestion::of(&calls, u64::MAX));
    let of = |limit| {
        let mut graph = whole.clone();
        let omitted = graph.truncate(limit);
        let edges = graph.edges.iter().map(|edge| format!("{} > {}", edge.client, edge.server));
        (graph.nodes.len(), edges.collect::<Vec<_>>(), omitted)
    };
    let [bank, shop, back] = ["front > bank", "front > shop", "shop > front"].map(str::to_owned);
    assert_eq!(of(3), (3, vec![bank, shop.clone(), back.clone()], (0, 0)));
    assert_eq!(of(2), (2, vec![shop, back], (1, 1)));
    assert_eq!(of(1), (1, Vec::new(), (2, 3)));
}

#[test]
fn rates_are_over_the_time_that_has_passed_since_spans_are_stored() {
    let window = Window { start: 0, end: 3600 * SECOND };
    let question = |begins| {
        let calls = Calls {
            window,
            operations: Vec::new(),
            edges: Vec::new(),
            unpaired: 0,
            pending: 0,
            damaged_blocks: 0,
            begins,
        };
        let RedQuestion { seconds, begins, .. } = RedQuestion::of(&calls, 1800 * SECOND);
        (seconds, begins)
    };
    assert_eq!(question(None), (1800.0, None));
    assert_eq!(question(Some(0)), (1800.0, None));
    assert_eq!(question(Some(1500 * SECOND)), (300.0, Some(1500 * SECOND)));
    // Spans of a clock that is fast, and of after the window.
    assert_eq!(question(Some(2000 * SECOND)), (1.0, Some(2000 * SECOND)));
    assert_eq!(question(Some(4000 * SECOND)), (1800.0, None));
}
