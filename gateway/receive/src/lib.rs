//! What applications send: one folder a protocol. Bodies in, batches out to a [`Sink`]; storing them is not known here.
//!
//! What every protocol shares lies beside the folders: a protocol's routes ask an `intake::Door` to read a body and to take
//! it with the protocol's decoder, and write their own answers.

mod body;
mod counters;
pub mod elastic_apm;
mod exemplar_rows;
mod grpc;
mod headers;
mod intake;
pub mod jaeger;
#[cfg(test)]
mod kept;
mod limits;
mod line_times;
mod log_rows;
pub mod loki_push;
pub mod otlp;
mod reasons;
pub mod remote_write;
pub mod scrape;
mod sender;
mod span_intake;
mod tenant;
#[cfg(test)]
mod tests;
mod thrift;
mod translated;
mod trouble;
mod wrong_path;
pub mod zipkin;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parsers::record::Batch;

pub use counters::{Counters, Protocol, ProtocolCounters, SignalCounters};
pub use grpc::refusal as grpc_refusal;
pub use intake::Intake;
pub use limits::{MAX_BODY, MAX_IN_FLIGHT};
pub use sender::Senders;

/// Why a sink does not take a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// Too much at once; later will do.
    Busy,
    /// No room to keep it.
    Full,
    /// It went wrong on this side.
    Failed,
}

/// A batch that was not taken, none of it. All kinds are transient to a sender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// Which kind.
    pub kind: RefusalKind,
    /// For people.
    pub detail: String,
    /// When to try again.
    pub retry_after: Duration,
}

/// Where received records go.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Takes a batch whole or not at all. `Ok` is an acknowledgement.
    async fn accept(&self, batch: Arc<Batch>) -> Result<(), Refusal>;

    /// As [`Sink::accept`], for senders that are told what of a batch's samples is not kept.
    async fn accept_telling(&self, batch: Arc<Batch>) -> Result<LeftOut, Refusal> {
        self.accept(batch).await.map(|()| LeftOut::default())
    }
}

/// Samples of a batch that was taken which are not kept, since their series would be too many or their times are too old. To send
/// them again would not help.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeftOut {
    /// How many.
    pub samples: u64,
    /// Why, for people.
    pub reason: String,
}
