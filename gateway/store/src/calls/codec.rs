//! A sheet in bytes.

use parsers::otlp::PeerKind;
use rustc_hash::FxHashMap;

use super::pairing::{Half, MAX_HALVES};
use super::sheet::{Edge, EdgeKey, Examples, Operation, OperationKey, Sheet, Text};
use super::{Connection, Sketch};
use crate::codec::{Damaged, Input, Output};

/// The first byte; one that is not known is not read, and the sheet is made anew.
const VERSION: u8 = 3;
/// Knows one half of each callee.
const SINGLE_HALVES: u8 = 2;
/// Ends before the addresses of services.
const WITHOUT_ADDRESSES: u8 = 1;

/// Names that are in use, in the order in which they are first met.
#[derive(Default)]
struct Used {
    numbers: FxHashMap<Text, u64>,
    list: Vec<Text>,
}

impl Used {
    fn of(&mut self, text: Text) -> u64 {
        let next = self.list.len() as u64;
        *self.numbers.entry(text).or_insert_with(|| {
            self.list.push(text);
            next
        })
    }
}

/// Flags of a half.
const MESSAGE: u8 = 1;
const FAILED: u8 = 2;
const PAIRED: u8 = 4;
/// The kind of its peer in three bits, less one; zero is no peer.
const PEER: u8 = 3;
const PEERS: u8 = 7;
/// It is one of several of its span, which follows.
const SEVERAL: u8 = 64;

impl Sheet {
    /// Writes it.
    pub(crate) fn encode(&self, out: &mut Output) {
        let (mut used, mut body) = (Used::default(), Output::default());
        let mut operations: Vec<_> = self.operations.iter().collect();
        operations.sort_unstable_by_key(|(key, _)| **key);
        body.varint(operations.len() as u64);
        for (key, operation) in operations {
            body.varint(u64::from(key.minute));
            body.varint(used.of(key.service));
            body.varint(used.of(key.name));
            body.byte(key.kind << 1 | u8::from(key.entry));
            body.varint(operation.calls);
            body.varint(operation.errors);
            sketch(&operation.latency, &mut body);
        }
        let mut edges: Vec<_> = self.edges.iter().collect();
        edges.sort_unstable_by_key(|(key, _)| **key);
        body.varint(edges.len() as u64);
        for (key, edge) in edges {
            body.varint(u64::from(key.minute));
            body.varint(used.of(key.client));
            body.varint(used.of(key.server));
            body.byte(key.connection as u8);
            body.varint(edge.calls);
            body.varint(edge.failed);
            sketch(&edge.client, &mut body);
            sketch(&edge.server, &mut body);
            sketch(&edge.queue, &mut body);
            body.varint(edge.examples.slowest.0);
            body.fixed128(edge.examples.slowest.1);
            body.fixed128(edge.examples.failed);
        }
        let mut callers: Vec<Half> = self.callers.values().copied().collect();
        let mut callees = self.callees.clone();
        for halves in [&mut callers, &mut callees] {
            halves.sort_unstable_by_key(|half| (half.trace, half.key));
            body.varint(halves.len() as u64);
            halves.iter().for_each(|half| half_out(half, &mut used, &mut body));
        }
        let mut unpaired: Vec<_> = self.unpaired.iter().collect();
        unpaired.sort_unstable();
        body.varint(unpaired.len() as u64);
        for (minute, count) in unpaired {
            body.varint(u64::from(*minute));
            body.varint(*count);
        }
        body.varint(self.addresses.len() as u64);
        for (address, service) in &self.addresses {
            body.varint(used.of(*address));
            body.varint(used.of(*service));
        }
        out.byte(VERSION);
        out.varint(used.list.len() as u64);
        used.list.iter().for_each(|text| out.bytes(self.texts.get(*text).as_bytes()));
        out.raw(body.as_bytes());
    }

