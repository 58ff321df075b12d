//! Services, operations and the service graph: what fails first, then what takes longest.

use serde_json::Value;

use super::parts::{failures, left_out, number, percent, rate, time, title};
use crate::terminal::{Cell, Page, Style, Table, at, list, nanos, text};

/// Entries of a list: the one that fails most often first; of those that fail alike, the slowest.
fn worst_first<'a>(answer: &'a Value, key: &str, rate: &str, latency: &[&str]) -> Vec<&'a Value> {
    let mut entries: Vec<&Value> = list(answer, key).iter().collect();
    let slow = |entry: &Value| latency.iter().find_map(|key| nanos(at(entry, key), "p95_nano"));
    entries.sort_by(|a, b| {
        let failing = number(b, rate).total_cmp(&number(a, rate));
        failing.then_with(|| slow(b).cmp(&slow(a)))
    });
    entries
}

fn name(failing: bool, text: &str) -> Cell {
    Cell::new(if failing { Style::Bad } else { Style::Name }, text)
}

/// p50, p95 and p99.
fn latencies(latency: &Value) -> [Cell; 3] {
    ["p50_nano", "p95_nano", "p99_nano"].map(|key| Cell::plain(time(latency, key)))
}

/// Calls a second, and failed ones.
fn traffic(entry: &Value, failed: &str) -> [Cell; 2] {
    let (calls, failed) = (nanos(entry, "calls").unwrap_or(0), nanos(entry, failed).unwrap_or(0));
    let style = if failed > 0 { Style::Bad } else { Style::Faint };
    [Cell::plain(rate(number(entry, "rate"))), Cell::new(style, failures(failed, calls))]
}

pub(super) fn services(answer: &Value, most: usize, page: &mut Page) {
    title("Services", at(answer, "window"), page);
    let services = worst_first(answer, "services", "error_rate", &["latency"]);
    if services.is_empty() {
        return;
    }
    let mut table =
        Table::new(&["service", ">rate", ">failed", ">p50", ">p95", ">p99", ">calls", ">operations"]);
    for service in services.iter().take(most) {
        let failing = nanos(service, "errors").unwrap_or(0) > 0;
        let mut row = vec![name(failing, text(service, "name"))];
        row.extend(traffic(service, "errors"));
        row.extend(latencies(at(service, "latency")));
        row.extend(["calls", "operations"].map(|key| Cell::plain(whole(service, key))));
        table.row(row);
    }
    table.draw(page);
    let omitted = nanos(answer, "omitted").unwrap_or(0);
    left_out(services.len().min(most), services.len(), omitted, "service", page);
}

fn whole(entry: &Value, key: &str) -> String {
    nanos(entry, key).map(|count| count.to_string()).unwrap_or_default()
}

pub(super) fn operations(answer: &Value, most: usize, page: &mut Page) {
    title("Operations", at(answer, "window"), page);
    let operations = worst_first(answer, "operations", "error_rate", &["latency"]);
    if operations.is_empty() {
        return;
    }
    let mut table =
        Table::new(&["service", "operation", "kind", ">rate", ">failed", ">p50", ">p95", ">p99", ">calls"]);
    for operation in operations.iter().take(most) {
        let failing = nanos(operation, "errors").unwrap_or(0) > 0;
        let mut row = vec![
            Cell::plain(text(operation, "service")),
            name(failing, text(operation, "name")),
            Cell::new(Style::Faint, text(operation, "kind")),
        ];
        row.extend(traffic(operation, "errors"));
        row.extend(latencies(at(operation, "latency")));
        row.push(Cell::plain(whole(operation, "calls")));
        table.row(row);
    }
    table.draw(page);
    let omitted = nanos(answer, "omitted").unwrap_or(0);
    left_out(operations.len().min(most), operations.len(), omitted, "operation", page);
}

pub(super) fn graph(answer: &Value, most: usize, page: &mut Page) {
    title("Service graph", at(answer, "window"), page);
    let edges = worst_first(answer, "edges", "failed_rate", &["client_latency", "server_latency"]);
    if !edges.is_empty() {
        page.heading("Calls");
        let mut table = Table::new(&[
            "caller",
            "called",
            "what",
            ">rate",
            ">failed",
            ">p50",
            ">p95",
            ">p99",
            ">waits p95",
        ]);
        for edge in edges.iter().take(most) {
            let failing = nanos(edge, "failed").unwrap_or(0) > 0;
            let mut row = vec![
                name(failing, text(edge, "client")),
                name(failing, text(edge, "server")),
                Cell::new(Style::Faint, text(edge, "server_kind")),
            ];
            row.extend(traffic(edge, "failed"));
            let measured = [at(edge, "client_latency"), at(edge, "server_latency")];
            let latency = measured.into_iter().find(|side| !side.is_null()).unwrap_or(&Value::Null);
            row.extend(latencies(latency));
            let waits = at(edge, "queue_latency");
            row.push(if waits.is_null() { Cell::plain("") } else { Cell::plain(time(waits, "p95_nano")) });
            table.row(row);
        }
        table.draw(page);
        let omitted = nanos(answer, "omitted_edges").unwrap_or(0);
        left_out(edges.len().min(most), edges.len(), omitted, "call", page);
    }
    let nodes = worst_first(answer, "nodes", "error_rate", &["latency"]);
    if !nodes.is_empty() {
        page.heading("Who takes part");
        let mut table = Table::new(&["name", "what", ">rate", ">failed", ">p50", ">p95", ">p99"]);
        for node in nodes.iter().take(most) {
            let failing = nanos(node, "errors").unwrap_or(0) > 0;
            let mut row =
                vec![name(failing, text(node, "name")), Cell::new(Style::Faint, text(node, "kind"))];
            row.extend(traffic(node, "errors"));
            row.extend(latencies(at(node, "latency")));
            table.row(row);
        }
        table.draw(page);
        let omitted = nanos(answer, "omitted_nodes").unwrap_or(0);
        left_out(nodes.len().min(most), nodes.len(), omitted, "node", page);
    }
    next(&edges, page);
    let unpaired = nanos(answer, "unpaired").unwrap_or(0);
    let calls: i128 = edges.iter().filter_map(|edge| nanos(edge, "calls")).sum();
    if unpaired > 0 {
        let of = percent(unpaired as f64 / (calls + unpaired).max(1) as f64);
        page.line(&[(
            Style::Faint,
            &format!("  {unpaired} calls ({of}) have one side only, which names no other: they are not counted here"),
        )]);
    }
}

/// Traces of the worst calls, each once: of a failing call one that failed.
fn next(edges: &[&Value], page: &mut Page) {
    const SHOWN: usize = 3;
    let mut shown: Vec<(&str, String)> = Vec::new();
    for edge in edges {
        let Some(trace) = list(edge, "trace_ids").last().and_then(Value::as_str) else { continue };
        if shown.len() < SHOWN && shown.iter().all(|(known, _)| *known != trace) {
            shown.push((trace, format!("  {} -> {}", text(edge, "client"), text(edge, "server"))));
        }
    }
    if !shown.is_empty() {
        page.heading("To look at");
    }
    for (trace, calls) in shown {
        page.line(&[
            (Style::Plain, &format!("  {}", page.command(&format!("trace {trace}")))),
            (Style::Faint, &calls),
        ]);
    }
}
