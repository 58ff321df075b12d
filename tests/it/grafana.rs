//! Promise: Grafana's own data sources work unchanged. Each test is one thing that they ask, checked for what makes them fail:
//! key order for a streaming JSON reader, sub-messages that must be present, keys that a strict decoder does not know.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData};
use prost::Message;
use serde_json::Value;
use tests::harness::{Answer, Http, Prometheus, Scrape, until};
use tests::program::Program;

const SOON: Duration = Duration::from_mins(1);
const TRACE: u128 = 0x5eed_0000_0000_0000_0000_0000_0000_0001;
/// Half as wide, as older tracers make them.
const SHORT_TRACE: u64 = 0x5eed_0000_0000_0002;
const SERVICE: &str = "checkout";

/// The answer of Tempo's second version, as its protocol numbers it.
#[derive(Clone, PartialEq, Message)]
struct TraceById {
    #[prost(message, optional, tag = "1")]
    trace: Option<TracesData>,
}

struct Scene {
    _folder: tempfile::TempDir,
    _prometheus: Prometheus,
    http: Http,
    trefoil: Program,
}

fn span(trace: Vec<u8>, id: u64, name: &str) -> Span {
    let now = Timestamp::now().as_nanosecond() as u64;
    Span {
        trace_id: trace,
        span_id: id.to_be_bytes().to_vec(),
        name: name.to_owned(),
        kind: 2,
        start_time_unix_nano: now - 5_000_000,
        end_time_unix_nano: now,
        ..Span::default()
    }
}

/// Spans with a resource, without one, and of a short id; none has a scope or a status.
fn export() -> Vec<u8> {
    let group = |resource, spans| ResourceSpans {
        resource,
        scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    };
    let name = KeyValue {
        key: "service.name".to_owned(),
        value: Some(AnyValue { value: Some(any_value::Value::StringValue(SERVICE.to_owned())) }),
        ..KeyValue::default()
    };
    let resource = Resource { attributes: vec![name], ..Resource::default() };
    let (long, short) = (TRACE.to_be_bytes().to_vec(), u128::from(SHORT_TRACE).to_be_bytes().to_vec());
    let known = vec![span(long.clone(), 1, "POST /orders"), span(short, 2, "GET /old")];
    let request = ExportTraceServiceRequest {
        resource_spans: vec![group(Some(resource), known), group(None, vec![span(long, 3, "of nobody")])],
    };
    request.encode_to_vec()
}

impl Scene {
    /// A gateway that holds two traces and three log lines, and hands metrics on from a Prometheus.
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let pod = folder
            .path()
            .join(format!("pods/shop_{SERVICE}-0_22222222-2222-4333-8444-555555555555/{SERVICE}"));
        std::fs::create_dir_all(&pod)?;
        let line = |text: &str| format!("{:.9} stdout F {text}\n", Timestamp::now());
        let lines = [
            line(&format!("level=error msg=\"card declined\" trace_id={TRACE:032x} span_id={:016x}", 1)),
            line("level=info msg=\"nothing to see\""),
            line(&format!("level=info msg=\"order placed\" trace_id={TRACE:032x} span_id={:016x}", 1)),
        ];
        std::fs::write(pod.join("0.log"), lines.concat())?;
        let port = Prometheus::reserve()?;
        let sections = format!(
            "store: {{dir: '{}'}}\nupstream: {{prometheus: {{url: 'http://127.0.0.1:{port}'}}}}\n",
            folder.path().join("data").display()
        );
        let logs = folder.path().join("pods/*/*/*.log");
        let mut trefoil = Program::start_configured(&folder.path().join("data"), &logs, &sections).await?;
        let scrape = Scrape { job: "trefoil".to_owned(), address: trefoil.main.to_string() };
        let prometheus = Prometheus::start(&folder.path().join("prometheus"), port, &[scrape]).await?;
        let http = Http::new()?;
        let url = format!("http://{}/v1/traces", trefoil.main);
        let sent = http.post(&url, &[("content-type", "application/x-protobuf")], export()).await?;
        ensure!(sent.status == 200, "the main port takes OTLP too: {} {}", sent.status, sent.text());
        trefoil.wait_for_records("logs", lines.len() as u64, SOON).await?;
        trefoil.wait_for_records("traces", 3, SOON).await?;
        Ok(Self { _folder: folder, _prometheus: prometheus, http, trefoil })
    }

    fn url(&self, path: &str, parameters: &[(&str, &str)]) -> Result<String> {
        let base = format!("http://{}{path}", self.trefoil.main);
        Ok(reqwest::Url::parse_with_params(&base, parameters)?.to_string())
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Answer> {
        self.http.get(&self.url(path, parameters)?).await
    }

    /// A log query over the last ten minutes, as Explore sends it.
    async fn log_query(&self, query: &str, categorise: bool) -> Result<Answer> {
        let now = Timestamp::now().as_nanosecond();
        let (start, end) = ((now - 600_000_000_000).to_string(), (now + 60_000_000_000).to_string());
        let parameters = [
            ("query", query),
            ("start", &start),
            ("end", &end),
            ("direction", "backward"),
            ("limit", "1000"),
            ("step", "1000ms"),
        ];
        let url = self.url("/loki/api/v1/query_range", &parameters)?;
        let flags = [("X-Loki-Response-Encoding-Flags", "categorize-labels")];
        self.http.get_with(&url, if categorise { &flags } else { &[] }).await
    }
}

