//! Sides of calls that wait for the other one, for a while and up to a number.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parsers::otlp::PeerKind;
use rustc_hash::FxHashMap;

use super::tracks::Example;

/// Sides that wait at most: 5,000 a second for ten seconds, 12 MB.
pub(super) const MAX_WAITING: usize = 50_000;
/// Callees that wait for one caller at most.
const MAX_OF_CALLER: usize = 256;
/// Places for callers whose call is counted, a power of two: 2 MB. Of 1,000 calls a second, nine of ten find theirs a second and a half later.
const KEPT: usize = 1 << 14;

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
    /// The call is counted; it stays for other callees.
    pub paired: bool,
    /// Of a callee that waits for several callers, under the key of each: whether it is counted.
    pub met: Option<Arc<AtomicBool>>,
    pub example: Example,
}

/// Those who wait under one key.
#[derive(Debug)]
pub(super) struct Waiter {
    /// The end of their time.
    until: u64,
    side: Side,
    /// Further callees of one caller.
    more: Vec<Side>,
}

impl Waiter {
    pub fn iter(&self) -> impl Iterator<Item = &Side> {
        std::iter::once(&self.side).chain(&self.more)
    }
}

impl IntoIterator for Waiter {
    type Item = Side;
    type IntoIter = std::iter::Chain<std::iter::Once<Side>, std::vec::IntoIter<Side>>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self.side).chain(self.more)
    }
}

/// A caller whose call is counted.
#[derive(Debug, Clone)]
struct Kept {
    until: u64,
    side: Side,
}

/// Those that wait.
#[derive(Debug)]
pub(super) struct Waiting {
    /// How long, in nanoseconds.
    time: u64,
    sides: FxHashMap<(u64, bool), Waiter>,
    /// How many they are.
    count: usize,
    /// In order of time; of what has left since there is nothing under the key, or another.
    queue: VecDeque<(u64, (u64, bool))>,
    /// Whose time is over.
    over: Vec<Side>,
    /// Callers whose call is counted, for further callees: a proxy's second try, or a service behind the one that was called. Each has the
    /// place that its key names, so that nothing is searched and one that comes later takes it.
    kept: Vec<Option<Kept>>,
    /// Their keys, by the same places: who is not there is told without a look at the rest, which is too much to stay near.
    kept_keys: Vec<u64>,
}

/// By which both sides of a call know it: trace and span of the caller. Of the trace the low 64 bits, which all spellings
/// share.
pub(super) fn key(trace: u128, span: u64) -> u64 {
    (trace as u64).rotate_left(32).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ span
}

impl Waiting {
    /// Nobody, each to wait for so many nanoseconds.
    pub fn new(time: u64) -> Self {
        let (sides, queue) = (FxHashMap::default(), VecDeque::new());
        let (kept, kept_keys) = (Vec::new(), Vec::new());
        Self { time, sides, count: 0, queue, over: Vec::new(), kept, kept_keys }
    }

    pub fn len(&self) -> usize {
        self.count
    }

    /// The caller of a call by the first of these keys under which there is one, and that key.
    pub fn caller_of(&mut self, keys: &[Option<u64>], now: u64) -> Option<(u64, Side)> {
        let keys = || keys.iter().copied().flatten();
        let waits = keys().find_map(|key| self.caller(key).map(|side| (key, side)));
        waits.or_else(|| keys().find_map(|key| Some((key, self.kept(key, now)?))))
    }

    fn kept(&self, key: u64, now: u64) -> Option<Side> {
        let place = place(key);
        self.kept_keys.get(place).filter(|kept| **kept == key)?;
        let kept = self.kept.get(place)?.as_ref()?;
        (kept.until > now).then(|| kept.side.clone())
    }

    /// One of messages stays, marked as paired.
    fn caller(&mut self, key: u64) -> Option<Side> {
        let Waiter { side, .. } = self.sides.get_mut(&(key, true))?;
        if side.message {
            side.paired = true;
            return Some(side.clone());
        }
        self.leave((key, true)).map(|waiter| waiter.side)
    }

    fn leave(&mut self, key: (u64, bool)) -> Option<Waiter> {
        let waiter = self.sides.remove(&key)?;
        self.count -= 1 + waiter.more.len();
        Some(waiter)
    }

    /// Keeps a caller whose call is counted.
    pub fn keep(&mut self, key: u64, side: Side, now: u64) {
        if self.kept.is_empty() {
            self.kept.resize(KEPT, None);
            self.kept_keys.resize(KEPT, 0);
        }
        let place = place(key);
        if let (Some(kept), Some(kept_key)) = (self.kept.get_mut(place), self.kept_keys.get_mut(place)) {
            *kept = Some(Kept { until: now + self.time, side });
            *kept_key = key;
        }
    }

    /// The callees of a call.
    pub fn callees(&mut self, key: u64) -> Option<Waiter> {
        self.leave((key, false))
    }

    /// The callee of a call if it is this span.
    pub fn callee_of_span(&mut self, key: u64, span: u64) -> Option<Waiter> {
        let waiter = self.sides.get_mut(&(key, false))?;
        if let Some(at) = waiter.more.iter().position(|side| side.example.span == span) {
            self.count -= 1;
            return Some(Waiter { until: waiter.until, side: waiter.more.swap_remove(at), more: Vec::new() });
        }
        if waiter.side.example.span != span {
            return None;
        }
        let Some(next) = waiter.more.pop() else { return self.callees(key) };
        self.count -= 1;
        let side = std::mem::replace(&mut waiter.side, next);
        Some(Waiter { until: waiter.until, side, more: Vec::new() })
    }

    /// Lets a side wait. What comes back will not: the side itself if there is no room, or a caller that has had its place.
    pub fn wait(&mut self, key: u64, side: Side, now: u64) -> Result<(), Side> {
        if self.count >= MAX_WAITING {
            return Err(side);
        }
        let (key, until) = ((key, side.caller), now + self.time);
        let mut before = None;
        match self.sides.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(Waiter { until, side, more: Vec::new() });
                self.count += 1;
                self.queue.push_back((until, key));
            }
            Entry::Occupied(mut entry) => {
                let waiter = entry.get_mut();
                if side.caller {
                    before = Some(std::mem::replace(&mut waiter.side, side));
                } else if waiter.more.len() + 1 < MAX_OF_CALLER {
                    waiter.more.push(side);
                    self.count += 1;
                } else {
                    return Err(side);
                }
                if std::mem::replace(&mut waiter.until, until) != until {
                    self.queue.push_back((until, key));
                }
            }
        }
        if self.queue.len() > 4 * MAX_WAITING {
            let sides = &self.sides;
            self.queue.retain(|(until, key)| sides.get(key).is_some_and(|waiter| waiter.until == *until));
        }
        before.map_or(Ok(()), Err)
    }

    /// One that has waited for too long.
    pub fn expired(&mut self, now: u64) -> Option<Side> {
        while self.over.is_empty()
            && let Some((until, key)) = self.queue.front().copied()
            && until <= now
        {
            self.queue.pop_front();
            if self.sides.get(&key).is_some_and(|waiter| waiter.until == until)
                && let Some(waiter) = self.leave(key)
            {
                self.over.extend(waiter.into_iter().filter(|side| !side.paired));
            }
        }
        self.over.pop()
    }
}

/// Where a caller is kept: keys are mixed by their traces.
fn place(key: u64) -> usize {
    (key ^ key >> 32) as usize & (KEPT - 1)
}
