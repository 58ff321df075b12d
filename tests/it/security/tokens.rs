//! Each role against each kind of path, and the tenant of a token.

use anyhow::{Result, ensure};
use reqwest::{Client, Response};
use serde_json::json;
use tests::harness::{Http, until};
use tests::program::SECRET_TOKEN;

use super::{ADMIN, INGEST, READ, RED, access, bearer, json_of, start, text, token};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Where senders send, on the main port.
const SENT: [(&str, &str); 8] = [
    ("/v1/traces", "{}"),
    ("/v1/logs", "{}"),
    ("/otlp/v1/logs", "{}"),
    ("/v1/metrics", "{}"),
    ("/api/v2/spans", "[]"),
    ("/loki/api/v1/push", "{\"streams\":[]}"),
    ("/api/v1/write", ""),
    ("/api/traces", ""),
];
/// What is read, on the main port.
const ASKED: [&str; 13] = [
    "/api/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736",
    "/api/v1/services",
    "/api/v1/collect/files",
    "/api/v1/scrape/targets",
    "/loki/api/v1/labels",
    "/tempo/api/echo",
    "/jaeger/api/services",
    "/zipkin/api/v2/services",
    "/prometheus/api/v1/labels",
    "/grafana/datasources.yaml",
    "/grafana/dashboards",
    "/openapi.json",
    "/metrics",
];
const GRPC_SENT: [&str; 2] = [
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "/jaeger.api_v2.CollectorService/PostSpans",
];
const GRPC_ASKED: &str = "/tempopb.StreamingQuerier/SearchTags";

/// Who asks, what they show, and whether they may send and ask.
fn callers() -> [(Option<String>, bool, bool); 7] {
    [
        (None, false, false),
        (Some(bearer("trefoil_of_somebody_else")), false, false),
        (Some("Basic Og==".to_owned()), false, false),
        (Some(bearer(INGEST)), true, false),
        (Some(bearer(READ)), false, true),
        (Some(bearer(ADMIN)), true, true),
        (Some(bearer(RED)), true, true),
    ]
}

async fn send(http: &Client, url: &str, media: &str, body: &str, shown: Option<&String>) -> Result<Response> {
    let mut request = http.post(url).header("content-type", media).body(body.to_owned());
    if let Some(shown) = shown {
        request = request.header("authorization", shown);
    }
    Ok(request.send().await?)
}

