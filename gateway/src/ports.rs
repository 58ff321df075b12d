//! The ports that receivers besides OTLP have of their own, each of which may be off: bound first, served once there is
//! somewhere to put what comes.

use std::net::SocketAddr;

use receive::elastic_apm::ElasticApm;
use receive::jaeger::{Jaeger, Protocol};
use receive::zipkin::Zipkin;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Receive;
use crate::listener::{BindError, Datagrams, Listener};

/// Bound ports.
#[derive(Debug)]
pub struct Ports {
    zipkin: Option<Listener>,
    elastic_apm: Option<Listener>,
    jaeger_http: Option<Listener>,
    jaeger_grpc: Option<Listener>,
    jaeger_sampling: Option<Listener>,
    jaeger_compact: Option<Datagrams>,
    jaeger_binary: Option<Datagrams>,
}

impl Ports {
    /// Binds all that are not off.
    pub async fn bind(config: &Receive) -> Result<Self, BindError> {
        let jaeger = &config.jaeger;
        let listen = Listener::bind_unless_off;
        let hear = Datagrams::bind_unless_off;
        Ok(Self {
            zipkin: listen(config.zipkin.http, ZIPKIN, "receive.zipkin.http").await?,
            elastic_apm: listen(config.elastic_apm.http, ELASTIC_APM, "receive.elastic_apm.http").await?,
            jaeger_http: listen(jaeger.http, JAEGER_HTTP, "receive.jaeger.http").await?,
            jaeger_grpc: listen(jaeger.grpc, JAEGER_GRPC, "receive.jaeger.grpc").await?,
            jaeger_sampling: listen(jaeger.sampling, JAEGER_SAMPLING, "receive.jaeger.sampling").await?,
            jaeger_compact: hear(jaeger.udp_compact, JAEGER_COMPACT, "receive.jaeger.udp_compact").await?,
            jaeger_binary: hear(jaeger.udp_binary, JAEGER_BINARY, "receive.jaeger.udp_binary").await?,
        })
    }

    /// What is received where.
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
        zipkin: &Zipkin,
        jaeger: &Jaeger,
        elastic_apm: &ElasticApm,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) {
        let listeners = [
            (self.zipkin, zipkin.port()),
            (self.elastic_apm, elastic_apm.port()),
            (self.jaeger_http, jaeger.http_port()),
            (self.jaeger_grpc, jaeger.grpc_port()),
            (self.jaeger_sampling, jaeger.sampling()),
        ];
        for (listener, router) in listeners {
            if let Some(listener) = listener {
                tasks.spawn(listener.serve(router, shutdown.clone()));
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

const ZIPKIN: &str = "Zipkin";
const ELASTIC_APM: &str = "Elastic APM";
const JAEGER_HTTP: &str = "Jaeger HTTP";
const JAEGER_GRPC: &str = "Jaeger gRPC";
const JAEGER_SAMPLING: &str = "Jaeger sampling";
const JAEGER_COMPACT: &str = "Jaeger UDP compact";
const JAEGER_BINARY: &str = "Jaeger UDP binary";
