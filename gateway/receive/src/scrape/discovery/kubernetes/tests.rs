//! Against an API that answers as a test says.

use std::collections::VecDeque;
use std::sync::Mutex;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::super::Found;
use super::*;
use crate::scrape::report::Scraping;

/// The body of a watch: what is sent, and its end when the sender goes.
type Sender = mpsc::UnboundedSender<Result<Bytes, std::io::Error>>;

#[derive(Default)]
struct Api {
    lists: Mutex<VecDeque<Value>>,
    asked: Mutex<Vec<String>>,
    watches: Mutex<Option<mpsc::UnboundedSender<Sender>>>,
}

async fn pods(State(api): State<Arc<Api>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let query = query.unwrap_or_default();
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    api.asked.lock().unwrap().push(format!("{token} {query}"));
    if query.contains("watch=1") {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        api.watches.lock().unwrap().as_ref().unwrap().send(sender).unwrap();
        let stream = futures::stream::poll_fn(move |cx| receiver.poll_recv(cx));
        return Body::from_stream(stream).into_response();
    }
    match api.lists.lock().unwrap().pop_front() {
        Some(list) => list.to_string().into_response(),
        None => {
            let status = json!({"kind": "Status", "message": "the storage is down", "code": 500});
            (StatusCode::INTERNAL_SERVER_ERROR, status.to_string()).into_response()
        }
    }
}

struct Cluster {
    api: Arc<Api>,
    watches: mpsc::UnboundedReceiver<Sender>,
    found: Arc<Found>,
    scraping: Arc<Scraping>,
    _folder: tempfile::TempDir,
    watching: tokio::task::JoinHandle<()>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl Cluster {
    async fn start(lists: Vec<Value>, change: impl FnOnce(&mut Kubernetes)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (sender, watches) = mpsc::unbounded_channel();
        let api = Arc::new(Api {
            lists: Mutex::new(lists.into()),
            watches: Mutex::new(Some(sender)),
            ..Api::default()
        });
        let router = Router::new()
            .route("/api/v1/pods", get(pods))
            .route("/api/v1/namespaces/{namespace}/pods", get(pods))
            .with_state(Arc::clone(&api));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, "s3cret\n").unwrap();
        let mut options = Kubernetes {
            api: Some(format!("http://{address}")),
            token_file: Some(token),
            ..Kubernetes::default()
        };
        change(&mut options);
        let (found, scraping) = (Arc::<Found>::default(), Arc::<Scraping>::default());
        let outlet = Arc::new(Outlet {
            key: "k".to_owned(),
            name: "pods".to_owned(),
            found: Arc::clone(&found),
            scraping: Arc::clone(&scraping),
        });
        let watching = tokio::spawn(async move { watch(&options, &outlet).await });
        Self { api, watches, found, scraping, _folder: folder, watching }
    }

    /// The addresses that are known once they are these.
    async fn knows(&self, wanted: &str) {
        loop {
            let groups = self.found.groups("k");
            let known: Vec<String> = groups.into_iter().flat_map(|group| group.targets).collect();
            if known.join(" ") == wanted {
                return;
            }
            self.found.changed().await;
        }
    }

    async fn watch(&mut self) -> Sender {
        self.watches.recv().await.unwrap()
    }

    fn troubles(&self) -> Vec<String> {
        self.scraping.snapshot().discovery.into_iter().map(|(_, trouble)| trouble).collect()
    }
}

fn pod(name: &str, ip: &str, version: &str) -> Value {
    json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": "u1", "resourceVersion": version,
            "labels": {"app.kubernetes.io/name": "cart"},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "9100"},
            "ownerReferences": null
        },
        "spec": {"nodeName": "n1", "containers": [{"name": "web", "ports": [{"containerPort": 9100, "name": "http"}]}]},
        "status": {"podIP": ip, "phase": "Running"}
    })
}

