//! Promise: who sent a record, where several share a gateway, is found again with the record.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
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

/// Everything of one tenant, under ids that another one uses too.
async fn send(http: &Http, main: &str, tenant: &str, time: i128) -> Result<()> {
    let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": format!("{tenant}-shop") } }] });
    let spans = json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "spans": [{
        "traceId": TRACE, "spanId": "00f067aa0ba902b7", "name": format!("{tenant}-name"), "kind": 2,
        "startTimeUnixNano": (time - 1_000_000).to_string(), "endTimeUnixNano": time.to_string() }] }] }] });
    let push = json!({ "streams": [{ "stream": { "service_name": format!("{tenant}-shop") }, "values": [
        [time.to_string(), format!("{tenant}-line trace_id={TRACE}")]] }] });
    let point = json!({ "timeUnixNano": time.to_string(), "asDouble": 1.0,
                        "attributes": [{ "key": "who", "value": { "stringValue": format!("{tenant}-series") } }] });
    let metrics = json!({ "resourceMetrics": [{ "resource": resource, "scopeMetrics": [{ "metrics": [{
        "name": "http_requests", "gauge": { "dataPoints": [point] } }] }] }] });
    for (path, body) in [("/v1/traces", spans), ("/loki/api/v1/push", push), ("/v1/metrics", metrics)] {
        let header = ("x-scope-orgid", tenant);
        let answer = http.post(&format!("{main}{path}"), &[JSON, header], body.to_string().into()).await?;
        ensure!(answer.status < 300, "{path}: {}", answer.text());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_names_a_tenant_reads_that_ones_records_on_every_surface() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let http = Http::new()?;
    let trefoil = Program::start(&folder.path().join("data"), &folder.path().join("none/*.log")).await?;
    let main = format!("http://{}", trefoil.main);
    let time = jiff::Timestamp::now().as_nanosecond();
    for tenant in ["red", "blue"] {
        send(&http, &main, tenant, time).await?;
    }
    let (start, end) = ((time / 1_000_000_000) - 60, (time / 1_000_000_000) + 60);
    let window = format!("start={start}&end={end}");
    let selector = "%7Bservice_name%3D~%22.%2B%22%7D";
    // What each shows of a tenant, and nothing of another.
    let paths = [
        (format!("/loki/api/v1/query_range?query={selector}&{window}"), "-line"),
        (format!("/loki/api/v1/query_range?query={selector}%7Ctrace_id%3D%22{TRACE}%22&{window}"), "-line"),
        (format!("/loki/api/v1/label/service_name/values?{window}"), "-shop"),
        (format!("/loki/api/v1/series?{window}"), "-shop"),
        (format!("/loki/api/v1/index/volume?query={selector}&{window}"), "-shop"),
        (format!("/loki/api/v1/patterns?query={selector}&{window}"), "-line"),
        (format!("/tempo/api/traces/{TRACE}"), "-name"),
        (format!("/tempo/api/v2/traces/{TRACE}"), "-name"),
        (format!("/tempo/api/search?q=%7B%7D&{window}"), "-name"),
        (format!("/tempo/api/metrics/query_range?q=%7B%7D%7Crate()by(name)&{window}"), "-name"),
        (format!("/tempo/api/v2/search/tag/resource.service.name/values?{window}"), "-shop"),
        ("/jaeger/api/services".to_owned(), "-shop"),
        (format!("/jaeger/api/traces/{TRACE}"), "-name"),
        (format!("/jaeger/api/v3/traces/{TRACE}"), "-name"),
        ("/zipkin/api/v2/services".to_owned(), "-shop"),
        (format!("/zipkin/api/v2/trace/{TRACE}"), "-name"),
        (format!("/prometheus/api/v1/series?match[]=http_requests&{window}"), "-series"),
        ("/prometheus/api/v1/label/who/values".to_owned(), "-series"),
        (format!("/prometheus/api/v1/query?query=http_requests&time={end}"), "-series"),
        (format!("/api/v1/traces/{TRACE}"), "-name"),
        (format!("/api/v1/traces/{TRACE}"), "-line"),
        (format!("/api/v1/traces/{TRACE}"), "-shop"),
        (format!("/api/v1/services?{window}"), "-shop"),
        (format!("/api/v1/operations?{window}"), "-name"),
        (format!("/api/v1/service-graph?{window}"), "-shop"),
        (format!("/api/v1/exemplars?query=traces_spanmetrics_latency_bucket&{window}"), "-shop"),
        ("/metrics/spans".to_owned(), "-shop"),
        ("/metrics".to_owned(), "-shop"),
    ];
    for (path, shown) in &paths {
        for (asked, reds, blues) in [
            (Some("red"), true, false),
            (Some("blue"), false, true),
            (Some("red|blue"), true, true),
            (Some("green"), false, false),
            (None, true, true),
        ] {
            let headers: Vec<(&str, &str)> =
                asked.map(|tenant| ("X-Scope-OrgID", tenant)).into_iter().collect();
            tests::harness::until(path, std::time::Duration::from_secs(40), || async {
                let answer = http.get_with(&format!("{main}{path}"), &headers).await?;
                let text = answer.text();
                let found = (text.contains(&format!("red{shown}")), text.contains(&format!("blue{shown}")));
                ensure!(found == (reds, blues), "{asked:?} {path}: {} {text:.600}", answer.status);
                Ok(())
            })
            .await?;
        }
    }
    // As a parameter, too, but never beside another tenant's header.
    let exemplars =
        format!("{main}/api/v1/exemplars?query=traces_spanmetrics_latency_bucket&{window}&tenant=red");
    let answer = http.get(&exemplars).await?;
    ensure!(answer.text().contains("red-shop") && !answer.text().contains("blue-shop"), "{}", answer.text());
    for (tenant, status) in [("red", 200), ("red|blue", 200), ("blue", 400)] {
        let answer = http.get_with(&exemplars, &[("X-Scope-OrgID", tenant)]).await?;
        ensure!(
            answer.status == status && !answer.text().contains("blue-shop"),
            "{tenant}: {}",
            answer.text()
        );
    }
    // What is computed from records knows those of the tenant only.
    for (asked, traces) in [("red", 1), ("blue", 0)] {
        let variance = format!("{main}/api/v1/analysis/variance?service=red-shop&{window}");
        let answer = http.get_with(&variance, &[("X-Scope-OrgID", asked)]).await?.ok_json()?;
        ensure!(answer["traces"] == traces, "{asked}: {answer}");
        let compare =
            format!("{main}/api/v1/analysis/compare?a=%7B%7D&b=%7Bname%3D%22red-name%22%7D&{window}");
        let answer = http.get_with(&compare, &[("X-Scope-OrgID", asked)]).await?.ok_json()?;
        ensure!(answer["a"]["traces"] == 1 && answer["b"]["traces"] == traces, "{asked}: {answer}");
        let versions = format!("{main}/api/v1/analysis/versions?service=red-shop&by=service.name&{window}");
        let answer = http.get_with(&versions, &[("X-Scope-OrgID", asked)]).await?.ok_json()?;
        ensure!(answer["versions"].as_array().is_some_and(|all| all.len() == traces), "{asked}: {answer}");
        for from in [
            format!("correlate?trace_id={TRACE}"),
            format!("correlate?service={asked}-shop&{window}"),
            format!("patterns?service={asked}-shop&{window}"),
        ] {
            let url = format!("{main}/api/v1/{from}");
            let text = http.get_with(&url, &[("X-Scope-OrgID", asked)]).await?.text();
            let other = if asked == "red" { "blue-" } else { "red-" };
            ensure!(
                text.contains(&format!("{asked}-shop")) && !text.contains(other),
                "{asked} {from}: {text:.800}"
            );
        }
    }
    // Series do not say whose they are where all that is read is of one tenant: those of its service are found all the same.
    for from in [
        format!("metric=traces_spanmetrics_latency_bucket&time={}", time / 1_000_000_000),
        format!("service=red-shop&{window}"),
    ] {
        let url = format!("{main}/api/v1/correlate?{from}&fields=exemplars,warnings");
        let answer = http.get_with(&url, &[("X-Scope-OrgID", "red")]).await?.ok_json()?;
        let exemplars = answer["exemplars"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_of_service = |found: &Value| found["exemplar"]["labels"]["service"] == "red-shop";
        ensure!(exemplars.iter().any(is_of_service) && answer["warnings"] == json!([]), "{from}: {answer}");
    }
    let bad = http.get_with(&format!("{main}/loki/api/v1/labels"), &[("X-Scope-OrgID", "a b")]).await?;
    ensure!(bad.status == 400 && bad.text().contains("X-Scope-OrgID"), "{}", bad.text());
    trefoil.stop().await
}
