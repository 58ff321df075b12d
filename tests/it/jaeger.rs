//! Promise: what reports to Jaeger today is received as it is: thrift over HTTP, gRPC, and the agent's datagrams of clients that
//! know nothing else.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::harness::{Http, found, report, span, until};
use tests::program::Program;

const SOON: Duration = Duration::from_secs(30);

struct Scene {
    _folder: tempfile::TempDir,
    http: Http,
    trefoil: Program,
}

impl Scene {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let trefoil =
            Program::start(&folder.path().join("data"), &folder.path().join("pods/*/*/*.log")).await?;
        Ok(Self { _folder: folder, http: Http::new()?, trefoil })
    }

    fn port(&self, name: &str) -> Result<SocketAddr> {
        self.trefoil.receivers.get(name).copied().with_context(|| format!("{name} is not announced"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn opentelemetrys_exporters_are_heard_over_http_udp_and_grpc() -> Result<()> {
    let scene = Scene::start().await?;
    let main = scene.trefoil.main;
    for (way, to) in [
        ("http", format!("http://{}/api/traces?format=jaeger.thrift", scene.port("Jaeger HTTP")?)),
        ("http", format!("http://{main}/api/traces")),
        ("udp", scene.port("Jaeger UDP compact")?.port().to_string()),
        ("grpc", scene.port("Jaeger gRPC")?.to_string()),
        ("grpc", main.to_string()),
    ] {
        let reported = report("jaeger_otel.py", &[way, &to]).await?;
        let answer = found(&scene.http, main, &reported).await?;
        let (handle, call) = (span(&answer, "handle")?, span(&answer, "call")?);
        assert_eq!((&handle["kind"], &handle["service"]), (&json!("server"), &json!("reporter")), "{way}");
        assert_eq!(handle["attributes"]["n"], 7, "{way}: {handle}");
        assert_eq!(handle["resource"]["host.name"], "h1", "{way}");
        assert_eq!(handle["events"][0]["name"], "looked up", "{way}");
        assert_eq!(handle["events"][0]["attributes"], json!({"key": "k"}), "{way}");
        assert_eq!((&call["kind"], &call["parent_span_id"]), (&json!("client"), &handle["span_id"]), "{way}");
        assert_eq!(call["status"], json!({"code": "error", "message": "no route"}), "{way}");
        assert_eq!(call["links"][0]["trace_id"], "80000000000000000000000000000005", "{way}");
        assert_eq!(call["links"][0]["span_id"], "0000000000000009", "{way}");
        assert_eq!(call["events"][0]["name"], "exception", "{way}");
        assert_eq!(call["events"][0]["attributes"]["exception.type"], "ValueError", "{way}");
    }
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn jaeger_client_is_heard_over_udp_with_ids_of_both_widths() -> Result<()> {
    let scene = Scene::start().await?;
    let udp = scene.port("Jaeger UDP compact")?.port().to_string();
    let sampling = scene.port("Jaeger sampling")?.port().to_string();
    for width in [&[][..], &["128"]] {
        let args = [&[udp.as_str(), sampling.as_str()], width].concat();
        let reported = report("jaeger_udp.py", &args).await?;
        let answer = found(&scene.http, scene.trefoil.main, &reported).await?;
        let (root, child, later) = (span(&answer, "root")?, span(&answer, "child")?, span(&answer, "later")?);
        assert_eq!((&root["service"], &root["parent_span_id"]), (&json!("old"), &json!(null)));
        let attributes = &root["attributes"];
        assert_eq!(
            (&attributes["n"], &attributes["pi"], &attributes["yes"]),
            (&json!(7), &json!(3.5), &json!(true))
        );
        assert_eq!(root["resource"]["zone"], "a");
        assert_eq!(root["resource"]["host.name"], root["resource"]["hostname"]);
        assert_eq!(
            (&root["events"][0]["name"], &root["events"][0]["attributes"]["key"]),
            (&json!("cache miss"), &json!("k"))
        );
        assert_eq!((&child["parent_span_id"], &child["kind"]), (&root["span_id"], &json!("client")));
        assert_eq!(child["status"]["code"], "error");
        assert_eq!(later["parent_span_id"], child["span_id"], "what follows from another hangs below it");
    }
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_jaeger_client_is_heard_over_udp_and_http() -> Result<()> {
    let scene = Scene::start().await?;
    for (way, to) in [
        ("udp", scene.port("Jaeger UDP binary")?.port().to_string()),
        ("http", format!("http://{}/api/traces", scene.port("Jaeger HTTP")?)),
    ] {
        let reported = report("jaeger.js", &[way, &to]).await?;
        let answer = found(&scene.http, scene.trefoil.main, &reported).await?;
        let (root, child) = (span(&answer, "root")?, span(&answer, "child")?);
        assert_eq!((&root["service"], &root["parent_span_id"]), (&json!("node-old"), &json!(null)), "{way}");
        let attributes = &root["attributes"];
        assert_eq!((&attributes["pi"], &attributes["yes"]), (&json!(3.5), &json!(true)), "{way}");
        assert_eq!(attributes["n"].as_f64(), Some(7.0), "{way}");
        assert_eq!(root["resource"]["zone"], "a", "{way}");
        assert_eq!(root["events"][0]["name"], "cache miss", "{way}");
        assert_eq!((&child["parent_span_id"], &child["kind"]), (&root["span_id"], &json!("client")), "{way}");
        assert_eq!(child["status"]["code"], "error", "{way}");
    }
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_batch_is_refused_and_bad_datagrams_are_counted() -> Result<()> {
    let scene = Scene::start().await?;
    let thrift = [("content-type", "application/x-thrift")];
    for address in [scene.port("Jaeger HTTP")?, scene.trefoil.main] {
        let url = format!("http://{address}/api/traces");
        for (headers, body, text) in [
            (&[][..], &b"\0"[..], "Cannot parse content type: mime: no media type"),
            (&[("content-type", "application/json")], b"{}", "Unsupported content type: application/json"),
            (&thrift, b"", "Unable to process request body: malformed thrift"),
            // A list of 2^31 - 1 spans in five bytes.
            (&thrift, b"\x0f\0\x02\x0c\x7f\xff\xff\xff", "Unable to process request body: malformed thrift"),
        ] {
            let answer = scene.http.post(&url, headers, body.to_vec()).await?;
            ensure!(
                answer.status == 400 && answer.text().starts_with(text),
                "{} {}",
                answer.status,
                answer.text()
            );
        }
        let answer = scene.http.post(&url, &thrift, vec![0]).await?;
        ensure!(answer.status == 202, "{} {}", answer.status, answer.text());
        let strategy =
            scene.http.get(&format!("http://{address}/api/sampling?service=x")).await?.ok_json()?;
        assert_eq!(strategy["probabilisticSampling"]["samplingRate"], 1.0);
    }
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
    for port in ["Jaeger UDP compact", "Jaeger UDP binary"] {
        socket.send_to(b"hello", scene.port(port)?).await?;
    }
    let url = format!("http://{}/metrics", scene.trefoil.main);
    until("two lost datagrams", SOON, || async {
        let text = scene.http.get(&url).await?.text();
        let line = text.lines().find(|line| line.contains("lost_datagrams_total{reason=\"malformed\"}"));
        ensure!(line.is_some_and(|line| line.ends_with(" 2") || line.ends_with(" 2.0")), "{line:?}");
        Ok(())
    })
    .await?;
    scene.trefoil.stop().await
}
