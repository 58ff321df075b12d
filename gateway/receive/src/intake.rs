//! The way of every body: read within the bounds, decompressed, decoded off the runtime's threads if it is large, handed to
//! the sink, counted. What the bytes mean is each protocol's own.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::request::Parts;
use parsers::derived::Deriver;
use parsers::record::Batch;
use tokio::sync::watch;

use crate::body::{self, Encoding};
use crate::counters::{Counters, Protocol, ProtocolCounters, count};
use crate::limits::{Budget, MAX_IN_FLIGHT, RETRY_AFTER, Reservation};
use crate::sender::{self, Senders};
use crate::tenant::Tenant;
use crate::trouble::Trouble;
use crate::{LeftOut, Refusal, Sink};

/// Bytes of a body that is read on the spot, in tens of microseconds; a larger one would hold up other connections.
const MAX_INLINE: usize = 64 * 1024;
/// A compressed body of up to this is first tried on the spot: usual ones hold some 10 times as much text, and one that
/// holds more than [`MAX_INLINE`] is begun anew elsewhere, at the cost of what was decompressed until then.
const MAX_INLINE_COMPRESSED: usize = 8 * 1024;

/// What all receivers of a gateway share. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    shared: Arc<Shared>,
    senders: Option<Arc<dyn Senders>>,
}

struct Shared {
    sink: Arc<dyn Sink>,
    counters: Arc<Counters>,
    deriver: watch::Receiver<Arc<Deriver>>,
    budget: Budget,
}

impl Intake {
    /// `deriver` finds ids in the text of log records that name no trace, another one as soon as there is another;
    /// without one, the built-in rules do.
    pub fn new(
        sink: Arc<dyn Sink>,
        counters: Arc<Counters>,
        deriver: Option<watch::Receiver<Arc<Deriver>>>,
    ) -> Self {
        Self::within(sink, counters, deriver, MAX_IN_FLIGHT)
    }

    /// With another bound on the bytes of all requests being read and stored: bodies, and the rows made of them.
    pub fn within(
        sink: Arc<dyn Sink>,
        counters: Arc<Counters>,
        deriver: Option<watch::Receiver<Arc<Deriver>>>,
        max_in_flight: usize,
    ) -> Self {
        let budget = Budget::new(max_in_flight);
        let deriver = deriver.unwrap_or_else(|| watch::channel(Arc::default()).1);
        Self { shared: Arc::new(Shared { sink, counters, deriver, budget }), senders: None }
    }

    /// Knows pods: spans and log records that do not say all of the pod that sent them are told it.
    #[must_use]
    pub fn knowing(self, senders: Option<Arc<dyn Senders>>) -> Self {
        Self { senders, ..self }
    }

    /// The way in for one protocol, whose bodies have at most `max_body` bytes, on the wire and decompressed.
    pub(crate) fn door(&self, protocol: Protocol, max_body: usize) -> Door {
        Door { shared: Arc::clone(&self.shared), senders: self.senders.clone(), protocol, max_body }
    }
}

/// The way in for the bodies of one protocol. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Door {
    shared: Arc<Shared>,
    senders: Option<Arc<dyn Senders>>,
    protocol: Protocol,
    max_body: usize,
}

/// A request's body as it came. What it holds of the budget is given back when it is dropped.
pub(crate) struct Wire {
    pub body: Vec<u8>,
    pub encoding: Encoding,
    pub origin: Origin,
    pub held: Reservation,
}

/// Who sends, as a request's head and its connection tell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    /// Whose it is.
    pub tenant: Option<Tenant>,
    /// From where, unless somebody has handed it on.
    pub address: Option<IpAddr>,
}

impl Origin {
    pub(crate) fn of(head: &Parts) -> Result<Self, Trouble> {
        Ok(Self { tenant: Tenant::of(&head.headers)?, address: sender::address(head) })
    }
}

