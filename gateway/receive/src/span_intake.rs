//! Bodies of span protocols other than OTLP to the sink: read within the bounds, translated, counted, handed over.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use parsers::record::Batch;

use crate::otlp::body;
use crate::otlp::error::Trouble;
use crate::otlp::limits::{Budget, MAX_BODY, MAX_IN_FLIGHT, RETRY_AFTER, Reservation};
use crate::translated::{LeftOut, Translated};
use crate::{Counters, SignalCounters, Sink, count};

/// Bytes of a body that is read on the spot; a larger one would hold up other connections.
const MAX_INLINE: usize = 64 * 1024;

/// Bounds of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanIntakeOptions {
    /// Bytes of one request, on the wire and decompressed.
    pub max_body: usize,
    /// Bytes of all requests being read and stored.
    pub max_in_flight: usize,
}

impl Default for SpanIntakeOptions {
    fn default() -> Self {
        Self { max_body: MAX_BODY, max_in_flight: MAX_IN_FLIGHT }
    }
}

/// The way of a body to the sink. Cheap to clone; receivers that have the same one share its bounds.
#[derive(Clone)]
pub struct SpanIntake {
    inner: Arc<Inner>,
}

struct Inner {
    sink: Arc<dyn Sink>,
    counters: Arc<Counters>,
    options: SpanIntakeOptions,
    budget: Budget,
}

/// A body to spans. What is returned says why none of it can be read.
pub(crate) type Decode = fn(&[u8], &mut Translated) -> Result<(), String>;

impl SpanIntake {
    /// To a sink.
    pub fn new(sink: Arc<dyn Sink>, counters: Arc<Counters>, options: SpanIntakeOptions) -> Self {
        let budget = Budget::new(options.max_in_flight);
        Self { inner: Arc::new(Inner { sink, counters, options, budget }) }
    }

    fn spans(&self) -> &SignalCounters {
        &self.inner.counters.traces
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    /// Reads a body of up to the bound and `more` bytes round it.
    pub(crate) async fn read(&self, body: Body, more: usize) -> Result<(Vec<u8>, Reservation), Trouble> {
        let mut held = self.inner.budget.reservation();
        let max = self.inner.options.max_body.saturating_add(more);
        let read = body::read(body, max, &mut held).await.inspect_err(|trouble| self.count_trouble(trouble));
        Ok((read?, held))
    }

    fn count_trouble(&self, trouble: &Trouble) {
        if matches!(trouble, Trouble::Unavailable { .. }) {
            count(&self.spans().turned_away, 1);
        }
    }

    /// Takes a body. An error if all spans in it are bad; what was left out beside good ones is returned.
    pub(crate) async fn take(
        &self,
        body: Vec<u8>,
        encoding: &'static str,
        mut held: Reservation,
        decode: Decode,
    ) -> Result<LeftOut, Trouble> {
        let max = self.inner.options.max_body;
        let digested = if encoding.is_empty() && body.len() <= MAX_INLINE {
            digest(body, encoding, max, &mut held, decode)
        } else {
            let task =
                tokio::task::spawn_blocking(move || (digest(body, encoding, max, &mut held, decode), held));
            let (digested, given_back) = task.await.map_err(|error| Trouble::Unavailable {
                detail: format!("reading the body failed: {error}"),
                retry_after: RETRY_AFTER,
            })?;
            held = given_back;
            digested
        };
        let Digested { batch, bytes, left_out } =
            digested.inspect_err(|trouble| self.count_trouble(trouble))?;
        let answer = self.store(batch, bytes, left_out).await;
        drop(held);
        answer
    }

    /// Takes bytes that are few, such as a datagram's.
    pub(crate) async fn take_few(&self, body: &[u8], decode: Decode) -> Result<LeftOut, Trouble> {
        let mut translated = Translated::new(now());
        decode(body, &mut translated).map_err(Trouble::Malformed)?;
        let (spans, left_out) = translated.finish();
        self.store(Batch { spans, ..Batch::default() }, body.len(), left_out).await
    }

    async fn store(&self, batch: Batch, bytes: usize, left_out: LeftOut) -> Result<LeftOut, Trouble> {
        let counters = self.spans();
        let records = batch.spans.rows.len() as u64;
        count(&counters.rejected, left_out.rejections.rejected());
        if records == 0 {
            return match left_out.message() {
                Some(message) => Err(Trouble::Malformed(message)),
                None => Ok(left_out),
            };
        }
        if let Err(refusal) = self.inner.sink.accept(Arc::new(batch)).await {
            count(&counters.refused, records);
            return Err(Trouble::Unavailable { detail: refusal.detail, retry_after: refusal.retry_after });
        }
        count(&counters.accepted, records);
        count(&counters.bytes, bytes as u64);
        Ok(left_out)
    }
}

struct Digested {
    batch: Batch,
    /// Decompressed.
    bytes: usize,
    left_out: LeftOut,
}

/// All that takes time with a large body.
fn digest(
    body: Vec<u8>,
    encoding: &str,
    max: usize,
    held: &mut Reservation,
    decode: Decode,
) -> Result<Digested, Trouble> {
    let body = body::decompress(body, encoding, max, held)?;
    let bytes = body.len();
    // The compressed bytes are gone.
    if !held.settle(bytes) {
        return Err(Trouble::busy());
    }
    let mut translated = Translated::new(now());
    decode(&body, &mut translated).map_err(Trouble::Malformed)?;
    drop(body);
    let (spans, left_out) = translated.finish();
    let batch = Batch { spans, ..Batch::default() };
    if !held.settle(batch.size()) {
        return Err(Trouble::busy());
    }
    Ok(Digested { batch, bytes, left_out })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// What Zipkin's and Jaeger's reporters send; both servers look for `gzip` anywhere in it.
pub(crate) fn encoding(header: &str) -> &'static str {
    match header {
        "deflate" => "deflate",
        header if header.contains("gzip") => "gzip",
        _ => "",
    }
}

/// 202, without a body if all was taken; else a text that says what was not.
pub(crate) fn accepted(left_out: &LeftOut) -> Response {
    match left_out.message() {
        None => StatusCode::ACCEPTED.into_response(),
        Some(message) => (StatusCode::ACCEPTED, message).into_response(),
    }
}

/// The status of a failure, with this text.
pub(crate) fn refused(trouble: &Trouble, text: String) -> Response {
    let status = match trouble {
        Trouble::Malformed(_) => StatusCode::BAD_REQUEST,
        Trouble::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Trouble::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = (status, [(header::X_CONTENT_TYPE_OPTIONS, "nosniff")], text).into_response();
    if let Trouble::Unavailable { retry_after, .. } = trouble {
        let seconds = retry_after.as_millis().div_ceil(1000).max(1) as u64;
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
