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

use crate::Intake;
use crate::counters::Protocol;
use crate::intake::{Circumstances, Door, Wire};
use crate::limits::MAX_BODY;
use crate::trouble::Trouble;
use crate::wrong_path::alone;
use decode::Answer;
use parsers::otlp::Promoted;

/// The three signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    Traces,
    Logs,
    Metrics,
}

/// Bounds of the receiver, and what it does with resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpOptions {
    /// Bytes of one request, on the wire and decompressed.
    pub max_body: usize,
    /// Resource attributes that become labels of series.
    pub promoted: Promoted,
}

impl Default for OtlpOptions {
    fn default() -> Self {
        Self { max_body: MAX_BODY, promoted: Promoted::default() }
    }
}

/// The receiver, ready to be mounted. Cheap to clone.
#[derive(Clone)]
pub struct Otlp {
    door: Door,
    promoted: Promoted,
}

impl Otlp {
    /// Over what the gateway's receivers share.
    pub fn new(intake: &Intake, options: OtlpOptions) -> Self {
        Self { door: intake.door(Protocol::Otlp, options.max_body), promoted: options.promoted }
    }

    /// `/v1/traces`, `/v1/logs`, `/v1/metrics`, to merge on the main port; also `/otlp/v1/logs`, where Loki takes OTLP.
    pub fn http(&self) -> axum::Router {
        routes::router(self.clone())
    }

    /// As [`Otlp::http`], for port 4318.
    pub fn http_port(&self) -> axum::Router {
        alone(
            self.http(),
            "POST to /v1/traces, /v1/logs and /v1/metrics; gRPC has a port of its own, usually 4317",
        )
    }

    /// The three Export services and `grpc.health.v1.Health/Check`, to merge on the main port.
    pub fn grpc(&self) -> axum::Router {
        grpc::router(self.clone())
    }

    /// As [`Otlp::grpc`], for port 4317.
    pub fn grpc_port(&self) -> axum::Router {
        alone(
            self.grpc(),
            "gRPC to the Export services of OTLP; OTLP over HTTP has a port of its own, usually 4318",
        )
    }

    async fn take(&self, signal: Signal, as_json: bool, wire: Wire) -> Result<Answer, Trouble> {
        let promoted = self.promoted.clone();
        let read = move |body, at: &Circumstances| decode::decode(signal, as_json, body, at, &promoted);
        let taken = self.door.take_telling(wire, read);
        taken.await.map(|(rejections, left_out)| Answer { rejections, left_out })
    }
}
