//! What applications send: one folder a protocol. Bodies in, batches out to a [`Sink`]; storing them is not known here.

pub mod jaeger;
#[cfg(test)]
mod kept;
pub mod otlp;
mod span_intake;
mod thrift;
mod translated;
pub mod zipkin;

pub use span_intake::{SpanIntake, SpanIntakeOptions};

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parsers::record::Batch;

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
}

/// Counts of one signal.
#[derive(Debug, Default)]
pub struct SignalCounters {
    /// Records that the sink took: spans, log records, samples.
    pub accepted: AtomicU64,
    /// Records left out because the protocol does not allow them.
    pub rejected: AtomicU64,
    /// Records that the sink refused; senders send them again.
    pub refused: AtomicU64,
    /// Requests turned away before they were read: over the bound on bytes in flight.
    pub turned_away: AtomicU64,
    /// Decompressed bytes of the requests that the sink took.
    pub bytes: AtomicU64,
}

/// What the receivers count.
#[derive(Debug, Default)]
pub struct Counters {
    /// Spans.
    pub traces: SignalCounters,
    /// Log records.
    pub logs: SignalCounters,
    /// Samples.
    pub metrics: SignalCounters,
    /// Exemplars that the sink took.
    pub exemplars: AtomicU64,
    /// Datagrams that could not be read, or held no good span. Their senders are told nothing.
    pub bad_datagrams: AtomicU64,
    /// Datagrams whose spans the sink refused; nobody sends them again.
    pub lost_datagrams: AtomicU64,
}

fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
