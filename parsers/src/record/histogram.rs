//! Histograms whose buckets are found by a formula rather than listed: Prometheus' native ones and OTLP's exponential ones.
//! Kept in the bytes of Prometheus' `Histogram` message, just as a remote-write sender wrote them.

#[cfg(test)]
mod tests;

use crate::otlp::{Field, Reader, WalkError, Writer};

/// One such histogram.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NativeHistogram {
    /// Bucket `i` of the positive ones ends at `2^(i * 2^-schema)`; -53 says that the bounds are those of `custom_bounds`.
    pub schema: i32,
    /// Observations.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// Half the width of the bucket round zero.
    pub zero_threshold: f64,
    /// Observations in it.
    pub zero_count: f64,
    /// Index and count of the buckets of positive values, in growing order; those that are not there are empty.
    pub positive: Vec<(i32, f64)>,
    /// The same of negative values, by their size.
    pub negative: Vec<(i32, f64)>,
    /// Upper bounds of the positive buckets for schema -53.
    pub custom_bounds: Vec<f64>,
    /// Counts were sent as floating-point numbers, not as integers.
    pub float: bool,
    /// What the sender says of resets: 0 unknown, 1 reset, 2 none, 3 a gauge, which has none.
    pub reset_hint: u8,
}

/// Buckets of one side that are read; real senders keep 160.
const MAX_BUCKETS: usize = 1 << 14;

/// Differences between neighbouring counts, their spans and counts as floating-point numbers.
#[derive(Default)]
struct Side {
    spans: Vec<(i32, u32)>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

fn zigzag(bits: u64) -> i64 {
    (bits >> 1) as i64 ^ -((bits & 1) as i64)
}

fn unzigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// Varints back to back.
fn varints(mut bytes: &[u8], mut each: impl FnMut(u64)) -> Result<(), WalkError> {
    let broken = WalkError { offset: 0, problem: "a packed list that ends in a number" };
    while !bytes.is_empty() {
        let end = bytes.iter().take(10).position(|byte| byte & 0x80 == 0).ok_or(broken)?;
        let (number, rest) = bytes.split_at(end + 1);
        each(number.iter().rev().fold(0, |all, byte| all << 7 | u64::from(byte & 0x7f)));
        bytes = rest;
    }
    Ok(())
}

fn doubles(bytes: &[u8]) -> impl Iterator<Item = f64> + '_ {
    bytes.chunks_exact(8).filter_map(|chunk| chunk.try_into().ok()).map(f64::from_le_bytes)
}

impl Side {
    fn read(&mut self, part: u32, field: Field<'_>) -> Result<(), WalkError> {
        match (part, field) {
            (0, Field::Bytes(message)) if self.spans.len() < MAX_BUCKETS => {
                let (mut offset, mut len) = (0, 0);
                let mut reader = Reader::new(message);
                while let Some((number, field)) = reader.read()? {
                    match (number, field) {
                        (1, Field::Varint(bits)) => offset = zigzag(bits) as i32,
                        (2, Field::Varint(bits)) => len = bits as u32,
                        _ => {}
                    }
                }
                self.spans.push((offset, len));
            }
            (1, Field::Bytes(list)) => varints(list, |bits| self.deltas.push(zigzag(bits)))?,
            (1, Field::Varint(bits)) => self.deltas.push(zigzag(bits)),
            (2, Field::Bytes(list)) => self.counts.extend(doubles(list)),
            (2, Field::Fixed64(bits)) => self.counts.push(f64::from_bits(bits)),
            _ => {}
        }
        Ok(())
    }

