//! Sides of calls as they arrive: how they find one another, and how they count where they do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parsers::otlp::{Peer, PeerKind, links, peer};
use parsers::record::{Labels, SpanBatch, SpanKind, SpanRow, StatusCode, TENANT_LABEL};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

use super::span_metrics::{Of, SpanMetrics, example, of_tenant, overflow};
use super::tracks::{CALLS, DROPPED, Example, MESSAGES, Place, Shape, UNPAIRED};
use super::waiting::{MAX_WAITING, Owner, Side, key};
use store::read::OTHERS;

/// Names of peers that are shared by what waits.
const MAX_NAMES: usize = 10_000;
/// Who calls where a trace begins.
const USER: &str = "user";
/// Calls of one that sends no spans.
const DATABASE: &str = "database";
/// Messages, whoever sends or takes them.
const MESSAGING: &str = "messaging_system";

impl SpanMetrics {
    fn side(&mut self, row: &SpanRow, of: &Of, peer: Option<Peer<'_>>) -> Side {
        Side {
            owner: Arc::clone(&of.owner),
            peer: peer.map(|peer| (peer.kind, self.name(&peer.name))),
            caller: matches!(row.kind, SpanKind::Client | SpanKind::Producer),
            message: matches!(row.kind, SpanKind::Producer | SpanKind::Consumer),
            failed: row.status == StatusCode::Error,
            paired: false,
            met: None,
            example: example(row),
        }
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        if self.names.len() >= MAX_NAMES {
            self.names.clear();
        }
        let name = Arc::<str>::from(name);
        self.names.insert(Arc::clone(&name));
        name
    }

    pub(super) fn caller(&mut self, spans: &SpanBatch, row: &SpanRow, of: &Of, now: u64) {
        let payload = row.payload.of(&spans.bytes);
        let by = |span| key(row.trace, span) ^ of.tenant;
        let own = by(row.span);
        // Some protocols give both sides one id; the callee's parent is then the caller's.
        let callees = self.waiting.callees(own);
        let callees = callees.or_else(|| self.waiting.callee_of_span(by(row.parent), row.span));
        if let Some(callees) = callees {
            // Whoever handles what a client got from a queue was not called by that client.
            let asks = row.kind == SpanKind::Client
                && callees.iter().all(|callee| callee.message)
                && matches!(peer(payload), Some(Peer { kind: PeerKind::TakenFrom, .. }));
            if !asks {
                let mut side = self.side(row, of, None);
                callees.iter().for_each(|callee| self.call(&side, callee, now));
                let twins = callees.iter().any(|callee| are_twins(&side, callee));
                side.paired = true;
                match side.message {
                    true => self.wait(own, side, now),
                    false if twins => {}
                    false => self.waiting.keep(own, side, now),
                }
                return;
            }
            callees.into_iter().for_each(|callee| self.wait(own, callee, now));
        }
        let failed = row.status == StatusCode::Error;
        let service = &*of.owner.service;
        // Databases and queues send no spans: there is nothing to wait for.
        match peer(payload) {
            Some(Peer { kind: PeerKind::Database, name }) if row.kind == SpanKind::Client => {
                self.edge(&of.owner.tenant, [service, &name, DATABASE], failed, [example(row); 2], now);
            }
            Some(Peer { kind: PeerKind::TakenFrom, name }) if row.kind == SpanKind::Client => {
                self.edge(&of.owner.tenant, [&name, service, MESSAGING], failed, [example(row); 2], now);
            }
            peer => {
                let side = self.side(row, of, peer);
                self.wait(own, side, now);
            }
        }
    }

