//! What the receivers count, by protocol.

use std::sync::atomic::{AtomicU64, Ordering};

/// What senders speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// OTLP, over gRPC and HTTP.
    Otlp,
    /// Zipkin v1 and v2.
    Zipkin,
    /// Jaeger, thrift and gRPC.
    Jaeger,
    /// Elastic APM intake v2.
    ElasticApm,
    /// Loki push.
    LokiPush,
    /// Prometheus remote write 1.0 and 2.0.
    RemoteWrite,
    /// OpenMetrics and Prometheus' text format of targets that are scraped.
    Scrape,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Otlp,
        Self::Zipkin,
        Self::Jaeger,
        Self::ElasticApm,
        Self::LokiPush,
        Self::RemoteWrite,
        Self::Scrape,
    ];

    /// As the configuration and the metrics name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Otlp => "otlp",
            Self::Zipkin => "zipkin",
            Self::Jaeger => "jaeger",
            Self::ElasticApm => "elastic_apm",
            Self::LokiPush => "loki_push",
            Self::RemoteWrite => "remote_write",
            Self::Scrape => "scrape",
        }
    }
}

/// Counts of one signal.
#[derive(Debug, Default)]
pub struct SignalCounters {
    /// Records that the sink took: spans, log records, samples.
    pub accepted: AtomicU64,
    /// Records left out because the protocol does not allow them.
    pub rejected: AtomicU64,
    /// Records that the sink refused; senders send them again, if their protocol does.
    pub refused: AtomicU64,
}

/// Counts of one protocol.
#[derive(Debug, Default)]
pub struct ProtocolCounters {
    /// Spans.
    pub spans: SignalCounters,
    /// Log records.
    pub logs: SignalCounters,
    /// Samples.
    pub samples: SignalCounters,
    /// Exemplars that the sink took.
    pub exemplars: AtomicU64,
    /// Requests turned away before they were read: over the bound on bytes in flight.
    pub turned_away: AtomicU64,
    /// Requests turned away before they were read: without a token or key that is known here.
    pub unauthorized: AtomicU64,
    /// Decompressed bytes of what the sink took.
    pub bytes: AtomicU64,
}

/// What the receivers count.
#[derive(Debug, Default)]
pub struct Counters {
    protocols: [ProtocolCounters; Protocol::ALL.len()],
    /// Datagrams that could not be read, or held no good span. Their senders are told nothing.
    pub bad_datagrams: AtomicU64,
    /// Datagrams whose spans the sink refused; nobody sends them again.
    pub lost_datagrams: AtomicU64,
    /// Datagrams for which the kernel had no room left, as far as it tells.
    pub dropped_datagrams: AtomicU64,
}

impl Counters {
    /// Of one protocol.
    pub fn of(&self, protocol: Protocol) -> &ProtocolCounters {
        let [otlp, zipkin, jaeger, elastic_apm, loki_push, remote_write, scrape] = &self.protocols;
        match protocol {
            Protocol::Otlp => otlp,
            Protocol::Zipkin => zipkin,
            Protocol::Jaeger => jaeger,
            Protocol::ElasticApm => elastic_apm,
            Protocol::LokiPush => loki_push,
            Protocol::RemoteWrite => remote_write,
            Protocol::Scrape => scrape,
        }
    }
}

pub(crate) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
