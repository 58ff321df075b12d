//! Promise: what Grafana's Tempo data source and its Traces Drilldown app ask beyond a plain search is answered in the shapes that
//! their decoders know: metrics, lists for the editor, JSON traces, and the same as streams over gRPC on the main port.

mod tempopb;

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use prost::bytes::{Buf as _, BufMut as _};
use serde_json::Value;
use tests::harness::{Answer, Http};
use tests::program::Program;
use tonic::Code;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;

const SOON: Duration = Duration::from_mins(1);
/// Traces of a root and a child each.
const TRACES: u64 = 30;

/// Messages as their bytes.
#[derive(Clone, Copy, Default)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = tonic::Status;
    fn encode(&mut self, item: Vec<u8>, out: &mut EncodeBuf<'_>) -> Result<(), tonic::Status> {
        out.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = tonic::Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, tonic::Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}

struct Scene {
    _folder: tempfile::TempDir,
    http: Http,
    trefoil: Program,
    /// Nanoseconds, now.
    now: u64,
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// A shop's requests, a second apart, every third of which fails in the store-house.
fn export(now: u64) -> Vec<u8> {
    let of = |service: &str, spans| ResourceSpans {
        resource: Some(Resource {
            attributes: vec![attribute("service.name", any_value::Value::StringValue(service.to_owned()))],
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    };
    let (mut roots, mut children) = (Vec::new(), Vec::new());
    for i in 1..=TRACES {
        let start = now - i * 1_000_000_000;
        let failed = i % 3 == 0;
        let span = |id: u64, parent: &[u8], name: &str| Span {
            trace_id: u128::from(i).to_be_bytes().to_vec(),
            span_id: id.to_be_bytes().to_vec(),
            parent_span_id: parent.to_vec(),
            name: name.to_owned(),
            kind: 2,
            start_time_unix_nano: start,
            end_time_unix_nano: start + i * 1_000_000,
            attributes: vec![attribute(
                "http.status_code",
                any_value::Value::IntValue(if failed { 500 } else { 200 }),
            )],
            status: Some(Status { code: if failed { 2 } else { 0 }, ..Status::default() }),
            ..Span::default()
        };
        roots.push(span(1, &[], "POST /orders"));
        children.push(span(2, &1u64.to_be_bytes(), "reserve"));
    }
    ExportTraceServiceRequest { resource_spans: vec![of("shop", roots), of("stock", children)] }
        .encode_to_vec()
}

impl Scene {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut trefoil =
            Program::start(&folder.path().join("data"), &folder.path().join("none/*.log")).await?;
        let http = Http::new()?;
        let now = Timestamp::now().as_nanosecond() as u64;
        let url = format!("http://{}/v1/traces", trefoil.main);
        let sent = http.post(&url, &[("content-type", "application/x-protobuf")], export(now)).await?;
        ensure!(sent.status == 200, "{}", sent.text());
        trefoil.wait_for_records("traces", TRACES * 2, SOON).await?;
        Ok(Self { _folder: folder, http, trefoil, now })
    }

    /// Seconds before the first trace and after the last.
    fn window(&self) -> (u64, u64) {
        (self.now / 1_000_000_000 - 600, self.now / 1_000_000_000 + 60)
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Answer> {
        let (start, end) = self.window();
        let (start, end) = (start.to_string(), end.to_string());
        let window = [("start", start.as_str()), ("end", end.as_str())];
        let base = format!("http://{}/tempo/api/{path}", self.trefoil.main);
        let parameters = parameters.iter().chain(&window);
        self.http.get(reqwest::Url::parse_with_params(&base, parameters)?.as_str()).await
    }

    /// The messages of a call, or the status that ended it.
    async fn call<M: Message>(&self, method: &str, request: M) -> Result<Vec<Vec<u8>>, tonic::Status> {
        let unavailable = |error: &dyn std::error::Error| tonic::Status::unavailable(error.to_string());
        let channel = Channel::from_shared(format!("http://{}", self.trefoil.main));
        let channel = channel.map_err(|error| unavailable(&error))?.connect().await;
        let mut client = tonic::client::Grpc::new(channel.map_err(|error| unavailable(&error))?);
        client.ready().await.map_err(|error| unavailable(&error))?;
        let path = format!("/tempopb.StreamingQuerier/{method}");
        let path = path.parse().map_err(|error| tonic::Status::internal(format!("{error}")))?;
        let request = tonic::Request::new(request.encode_to_vec());
        let mut stream = client.server_streaming(request, path, Bytes).await?.into_inner();
        let mut messages = Vec::new();
        while let Some(message) = stream.message().await? {
            messages.push(message);
        }
        Ok(messages)
    }
}

fn ensure_keys(value: &Value, allowed: &[&str]) -> Result<()> {
    for key in value.as_object().into_iter().flat_map(|object| object.keys()) {
        ensure!(allowed.contains(&key.as_str()), "a strict decoder does not know `{key}`: {value}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_streams_each_trace_once_and_ends_with_all_jobs_done() -> Result<()> {
    let scene = Scene::start().await?;
    let (start, end) = scene.window();
    let request = tempopb::SearchRequest {
        query: "{ kind = server } >> { status = error } | select(span.http.status_code)".to_owned(),
        limit: 100,
        spans: 10,
        start: start as u32,
        end: end as u32,
    };
    let messages = scene.call("Search", request.clone()).await?;
    let messages: Vec<tempopb::SearchResponse> =
        messages.iter().map(|message| Message::decode(message.as_slice())).collect::<Result<_, _>>()?;
    let traces: Vec<&tempopb::Trace> = messages.iter().flat_map(|message| &message.traces).collect();
    ensure!(traces.len() as u64 == TRACES / 3, "{traces:?}");
    ensure!(traces.is_sorted_by(|a, b| a.start > b.start), "newest first, each once");
    for trace in &traces {
        ensure!(
            (trace.root_service.as_str(), trace.root_name.as_str()) == ("shop", "POST /orders"),
            "{trace:?}"
        );
        ensure!(trace.id.len() == 32 && trace.set.as_ref() == trace.sets.first(), "{trace:?}");
        let [set] = trace.sets.as_slice() else { bail!("one set: {trace:?}") };
        let [span] = set.spans.as_slice() else { bail!("one span: {trace:?}") };
        ensure!(set.matched == 1 && span.name == "reserve" && span.id == "0000000000000002", "{span:?}");
        ensure!(span.duration > 0 && span.attributes.iter().any(|a| a.key == "http.status_code"), "{span:?}");
    }
    let progress: Vec<(u32, u32)> = messages
        .iter()
        .filter_map(|message| message.metrics.as_ref())
        .map(|metrics| (metrics.completed, metrics.total))
        .collect();
    ensure!(progress.first().is_some_and(|(done, total)| done < total), "{progress:?}");
    ensure!(progress.last().is_some_and(|(done, total)| done == total), "{progress:?}");

    // The data source's health check.
    let health = tempopb::SearchRequest { query: "{}".to_owned(), limit: 1, ..request.clone() };
    ensure!(!scene.call("Search", health).await?.is_empty());
    let broken = tempopb::SearchRequest { query: "{ .a = }".to_owned(), ..request };
    let status = scene.call("Search", broken).await.err().context("a query that does not parse")?;
    ensure!(status.code() == Code::InvalidArgument, "{status:?}");
    ensure!(status.message().contains("parse error at line 1, col 8"), "{status:?}");
    let status = scene.call("Nothing", tempopb::SearchRequest::default()).await.err().context("no method")?;
    ensure!(status.code() == Code::Unimplemented, "{status:?}");
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_lists_stream_as_well() -> Result<()> {
    let scene = Scene::start().await?;
    let second = 1_000_000_000;
    let (start, end) = scene.window();
    let request = tempopb::RangeRequest {
        query: "{} | count_over_time() by (resource.service.name)".to_owned(),
        start: start * second,
        end: end * second,
        step: 60 * second,
    };
    let messages = scene.call("MetricsQueryRange", request.clone()).await?;
    let last = messages.last().context("a message")?;
    let range = tempopb::RangeResponse::decode(last.as_slice())?;
    ensure!(range.series.len() == 2, "{range:?}");
    for series in &range.series {
        ensure!(series.labels.iter().any(|label| label.key == "resource.service.name"), "{series:?}");
        let total: f64 = series.samples.iter().map(|sample| sample.value).sum();
        ensure!(total == TRACES as f64, "{series:?}");
        ensure!(series.samples.iter().all(|sample| sample.time % 60_000 == 0), "{series:?}");
    }
    let messages = scene.call("MetricsQueryInstant", tempopb::RangeRequest { step: 0, ..request }).await?;
    let instant = tempopb::InstantResponse::decode(messages.last().context("a message")?.as_slice())?;
    ensure!(
        instant.series.len() == 2 && instant.series.iter().all(|one| one.value == TRACES as f64),
        "{instant:?}"
    );

    let tags = scene.call("SearchTagsV2", tempopb::ValuesRequest::default()).await?;
    let scopes = tempopb::Pairs::decode(tags.last().context("a message")?.as_slice())?.pairs;
    let scope = |name: &str| scopes.iter().find(|scope| scope.name == name).map(|scope| scope.values.clone());
    ensure!(scope("resource") == Some(vec!["service.name".to_owned()]), "{scopes:?}");
    ensure!(scope("span") == Some(vec!["http.status_code".to_owned()]), "{scopes:?}");
    let tags = scene.call("SearchTags", tempopb::ValuesRequest::default()).await?;
    let names = tempopb::Names::decode(tags.last().context("a message")?.as_slice())?.names;
    ensure!(names.contains(&"http.status_code".to_owned()), "{names:?}");
    let asked = tempopb::ValuesRequest {
        tag: "resource.service.name".to_owned(),
        query: "{ name = \"reserve\" }".to_owned(),
    };
    let values = scene.call("SearchTagValuesV2", asked.clone()).await?;
    let values = tempopb::Pairs::decode(values.last().context("a message")?.as_slice())?.pairs;
    let [value] = values.as_slice() else { bail!("{values:?}") };
    ensure!(
        (value.name.as_str(), value.values.as_slice()) == ("string", &["stock".to_owned()][..]),
        "{value:?}"
    );
    let values = scene.call("SearchTagValues", asked).await?;
    let names = tempopb::Names::decode(values.last().context("a message")?.as_slice())?.names;
    ensure!(names == ["stock"], "{names:?}");
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_the_shapes_of_their_decoders() -> Result<()> {
    let scene = Scene::start().await?;
    let query =
        "{ nestedSetParent<0 && true } | quantile_over_time(duration, .5, .9) by(resource.service.name)";
    let range = scene.get("metrics/query_range", &[("q", query), ("step", "60s")]).await?.ok_json()?;
    let series = range["series"].as_array().context("`series` is a list")?;
    ensure!(series.len() == 2, "{range}");
    for one in series {
        let labels = one["labels"].as_array().context("labels")?;
        ensure!(
            labels[0]["key"] == "resource.service.name" && labels[0]["value"]["stringValue"] == "shop",
            "{one}"
        );
        ensure!(labels[1]["key"] == "p" && labels[1]["value"]["doubleValue"].is_f64(), "{one}");
        let samples = one["samples"].as_array().context("samples")?;
        ensure!(!samples.is_empty(), "{one}");
        ensure!(
            samples.iter().all(|sample| sample["timestampMs"].is_string() && sample["value"].is_number())
        );
        for exemplar in one["exemplars"].as_array().into_iter().flatten() {
            ensure!(exemplar["labels"][0]["key"] == "trace:id", "{exemplar}");
            let id = exemplar["labels"][0]["value"]["stringValue"].as_str().context("an id")?;
            ensure!(id.len() == 32 && exemplar["value"].as_f64() > Some(0.0), "{exemplar}");
        }
    }
    ensure!(series.iter().any(|one| one["exemplars"].is_array()), "spans stand for values: {range}");

    let instant = scene.get("metrics/query", &[("q", "{ status = error } | rate()")]).await?.ok_json()?;
    ensure_keys(&instant, &["series", "metrics", "status", "message"])?;
    let [one] = instant["series"].as_array().context("a list")?.as_slice() else { bail!("{instant}") };
    ensure_keys(one, &["labels", "value", "promLabels"])?;
    ensure!(one["value"].as_f64().is_some_and(|value| value > 0.0), "{instant}");
    ensure!(one["promLabels"] == "{__name__=\"rate\"}", "{instant}");

    let empty =
        scene.get("metrics/query_range", &[("q", "{ name = \"nothing\" } | rate() by(name)")]).await?;
    ensure!(empty.ok_json()?["series"] == Value::Array(Vec::new()), "{}", empty.text());
    for (query, status, words) in [
        (
            "{ .a = }",
            400,
            "invalid TraceQL query: parse error at line 1, col 8: syntax error: unexpected `}`",
        ),
        ("{}", 400, "has no series"),
        ("{} | rate() by(", 400, "parse error at line 1, col 16"),
    ] {
        let answer = scene.get("metrics/query_range", &[("q", query)]).await?;
        ensure!(answer.status == status && answer.text().contains(words), "{query}: {}", answer.text());
    }
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_drilldown_gets_an_answer_to_all_that_it_asks() -> Result<()> {
    let scene = Scene::start().await?;
    let from = (scene.now - 100_000_000_000).to_string();
    let compare =
        format!("{{nestedSetParent<0 && true}} | compare({{duration >= 2ms}}, 10, {from}, {})", scene.now);
    for query in [
        "{} | rate()",
        "{nestedSetParent<0 && true} | rate()  with(sample=true)",
        "{nestedSetParent<0 && true && status=error} | rate()  with(sample=true)",
        "{nestedSetParent<0 && true} | histogram_over_time(duration) with(sample=true)",
        "{nestedSetParent<0 && true && resource.service.name != nil} | rate() by(resource.service.name)",
        "{nestedSetParent<0 && true && name != nil} | quantile_over_time(duration, 0.9) by(name)",
        "{kind=server && true} | avg_over_time(duration) by(resource.service.name)",
        "{nestedSetParent<0 && true} | compare({status = error}, 10)",
        &compare,
    ] {
        let answer = scene.get("metrics/query_range", &[("q", query), ("step", "660s")]).await?.ok_json()?;
        ensure!(answer["series"].as_array().is_some_and(|list| !list.is_empty()), "{query}: {answer}");
    }
    for (query, found) in [
        ("{nestedSetParent<0 && true}", TRACES),
        ("{nestedSetParent<0 && true && duration > 15ms}", TRACES / 2),
        ("{nestedSetParent<0 && true && status = error} | select(resource.service.name, name)", TRACES / 3),
        (
            "({nestedSetParent<0 && true  && status = error} &>> { status = error }) || ({nestedSetParent<0 && true  && status = error}) | select(status, resource.service.name, name, nestedSetParent, nestedSetLeft, nestedSetRight)",
            TRACES / 3,
        ),
        (
            "{nestedSetParent<0 && true && status = error} | select(resource.service.name, event.exception.message,event.exception.type) with(most_recent=true)",
            TRACES / 3,
        ),
    ] {
        let answer =
            scene.get("search", &[("q", query), ("limit", "200"), ("spss", "20")]).await?.ok_json()?;
        let traces = answer["traces"].as_array().context("a list")?;
        ensure!(traces.len() as u64 == found, "{query}: {answer}");
        for trace in traces.iter().filter(|_| query.contains("nestedSetLeft")) {
            for span in trace["spanSets"][0]["spans"].as_array().context("spans")? {
                for key in ["nestedSetParent", "nestedSetLeft", "nestedSetRight"] {
                    let attributes = span["attributes"].as_array().context("attributes")?;
                    let number = attributes.iter().find(|attribute| attribute["key"] == key);
                    ensure!(number.is_some_and(|n| n["value"]["intValue"].is_string()), "{key}: {span}");
                }
            }
        }
    }
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn sets_and_lists_narrow_as_asked_and_traces_come_as_json_to_others() -> Result<()> {
    let scene = Scene::start().await?;
    let query = "{ true } | by(resource.service.name) | count() = 1";
    let answer = scene.get("search", &[("q", query), ("limit", "1")]).await?.ok_json()?;
    let trace = &answer["traces"][0];
    let sets = trace["spanSets"].as_array().context("sets")?;
    ensure!(sets.len() == 2 && trace["spanSet"] == sets[0], "{trace}");
    for set in sets {
        ensure_keys(set, &["spans", "matched", "attributes"])?;
        let attributes = set["attributes"].as_array().context("attributes of the set")?;
        ensure!(attributes[0]["key"] == "by(resource.service.name)", "{set}");
        ensure!(attributes[1]["key"] == "count()" && attributes[1]["value"]["intValue"] == "1", "{set}");
    }
    for (q, expected) in [
        ("{ status = error }", vec!["500"]),
        ("{ status = error && resource.service.name = \"nobody\" }", vec![]),
        ("{ status = ", vec!["200", "500"]),
        ("", vec!["200", "500"]),
    ] {
        let path = "v2/search/tag/span.http.status_code/values";
        let answer = scene.get(path, &[("q", q), ("limit", "5000")]).await?.ok_json()?;
        let values: Vec<&str> = answer["tagValues"]
            .as_array()
            .context("a list")?
            .iter()
            .filter_map(|value| value["value"].as_str())
            .collect();
        ensure!(values == expected, "{q}: {answer}");
    }
    let only = scene.get("v2/search/tags", &[("scope", "span")]).await?.ok_json()?;
    ensure!(only["scopes"].as_array().is_some_and(|scopes| scopes.len() == 1), "{only}");

    let accept = [("accept", "application/json")];
    let id = format!("{:032x}", 3);
    let url = format!("http://{}/tempo/api", scene.trefoil.main);
    let newer = scene.http.get_with(&format!("{url}/v2/traces/{id}"), &accept).await?.ok_json()?;
    ensure!(newer["trace"]["resourceSpans"].as_array().is_some_and(|list| list.len() == 2), "{newer}");
    let older = scene.http.get_with(&format!("{url}/traces/{id}"), &accept).await?.ok_json()?;
    ensure!(older["batches"] == newer["trace"]["resourceSpans"], "{older}");
    scene.trefoil.stop().await
}
