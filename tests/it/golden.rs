//! Promise: what makes Grafana's data sources fail does not happen. One test for each point of the contract with them that no
//! test of `grafana`, `tempo` or the surfaces holds already, or holds only in part; the decoders here are as strict as theirs.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};
use tests::harness::{Answer, Http};
use tests::program::Program;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
const FLAGS: [(&str, &str); 1] = [("X-Loki-Response-Encoding-Flags", "categorize-labels")];
const TRACE: &str = "5eed0000000000000000000000000031";
const LOST_ROOT: &str = "5eed0000000000000000000000000032";
const PREFIX: &str = "/observe/trefoil";

struct Scene {
    _folder: tempfile::TempDir,
    http: Http,
    trefoil: Program,
    /// Nanoseconds.
    now: i128,
}

impl Scene {
    /// Holds a trace, one whose root is lost, and lines of the first. It is reached below a path.
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let more = format!("store: {{dir: '{}', retention: {{logs: 3d}}}}\n", data.display());
        let url = format!("external_url: 'http://trefoil.example:8080{PREFIX}'");
        let trefoil = Program::start_reached(&data, &folder.path().join("none/*.log"), &more, &url).await?;
        let scene =
            Self { _folder: folder, http: Http::new()?, trefoil, now: Timestamp::now().as_nanosecond() };
        let span = |trace: &str, id: u64, parent: u64, name: &str| {
            let parent = if parent == 0 { String::new() } else { format!("{parent:016x}") };
            json!({"traceId": trace, "spanId": format!("{id:016x}"), "parentSpanId": parent, "name": name, "kind": 2,
                   "startTimeUnixNano": (scene.now - 5_000_000).to_string(), "endTimeUnixNano": scene.now.to_string()})
        };
        let spans = [
            span(TRACE, 1, 0, "POST /orders"),
            span(TRACE, 2, 1, "charge"),
            span(LOST_ROOT, 3, 9, "lost"),
            span(LOST_ROOT, 4, 9, "lost too"),
        ];
        let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]});
        let traces = json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]});
        let line = |text: String, metadata: Value| json!([scene.now.to_string(), text, metadata]);
        let lines = [
            line(format!("level=error msg=declined trace_id={TRACE}"), json!({})),
            line("level=info msg=quiet".to_owned(), json!({"user": "ann"})),
        ];
        let logs = json!({"streams": [{"stream": {"service_name": "shop"}, "values": lines}]});
        for (path, body, status) in [("/v1/traces", traces, 200), ("/loki/api/v1/push", logs, 204)] {
            let url = format!("http://{}{path}", scene.trefoil.main);
            let sent = scene.http.post(&url, &JSON, body.to_string().into_bytes()).await?;
            ensure!(sent.status == status, "{path}: {} {}", sent.status, sent.text());
        }
        Ok(scene)
    }

    fn url(&self, path: &str, parameters: &[(&str, &str)]) -> Result<String> {
        let base = format!("http://{}{path}", self.trefoil.main);
        Ok(reqwest::Url::parse_with_params(&base, parameters)?.to_string())
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Answer> {
        self.http.get(&self.url(path, parameters)?).await
    }

    async fn log_query(&self, query: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        let start = (self.now - 60_000_000_000).to_string();
        let end = (self.now + 60_000_000_000).to_string();
        let parameters = [("query", query), ("start", &start), ("end", &end), ("step", "1000ms")];
        let url = self.url("/loki/api/v1/query_range", &parameters)?;
        self.http.get_with(&url, headers).await
    }
}

/// A reader of JSON that takes keys in the order in which they come, as the data source's own does.
struct Ordered<'t> {
    rest: &'t str,
}

impl Ordered<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn symbol(&mut self, symbol: char) -> Result<()> {
        self.space();
        self.rest =
            self.rest.strip_prefix(symbol).with_context(|| format!("{symbol} before {:.60}", self.rest))?;
        Ok(())
    }

    fn takes(&mut self, symbol: char) -> bool {
        self.symbol(symbol).is_ok()
    }

    /// Any value, whole.
    fn value(&mut self) -> Result<Value> {
        self.space();
        let mut stream = serde_json::Deserializer::from_str(self.rest).into_iter::<Value>();
        let value = stream.next().context("a value")??;
        self.rest = &self.rest[stream.byte_offset()..];
        Ok(value)
    }

    fn text(&mut self) -> Result<String> {
        self.value()?.as_str().map(str::to_owned).context("a text")
    }

    /// Calls `each` with every key of an object, in order, standing before its value.
    fn object(&mut self, mut each: impl FnMut(&mut Self, &str) -> Result<()>) -> Result<()> {
        self.symbol('{')?;
        if self.takes('}') {
            return Ok(());
        }
        loop {
            let key = self.text()?;
            self.symbol(':')?;
            each(self, &key)?;
            if !self.takes(',') {
                return self.symbol('}');
            }
        }
    }

    fn list(&mut self, mut each: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.symbol('[')?;
        if self.takes(']') {
            return Ok(());
        }
        loop {
            each(self)?;
            if !self.takes(',') {
                return self.symbol(']');
            }
        }
    }
}

