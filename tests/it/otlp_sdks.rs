//! Promise: OpenTelemetry's SDKs for Python and Node are heard as they are, over gRPC, HTTP with protobuf and HTTP with JSON: a
//! request that goes from one to the other is one trace, with all that both say of it.

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message;
use serde_json::json;
use tests::harness::{Http, client, clients, run, span, whole};
use tests::program::Program;

/// A front in Node calls a back in Python over W3C's headers; both export the same way, compressed as told.
async fn one_trace(way: &str, python: &str, node: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let trefoil = Program::start(&at("data"), &at("pods/*/*/*.log")).await?;
    let http = Http::new()?;
    let address = if way == "grpc" { trefoil.otlp_grpc } else { trefoil.otlp_http };
    let (endpoint, trace) = (format!("http://{address}"), "4bf92f3577b34da6a3ce929d0e0e4736");
    let front = clients().join("node-reporters/otlp_front.js");
    let mut shop = client("otlp/shop.py")?;
    shop.args([way, &endpoint, python, "node"]).arg(front).args([way, &endpoint, node]);
    let told = run(shop.env("TRACE_ID", trace)).await?.records;
    let answer = whole(&http, trefoil.main, &told).await?;

    let names = ["click", "GET", "GET /orders", "reserve"];
    for (depth, name) in names.into_iter().enumerate() {
        assert_eq!(span(&answer, name)?["depth"], json!(depth), "one below the other: {answer}");
    }
    assert_eq!(span(&answer, "GET /orders")?["attributes"]["customer"], "Zoë", "baggage came along");
    let exemplars = answer["exemplars"].as_array().context("no exemplars")?;
    for metric in ["shop_orders_total", "shop_price", "shop_wait", "shop_stock"] {
        let found = exemplars
            .iter()
            .find(|exemplar| exemplar["metric"].as_str().is_some_and(|name| name.starts_with(metric)));
        assert_eq!(found.with_context(|| format!("{metric} in {answer}"))?["labels"]["shop"], "north");
    }
    states(&http, &trefoil, trace).await?;

    let counted = http.get(&format!("http://{}/metrics", trefoil.main)).await?.text();
    for signal in ["spans", "logs", "samples"] {
        let series = format!(r#"trefoil_rejected_records_total{{protocol="otlp",signal="{signal}"}} 0"#);
        ensure!(counted.contains(&series), "{series} in {counted}");
    }
    trefoil.stop().await
}

/// The state that vendors put on the request is in every span, where the interface that has a place for it says so.
async fn states(http: &Http, trefoil: &Program, trace: &str) -> Result<()> {
    let answer = http.get(&format!("http://{}/tempo/api/traces/{trace}", trefoil.main)).await?;
    ensure!(answer.status == 200, "{}", answer.text());
    let trace = TracesData::decode(answer.body.as_slice())?;
    let scopes = trace.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    let states: Vec<&str> = scopes.flat_map(|scope| &scope.spans).map(|span| &*span.trace_state).collect();
    assert_eq!(states, ["mesh=t61,other=00f067aa0ba902b7"; 4]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_through_node_and_python_is_one_trace_over_grpc() -> Result<()> {
    for (python, node) in [("none", "none"), ("gzip", "gzip"), ("deflate", "gzip")] {
        one_trace("grpc", python, node).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_through_node_and_python_is_one_trace_over_http_with_protobuf() -> Result<()> {
    for (python, node) in [("none", "none"), ("gzip", "gzip"), ("deflate", "none")] {
        one_trace("protobuf", python, node).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_through_node_and_python_is_one_trace_over_http_with_json() -> Result<()> {
    for (python, node) in [("none", "none"), ("gzip", "gzip"), ("deflate", "none")] {
        one_trace("json", python, node).await?;
    }
    Ok(())
}
