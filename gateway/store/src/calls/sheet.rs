//! A sheet: counted operations and edges, and the halves of calls that wait for the other one (see [`super::pairing`]).

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use parsers::record::{SpanKind, Spelling, SpellingKind, TraceId};
use rustc_hash::{FxHashMap, FxHashSet};

use super::pairing::Half;
use super::{Calls, Connection, EdgeCalls, OTHERS, OperationCalls, Sketch};
use crate::read::Window;

/// Operations by minute, and edges by minute, that a sheet tells apart; of more, names are left out. An hour of a hundred
/// services with thirty operations each.
const MAX_CELLS: usize = 200_000;
/// Operations of a service that a sheet tells apart: names made of URLs and ids must not fill it.
const MAX_NAMES: u32 = 1000;
/// Names of all kinds that a sheet holds.
const MAX_TEXTS: usize = 200_000;

/// Pairs of an address and the service behind it that are remembered: each service by some names.
const MAX_ADDRESSES: usize = 20_000;

/// A name of the sheet.
pub(super) type Text = u32;

/// Names, each once.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts {
    list: Vec<Arc<str>>,
    known: FxHashMap<Arc<str>, Text>,
}

impl Texts {
    pub(super) fn of(&mut self, text: &str) -> Text {
        if let Some(known) = self.known.get(text) {
            return *known;
        }
        if self.list.len() >= MAX_TEXTS && text != OTHERS {
            return self.of(OTHERS);
        }
        let (shared, number) = (Arc::<str>::from(text), self.list.len() as Text);
        self.list.push(Arc::clone(&shared));
        self.known.insert(shared, number);
        number
    }

    pub(super) fn get(&self, text: Text) -> Arc<str> {
        self.list.get(text as usize).cloned().unwrap_or_default()
    }

    pub(super) fn list(&self) -> &[Arc<str>] {
        &self.list
    }
}

/// What operations are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct OperationKey {
    pub minute: u32,
    pub service: Text,
    pub name: Text,
    pub kind: u8,
    pub entry: bool,
}

/// Spans of an operation.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Operation {
    pub calls: u64,
    pub errors: u64,
    pub latency: Sketch,
}

/// What edges are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct EdgeKey {
    pub minute: u32,
    pub client: Text,
    pub server: Text,
    pub connection: Connection,
}

/// Traces to look at, by their bits; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Examples {
    /// How long the slowest took, and its trace.
    pub slowest: (u64, u128),
    /// A failed one; of several that with the greatest bits, so that the order in which they come makes no difference.
    pub failed: u128,
}

impl Examples {
    pub(super) fn merge(&mut self, other: Self) {
        self.slowest = self.slowest.max(other.slowest);
        self.failed = self.failed.max(other.failed);
    }
}

/// Calls of an edge.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Edge {
    pub calls: u64,
    pub failed: u64,
    pub client: Sketch,
    pub server: Sketch,
    pub queue: Sketch,
    pub examples: Examples,
}

impl Edge {
    fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.failed += other.failed;
        self.client.merge(&other.client);
        self.server.merge(&other.server);
        self.queue.merge(&other.queue);
        self.examples.merge(other.examples);
    }
}

/// What spans said, added up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sheet {
    pub(super) texts: Texts,
    pub(super) operations: FxHashMap<OperationKey, Operation>,
    pub(super) edges: FxHashMap<EdgeKey, Edge>,
    pub(super) callers: FxHashMap<u64, Half>,
    pub(super) callees: Vec<Half>,
    pub(super) unpaired: FxHashMap<u32, u64>,
    /// What callers call the other side, and the service that it turned out to be.
    pub(super) addresses: BTreeSet<(Text, Text)>,
    /// Services and names of operations that are told apart, and how many of each service.
    names: FxHashSet<(Text, Text)>,
    names_of: FxHashMap<Text, u32>,
    /// If only these minutes count, and all as one.
    within: Option<(u32, u32)>,
}

impl Sheet {
    /// One that takes what is of these minutes, and does not tell them apart.
    pub(crate) fn within(minutes: RangeInclusive<u32>) -> Self {
        Self { within: Some(minutes.into_inner()), ..Self::default() }
    }

