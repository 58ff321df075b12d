//! A sink for tests: keeps what it is given, or refuses it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use parsers::otlp::{decode_resource, decode_scope, decode_span};
use parsers::record::{Batch, LogRecord, MetricBatch, Span};
use tokio::sync::Notify;

use crate::{Refusal, RefusalKind, Sink};

#[derive(Default)]
pub(crate) struct Kept {
    batches: Mutex<Vec<Arc<Batch>>>,
    refuse: bool,
    arrived: Notify,
}

impl Kept {
    /// One that takes nothing.
    pub(crate) fn full() -> Self {
        Self { refuse: true, ..Self::default() }
    }

    /// The spans since the last look.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let spans = self.spans_so_far();
        self.batches.lock().unwrap().clear();
        spans
    }

    /// The spans since the last look, which are still there at the next.
    pub(crate) fn spans_so_far(&self) -> Vec<Span> {
        let batches = self.batches.lock().unwrap();
        let mut spans = Vec::new();
        for batch in batches.iter() {
            let batch = &batch.spans;
            for row in &batch.rows {
                let resource = &batch.resources[row.resource as usize];
                let owned = Arc::new(decode_resource(resource.payload.of(&batch.bytes)));
                let scope = Arc::new(decode_scope(batch.scopes[row.scope as usize].of(&batch.bytes)));
                assert_eq!(&*resource.service, owned.service());
                let span = decode_span(row.payload.of(&batch.bytes), row.spelling, owned, scope).unwrap();
                assert_eq!((row.start, row.end, row.kind), (span.start, span.end, span.kind));
                spans.push(span);
            }
        }
        spans
    }

    /// Records of all signals.
    pub(crate) fn records(&self) -> usize {
        let batches = self.batches.lock().unwrap();
        let of =
            |batch: &Arc<Batch>| batch.spans.rows.len() + batch.logs.rows.len() + batch.metrics.samples.len();
        batches.iter().map(of).sum()
    }

    /// The metrics of the only batch since the last look; none if there was none.
    pub(crate) fn metrics(&self) -> MetricBatch {
        let mut batches = std::mem::take(&mut *self.batches.lock().unwrap());
        assert!(batches.len() <= 1);
        batches.pop().map(|batch| batch.metrics.clone()).unwrap_or_default()
    }

    /// The metrics of all batches so far, which are still there at the next look.
    pub(crate) fn all_metrics(&self) -> Vec<MetricBatch> {
        self.batches.lock().unwrap().iter().map(|batch| batch.metrics.clone()).collect()
    }

    /// The log records since the last look.
    pub(crate) fn logs(&self) -> Vec<LogRecord> {
        let batches = std::mem::take(&mut *self.batches.lock().unwrap());
        batches
            .iter()
            .flat_map(|batch| batch.logs.rows.iter().map(|row| batch.logs.record(row)).collect::<Vec<_>>())
            .collect()
    }

    /// Waits for a batch.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }
}

#[async_trait]
impl Sink for Kept {
    async fn accept(&self, batch: Arc<Batch>) -> Result<(), Refusal> {
        if self.refuse {
            let retry_after = Duration::from_secs(7);
            return Err(Refusal { kind: RefusalKind::Full, detail: "disk full".into(), retry_after });
        }
        self.batches.lock().unwrap().push(batch);
        self.arrived.notify_one();
        Ok(())
    }
}
