//! From spans to a sheet. They come in the order of segments, so that those of a trace lie together.

use parsers::otlp::{PeerKind, links, peer};
use parsers::record::{SpanBatch, SpanKind, SpanRow, StatusCode, lossy};
use rustc_hash::FxHashMap;

use super::pairing::{Half, key};
use super::sheet::{OperationKey, Sheet, Text};

/// Spans of a trace that are looked at together; those of a larger one are taken in parts.
const MAX_TRACE: usize = 100_000;
/// Links of the spans of a trace that are followed: 8 MB. Takers of whole batches have a hundred each, and few are in one trace.
const MAX_TRACE_LINKS: usize = 1_000_000;
/// Resources of batches that are remembered.
const MAX_RESOURCES: usize = 4096;

/// What is needed of a span until its trace is whole.
#[derive(Debug, Clone, Copy)]
struct Seen {
    span: u64,
    parent: u64,
    kind: SpanKind,
    name: Text,
    half: Half,
    /// The messages that it handles, as a range of the links of its trace.
    links: (u32, u32),
    /// Another span is its other half, or the same call more closely seen.
    met: bool,
    /// Counted as a callee.
    called: bool,
}

impl Seen {
    fn calls(&self) -> bool {
        matches!(self.kind, SpanKind::Client | SpanKind::Producer) && !self.takes()
    }

    /// A client that asks a queue for messages: nobody is called, and its children are no callees.
    fn takes(&self) -> bool {
        self.kind == SpanKind::Client && matches!(self.half.peer, Some((PeerKind::TakenFrom, _)))
    }

    fn is_called(&self) -> bool {
        matches!(self.kind, SpanKind::Server | SpanKind::Consumer)
    }
}

/// A sheet being filled.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    sheet: Sheet,
    trace: u128,
    spans: Vec<Seen>,
    /// Where the spans of the trace are that have an id: the first, and another of the same id.
    places: FxHashMap<u64, (u32, u32)>,
    services: FxHashMap<(u32, u32), Text>,
    /// Of all spans of the trace, by the keys of the producers.
    links: Vec<u64>,
    /// Keys of the span in hand, kept for its memory.
    keys: Vec<u64>,
}

/// No place.
const NONE: u32 = u32::MAX;

impl Gather {
    /// Takes a row of the batch that the caller calls by this number.
    pub(crate) fn add(&mut self, number: u32, from: &SpanBatch, row: &SpanRow) {
        let same = self.trace == row.trace || self.trace as u64 == row.trace as u64 && self.trace != 0;
        if !same || self.spans.len() >= MAX_TRACE {
            self.end_trace();
        }
        self.trace = row.trace;
        let seen = self.seen(number, from, row);
        let at = self.spans.len() as u32;
        let place = self.places.entry(row.span).or_insert((at, NONE));
        if place.0 != at {
            let known = [place.0, place.1].map(|at| self.spans.get(at as usize));
            // A span that was received twice, or of which the beginning and the end were told apart.
            let twice = |known: &&Seen| {
                let (a, b) = (&known.half, &seen.half);
                let same =
                    (a.start, a.nanos, a.failed, known.name) == (b.start, b.nanos, b.failed, seen.name);
                known.kind == seen.kind && a.service == b.service && (same || a.nanos == 0 || b.nanos == 0)
            };
            if known.iter().flatten().any(twice) {
                return;
            }
            place.1 = at;
        }
        self.spans.push(seen);
    }

    fn seen(&mut self, number: u32, from: &SpanBatch, row: &SpanRow) -> Seen {
        let texts = &mut self.sheet.texts;
        if self.services.len() >= MAX_RESOURCES {
            self.services.clear();
        }
        let service = *self.services.entry((number, row.resource)).or_insert_with(|| {
            texts.of(from.resources.get(row.resource as usize).map_or("", |resource| &resource.service))
        });
        let name = texts.of(&lossy(row.name.of(&from.bytes)));
        let payload = row.payload.of(&from.bytes);
        // Servers are named by their service; only the attributes of the others say something.
        let told = matches!(row.kind, SpanKind::Client | SpanKind::Producer | SpanKind::Consumer);
        let peer = told.then(|| peer(payload)).flatten().map(|peer| (peer.kind, texts.of(&peer.name)));
        let first = self.links.len();
        if row.kind == SpanKind::Consumer {
            let room = MAX_TRACE_LINKS.saturating_sub(first);
            self.links.extend(links(payload).take(room).map(|(trace, span)| key(trace, span)));
        }
        Seen {
            span: row.span,
            parent: row.parent,
            kind: row.kind,
            name,
            half: Half {
                key: 0,
                start: row.start,
                service,
                peer,
                message: matches!(row.kind, SpanKind::Producer | SpanKind::Consumer),
                failed: row.status == StatusCode::Error,
                paired: false,
                nanos: row.end.saturating_sub(row.start),
                trace: row.trace,
                span: 0,
            },
            links: (first as u32, self.links.len() as u32),
            met: false,
            called: false,
        }
    }

