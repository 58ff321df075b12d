//! Promise: what a cluster's API tells of pods goes with their log lines and with the spans and records that they send, their
//! annotations change how they are read while they run, and an API that forbids, forgets, breaks off or is away never stops a line.

use std::collections::VecDeque;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tests::harness::{Http, Process, free_port, until};
use tests::program::{Program, binary};
use tokio::sync::broadcast;

const SOON: Duration = Duration::from_mins(1);
const TRACE: &str = "a9e7000000000000000000000000007b";
const CART: &str = "33333333-2222-4333-8444-555555555501";
const JOB: &str = "33333333-2222-4333-8444-555555555502";

/// What an API server is told to answer.
struct Cluster {
    pods: Mutex<VecDeque<Value>>,
    forbidden: Mutex<bool>,
    events: broadcast::Sender<String>,
    url: String,
}

async fn pods(State(cluster): State<Arc<Cluster>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let of_another_node = query.contains("spec.nodeName") && !query.contains("spec.nodeName%3Dnode-7");
    if *cluster.forbidden.lock().unwrap() || of_another_node {
        let status =
            json!({"kind": "Status", "message": "pods is forbidden", "reason": "Forbidden", "code": 403});
        return (StatusCode::FORBIDDEN, status.to_string()).into_response();
    }
    if query.contains("watch=1") {
        let events = futures::stream::unfold(cluster.events.subscribe(), |mut events| async {
            // `-` ends the answer, in the middle of whatever came last.
            let event = events.recv().await.ok().filter(|event| event != "-")?;
            Some((Ok::<_, std::io::Error>(Bytes::from(event)), events))
        });
        return Body::from_stream(events).into_response();
    }
    let pods: Vec<Value> = cluster.pods.lock().unwrap().iter().cloned().collect();
    json!({"kind": "PodList", "metadata": {"resourceVersion": "100"}, "items": pods})
        .to_string()
        .into_response()
}

impl Cluster {
    async fn start() -> Result<Arc<Self>> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let cluster = Arc::new(Self {
            pods: Mutex::default(),
            forbidden: Mutex::new(false),
            events: broadcast::channel(64).0,
            url: format!("http://{}", listener.local_addr()?),
        });
        let zone =
            json!({"metadata": {"name": "node-7", "labels": {"topology.kubernetes.io/zone": "eu-1a"}}});
        let router = Router::new()
            .route("/api/v1/pods", get(pods))
            .route("/api/v1/nodes/node-7", get(async move || zone.to_string()))
            .with_state(Arc::clone(&cluster));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(cluster)
    }

    fn send(&self, kind: &str, object: &Value) {
        let event = format!("{}\n", json!({"type": kind, "object": object}));
        let (head, tail) = event.split_at(event.len() / 2);
        // Nobody watches for a moment: what changes is listed then.
        for piece in [head, tail] {
            let _ = self.events.send(piece.to_owned());
        }
    }

    fn put(&self, pod: Value) {
        let mut pods = self.pods.lock().unwrap();
        pods.retain(|known| known["metadata"]["uid"] != pod["metadata"]["uid"]);
        pods.push_back(pod.clone());
        drop(pods);
        self.send("MODIFIED", &pod);
    }
}

