//! Promise: Grafana's service map works with Trefoil alone, as the Tempo and as the Prometheus data source: the queries that
//! Grafana makes by itself find the calls of a shop in series that are made of its spans. The graph in the native interface is
//! counted from the spans themselves, whenever they come, and needs no series.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use serde_json::Value;
use tests::harness::{Http, until};
use tests::program::Program;

/// A few intervals on a machine that may be compiling.
const SOON: Duration = Duration::from_mins(1);
const MINUTE: u64 = 60_000_000_000;
const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;
/// Of the traces that are sent.
const TRACES: u64 = 20;
const FAILING: u64 = 5;

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// One request as every service reports it: (service, id, parent, kind, name, attribute).
type Made = (&'static str, u64, u64, i32, &'static str, Option<(&'static str, &'static str)>);
const REQUEST: [Made; 8] = [
    ("frontend", 1, 0, SERVER, "GET /buy", None),
    ("frontend", 2, 1, CLIENT, "POST", Some(("server.address", "checkout.shop"))),
    ("checkout", 3, 2, SERVER, "POST /orders", None),
    ("checkout", 4, 3, CLIENT, "INSERT orders", Some(("db.system.name", "postgresql"))),
    ("checkout", 5, 3, CLIENT, "POST", Some(("peer.service", "bank"))),
    ("checkout", 6, 3, PRODUCER, "orders publish", Some(("messaging.destination.name", "orders"))),
    ("mailer", 7, 6, CONSUMER, "orders process", Some(("messaging.destination.name", "orders"))),
    ("mailer", 8, 7, CLIENT, "SEND", Some(("server.address", "smtp.example"))),
];

/// What one service reports of requests that end at this time.
fn export(service: &str, end: u64) -> Vec<u8> {
    let spans = (1..=TRACES).flat_map(|trace| {
        let own = REQUEST.iter().filter(move |(of, ..)| *of == service);
        own.map(move |(_, id, parent, kind, name, attribute)| Span {
            trace_id: (0x6ea9_0000_0000_0000_0000_0000_0000_0000 | u128::from(end + trace))
                .to_be_bytes()
                .to_vec(),
            span_id: id.to_be_bytes().to_vec(),
            parent_span_id: if *parent == 0 { Vec::new() } else { parent.to_be_bytes().to_vec() },
            name: (*name).to_owned(),
            kind: *kind,
            start_time_unix_nano: end - (200 - 20 * id) * 1_000_000,
            end_time_unix_nano: end,
            attributes: attribute.iter().map(|(key, value)| text(key, value)).collect(),
            status: (*id == 3 && trace <= FAILING).then(|| Status { code: 2, ..Status::default() }),
            ..Span::default()
        })
    });
    let scope_spans = vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }];
    let resource = Resource { attributes: vec![text("service.name", service)], ..Resource::default() };
    let group = ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![group] }.encode_to_vec()
}

async fn send(http: &Http, trefoil: &Program, end: u64) -> Result<()> {
    // A callee reports before its caller does, as it ends before.
    for service in ["mailer", "checkout", "frontend"] {
        let url = format!("http://{}/v1/traces", trefoil.otlp_http);
        let sent =
            http.post(&url, &[("content-type", "application/x-protobuf")], export(service, end)).await?;
        ensure!(sent.status == 200, "{} {}", sent.status, sent.text());
    }
    Ok(())
}

/// `client > server` with the value, sorted; the result of an instant query.
async fn query(http: &Http, trefoil: &Program, query: &str, labels: &[&str]) -> Result<Vec<(String, f64)>> {
    let url = reqwest::Url::parse_with_params(
        &format!("http://{}/prometheus/api/v1/query", trefoil.main),
        &[("query", query)],
    )?;
    let answer = http.get(url.as_str()).await?.ok_json()?;
    let result = answer["data"]["result"].as_array().with_context(|| format!("no result: {answer}"))?;
    let mut rows: Vec<(String, f64)> = result
        .iter()
        .map(|row| {
            let named: Vec<&str> =
                labels.iter().map(|label| row["metric"][label].as_str().unwrap_or_default()).collect();
            let value = row["value"][1].as_str().and_then(|value| value.parse().ok());
            Ok((named.join(" > "), value.with_context(|| format!("no value: {row}"))?))
        })
        .collect::<Result<_>>()?;
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(rows)
}

fn names(rows: &[(String, f64)]) -> Vec<&str> {
    rows.iter().map(|(name, _)| name.as_str()).collect()
}

const EDGES: [&str; 6] = [
    "checkout > bank",
    "checkout > mailer",
    "checkout > postgresql",
    "frontend > checkout",
    "mailer > smtp.example",
    "user > frontend",
];