    /// Index and count of each bucket; `None` if spans and counts do not fit.
    fn buckets(&self, float: bool) -> Option<Vec<(i32, f64)>> {
        let there = if float { self.counts.len() } else { self.deltas.len() };
        let spanned: u64 = self.spans.iter().map(|(_, len)| u64::from(*len)).sum();
        if spanned != there as u64 || there > MAX_BUCKETS {
            return None;
        }
        let mut below = 0i64;
        let mut counts = self.deltas.iter().map(|delta| {
            below = below.wrapping_add(*delta);
            below as f64
        });
        let mut given = self.counts.iter().copied();
        let mut buckets = Vec::with_capacity(there);
        let mut index = 0i32;
        for (offset, len) in &self.spans {
            index = index.checked_add(*offset)?;
            for _ in 0..*len {
                buckets.push((index, if float { given.next()? } else { counts.next()? }));
                index = index.checked_add(1)?;
            }
        }
        Some(buckets)
    }
}

impl NativeHistogram {
    /// Reads Prometheus' message. `Ok(None)` if its buckets do not fit together.
    pub fn decode(message: &[u8]) -> Result<Option<Self>, WalkError> {
        let mut read = Self::default();
        let (mut negative, mut positive) = (Side::default(), Side::default());
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.read()? {
            match (number, field) {
                (1, Field::Varint(count)) => read.count = count as f64,
                (2, Field::Fixed64(bits)) => (read.count, read.float) = (f64::from_bits(bits), true),
                (3, Field::Fixed64(bits)) => read.sum = f64::from_bits(bits),
                (4, Field::Varint(bits)) => read.schema = zigzag(bits) as i32,
                (5, Field::Fixed64(bits)) => read.zero_threshold = f64::from_bits(bits),
                (6, Field::Varint(count)) => read.zero_count = count as f64,
                (7, Field::Fixed64(bits)) => read.zero_count = f64::from_bits(bits),
                (8..=10, field) => negative.read(number - 8, field)?,
                (11..=13, field) => positive.read(number - 11, field)?,
                (14, Field::Varint(hint)) => read.reset_hint = u8::try_from(hint).unwrap_or(0),
                (16, Field::Bytes(list)) => read.custom_bounds.extend(doubles(list)),
                (16, Field::Fixed64(bits)) => read.custom_bounds.push(f64::from_bits(bits)),
                _ => {}
            }
        }
        let (Some(below), Some(above)) = (negative.buckets(read.float), positive.buckets(read.float)) else {
            return Ok(None);
        };
        (read.negative, read.positive) = (below, above);
        Ok(Some(read))
    }

    /// Appends Prometheus' message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut w = Writer::new(out);
        if self.float {
            w.always_double(2, self.count);
        } else {
            w.always_varint(1, self.count as u64);
        }
        w.always_double(3, self.sum);
        w.varint(4, unzigzag(i64::from(self.schema)));
        w.always_double(5, self.zero_threshold);
        if self.float {
            w.always_double(7, self.zero_count);
        } else {
            w.always_varint(6, self.zero_count as u64);
        }
        self.side(out, 8, &self.negative);
        self.side(out, 11, &self.positive);
        Writer::new(out).varint(14, u64::from(self.reset_hint));
        if !self.custom_bounds.is_empty() {
            let bytes: Vec<u8> = self.custom_bounds.iter().flat_map(|bound| bound.to_le_bytes()).collect();
            Writer::new(out).bytes(16, &bytes);
        }
    }

    fn side(&self, out: &mut Vec<u8>, first: u32, buckets: &[(i32, f64)]) {
        let (mut next, mut counts) = (0i32, Vec::new());
        let mut below = 0i64;
        for run in buckets.chunk_by(|a, b| a.0.checked_add(1) == Some(b.0)) {
            let Some((start, _)) = run.first() else { continue };
            Writer::new(out).message(first, |out| {
                let mut w = Writer::new(out);
                w.varint(1, unzigzag(i64::from(start.wrapping_sub(next))));
                w.varint(2, run.len() as u64);
            });
            next = start.wrapping_add(run.len() as i32);
            for (_, count) in run {
                if self.float {
                    counts.extend_from_slice(&count.to_le_bytes());
                } else {
                    let count = *count as i64;
                    push_varint(&mut counts, unzigzag(count.wrapping_sub(below)));
                    below = count;
                }
            }
        }
        Writer::new(out).bytes(first + if self.float { 2 } else { 1 }, &counts);
    }
}

fn push_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
