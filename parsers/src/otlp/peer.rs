//! Whom a span says that it speaks with, for calls whose other side sends no spans: read from its attributes in one pass.
//!
//! Names are chosen as Tempo's documentation of service graphs has it: the peer's own name, then its address, then the host of the URL
//! that was called, then what names the database; a queue goes by its destination.

use std::borrow::Cow;

use super::{Field, Reader};
use crate::record::lossy;

/// Fields of OTLP's `Span`, `Span.Link`, `KeyValue` and `AnyValue`.
mod number {
    pub const ATTRIBUTES: u32 = 9;
    pub const LINKS: u32 = 13;
    pub const TRACE_ID: u32 = 1;
    pub const SPAN_ID: u32 = 2;
    pub const KEY: u32 = 1;
    pub const VALUE: u32 = 2;
    pub const STRING: u32 = 1;
    pub const INT: u32 = 3;
}

/// What the other side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum PeerKind {
    /// A `db.*` attribute is there.
    Database = 0,
    /// A `messaging.*` attribute is there.
    Queue = 1,
    /// Anything else that has a name.
    Other = 2,
    /// A queue from which the span takes messages, as its `messaging.operation.type` says: they come from there.
    TakenFrom = 3,
}

/// The other side of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer<'a> {
    /// What it is.
    pub kind: PeerKind,
    /// What it is called.
    pub name: Cow<'a, str>,
}

/// Attributes that name the other side, each with its rank in [`Found`]; those of one rank are spellings of one another.
const RANKS: usize = 12;
const PEER_SERVICE: usize = 0;
const ADDRESS: usize = 1;
const NETWORK_ADDRESS: usize = 2;
const NETWORK_PORT: usize = 3;
const DB_NAMESPACE: usize = 4;
const DB_NAME: usize = 5;
const DB_SYSTEM_NAME: usize = 6;
const DB_SYSTEM: usize = 7;
const DESTINATION: usize = 8;
const MESSAGING_SYSTEM: usize = 9;
const URL: usize = 10;
const OPERATION: usize = 11;

fn rank(key: &[u8]) -> Option<usize> {
    if !matches!(key.first(), Some(b'p' | b's' | b'n' | b'd' | b'm' | b'u' | b'h')) {
        return None;
    }
    Some(match key {
        b"peer.service" | b"service.peer.name" => PEER_SERVICE,
        b"server.address" | b"net.peer.name" => ADDRESS,
        b"network.peer.address" | b"net.peer.ip" => NETWORK_ADDRESS,
        b"network.peer.port" | b"net.peer.port" => NETWORK_PORT,
        b"db.namespace" => DB_NAMESPACE,
        b"db.name" => DB_NAME,
        b"db.system.name" => DB_SYSTEM_NAME,
        b"db.system" => DB_SYSTEM,
        b"messaging.destination.name" | b"messaging.destination" => DESTINATION,
        b"messaging.system" => MESSAGING_SYSTEM,
        b"url.full" | b"http.url" => URL,
        b"messaging.operation.type" | b"messaging.operation" => OPERATION,
        _ => return None,
    })
}

/// What the ranks say.
#[derive(Default)]
struct Found<'a> {
    /// Empty where there is none.
    texts: [&'a [u8]; RANKS],
    /// The port, where it is a number.
    port: Option<i64>,
}

/// The other side of a call, from the encoded span of one of its sides; `None` if nothing names it.
pub fn peer(span: &[u8]) -> Option<Peer<'_>> {
    let mut found = Found::default();
    let mut any = false;
    let mut reader = Reader::new(span);
    while let Ok(Some((field, value))) = reader.read() {
        if let (number::ATTRIBUTES, Field::Bytes(pair)) = (field, value) {
            any |= named(pair, &mut found).is_some();
        }
    }
    any.then(|| choose(&found)).flatten()
}