/// Lines of a Loki answer, with what stands behind each.
fn values(answer: &Value) -> Result<Vec<Value>> {
    let streams = answer["data"]["result"].as_array().context("`result` is a list")?;
    Ok(streams.iter().flat_map(|stream| stream["values"].as_array().cloned().unwrap_or_default()).collect())
}

fn ensure_in_order(text: &str, keys: &[&str]) -> Result<()> {
    let places: Vec<Option<usize>> = keys.iter().map(|key| text.find(&format!("\"{key}\""))).collect();
    ensure!(places.iter().all(Option::is_some) && places.is_sorted(), "{keys:?} in this order: {text:.400}");
    Ok(())
}

fn ensure_keys(value: &Value, allowed: &[&str]) -> Result<()> {
    for key in value.as_object().into_iter().flat_map(|object| object.keys()) {
        ensure!(allowed.contains(&key.as_str()), "a strict decoder does not know `{key}`: {value}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn loki_save_and_test_gets_two() -> Result<()> {
    let scene = Scene::start().await?;
    let parameters = [("query", "vector(1)+vector(1)"), ("time", "4000000000"), ("direction", "backward")];
    let answer = scene.get("/loki/api/v1/query", &parameters).await?.ok_json()?;
    let result = &answer["data"]["result"];
    let value = if answer["data"]["resultType"] == "scalar" { &result[1] } else { &result[0]["value"][1] };
    ensure!(value == "2", "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn loki_streams_have_the_order_and_shape_that_the_streaming_reader_wants() -> Result<()> {
    let scene = Scene::start().await?;
    let query = format!("{{service_name=~\".+\"}} | trace_id=\"{TRACE:032x}\"");
    let flagged = scene.log_query(&query, true).await?;
    ensure_in_order(&flagged.text(), &["resultType", "encodingFlags", "result", "stream", "values"])?;
    let answer = flagged.ok_json()?;
    ensure!(answer["data"]["resultType"] == "streams");
    for stream in answer["data"]["result"].as_array().into_iter().flatten() {
        ensure_keys(stream, &["stream", "values"])?;
    }
    let lines = values(&answer)?;
    ensure!(lines.len() == 2, "both lines of the trace, not the third: {answer}");
    for line in &lines {
        ensure!(line[0].is_string() && line.as_array().is_some_and(|parts| parts.len() == 3), "{line}");
        ensure_keys(&line[2], &["structuredMetadata", "parsed"])?;
        ensure!(line[2]["structuredMetadata"]["trace_id"] == format!("{TRACE:032x}"), "{line}");
    }
    ensure!(
        lines[0][1].as_str().is_some_and(|line| line.contains("order placed")),
        "newest first: {lines:?}"
    );
    ensure!(lines[1][2]["structuredMetadata"]["detected_level"] == "error", "{lines:?}");

    let plain = scene.log_query(&query, false).await?.ok_json()?;
    ensure!(plain["data"].get("encodingFlags").is_none(), "only echoed when asked for");
    for line in values(&plain)? {
        ensure!(line.as_array().is_some_and(|parts| parts.len() == 2), "{line}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn loki_answers_nothing_found_with_an_empty_list_of_its_type() -> Result<()> {
    let scene = Scene::start().await?;
    let answer = scene.log_query("{service_name=\"nobody\"}", true).await?.ok_json()?;
    ensure!(
        answer["data"]["resultType"] == "streams" && answer["data"]["result"] == Value::Array(Vec::new()),
        "{answer}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn loki_labels_lead_to_streams_and_never_hold_the_trace_id() -> Result<()> {
    let scene = Scene::start().await?;
    let labels = scene.get("/loki/api/v1/labels", &[]).await?.ok_json()?;
    let names: Vec<&str> =
        labels["data"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    ensure!(names.contains(&"service_name") && names.contains(&"namespace"), "{names:?}");
    ensure!(!names.contains(&"trace_id"), "an id is never a stream label: {names:?}");
    let values = scene.get("/loki/api/v1/label/namespace/values", &[]).await?.ok_json()?;
    ensure!(values["data"][0] == "shop", "{values}");
    let series = scene.get("/loki/api/v1/series", &[("match[]", "{namespace=\"shop\"}")]).await?.ok_json()?;
    ensure!(series["data"][0]["container"] == SERVICE, "{series}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_query_behind_a_spans_log_button_finds_its_lines() -> Result<()> {
    let scene = Scene::start().await?;
    let target = dashboards::Target::new(dashboards::TargetKind::HttpApi, "");
    let sources: Value = serde_json::from_str(&dashboards::datasources(&target)?)?;
    let tempo = sources.as_array().into_iter().flatten().find(|source| source["type"] == "tempo");
    let link = &tempo.context("a Tempo data source")?["jsonData"]["tracesToLogsV2"];
    let label = link["tags"][0]["value"].as_str().context("a tag")?;
    let query = link["query"].as_str().context("a query")?;
    // As Grafana fills it in.
    let query = query
        .replace("${__tags}", &format!("{label}=\"{SERVICE}\""))
        .replace("${__trace.traceId}", &format!("{TRACE:032x}"));
    let answer = scene.log_query(&query, true).await?.ok_json()?;
    ensure!(values(&answer)?.len() == 2, "{query}: {answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tempo_bodies_have_every_message_that_the_plugin_dereferences() -> Result<()> {
    let scene = Scene::start().await?;
    ensure!(scene.get("/tempo/api/echo", &[]).await?.status == 200);
    let upper = format!("{TRACE:032X}");
    let short = format!("{SHORT_TRACE:x}");
    for (id, count) in [(format!("{TRACE:032x}"), 2), (upper, 2), (short, 1)] {
        let newer = scene.get(&format!("/tempo/api/v2/traces/{id}"), &[]).await?;
        ensure!(newer.status == 200, "{id}: {}", newer.status);
        let newer = TraceById::decode(newer.body.as_slice())?.trace.context("`trace` is present")?;
        let older = scene.get(&format!("/tempo/api/traces/{id}"), &[("start", "0")]).await?;
        let older = TracesData::decode(older.body.as_slice())?;
        for trace in [newer, older] {
            let mut spans = 0;
            for group in &trace.resource_spans {
                let resource = group.resource.as_ref().context("`resource` is present")?;
                ensure!(resource.attributes.iter().any(|a| a.key == "service.name"), "spans would vanish");
                for scope in &group.scope_spans {
                    ensure!(scope.scope.is_some(), "`scope` is present");
                    ensure!(scope.spans.iter().all(|span| span.status.is_some()), "`status` is present");
                    spans += scope.spans.len();
                }
            }
            ensure!(spans == count, "{id}: {spans} spans");
        }
    }
    for version in ["v2/traces", "traces"] {
        let path = format!("/tempo/api/{version}/00000000000000000000000000abcdef");
        ensure!(scene.get(&path, &[]).await?.status == 404, "not found is told twice");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tempo_search_answers_in_known_keys_only() -> Result<()> {
    let scene = Scene::start().await?;
    let now = Timestamp::now().as_second();
    let (start, end) = ((now - 600).to_string(), (now + 60).to_string());
    let query = format!("{{resource.service.name=\"{SERVICE}\"}}");
    let parameters =
        [("q", query.as_str()), ("limit", "20"), ("spss", "3"), ("start", &start), ("end", &end)];
    let answer = scene.get("/tempo/api/search", &parameters).await?.ok_json()?;
    ensure_keys(&answer, &["traces", "metrics"])?;
    ensure_keys(
        &answer["metrics"],
        &[
            "inspectedTraces",
            "inspectedBytes",
            "totalBlocks",
            "completedJobs",
            "totalJobs",
            "totalBlockBytes",
            "inspectedSpans",
        ],
    )?;
    let traces = answer["traces"].as_array().context("`traces` is a list")?;
    ensure!(traces.len() == 2, "{answer}");
    for trace in traces {
        ensure_keys(
            trace,
            &[
                "traceID",
                "rootServiceName",
                "rootTraceName",
                "startTimeUnixNano",
                "durationMs",
                "spanSet",
                "spanSets",
                "serviceStats",
            ],
        )?;
        ensure!(
            trace["spanSets"].as_array().is_some_and(|sets| !sets.is_empty()),
            "the table reads these: {trace}"
        );
        for set in trace["spanSets"].as_array().into_iter().flatten() {
            ensure_keys(set, &["spans", "matched", "attributes"])?;
            for span in set["spans"].as_array().into_iter().flatten() {
                ensure_keys(span, &["spanID", "name", "startTimeUnixNano", "durationNanos", "attributes"])?;
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_answers_in_both_methods_and_passes_the_exemplar_probe() -> Result<()> {
    let scene = Scene::start().await?;
    let health =
        scene.get("/prometheus/api/v1/query", &[("query", "1+1"), ("time", "4")]).await?.ok_json()?;
    ensure!(health["data"]["result"][1] == "2", "{health}");
    let url = format!("http://{}/prometheus/api/v1/query", scene.trefoil.main);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let posted = scene.http.post(&url, &form, b"query=1%2B1&time=4".to_vec()).await?.ok_json()?;
    ensure!(posted == health, "{posted}");
    let now = Timestamp::now().as_millisecond();
    let (start, end) = ((now - 3_600_000).to_string(), now.to_string());
    let probe = [("query", "test"), ("start", start.as_str()), ("end", end.as_str())];
    let probe = scene.get("/prometheus/api/v1/query_exemplars", &probe).await?.ok_json()?;
    ensure!(probe["status"] == "success" && probe["data"] == Value::Array(Vec::new()), "{probe}");
    until("the gateway's own metrics", SOON, || async {
        let names = scene.get("/prometheus/api/v1/label/__name__/values", &[]).await?.ok_json()?;
        let wanted = dashboards::metric_names::MetricName::StoreRecords.series();
        ensure!(
            names["data"].as_array().is_some_and(|names| names.iter().any(|name| *name == wanted)),
            "{names}"
        );
        Ok(())
    })
    .await
}

/// Puts in what Grafana would.
fn filled_in(query: &str, trace: &str) -> String {
    ["$service", "$namespace", "$pod", "$workload", "$job", "$instance"]
        .iter()
        .fold(query.to_owned(), |query, variable| query.replace(variable, ".+"))
        .replace("$trace_id", trace)
        .replace("$text", "")
        .replace("$__rate_interval", "1m")
        .replace("$__interval", "1m")
        .replace("$__range", "1h")
        .replace("$__tags", "job=\"trefoil\"")
}

impl Scene {
    /// Asks as Grafana would for one target of a panel of this type.
    async fn ask(&self, panel: &str, query: &Value, trace: &str) -> Result<Answer> {
        let now = Timestamp::now().as_second();
        let (start, end) = ((now - 600).to_string(), (now + 60).to_string());
        let window = [("start", start.as_str()), ("end", end.as_str())];
        let expression =
            filled_in(query["expr"].as_str().or(query["query"].as_str()).unwrap_or_default(), trace);
        let with = |name, more: &[(&'static str, &'static str)]| {
            let mut parameters = vec![(name, expression.as_str())];
            parameters.extend(window);
            parameters.extend_from_slice(more);
            parameters
        };
        match (query["datasource"]["type"].as_str(), query["queryType"].as_str()) {
            (Some("loki"), _) => {
                self.get("/loki/api/v1/query_range", &with("query", &[("step", "60")])).await
            }
            // Grafana asks the metrics' data source for these; the panel of calls next to it does so openly.
            (Some("tempo"), Some("serviceMap")) => self.get("/tempo/api/echo", &[]).await,
            (Some("tempo"), _) if expression == trace => {
                self.get(&format!("/tempo/api/v2/traces/{trace}"), &[]).await
            }
            (Some("tempo"), _) if panel == "timeseries" => {
                self.get("/tempo/api/metrics/query_range", &with("q", &[("step", "60s")])).await
            }
            (Some("tempo"), _) => self.get("/tempo/api/search", &with("q", &[("limit", "20")])).await,
            (Some("prometheus"), _) if query["instant"] == true => {
                self.get("/prometheus/api/v1/query", &[("query", &expression)]).await
            }
            (Some("prometheus"), _) => {
                self.get("/prometheus/api/v1/query_range", &with("query", &[("step", "60")])).await
            }
            (other, _) => anyhow::bail!("a query of {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_every_dashboard_and_of_the_links_is_answered() -> Result<()> {
    let scene = Scene::start().await?;
    let target = dashboards::Target::new(dashboards::TargetKind::File, "");
    let id = format!("{TRACE:032x}");
    let mut asked = 0;
    for file in dashboards::dashboards(&target) {
        let dashboard: Value = serde_json::from_str(&file.contents)?;
        for panel in dashboard["panels"].as_array().context("panels")? {
            let kind = panel["type"].as_str().context("type")?;
            for query in panel["targets"].as_array().into_iter().flatten() {
                let answer = scene.ask(kind, query, &id).await?;
                ensure!(answer.status == 200, "{} {query}: {} {}", file.name, answer.status, answer.text());
                asked += 1;
            }
        }
    }
    ensure!(asked > 50, "{asked} queries");
    let sources: Value = serde_saphyr::from_str(&dashboards::datasources(&target)?)?;
    for source in sources["datasources"].as_array().into_iter().flatten() {
        for query in source["jsonData"]["tracesToMetrics"]["queries"].as_array().into_iter().flatten() {
            let Some(text) = query["query"].as_str() else { continue };
            let text = filled_in(&text.replace("$$", "$"), "");
            let answer = scene.get("/prometheus/api/v1/query", &[("query", &text)]).await?;
            ensure!(answer.ok_json()?["status"] == "success", "{text}: {}", answer.text());
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_one_request_shows_its_lines_and_none_without_an_id() -> Result<()> {
    let scene = Scene::start().await?;
    let target = dashboards::Target::new(dashboards::TargetKind::File, "");
    let files = dashboards::dashboards(&target);
    let page = files.iter().find(|file| file.name == "trefoil-one-request.json").context("the page")?;
    let page: Value = serde_json::from_str(&page.contents)?;
    let panels = page["panels"].as_array().context("panels")?;
    let lines = panels.iter().find(|panel| panel["type"] == "logs").context("lines")?;
    for (id, count) in [(format!("{TRACE:032x}"), 2), (String::new(), 0)] {
        let answer = scene.ask("logs", &lines["targets"][0], &id).await?.ok_json()?;
        ensure!(values(&answer)?.len() == count, "`{id}`: {answer}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_serves_the_provisioning_that_leads_to_itself() -> Result<()> {
    let scene = Scene::start().await?;
    let sources = scene.get("/grafana/datasources.yaml", &[]).await?;
    ensure!(sources.status == 200, "{}", sources.status);
    let read: Value = serde_saphyr::from_str(&sources.text())?;
    let url = read["datasources"][0]["url"].as_str().context("a url")?;
    ensure!(url.ends_with(&format!(":{}", scene.trefoil.main.port())), "{url}");
    let board = scene.get("/grafana/dashboards/trefoil-one-request.json", &[]).await?.ok_json()?;
    ensure!(board["uid"] == "trefoil-one-request", "{board}");
    Ok(())
}
