//! Promise: what Grafana's Loki data source does beside queries works: live tail over a WebSocket, and what Logs Drilldown asks.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::{SinkExt, StreamExt};
use jiff::Timestamp;
use serde_json::{Value, json};
use tests::harness::{Answer, Http, until};
use tests::program::Program;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const SOON: Duration = Duration::from_secs(30);
const TRACE: &str = "5eed0000000000000000000000000021";

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

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

    /// Pushes lines of one stream.
    async fn push(&self, app: &str, lines: &[String]) -> Result<()> {
        let now = Timestamp::now().as_nanosecond();
        let values: Vec<Value> =
            lines.iter().enumerate().map(|(n, line)| json!([(now + n as i128).to_string(), line])).collect();
        let body = json!({"streams": [{"stream": {"service_name": app, "pod": format!("{app}-0")}, "values": values}]});
        let url = format!("http://{}/loki/api/v1/push", self.trefoil.main);
        let kind = [("content-type", "application/json")];
        let sent = self.http.post(&url, &kind, body.to_string().into_bytes()).await?;
        ensure!(sent.status == 204, "{} {}", sent.status, sent.text());
        Ok(())
    }

    fn url(&self, scheme: &str, path: &str, parameters: &[(&str, &str)]) -> Result<String> {
        let base = format!("{scheme}://{}/loki/api/v1/{path}", self.trefoil.main);
        Ok(reqwest::Url::parse_with_params(&base, parameters)?.to_string())
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Answer> {
        self.http.get(&self.url("http", path, parameters)?).await
    }

    async fn tail(&self, parameters: &[(&str, &str)]) -> Result<Socket> {
        let (socket, _) = connect_async(self.url("ws", "tail", parameters)?).await?;
        Ok(socket)
    }
}

fn text(line: &str) -> Vec<String> {
    vec![line.to_owned()]
}

