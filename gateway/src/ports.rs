//! The ports that receivers have of their own, each of which may be off: bound first, served once there is
//! somewhere to put what comes.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use correlate::Doors;
use receive::jaeger::{Jaeger, Protocol};
use receive::otlp::Otlp;
use receive::zipkin::Zipkin;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Receive;
use crate::front::Front;
use crate::listener::{BindError, Datagrams, Listener};
use crate::tls::Certificates;

/// What is served on the ports.
pub struct Receivers<'a> {
    /// Both ports of OTLP.
    pub otlp: &'a Otlp,
    /// Zipkin's port.
    pub zipkin: &'a Zipkin,
    /// All ports of Jaeger.
    pub jaeger: &'a Jaeger,
    /// The router of Elastic's agents, which may have tokens of its own.
    pub elastic_apm: Router,
}

/// Bound ports.
#[derive(Debug)]
pub struct Ports {
    otlp_grpc: Option<Listener>,
    otlp_http: Option<Listener>,
    zipkin: Option<Listener>,
    elastic_apm: Option<Listener>,
    jaeger_http: Option<Listener>,
    jaeger_grpc: Option<Listener>,
    jaeger_sampling: Option<Listener>,
    jaeger_compact: Option<Datagrams>,
    jaeger_binary: Option<Datagrams>,
}

impl Ports {
    /// Binds all that are not off; those speak TLS that do not have it off.
    pub async fn bind(config: &Receive, certificates: Option<&Arc<Certificates>>) -> Result<Self, BindError> {
        let (otlp, zipkin, jaeger, apm) = (&config.otlp, &config.zipkin, &config.jaeger, &config.elastic_apm);
        let listen = async |address, tls: bool, purpose, key| {
            let bound = Listener::bind_unless_off(address, purpose, key).await?;
            let certificates = certificates.filter(|_| tls).cloned();
            Ok(bound.map(|listener| listener.with_tls(certificates)))
        };
        let hear = Datagrams::bind_unless_off;
        Ok(Self {
            otlp_grpc: listen(otlp.grpc, otlp.tls, OTLP_GRPC, "receive.otlp.grpc").await?,
            otlp_http: listen(otlp.http, otlp.tls, OTLP_HTTP, "receive.otlp.http").await?,
            zipkin: listen(zipkin.http, zipkin.tls, ZIPKIN, "receive.zipkin.http").await?,
            elastic_apm: listen(apm.http, apm.tls, ELASTIC_APM, "receive.elastic_apm.http").await?,
            jaeger_http: listen(jaeger.http, jaeger.tls, JAEGER_HTTP, "receive.jaeger.http").await?,
            jaeger_grpc: listen(jaeger.grpc, jaeger.tls, JAEGER_GRPC, "receive.jaeger.grpc").await?,
            jaeger_sampling: listen(jaeger.sampling, jaeger.tls, JAEGER_SAMPLING, "receive.jaeger.sampling")
                .await?,
            jaeger_compact: hear(jaeger.udp_compact, JAEGER_COMPACT, "receive.jaeger.udp_compact").await?,
            jaeger_binary: hear(jaeger.udp_binary, JAEGER_BINARY, "receive.jaeger.udp_binary").await?,
        })
    }

    /// Where OTLP is received over gRPC and over HTTP, besides the main port.
    pub fn otlp(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let address = |port: &Option<Listener>| port.as_ref().map(|listener| listener.address);
        (address(&self.otlp_grpc), address(&self.otlp_http))
    }

    /// Where spans are received, besides this main port.
    pub fn doors(&self, main: SocketAddr) -> Doors {
        let (otlp_grpc, otlp_http) = self.otlp();
        let mut others = self.addresses();
        others.retain(|(name, _)| *name != JAEGER_SAMPLING);
        Doors { main: Some(main), otlp_grpc, otlp_http, others }
    }

    /// What else is received where.
    pub fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let listeners = [
            (ZIPKIN, &self.zipkin),
            (ELASTIC_APM, &self.elastic_apm),
            (JAEGER_HTTP, &self.jaeger_http),
            (JAEGER_GRPC, &self.jaeger_grpc),
            (JAEGER_SAMPLING, &self.jaeger_sampling),
        ];
        let sockets = [(JAEGER_COMPACT, &self.jaeger_compact), (JAEGER_BINARY, &self.jaeger_binary)];
        let listeners = listeners.into_iter().filter_map(|(name, port)| Some((name, port.as_ref()?.address)));
        let sockets = sockets.into_iter().filter_map(|(name, port)| Some((name, port.as_ref()?.address)));
        listeners.chain(sockets).collect()
    }

    /// Serves until shutdown.
    pub fn serve(
        self,
        receivers: Receivers<'_>,
        front: &Front,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) {
        let Receivers { otlp, zipkin, jaeger, elastic_apm } = receivers;
        let listeners = [
            (self.otlp_grpc, front.receiving(otlp.grpc_port())),
            (self.otlp_http, front.receiving(otlp.http_port())),
            (self.zipkin, front.receiving(zipkin.port())),
            (self.elastic_apm, elastic_apm),
            (self.jaeger_http, front.receiving(jaeger.http_port())),
            (self.jaeger_grpc, front.receiving(jaeger.grpc_port())),
            // Clients that ask here have no way to show a token, and learn nothing but a rate.
            (self.jaeger_sampling, jaeger.sampling()),
        ];
        for (listener, router) in listeners {
            if let Some(listener) = listener {
                tasks.spawn(listener.serve(front.around(router), shutdown.clone()));
            }
        }
        let sockets = [(self.jaeger_compact, Protocol::Compact), (self.jaeger_binary, Protocol::Binary)];
        for (datagrams, protocol) in sockets {
            if let Some(datagrams) = datagrams {
                let ended = shutdown.clone().cancelled_owned();
                tasks.spawn(jaeger.clone().agent(datagrams.socket, protocol, ended));
            }
        }
    }
}

const OTLP_GRPC: &str = "OTLP gRPC";
const OTLP_HTTP: &str = "OTLP HTTP";
const ZIPKIN: &str = "Zipkin";
const ELASTIC_APM: &str = "Elastic APM";
const JAEGER_HTTP: &str = "Jaeger HTTP";
const JAEGER_GRPC: &str = "Jaeger gRPC";
const JAEGER_SAMPLING: &str = "Jaeger sampling";
const JAEGER_COMPACT: &str = "Jaeger UDP compact";
const JAEGER_BINARY: &str = "Jaeger UDP binary";
