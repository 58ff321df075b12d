//! A Loki that takes everything: counts what is pushed to it and answers 204.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use prost::Message;

/// `logproto.PushRequest`, less what is not counted.
#[derive(Clone, PartialEq, Message)]
struct Push {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<Stream>,
}

#[derive(Clone, PartialEq, Message)]
struct Stream {
    #[prost(string, tag = "1")]
    labels: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "2")]
    line: String,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<Pair>,
}

#[derive(Clone, PartialEq, Message)]
struct Pair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// What was pushed.
#[derive(Debug, Default)]
struct Counts {
    entries: AtomicU64,
    line_bytes: AtomicU64,
    traced: AtomicU64,
    wire_bytes: AtomicU64,
}

/// The sink.
#[derive(Debug, Clone)]
pub struct LokiSink {
    /// Where it listens.
    pub address: SocketAddr,
    counts: Arc<Counts>,
}

impl LokiSink {
    /// Listens on a port that the system chooses.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let sink = Self { address: listener.local_addr()?, counts: Arc::default() };
        let router = Router::new()
            .route("/loki/api/v1/push", post(take))
            .layer(DefaultBodyLimit::max(64 << 20))
            .with_state(Arc::clone(&sink.counts));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(sink)
    }

    /// Entries taken.
    pub fn entries(&self) -> u64 {
        self.counts.entries.load(Relaxed)
    }

    /// Bytes of their lines.
    pub fn line_bytes(&self) -> u64 {
        self.counts.line_bytes.load(Relaxed)
    }

    /// Entries whose metadata has a trace id.
    pub fn traced(&self) -> u64 {
        self.counts.traced.load(Relaxed)
    }

    /// Bytes of the request bodies.
    pub fn wire_bytes(&self) -> u64 {
        self.counts.wire_bytes.load(Relaxed)
    }
}

async fn take(State(counts): State<Arc<Counts>>, body: Bytes) -> StatusCode {
    let Ok(raw) = snap::raw::Decoder::new().decompress_vec(&body) else { return StatusCode::BAD_REQUEST };
    let Ok(push) = Push::decode(&*raw) else { return StatusCode::BAD_REQUEST };
    counts.wire_bytes.fetch_add(body.len() as u64, Relaxed);
    for entry in push.streams.iter().flat_map(|stream| &stream.entries) {
        counts.entries.fetch_add(1, Relaxed);
        counts.line_bytes.fetch_add(entry.line.len() as u64, Relaxed);
        counts.traced.fetch_add(u64::from(entry.metadata.iter().any(|m| m.name == "trace_id")), Relaxed);
    }
    StatusCode::NO_CONTENT
}