/// In the form that the protocol has for it.
async fn allowed(answer: Response, shown: bool, what: &str) -> Result<bool> {
    let headers = answer.headers().clone();
    let status = answer.status().as_u16();
    let grpc = headers.get("grpc-status").and_then(|status| status.to_str().ok()?.parse::<u32>().ok());
    if let Some(code) = grpc {
        return Ok(!matches!(code, 7 | 16));
    }
    if !matches!(status, 401 | 403) {
        return Ok(true);
    }
    ensure!(headers.contains_key("www-authenticate") == (status == 401), "{what}: {headers:?}");
    ensure!(shown || status == 401, "{what}: {status}");
    let body = json_of(answer).await?;
    ensure!(
        body["status"] == "error" && body["error"].as_str().is_some_and(|text| text.contains("token")),
        "{body}"
    );
    Ok(false)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_do_what_it_is_for_and_nothing_else() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let trefoil = start(folder.path(), &access("")?, "external_url: 'http://t/below'").await?;
    Http::new()?;
    let http = Client::new();
    let main = format!("http://{}", trefoil.main);
    let receivers = [
        (trefoil.otlp_http, "/v1/traces", "{}"),
        (trefoil.receivers["Zipkin"], "/api/v2/spans", "[]"),
        (trefoil.receivers["Jaeger HTTP"], "/api/traces", ""),
    ];
    let receivers = receivers.map(|(address, path, body)| (format!("http://{address}{path}"), body));
    let sent = SENT.map(|(path, body)| (format!("{main}{path}"), body));
    let below = SENT.map(|(path, body)| (format!("{main}/below{path}"), body));
    let sent: Vec<(String, &str)> = sent.into_iter().chain(below).chain(receivers).collect();
    for (shown, may_send, may_ask) in callers() {
        let is_shown = shown.is_some();
        for (url, body) in &sent {
            let answer = send(&http, url, "application/json", body, shown.as_ref()).await?;
            let what = format!("{shown:?} {url} {}", answer.status());
            ensure!(allowed(answer, is_shown, &what).await? == may_send, "{what}");
        }
        for path in ASKED.iter().flat_map(|path| [(*path).to_owned(), format!("/below{path}")]) {
            let mut request = http.get(format!("{main}{path}"));
            if let Some(shown) = &shown {
                request = request.header("authorization", shown);
            }
            let answer = request.send().await?;
            let what = format!("{shown:?} {path} {}", answer.status());
            // What tells of all tenants is not for one of them.
            let of_all =
                ["/metrics", "/collect/files", "/scrape/targets"].iter().any(|end| path.ends_with(end));
            let may = may_ask && !(of_all && shown == Some(bearer(RED)));
            ensure!(allowed(answer, is_shown, &what).await? == may, "{what}");
        }
        for (path, may) in GRPC_SENT.map(|path| (path, may_send)).into_iter().chain([(GRPC_ASKED, may_ask)]) {
            let answer =
                send(&http, &format!("{main}{path}"), "application/grpc", "", shown.as_ref()).await?;
            let what = format!("{shown:?} {path} {:?}", answer.headers());
            ensure!(answer.headers().contains_key("grpc-status"), "{what}");
            ensure!(allowed(answer, is_shown, &what).await? == may, "{what}");
        }
        for path in ["/healthz", "/readyz", "/nowhere"] {
            let mut request = http.get(format!("{main}{path}"));
            if let Some(shown) = &shown {
                request = request.header("authorization", shown);
            }
            let status = request.send().await?.status().as_u16();
            ensure!(status == if path == "/nowhere" { 404 } else { 200 }, "{shown:?} {path} {status}");
        }
    }
    // Grafana and most senders can only do Basic; the name is anybody's.
    let answer =
        http.get(format!("{main}/loki/api/v1/labels")).basic_auth("grafana", Some(READ)).send().await?;
    ensure!(answer.status() == 200, "{}", answer.status());
    // Elastic's agents have what they had: a token of their own.
    for base in [main.clone(), format!("http://{}", trefoil.receivers["Elastic APM"])] {
        for (shown, status) in [(SECRET_TOKEN, 200), (INGEST, 401)] {
            let request = http.get(format!("{base}/config/v1/agents?service.name=reporter"));
            let answer = request.header("authorization", bearer(shown)).send().await?;
            ensure!(answer.status() == status, "{base} {}", answer.status());
        }
    }
    let counted = http.get(format!("{main}/metrics")).header("authorization", bearer(READ)).send().await?;
    let counted = text(counted).await?;
    for reason in ["unauthenticated", "forbidden"] {
        let series = format!("trefoil_access_refused_requests_total{{reason=\"{reason}\"}} ");
        let value = counted.lines().find_map(|line| line.strip_prefix(&series)?.parse::<f64>().ok());
        ensure!(value.is_some_and(|value| value > 10.0), "{series} {value:?}");
    }
    trefoil.stop().await
}

fn spans(name: &str) -> Vec<u8> {
    // Two records of one span would be one.
    let id = format!("00f067aa0ba902{:02x}", name.len());
    let time = jiff::Timestamp::now().as_nanosecond().to_string();
    json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [{ "traceId": TRACE, "spanId": id,
        "name": name, "startTimeUnixNano": time, "endTimeUnixNano": time }] }] }] })
    .to_string()
    .into()
}

