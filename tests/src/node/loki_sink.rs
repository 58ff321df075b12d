//! A Loki of a few lines: counts what is pushed to it and, if asked, keeps it; takes everything, unless it is told to fail.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::stream;
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

/// What it does to a request instead of taking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// 500.
    Error,
    /// 429, and to come back in a second.
    TooMany,
    /// The connection ends within the answer.
    Reset,
    /// No answer.
    Silence,
}

/// What was pushed.
#[derive(Debug, Default)]
struct Counts {
    entries: AtomicU64,
    line_bytes: AtomicU64,
    traced: AtomicU64,
    wire_bytes: AtomicU64,
    failures: Mutex<VecDeque<Failure>>,
    /// Lines by the labels of their streams, in the order in which they came, if they are kept.
    kept: Option<Mutex<BTreeMap<String, Vec<String>>>>,
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
        Self::start_with(Counts::default()).await
    }

    /// The same, and keeps all lines.
    pub async fn start_keeping() -> anyhow::Result<Self> {
        Self::start_with(Counts { kept: Some(Mutex::default()), ..Counts::default() }).await
    }

    async fn start_with(counts: Counts) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let sink = Self { address: listener.local_addr()?, counts: Arc::new(counts) };
        let router = Router::new()
            .route("/loki/api/v1/push", post(take))
            .layer(DefaultBodyLimit::max(64 << 20))
            .with_state(Arc::clone(&sink.counts));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(sink)
    }

    /// Fails the next request like this, or the one after those that are to fail already.
    pub fn fail(&self, failure: Failure) {
        lock(&self.counts.failures).push_back(failure);
    }

    /// Takes all requests from now on.
    pub fn heal(&self) {
        lock(&self.counts.failures).clear();
    }

    /// Lines of the streams whose labels have all of these, in the order in which they came.
    pub fn lines(&self, labels: &[(&str, &str)]) -> Vec<String> {
        let Some(kept) = &self.counts.kept else { return Vec::new() };
        let wanted: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let kept = lock(kept);
        let streams = kept.iter().filter(|(text, _)| wanted.iter().all(|pair| text.contains(pair)));
        streams.flat_map(|(_, lines)| lines.iter().cloned()).collect()
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn take(State(counts): State<Arc<Counts>>, body: Bytes) -> Response {
    let failure = lock(&counts.failures).pop_front();
    match failure {
        Some(Failure::Error) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Some(Failure::TooMany) => {
            return (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "1")]).into_response();
        }
        Some(Failure::Reset) => {
            // A status that is no success, so that a sender that has read no further does not take it for one.
            let broken = stream::once(async { Err::<Bytes, _>(std::io::Error::other("reset")) });
            return (StatusCode::BAD_GATEWAY, Body::from_stream(broken)).into_response();
        }
        Some(Failure::Silence) => std::future::pending().await,
        None => {}
    }
    match accept(&counts, &body) {
        Some(()) => StatusCode::NO_CONTENT.into_response(),
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}

fn accept(counts: &Counts, body: &Bytes) -> Option<()> {
    let raw = snap::raw::Decoder::new().decompress_vec(body).ok()?;
    let push = Push::decode(&*raw).ok()?;
    counts.wire_bytes.fetch_add(body.len() as u64, Relaxed);
    for entry in push.streams.iter().flat_map(|stream| &stream.entries) {
        counts.entries.fetch_add(1, Relaxed);
        counts.line_bytes.fetch_add(entry.line.len() as u64, Relaxed);
        counts.traced.fetch_add(u64::from(entry.metadata.iter().any(|m| m.name == "trace_id")), Relaxed);
    }
    if let Some(kept) = &counts.kept {
        let mut kept = lock(kept);
        for stream in push.streams {
            kept.entry(stream.labels).or_default().extend(stream.entries.into_iter().map(|entry| entry.line));
        }
    }
    Some(())
}
