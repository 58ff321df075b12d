//! Attributes of spans as they lie in the senders' bytes, and the numbers that keys and values go by in filters. The numbers are
//! part of the format.

use parsers::otlp::{Field, Reader};

use crate::read::AttributeScope;

/// Fields of OTLP's messages.
mod number {
    pub const RESOURCE_ATTRIBUTES: u32 = 1;
    pub const SCOPE_ATTRIBUTES: u32 = 3;
    pub const SPAN_ATTRIBUTES: u32 = 9;
    pub const SPAN_EVENTS: u32 = 11;
    pub const SPAN_LINKS: u32 = 13;
    pub const EVENT_ATTRIBUTES: u32 = 3;
    pub const LINK_ATTRIBUTES: u32 = 4;
}

/// A value, or an item of a list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'a> {
    /// Text, perhaps not UTF-8.
    Str(&'a [u8]),
    /// Truth.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// A double.
    Double(f64),
}

/// What a walk meets.
#[derive(Debug, Clone, Copy)]
pub struct Met<'a> {
    /// Where.
    pub scope: AttributeScope,
    /// Its key, perhaps not UTF-8.
    pub key: &'a [u8],
    /// Number of scope and key.
    pub key_hash: u64,
    /// Its value; each attribute comes once without one, before its values.
    pub value: Option<Scalar<'a>>,
}

const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(hash: u64, word: u64) -> u64 {
    let hash = (hash ^ word).wrapping_mul(SPREAD);
    hash ^ (hash >> 29)
}

fn spread(mut hash: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    let rest = rest.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    mix(mix(hash, rest), bytes.len() as u64)
}

/// The number of a key.
pub fn key_hash(scope: AttributeScope, key: &[u8]) -> u64 {
    spread(mix(SPREAD, scope as u64), key)
}

/// The number of a span's name.
pub fn name_hash(name: &[u8]) -> u64 {
    spread(mix(SPREAD, 6), name)
}

/// The number of a value of a key. Numbers that are equal have the same, whatever their types.
pub fn pair_hash(key_hash: u64, value: &Scalar<'_>) -> u64 {
    let number = |number: f64| mix(mix(key_hash, 1), (number + 0.0).to_bits());
    match value {
        Scalar::Str(text) => spread(mix(key_hash, 2), text),
        Scalar::Bool(truth) => mix(mix(key_hash, 3), u64::from(*truth)),
        Scalar::Int(whole) => number(*whole as f64),
        Scalar::Double(double) => number(*double),
    }
}

/// What tells numbers apart that are equal or nearly so; `None` of other values, of which [`pair_hash`] does.
pub fn exact_hash(key_hash: u64, value: &Scalar<'_>) -> Option<u64> {
    match value {
        Scalar::Int(whole) => Some(mix(mix(key_hash, 4), whole.cast_unsigned())),
        Scalar::Double(double) => Some(mix(mix(key_hash, 5), double.to_bits())),
        Scalar::Str(_) | Scalar::Bool(_) => None,
    }
}

/// What a number goes by in a filter; never 0.
pub fn short(hash: u64) -> u32 {
    ((hash >> 32) as u32).max(1)
}

/// Whether filters know a value: doubles with a fraction are as many as there are spans, and nobody asks for one.
pub fn is_filtered(value: &Scalar<'_>) -> bool {
    !matches!(value, Scalar::Double(double) if double.fract() != 0.0 || double.is_nan())
}

/// Attributes of a `Resource` message.
pub fn of_resource<'a>(message: &'a [u8], each: &mut impl FnMut(Met<'a>)) {
    of_list(message, AttributeScope::Resource, number::RESOURCE_ATTRIBUTES, each);
}

/// Attributes of an `InstrumentationScope` message.
pub fn of_scope<'a>(message: &'a [u8], each: &mut impl FnMut(Met<'a>)) {
    of_list(message, AttributeScope::Instrumentation, number::SCOPE_ATTRIBUTES, each);
}

/// Attributes of a `Span` message, its events and links.
pub fn of_span<'a>(message: &'a [u8], each: &mut impl FnMut(Met<'a>)) {
    let mut reader = Reader::new(message);
    while let Ok(Some((number, field))) = reader.read() {
        match (number, field) {
            (number::SPAN_ATTRIBUTES, Field::Bytes(pair)) => of_pair(pair, AttributeScope::Span, each),
            (number::SPAN_EVENTS, Field::Bytes(event)) => {
                of_list(event, AttributeScope::Event, number::EVENT_ATTRIBUTES, each);
            }
            (number::SPAN_LINKS, Field::Bytes(link)) => {
                of_list(link, AttributeScope::Link, number::LINK_ATTRIBUTES, each);
            }
            _ => {}
        }
    }
}

fn of_list<'a>(message: &'a [u8], scope: AttributeScope, wanted: u32, each: &mut impl FnMut(Met<'a>)) {
    let mut reader = Reader::new(message);
    while let Ok(Some((number, field))) = reader.read() {
        if let (true, Field::Bytes(pair)) = (number == wanted, field) {
            of_pair(pair, scope, each);
        }
    }
}

fn of_pair<'a>(pair: &'a [u8], scope: AttributeScope, each: &mut impl FnMut(Met<'a>)) {
    let (mut key, mut value) = (&b""[..], &b""[..]);
    let mut reader = Reader::new(pair);
    while let Ok(Some((number, field))) = reader.read() {
        match (number, field) {
            (1, Field::Bytes(bytes)) => key = bytes,
            (2, Field::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    let key_hash = key_hash(scope, key);
    let mut met = |value| each(Met { scope, key, key_hash, value });
    met(None);
    of_value(value, true, &mut |value| met(Some(value)));
}

/// Every field of the message counts: readers differ in which they take of several.
fn of_value<'a>(message: &'a [u8], lists: bool, each: &mut dyn FnMut(Scalar<'a>)) {
    let mut reader = Reader::new(message);
    while let Ok(Some((number, field))) = reader.read() {
        match (number, field) {
            (1, Field::Bytes(text)) => each(Scalar::Str(text)),
            (2, Field::Varint(bits)) => each(Scalar::Bool(bits != 0)),
            (3, Field::Varint(bits)) => each(Scalar::Int(bits as i64)),
            (4, Field::Fixed64(bits)) => each(Scalar::Double(f64::from_bits(bits))),
            (5, Field::Bytes(list)) if lists => {
                let mut items = Reader::new(list);
                while let Ok(Some((number, field))) = items.read() {
                    if let (1, Field::Bytes(item)) = (number, field) {
                        of_value(item, false, each);
                    }
                }
            }
            _ => {}
        }
    }
}