fn list(pods: &[Value], more: &str) -> Value {
    json!({"kind": "PodList", "metadata": {"resourceVersion": "10", "continue": more}, "items": pods})
}

fn send(watch: &Sender, kind: &str, object: &Value) {
    let line = format!("{}\n", json!({"type": kind, "object": object}));
    // As networks do, in two pieces.
    let (head, tail) = line.split_at(line.len() / 2);
    for piece in [head, tail] {
        watch.send(Ok(Bytes::from(piece.to_owned()))).unwrap();
    }
}

#[tokio::test]
async fn pods_are_listed_page_by_page_and_followed_from_there() {
    let pages = vec![list(&[pod("a", "10.0.0.1", "1")], "next"), list(&[pod("b", "10.0.0.2", "2")], "")];
    let mut cluster = Cluster::start(pages, |options| options.node = Some("n1".to_owned())).await;
    let watch = cluster.watch().await;
    cluster.knows("10.0.0.1:9100 10.0.0.2:9100").await;
    send(&watch, "ADDED", &pod("c", "10.0.0.3", "11"));
    cluster.knows("10.0.0.1:9100 10.0.0.2:9100 10.0.0.3:9100").await;
    send(&watch, "MODIFIED", &pod("a", "10.0.0.9", "12"));
    send(&watch, "DELETED", &pod("b", "10.0.0.2", "13"));
    cluster.knows("10.0.0.9:9100 10.0.0.3:9100").await;
    send(
        &watch,
        "BOOKMARK",
        &json!({"kind": "Pod", "metadata": {"resourceVersion": "44"}, "spec": {"containers": null}, "status": {}}),
    );
    send(&watch, "ADDED", &pod("d", "10.0.0.4", "45"));
    cluster.knows("10.0.0.9:9100 10.0.0.3:9100 10.0.0.4:9100").await;
    drop(watch);
    let watch = cluster.watch().await;
    send(&watch, "DELETED", &pod("d", "10.0.0.4", "46"));
    cluster.knows("10.0.0.9:9100 10.0.0.3:9100").await;
    let asked = cluster.api.asked.lock().unwrap().clone();
    assert!(
        asked.iter().all(|it| it.starts_with("Bearer s3cret fieldSelector=spec.nodeName%3Dn1&")),
        "{asked:?}"
    );
    assert!(asked[0].contains("limit=250") && asked[1].contains("continue=next"), "{asked:?}");
    assert!(asked[2].contains("resourceVersion=10"), "{asked:?}");
    assert!(asked[3].contains("resourceVersion=45"), "from where it was: {asked:?}");
}

#[tokio::test]
async fn a_forgotten_version_is_listed_anew() {
    let first = list(&[pod("a", "10.0.0.1", "1"), pod("b", "10.0.0.2", "1")], "");
    let pages = vec![first, list(&[pod("b", "10.0.0.2", "1")], "")];
    let mut cluster = Cluster::start(pages, |_| {}).await;
    let watch = cluster.watch().await;
    cluster.knows("10.0.0.1:9100 10.0.0.2:9100").await;
    send(&watch, "ERROR", &json!({"kind": "Status", "code": 410, "message": "too old resource version"}));
    cluster.knows("10.0.0.2:9100").await;
}

