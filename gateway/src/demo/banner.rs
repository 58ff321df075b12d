//! What `trefoil demo` prints.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use parsers::record::TraceId;

use super::exporter::reachable;
use super::services::Pod;

/// Where everything is.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// The gateway's own port.
    pub main: SocketAddr,
    /// OTLP over gRPC.
    pub otlp_grpc: SocketAddr,
    /// OTLP over HTTP.
    pub otlp_http: SocketAddr,
    /// The shop's metrics.
    pub metrics: SocketAddr,
}

/// What to open, what to type and how to stop, with a trace that can be asked for now. `program` is how this one was called.
/// Plain text, under 80 columns but for long ids.
pub fn banner(program: &str, at: Addresses, trace: TraceId) -> String {
    let main = reachable(at.main);
    let metrics = reachable(at.metrics);
    let services: BTreeSet<&str> = Pod::ALL.iter().map(|pod| pod.spec().service).collect();
    let services = services.into_iter().collect::<Vec<_>>().join(", ");
    format!(
        "\
Trefoil runs at http://{main}, with a small shop that logs, traces and counts.

In a browser: http://{main}/#/trace/{trace}

One request through the shop, all of it:
  curl -s http://{main}/api/v1/traces/{trace}
  {program} trace {trace} --url http://{main}

For Grafana, generated for this very address:
  http://{main}/grafana/datasources.yaml
  http://{main}/grafana/dashboards
or by hand as data sources:
  Loki        http://{main}
  Tempo       http://{main}/tempo
  Jaeger      http://{main}/jaeger
  Zipkin      http://{main}/zipkin
  Prometheus  http://{main}/prometheus

To send spans, logs and metrics of your own:
  OTLP gRPC {}, OTLP HTTP http://{}

For a Prometheus to scrape: http://{metrics}/metrics/SERVICE
  ({services})
The API: http://{main}/openapi.json

Ctrl-C stops; the demo's data is removed.
",
        reachable(at.otlp_grpc),
        reachable(at.otlp_http),
    )
}
