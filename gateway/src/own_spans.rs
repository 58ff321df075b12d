//! The spans of Trefoil's own requests that are traced, stored as any other sender's: an exemplar on `/metrics` leads to one of them.

use std::sync::Arc;
use std::time::Duration;

use parsers::otlp::SpanEncoder;
use parsers::record::{Batch, Span};
use receive::Sink;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Spans that wait for the store; more are dropped, since they only describe ourselves.
const WAITING: usize = 256;
/// Spans are stored in batches this often: an exemplar is scraped no sooner.
const FLUSH: Duration = Duration::from_millis(500);

/// Where requests leave their spans.
#[derive(Debug)]
pub struct OwnSpans(mpsc::Sender<Span>);

impl serve::OwnSpans for OwnSpans {
    fn ended(&self, span: Span) {
        // A full queue drops it: see `WAITING`.
        let _ = self.0.try_send(span);
    }
}

impl OwnSpans {
    /// The handle, and the task that stores what it is given.
    pub fn new(sink: Arc<dyn Sink>, shutdown: CancellationToken) -> (Self, impl Future<Output = ()>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), store(receiver, sink, shutdown))
    }
}

async fn store(mut spans: mpsc::Receiver<Span>, sink: Arc<dyn Sink>, shutdown: CancellationToken) {
    let mut waiting = Vec::new();
    loop {
        tokio::select! {
            received = spans.recv_many(&mut waiting, WAITING) => if received == 0 { return },
            () = shutdown.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(FLUSH) => {}
            () = shutdown.cancelled() => {}
        }
        while let Ok(span) = spans.try_recv() {
            waiting.push(span);
        }
        let mut encoder = SpanEncoder::default();
        for span in waiting.drain(..) {
            // The few that wait are far below what a batch may hold.
            let _ = encoder.push(&span);
        }
        let batch = Batch { spans: encoder.finish(), ..Batch::default() };
        if let Err(refusal) = sink.accept(Arc::new(batch)).await {
            tracing::debug!(%refusal, "own spans were not stored");
        }
    }
}
