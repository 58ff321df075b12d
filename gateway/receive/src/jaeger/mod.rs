//! The Jaeger receiver: thrift over HTTP and in the agent's datagrams, `PostSpans` over gRPC, and the answer that old clients
//! need before they sample. Every encoding ends in `model`, from which spans are made.

mod agent;
mod drops;
mod grpc;
mod model;
mod proto;
mod routes;
#[cfg(test)]
mod tests;
mod thrift;

use axum::Router;
use tokio::net::UdpSocket;

use crate::Intake;
use crate::span_intake::SpanIntake;
pub use crate::thrift::Protocol;
use crate::wrong_path::alone;

/// The receiver, ready to be mounted. Cheap to clone.
#[derive(Clone)]
pub struct Jaeger {
    intake: SpanIntake,
}

impl Jaeger {
    /// Over what the gateway's receivers share; a request has at most `max_body` bytes, on the wire and decompressed.
    pub fn new(intake: &Intake, max_body: usize) -> Self {
        Self { intake: SpanIntake::new(intake.door(crate::Protocol::Jaeger, max_body)) }
    }

    /// `POST /api/traces` and `GET /api/sampling`, to merge on the main port.
    pub fn http(&self) -> Router {
        routes::router(self.intake.clone())
    }

    /// As [`Jaeger::http`], for port 14268.
    pub fn http_port(&self) -> Router {
        alone(self.http(), "thrift, POST to /api/traces; gRPC has a port of its own, usually 14250")
    }

    /// `jaeger.api_v2.CollectorService/PostSpans` and `SamplingManager/GetSamplingStrategy`, to merge on the main port.
    pub fn grpc(&self) -> Router {
        grpc::router(self.intake.clone())
    }

    /// As [`Jaeger::grpc`], for port 14250.
    pub fn grpc_port(&self) -> Router {
        alone(
            self.grpc(),
            "gRPC to jaeger.api_v2.CollectorService; thrift over HTTP has a port of its own, usually 14268",
        )
    }

    /// `GET /sampling`, for port 5778.
    pub fn sampling(&self) -> Router {
        routes::sampling_router()
    }

    /// Takes datagrams of an agent that were received already, together. What cannot be taken is counted.
    pub async fn datagrams<'b>(&self, protocol: Protocol, datagrams: impl IntoIterator<Item = &'b [u8]>) {
        let mut waiting = agent::Waiting::new(&self.intake, protocol);
        datagrams.into_iter().for_each(|datagram| waiting.add(datagram));
        waiting.deliver().await;
    }

    /// Takes the agent's datagrams, `emitBatch` and `emitZipkinBatch`, until `shutdown` ends. Senders are told nothing, so what
    /// cannot be taken is counted.
    pub async fn agent(self, socket: UdpSocket, protocol: Protocol, shutdown: impl Future<Output = ()>) {
        agent::run(&self.intake, &socket, protocol, shutdown).await;
    }
}
