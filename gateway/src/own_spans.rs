//! Trefoil's own request spans, stored as any other sender's: an exemplar on `/metrics` leads to one of them.

use std::sync::Arc;
use std::time::Duration;

use parsers::otlp::{encode_resource, encode_scope, encode_span};
use parsers::record::{Batch, ByteRange, ResourceRow, Span, SpanBatch, SpanRow};
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
        let batch = Batch { spans: rows(&waiting), ..Batch::default() };
        waiting.clear();
        if let Err(refusal) = sink.accept(Arc::new(batch)).await {
            tracing::debug!(%refusal, "own spans were not stored");
        }
    }
}

/// Rows over one buffer; all spans come from one resource and scope.
fn rows(spans: &[Span]) -> SpanBatch {
    let mut batch = SpanBatch::default();
    let Some(first) = spans.first() else { return batch };
    let put = |bytes: &mut Vec<u8>, write: &dyn Fn(&mut Vec<u8>)| {
        let start = bytes.len() as u32;
        write(bytes);
        ByteRange { start, end: bytes.len() as u32 }
    };
    let payload = put(&mut batch.bytes, &|out| encode_resource(&first.resource, out));
    batch.resources.push(ResourceRow { service: first.resource.service().into(), payload });
    let scope = put(&mut batch.bytes, &|out| encode_scope(&first.scope, out));
    batch.scopes.push(scope);
    for span in spans {
        let name = put(&mut batch.bytes, &|out| out.extend_from_slice(span.name.as_bytes()));
        let payload = put(&mut batch.bytes, &|out| encode_span(span, out));
        batch.rows.push(SpanRow {
            trace: span.trace_id.bits(),
            span: span.span_id.bits(),
            parent: span.parent_span_id.map_or(0, |parent| parent.bits()),
            start: span.start,
            end: span.end,
            resource: 0,
            scope: 0,
            name,
            payload,
            spelling: span.trace_id.spelling(),
            kind: span.kind,
            status: span.status.code,
        });
    }
    batch
}