/// Keeps what a pair says of the other side, if it does; of several of one rank the first.
fn named<'a>(pair: &'a [u8], found: &mut Found<'a>) -> Option<()> {
    let (mut key, mut value) = (None, &[][..]);
    let mut reader = Reader::new(pair);
    while let Ok(Some((field, read))) = reader.read() {
        match (field, read) {
            // Every known writer puts the key first: the value of another one needs no look.
            (number::KEY, Field::Bytes(bytes)) => key = Some(rank(bytes)?),
            (number::VALUE, Field::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    let slot = found.texts.get_mut(key?)?;
    match Reader::new(value).read() {
        _ if !slot.is_empty() => return None,
        Ok(Some((number::STRING, Field::Bytes(text)))) => {
            *slot = if key == Some(URL) { host(text)? } else { text };
        }
        Ok(Some((number::INT, Field::Varint(bits)))) if key == Some(NETWORK_PORT) => {
            found.port.get_or_insert(bits as i64);
        }
        _ => return None,
    }
    Some(())
}

/// The host of an absolute URL.
fn host(url: &[u8]) -> Option<&[u8]> {
    let at = url.windows(3).position(|three| three == b"://")?;
    let rest = url.get(at + 3..)?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let authority = rest.get(..end)?;
    let host = authority
        .iter()
        .rposition(|byte| *byte == b'@')
        .map_or(authority, |at| authority.get(at + 1..).unwrap_or_default());
    let host = match host.strip_prefix(b"[") {
        Some(inner) => inner.split(|byte| *byte == b']').next()?,
        None => host.split(|byte| *byte == b':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

fn choose<'a>(found: &Found<'a>) -> Option<Peer<'a>> {
    let text = |rank: usize| found.texts.get(rank).copied().filter(|text| !text.is_empty());
    let has = |rank: usize| text(rank).is_some();
    let database = [DB_NAMESPACE, DB_NAME, DB_SYSTEM_NAME, DB_SYSTEM];
    let (kind, order): (_, &[usize]) = if database.into_iter().any(has) {
        let order =
            &[PEER_SERVICE, ADDRESS, NETWORK_ADDRESS, URL, DB_NAMESPACE, DB_NAME, DB_SYSTEM_NAME, DB_SYSTEM];
        (PeerKind::Database, order)
    } else if has(DESTINATION) || has(MESSAGING_SYSTEM) {
        let kind = if text(OPERATION).is_some_and(takes) { PeerKind::TakenFrom } else { PeerKind::Queue };
        (kind, &[DESTINATION, PEER_SERVICE, MESSAGING_SYSTEM])
    } else {
        (PeerKind::Other, &[PEER_SERVICE, ADDRESS, NETWORK_ADDRESS, URL])
    };
    let chosen = order.iter().copied().find(|rank| has(*rank))?;
    let name = lossy(text(chosen)?);
    let numbered = matches!(chosen, DB_NAMESPACE | DB_NAME) && name.bytes().all(|b| b.is_ascii_digit());
    let name = match (text(DB_SYSTEM_NAME).or(text(DB_SYSTEM)), text(NETWORK_PORT), found.port) {
        // Redis numbers its databases: "0" alone names nothing.
        (Some(system), ..) if numbered => Cow::Owned(format!("{}/{name}", lossy(system))),
        (_, Some(port), _) if chosen == NETWORK_ADDRESS => Cow::Owned(format!("{name}:{}", lossy(port))),
        (_, None, Some(port)) if chosen == NETWORK_ADDRESS => Cow::Owned(format!("{name}:{port}")),
        _ => name,
    };
    Some(Peer { kind, name })
}

/// Whether an operation is one of those who take messages. Whoever asks the broker for them, or tells it that one is done, is its
/// client by the kind of the span; the messages go the other way.
fn takes(operation: &[u8]) -> bool {
    matches!(operation, b"receive" | b"process" | b"deliver" | b"settle")
}

/// Links of a span that are followed: as many as SDKs keep, unless they are told otherwise.
pub const MAX_LINKS: usize = 128;

/// Traces and spans that an encoded span links to: the messages that a consumer handles. At most [`MAX_LINKS`]. Bits as in
/// [`crate::record::SpanRow`].
pub fn links(span: &[u8]) -> impl Iterator<Item = (u128, u64)> {
    let mut reader = Reader::new(span);
    let fields = std::iter::from_fn(move || reader.read().ok().flatten());
    let linked = fields.filter_map(|(field, value)| match (field, value) {
        (number::LINKS, Field::Bytes(link)) => linked(link),
        _ => None,
    });
    linked.take(MAX_LINKS)
}

/// What a link names, if that is a span.
fn linked(link: &[u8]) -> Option<(u128, u64)> {
    let (mut trace, mut span) = (0, 0);
    let mut link = Reader::new(link);
    while let Ok(Some((field, value))) = link.read() {
        match (field, value) {
            (number::TRACE_ID, Field::Bytes(bytes)) => trace = big_endian(bytes),
            (number::SPAN_ID, Field::Bytes(bytes)) => span = big_endian(bytes) as u64,
            _ => {}
        }
    }
    (trace != 0 && span != 0).then_some((trace, span))
}

fn big_endian(bytes: &[u8]) -> u128 {
    bytes.iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::otlp::encode_span;
    use crate::record::{Link, Span, SpanId, SpanKind, Status, TraceId, Value};

    fn encoded(attributes: &[(&str, Value)]) -> Vec<u8> {
        linking(attributes, &[0xaa])
    }

    fn linking(attributes: &[(&str, Value)], to: &[u64]) -> Vec<u8> {
        let trace_id = TraceId::from_hex(b"5eed0000000000000000000000000001").unwrap();
        let span_id = SpanId::from_hex(b"00000000000000aa").unwrap();
        let link =
            |to: &u64| Link { trace_id: Some(trace_id), span_id: SpanId::new(*to), attributes: Vec::new() };
        let span = Span {
            trace_id,
            span_id,
            parent_span_id: None,
            trace_state: String::new(),
            flags: 0,
            name: "call".to_owned(),
            kind: SpanKind::Client,
            start: 1,
            end: 2,
            attributes: attributes.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
            events: Vec::new(),
            links: to.iter().map(link).collect(),
            status: Status::default(),
            resource: Arc::default(),
            scope: Arc::default(),
        };
        let mut bytes = Vec::new();
        encode_span(&span, &mut bytes);
        bytes
    }

    #[test]
    fn a_peer_goes_by_its_name_then_its_address_then_what_it_is() {
        let text = |value: &str| Value::Str(value.to_owned());
        for (attributes, kind, name) in [
            (vec![("peer.service", text("mail")), ("server.address", text("x"))], PeerKind::Other, "mail"),
            (vec![("net.peer.name", text("mail.example"))], PeerKind::Other, "mail.example"),
            (
                vec![("network.peer.address", text("10.0.0.1")), ("network.peer.port", Value::Int(443))],
                PeerKind::Other,
                "10.0.0.1:443",
            ),
            (vec![("db.system", text("redis"))], PeerKind::Database, "redis"),
            (vec![("db.system", text("redis")), ("db.name", text("carts"))], PeerKind::Database, "carts"),
            (
                vec![("db.namespace", text("0")), ("db.system.name", text("redis"))],
                PeerKind::Database,
                "redis/0",
            ),
            (
                vec![("db.namespace", text("0")), ("server.address", text("cart-redis"))],
                PeerKind::Database,
                "cart-redis",
            ),
            (
                vec![("messaging.system", text("kafka")), ("messaging.destination.name", text("orders"))],
                PeerKind::Queue,
                "orders",
            ),
            (
                vec![
                    ("messaging.destination.name", text("orders")),
                    ("messaging.operation.type", text("receive")),
                    ("server.address", text("kafka")),
                ],
                PeerKind::TakenFrom,
                "orders",
            ),
            (
                vec![("messaging.destination", text("orders")), ("messaging.operation", text("process"))],
                PeerKind::TakenFrom,
                "orders",
            ),
            (
                vec![
                    ("messaging.destination.name", text("orders")),
                    ("messaging.operation.type", text("send")),
                ],
                PeerKind::Queue,
                "orders",
            ),
            (
                vec![("url.full", text("https://u:p@bank.example:8443/pay?x=1"))],
                PeerKind::Other,
                "bank.example",
            ),
            (vec![("http.url", text("http://[::1]:80"))], PeerKind::Other, "::1"),
            (
                vec![("http.url", text("http://10.0.0.9/")), ("server.address", text("bank"))],
                PeerKind::Other,
                "bank",
            ),
            (
                vec![("url.full", text("http://es:9200/_search")), ("db.system", text("elasticsearch"))],
                PeerKind::Database,
                "es",
            ),
        ] {
            let bytes = encoded(&attributes);
            assert_eq!(peer(&bytes), Some(Peer { kind, name: name.into() }), "{attributes:?}");
        }
        assert_eq!(peer(&encoded(&[("http.route", text("/pay")), ("server.address", Value::Int(3))])), None);
        for relative in ["/pay", "", "://", "http://", "http://user@/x", "http://[]"] {
            assert_eq!(peer(&encoded(&[("url.full", text(relative))])), None, "{relative}");
        }
    }

    #[test]
    fn links_are_found_in_their_order_up_to_their_bound() {
        let trace = 0x5eed_0000_0000_0000_0000_0000_0000_0001;
        let found = |to: &[u64]| links(&linking(&[], to)).collect::<Vec<_>>();
        // One that names no span leads nowhere.
        assert_eq!(found(&[0xaa, 0, 3]), [(trace, 0xaa), (trace, 3)]);
        let many: Vec<u64> = (1..1000).collect();
        assert_eq!(found(&many).len(), MAX_LINKS);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            let _ = (peer(&bytes), links(&bytes).count());
        }
    }
}
