//! Promise: a query that is wrong or asks for too much is told so in its surface's own words, and harms nobody: memory stays
//! bounded, the next request is answered.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};
use tests::harness::{Answer, Http, until};
use tests::program::Program;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded")];
/// The program is not optimised here, and what it holds is checked, not how fast it is.
const SOON: Duration = Duration::from_mins(2);
/// Far below what these queries would take if what they ask for were held.
const MEMORY: u64 = 700 << 20;
/// Lines, each with a label of its own to sum by.
const LINES: usize = 20_000;

struct Scene {
    _folder: tempfile::TempDir,
    http: Http,
    trefoil: Program,
    /// Seconds.
    now: i64,
}

impl Scene {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let trefoil = Program::start(&folder.path().join("data"), &folder.path().join("none/*.log")).await?;
        Ok(Self { _folder: folder, http: Http::new()?, trefoil, now: Timestamp::now().as_second() })
    }

    async fn push(&self, lines: Vec<Value>) -> Result<()> {
        let body = json!({"streams": [{"stream": {"app": "shop"}, "values": lines}]});
        let url = format!("http://{}/loki/api/v1/push", self.trefoil.main);
        let sent = self.http.post(&url, &JSON, body.to_string().into_bytes()).await?;
        ensure!(sent.status == 204, "{} {}", sent.status, sent.text());
        Ok(())
    }

    fn nanos(&self, n: usize) -> String {
        (i128::from(self.now) * 1_000_000_000 + n as i128).to_string()
    }

    /// As a form where the surface takes one, so that the length of the request's first line sets no bound.
    async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Answer> {
        let base = format!("http://{}{path}", self.trefoil.main);
        let url = reqwest::Url::parse_with_params(&base, parameters)?;
        if path.starts_with("/loki/") || path.starts_with("/prometheus/") {
            let form = url.query().unwrap_or_default().as_bytes().to_vec();
            return self.http.post(&base, &FORM, form).await;
        }
        self.http.get(url.as_str()).await
    }

    async fn logql(&self, query: &str) -> Result<Answer> {
        let (start, end) = ((self.now - 600).to_string(), (self.now + 60).to_string());
        let parameters = [("query", query), ("start", &start), ("end", &end), ("step", "60")];
        self.ask("/loki/api/v1/query_range", &parameters).await
    }

    async fn traceql(&self, query: &str) -> Result<Answer> {
        self.ask("/tempo/api/search", &[("q", query)]).await
    }

    async fn promql(&self, query: &str) -> Result<Answer> {
        self.ask("/prometheus/api/v1/query", &[("query", query)]).await
    }

    async fn end(self) -> Result<()> {
        let alive = self.logql("{app=\"shop\"}").await?;
        ensure!(alive.status == 200, "{}", alive.text());
        let peak = self.trefoil.peak_memory()?;
        ensure!(peak < MEMORY, "{} MiB at its peak", peak >> 20);
        self.trefoil.stop().await
    }
}

/// Plain text that names the place.
fn is_text(answer: &Answer, words: &str) -> Result<()> {
    ensure!(answer.status == 400, "{} {:.300}", answer.status, answer.text());
    ensure!(answer.content_type.starts_with("text/plain"), "{}", answer.content_type);
    ensure!(answer.text().contains(words), "{:.300}, expected {words}", answer.text());
    ensure!(answer.body.len() < 1_000, "an error is short: {} bytes", answer.body.len());
    Ok(())
}

