//! Halves of calls: how they find one another, and how they count where they do not.

use parsers::otlp::PeerKind;
use rustc_hash::FxHashSet;

use super::sheet::{Edge, EdgeKey, Examples, Sheet, Text};
use super::{Connection, MINUTE, PAIRING_WAIT, USER};

/// Halves that wait; more count as those that never find theirs.
pub(super) const MAX_HALVES: usize = 200_000;

/// One side of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Half {
    /// By which both sides know the call.
    pub key: u64,
    pub start: u64,
    pub service: Text,
    /// What it says of the other side.
    pub peer: Option<(PeerKind, Text)>,
    /// The side sends or takes a message.
    pub message: bool,
    pub failed: bool,
    /// Its call is counted; it stays for other callees of its message, or for others who sent it messages.
    pub paired: bool,
    pub nanos: u64,
    pub trace: u128,
    /// Of a callee that may have several callers, and has a half for each: its span. Zero of others.
    pub span: u64,
}

/// What halves of one callee have in common.
pub(super) type Group = (u128, u64);

impl Half {
    /// Halves of one callee have one, and only they.
    pub fn group(&self) -> Option<Group> {
        (self.span != 0).then_some((self.trace, self.span))
    }

    pub fn minute(&self) -> u32 {
        u32::try_from(self.start / MINUTE).unwrap_or(u32::MAX)
    }

    /// Whether its other half may still be on its way. A clock that runs ahead does not make it wait for ever.
    pub fn is_young(&self, now: u64) -> bool {
        now.abs_diff(self.start.saturating_add(self.nanos)) < PAIRING_WAIT
    }
}

/// By which both sides of a call know it: trace and span of the caller. Of the trace the low 64 bits, which all spellings
/// share.
pub(super) fn key(trace: u128, span: u64) -> u64 {
    (trace as u64).rotate_left(32).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ span
}

impl Sheet {
    /// Counts a call of which both sides are known. It counts when and as often as callees have it.
    pub(super) fn pair(&mut self, caller: &Half, callee: &Half, timed: bool) {
        let connection =
            if caller.message || callee.message { Connection::Messages } else { Connection::Direct };
        if let Some((PeerKind::Other, address)) = caller.peer {
            self.behind(address, callee.service);
        }
        let key =
            EdgeKey { minute: callee.minute(), client: caller.service, server: callee.service, connection };
        let failed = caller.failed || callee.failed;
        let Some(edge) = self.edge(key) else { return };
        if timed {
            edge.client.add(caller.nanos);
        }
        edge.server.add(callee.nanos);
        if caller.message && callee.message {
            edge.queue.add(callee.start.saturating_sub(caller.start.saturating_add(caller.nanos)));
        }
        count(edge, failed, callee);
    }

    /// Counts a caller whose other side sends no spans.
    pub(super) fn settle_caller(&mut self, caller: &Half) {
        let Some((kind, peer)) = caller.peer.filter(|(_, peer)| *peer != caller.service) else {
            return self.lonely(caller.minute());
        };
        let connection = match kind {
            PeerKind::Database => Connection::Database,
            PeerKind::Queue => Connection::ToQueue,
            PeerKind::Other => Connection::External,
            PeerKind::TakenFrom => return self.taken(peer, caller),
        };
        let key = EdgeKey { minute: caller.minute(), client: caller.service, server: peer, connection };
        let Some(edge) = self.edge(key) else { return };
        edge.client.add(caller.nanos);
        count(edge, caller.failed, caller);
    }

    /// Counts a callee whose other side sends no spans.
    pub(super) fn settle_callee(&mut self, callee: &Half, root: bool) {
        match callee.peer {
            Some((PeerKind::Queue | PeerKind::TakenFrom, queue)) if callee.message => {
                self.taken(queue, callee);
            }
            _ if root && !callee.message => {
                let user = self.texts.of(USER);
                self.entered(user, Connection::User, callee);
            }
            _ => self.lonely(callee.minute()),
        }
    }

    /// Counts callees whose other side sends no spans: one that has several halves, of which none found its own, by one of them.
    /// Gives those that are counted by that.
    pub(super) fn settle_callees(&mut self, callees: impl Iterator<Item = Half>) -> FxHashSet<Group> {
        let mut settled = FxHashSet::default();
        for callee in callees.filter(|callee| !callee.paired) {
            if callee.group().is_none_or(|group| settled.insert(group)) {
                self.settle_callee(&callee, false);
            }
        }
        settled
    }

    /// Counts what was taken from a queue.
    fn taken(&mut self, queue: Text, taker: &Half) {
        self.entered(queue, Connection::FromQueue, taker);
    }

    /// Counts a call of a service by what sends no spans.
    fn entered(&mut self, client: Text, connection: Connection, callee: &Half) {
        let key = EdgeKey { minute: callee.minute(), client, server: callee.service, connection };
        let Some(edge) = self.edge(key) else { return };
        edge.server.add(callee.nanos);
        count(edge, callee.failed, callee);
    }

    fn lonely(&mut self, minute: u32) {
        if let Some(minute) = self.minute(minute) {
            *self.unpaired.entry(minute).or_default() += 1;
        }
    }

    /// Puts halves together, and counts those past the number that may wait.
    pub(crate) fn pair_up(&mut self) {
        let (mut waiting, mut done) = (Vec::new(), Vec::new());
        let mut counted = FxHashSet::default();
        for callee in std::mem::take(&mut self.callees) {
            let Some(caller) = self.callers.get_mut(&callee.key) else {
                waiting.push(callee);
                continue;
            };
            caller.paired = true;
            let caller = *caller;
            self.pair(&caller, &callee, true);
            counted.extend(callee.group());
            if !caller.message {
                done.push(caller.key);
            }
        }
        for key in done {
            self.callers.remove(&key);
        }
        let over = waiting.split_off(waiting.len().min(MAX_HALVES));
        mark(&mut waiting, &counted);
        let over = over.into_iter().filter(|half| half.group().is_none_or(|group| !counted.contains(&group)));
        let settled = self.settle_callees(over);
        mark(&mut waiting, &settled);
        self.callees = waiting;
        if self.callers.len() > MAX_HALVES {
            let mut callers: Vec<Half> = self.callers.drain().map(|(_, half)| half).collect();
            callers.sort_unstable_by_key(|half| std::cmp::Reverse((half.start, half.key)));
            for caller in callers.split_off(MAX_HALVES).iter().filter(|caller| !caller.paired) {
                self.settle_caller(caller);
            }
            self.callers = callers.into_iter().map(|half| (half.key, half)).collect();
        }
    }
}

/// Marks the halves of those that are counted by another of theirs.
fn mark(halves: &mut [Half], counted: &FxHashSet<Group>) {
    if counted.is_empty() {
        return;
    }
    for half in halves {
        half.paired |= half.group().is_some_and(|group| counted.contains(&group));
    }
}

fn count(edge: &mut Edge, failed: bool, example: &Half) {
    edge.calls += 1;
    edge.failed += u64::from(failed);
    let failed = if failed { example.trace } else { 0 };
    edge.examples.merge(Examples { slowest: (example.nanos, example.trace), failed });
}