/// What a decoder may use besides the bytes.
pub(crate) struct Circumstances {
    /// When the request is read, ns: stands in for missing times.
    pub arrival: u64,
    /// Finds ids in the text of log records that name no trace.
    pub deriver: Arc<Deriver>,
    /// Who sends it, if that was said.
    pub tenant: Option<Tenant>,
    address: Option<IpAddr>,
    senders: Option<Arc<dyn Senders>>,
}

impl Circumstances {
    /// Notes with records who sent them: the tenant, and what is known of the pod. Log records have their tenant since they became
    /// rows.
    pub(crate) fn mark(&self, batch: &mut Batch) {
        if let Some(tenant) = &self.tenant {
            tenant.mark(batch);
        }
        if let Some(senders) = &self.senders {
            sender::mark(batch, &**senders, self.address);
        }
    }
}

/// Records that a decoder left out, one by one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rejected {
    pub spans: u64,
    pub logs: u64,
    pub samples: u64,
}

/// What a body turned out to hold.
pub(crate) struct Decoded<T> {
    pub batch: Batch,
    pub rejected: Rejected,
    /// What the protocol's answer needs to know.
    pub told: T,
}

impl Door {
    /// The counts of this protocol.
    pub(crate) fn counters(&self) -> &ProtocolCounters {
        self.shared.counters.of(self.protocol)
    }

    /// The counts of all protocols.
    pub(crate) fn all_counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Most bytes of a body, on the wire and decompressed.
    pub(crate) fn max_body(&self) -> usize {
        self.max_body
    }

    /// An empty share of the bytes in flight, for bodies that are read piece by piece.
    pub(crate) fn reservation(&self) -> Reservation {
        self.shared.budget.reservation()
    }

    /// What a decoder may use, at this moment, for this sender.
    pub(crate) fn circumstances(&self, origin: Origin) -> Circumstances {
        let arrival = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        let Origin { tenant, address } = origin;
        let deriver = Arc::clone(&self.shared.deriver.borrow());
        Circumstances { arrival, deriver, tenant, address, senders: self.senders.clone() }
    }

    /// Reads the body of a request with this head.
    pub(crate) async fn read(&self, head: &Parts, body: Body, encoding: Encoding) -> Result<Wire, Trouble> {
        self.read_framed(head, body, encoding, 0).await
    }

    /// Reads a body that may have so many bytes of framing besides.
    pub(crate) async fn read_framed(
        &self,
        head: &Parts,
        body: Body,
        encoding: Encoding,
        framing: usize,
    ) -> Result<Wire, Trouble> {
        self.read_from(Origin::of(head)?, body, encoding, framing).await
    }

    /// Reads a body from this sender.
    pub(crate) async fn read_from(
        &self,
        origin: Origin,
        body: Body,
        encoding: Encoding,
        framing: usize,
    ) -> Result<Wire, Trouble> {
        let mut held = self.reservation();
        let read = body::read(body, self.max_body.saturating_add(framing), &mut held).await;
        Ok(Wire { body: read.inspect_err(|trouble| self.noted(trouble))?, encoding, origin, held })
    }

    /// Counts a request that is turned away.
    pub(crate) fn noted(&self, trouble: &Trouble) {
        if matches!(trouble, Trouble::Unavailable { .. }) {
            count(&self.counters().turned_away, 1);
        }
    }

    /// Takes a body: decompresses it, has it decoded, hands the batch to the sink. The decoder runs on this thread if the
    /// body is small, else on one for blocking work.
    pub(crate) async fn take<T, D>(&self, wire: Wire, decode: D) -> Result<T, Trouble>
    where
        T: Send + 'static,
        D: FnOnce(Vec<u8>, &Circumstances) -> Result<Decoded<T>, Trouble> + Send + 'static,
    {
        self.take_telling(wire, decode).await.map(|(told, _)| told)
    }