fn cart(annotations: Value) -> Value {
    json!({
        "kind": "Pod",
        "metadata": {
            "name": "cart-6d5f8c9b7d-x2x4z", "namespace": "shop", "uid": CART, "resourceVersion": "101",
            "labels": {"pod-template-hash": "6d5f8c9b7d", "app.kubernetes.io/name": "cart", "app.kubernetes.io/version": "1.4.0", "tier": "front"},
            "annotations": annotations,
            "ownerReferences": [{"kind": "ReplicaSet", "name": "cart-6d5f8c9b7d", "controller": true}]
        },
        "spec": {"nodeName": "node-7", "containers": [{"name": "web"}, {"name": "proxy"}]},
        // From where this test sends.
        "status": {"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
    })
}

fn job() -> Value {
    json!({
        "kind": "Pod",
        "metadata": {
            "name": "report-29384756-abcde", "namespace": "shop", "uid": JOB, "resourceVersion": "102",
            "ownerReferences": [{"kind": "Job", "name": "report-29384756", "controller": true}]
        },
        "spec": {"nodeName": "node-7", "containers": [{"name": "report"}]}
    })
}

fn write(folder: &Path, pod: &str, uid: &str, container: &str, texts: &[&str]) -> Result<()> {
    let container = folder.join(format!("pods/shop_{pod}_{uid}/{container}"));
    std::fs::create_dir_all(&container)?;
    let mut file = std::fs::File::options().create(true).append(true).open(container.join("0.log"))?;
    for text in texts {
        writeln!(file, "{:.9} stdout F {text}", jiff::Timestamp::now())?;
    }
    Ok(())
}

fn write_cart(folder: &Path, container: &str, texts: &[&str]) -> Result<()> {
    write(folder, "cart-6d5f8c9b7d-x2x4z", CART, container, texts)
}

/// The lines of the trace, in the order of their times, once there are so many.
async fn stored(http: &Http, gateway: &Program, count: usize) -> Result<Vec<Value>> {
    let url = format!("http://{}/api/v1/traces/{TRACE}", gateway.main);
    until(&format!("{count} lines"), SOON, || async {
        let answer = http.get(&url).await?.json()?;
        let mut logs = answer["logs"].as_array().cloned().unwrap_or_default();
        ensure!(logs.len() == count, "{logs:?}");
        logs.sort_by_key(|log| log["time_unix_nano"].as_str().map(str::to_owned));
        Ok(logs)
    })
    .await
}

fn configured(folder: &Path, cluster: &Cluster) -> String {
    format!(
        "files: [{{path: '{}/pods/*/*/*.log'}}], node: node-7, \
         kubernetes: {{labels: [tier, 'app.kubernetes.io/*'], api: {{url: '{}'}}}}",
        folder.display(),
        cluster.url
    )
}

async fn problems(http: &Http, address: &str) -> Result<Vec<String>> {
    let answer =
        http.get(&format!("http://{address}/api/v1/collect/files?container=web")).await?.ok_json()?;
    let problems = answer["files"][0]["problems"].as_array().context("no file")?.clone();
    Ok(problems.iter().filter_map(|problem| problem.as_str().map(str::to_owned)).collect())
}

async fn metric(http: &Http, address: &str, series: &str) -> Result<f64> {
    let text = http.get(&format!("http://{address}/metrics")).await?.text();
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
    value.with_context(|| format!("no {series}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_carry_what_the_api_says_of_their_pods_and_annotations_change_how_they_are_read() -> Result<()>
{
    let (folder, http, cluster) = (tempfile::tempdir()?, Http::new()?, Cluster::start().await?);
    let data = folder.path().join("data");
    cluster.put(cart(json!({"trefoil.io/exclude": "proxy"})));
    let first = format!("trace_id={TRACE} one");
    write_cart(folder.path(), "web", &[&first])?;
    write_cart(folder.path(), "proxy", &[&format!("trace_id={TRACE} never")])?;
    let store = format!("store: {{dir: '{}'}}\n", data.display());
    let gateway = Program::start_collecting(&data, &configured(folder.path(), &cluster), &store).await?;
    let logs = stored(&http, &gateway, 1).await?;
    let (labels, metadata) = (&logs[0]["labels"], &logs[0]["metadata"]);
    ensure!(labels["service_name"] == "cart" && labels["app"] == "cart", "{labels}");
    ensure!(labels["pod"] == "cart-6d5f8c9b7d-x2x4z" && labels["node"] == "node-7", "{labels}");
    let expected = [
        ("k8s_deployment_name", "cart"),
        ("service_version", "1.4.0"),
        ("k8s_pod_label_tier", "front"),
        ("k8s_pod_label_app_kubernetes_io_name", "cart"),
    ];
    for (name, value) in expected {
        ensure!(metadata[name] == value, "{name}: {metadata}");
    }

    // A pod that comes later, and records of several lines from here on.
    cluster.put(job());
    cluster.put(cart(json!({"trefoil.io/multiline": "^trace_id=", "trefoil.io/parser": "yaml"})));
    let main = gateway.main.to_string();
    until("the wrong annotation", SOON, || async {
        let problems = problems(&http, &main).await?;
        ensure!(
            problems.len() == 1 && problems[0].contains("trefoil.io/parser: expected one of"),
            "{problems:?}"
        );
        Ok(())
    })
    .await?;
    write(folder.path(), "report-29384756-abcde", JOB, "report", &[&format!("trace_id={TRACE} two")])?;
    write_cart(folder.path(), "web", &[&format!("trace_id={TRACE} three"), "of two lines"])?;
    // The proxy is no longer left out, and is read from where it began.
    let logs = stored(&http, &gateway, 4).await?;
    let report = logs.iter().find(|log| log["labels"]["container"] == "report").context("no report")?;
    ensure!(report["metadata"]["k8s_cronjob_name"] == "report", "{report}");
    ensure!(report["metadata"]["k8s_job_name"] == "report-29384756", "{report}");
    ensure!(report["metadata"]["cloud_availability_zone"] == "eu-1a", "{report}");
    let joined = logs.iter().any(|log| log["line"] == format!("trace_id={TRACE} three\nof two lines"));
    ensure!(joined, "{logs:?}");

    // The watch breaks off in the middle of a line, and the version is forgotten.
    let _ = cluster.events.send("{\"type\":\"MODIF".to_owned());
    let _ = cluster.events.send("-".to_owned());
    cluster.pods.lock().unwrap().retain(|pod| pod["metadata"]["uid"] != CART);
    cluster.pods.lock().unwrap().push_back(cart(json!({})));
    until("the mended annotation", SOON, || async {
        // Whichever watch there is by now.
        cluster.send("ERROR", &json!({"kind": "Status", "code": 410, "reason": "Expired"}));
        let problems = problems(&http, &main).await?;
        ensure!(problems.is_empty(), "{problems:?}");
        Ok(())
    })
    .await?;
    write_cart(folder.path(), "web", &[&format!("trace_id={TRACE} four"), "alone"])?;
    let logs = stored(&http, &gateway, 5).await?;
    let last = logs.last().context("no line")?;
    ensure!(last["line"] == format!("trace_id={TRACE} four"), "{last}");
    ensure!(metric(&http, &main, "trefoil_kubernetes_pods ").await? == 2.0);
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_ships_on_while_the_api_forbids_and_enriches_when_it_allows() -> Result<()> {
    let (folder, http, cluster) = (tempfile::tempdir()?, Http::new()?, Cluster::start().await?);
    *cluster.forbidden.lock().unwrap() = true;
    cluster.put(cart(json!({})));
    let gateway = Program::start(&folder.path().join("data"), &folder.path().join("none/*.log")).await?;
    let port = free_port()?;
    let text = format!(
        "server: {{listen: '127.0.0.1:{port}'}}\n\
         collect: {{{}, positions_dir: '{}/positions'}}\n\
         ship: {{trefoil: {{url: 'http://{}'}}}}\n",
        configured(folder.path(), &cluster),
        folder.path().display(),
        gateway.main
    );
    std::fs::write(folder.path().join("agent.yaml"), text)?;
    write_cart(folder.path(), "web", &[&format!("trace_id={TRACE} one")])?;
    let mut command = Command::new(binary()?);
    command.arg("agent").arg("--config").arg(folder.path().join("agent.yaml"));
    let mut agent = Process::start("trefoil agent", &mut command, &folder.path().join("agent.out"))?;
    let logs = stored(&http, &gateway, 1).await?;
    ensure!(logs[0]["labels"]["service_name"] == "web", "the path alone: {}", logs[0]);
    ensure!(agent.last_words().contains("pods is forbidden"), "{}", agent.last_words());
    let main = format!("127.0.0.1:{port}");
    until("the counts", SOON, || async {
        ensure!(metric(&http, &main, "trefoil_tail_unknown_pod_lines_total ").await? == 1.0);
        ensure!(metric(&http, &main, "trefoil_kubernetes_reached ").await? == 0.0);
        Ok(())
    })
    .await?;

    *cluster.forbidden.lock().unwrap() = false;
    until("the API", SOON, || async {
        ensure!(metric(&http, &main, "trefoil_kubernetes_pods ").await? == 1.0);
        Ok(())
    })
    .await?;
    write_cart(folder.path(), "web", &[&format!("trace_id={TRACE} two")])?;
    let logs = stored(&http, &gateway, 2).await?;
    let last = logs.last().context("no line")?;
    ensure!(last["labels"]["service_name"] == "cart", "{last}");
    ensure!(last["metadata"]["k8s_deployment_name"] == "cart", "{last}");
    ensure!(agent.stop()?.success(), "{}", agent.last_words());
    gateway.stop().await
}

/// Sends a span and two log records that say nothing of a pod.
async fn send_all(http: &Http, gateway: &Program, number: u64, headers: &[(&str, &str)]) -> Result<()> {
    let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]});
    let now = jiff::Timestamp::now().as_nanosecond().to_string();
    let span = json!({"traceId": TRACE, "spanId": format!("{number:016x}"), "name": "GET /cart", "kind": 2,
        "startTimeUnixNano": now, "endTimeUnixNano": now});
    let record =
        json!({"traceId": TRACE, "timeUnixNano": now, "body": {"stringValue": format!("otlp {number}")}});
    let spans = json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]});
    let records = json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]});
    let line = format!("trace_id={TRACE} pushed {number}");
    let pushed = json!({"streams": [{"stream": {"service_name": "cart"}, "values": [[now, line]]}]});
    let headers = [&[("content-type", "application/json")], headers].concat();
    for (address, path, body) in [
        (gateway.otlp_http, "/v1/traces", spans),
        (gateway.otlp_http, "/v1/logs", records),
        (gateway.main, "/loki/api/v1/push", pushed),
    ] {
        let answer =
            http.post(&format!("http://{address}{path}"), &headers, body.to_string().into_bytes()).await?;
        ensure!(answer.status < 300, "{path}: {} {}", answer.status, answer.text());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pod_sends_carries_what_the_api_says_of_the_senders_address() -> Result<()> {
    let (folder, http, cluster) = (tempfile::tempdir()?, Http::new()?, Cluster::start().await?);
    let data = folder.path().join("data");
    let store = format!("store: {{dir: '{}'}}\n", data.display());
    let collect = format!("files: [], kubernetes: {{labels: [tier], api: {{url: '{}'}}}}", cluster.url);
    let gateway = Program::start_collecting(&data, &collect, &store).await?;
    let main = gateway.main.to_string();
    // Nothing is known yet, and nobody waits.
    send_all(&http, &gateway, 1, &[]).await?;
    cluster.put(cart(json!({})));
    until("the pod", SOON, || async {
        cluster.send("MODIFIED", &cart(json!({})));
        ensure!(metric(&http, &main, "trefoil_kubernetes_pods ").await? == 1.0);
        Ok(())
    })
    .await?;
    send_all(&http, &gateway, 2, &[]).await?;
    send_all(&http, &gateway, 3, &[("x-forwarded-for", "10.1.0.7")]).await?;
    // The API is gone, what it said is not.
    *cluster.forbidden.lock().unwrap() = true;
    until("an API that forbids", SOON, || async {
        cluster.send("ERROR", &json!({"kind": "Status", "code": 410, "reason": "Expired"}));
        ensure!(metric(&http, &main, "trefoil_kubernetes_reached ").await? == 0.0);
        Ok(())
    })
    .await?;
    send_all(&http, &gateway, 4, &[]).await?;

    let answer = http.get(&format!("http://{main}/api/v1/traces/{TRACE}")).await?.ok_json()?;
    let (spans, logs) =
        (answer["spans"].as_array().context("spans")?, answer["logs"].as_array().context("logs")?);
    ensure!(spans.len() == 4 && logs.len() == 8, "{answer:#}");
    for span in spans {
        let of_pod = ["0000000000000002", "0000000000000004"].iter().any(|id| span["span_id"] == *id);
        let resource = &span["resource"];
        ensure!(resource["k8s.pod.name"].is_string() == of_pod, "{span}");
        if of_pod {
            ensure!(resource["k8s.pod.name"] == "cart-6d5f8c9b7d-x2x4z", "{resource}");
            ensure!(resource["k8s.deployment.name"] == "cart" && resource["service.version"] == "1.4.0");
            ensure!(resource["k8s.pod.label.tier"] == "front" && resource["k8s.node.name"] == "node-7");
            ensure!(resource["trefoil.pod_by"] == "connection", "{resource}");
        }
    }
    for log in logs {
        let line = log["line"].as_str().context("a line")?;
        let of_pod = line.ends_with('2') || line.ends_with('4');
        ensure!((log["labels"]["pod"] == "cart-6d5f8c9b7d-x2x4z") == of_pod, "{log}");
        ensure!((log["metadata"]["k8s_deployment_name"] == "cart") == of_pod, "{log}");
        ensure!((log["metadata"]["pod_uid"] == CART) == of_pod, "{log}");
    }
    gateway.stop().await
}
