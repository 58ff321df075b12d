//! A protobuf body to the sink: walked, counted, and what was left out said.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use parsers::otlp::{Rejections, WalkError, Writer, walk_logs, walk_metrics, walk_traces};
use parsers::record::Batch;

use super::error::Trouble;
use super::{Otlp, Signal};
use crate::{SignalCounters, count};

impl From<WalkError> for Trouble {
    fn from(error: WalkError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl Otlp {
    pub(super) fn counters(&self, signal: Signal) -> &SignalCounters {
        let counters = &self.inner.counters;
        match signal {
            Signal::Traces => &counters.traces,
            Signal::Logs => &counters.logs,
            Signal::Metrics => &counters.metrics,
        }
    }

    /// Takes a protobuf request. `before` is what was left out on the way here (by JSON).
    pub(super) async fn take(
        &self,
        signal: Signal,
        body: Vec<u8>,
        mut before: Rejections,
    ) -> Result<Rejections, Trouble> {
        let bytes = body.len() as u64;
        let arrival = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        let mut batch = Batch::default();
        let (records, rejections) = match signal {
            Signal::Traces => {
                let (spans, rejections) = walk_traces(body)?;
                batch.spans = spans;
                (batch.spans.rows.len(), rejections)
            }
            Signal::Logs => {
                let (logs, rejections) = walk_logs(&body, arrival, self.inner.deriver.as_deref())?;
                batch.logs = logs;
                (batch.logs.rows.len(), rejections)
            }
            Signal::Metrics => {
                let (metrics, rejections) = walk_metrics(&body, arrival)?;
                batch.metrics = metrics;
                (batch.metrics.samples.len(), rejections)
            }
        };
        before.merge(&rejections);
        let counters = self.counters(signal);
        let exemplars = batch.metrics.exemplars.len() as u64;
        if !batch.is_empty()
            && let Err(refusal) = self.inner.sink.accept(Arc::new(batch)).await
        {
            count(&counters.refused, records as u64);
            return Err(Trouble::Unavailable { detail: refusal.detail, retry_after: refusal.retry_after });
        }
        count(&counters.accepted, records as u64);
        count(&counters.rejected, before.rejected());
        count(&counters.bytes, bytes);
        count(&self.inner.counters.exemplars, exemplars);
        Ok(before)
    }
}

/// The response message: empty on full success, else `partial_success` with the count and the reasons.
pub(super) fn response(rejections: &Rejections) -> Vec<u8> {
    let mut out = Vec::new();
    if !rejections.is_empty() {
        Writer::new(&mut out).message(1, |out| {
            let mut w = Writer::new(out);
            w.varint(1, rejections.rejected());
            w.bytes(2, rejections.to_string().as_bytes());
        });
    }
    out
}