    pub(super) fn callee(&mut self, spans: &SpanBatch, row: &SpanRow, of: &Of, now: u64) {
        let own = key(row.trace, row.span) ^ of.tenant;
        let parent = (row.parent != 0).then(|| key(row.trace, row.parent) ^ of.tenant);
        let side = self.side(row, of, None);
        let called = self.called_by(&[Some(own), parent], &side, now);
        match parent {
            _ if row.kind == SpanKind::Consumer => {
                let payload = row.payload.of(&spans.bytes);
                let linked = links(payload).map(|(trace, span)| key(trace, span) ^ of.tenant);
                self.taker(side, payload, linked, parent, called, now);
            }
            _ if called => {}
            Some(key) => self.wait(key, side, now),
            None => {
                let ends = [USER, &side.owner.service, "virtual_node"];
                self.edge(&side.owner.tenant, ends, side.failed, [side.example; 2], now);
            }
        }
    }

    /// Counts the call of a callee by the first of these that is known, if one is.
    fn called_by(&mut self, keys: &[Option<u64>], callee: &Side, now: u64) -> bool {
        let Some((key, mut caller)) = self.waiting.caller_of(keys, now) else { return false };
        self.call(&caller, callee, now);
        if !caller.message && !caller.paired && !are_twins(&caller, callee) {
            caller.paired = true;
            self.waiting.keep(key, caller, now);
        }
        true
    }

    /// What a consumer takes beside what its parent sent, if that is so: the messages to whose senders it links. Each is a call whose
    /// sender is known; if none is, there is one call, by the queue.
    fn taker(
        &mut self,
        mut side: Side,
        payload: &[u8],
        linked: impl Iterator<Item = u64>,
        parent: Option<u64>,
        mut called: bool,
        now: u64,
    ) {
        let mut keys = std::mem::take(&mut self.keys);
        keys.clear();
        keys.extend(linked.filter(|key| Some(*key) != parent));
        keys.sort_unstable();
        keys.dedup();
        let by_parent = called;
        keys.retain(|key| {
            let known = self.called_by(&[Some(*key)], &side, now);
            called |= known;
            !known
        });
        keys.extend(parent.filter(|_| !by_parent));
        if !called || !keys.is_empty() {
            side.peer = peer(payload).map(|peer| (peer.kind, self.name(&peer.name)));
        }
        if called || keys.len() > 1 {
            side.met = Some(Arc::new(AtomicBool::new(called)));
        }
        // The parent is the likeliest.
        let last = keys.pop();
        for key in &keys {
            // Half of the room is for those who wait for one caller.
            if self.waiting.len() >= MAX_WAITING / 2 {
                break;
            }
            self.wait(*key, side.clone(), now);
        }
        match last {
            Some(key) => self.wait(key, side, now),
            None => self.alone(&side, now),
        }
        self.keys = keys;
    }

    fn wait(&mut self, key: u64, side: Side, now: u64) {
        let full = self.waiting.len() >= MAX_WAITING;
        match self.waiting.wait(key, side, now) {
            Ok(()) => {}
            Err(side) if side.paired => {}
            Err(side) if full => {
                if counts(&side) {
                    self.half(&DROPPED, &side, now);
                }
            }
            Err(before) => self.alone(&before, now),
        }
    }

    /// Counts those that have waited for too long.
    pub(super) fn expire(&mut self, now: u64) {
        while let Some(side) = self.waiting.expired(now) {
            self.alone(&side, now);
        }
    }

    /// A call of which both sides are known.
    fn call(&mut self, caller: &Side, callee: &Side, now: u64) {
        if let Some(met) = &callee.met {
            met.store(true, Ordering::Relaxed);
        }
        let connection = if caller.message || callee.message { MESSAGING } else { "" };
        let failed = caller.failed || callee.failed;
        let examples = [caller.example, callee.example];
        let ends = [&*caller.owner.service, &callee.owner.service, connection];
        self.edge(&callee.owner.tenant, ends, failed, examples, now);
        if caller.message && callee.message {
            self.waited(&callee.owner.tenant, ends, examples, now);
        }
    }

