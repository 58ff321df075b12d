//! What is known of each block of spans without reading it: how long its spans took, their outcomes and kinds, and a filter over
//! names, keys and pairs of key and value.

use parsers::record::SpanBatch;

use super::attributes::{self, Met, Scalar, is_filtered, key_hash, name_hash, pair_hash, short};
use super::filter::Filter;
use super::statistics::Collector;
use crate::codec::{Damaged, Input, Output};
use crate::read::{AttributeValue, SpanHint};

/// Bits of the filter for each key or pair: about two in a hundred absent ones pass.
const BITS: usize = 9;
/// Slots that remember what a block's filter has, in front of the list that it is made from: more than a block has distinct pairs.
const SLOTS: usize = 1 << 13;

/// A block of spans.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Durations, ns.
    shortest: u64,
    longest: u64,
    /// A bit each.
    statuses: u8,
    kinds: u8,
    filter: Filter,
}

/// The numbers that go into a filter; most come many times.
struct Distinct {
    slots: Vec<u32>,
    numbers: Vec<u32>,
}

impl Distinct {
    fn add(&mut self, hash: u64) {
        let number = short(hash);
        if let Some(slot) = self.slots.get_mut(number as usize % SLOTS).filter(|slot| **slot != number) {
            *slot = number;
            self.numbers.push(number);
        }
    }
}

impl Summary {
    /// Of a block; its attributes are counted, too, if there is somebody to do it.
    pub fn of(block: &SpanBatch, mut statistics: Option<&mut Collector>) -> Self {
        let mut distinct = Distinct { slots: vec![0; SLOTS], numbers: Vec::new() };
        let mut summary = Self { shortest: u64::MAX, ..Self::default() };
        let mut met = |met: Met<'_>, spans: u64| {
            let hash = met.value.map_or(met.key_hash, |value| pair_hash(met.key_hash, &value));
            if met.value.as_ref().is_none_or(is_filtered) {
                distinct.add(hash);
            }
            if let Some(statistics) = &mut statistics {
                statistics.count(&met, hash, spans);
            }
        };
        let mut of_resource = vec![0u64; block.resources.len()];
        let mut of_scope = vec![0u64; block.scopes.len()];
        for row in &block.rows {
            attributes::of_span(row.payload.of(&block.bytes), &mut |m| met(m, 1));
            for (counts, index) in [(&mut of_resource, row.resource), (&mut of_scope, row.scope)] {
                if let Some(count) = counts.get_mut(index as usize) {
                    *count += 1;
                }
            }
            let duration = row.end.saturating_sub(row.start);
            // Languages read a longer one as negative, which is shorter than any.
            let signed = u64::try_from(duration.cast_signed()).unwrap_or(0);
            summary.shortest = summary.shortest.min(signed);
            summary.longest = summary.longest.max(duration);
            summary.statuses |= 1 << row.status as u8;
            summary.kinds |= 1 << row.kind as u8;
        }
        for (resource, spans) in block.resources.iter().zip(of_resource) {
            attributes::of_resource(resource.payload.of(&block.bytes), &mut |m| met(m, spans));
        }
        for (scope, spans) in block.scopes.iter().zip(of_scope) {
            attributes::of_scope(scope.of(&block.bytes), &mut |m| met(m, spans));
        }
        block.rows.iter().for_each(|row| distinct.add(name_hash(row.name.of(&block.bytes))));
        summary.filter = Filter::with_bits(distinct.numbers.len() * BITS);
        distinct.numbers.iter().for_each(|number| summary.filter.insert(*number));
        summary
    }

    /// Whether a span of the block may be as it is asked for.
    pub fn may_hold(&self, asked: &Asked) -> bool {
        match asked {
            Asked::Anything => true,
            Asked::All(all) => all.iter().all(|asked| self.may_hold(asked)),
            Asked::OneOf(any) => any.iter().any(|asked| self.may_hold(asked)),
            Asked::Number(number) => self.filter.may_hold(*number),
            Asked::Duration(least, most) => self.longest >= *least && self.shortest <= *most,
            Asked::Status(bit) => self.statuses & bit != 0,
            Asked::Kind(bit) => self.kinds & bit != 0,
        }
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.filter.size()
    }

    /// Writes it.
    pub fn encode(&self, out: &mut Output) {
        out.varint(self.shortest);
        out.varint(self.longest);
        out.byte(self.statuses);
        out.byte(self.kinds);
        self.filter.encode(out);
    }

    /// Reads those of all blocks.
    pub fn decode_all(input: &mut Input<'_>) -> Result<Vec<Self>, Damaged> {
        let count = input.count()?;
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            all.push(Self {
                shortest: input.varint()?,
                longest: input.varint()?,
                statuses: input.byte()?,
                kinds: input.byte()?,
                filter: Filter::decode(input)?,
            });
        }
        Ok(all)
    }
}

/// A [`SpanHint`] in the numbers of filters.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    Anything,
    All(Vec<Asked>),
    OneOf(Vec<Asked>),
    Number(u32),
    Duration(u64, u64),
    Status(u8),
    Kind(u8),
}

impl From<&SpanHint> for Asked {
    fn from(hint: &SpanHint) -> Self {
        let list = |hints: &[SpanHint]| hints.iter().map(Self::from).collect();
        match hint {
            SpanHint::Anything => Self::Anything,
            SpanHint::All(hints) => Self::All(list(hints)),
            SpanHint::OneOf(hints) => Self::OneOf(list(hints)),
            SpanHint::Has(scope, key) => Self::Number(short(key_hash(*scope, key.as_bytes()))),
            SpanHint::Equals(scope, key, value) => {
                let key = key_hash(*scope, key.as_bytes());
                let value = match value {
                    AttributeValue::Str(text) => Scalar::Str(text.as_bytes()),
                    AttributeValue::Bool(truth) => Scalar::Bool(*truth),
                    AttributeValue::Int(number) => Scalar::Int(*number),
                    AttributeValue::Double(bits) => Scalar::Double(f64::from_bits(*bits)),
                };
                Self::Number(short(if is_filtered(&value) { pair_hash(key, &value) } else { key }))
            }
            SpanHint::Name(name) => Self::Number(short(name_hash(name.as_bytes()))),
            SpanHint::Duration(least, most) => Self::Duration(*least, *most),
            SpanHint::Status(status) => Self::Status(1 << *status as u8),
            SpanHint::Kind(kind) => Self::Kind(1 << *kind as u8),
        }
    }
}
