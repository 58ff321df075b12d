//! Sides of calls that wait for the other one, for a while and up to a number.

use std::collections::VecDeque;
use std::sync::Arc;

use parsers::otlp::PeerKind;
use rustc_hash::FxHashMap;

use super::tracks::Example;

/// How long a side waits, in nanoseconds: as long as the graph of what is stored waits for it.
pub(super) const WAIT: u64 = store::read::PAIRING_WAIT;
/// Sides that wait at most: 5,000 a second, 12 MB.
pub(super) const MAX_WAITING: usize = 50_000;

/// Whose spans are.
#[derive(Debug)]
pub(super) struct Owner {
    pub service: Arc<str>,
    /// Empty if none is named. What is of several is told apart.
    pub tenant: String,
}

/// One side of a call.
#[derive(Debug, Clone)]
pub(super) struct Side {
    pub owner: Arc<Owner>,
    /// What it says of the other side.
    pub peer: Option<(PeerKind, Arc<str>)>,
    /// It makes the call.
    pub caller: bool,
    /// It sends or takes a message.
    pub message: bool,
    pub failed: bool,
    /// The call is counted; it stays for other takers of its message.
    pub paired: bool,
    pub example: Example,
}

/// Those that wait.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// With the end of their time.
    sides: FxHashMap<(u64, bool), (u64, Side)>,
    /// In order of time; of what has left since there is nothing under the key, or another.
    queue: VecDeque<(u64, (u64, bool))>,
}

/// By which both sides of a call know it: trace and span of the caller. Of the trace the low 64 bits, which all spellings
/// share.
pub(super) fn key(trace: u128, span: u64) -> u64 {
    (trace as u64).rotate_left(32).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ span
}

impl Waiting {
    pub fn len(&self) -> usize {
        self.sides.len()
    }

    /// The caller of a call. One of messages stays, marked as paired.
    pub fn caller(&mut self, key: u64) -> Option<Side> {
        let (_, side) = self.sides.get_mut(&(key, true))?;
        if side.message {
            side.paired = true;
            return Some(side.clone());
        }
        self.sides.remove(&(key, true)).map(|(_, side)| side)
    }

    /// The callee of a call.
    pub fn callee(&mut self, key: u64) -> Option<Side> {
        self.sides.remove(&(key, false)).map(|(_, side)| side)
    }

    /// The callee of a call if it is this span.
    pub fn callee_of_span(&mut self, key: u64, span: u64) -> Option<Side> {
        self.sides.get(&(key, false)).filter(|(_, side)| side.example.span == span)?;
        self.callee(key)
    }

    /// Lets a side wait. What comes back will not: the side itself if there is no room, or one that has had its place.
    pub fn wait(&mut self, key: u64, side: Side, now: u64) -> Result<(), Side> {
        if self.sides.len() >= MAX_WAITING {
            return Err(side);
        }
        let (key, until) = ((key, side.caller), now + WAIT);
        self.queue.push_back((until, key));
        if self.queue.len() > 4 * MAX_WAITING {
            let sides = &self.sides;
            self.queue.retain(|(until, key)| sides.get(key).is_some_and(|(of, _)| of == until));
        }
        self.sides.insert(key, (until, side)).map_or(Ok(()), |(_, before)| Err(before))
    }

    /// One that has waited for too long.
    pub fn expired(&mut self, now: u64) -> Option<Side> {
        while let Some((until, key)) = self.queue.front().copied()
            && until <= now
        {
            self.queue.pop_front();
            if self.sides.get(&key).is_some_and(|(of, _)| *of == until)
                && let Some((_, side)) = self.sides.remove(&key)
                && !side.paired
            {
                return Some(side);
            }
        }
        None
    }
}
