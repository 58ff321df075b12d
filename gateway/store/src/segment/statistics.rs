//! Which attributes the spans of a segment have, and with which values: counted while blocks are written, added up when segments
//! are merged.

use std::collections::btree_map::Entry;

use parsers::record::SpanBatch;
use rustc_hash::FxHashMap;

use super::attributes::{self, Met, Scalar, pair_hash};
use crate::codec::{Damaged, Input, Output};
use crate::read::{AttributeScope, AttributeValue, AttributeValues, SpanStatistics};

/// Values of an attribute that are kept: an editor's list of more is of no use.
pub const MAX_VALUES: usize = 1024;
/// Attributes that are kept; keys made of ids must not fill the memory.
pub const MAX_KEYS: usize = 4096;
/// Bytes of a key or value that is kept.
pub const MAX_BYTES: usize = 256;
/// Bytes of all values that a segment keeps: all of it is read for a list.
const MAX_ALL: usize = 1 << 20;

/// Statistics being gathered.
#[derive(Debug, Default)]
pub struct Collector {
    /// By the numbers of keys.
    keys: FxHashMap<u64, u32>,
    lists: Vec<List>,
    /// By the numbers of keys and values: list and place in it.
    pairs: FxHashMap<u64, (u32, u32)>,
    bytes: usize,
}

#[derive(Debug)]
struct List {
    scope: AttributeScope,
    key: String,
    values: Vec<(AttributeValue, u64)>,
    cut: bool,
}

fn text(bytes: &[u8]) -> Option<String> {
    (bytes.len() <= MAX_BYTES).then(|| String::from_utf8_lossy(bytes).into_owned())
}

fn owned(value: &Scalar<'_>) -> Option<AttributeValue> {
    Some(match value {
        Scalar::Str(bytes) => AttributeValue::Str(text(bytes)?),
        Scalar::Bool(truth) => AttributeValue::Bool(*truth),
        Scalar::Int(number) => AttributeValue::Int(*number),
        Scalar::Double(number) => AttributeValue::Double(number.to_bits()),
    })
}

fn size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::Str(text) => text.len() + 8,
        _ => 16,
    }
}

impl Collector {
    /// Counts an attribute of so many spans, whose key and value have this number.
    pub fn count(&mut self, met: &Met<'_>, hash: u64, spans: u64) {
        let Some(value) = &met.value else {
            if !self.keys.contains_key(&met.key_hash) && self.lists.len() < MAX_KEYS {
                self.keys.insert(met.key_hash, self.lists.len() as u32);
                let key = text(met.key).unwrap_or_default();
                self.lists.push(List { scope: met.scope, key, values: Vec::new(), cut: false });
            }
            return;
        };
        let hash = attributes::exact_hash(met.key_hash, value).unwrap_or(hash);
        let known = self.pairs.get(&hash).copied();
        let place = known.or_else(|| self.note(met.key_hash, hash, value));
        let list = place.and_then(|(list, at)| Some((self.lists.get_mut(list as usize)?, at)));
        if let Some((_, count)) = list.and_then(|(list, at)| list.values.get_mut(at as usize)) {
            *count += spans;
        }
    }

    fn note(&mut self, key: u64, hash: u64, value: &Scalar<'_>) -> Option<(u32, u32)> {
        let number = *self.keys.get(&key)?;
        let list = self.lists.get_mut(number as usize)?;
        let room = list.values.len() < MAX_VALUES && self.bytes < MAX_ALL;
        let Some(value) = Some(value).filter(|_| room).and_then(owned) else {
            list.cut = true;
            return None;
        };
        self.bytes += size(&value);
        list.values.push((value, 0));
        let place = (number, list.values.len() as u32 - 1);
        self.pairs.insert(hash, place);
        Some(place)
    }

    /// Counts the spans of a batch.
    pub fn count_all(&mut self, batch: &SpanBatch) {
        // Its resources and scopes count as often as there are spans with them: what matters is which values are frequent.
        let hash = |met: &Met<'_>| met.value.map_or(met.key_hash, |value| pair_hash(met.key_hash, &value));
        let mut of_resource = vec![0u64; batch.resources.len()];
        let mut of_scope = vec![0u64; batch.scopes.len()];
        for row in &batch.rows {
            attributes::of_span(row.payload.of(&batch.bytes), &mut |met| self.count(&met, hash(&met), 1));
            for (counts, index) in [(&mut of_resource, row.resource), (&mut of_scope, row.scope)] {
                if let Some(count) = counts.get_mut(index as usize) {
                    *count += 1;
                }
            }
        }
        for (resource, spans) in batch.resources.iter().zip(of_resource) {
            attributes::of_resource(resource.payload.of(&batch.bytes), &mut |met| {
                self.count(&met, hash(&met), spans);
            });
        }
        for (scope, spans) in batch.scopes.iter().zip(of_scope) {
            attributes::of_scope(scope.of(&batch.bytes), &mut |met| self.count(&met, hash(&met), spans));
        }
    }

