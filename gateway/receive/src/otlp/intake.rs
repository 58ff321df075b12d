//! A body to the sink: decompressed, walked, counted, and what was left out said.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use parsers::otlp::{Rejections, WalkError, Writer, walk_logs, walk_metrics, walk_traces};
use parsers::record::Batch;

use super::error::Trouble;
use super::limits::{RETRY_AFTER, Reservation};
use super::{Otlp, Signal, body, json};
use crate::{SignalCounters, count};

impl From<WalkError> for Trouble {
    fn from(error: WalkError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Bytes of a body that is read on the spot, in tens of microseconds; a larger one would hold up other connections.
const MAX_INLINE: usize = 64 * 1024;
/// A compressed body of up to this is first tried on the spot: usual ones hold some 10 times as much text, and one that
/// holds more than [`MAX_INLINE`] is begun anew elsewhere, at the cost of what was decompressed until then.
const MAX_INLINE_COMPRESSED: usize = 8 * 1024;

/// A request's body as it came.
pub(super) struct Wire {
    pub signal: Signal,
    pub body: Vec<u8>,
    /// How it is compressed, in the words of `Content-Encoding`; empty for not.
    pub encoding: String,
    pub as_json: bool,
}

/// What a body turned out to hold.
struct Digested {
    batch: Batch,
    /// Decompressed.
    bytes: usize,
    records: usize,
    rejections: Rejections,
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

    /// Takes a request as it came over the wire: decompressed, walked, handed to the sink. `held` is given back when the
    /// sink has answered.
    pub(super) async fn take(&self, mut wire: Wire, mut held: Reservation) -> Result<Rejections, Trouble> {
        let signal = wire.signal;
        let counters = self.counters(signal);
        if wire.encoding == "identity" {
            wire.encoding.clear();
        }
        if !wire.encoding.is_empty()
            && wire.body.len() <= MAX_INLINE_COMPRESSED
            && let most = MAX_INLINE.min(self.inner.options.max_body)
            && let Some(body) = body::decompress_within(&wire.body, &wire.encoding, most)
        {
            if !held.grow(body.len()) {
                count(&counters.turned_away, 1);
                return Err(Trouble::busy());
            }
            wire = Wire { body, encoding: String::new(), ..wire };
        }
        let digested = if wire.encoding.is_empty() && wire.body.len() <= MAX_INLINE {
            self.digest(wire, &mut held)
        } else {
            let otlp = self.clone();
            let task = tokio::task::spawn_blocking(move || (otlp.digest(wire, &mut held), held));
            let (digested, given_back) = task.await.map_err(|error| Trouble::Unavailable {
                detail: format!("reading the body failed: {error}"),
                retry_after: RETRY_AFTER,
            })?;
            held = given_back;
            digested
        };
        let Digested { batch, bytes, records, rejections } = digested.inspect_err(|trouble| {
            if matches!(trouble, Trouble::Unavailable { .. }) {
                count(&counters.turned_away, 1);
            }
        })?;
        let exemplars = batch.metrics.exemplars.len() as u64;
        if !batch.is_empty()
            && let Err(refusal) = self.inner.sink.accept(Arc::new(batch)).await
        {
            count(&counters.refused, records as u64);
            return Err(Trouble::Unavailable { detail: refusal.detail, retry_after: refusal.retry_after });
        }
        drop(held);
        count(&counters.accepted, records as u64);
        count(&counters.rejected, rejections.rejected());
        count(&counters.bytes, bytes as u64);
        count(&self.inner.counters.exemplars, exemplars);
        Ok(rejections)
    }

    /// All that takes time with a large body.
    fn digest(&self, wire: Wire, held: &mut Reservation) -> Result<Digested, Trouble> {
        let mut body = body::decompress(wire.body, &wire.encoding, self.inner.options.max_body, held)?;
        let bytes = body.len();
        // The compressed bytes are gone.
        if !held.settle(bytes) {
            return Err(Trouble::busy());
        }
        let mut rejections = Rejections::default();
        if wire.as_json {
            (body, rejections) = json::to_protobuf(wire.signal, &body)?;
        }
        let arrival = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        let mut batch = Batch::default();
        let (records, left_out) = match wire.signal {
            Signal::Traces => {
                let (spans, left_out) = walk_traces(body)?;
                batch.spans = spans;
                (batch.spans.rows.len(), left_out)
            }
            Signal::Logs => {
                let walked = walk_logs(&body, arrival, self.inner.deriver.as_deref())?;
                (batch.logs, batch.positions) = (walked.logs, walked.positions);
                (batch.logs.rows.len(), walked.rejections)
            }
            Signal::Metrics => {
                let (metrics, left_out) = walk_metrics(&body, arrival)?;
                batch.metrics = metrics;
                (batch.metrics.samples.len(), left_out)
            }
        };
        rejections.merge(&left_out);
        // Rows of tiny records are several times their bytes on the wire.
        if !held.settle(batch.size()) {
            return Err(Trouble::busy());
        }
        Ok(Digested { batch, bytes, records, rejections })
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