/// Lines from a client's messages until there are this many; each message is checked.
async fn lines(socket: &mut Socket, count: usize) -> Result<Vec<String>> {
    let mut found = Vec::new();
    while found.len() < count {
        let message = tokio::time::timeout(SOON, socket.next()).await.context("no message came")?;
        let text = match message.context("the connection ended")?? {
            Message::Text(text) => text,
            Message::Ping(_) | Message::Pong(_) => continue,
            other => bail!("{other:?}"),
        };
        let message: Value = serde_json::from_str(&text)?;
        let mut timed = Vec::new();
        for stream in message["streams"].as_array().context("streams")? {
            ensure!(stream["stream"]["service_name"].is_string(), "{message}");
            for value in stream["values"].as_array().context("values")? {
                let parts = value.as_array().context("a value")?;
                ensure!(parts.len() == 2 && parts[0].is_string(), "{value}");
                let time: u64 = parts[0].as_str().unwrap_or_default().parse()?;
                timed.push((time, parts[1].as_str().unwrap_or_default().to_owned()));
            }
        }
        timed.sort();
        found.extend(timed.into_iter().map(|(_, line)| line));
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_shows_what_there_was_and_then_what_arrives_once_each() -> Result<()> {
    let scene = Scene::start().await?;
    scene.push("shop", &text("before")).await?;
    let mut all = scene.tail(&[("query", "{service_name=\"shop\"}")]).await?;
    let mut filtered =
        scene.tail(&[("query", "{service_name=~\".+\"} |= \"rare\""), ("limit", "10")]).await?;
    let trace = format!("{{service_name=~\".+\"}} | trace_id=\"{TRACE}\"");
    let mut traced = scene.tail(&[("query", &trace), ("delay_for", "1")]).await?;
    assert_eq!(lines(&mut all, 1).await?, ["before"]);
    scene.push("shop", &text("after")).await?;
    scene.push("mailer", &text("a rare one")).await?;
    scene.push("shop", &[format!("level=info trace_id={TRACE} paid"), "last".to_owned()]).await?;
    assert_eq!(lines(&mut all, 3).await?, ["after", &format!("level=info trace_id={TRACE} paid"), "last"]);
    assert_eq!(lines(&mut filtered, 1).await?, ["a rare one"]);
    assert_eq!(lines(&mut traced, 1).await?, [format!("level=info trace_id={TRACE} paid")]);
    scene.push("shop", &text("one more")).await?;
    assert_eq!(lines(&mut all, 1).await?, ["one more"]);
    all.close(None).await?;
    let refused = connect_async(scene.url("ws", "tail", &[("query", "{a=")])?).await;
    ensure!(refused.is_err(), "a query that does not parse is refused before the protocol changes");
    scene.trefoil.stop().await
}

/// The code of the Close frame that a client gets who sends this, and whether the connection ends after it.
async fn closed_with(scene: &Scene, sent: &[u8]) -> Result<u16> {
    let mut connection = TcpStream::connect(scene.trefoil.main).await?;
    let head = "GET /loki/api/v1/tail?query=%7Ba%3D%22b%22%7D HTTP/1.1\r\nhost: trefoil\r\nconnection: Upgrade\r\n\
                upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    connection.write_all(head.as_bytes()).await?;
    let mut got = Vec::new();
    while !got.ends_with(b"\r\n\r\n") {
        got.push(tokio::time::timeout(SOON, connection.read_u8()).await??);
    }
    ensure!(got.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&got));
    connection.write_all(sent).await?;
    let mut got = Vec::new();
    tokio::time::timeout(SOON, connection.read_to_end(&mut got)).await.context("it does not end")??;
    // A ping may come before.
    while let [0x89, length, ..] = got[..] {
        got.drain(..2 + usize::from(length));
    }
    let [0x88, length, high, low, ref reason @ ..] = got[..] else { bail!("no Close frame: {got:x?}") };
    ensure!(usize::from(length) == reason.len() + 2, "{got:x?}");
    Ok(u16::from_be_bytes([high, low]))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_closes_is_answered_and_who_breaks_the_protocol_is_told_by_a_code() -> Result<()> {
    let scene = Scene::start().await?;
    let mut tail = scene.tail(&[("query", "{a=\"b\"}")]).await?;
    tail.close(None).await?;
    let answered = async {
        while let Some(message) = tail.next().await {
            if let Message::Close(_) = message? {
                return Ok(());
            }
        }
        bail!("it ended without an answer")
    };
    tokio::time::timeout(SOON, answered).await??;
    let masked_close = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9];
    assert_eq!(closed_with(&scene, &masked_close).await?, 1001);
    assert_eq!(closed_with(&scene, b"\x81\x02hi").await?, 1002, "not masked");
    let large = [0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(closed_with(&scene, &large).await?, 1009);
    assert_eq!(closed_with(&scene, &[0x81, 0x81, 0, 0, 0, 0, 0xff]).await?, 1007, "not UTF-8");
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_read_nothing_or_vanish_hold_nobody_up() -> Result<()> {
    let scene = Scene::start().await?;
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(scene.tail(&[("query", "{service_name=\"shop\"}")]).await?);
    }
    // Half of them end without a word.
    idle.truncate(10);
    let mut reader = scene.tail(&[("query", "{service_name=\"mailer\"}")]).await?;
    let much: Vec<String> = (0..2_000).map(|n| format!("{n} {}", "x".repeat(500))).collect();
    for _ in 0..20 {
        scene.push("shop", &much).await?;
    }
    scene.push("mailer", &text("heard")).await?;
    assert_eq!(lines(&mut reader, 1).await?, ["heard"]);
    ensure!(scene.trefoil.peak_memory()? < 500 << 20, "{} bytes", scene.trefoil.peak_memory()?);
    // More than there is room for is told to come again.
    let mut more = Vec::new();
    let full = loop {
        match connect_async(scene.url("ws", "tail", &[("query", "{a=\"b\"}")])?).await {
            Ok((socket, _)) => more.push(socket),
            Err(error) => break error.to_string(),
        }
        ensure!(more.len() < 200, "nothing bounds the number of clients");
    };
    ensure!(full.contains("503"), "{full}");
    let mut socket = more.pop().context("a client")?;
    socket.send(Message::Text("not expected".into())).await?;
    socket.close(None).await?;
    scene.trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn drilldown_finds_services_fields_and_labels() -> Result<()> {
    let scene = Scene::start().await?;
    let many: Vec<String> =
        (0..500).map(|n| format!("{{\"took\":\"{n}ms\",\"http\":{{\"status\":200}}}}")).collect();
    scene.push("shop", &many).await?;
    scene.push("mailer", &text("level=warn n=1 msg=\"mail sent\"")).await?;
    let (start, end) = {
        let now = Timestamp::now().as_nanosecond();
        ((now - 600_000_000_000).to_string(), (now + 60_000_000_000).to_string())
    };
    let window = [("start", start.as_str()), ("end", end.as_str())];
    let any = [("query", "{service_name=~`.+`}"), ("limit", "5000")];
    let volume = scene.get("index/volume", &[&any[..], &window].concat()).await?.ok_json()?;
    let names: Vec<_> =
        volume["data"]["result"].as_array().into_iter().flatten().map(|one| one["metric"].clone()).collect();
    assert_eq!(names, [json!({"service_name": "shop"}), json!({"service_name": "mailer"})], "{volume}");
    let labels = scene.get("detected_labels", &window).await?.ok_json()?;
    ensure!(
        labels["detectedLabels"]
            .as_array()
            .is_some_and(|list| list.contains(&json!({"label": "service_name", "cardinality": 2}))),
        "{labels}"
    );
    let shop = [("query", "{service_name=`shop`}"), ("limit", "1000")];
    let fields = scene.get("detected_fields", &[&shop[..], &window].concat()).await?.ok_json()?;
    for field in [
        json!({"label": "took", "type": "duration", "cardinality": 500, "parsers": ["json"], "jsonPath": ["took"]}),
        json!({"label": "http_status", "type": "int", "cardinality": 1, "parsers": ["json"], "jsonPath": ["http", "status"]}),
    ] {
        ensure!(fields["fields"].as_array().is_some_and(|list| list.contains(&field)), "{field}: {fields}");
    }
    let values =
        scene.get("detected_field/http_status/values", &[&shop[..], &window].concat()).await?.ok_json()?;
    assert_eq!(values["values"], json!(["200"]));
    let size = scene.get("index/stats", &[&shop[..], &window].concat()).await?.ok_json()?;
    assert_eq!((&size["streams"], &size["entries"]), (&json!(1), &json!(500)));
    let patterns = until("patterns", SOON, || async {
        let found = scene.get("patterns", &[&shop[..], &window].concat()).await?.ok_json()?;
        ensure!(found["data"].as_array().is_some_and(|list| !list.is_empty()), "none yet");
        Ok(found)
    })
    .await?;
    assert_eq!(patterns["data"][0]["pattern"], "{\"took\":\"<_>\",\"http\":{\"status\":<_>}}");
    let counted: u64 = patterns["data"][0]["samples"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one[1].as_u64())
        .sum();
    assert_eq!(counted, 500);
    let limits = scene.get("drilldown-limits", &[]).await?.ok_json()?;
    assert_eq!(limits["limits"]["volume_enabled"], true);
    scene.trefoil.stop().await
}