    /// What was counted.
    pub fn statistics(&self) -> SpanStatistics {
        let mut statistics = SpanStatistics::default();
        for list in self.lists.iter().filter(|list| !list.key.is_empty()) {
            let values = statistics.attributes.entry((list.scope, list.key.clone())).or_default();
            values.cut |= list.cut;
            for (value, count) in list.values.iter().filter(|(_, count)| *count > 0) {
                *values.counts.entry(value.clone()).or_default() += count;
            }
        }
        statistics
    }
}

/// Adds what others counted, and keeps within the bounds.
pub fn merge(parts: impl Iterator<Item = SpanStatistics>) -> SpanStatistics {
    let mut all = SpanStatistics::default();
    for part in parts {
        for (key, values) in part.attributes {
            let full = all.attributes.len() >= MAX_KEYS;
            let known = match all.attributes.entry(key) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(_) if full => continue,
                Entry::Vacant(place) => place.insert(AttributeValues::default()),
            };
            known.cut |= values.cut;
            for (value, count) in values.counts {
                *known.counts.entry(value).or_default() += count;
            }
        }
    }
    let mut most = MAX_VALUES;
    loop {
        all.attributes.values_mut().for_each(|values| keep(values, most));
        let bytes: usize = all.attributes.values().flat_map(|values| values.counts.keys()).map(size).sum();
        if bytes <= MAX_ALL || most == 1 {
            return all;
        }
        most /= 2;
    }
}

/// Keeps the most frequent.
fn keep(values: &mut AttributeValues, most: usize) {
    if values.counts.len() <= most {
        return;
    }
    let mut counts: Vec<u64> = values.counts.values().copied().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let least = counts.get(most).copied().unwrap_or_default();
    let mut ties = counts.iter().take(most).filter(|count| **count == least).count();
    values.cut = true;
    values.counts.retain(|_, count| {
        let tie = *count == least && ties > 0;
        ties -= usize::from(tie);
        *count > least || tie
    });
}

/// Writes them.
pub fn encode(statistics: &SpanStatistics, out: &mut Output) {
    out.varint(statistics.attributes.len() as u64);
    for ((scope, key), values) in &statistics.attributes {
        out.byte(*scope as u8);
        out.bytes(key.as_bytes());
        out.byte(u8::from(values.cut));
        out.varint(values.counts.len() as u64);
        for (value, count) in &values.counts {
            match value {
                AttributeValue::Str(text) => {
                    out.byte(0);
                    out.bytes(text.as_bytes());
                }
                AttributeValue::Bool(truth) => out.byte(1 + u8::from(*truth)),
                AttributeValue::Int(number) => {
                    out.byte(3);
                    out.delta(0, *number as u64);
                }
                AttributeValue::Double(bits) => {
                    out.byte(4);
                    out.fixed64(*bits);
                }
            }
            out.varint(*count);
        }
    }
}

/// Reads [`encode`] back.
pub fn decode(input: &mut Input<'_>) -> Result<SpanStatistics, Damaged> {
    let mut statistics = SpanStatistics::default();
    for _ in 0..input.count()? {
        let scope = match input.byte()? {
            1 => AttributeScope::Resource,
            2 => AttributeScope::Span,
            3 => AttributeScope::Event,
            4 => AttributeScope::Link,
            5 => AttributeScope::Instrumentation,
            _ => return Err(Damaged),
        };
        let key = input.text()?.to_owned();
        let mut values = AttributeValues { cut: input.byte()? != 0, ..AttributeValues::default() };
        for _ in 0..input.count()? {
            let value = match input.byte()? {
                0 => AttributeValue::Str(input.text()?.to_owned()),
                1 => AttributeValue::Bool(false),
                2 => AttributeValue::Bool(true),
                3 => AttributeValue::Int(input.delta(0)? as i64),
                4 => AttributeValue::Double(input.fixed64()?),
                _ => return Err(Damaged),
            };
            values.counts.insert(value, input.varint()?);
        }
        statistics.attributes.insert((scope, key), values);
    }
    Ok(statistics)
}
