//! Bounds: of one body, and of all bodies at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Of one request, on the wire and decompressed: what the OTLP specification recommends.
pub const MAX_BODY: usize = 64 * 1024 * 1024;
/// Of all requests at once: two of the largest.
pub const MAX_IN_FLIGHT: usize = 2 * MAX_BODY;
/// What a turned away sender is told to wait: a body is walked in well under a second.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Permits are of this many bytes, so that their number fits 32 bits.
const UNIT: usize = 1024;

/// Bytes in flight.
pub(crate) struct Budget {
    semaphore: Arc<Semaphore>,
    /// All of it.
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        let units = bytes.div_ceil(UNIT).min(u32::MAX as usize);
        Self { semaphore: Arc::new(Semaphore::new(units)), bytes: units * UNIT }
    }

    pub(crate) fn reservation(&self) -> Reservation {
        Reservation { semaphore: Arc::clone(&self.semaphore), most: self.bytes, held: None, bytes: 0 }
    }
}

/// What one request holds of the budget; given back when dropped.
pub(crate) struct Reservation {
    semaphore: Arc<Semaphore>,
    /// The whole budget.
    most: usize,
    held: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Reservation {
    /// Takes more; `false` if there is no more.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let wanted = (self.bytes + bytes).div_ceil(UNIT) - self.bytes.div_ceil(UNIT);
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        if wanted == 0 {
            self.bytes += bytes;
            return true;
        }
        let Ok(more) = Arc::clone(&self.semaphore).try_acquire_many_owned(wanted) else { return false };
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        self.bytes += bytes;
        true
    }

    /// Holds this many from now on, more or less than before; `false` if there is no more. A request that is larger than
    /// the whole budget needs all of it, so that it is taken when it is alone.
    pub(crate) fn settle(&mut self, bytes: usize) -> bool {
        let bytes = bytes.min(self.most);
        if bytes > self.bytes {
            return self.grow(bytes - self.bytes);
        }
        let spare = self.bytes.div_ceil(UNIT) - bytes.div_ceil(UNIT);
        self.bytes = bytes;
        drop(self.held.as_mut().and_then(|held| held.split(spare)));
        true
    }
}
