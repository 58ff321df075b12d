//! The watch of a node's pods, over all that an API does to it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{Access, Pods, Selection, Told, Watch};

/// The body of a watch: what is sent, and its end when the sender goes.
type Sender = mpsc::UnboundedSender<Result<Bytes, std::io::Error>>;

#[derive(Default)]
struct Api {
    lists: Mutex<VecDeque<Value>>,
    zone: Mutex<Option<Value>>,
    asked: Mutex<Vec<String>>,
    watches: Mutex<Option<mpsc::UnboundedSender<Sender>>>,
}

fn status(code: u16, message: &str) -> Response {
    let body = json!({"kind": "Status", "status": "Failure", "message": message, "code": code}).to_string();
    (StatusCode::from_u16(code).unwrap(), body).into_response()
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
        Some(list) if list["code"] == 410 => status(410, "The provided continue parameter is too old"),
        Some(list) => list.to_string().into_response(),
        None => status(403, "pods is forbidden: User \"system:serviceaccount:trefoil:agent\" cannot list"),
    }
}

async fn node(State(api): State<Arc<Api>>) -> Response {
    match &*api.zone.lock().unwrap() {
        Some(zone) => json!({"metadata": {"name": "n1", "labels": zone}}).to_string().into_response(),
        None => status(403, "nodes is forbidden"),
    }
}

struct Cluster {
    api: Arc<Api>,
    watches: mpsc::UnboundedReceiver<Sender>,
    pods: Arc<Pods>,
    folder: tempfile::TempDir,
    stop: CancellationToken,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Cluster {
    async fn start(lists: Vec<Value>) -> Self {
        Self::watching(Some("n1"), lists).await
    }

    async fn watching(of_node: Option<&str>, lists: Vec<Value>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (sender, watches) = mpsc::unbounded_channel();
        let api = Arc::new(Api {
            lists: Mutex::new(lists.into()),
            zone: Mutex::new(Some(json!({"topology.kubernetes.io/zone": "eu-1a"}))),
            watches: Mutex::new(Some(sender)),
            ..Api::default()
        });
        let router = Router::new()
            .route("/api/v1/pods", get(pods))
            .route("/api/v1/nodes/n1", get(node))
            .with_state(Arc::clone(&api));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "first\n").unwrap();
        let access =
            Access { url: Some(url), token_file: Some(folder.path().join("token")), ..Access::default() };
        let stop = CancellationToken::new();
        let watch = Watch { access, node: of_node.map(str::to_owned), selection: Selection::default() };
        Self { api, watches, pods: Pods::watch(watch, stop.clone()), folder, stop }
    }

    async fn watch(&mut self) -> Sender {
        self.watches.recv().await.unwrap()
    }

    fn app(&self, uid: &str) -> String {
        match self.pods.pod(Some(uid), "", "") {
            Told::Pod(pod) => pod.app.clone().unwrap_or_default(),
            Told::Awaited => "awaited".to_owned(),
            Told::Nothing => "nothing".to_owned(),
        }
    }

    async fn until(&self, what: impl Fn(&Self) -> bool) {
        let looked = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(5));
            while !what(self) {
                ticks.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), looked).await.unwrap();
    }

    async fn knows(&self, uid: &str, app: &str) {
        self.until(|cluster| cluster.app(uid) == app).await;
    }
}