    fn at(&self, place: u32) -> Option<&Seen> {
        self.spans.get(place as usize)
    }

    /// The span that made this one: the caller of the same id, where the protocol has it so, or its parent.
    fn caller_of(&self, place: u32, seen: &Seen) -> Option<u32> {
        let of = |id: u64| {
            let (first, other) = self.places.get(&id).copied().unwrap_or((NONE, NONE));
            [first, other].into_iter().filter(|at| *at != NONE && *at != place)
        };
        let calls = |at: &u32| self.at(*at).is_some_and(Seen::calls);
        if seen.is_called()
            && let Some(twin) = of(seen.span).find(calls)
        {
            return Some(twin);
        }
        if seen.parent == 0 || seen.parent == seen.span {
            return None;
        }
        let own = |at: &u32| self.at(*at).is_some_and(|parent| parent.half.service == seen.half.service);
        of(seen.parent).find(own).or_else(|| of(seen.parent).next())
    }

    fn end_trace(&mut self) {
        for place in 0..self.spans.len() as u32 {
            let Some(seen) = self.at(place).copied() else { break };
            let caller = self.caller_of(place, &seen).and_then(|at| Some((at, *self.at(at)?)));
            let Some((at, caller)) = caller else { continue };
            let other_service = caller.half.service != seen.half.service;
            let call = other_service || caller.calls() && seen.is_called();
            // A client within a client is one call, seen twice.
            let nested = !call && caller.calls() && seen.calls();
            if call {
                self.sheet.pair(&caller.half, &seen.half, caller.calls());
            }
            if let Some(seen) = self.spans.get_mut(place as usize) {
                seen.called = call;
            }
            if (call || nested)
                && let Some(caller) = self.spans.get_mut(at as usize)
            {
                caller.met = true;
            }
        }
        for seen in std::mem::take(&mut self.spans) {
            self.operation(&seen);
            self.half(&seen);
        }
        self.places.clear();
        self.links.clear();
    }

    fn operation(&mut self, seen: &Seen) {
        let entry = seen.is_called() || seen.parent == 0 || seen.called;
        let key = OperationKey {
            minute: seen.half.minute(),
            service: seen.half.service,
            name: seen.name,
            kind: seen.kind as u8,
            entry,
        };
        if let Some(operation) = self.sheet.operation(key) {
            operation.calls += 1;
            operation.errors += u64::from(seen.half.failed);
            operation.latency.add(seen.half.nanos);
        }
    }

    /// Notes or counts a side of a call whose other side is not of this trace or not here.
    fn half(&mut self, seen: &Seen) {
        let half = &seen.half;
        if seen.calls() {
            let own = key(half.trace, seen.span);
            match (seen.met, seen.kind, half.peer) {
                (true, SpanKind::Producer, _) => {
                    self.sheet.callers.insert(own, Half { key: own, paired: true, ..*half });
                }
                (true, ..) => {}
                // Databases send no spans: there is nothing to wait for.
                (false, SpanKind::Client, Some((PeerKind::Database, _))) => self.sheet.settle_caller(half),
                (false, ..) => {
                    self.sheet.callers.insert(own, Half { key: own, ..*half });
                }
            }
        } else if seen.takes() {
            // So with queues.
            if !seen.called {
                self.sheet.settle_caller(half);
            }
        } else if seen.is_called() {
            self.callee(seen);
        }
    }

    /// Notes a callee under each caller that it may have: the one that is its parent, and those that sent the messages to which it
    /// links. Of a call that is counted already the links stay, for those that sent further ones.
    fn callee(&mut self, seen: &Seen) {
        let parent = (seen.parent != 0).then(|| key(seen.half.trace, seen.parent));
        let (first, last) = seen.links;
        let links = self.links.get(first as usize..last as usize).unwrap_or_default();
        self.keys.clear();
        self.keys.extend(parent.into_iter().filter(|_| !seen.called));
        self.keys.extend(links.iter().filter(|link| Some(**link) != parent));
        self.keys.sort_unstable();
        self.keys.dedup();
        let several = seen.called || self.keys.len() > 1;
        let half = Half { paired: seen.called, span: if several { seen.span } else { 0 }, ..seen.half };
        self.sheet.callees.extend(self.keys.iter().map(|key| Half { key: *key, ..half }));
        if self.keys.is_empty() && !seen.called {
            self.sheet.settle_callee(&half, true);
        }
    }

    /// The sheet.
    pub(crate) fn finish(mut self) -> Sheet {
        self.end_trace();
        self.sheet.pair_up();
        self.sheet
    }
}