    /// How long a message waited between the two; by clocks that disagree not less than nothing.
    fn waited(
        &mut self,
        tenant: &str,
        [client, server, connection]: [&str; 3],
        [sent, taken]: [Example; 2],
        now: u64,
    ) {
        let began = taken.time.saturating_sub(taken.nanos);
        let example = Example { nanos: began.saturating_sub(sent.time), time: began, ..taken };
        let seed = of_tenant(tenant) ^ std::ptr::from_ref(&MESSAGES) as u64;
        let group = xxh3_64_with_seed(client.as_bytes(), seed);
        let key = xxh3_128_with_seed(server.as_bytes(), group) | 1 << 127;
        let labels = |others| edge_labels([client, server, connection], tenant, others);
        self.tracks.with(&MESSAGES, Place { key, group, part: 0 }, now, labels, |track, bounds| {
            track.observe(0, bounds, example);
        });
    }

    /// A call of which the other side is known by this one only, if at all.
    fn alone(&mut self, side: &Side, now: u64) {
        if !counts(side) {
            return;
        }
        let of_queue = |kind| matches!(kind, PeerKind::Queue | PeerKind::TakenFrom);
        let peer = side.peer.as_ref().filter(|(kind, _)| side.caller || of_queue(*kind));
        let Some((kind, peer)) = peer else { return self.half(&UNPAIRED, side, now) };
        let connection = match kind {
            PeerKind::Database => DATABASE,
            PeerKind::Queue | PeerKind::TakenFrom => MESSAGING,
            PeerKind::Other => "virtual_node",
        };
        let service = &side.owner.service;
        let calls = side.caller && *kind != PeerKind::TakenFrom;
        let (client, server) = if calls { (service, peer) } else { (peer, service) };
        self.edge(&side.owner.tenant, [client, server, connection], side.failed, [side.example; 2], now);
    }

    fn edge(
        &mut self,
        tenant: &str,
        [client, server, connection]: [&str; 3],
        failed: bool,
        [as_client, as_server]: [Example; 2],
        now: u64,
    ) {
        let group = xxh3_64_with_seed(client.as_bytes(), of_tenant(tenant));
        let seed = xxh3_64_with_seed(connection.as_bytes(), group);
        let key = xxh3_128_with_seed(server.as_bytes(), seed) | 1 << 127;
        let labels = |others| edge_labels([client, server, connection], tenant, others);
        // The operations of the client are another group.
        self.tracks.with(&CALLS, Place { key, group: !group, part: 0 }, now, labels, |track, bounds| {
            track.count(0, 1);
            track.count(1, u64::from(failed));
            track.observe(0, bounds, as_client);
            track.observe(1, bounds, as_server);
        });
    }

    fn half(&mut self, shape: &'static Shape, side: &Side, now: u64) {
        let Owner { service, tenant } = &*side.owner;
        let (client, server) = if side.caller { (&**service, "") } else { ("", &**service) };
        let seed = of_tenant(tenant) ^ std::ptr::from_ref(shape) as u64;
        let seed = xxh3_64_with_seed(client.as_bytes(), seed);
        let key = xxh3_128_with_seed(server.as_bytes(), seed) | 1 << 127;
        let labels = |others| {
            let own = [("client", client), ("server", server), (TENANT_LABEL, tenant)];
            Labels::new(own.into_iter().chain(overflow(others)))
        };
        self.tracks.with(shape, Place { key, group: key as u64, part: 0 }, now, labels, |track, _| {
            track.count(0, 1);
        });
    }
}

/// Whether both sides have one id. It is the parent of what the callee calls then, not of further callees.
fn are_twins(caller: &Side, callee: &Side) -> bool {
    caller.example.span == callee.example.span
}

/// Whether a side is to be counted by itself: of those that one span left, none if a caller was found, else one.
fn counts(side: &Side) -> bool {
    side.met.as_ref().is_none_or(|met| !met.swap(true, Ordering::Relaxed))
}

/// Of `others`, the servers of a client beside those that there was room for.
fn edge_labels([client, server, connection]: [&str; 3], tenant: &str, others: bool) -> Labels {
    let (server, connection) = if others { (OTHERS, "virtual_node") } else { (server, connection) };
    let ends = [("client", client), ("server", server), ("connection_type", connection)];
    Labels::new(ends.into_iter().chain([(TENANT_LABEL, tenant)]).chain(overflow(others)))
}