/// Prometheus' object.
fn is_prometheus(answer: &Answer, words: &str) -> Result<()> {
    ensure!([400, 422].contains(&answer.status), "{} {:.300}", answer.status, answer.text());
    let body = answer.json()?;
    ensure!(body["status"] == "error" && body["errorType"].is_string(), "{body}");
    ensure!(body["error"].as_str().is_some_and(|error| error.contains(words)), "{body}, expected {words}");
    ensure!(answer.body.len() < 1_000, "an error is short: {} bytes", answer.body.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_told_with_its_place_in_the_surfaces_own_form() -> Result<()> {
    let scene = Scene::start().await?;
    for (query, words) in [
        ("{app=", "line 1, col 6"),
        ("{app=\"a\"} |= ", "expecting"),
        ("{app=\"a\"}\n| json\n| line_format", "line 3"),
        ("sum by (a (rate({a=\"b\"}[1m]))", "unexpected"),
        ("rate({a=\"b\"}[99999999999999999999h])", "col"),
        ("{a=\"b\"} | x > 1e999999KB", "col"),
        ("{a=\"\u{0}\"} | \u{0}", "unexpected"),
        ("topk(99999999999999999999999, rate({a=\"b\"}[1m]))", ""),
        ("count_over_time({a=\"b\"}[1m] offset 99999999999y)", ""),
    ] {
        is_text(&scene.logql(query).await?, words).with_context(|| query.to_owned())?;
    }
    for (query, words) in [
        ("{ .a = }", "line 1, col 8"),
        ("{ .a = \"x\" } | ", "col"),
        ("{ duration > 9999999999999999999999h }", "col"),
        ("{ .a = 99999999999999999999999 }", "col"),
        ("{ .a = \"\u{0}\" && \u{0} }", "col"),
        ("{} >> ", "col"),
    ] {
        is_text(&scene.traceql(query).await?, words).with_context(|| query.to_owned())?;
    }
    for (query, words) in [
        ("sum(", "1:5: parse error"),
        ("up{", "parse error"),
        ("rate(up[99999999999999999999y])", "parse error"),
        ("up offset 9999999999999y", "parse error"),
        ("\u{0}", "parse error"),
        ("nosuch(up)", "unknown function"),
    ] {
        is_prometheus(&scene.promql(query).await?, words).with_context(|| query.to_owned())?;
    }
    for (path, parameters) in [
        ("/jaeger/api/traces", &[("service", "a"), ("minDuration", "99999999999999999999h")][..]),
        ("/jaeger/api/traces", &[("service", "a"), ("tags", "{\"a\":")]),
        ("/jaeger/api/traces", &[("service", "a"), ("start", "1e400")]),
        ("/jaeger/api/traces", &[("service", "a"), ("limit", "-5")]),
    ] {
        let answer = scene.ask(path, parameters).await?;
        ensure!(answer.status == 400 && answer.json()?["errors"][0]["code"] == 400, "{}", answer.text());
    }
    for (path, parameters) in [
        ("/zipkin/api/v2/traces", &[("minDuration", "99999999999999999999999")][..]),
        ("/zipkin/api/v2/traces", &[("endTs", "soon")]),
        ("/zipkin/api/v2/traces", &[("limit", "many")]),
    ] {
        let answer = scene.ask(path, parameters).await?;
        ensure!(answer.status == 400 && !answer.body.is_empty(), "{path} {parameters:?}: {}", answer.text());
    }
    scene.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn depth_and_length_have_bounds_in_every_language() -> Result<()> {
    let scene = Scene::start().await?;
    for n in [1_000, 10_000] {
        let nested = |open: &str, inner: &str, close: &str| open.repeat(n) + inner + &close.repeat(n);
        let filter = format!("{{app=\"a\"}} | {}", nested("(", "a=\"b\"", ")"));
        let sums = nested("sum(", "rate({app=\"a\"}[1m])", ")");
        for query in
            [nested("(", "1", ")"), filter, sums, "(".repeat(n), "{".repeat(n), vec!["1"; n].join("^")]
        {
            is_text(&scene.logql(&query).await?, "col").with_context(|| format!("{n} {query:.30}"))?;
        }
        let inside = format!("{{{}}}", nested("(", ".a=1", ")"));
        for query in [inside, nested("(", "{}", ")"), format!("{{{}true}}", "!".repeat(n)), "{".repeat(n)] {
            is_text(&scene.traceql(&query).await?, "col").with_context(|| format!("{n} {query:.30}"))?;
        }
        for query in
            [nested("(", "1", ")"), nested("abs(", "up", ")"), "-".repeat(n) + "1", vec!["1"; n].join("+")]
        {
            is_prometheus(&scene.promql(&query).await?, "parse error")
                .with_context(|| format!("{n} {query:.30}"))?;
        }
    }
    // A hundred kilobytes, read or refused, at once.
    for unit in ["-", "a", "(", "{", "\"", "|= \"a\"", "a=\"b\",", "1+", "#", "\u{e9}", "| json", "[1m]"] {
        let long: String = unit.chars().cycle().take(100 << 10).collect();
        let selected = format!("{{app=\"shop\"}} {long}");
        let asked = Timestamp::now().as_second();
        for query in [&long, &selected] {
            let answer = scene.logql(query).await?;
            ensure!([200, 400].contains(&answer.status), "{unit}: {} {:.300}", answer.status, answer.text());
            let answer = scene.promql(query).await?;
            ensure!(
                [200, 400, 422].contains(&answer.status),
                "{unit}: {} {:.300}",
                answer.status,
                answer.text()
            );
        }
        ensure!(Timestamp::now().as_second() - asked < 25, "{unit}");
    }
    scene.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn expressions_that_explode_are_refused_before_they_do() -> Result<()> {
    let scene = Scene::start().await?;
    for bomb in [
        "(a{1000}){1000}",
        "((((((a{10}){10}){10}){10}){10}){10}){10}",
        ".{1000}{1000}",
        "\\p{L}{2000}",
        &"(".repeat(5_000),
    ] {
        let quoted = json!(bomb).to_string();
        for query in [
            format!("{{app=~{quoted}}}"),
            format!("{{app=\"shop\"}} |~ {quoted}"),
            format!("{{app=\"shop\"}} | a =~ {quoted}"),
            format!("{{app=\"shop\"}} | regexp {}", json!(format!("(?P<x>{bomb})"))),
        ] {
            is_text(&scene.logql(&query).await?, "regular expression")
                .with_context(|| format!("{query:.60}"))?;
        }
        let query = format!("{{ .a =~ {quoted} }}");
        is_text(&scene.traceql(&query).await?, "regular expression")
            .with_context(|| format!("{bomb:.60}"))?;
        is_prometheus(&scene.promql(&format!("{{a=~{quoted}}}")).await?, "regexp")?;
        let parameters =
            [("query", format!("{{a=~{quoted}}}")), ("start", "1".to_owned()), ("end", "2".to_owned())];
        let parameters: Vec<(&str, &str)> =
            parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = scene.ask("/prometheus/api/v1/query_exemplars", &parameters).await?;
        ensure!(answer.status == 400 && answer.body.len() < 1_000, "{bomb:.60}: {:.300}", answer.text());
    }
    // Each is small enough, all together are not.
    let many = |one: &str, between: &str| vec![one; 300].join(between);
    is_text(
        &scene.logql(&format!("{{app=\"shop\"}} {}", many("|~ `\\p{L}{60}`", " "))).await?,
        "size limit",
    )?;
    is_text(&scene.traceql(&format!("{{ {} }}", many(".a=~`\\p{L}{60}`", "&&"))).await?, "too large")?;
    is_prometheus(&scene.promql(&format!("{{{}}}", many("a=~\"\\\\p{L}{60}\"", ","))).await?, "size limit")?;
    scene.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_of_years_and_limits_of_millions_are_told_their_bounds() -> Result<()> {
    let scene = Scene::start().await?;
    let logs = [("query", "rate({app=\"shop\"}[1m])"), ("start", "0"), ("end", "1800000000"), ("step", "1")];
    is_text(&scene.ask("/loki/api/v1/query_range", &logs).await?, "maximum resolution")?;
    let metrics = [("query", "up"), ("start", "0"), ("end", "1800000000"), ("step", "0.001")];
    is_prometheus(&scene.ask("/prometheus/api/v1/query_range", &metrics).await?, "maximum resolution")?;
    let spans = [("q", "{} | rate()"), ("start", "1"), ("end", "1800000000"), ("step", "1ms")];
    is_text(&scene.ask("/tempo/api/metrics/query_range", &spans).await?, "")?;
    let volume = [("query", "{app=\"shop\"}"), ("start", "0"), ("end", "1800000000"), ("step", "1ns")];
    is_text(&scene.ask("/loki/api/v1/index/volume_range", &volume).await?, "maximum resolution")?;
    let lines = [("query", "{app=\"shop\"}"), ("limit", "5000000")];
    is_text(&scene.ask("/loki/api/v1/query_range", &lines).await?, "max entries limit")?;
    for (path, parameters) in [
        ("/loki/api/v1/query_range", &[("query", "{app=\"shop\"}"), ("limit", "99999999999999999999")][..]),
        ("/loki/api/v1/query_range", &[("query", "{app=\"shop\"}"), ("limit", "-1")]),
        ("/loki/api/v1/query_range", &[("query", "{app=\"shop\"}"), ("start", "NaN")]),
        ("/loki/api/v1/query_range", &[("query", "{app=\"shop\"}"), ("start", "9"), ("end", "1")]),
        ("/loki/api/v1/query_range", &[("query", "rate({app=\"shop\"}[1m])"), ("step", "-5s")]),
        ("/tempo/api/search", &[("q", "{}"), ("limit", "99999999999999999999")]),
        ("/tempo/api/search", &[("q", "{}"), ("start", "1e400")]),
    ] {
        is_text(&scene.ask(path, parameters).await?, "").with_context(|| format!("{path} {parameters:?}"))?;
    }
    // What is only capped is answered.
    for (path, parameters) in [
        ("/tempo/api/search", &[("q", "{}"), ("limit", "5000000"), ("spss", "5000000")][..]),
        ("/zipkin/api/v2/traces", &[("limit", "5000000"), ("lookback", "9223372036854775807")]),
        (
            "/jaeger/api/traces",
            &[("service", "a"), ("limit", "1000"), ("start", "0"), ("end", "9223372036854775807")],
        ),
        ("/loki/api/v1/index/volume", &[("query", "{app=\"shop\"}"), ("limit", "5000")]),
        ("/loki/api/v1/labels", &[("start", "0"), ("end", "9223372036854775807")]),
        ("/prometheus/api/v1/labels", &[("start", "-1e300"), ("end", "1e300")]),
        ("/prometheus/api/v1/series", &[("match[]", "up"), ("limit", "99999999")]),
        // The first of two values counts.
        ("/loki/api/v1/query", &[("query", "vector(1)"), ("query", "{broken"), ("time", "4")]),
    ] {
        let answer = scene.ask(path, parameters).await?;
        ensure!(answer.status == 200, "{path} {parameters:?}: {} {}", answer.status, answer.text());
    }
    scene.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_text_and_forms_that_are_too_long_are_refused() -> Result<()> {
    let scene = Scene::start().await?;
    for path in [
        "/loki/api/v1/query?query=%ff%fe%00",
        "/loki/api/v1/labels?start=%00",
        "/loki/api/v1/label/%ff/values",
        "/tempo/api/search?q=%ff%fe",
        "/tempo/api/v2/search/tag/%ff%00/values",
        "/tempo/api/v2/traces/%00%ff",
        "/jaeger/api/traces?service=%ff%00",
        "/jaeger/api/services/%ff%00/operations",
        "/zipkin/api/v2/traces?annotationQuery=%ff%00",
        "/zipkin/api/v2/trace/%ff",
        "/prometheus/api/v1/query?query=%ff%fe",
        "/prometheus/api/v1/label/%ff/values",
        "/prometheus/api/v1/series?match[]=%ff%00",
        "/api/v1/traces/%ff%00",
    ] {
        let mut connection = TcpStream::connect(scene.trefoil.main).await?;
        let head = format!("GET {path} HTTP/1.1\r\nhost: trefoil\r\nconnection: close\r\n\r\n");
        connection.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        tokio::time::timeout(SOON, connection.read_to_end(&mut answer)).await.context(path)??;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).unwrap_or_default();
        ensure!(["200", "400", "404"].contains(&status), "{path}: {answer:.300}");
    }
    let long = vec![b'a'; 4 << 20];
    for (path, expected) in [
        ("/loki/api/v1/query_range", "expected 2 MiB at most"),
        ("/prometheus/api/v1/query", "over 1048576 bytes"),
    ] {
        let url = format!("http://{}{path}", scene.trefoil.main);
        let answer = scene.http.post(&url, &FORM, long.clone()).await?;
        let told = answer.text().contains(expected);
        ensure!(answer.status == 413 && told, "{path}: {} {:.200}", answer.status, answer.text());
    }
    scene.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_with_too_many_values_end_a_query_and_not_the_gateway() -> Result<()> {
    let scene = Scene::start().await?;
    for part in 0..LINES / 1_000 {
        let line =
            |n: usize| json!([scene.nanos(n), format!("id={n} took={n}ms"), {"request": format!("r{n}")}]);
        scene.push((part * 1_000..(part + 1) * 1_000).map(line).collect()).await?;
    }
    for query in [
        "sum by (id) (count_over_time({app=\"shop\"} | logfmt [5m]))",
        "count_over_time({app=\"shop\"} | logfmt [5m])",
        "sum by (request) (rate({app=\"shop\"}[5m]))",
        "quantile_over_time(0.9, {app=\"shop\"} | logfmt | unwrap duration(took) [5m])",
    ] {
        is_text(&scene.logql(query).await?, "series").with_context(|| query.to_owned())?;
    }
    // Few of many are an answer.
    let highest = "count(topk(10, sum by (id) (count_over_time({app=\"shop\"} | logfmt [5m]))))";
    let counted = scene.logql(highest).await?.ok_json()?;
    let values = counted["data"]["result"][0]["values"].as_array().context("no result")?;
    ensure!(values.last().is_some_and(|value| value[1] == "10"), "{counted}");
    // Each span has a name of its own.
    let now = scene.now as u64 * 1_000_000_000;
    let span = |n: usize| {
        json!({"traceId": format!("{:032x}", n + 1), "spanId": format!("{:016x}", n + 1), "name": format!("name {n}"),
               "startTimeUnixNano": now.to_string(), "endTimeUnixNano": (now + 1_000_000).to_string(),
               "attributes": [{"key": "id", "value": {"intValue": n.to_string()}}]})
    };
    let spans: Vec<Value> = (0..LINES).map(span).collect();
    let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).to_string();
    let url = format!("http://{}/v1/traces", scene.trefoil.main);
    let sent = scene.http.post(&url, &JSON, body.into_bytes()).await?;
    ensure!(sent.status == 200, "{}", sent.text());
    for query in [
        "{} | rate() by (span.id)",
        "{} | rate() by (name)",
        "{} | quantile_over_time(duration, .9) by (span.id)",
    ] {
        let answer = scene.ask("/tempo/api/metrics/query_range", &[("q", query), ("step", "60s")]).await?;
        ensure!(answer.status == 200, "{query}: {:.300}", answer.text());
        let body = answer.json()?;
        ensure!(body["series"].as_array().is_some_and(|list| list.len() <= 1_000), "{query}");
        ensure!(body["status"] == "PARTIAL" && body["message"].is_string(), "{query}: {}", body["message"]);
    }
    for (path, list, most) in [
        ("/tempo/api/v2/search/tag/span.id/values", "tagValues", 5_000),
        ("/tempo/api/v2/search/tag/name/values", "tagValues", 5_000),
    ] {
        let answer = scene.ask(path, &[]).await?.ok_json()?;
        ensure!(
            answer[list].as_array().is_some_and(|values| !values.is_empty() && values.len() <= most),
            "{path}"
        );
    }
    let grouped = scene.traceql("{} | by(span.id) | count() >= 1").await?;
    ensure!(grouped.status == 200, "{:.300}", grouped.text());
    // And each series is another.
    let point = |n: usize| {
        json!({"timeUnixNano": now.to_string(), "asDouble": 1.0,
               "attributes": [{"key": "id", "value": {"stringValue": n.to_string()}}]})
    };
    let points: Vec<Value> = (0..LINES * 3).map(point).collect();
    let body = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "bomb", "gauge": {"dataPoints": points}}]}]}]});
    let url = format!("http://{}/v1/metrics", scene.trefoil.main);
    let sent = scene.http.post(&url, &JSON, body.to_string().into_bytes()).await?;
    ensure!(sent.status == 200, "{}", sent.text());
    let url = format!("http://{}/prometheus/api/v1/label/id/values", scene.trefoil.main);
    let values = scene.http.get(&url).await?.ok_json()?;
    ensure!(
        values["data"].as_array().is_some_and(|list| list.len() == 40_000),
        "as many as Grafana asks for"
    );
    ensure!(values["warnings"].is_array(), "and it is told that there are more");
    let counted = scene.promql("count(bomb)").await?.ok_json()?;
    let count = counted["data"]["result"][0]["value"][1].as_str().map(str::parse::<usize>);
    ensure!(count == Some(Ok(LINES * 3)), "{counted}");
    let steps = [
        ("query", "sum by (id) (bomb)"),
        ("start", &*(scene.now - 10_000).to_string()),
        ("end", &*scene.now.to_string()),
        ("step", "1"),
    ];
    let answer = scene.ask("/prometheus/api/v1/query_range", &steps).await?;
    ensure!([200, 422].contains(&answer.status), "{:.300}", answer.text());
    scene.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads_hold_no_more_than_there_is_room_for() -> Result<()> {
    let scene = Scene::start().await?;
    let text = "x".repeat(10_000);
    for part in 0..10 {
        scene.push((part * 300..(part + 1) * 300).map(|n| json!([scene.nanos(n), text])).collect()).await?;
    }
    // Each answer has 30 MB, and forty of them would be more than there may be.
    let mut idle = Vec::new();
    for _ in 0..40 {
        let mut connection = TcpStream::connect(scene.trefoil.main).await?;
        let path = format!(
            "/loki/api/v1/query_range?query=%7Bapp%3D%22shop%22%7D&limit=5000&start={}",
            scene.now - 600
        );
        connection.write_all(format!("GET {path} HTTP/1.1\r\nhost: trefoil\r\n\r\n").as_bytes()).await?;
        let mut begin = [0; 32];
        tokio::time::timeout(SOON, connection.read_exact(&mut begin)).await??;
        idle.push((connection, String::from_utf8_lossy(&begin).into_owned()));
    }
    let refused = idle.iter().filter(|(_, begin)| begin.contains("503")).count();
    ensure!(refused > 0 && refused < 40, "some are answered, some told to come again: {refused} of 40");
    // Those who read are served all the while.
    let small = scene.logql("sum(count_over_time({app=\"shop\"}[10m]))").await?;
    ensure!(small.status == 200, "{}", small.text());
    let peak = scene.trefoil.peak_memory()?;
    ensure!(peak < 1_200 << 20, "{} MiB at its peak", peak >> 20);
    // A client that takes nothing is cut off; then there is room again.
    until("room for a large answer", SOON, || async {
        let path = format!("http://{}/loki/api/v1/query_range", scene.trefoil.main);
        let url = reqwest::Url::parse_with_params(&path, [("query", "{app=\"shop\"}"), ("limit", "5000")])?;
        let answer = scene.http.get(url.as_str()).await?;
        ensure!(
            answer.status == 200 && answer.body.len() > 25_000_000,
            "{} {}",
            answer.status,
            answer.body.len()
        );
        Ok(())
    })
    .await?;
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_that_are_closed_by_half_give_their_places_back() -> Result<()> {
    let scene = Scene::start().await?;
    let upgrade = |connection: TcpStream| async move {
        let mut connection = connection;
        let head = "GET /loki/api/v1/tail?query=%7Bapp%3D%22shop%22%7D HTTP/1.1\r\nhost: trefoil\r\nconnection: Upgrade\r\n\
                    upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        connection.write_all(head.as_bytes()).await?;
        let mut begin = [0; 12];
        tokio::time::timeout(SOON, connection.read_exact(&mut begin)).await??;
        anyhow::Ok((connection, String::from_utf8_lossy(&begin).into_owned()))
    };
    let mut open = Vec::new();
    loop {
        let (connection, begin) = upgrade(TcpStream::connect(scene.trefoil.main).await?).await?;
        if begin.ends_with("503") {
            break;
        }
        ensure!(begin.ends_with("101") && open.len() < 200, "{begin}");
        open.push(connection);
    }
    for connection in &mut open {
        connection.shutdown().await?;
    }
    until("a place", SOON, || async {
        let (_, begin) = upgrade(TcpStream::connect(scene.trefoil.main).await?).await?;
        ensure!(begin.ends_with("101"), "{begin}");
        Ok(())
    })
    .await?;
    drop(open);
    scene.end().await
}