    /// Bytes held, about.
    pub(crate) fn size(&self) -> usize {
        let sketches = |sketch: &Sketch| size_of_val(sketch.buckets());
        let operations = self.operations.values().map(|o| sketches(&o.latency) + size_of::<Operation>() + 32);
        let edges = self
            .edges
            .values()
            .map(|e| sketches(&e.client) + sketches(&e.server) + sketches(&e.queue) + size_of::<Edge>() + 32);
        let halves = (self.callers.len() + self.callees.len()) * (size_of::<Half>() + 16);
        let texts: usize = self.texts.list().iter().map(|text| text.len() + 64).sum();
        operations.sum::<usize>() + edges.sum::<usize>() + halves + texts
    }

    /// The minute under which it is counted, if at all.
    pub(super) fn minute(&self, minute: u32) -> Option<u32> {
        match self.within {
            None => Some(minute),
            Some((first, last)) => (first..=last).contains(&minute).then_some(0),
        }
    }

    /// Where a span's operation is counted.
    pub(super) fn operation(&mut self, key: OperationKey) -> Option<&mut Operation> {
        let mut key = OperationKey { minute: self.minute(key.minute)?, ..key };
        if !self.operations.contains_key(&key) {
            let others = self.texts.of(OTHERS);
            if key.name != others && !self.names.contains(&(key.service, key.name)) {
                let names = self.names_of.entry(key.service).or_default();
                if *names >= MAX_NAMES {
                    key.name = others;
                } else {
                    *names += 1;
                    self.names.insert((key.service, key.name));
                }
            }
            if self.operations.len() >= MAX_CELLS {
                key.name = others;
            }
            if self.operations.len() >= 2 * MAX_CELLS {
                key.service = others;
            }
        }
        Some(self.operations.entry(key).or_default())
    }

    pub(super) fn edge(&mut self, key: EdgeKey) -> Option<&mut Edge> {
        let mut key = EdgeKey { minute: self.minute(key.minute)?, ..key };
        if self.edges.len() >= MAX_CELLS && !self.edges.contains_key(&key) {
            let others = self.texts.of(OTHERS);
            (key.client, key.server) = (others, others);
        }
        Some(self.edges.entry(key).or_default())
    }

    /// Notes which service answers at an address.
    pub(super) fn behind(&mut self, address: Text, service: Text) {
        if address != service && self.addresses.len() < MAX_ADDRESSES {
            self.addresses.insert((address, service));
        }
    }

    /// Adds another sheet. Halves find theirs at [`Sheet::pair_up`].
    pub(crate) fn merge(&mut self, other: &Self) {
        self.add(other, |_| true);
    }

    /// Puts sheets together of which no more will come: a caller that no callee of them waits for counts at once, unless its
    /// callee may still arrive.
    pub(crate) fn merge_all(&mut self, sheets: &[Arc<Self>], now: u64) {
        let awaited: FxHashSet<u64> =
            sheets.iter().flat_map(|sheet| sheet.callees.iter().map(|callee| callee.key)).collect();
        for sheet in sheets {
            self.add(sheet, |caller| awaited.contains(&caller.key) || caller.is_young(now));
        }
    }

    /// Adds another sheet, with those of its callers that are to wait; others count.
    fn add(&mut self, other: &Self, waits: impl Fn(&Half) -> bool) {
        let map: Vec<Text> = other.texts.list().iter().map(|text| self.texts.of(text)).collect();
        let text = |text: Text| map.get(text as usize).copied().unwrap_or_default();
        for (key, operation) in &other.operations {
            let key = OperationKey { service: text(key.service), name: text(key.name), ..*key };
            if let Some(own) = self.operation(key) {
                own.calls += operation.calls;
                own.errors += operation.errors;
                own.latency.merge(&operation.latency);
            }
        }
        for (key, edge) in &other.edges {
            let key = EdgeKey { client: text(key.client), server: text(key.server), ..*key };
            if let Some(own) = self.edge(key) {
                own.merge(edge);
            }
        }
        let half = |half: &Half| Half {
            service: text(half.service),
            peer: half.peer.map(|(kind, peer)| (kind, text(peer))),
            ..*half
        };
        for (key, caller) in &other.callers {
            if waits(caller) {
                self.callers.insert(*key, half(caller));
            } else if !caller.paired {
                self.settle_caller(&half(caller));
            }
        }
        self.callees.extend(other.callees.iter().map(half));
        for (address, service) in &other.addresses {
            self.behind(text(*address), text(*service));
        }
        for (minute, count) in &other.unpaired {
            if let Some(minute) = self.minute(*minute) {
                *self.unpaired.entry(minute).or_default() += count;
            }
        }
    }