/// What a streaming reader of an answer in lines or values gets: the type, the flags, and how many lines or series.
fn read_in_order(body: &str) -> Result<(String, Vec<Value>, usize)> {
    let (mut kind, mut flags, mut count) = (None, Vec::new(), 0);
    let mut reader = Ordered { rest: body };
    reader.object(|reader, key| {
        if key != "data" {
            reader.value()?;
            return Ok(());
        }
        reader.object(|reader, key| match key {
            "resultType" => {
                kind = Some(reader.text()?);
                Ok(())
            }
            "encodingFlags" => {
                flags = reader.value()?.as_array().cloned().context("a list of flags")?;
                Ok(())
            }
            "result" => {
                let kind = kind.clone().context("no resultType before the result")?;
                let categorized = flags.contains(&json!("categorize-labels"));
                reader.list(|reader| {
                    count += 1;
                    series(reader, &kind, categorized)
                })
            }
            "stats" => reader.value().map(|_| ()),
            other => bail!("an unknown key {other}"),
        })
    })?;
    Ok((kind.context("no resultType found")?, flags, count))
}

fn series(reader: &mut Ordered<'_>, kind: &str, categorized: bool) -> Result<()> {
    let (first, second) =
        if kind == "streams" { ("stream", ["values", ""]) } else { ("metric", ["values", "value"]) };
    let mut seen = false;
    reader.object(|reader, key| match key {
        key if key == first && !seen => {
            seen = true;
            let labels = reader.value()?;
            let texts = labels.as_object().is_some_and(|labels| labels.values().all(Value::is_string));
            ensure!(texts, "labels are texts: {labels}");
            Ok(())
        }
        key if second.contains(&key) && seen => {
            let values = reader.value()?;
            let values =
                if key == "value" { vec![values] } else { values.as_array().cloned().context("a list")? };
            for value in &values {
                let parts = value.as_array().context("a value")?;
                if kind == "streams" {
                    ensure!(parts.len() == if categorized { 3 } else { 2 }, "{value}");
                    ensure!(parts[0].is_string() && parts[1].is_string(), "{value}");
                    let known = |object: &serde_json::Map<String, Value>| {
                        object.iter().all(|(key, labels)| {
                            ["structuredMetadata", "parsed"].contains(&key.as_str())
                                && labels
                                    .as_object()
                                    .is_some_and(|l| !l.is_empty() && l.values().all(Value::is_string))
                        })
                    };
                    ensure!(!categorized || parts[2].as_object().is_some_and(known), "{value}");
                } else {
                    ensure!(parts.len() == 2 && parts[0].is_number() && parts[1].is_string(), "{value}");
                }
            }
            Ok(())
        }
        other => bail!("the reader cannot pass over the key {other}, or it stands in the wrong place"),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn no_1_and_2_health_and_empty_results_can_be_read_as_a_stream() -> Result<()> {
    let scene = Scene::start().await?;
    let health = [("query", "vector(1)+vector(1)"), ("time", "4000000000"), ("direction", "backward")];
    let health = scene.get("/loki/api/v1/query", &health).await?;
    assert_eq!(read_in_order(&health.text())?, ("vector".to_owned(), vec![], 1));
    ensure!(health.json()?["data"]["result"][0]["value"][1] == "2", "{}", health.text());
    for (query, kind) in [
        ("{service_name=\"nobody\"}", "streams"),
        ("count_over_time({service_name=\"nobody\"}[1m])", "matrix"),
    ] {
        let (got, _, count) = read_in_order(&scene.log_query(query, &[]).await?.text())?;
        assert_eq!((got.as_str(), count), (kind, 0), "{query}");
    }
    let now = (scene.now / 1_000_000_000).to_string();
    for (path, parameters, kind) in [
        ("query", vec![("query", "nosuch"), ("time", now.as_str())], "vector"),
        ("query_range", vec![("query", "nosuch"), ("start", &now), ("end", &now), ("step", "15")], "matrix"),
    ] {
        let answer = scene.get(&format!("/prometheus/api/v1/{path}"), &parameters).await?;
        let (got, _, count) = read_in_order(&answer.text())?;
        assert_eq!((got.as_str(), count), (kind, 0), "{path}");
    }
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_3_and_4_lines_have_as_many_parts_as_the_flag_says_and_carry_ids_and_level() -> Result<()> {
    let scene = Scene::start().await?;
    for query in
        ["{service_name=\"shop\"}", "{service_name=\"shop\"} | logfmt", "{service_name=\"shop\"} | json"]
    {
        for headers in [&FLAGS[..], &[]] {
            let answer = scene.log_query(query, headers).await?;
            let (kind, flags, streams) = read_in_order(&answer.text()).with_context(|| answer.text())?;
            assert_eq!((kind.as_str(), flags.len()), ("streams", headers.len()), "{query}");
            ensure!(streams > 0, "{query}");
        }
    }
    let answer = scene.log_query("{service_name=\"shop\"} |= \"declined\"", &FLAGS).await?.ok_json()?;
    let metadata = &answer["data"]["result"][0]["values"][0][2]["structuredMetadata"];
    assert_eq!((&metadata["trace_id"], &metadata["detected_level"]), (&json!(TRACE), &json!("error")));
    // The volume over the lines, which Explore asks with every query.
    let volume =
        "sum by (level, detected_level) (count_over_time({service_name=\"shop\"} | drop __error__[1m]))";
    let answer = scene.log_query(volume, &FLAGS).await?;
    assert_eq!(read_in_order(&answer.text())?.0, "matrix");
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_6_and_7_trace_ids_are_taken_in_every_spelling_and_unknown_ones_are_told_twice() -> Result<()> {
    let scene = Scene::start().await?;
    let short = LOST_ROOT.to_uppercase();
    for id in [TRACE, TRACE.to_uppercase().as_str(), short.as_str()] {
        for version in ["v2/traces", "traces"] {
            let answer = scene.get(&format!("/tempo/api/{version}/{id}"), &[]).await?;
            ensure!(answer.status == 200 && answer.content_type.contains("protobuf"), "{version} {id}");
        }
    }
    for version in ["v2/traces", "traces"] {
        for id in ["abcdef", "000000000000000000000000ABCDEF01"] {
            let answer = scene.get(&format!("/tempo/api/{version}/{id}"), &[]).await?;
            ensure!(
                answer.status == 404 && !answer.text().starts_with('<'),
                "{version} {id}: {}",
                answer.text()
            );
        }
    }
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_10_jaeger_lists_no_empty_trace_and_its_times_are_whole_microseconds() -> Result<()> {
    let scene = Scene::start().await?;
    let (start, end) =
        ((scene.now / 1_000 - 60_000_000).to_string(), (scene.now / 1_000 + 1_000_000).to_string());
    let parameters = [("service", "shop"), ("start", start.as_str()), ("end", &end), ("limit", "20")];
    let answer = scene.get("/jaeger/api/traces", &parameters).await?.ok_json()?;
    let traces = answer["data"].as_array().context("a list")?;
    ensure!(traces.len() == 2, "{answer}");
    for trace in traces {
        let spans = trace["spans"].as_array().context("spans")?;
        ensure!(!spans.is_empty(), "{trace}");
        for span in spans {
            ensure!(span["startTime"].is_u64() && span["duration"].is_u64(), "{span}");
        }
    }
    let nobody = scene.get("/jaeger/api/traces", &[("service", "nobody")]).await?.ok_json()?;
    assert_eq!(nobody["data"], json!([]));
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_11_each_trace_of_zipkin_has_a_root() -> Result<()> {
    let scene = Scene::start().await?;
    let answer = scene.get("/zipkin/api/v2/traces", &[("serviceName", "shop")]).await?.ok_json()?;
    let traces = answer.as_array().context("a list")?;
    ensure!(traces.len() == 2, "{answer}");
    for trace in traces {
        let spans = trace.as_array().context("spans")?;
        let roots = spans.iter().filter(|span| span.get("parentId").is_none());
        ensure!(roots.count() >= 1, "the picker looks for a span without a parent: {trace}");
        let texts =
            |span: &Value| span["tags"].as_object().is_none_or(|tags| tags.values().all(Value::is_string));
        ensure!(spans.iter().all(texts), "tags are texts: {trace}");
    }
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_13_both_spellings_of_the_link_from_a_span_find_its_line() -> Result<()> {
    let scene = Scene::start().await?;
    for or in ["or", "OR"] {
        let query = format!(
            "{{service_name=\"shop\"}} | label_format log_line_contains_trace_id=`{{{{ contains \"{TRACE}\" __line__  }}}}` \
             | log_line_contains_trace_id=\"true\" {or} trace_id=\"{TRACE}\""
        );
        let answer = scene.log_query(&query, &FLAGS).await?.ok_json()?;
        let lines = answer["data"]["result"].as_array().into_iter().flatten();
        let lines: usize = lines.filter_map(|stream| stream["values"].as_array()).map(Vec::len).sum();
        ensure!(lines == 1, "{or}: {answer}");
    }
    for query in [
        format!("{{service_name=\"shop\"}} |=\"{TRACE}\""),
        format!("{{service_name=\"shop\"}} | logfmt | json | drop __error__ | trace_id=\"{TRACE}\""),
        format!("{{service_name=\"shop\"}} | trace_id=\"{TRACE}\""),
        format!("{{service_name=~\"(.*/)?(shop)\"}} |= \"{TRACE}\""),
    ] {
        let answer = scene.log_query(&query, &FLAGS).await?.ok_json()?;
        ensure!(answer["data"]["result"].as_array().is_some_and(|list| list.len() == 1), "{query}: {answer}");
    }
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_14_what_the_service_map_asks_can_be_read() -> Result<()> {
    let scene = Scene::start().await?;
    let metrics = [
        "traces_service_graph_request_total",
        "traces_service_graph_request_failed_total",
        "traces_service_graph_request_server_seconds_sum",
        "traces_service_graph_request_server_seconds_bucket",
    ];
    let mut queries: Vec<String> = Vec::new();
    for metric in metrics {
        let rate = format!("sum by (client, server) (rate({metric}{{client=\"a\"}}[3600s]))");
        queries.push(format!("{rate} OR sum by (client, server) (rate({metric}{{server=\"a\"}}[3600s]))"));
        queries.push(format!("group by (client, connection_type, server) ({metric}{{}})"));
    }
    queries.extend([
        "topk(5, sum(rate(traces_spanmetrics_calls_total{span_kind=\"SPAN_KIND_SERVER\"}[3600s])) by (span_name))".to_owned(),
        "topk(5, sum(rate(traces_spanmetrics_calls_total{status_code=\"STATUS_CODE_ERROR\",span_name=~\"a|b\"}[3600s])) by (span_name))".to_owned(),
        "histogram_quantile(.9, sum(rate(traces_spanmetrics_latency_bucket{span_name=~\"x\"}[3600s])) by (le))".to_owned(),
        "histogram_quantile(0.9, sum(rate(traces_service_graph_request_server_seconds_bucket{client=\"a\",server=\"b\"}[15s])) by (le, client, server))".to_owned(),
        "histogram_quantile(0.5, sum(rate(traces_spanmetrics_latency_bucket{service=\"shop\"}[5m])) by (le))".to_owned(),
        "avg(up{__ignore_usage__=\"\"})".to_owned(),
        "up and up > -Inf".to_owned(),
        "time()-avg(up)".to_owned(),
        "group by (__name__) ({__name__=~\".+\"}) unless (group by (__name__) ({__name__=~\".+\"} offset 1h))".to_owned(),
    ]);
    for query in queries {
        let answer = scene.get("/prometheus/api/v1/query", &[("query", &query)]).await?;
        ensure!(answer.ok_json()?["status"] == "success", "{query}: {}", answer.text());
    }
    let probe = [("match[]", "traces_service_graph_request_server_seconds"), ("limit", "1")];
    assert_eq!(scene.get("/prometheus/api/v1/series", &probe).await?.ok_json()?["data"], json!([]));
    let five = "{span.db.name=\"x\" || span.db.system=\"x\" || span.peer.service=\"x\" || span.messaging.system=\"x\" || span.net.peer.name=\"x\"}";
    let answer = scene.get("/tempo/api/search", &[("q", five)]).await?;
    ensure!(answer.status == 200, "{}", answer.text());
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_15_generated_data_sources_are_what_grafana_provisions() -> Result<()> {
    let scene = Scene::start().await?;
    let text = scene.get("/grafana/datasources.yaml", &[]).await?.text();
    ensure!(!text.replace("$$", "").contains('$'), "a lone $ would be expanded: {text}");
    let read: Value = serde_saphyr::from_str(&text)?;
    let sources = read["datasources"].as_array().context("datasources")?;
    let defaults = sources.iter().filter(|source| source["isDefault"] == true);
    ensure!(defaults.count() <= 1 && read["apiVersion"] == 1, "{text}");
    for source in sources {
        let uid = source["uid"].as_str().context("a uid")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        ensure!(!uid.is_empty() && uid.len() <= 40 && uid.chars().all(plain), "{uid}");
        ensure!(source["url"].as_str().is_some_and(|url| url.contains(PREFIX)), "{source}");
        for correlation in source["correlations"].as_array().into_iter().flatten() {
            ensure!(
                correlation["label"].is_string() && correlation["description"].is_string(),
                "{correlation}"
            );
            ensure!(
                correlation["config"]["type"] == "query" && correlation.get("type").is_none(),
                "{correlation}"
            );
        }
    }
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_16_everything_is_below_the_path_of_the_external_url_too() -> Result<()> {
    let scene = Scene::start().await?;
    for (path, parameters) in [
        ("/loki/api/v1/labels", &[][..]),
        ("/loki/api/v1/query", &[("query", "vector(1)")]),
        ("/tempo/api/echo", &[]),
        ("/tempo/api/search", &[("q", "{}")]),
        ("/tempo/api/v2/search/tag/resource.service.name/values", &[]),
        ("/jaeger/api/services", &[]),
        ("/jaeger/api/services/shop/operations", &[]),
        ("/zipkin/api/v2/services", &[]),
        ("/prometheus/api/v1/query", &[("query", "1+1"), ("time", "4")]),
        ("/prometheus/api/v1/label/job/values", &[]),
        ("/grafana/datasources.yaml", &[]),
        (&format!("/api/v1/traces/{TRACE}"), &[]),
        ("/healthz", &[]),
    ] {
        let (root, below) =
            (scene.get(path, parameters).await?, scene.get(&format!("{PREFIX}{path}"), parameters).await?);
        assert_eq!(
            (root.status, below.status, &root.content_type),
            (200, 200, &below.content_type),
            "{path}"
        );
    }
    let page = scene.get(&format!("{PREFIX}/"), &[]).await?;
    assert_eq!((page.status, page.text()), (200, scene.get(PREFIX, &[]).await?.text()));
    let missing = scene.get(&format!("{PREFIX}/prometheus/api/v1/nosuch"), &[]).await?;
    ensure!(missing.status == 404 && missing.json()?["status"] == "error", "{}", missing.text());
    let elsewhere = scene.get("/elsewhere/tempo/api/echo", &[]).await?;
    ensure!(elsewhere.status == 404, "{}", elsewhere.status);
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_17_http_2_without_upgrade_is_spoken_on_the_same_port() -> Result<()> {
    let scene = Scene::start().await?;
    // The preface of RFC 9113 and an empty frame of settings; the answer begins with a frame of settings too.
    let mut connection = tokio::net::TcpStream::connect(scene.trefoil.main).await?;
    connection.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await?;
    let mut frame = [0; 9];
    tokio::time::timeout(Duration::from_secs(30), connection.read_exact(&mut frame)).await??;
    ensure!(frame[3] == 4 && frame[5..] == [0; 4], "{frame:?}");
    let answer = reqwest::Client::new().get(scene.url("/loki/api/v1/labels", &[])?).send().await?;
    ensure!(answer.version() == reqwest::Version::HTTP_11 && answer.status() == 200, "{answer:?}");
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_packed_as_asked_and_kept_by_nobody() -> Result<()> {
    let scene = Scene::start().await?;
    let url = scene.url("/loki/api/v1/series", &[("match[]", "{service_name=\"shop\"}")])?;
    // The client takes nothing by itself, so that what is packed stays so.
    let client = reqwest::Client::builder().no_gzip().no_zstd().build()?;
    let plain = client.get(&url).send().await?;
    ensure!(plain.headers().get("content-encoding").is_none(), "{plain:?}");
    ensure!(plain.headers()["cache-control"] == "no-store", "{plain:?}");
    let plain = tests::program::body(plain).await?;
    let big = scene.url("/openapi.json", &[])?;
    for (accepted, begins) in [("gzip", &[0x1f, 0x8b][..]), ("zstd", &[0x28, 0xb5, 0x2f, 0xfd])] {
        let answer = client.get(&big).header("accept-encoding", accepted).send().await?;
        ensure!(answer.headers()["content-encoding"] == accepted, "{answer:?}");
        ensure!(tests::program::body(answer).await?.starts_with(begins), "{accepted}");
    }
    let read: Value = serde_json::from_slice(&plain)?;
    ensure!(read["data"][0]["service_name"] == "shop", "{read}");
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_drilldown_is_told_how_long_lines_are_kept() -> Result<()> {
    let scene = Scene::start().await?;
    let limits = scene.get("/loki/api/v1/drilldown-limits", &[]).await?.ok_json()?;
    assert_eq!(limits["limits"]["retention_period"], "259200s");
    scene.trefoil.stop().await
}
