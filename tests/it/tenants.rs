//! Promise: who sent a record, where several share a gateway, is found again with the record.

use anyhow::{Result, ensure};
use serde_json::json;
use tests::harness::Http;
use tests::program::Program;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TENANT: (&str, &str) = ("x-scope-orgid", "team-7");
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_says_which_tenant_sent_its_spans_and_lines() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let http = Http::new()?;
    let trefoil = Program::start(&folder.path().join("data"), &folder.path().join("none/*.log")).await?;
    let main = format!("http://{}", trefoil.main);
    let time = jiff::Timestamp::now().as_nanosecond();
    let otlp = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [{
        "traceId": TRACE, "spanId": "00f067aa0ba902b7", "name": "otlp",
        "startTimeUnixNano": time.to_string(), "endTimeUnixNano": time.to_string() }] }] }] });
    let zipkin = json!([{ "traceId": TRACE, "id": "00f067aa0ba902b8", "name": "zipkin",
                          "timestamp": time / 1000, "duration": 1 }]);
    let logs = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [{
        "timeUnixNano": time.to_string(), "traceId": TRACE, "body": { "stringValue": "from otlp" } }] }] }] });
    let push = json!({ "streams": [{ "stream": { "app": "shop" },
                                     "values": [[time.to_string(), format!("pushed trace_id={TRACE}")]] }] });
    for (path, body, status) in [
        ("/v1/traces", otlp, 200),
        ("/api/v2/spans", zipkin, 202),
        ("/v1/logs", logs, 200),
        ("/loki/api/v1/push", push, 204),
    ] {
        let answer = http.post(&format!("{main}{path}"), &[JSON, TENANT], body.to_string().into()).await?;
        ensure!(answer.status == status, "{path}: {}", answer.text());
    }
    let answer = http.get(&format!("{main}/api/v1/traces/{TRACE}")).await?.json()?;
    for (signal, field, count) in [("spans", "resource", 2), ("logs", "metadata", 2)] {
        let records = answer[signal].as_array().map(Vec::as_slice).unwrap_or_default();
        ensure!(records.len() == count, "{signal}: {answer}");
        for record in records {
            ensure!(record[field]["trefoil.tenant"] == "team-7", "{record}");
        }
    }
    trefoil.stop().await
}