    /// A peer is the service that sends spans under its name, or that is the only one to have answered at its address: a call
    /// of it that left no span there is still a call of that service.
    fn name_services(&mut self) {
        let services: FxHashSet<Text> = self.operations.keys().map(|key| key.service).collect();
        let mut behind: FxHashMap<Text, Option<Text>> = FxHashMap::default();
        for (address, service) in self.addresses.iter().filter(|(_, service)| services.contains(service)) {
            behind.entry(*address).and_modify(|only| *only = None).or_insert(Some(*service));
        }
        let service = |peer: Text| {
            if services.contains(&peer) { Some(peer) } else { behind.get(&peer).copied().flatten() }
        };
        let peers: Vec<EdgeKey> =
            self.edges.keys().filter(|key| key.connection == Connection::External).copied().collect();
        for key in peers {
            let Some(server) = service(key.server).filter(|server| *server != key.client) else { continue };
            if let Some(edge) = self.edges.remove(&key) {
                let key = EdgeKey { server, connection: Connection::Direct, ..key };
                self.edges.entry(key).or_default().merge(&edge);
            }
        }
    }

    /// What it says at this time; halves that found no other one count by what they say of it, once they have waited.
    pub(crate) fn into_calls(mut self, window: Window, now: u64) -> Calls {
        self.pair_up();
        let mut pending = 0;
        for caller in std::mem::take(&mut self.callers).into_values().filter(|caller| !caller.paired) {
            if caller.is_young(now) {
                pending += u64::from(self.minute(caller.minute()).is_some());
            } else {
                self.settle_caller(&caller);
            }
        }
        let lonely = std::mem::take(&mut self.callees).into_iter().filter(|callee| !callee.paired);
        let (young, old): (Vec<Half>, Vec<Half>) = lonely.partition(|callee| callee.is_young(now));
        let mut groups = FxHashSet::default();
        for callee in young {
            let first = callee.group().is_none_or(|group| groups.insert(group));
            pending += u64::from(first && self.minute(callee.minute()).is_some());
        }
        self.settle_callees(old.into_iter());
        self.name_services();
        let texts = &self.texts;
        let operation = |(key, counted): (OperationKey, Operation)| OperationCalls {
            service: texts.get(key.service),
            name: texts.get(key.name),
            kind: SpanKind::from_code(key.kind),
            entry: key.entry,
            calls: counted.calls,
            errors: counted.errors,
            latency: counted.latency,
        };
        let edge = |(key, counted): (EdgeKey, Edge)| EdgeCalls {
            client: texts.get(key.client),
            server: texts.get(key.server),
            connection: key.connection,
            calls: counted.calls,
            failed: counted.failed,
            client_latency: counted.client,
            server_latency: counted.server,
            queue_latency: counted.queue,
            examples: traces(counted.examples),
        };
        let mut operations: Vec<OperationCalls> = self.operations.into_iter().map(operation).collect();
        operations.sort_by(|a, b| {
            (&a.service, &a.name, a.kind as u8, a.entry).cmp(&(&b.service, &b.name, b.kind as u8, b.entry))
        });
        let mut edges: Vec<EdgeCalls> = self.edges.into_iter().map(edge).collect();
        edges.sort_by(|a, b| (&a.client, &a.server, a.connection).cmp(&(&b.client, &b.server, b.connection)));
        let unpaired = self.unpaired.values().sum();
        Calls { window, operations, edges, unpaired, pending, damaged_blocks: 0, begins: None }
    }
}

fn traces(examples: Examples) -> Vec<TraceId> {
    let mut bits = vec![examples.slowest.1];
    if examples.failed != examples.slowest.1 {
        bits.push(examples.failed);
    }
    let spelling = Spelling::new(SpellingKind::Hex(32));
    bits.into_iter().filter_map(|bits| TraceId::new(bits, spelling)).collect()
}