#[tokio::test(flavor = "multi_thread")]
async fn grafanas_service_map_is_drawn_from_spans_alone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let sections = format!("store: {{dir: '{}'}}\nmetrics_from_spans: {{interval: 1s}}\n", data.display());
    let trefoil = Program::start_configured(&data, &folder.path().join("none"), &sections).await?;
    let http = Http::new()?;
    send(&http, &trefoil, Timestamp::now().as_nanosecond() as u64).await?;

    let total = "sum by (client, server) (rate(traces_service_graph_request_total{}[300s]))";
    let found = until("all edges of the map", SOON, || async {
        let rows = query(&http, &trefoil, total, &["client", "server"]).await?;
        ensure!(names(&rows) == EDGES && rows.iter().all(|(_, rate)| *rate > 0.0), "{rows:?}");
        Ok(rows)
    });
    let found = found.await?;
    let rate = found[0].1;
    ensure!(
        found.iter().all(|(_, other)| (other / rate - 1.0).abs() < 0.5),
        "as many calls of each: {found:?}"
    );

    let failed = "sum by (client, server) (rate(traces_service_graph_request_failed_total{}[300s]))";
    let failed = query(&http, &trefoil, failed, &["client", "server"]).await?;
    let failing: Vec<&str> = failed.iter().filter(|(_, rate)| *rate > 0.0).map(|(name, _)| &**name).collect();
    ensure!(failing == ["frontend > checkout"], "{failed:?}");

    let connected = "group by (client, connection_type, server) (traces_service_graph_request_total{})";
    let connected = query(&http, &trefoil, connected, &["client", "connection_type", "server"]).await?;
    let expected = [
        "checkout > database > postgresql",
        "checkout > messaging_system > mailer",
        "checkout > virtual_node > bank",
        "frontend >  > checkout",
        "mailer > virtual_node > smtp.example",
        "user > virtual_node > frontend",
    ];
    ensure!(names(&connected) == expected, "{connected:?}");

    let sum = "sum by (client, server) (rate(traces_service_graph_request_server_seconds_sum{}[300s]))";
    ensure!(names(&query(&http, &trefoil, sum, &["client", "server"]).await?) == EDGES);
    let within = "histogram_quantile(0.9, sum(rate(traces_service_graph_request_server_seconds_bucket{client=\"frontend\",\
                  server=\"checkout\"}[300s])) by (le, client, server))";
    let within = query(&http, &trefoil, within, &["client"]).await?;
    ensure!(within.len() == 1 && (0.128..=0.256).contains(&within[0].1), "140 ms: {within:?}");

    // The table beside the map.
    let calls = "topk(5, sum(rate(traces_spanmetrics_calls_total{span_kind=\"SPAN_KIND_SERVER\"}[300s])) by (span_name))";
    ensure!(names(&query(&http, &trefoil, calls, &["span_name"]).await?) == ["GET /buy", "POST /orders"]);
    let errors = "topk(5, sum(rate(traces_spanmetrics_calls_total{status_code=\"STATUS_CODE_ERROR\",\
                  span_name=~\"GET /buy|POST /orders\"}[300s])) by (span_name))";
    ensure!(names(&query(&http, &trefoil, errors, &["span_name"]).await?) == ["POST /orders"]);
    let slow = "histogram_quantile(.9, sum(rate(traces_spanmetrics_latency_bucket{span_name=~\"POST /orders\"}[300s])) by (le))";
    let slow = query(&http, &trefoil, slow, &[]).await?;
    ensure!(slow.len() == 1 && (0.128..=0.256).contains(&slow[0].1), "140 ms: {slow:?}");

    // Filters of the map, and a bucket's way to a trace.
    let base = format!("http://{}", trefoil.main);
    let labels = format!(
        "{base}/prometheus/api/v1/label/server/values?match[]={{__name__=~\"traces_service_graph_request_total\"}}"
    );
    let labels = http.get(&labels).await?.ok_json()?;
    ensure!(
        labels["data"].as_array().is_some_and(|names| names.iter().any(|name| name == "postgresql")),
        "{labels}"
    );
    let now = Timestamp::now().as_second();
    let exemplars = format!(
        "{base}/prometheus/api/v1/query_exemplars?query=traces_spanmetrics_latency_bucket&start={}&end={}",
        now - 300,
        now + 60
    );
    let exemplars = http.get(&exemplars).await?.ok_json()?;
    let id = exemplars["data"][0]["exemplars"][0]["labels"]["trace_id"].as_str().context("no exemplar")?;
    let trace = http.get(&format!("{base}/api/v1/traces/{id}")).await?.ok_json()?;
    ensure!(trace["spans"].as_array().is_some_and(|spans| spans.len() == REQUEST.len()), "{trace}");

    // "View traces" of what sends no spans, however its callers name it.
    for node in ["smtp.example", "postgresql", "bank"] {
        let keys = ["db.name", "db.system", "peer.service", "messaging.system", "net.peer.name"];
        let conditions = keys.map(|key| format!("span.{key}=\"{node}\""));
        let asked = [("q", format!("{{{}}}", conditions.join(" || "))), ("limit", "100".to_owned())];
        let url = reqwest::Url::parse_with_params(&format!("{base}/tempo/api/search"), &asked)?;
        let found = http.get(url.as_str()).await?.ok_json()?;
        ensure!(
            found["traces"].as_array().is_some_and(|traces| traces.len() == TRACES as usize),
            "{node}: {found}"
        );
    }

    // The same for a Prometheus that scrapes.
    let page = http.get(&format!("{base}/metrics/spans")).await?;
    let page = page.text();
    ensure!(page.ends_with("# EOF\n"), "{page}");
    let series = "traces_service_graph_request_total{client=\"frontend\",server=\"checkout\"} 20\n";
    ensure!(
        page.contains(series) && page.contains("# TYPE traces_service_graph_request counter\n"),
        "{page}"
    );
    ensure!(
        page.lines().any(|line| line.contains("_latency_bucket{") && line.contains(" # {trace_id=\"")),
        "{page}"
    );
    let all = http.get(&format!("{base}/metrics")).await?;
    let all = all.text();
    ensure!(all.contains(series) && all.contains("trefoil_build_info") && all.ends_with("# EOF\n"), "{all}");
    ensure!(all.matches("# EOF").count() == 1, "{all}");
    trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_native_graph_counts_spans_of_any_time_without_series() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let sections = format!("store: {{dir: '{}'}}\nmetrics_from_spans: {{enabled: false}}\n", data.display());
    let trefoil = Program::start_configured(&data, &folder.path().join("none"), &sections).await?;
    let http = Http::new()?;
    // Filled in afterwards: what happened three hours ago.
    let end = Timestamp::now().as_nanosecond() as u64 - 180 * MINUTE;
    send(&http, &trefoil, end).await?;

    let base = format!("http://{}", trefoil.main);
    let window = format!("start={}&end={}", end - MINUTE, end + MINUTE);
    let graph = http.get(&format!("{base}/api/v1/service-graph?{window}")).await?.ok_json()?;
    let mut edges: Vec<String> = graph["edges"]
        .as_array()
        .context("no edges")?
        .iter()
        .map(|edge| {
            let text = |key: &str| edge[key].as_str().unwrap_or_default().to_owned();
            format!("{} > {} {} {}", text("client"), text("server"), edge["calls"], edge["failed"])
        })
        .collect();
    edges.sort();
    let expected: Vec<String> = EDGES
        .iter()
        .map(|edge| format!("{edge} {TRACES} {}", if *edge == "frontend > checkout" { FAILING } else { 0 }))
        .collect();
    ensure!(edges == expected, "{graph}");
    let kind = |name: &str| -> Option<Value> {
        let nodes = graph["nodes"].as_array()?;
        Some(nodes.iter().find(|node| node["name"] == name)?["kind"].clone())
    };
    for (name, of) in
        [("postgresql", "database"), ("bank", "external"), ("user", "user"), ("mailer", "service")]
    {
        ensure!(kind(name).is_some_and(|kind| kind == of), "{name}: {graph}");
    }
    let services = http.get(&format!("{base}/api/v1/services?{window}")).await?.ok_json()?;
    ensure!(services["services"].as_array().is_some_and(|services| services.len() == 3), "{services}");
    let operations =
        http.get(&format!("{base}/api/v1/operations?service=checkout&{window}")).await?.ok_json()?;
    ensure!(operations["operations"][0]["name"] == "POST /orders", "{operations}");
    ensure!(operations["operations"][0]["errors"] == FAILING, "{operations}");

    let after = format!("start={}&end={}", end + 10 * MINUTE, end + 20 * MINUTE);
    let after = http.get(&format!("{base}/api/v1/service-graph?{after}")).await?.ok_json()?;
    ensure!(after["absent"][0]["reason"] == "outside_window", "{after}");
    let off = http.get(&format!("{base}/metrics/spans")).await?;
    ensure!(off.status == 404 && off.text().contains("metrics_from_spans"), "{}", off.text());
    trefoil.stop().await
}