#[tokio::test]
async fn what_is_known_stays_while_the_api_is_away() {
    let mut cluster = Cluster::start(vec![list(&[pod("a", "10.0.0.1", "1")], "")], |_| {}).await;
    let watch = cluster.watch().await;
    cluster.knows("10.0.0.1:9100").await;
    // It breaks off, and lists fail from here on.
    send(&watch, "ERROR", &json!({"kind": "Status", "code": 410}));
    drop(watch);
    let troubles = loop {
        match cluster.troubles() {
            troubles if !troubles.is_empty() => break troubles,
            _ => tokio::task::yield_now().await,
        }
    };
    let expected = "/api/v1/pods answers with status 500 Internal Server Error: the storage is down";
    assert_eq!(troubles, [expected]);
    cluster.knows("10.0.0.1:9100").await;
    cluster.api.lists.lock().unwrap().push_back(list(&[], ""));
    let _watch = cluster.watch().await;
    cluster.knows("").await;
    while !cluster.troubles().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn namespaces_are_watched_each_on_its_own() {
    let pages = vec![list(&[pod("a", "10.0.0.1", "1")], ""), list(&[], "")];
    let mut cluster =
        Cluster::start(pages, |options| options.namespaces = vec!["shop".into(), "bank".into()]).await;
    let (first, second) = (cluster.watch().await, cluster.watch().await);
    cluster.knows("10.0.0.1:9100").await;
    send(&second, "ADDED", &pod("z", "10.0.0.7", "3"));
    send(
        &first,
        "ADDED",
        &json!({"metadata": {"name": "quiet", "namespace": "shop"}, "status": {"phase": "Running", "podIP": "1.1.1.1"}}),
    );
    loop {
        let groups = cluster.found.groups("k");
        if groups.len() == 2 {
            break;
        }
        cluster.found.changed().await;
    }
}

#[test]
fn annotations_say_which_port_path_and_scheme() {
    let groups = |change: &dyn Fn(&mut Value)| {
        let mut pod = pod("a", "10.0.0.1", "1");
        change(&mut pod);
        serde_json::from_value::<Pod>(pod).unwrap().groups()
    };
    let plain = groups(&|_| {});
    assert_eq!(plain.len(), 1);
    let label =
        |name: &str| plain[0].labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str());
    for (name, value) in [
        ("namespace", "shop"),
        ("pod", "a"),
        ("node", "n1"),
        ("container", "web"),
        ("__meta_kubernetes_pod_label_app_kubernetes_io_name", "cart"),
        ("__meta_kubernetes_pod_annotation_prometheus_io_scrape", "true"),
        ("__meta_kubernetes_pod_container_port_name", "http"),
    ] {
        assert_eq!(label(name), Some(value), "{name}");
    }
    let more = groups(&|pod| {
        let annotations = &mut pod["metadata"]["annotations"];
        annotations["prometheus.io/path"] = "/actuator".into();
        annotations["prometheus.io/scheme"] = "https".into();
        annotations["prometheus.io/port"] = "7".into();
        annotations["prometheus.io/param_format"] = "x".into();
        pod["status"]["podIP"] = "fd00::1".into();
    });
    assert_eq!(more[0].targets, ["[fd00::1]:7"]);
    for (name, value) in [("__metrics_path__", "/actuator"), ("__scheme__", "https"), ("__param_format", "x")]
    {
        assert!(more[0].labels.contains(&(name.to_owned(), value.to_owned())), "{name}");
    }
    let declared = groups(&|pod| {
        pod["metadata"]["annotations"].as_object_mut().unwrap().remove("prometheus.io/port");
        pod["spec"]["containers"][0]["ports"] = json!([{"containerPort": 1}, {"containerPort": 2, "protocol": "TCP"}, {"containerPort": 3, "protocol": "UDP"}]);
    });
    let addresses: Vec<&str> = declared.iter().map(|group| group.targets[0].as_str()).collect();
    assert_eq!(addresses, ["10.0.0.1:1", "10.0.0.1:2"]);
    assert_eq!(groups(&|pod| pod["spec"]["containers"] = Value::Null)[0].targets, ["10.0.0.1:9100"]);
    assert!(
        groups(&|pod| pod["metadata"]["annotations"]["prometheus.io/scrape"] = "false".into()).is_empty()
    );
    assert!(groups(&|pod| pod["metadata"]["annotations"] = Value::Null).is_empty());
    assert!(groups(&|pod| pod["status"]["phase"] = "Succeeded".into()).is_empty());
    assert!(groups(&|pod| pod["status"]["podIP"] = Value::Null).is_empty());
}
