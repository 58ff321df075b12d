//! What the dashboards are about, all of it at once: the demo with what it does not have itself beside it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use axum::Router;
use axum::routing::get;
use jiff::Timestamp;
use serde_json::json;
use tests::harness::{DJANGO_SERVICE, Demo, Django, Http, Otlp};

/// The Django's `service.name` and `job`.
pub(super) const DJANGO: &str = DJANGO_SERVICE;
/// A pod of the demo's shop, beside which a proxy runs here.
const POD: &str = "catalog-79c8b6d5f-2wq6j";
const POD_UID: &str = "51c3f60b-44e8-4d91-9f30-c724da16e906";
/// Longer than any line that is kept whole.
const TOO_LONG: usize = 400_000;
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// Everything that runs.
pub(super) struct Fed {
    pub(super) demo: Demo,
    django: Django,
    _folder: tempfile::TempDir,
    laps: AtomicU64,
}

impl Fed {
    pub(super) async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let pages = pages().await?;
        let named = folder.path().join("django.yml");
        let scrape = format!(
            "scrape:\n  interval: 1s\n  jobs:\n\
             \x20   - {{job: istio, targets: ['{pages}'], metrics_path: /istio}}\n\
             \x20   - {{job: kubelet, targets: ['{pages}'], metrics_path: /kubernetes, honor_labels: true}}\n\
             \x20   - {{job: {DJANGO}, file_sd: ['{}']}}\n",
            named.display()
        );
        let demo = Demo::start(&scrape).await?;
        let pods = demo.pods()?;
        let otlp = Otlp::Http(demo.url.clone());
        let django = Django::start(&folder.path().join("django"), &pods, otlp).await?;
        std::fs::write(&named, format!("- {{targets: ['{}']}}\n", django.address))?;
        proxy_lines(&pods)?;
        Ok(Self { demo, django, _folder: folder, laps: AtomicU64::new(0) })
    }

    /// Visits, and faults for what shows faults.
    pub(super) async fn go_on(&self, http: &Http) -> Result<()> {
        for (page, status) in
            [("fast", 200), ("slow", 200), ("stock", 200), ("broken", 500), ("misread", 503)]
        {
            let answer = http.get(&format!("http://{}/{page}", self.django.address)).await?;
            ensure!(answer.status == status, "{page}: {}", answer.status);
        }
        let now = Timestamp::now();
        let lap = self.laps.fetch_add(1, Ordering::Relaxed) + 1;
        let proxied = json!({"traceId": format!("{:032x}", 0x1577_0000 + lap), "id": format!("{lap:016x}"),
            "kind": "SERVER", "name": "catalog.shop.svc.cluster.local:8080/*", "timestamp": now.as_microsecond(),
            "duration": 1_500, "localEndpoint": {"serviceName": "catalog.shop"},
            "tags": {"component": "proxy", "error": "true", "http.status_code": "503", "response_flags": "UH"}});
        // The second one has no id: it is left out, and counted.
        let spans = json!([proxied, {"name": "nobody's"}]).to_string();
        let pushed = json!({"streams": [{"stream": {"service_name": "batch"},
            "values": [[now.as_nanosecond().to_string(), "level=info msg=\"night run\""]]}]});
        for (path, body, taken) in [
            ("/api/v2/spans", spans, true),
            ("/loki/api/v1/push", pushed.to_string(), true),
            ("/v1/traces", "no request of OTLP".to_owned(), false),
        ] {
            let answer = http.post(&format!("{}{path}", self.demo.url), &JSON, body.into_bytes()).await?;
            ensure!((answer.status < 300) == taken, "{path}: {} {}", answer.status, answer.text());
        }
        Ok(())
    }
}

/// What Istio's proxy writes beside a pod, and a line of which the end is lost.
fn proxy_lines(pods: &Path) -> Result<()> {
    let container = pods.join(format!("shop_{POD}_{POD_UID}")).join("istio-proxy");
    std::fs::create_dir_all(&container)?;
    let mut file = std::fs::File::create(container.join("0.log"))?;
    let now = Timestamp::now();
    let access = "\"GET /products/7 HTTP/1.1\" 503 UH no_healthy_upstream - \"-\" 0 19 0 - \"-\" \"curl/8\" \
                  \"5b6fd1a3-0000-4000-8000-000000000001\" \"catalog.shop:8080\" \"-\" inbound|8080|| - \
                  10.244.3.31:8080 10.244.1.11:40112 - default";
    writeln!(file, "{now:.9} stdout F [{now:.3}] {access}")?;
    let part = "x".repeat(16_000);
    for _ in 0..TOO_LONG / part.len() {
        writeln!(file, "{now:.9} stdout P {part}")?;
    }
    writeln!(file, "{now:.9} stdout F end")?;
    Ok(())
}

