//! Promise: programs that speak the Model Context Protocol ask the same questions at `/mcp`, and nobody else's page does.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::harness::{Http, client, run};
use tests::program::Program;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test(flavor = "multi_thread")]
async fn a_program_asks_by_tools_what_people_ask_by_paths() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let http = Http::new()?;
    let (data, logs) = (folder.path().join("data"), folder.path().join("none/*.log"));
    let sections = format!("store: {{dir: '{}'}}\n", data.display());
    let trefoil = Program::start_reached(&data, &logs, &sections, "mcp: {}").await?;
    let main = format!("http://{}", trefoil.main);
    let time = jiff::Timestamp::now().as_nanosecond();
    let attribute = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let spans = json!({ "resourceSpans": [{ "resource": { "attributes": [attribute("service.name", "shop")] },
        "scopeSpans": [{ "spans": [{ "traceId": TRACE, "spanId": "00f067aa0ba902b7", "name": "GET /cart", "kind": 2,
            "startTimeUnixNano": (time - 1_000_000).to_string(), "endTimeUnixNano": time.to_string() }] }] }] });
    let push = json!({ "streams": [{ "stream": { "service_name": "shop" },
                                     "values": [[time.to_string(), format!("cart 7 is empty trace_id={TRACE}")]] }] });
    for (path, body) in [("/v1/traces", spans), ("/loki/api/v1/push", push)] {
        let answer = http.post(&format!("{main}{path}"), &[JSON], body.to_string().into()).await?;
        ensure!(answer.status < 300, "{path}: {}", answer.text());
    }
    let calls = json!([
        ["trace", { "id": TRACE }],
        ["correlate", { "span_id": "00f067aa0ba902b7" }],
        ["patterns", { "service": "shop", "limit": 5 }],
        ["logql", { "query": "{service_name=\"shop\"}" }],
        ["correlate", { "service": "shop", "trace_id": TRACE }],
    ]);
    let mut command = client("mcp/tools.py")?;
    command.arg(format!("{main}/mcp")).arg(calls.to_string());
    let said = run(&mut command).await?;
    let told = |at: usize| said.records.get(at).with_context(|| format!("no record {at}: {said:?}"));
    ensure!(told(0)?["server"] == "trefoil", "{said:?}");
    let tools = told(1)?["tools"].as_array().context("no tools")?;
    ensure!(tools.len() >= 13, "{tools:?}");
    let answer = |at: usize| -> Result<Value> {
        let record = told(at)?;
        ensure!(record["error"] == false, "{record}");
        Ok(serde_json::from_str(record["text"].as_str().context("no text")?)?)
    };
    let direct = http.get(&format!("{main}/api/v1/traces/{TRACE}")).await?.ok_json()?;
    ensure!(answer(2)?["spans"] == direct["spans"], "{}", answer(2)?);
    ensure!(answer(3)?["traces"][0]["trace_id"] == TRACE, "{}", answer(3)?);
    let pattern = &answer(4)?["patterns"][0];
    ensure!(pattern["pattern"] == "cart <_> is empty trace_id=<_>" && pattern["count"] == 1, "{pattern}");
    ensure!(answer(5)?["data"]["result"][0]["values"].is_array(), "{}", answer(5)?);
    let refused = told(6)?;
    ensure!(refused["error"] == true && refused["text"].to_string().contains("exactly one"), "{refused}");

    let accept = ("accept", "application/json, text/event-stream");
    // What is too long is asked for in parts that follow each other.
    let span = |n: u64| {
        json!({ "traceId": "b1c2d3e4f5061728394a5b6c7d8e9f00", "spanId": format!("{:016x}", n + 1),
                "parentSpanId": if n == 0 { String::new() } else { format!("{:016x}", 1) },
                "name": format!("step {n} {}", "x".repeat(50)),
                "startTimeUnixNano": (time - 1_000_000).to_string(), "endTimeUnixNano": time.to_string() })
    };
    let large =
        json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": (0..200).map(span).collect::<Vec<_>>() }] }] });
    let answer = http.post(&format!("{main}/v1/traces"), &[JSON], large.to_string().into()).await?;
    ensure!(answer.status == 200, "{}", answer.text());
    let (mut seen, mut cursor) = (std::collections::BTreeSet::new(), Value::Null);
    loop {
        let arguments = json!({ "id": "b1c2d3e4f5061728394a5b6c7d8e9f00", "cursor": cursor });
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
                           "params": { "name": "trace", "arguments": arguments } });
        let answer = http.post(&format!("{main}/mcp"), &[JSON, accept], call.to_string().into()).await?;
        let text = answer.ok_json()?["result"]["content"][0]["text"].as_str().context("no text")?.to_owned();
        ensure!(text.len() <= 40_000, "{} bytes", text.len());
        let part: Value = serde_json::from_str(&text)?;
        let part = part.get("answer").cloned().unwrap_or(part);
        let spans = part["spans"].as_array().context("no spans")?;
        ensure!(!spans.is_empty(), "{part}");
        for span in spans {
            ensure!(seen.insert(span["span_id"].to_string()), "twice: {span}");
        }
        cursor = part["next"].clone();
        if cursor.is_null() {
            break;
        }
    }
    ensure!(seen.len() == 200, "{} spans", seen.len());

    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }).to_string();
    let page = [JSON, accept, ("origin", "https://evil.example")];
    let answer = http.post(&format!("{main}/mcp"), &page, list.into()).await?;
    ensure!(answer.status == 403, "{}: {}", answer.status, answer.text());
    trefoil.stop().await
}