    /// As [`Door::take`], with the samples that the sink left out.
    pub(crate) async fn take_telling<T, D>(&self, mut wire: Wire, decode: D) -> Result<(T, LeftOut), Trouble>
    where
        T: Send + 'static,
        D: FnOnce(Vec<u8>, &Circumstances) -> Result<Decoded<T>, Trouble> + Send + 'static,
    {
        if wire.encoding != Encoding::Identity
            && wire.body.len() <= MAX_INLINE_COMPRESSED
            && let most = MAX_INLINE.min(self.max_body)
            && let Some(body) = body::decompress_within(&wire.body, wire.encoding, most)
        {
            if !wire.held.grow(body.len()) {
                count(&self.counters().turned_away, 1);
                return Err(Trouble::busy());
            }
            wire = Wire { body, encoding: Encoding::Identity, ..wire };
        }
        let (digested, held) = if wire.encoding == Encoding::Identity && wire.body.len() <= MAX_INLINE {
            self.digest(wire, decode)
        } else {
            let door = self.clone();
            let task = tokio::task::spawn_blocking(move || door.digest(wire, decode));
            task.await.map_err(|error| Trouble::Unavailable {
                detail: format!("reading the body failed: {error}"),
                retry_after: RETRY_AFTER,
            })?
        };
        let (bytes, Decoded { batch, rejected, told }) =
            digested.inspect_err(|trouble| self.noted(trouble))?;
        let left_out = self.deliver(batch, rejected, bytes).await?;
        drop(held);
        Ok((told, left_out))
    }

    /// Hands a batch to the sink, unless it is empty, and counts.
    pub(crate) async fn deliver(
        &self,
        batch: Batch,
        mut rejected: Rejected,
        bytes: usize,
    ) -> Result<LeftOut, Trouble> {
        let counters = self.counters();
        let signals = [&counters.spans, &counters.logs, &counters.samples];
        let mut records =
            [batch.spans.rows.len(), batch.logs.rows.len(), batch.metrics.samples.len()].map(|n| n as u64);
        let exemplars = batch.metrics.exemplars.len() as u64;
        let mut left_out = LeftOut::default();
        if !batch.is_empty() {
            match self.shared.sink.accept_telling(Arc::new(batch)).await {
                Ok(told) => left_out = told,
                Err(Refusal { detail, retry_after, .. }) => {
                    for (counters, records) in signals.into_iter().zip(records) {
                        count(&counters.refused, records);
                    }
                    return Err(Trouble::Unavailable { detail, retry_after });
                }
            }
        }
        let [.., samples] = &mut records;
        *samples = samples.saturating_sub(left_out.samples);
        rejected.samples += left_out.samples;
        let rejected = [rejected.spans, rejected.logs, rejected.samples];
        for ((counters, records), rejected) in signals.into_iter().zip(records).zip(rejected) {
            count(&counters.accepted, records);
            count(&counters.rejected, rejected);
        }
        count(&counters.exemplars, exemplars);
        count(&counters.bytes, bytes as u64);
        Ok(left_out)
    }

    /// All that takes time with a large body. Gives the decompressed bytes' number and what they hold.
    fn digest<T>(
        &self,
        wire: Wire,
        decode: impl FnOnce(Vec<u8>, &Circumstances) -> Result<Decoded<T>, Trouble>,
    ) -> (Result<(usize, Decoded<T>), Trouble>, Reservation) {
        let Wire { body, encoding, origin, mut held } = wire;
        let digest = |held: &mut Reservation| {
            let body = body::decompress(body, encoding, self.max_body, held)?;
            let bytes = body.len();
            // The compressed bytes are gone.
            if !held.settle(bytes) {
                return Err(Trouble::busy());
            }
            let circumstances = self.circumstances(origin);
            let mut decoded = decode(body, &circumstances)?;
            circumstances.mark(&mut decoded.batch);
            // Rows of tiny records are several times their bytes on the wire.
            if !held.settle(decoded.batch.size()) {
                return Err(Trouble::busy());
            }
            Ok((bytes, decoded))
        };
        (digest(&mut held), held)
    }
}