fn pod(uid: &str, app: &str, version: &str) -> Value {
    json!({
        "kind": "Pod",
        "metadata": {"name": format!("cart-{uid}"), "namespace": "shop", "uid": uid, "resourceVersion": version, "labels": {"app": app}},
        "spec": {"nodeName": "n1", "containers": [{"name": "web"}]}
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
async fn pods_of_the_node_are_listed_and_followed_and_deleted_ones_are_remembered() {
    let mut cluster =
        Cluster::start(vec![list(&[pod("a", "cart", "1")], "next"), list(&[pod("b", "db", "2")], "")]).await;
    assert_eq!(cluster.app("a"), "awaited");
    let watch = cluster.watch().await;
    cluster.knows("a", "cart").await;
    cluster.knows("b", "db").await;
    cluster.until(|cluster| cluster.pods.zone().as_deref() == Some("eu-1a")).await;
    assert_eq!(cluster.app("c"), "awaited");
    let before = cluster.pods.revision();
    send(&watch, "ADDED", &pod("c", "web", "11"));
    cluster.knows("c", "web").await;
    send(&watch, "MODIFIED", &pod("a", "cart", "12"));
    send(&watch, "DELETED", &pod("b", "db", "13"));
    cluster.until(|cluster| cluster.pods.known() == 2).await;
    assert_eq!(cluster.app("b"), "db", "its last lines are still read");
    assert_eq!(cluster.pods.revision(), before + 1, "nothing new was said of the others");
    send(&watch, "BOOKMARK", &json!({"kind": "Pod", "metadata": {"resourceVersion": "44"}}));
    // Broken off in the middle of a line: it goes on from the bookmark, with the token as it is by then.
    watch.send(Ok(Bytes::from_static(b"{\"type\":\"ADDED\",\"object\":{\"metad"))).unwrap();
    std::fs::write(cluster.folder.path().join("token"), "second\n").unwrap();
    drop(watch);
    let watch = cluster.watch().await;
    send(&watch, "MODIFIED", &pod("a", "carts", "45"));
    cluster.knows("a", "carts").await;
    let asked = cluster.api.asked.lock().unwrap().clone();
    assert!(asked.iter().all(|it| it.contains("fieldSelector=spec.nodeName%3Dn1")), "{asked:?}");
    assert!(asked[0].contains("limit=250") && asked[0].contains("resourceVersion=0"), "{asked:?}");
    assert!(asked[1].contains("continue=next") && !asked[1].contains("resourceVersion"), "{asked:?}");
    assert!(
        asked[2].contains("resourceVersion=10") && asked[2].contains("allowWatchBookmarks=true"),
        "{asked:?}"
    );
    assert!(asked[2].starts_with("Bearer first "), "{asked:?}");
    assert!(asked[3].starts_with("Bearer second ") && asked[3].contains("resourceVersion=44"), "{asked:?}");
}

#[tokio::test]
async fn a_forgotten_version_is_listed_anew_and_not_from_what_the_api_has_in_memory() {
    let pages =
        vec![list(&[pod("a", "cart", "1"), pod("b", "db", "1")], ""), list(&[pod("b", "db2", "9")], "")];
    let mut cluster = Cluster::start(pages).await;
    let watch = cluster.watch().await;
    cluster.knows("a", "cart").await;
    send(
        &watch,
        "ERROR",
        &json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}),
    );
    cluster.knows("b", "db2").await;
    assert_eq!((cluster.app("a"), cluster.pods.known()), ("cart".to_owned(), 1), "deleted meanwhile");
    let asked = cluster.api.asked.lock().unwrap().clone();
    assert!(asked[0].contains("resourceVersion=0") && !asked[2].contains("resourceVersion"), "{asked:?}");
}

#[tokio::test]
async fn nobody_waits_for_an_api_that_refuses_and_what_was_known_stays() {
    let mut cluster = Cluster::start(vec![list(&[pod("a", "cart", "1")], "")]).await;
    let watch = cluster.watch().await;
    cluster.knows("a", "cart").await;
    send(&watch, "ERROR", &json!({"kind": "Status", "code": 410}));
    drop(watch);
    // Lists are forbidden from here on.
    cluster.knows("z", "nothing").await;
    assert_eq!(cluster.app("a"), "cart");
    cluster.api.lists.lock().unwrap().push_back(list(&[pod("z", "web", "3")], ""));
    let _watch = cluster.watch().await;
    cluster.knows("z", "web").await;
    cluster.knows("y", "awaited").await;
}

#[tokio::test]
async fn static_pods_are_known_by_the_hash_in_their_paths_and_links_by_their_names() {
    let mut fixed = pod("object-uid", "etcd", "1");
    fixed["metadata"]["annotations"] =
        json!({"kubernetes.io/config.hash": "0c1d", "kubernetes.io/config.mirror": "0c1d"});
    let mut cluster = Cluster::start(vec![list(&[fixed, pod("a", "cart", "1")], "")]).await;
    let _watch = cluster.watch().await;
    cluster.knows("0c1d", "etcd").await;
    let named = |name| match cluster.pods.pod(None, "shop", name) {
        Told::Pod(pod) => pod.app.clone(),
        _ => None,
    };
    assert_eq!((named("cart-a"), named("cart-b")), (Some("cart".to_owned()), None));
}

#[tokio::test]
async fn a_node_that_may_not_be_asked_for_costs_the_zone_alone() {
    let mut cluster = Cluster::start(vec![list(&[pod("a", "cart", "1")], "")]).await;
    *cluster.api.zone.lock().unwrap() = None;
    let _watch = cluster.watch().await;
    cluster.knows("a", "cart").await;
}

/// A pod that has got its address.
fn at(mut pod: Value, address: &str, phase: &str) -> Value {
    pod["status"] = json!({"phase": phase, "podIP": address, "podIPs": [{"ip": address}, {"ip": "fd00::7"}]});
    pod
}

#[tokio::test]
async fn an_address_is_that_of_the_pod_that_has_it_now_for_itself_alone() {
    let mut on_host = at(pod("h", "proxy", "1"), "10.0.0.1", "Running");
    on_host["spec"]["hostNetwork"] = json!(true);
    let ended = at(pod("e", "job", "1"), "10.1.0.4", "Succeeded");
    let running = at(pod("a", "cart", "1"), "10.1.0.4", "Running");
    let mut cluster = Cluster::watching(None, vec![list(&[running, ended, on_host], "")]).await;
    let watch = cluster.watch().await;
    let app = |cluster: &Cluster, address: &str| {
        cluster.pods.of_address(address.parse().unwrap()).and_then(|pod| pod.app.clone())
    };
    cluster.knows("h", "proxy").await;
    assert_eq!(app(&cluster, "10.1.0.4").as_deref(), Some("cart"));
    assert_eq!(app(&cluster, "fd00::7").as_deref(), Some("cart"));
    assert_eq!(app(&cluster, "10.0.0.1"), None, "its node's");
    let asked = cluster.api.asked.lock().unwrap().clone();
    assert!(asked.iter().all(|it| !it.contains("fieldSelector")), "{asked:?}");

    send(&watch, "MODIFIED", &at(pod("a", "cart", "11"), "10.1.0.9", "Running"));
    cluster.until(|cluster| app(cluster, "10.1.0.9").is_some() && app(cluster, "10.1.0.4").is_none()).await;
    // The next one has it before the last one is told to be gone.
    send(&watch, "ADDED", &at(pod("b", "web", "12"), "10.1.0.9", "Running"));
    cluster.until(|cluster| app(cluster, "10.1.0.9").as_deref() == Some("web")).await;
    send(&watch, "DELETED", &at(pod("a", "cart", "13"), "10.1.0.9", "Running"));
    cluster.until(|cluster| cluster.pods.known() == 3).await;
    assert_eq!(app(&cluster, "10.1.0.9").as_deref(), Some("web"));
    assert_eq!(cluster.pods.of_uid("a").and_then(|pod| pod.app.clone()).as_deref(), Some("cart"));
}