#[tokio::test(flavor = "multi_thread")]
async fn data_sources_of_a_guarded_gateway_have_a_place_for_the_token_and_not_the_token() -> Result<()> {
    const PLACE: &str = "httpHeaderValue1: 'Bearer $__env{TREFOIL_TOKEN}'";
    let folder = tempfile::tempdir()?;
    let http = Http::new()?;
    for (sections, places) in [(access("")?, 5), (String::new(), 0)] {
        let trefoil = start(folder.path(), &sections, "").await?;
        let url = format!("http://{}/grafana/datasources.yaml", trefoil.main);
        let answer = http.get_with(&url, &[("authorization", &bearer(READ))]).await?;
        let text = answer.text();
        ensure!(answer.status == 200 && text.matches(PLACE).count() == places, "{text}");
        ensure!(text.matches("secureJsonData").count() == places && !text.contains(READ), "{text}");
        trefoil.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_tenant_sends_and_reads_as_that_one_only() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let http = Http::new()?;
    let trefoil = start(folder.path(), &access("")?, "mcp: {}").await?;
    let main = format!("http://{}", trefoil.main);
    let (red, ingest, read) = (bearer(RED), bearer(INGEST), bearer(READ));
    let json_media = ("content-type", "application/json");
    let traces = format!("{main}/v1/traces");
    let told = http.post(&traces, &[json_media, ("authorization", &red)], spans("of-red")).await?;
    ensure!(told.status == 200, "{}", told.text());
    let blue = ("X-Scope-OrgID", "blue");
    let told = http.post(&traces, &[json_media, blue, ("authorization", &red)], spans("forged")).await?;
    ensure!(told.status == 403 && told.text().contains("X-Scope-OrgID"), "{}", told.text());
    let told = http.post(&traces, &[json_media, blue, ("authorization", &ingest)], spans("of-blue")).await?;
    ensure!(told.status == 200, "{}", told.text());
    let url = format!("{main}/api/v1/traces/{TRACE}");
    for (shown, tenant, expected) in [
        (&read, None, (true, true)),
        (&read, Some("red"), (true, false)),
        (&red, None, (true, false)),
        (&red, Some("red"), (true, false)),
    ] {
        let headers: Vec<(&str, &str)> = [("authorization", shown.as_str())]
            .into_iter()
            .chain(tenant.map(|tenant| ("X-Scope-OrgID", tenant)))
            .collect();
        let text = http.get_with(&url, &headers).await?.text();
        let found = (text.contains("of-red"), text.contains("of-blue"));
        ensure!(found == expected && !text.contains("forged"), "{tenant:?}: {text}");
    }
    let tool = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "trace", "arguments": { "id": TRACE } } });
    let media = [json_media, ("accept", "application/json, text/event-stream")];
    for (shown, expected) in [(&read, (true, true)), (&red, (true, false))] {
        let headers = [media[0], media[1], ("authorization", shown.as_str())];
        let text = http.post(&format!("{main}/mcp"), &headers, tool.to_string().into()).await?.text();
        ensure!((text.contains("of-red"), text.contains("of-blue")) == expected, "tools: {text}");
    }
    for tenant in ["blue", "red|blue", "red|red"] {
        let answer = http.get_with(&url, &[("authorization", &red), ("X-Scope-OrgID", tenant)]).await?;
        ensure!(answer.status == 403, "{tenant}: {}", answer.status);
    }
    trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_come_and_go_with_the_configuration_and_with_their_files() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let http = Http::new()?;
    let file = folder.path().join("token");
    std::fs::write(&file, "first-token-of-a-file\n")?;
    let in_file = format!(", {{name: f, role: read, token_file: '{}'}}", file.display());
    let trefoil = start(folder.path(), &access(&in_file)?, "").await?;
    let url = format!("http://{}/loki/api/v1/labels", trefoil.main);
    let may = async |token: &str| {
        let shown = bearer(token);
        anyhow::Ok(http.get_with(&url, &[("authorization", &shown)]).await?.status == 200)
    };
    let becomes = async |token: &str, expected: bool| {
        until(token, std::time::Duration::from_mins(1), || async {
            ensure!(may(token).await? == expected, "it is not so yet");
            Ok(())
        })
        .await
    };
    ensure!(
        may("first-token-of-a-file").await? && may(READ).await? && !may("another-token-in-the-text").await?
    );
    std::fs::write(&file, "second-token-of-a-file\n")?;
    becomes("second-token-of-a-file", true).await?;
    ensure!(!may("first-token-of-a-file").await? && may(READ).await?);
    let config = folder.path().join("data.yaml");
    let text = std::fs::read_to_string(&config)?;
    let other = token("f", "read", "another-token-in-the-text", "")?;
    std::fs::write(&config, text.replace(&in_file[2..], &other))?;
    becomes("another-token-in-the-text", true).await?;
    ensure!(!may("second-token-of-a-file").await? && may(READ).await?);
    trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_made_token_opens_what_its_hash_is_configured_for() -> Result<()> {
    let made = std::process::Command::new(tests::program::binary()?).arg("token").output()?;
    let made = String::from_utf8(made.stdout)?;
    let word = |key: &str| made.lines().find_map(|line| Some(line.strip_prefix(key)?.trim().to_owned()));
    let (Some(token), Some(hash)) = (word("token:"), word("sha256:")) else { anyhow::bail!("{made}") };
    let folder = tempfile::tempdir()?;
    let http = Http::new()?;
    let access =
        format!("access: {{public_metrics: true, tokens: [{{name: t, role: read, sha256: {hash}}}]}}\n");
    let trefoil = start(folder.path(), &access, "").await?;
    let main = format!("http://{}", trefoil.main);
    let shown = bearer(&token);
    let labels = format!("{main}/loki/api/v1/labels");
    ensure!(http.get_with(&labels, &[("authorization", &shown)]).await?.status == 200);
    ensure!(http.get(&labels).await?.status == 401);
    ensure!(http.get(&format!("{main}/metrics")).await?.status == 200, "they are public");
    trefoil.stop().await
}
