//! Which requests have arrived at the gateway in full, and the latest of them.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use parsers::record::TraceId;
use tokio::sync::watch;

use super::plan::{Happening, Plan};

/// Requests under way at most. Three a second that each take about three seconds to be exported are ten; the rest is for
/// a gateway that answers slowly.
const MAX_OPEN: usize = 256;
/// Fewer services make a dull example.
const MIN_SERVICES: usize = 4;

/// A request of which something is still to come.
#[derive(Debug)]
struct Open {
    trace: TraceId,
    /// Spans and exemplars in all.
    parts: usize,
    missing: usize,
}

/// Counts, request by request, what was acknowledged.
#[derive(Debug)]
pub(super) struct Arrivals {
    open: Mutex<VecDeque<Open>>,
    latest: watch::Sender<Option<TraceId>>,
}

impl Arrivals {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { open: Mutex::default(), latest: watch::Sender::new(None) }
    }

    /// The latest request of which everything arrived.
    pub(super) fn latest(&self) -> watch::Receiver<Option<TraceId>> {
        self.latest.subscribe()
    }

    /// A request begins; what it will export is known from its plan.
    pub(super) fn expect(&self, plan: &Plan) {
        if plan.services < MIN_SERVICES {
            return;
        }
        let exported =
            |happening: &Happening| matches!(happening, Happening::Span(..) | Happening::Served(_));
        let parts = plan.steps.iter().filter(|(_, happening)| exported(happening)).count();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MAX_OPEN {
            open.pop_front();
        }
        open.push_back(Open { trace: plan.trace, parts, missing: parts });
    }

    /// Parts of these requests, a trace a part, are through.
    pub(super) fn arrived(&self, traces: impl IntoIterator<Item = TraceId>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut complete: Option<Open> = None;
        for trace in traces {
            let Some(at) = open.iter().position(|it| it.trace == trace) else { continue };
            let Some(it) = open.get_mut(at) else { continue };
            it.missing = it.missing.saturating_sub(1);
            if it.missing == 0 {
                let done = open.remove(at);
                // Of several at once, the one with the most to show.
                complete = complete.into_iter().chain(done).max_by_key(|it| it.parts);
            }
        }
        if let Some(it) = complete {
            self.latest.send_replace(Some(it.trace));
        }
    }
}
