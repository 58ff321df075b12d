//! The OTLP receiver: HTTP (protobuf and JSON) and gRPC, each as an axum router.
//!
//! Both fronts read a body within limits and hand protobuf to `intake`, which walks it and asks the sink. JSON is rewritten
//! as protobuf first. Nothing of OTLP's meaning is here: that is `parsers::otlp`.

pub(crate) mod body;
pub(crate) mod error;
pub(crate) mod grpc;
mod intake;
mod json;
pub(crate) mod limits;
pub(crate) mod routes;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use parsers::derived::Deriver;

use crate::{Counters, Sink};

pub use limits::OtlpOptions;

/// The three signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    Traces,
    Logs,
    Metrics,
}

/// The receiver, ready to be mounted. Cheap to clone.
#[derive(Clone)]
pub struct Otlp {
    inner: Arc<Inner>,
}

struct Inner {
    sink: Arc<dyn Sink>,
    counters: Arc<Counters>,
    deriver: Option<Arc<Deriver>>,
    options: OtlpOptions,
    budget: limits::Budget,
}

impl Otlp {
    /// `deriver` finds ids in the text of log records that name no trace.
    pub fn new(
        sink: Arc<dyn Sink>,
        counters: Arc<Counters>,
        deriver: Option<Arc<Deriver>>,
        options: OtlpOptions,
    ) -> Self {
        let budget = limits::Budget::new(options.max_in_flight);
        Self { inner: Arc::new(Inner { sink, counters, deriver, options, budget }) }
    }

    /// `/v1/traces`, `/v1/logs`, `/v1/metrics`, for port 4318 or to merge on the main port.
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
        std::future::ready(grpc::unimplemented())
    }
}
