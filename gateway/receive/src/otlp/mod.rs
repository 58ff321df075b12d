//! The OTLP receiver: HTTP (protobuf and JSON) and gRPC, each as an axum router.
//!
//! Both fronts read a body within limits and hand protobuf to `decode`, which walks it. JSON is rewritten as protobuf
//! first. Nothing of OTLP's meaning is here: that is `parsers::otlp`.

mod decode;
mod grpc;
mod json;
mod routes;
#[cfg(test)]
mod tests;

use parsers::otlp::Rejections;

use crate::Intake;
use crate::counters::Protocol;
use crate::intake::{Door, Wire};
use crate::limits::MAX_BODY;
use crate::trouble::Trouble;

/// The three signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    Traces,
    Logs,
    Metrics,
}

/// Bounds of the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtlpOptions {
    /// Bytes of one request, on the wire and decompressed.
    pub max_body: usize,
}

impl Default for OtlpOptions {
    fn default() -> Self {
        Self { max_body: MAX_BODY }
    }
}

/// The receiver, ready to be mounted. Cheap to clone.
#[derive(Clone)]
pub struct Otlp {
    door: Door,
}

impl Otlp {
    /// Over what the gateway's receivers share.
    pub fn new(intake: &Intake, options: OtlpOptions) -> Self {
        Self { door: intake.door(Protocol::Otlp, options.max_body) }
    }

    /// `/v1/traces`, `/v1/logs`, `/v1/metrics`, for port 4318 or to merge on the main port; also `/otlp/v1/logs`, where
    /// Loki takes OTLP.
    pub fn http(&self) -> axum::Router {
        routes::router(self.clone())
    }

    /// The three Export services and `grpc.health.v1.Health/Check`. It has no fallback of its own, so it merges on the main
    /// port; alone on 4317 add [`Otlp::grpc_unimplemented`] as the fallback.
    pub fn grpc(&self) -> axum::Router {
        grpc::router(self.clone())
    }

    /// What gRPC answers for an unknown service: UNIMPLEMENTED.
    pub fn grpc_unimplemented() -> std::future::Ready<axum::response::Response> {
        std::future::ready(crate::grpc::unimplemented())
    }

    async fn take(&self, signal: Signal, as_json: bool, wire: Wire) -> Result<Rejections, Trouble> {
        self.door.take(wire, move |body, at| decode::decode(signal, as_json, body, at)).await
    }
}