/// Serves what proxies, the kubelet and kube-state-metrics show; counters go on with each scrape.
async fn pages() -> Result<std::net::SocketAddr> {
    let scrapes = Arc::new(AtomicU64::new(1));
    let page = |write: fn(u64) -> String| {
        let scrapes = Arc::clone(&scrapes);
        get(move || async move { write(scrapes.fetch_add(1, Ordering::Relaxed)) })
    };
    let routes = Router::new().route("/istio", page(istio)).route("/kubernetes", page(kubernetes));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(address)
}

/// Istio's standard metrics, with the labels that its proxies give them.
fn istio(n: u64) -> String {
    let common = "source_workload=\"frontend\",source_workload_namespace=\"shop\",source_canonical_service=\"frontend\",\
                  source_canonical_revision=\"latest\",source_app=\"frontend\",source_version=\"3.12.0\",\
                  source_cluster=\"Kubernetes\",source_principal=\"spiffe://cluster.local/ns/shop/sa/frontend\",\
                  destination_workload=\"catalog\",destination_workload_namespace=\"shop\",\
                  destination_canonical_service=\"catalog\",destination_canonical_revision=\"latest\",\
                  destination_app=\"catalog\",destination_version=\"2.31.0\",destination_cluster=\"Kubernetes\",\
                  destination_principal=\"spiffe://cluster.local/ns/shop/sa/catalog\",\
                  destination_service=\"catalog.shop.svc.cluster.local\",destination_service_name=\"catalog\",\
                  destination_service_namespace=\"shop\",request_protocol=\"http\",grpc_response_status=\"\"";
    let mut page = String::new();
    for kind in ["istio_requests_total", "istio_request_duration_milliseconds"] {
        let is = if kind.ends_with("_total") { "counter" } else { "histogram" };
        let _ = writeln!(page, "# TYPE {kind} {is}");
        for (reporter, policy) in [("source", "unknown"), ("destination", "mutual_tls")] {
            for (code, flags, times) in [("200", "-", 9), ("503", "UH", 1), ("0", "DC", 1)] {
                let labels = format!(
                    "reporter=\"{reporter}\",{common},response_code=\"{code}\",response_flags=\"{flags}\",\
                     connection_security_policy=\"{policy}\""
                );
                let count = n * times;
                if is == "counter" {
                    let _ = writeln!(page, "{kind}{{{labels}}} {count}");
                    continue;
                }
                for (bound, below) in [("5", count / 2), ("10", count), ("+Inf", count)] {
                    let _ = writeln!(page, "{kind}_bucket{{{labels},le=\"{bound}\"}} {below}");
                }
                let _ =
                    writeln!(page, "{kind}_sum{{{labels}}} {}\n{kind}_count{{{labels}}} {count}", count * 4);
            }
        }
    }
    page
}

/// What cAdvisor says of a container and of its pod, and kube-state-metrics of its restarts.
fn kubernetes(n: u64) -> String {
    let pod = format!("namespace=\"shop\",pod=\"{POD}\"");
    let path = format!("/kubepods/burstable/pod{POD_UID}");
    let of = |container: &str, image: &str| {
        format!("container=\"{container}\",id=\"{path}\",image=\"{image}\",name=\"{container}\",{pod}")
    };
    let (whole, own) = (of("", ""), of("catalog", "registry.example/catalog:2.31.0"));
    let memory = 90_000_000 + n % 7 * 1_500_000;
    format!(
        "# TYPE container_cpu_usage_seconds_total counter\n\
         container_cpu_usage_seconds_total{{cpu=\"total\",{whole}}} {n}\n\
         container_cpu_usage_seconds_total{{cpu=\"total\",{own}}} {n}\n\
         # TYPE container_memory_working_set_bytes gauge\n\
         container_memory_working_set_bytes{{{whole}}} {memory}\n\
         container_memory_working_set_bytes{{{own}}} {memory}\n\
         # TYPE kube_pod_container_status_restarts_total counter\n\
         kube_pod_container_status_restarts_total{{{pod},uid=\"{POD_UID}\",container=\"catalog\"}} {}\n",
        n / 10
    )
}