    /// Reads [`Sheet::encode`] back.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let (mut sheet, mut input) = (Self::default(), Input::new(bytes));
        let version = input.byte()?;
        if !matches!(version, VERSION | SINGLE_HALVES | WITHOUT_ADDRESSES) {
            return Err(Damaged);
        }
        let mut texts = Vec::new();
        for _ in 0..input.count()? {
            texts.push(sheet.texts.of(input.text()?));
        }
        let text = |input: &mut Input<'_>| texts.get(input.varint()? as usize).copied().ok_or(Damaged);
        for _ in 0..input.count()? {
            let (minute, service, name) = (input.varint32()?, text(&mut input)?, text(&mut input)?);
            let bits = input.byte()?;
            let key = OperationKey { minute, service, name, kind: bits >> 1, entry: bits & 1 == 1 };
            let (calls, errors) = (input.varint()?, input.varint()?);
            let latency = sketch_in(&mut input)?;
            if let Some(operation) = sheet.operation(key) {
                *operation = Operation { calls, errors, latency };
            }
        }
        for _ in 0..input.count()? {
            let (minute, client, server) = (input.varint32()?, text(&mut input)?, text(&mut input)?);
            let connection = Connection::from_code(input.byte()?).ok_or(Damaged)?;
            let edge = Edge {
                calls: input.varint()?,
                failed: input.varint()?,
                client: sketch_in(&mut input)?,
                server: sketch_in(&mut input)?,
                queue: sketch_in(&mut input)?,
                examples: Examples {
                    slowest: (input.varint()?, input.fixed128()?),
                    failed: input.fixed128()?,
                },
            };
            sheet.edges.insert(EdgeKey { minute, client, server, connection }, edge);
        }
        let callers = input.count()?;
        sheet.callers.reserve(callers.min(MAX_HALVES));
        for _ in 0..callers {
            let half = half_in(&mut input, text)?;
            sheet.callers.insert(half.key, half);
        }
        for _ in 0..input.count()? {
            sheet.callees.push(half_in(&mut input, text)?);
        }
        for _ in 0..input.count()? {
            let (minute, count) = (input.varint32()?, input.varint()?);
            sheet.unpaired.insert(minute, count);
        }
        if version != WITHOUT_ADDRESSES {
            for _ in 0..input.count()? {
                let (address, service) = (text(&mut input)?, text(&mut input)?);
                sheet.behind(address, service);
            }
        }
        Ok(sheet)
    }
}

fn sketch(sketch: &Sketch, out: &mut Output) {
    out.varint(sketch.buckets().len() as u64);
    let mut before = 0;
    for (bucket, count) in sketch.buckets() {
        out.varint(u64::from(bucket - before));
        out.varint(u64::from(*count));
        before = *bucket;
    }
}

fn sketch_in(input: &mut Input<'_>) -> Result<Sketch, Damaged> {
    let (mut sketch, mut bucket) = (Sketch::default(), 0u16);
    for _ in 0..input.count()? {
        let step = u16::try_from(input.varint()?).map_err(|_| Damaged)?;
        bucket = bucket.checked_add(step).ok_or(Damaged)?;
        sketch.add_to(bucket, input.varint32()?);
    }
    Ok(sketch)
}

fn half_out(half: &Half, used: &mut Used, out: &mut Output) {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let peer = half.peer.map_or(0, |(kind, _)| kind as u8 + 1);
    let flags = flag(half.message, MESSAGE) | flag(half.failed, FAILED) | flag(half.paired, PAIRED);
    out.byte(flags | peer << PEER | flag(half.span != 0, SEVERAL));
    out.fixed64(half.key);
    out.fixed128(half.trace);
    out.varint(half.start);
    out.varint(used.of(half.service));
    out.varint(half.nanos);
    if let Some((_, peer)) = half.peer {
        out.varint(used.of(peer));
    }
    if half.span != 0 {
        out.fixed64(half.span);
    }
}

fn half_in(
    input: &mut Input<'_>,
    text: impl Fn(&mut Input<'_>) -> Result<Text, Damaged>,
) -> Result<Half, Damaged> {
    let flags = input.byte()?;
    let kind = match flags >> PEER & PEERS {
        0 => None,
        1 => Some(PeerKind::Database),
        2 => Some(PeerKind::Queue),
        3 => Some(PeerKind::Other),
        4 => Some(PeerKind::TakenFrom),
        _ => return Err(Damaged),
    };
    let (key, trace) = (input.fixed64()?, input.fixed128()?);
    let (start, service, nanos) = (input.varint()?, text(input)?, input.varint()?);
    let peer = kind.map(|kind| text(input).map(|peer| (kind, peer))).transpose()?;
    let span = if flags & SEVERAL == 0 { 0 } else { input.fixed64()? };
    Ok(Half {
        key,
        start,
        service,
        peer,
        message: flags & MESSAGE != 0,
        failed: flags & FAILED != 0,
        paired: flags & PAIRED != 0,
        nanos,
        trace,
        span,
    })
}
