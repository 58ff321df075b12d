//! The buckets of an OTLP exponential histogram as those of a native one.
//!
//! Both grow by the same factor, `2^(2^-scale)`. OTLP's bucket `i` begins at the factor's power `i`, Prometheus' ends there, so
//! that the index is one more. Scales beyond those of Prometheus (-4 to 8) are kept as they are.

use crate::record::NativeHistogram;

use super::{Field, Reader, WalkError};

/// What a data point says besides its count and sum.
#[derive(Debug, Default)]
pub(super) struct Exponential<'a> {
    pub scale: i32,
    pub zero_count: u64,
    pub zero_threshold: f64,
    pub positive: &'a [u8],
    pub negative: &'a [u8],
}

/// sint32.
pub(super) fn zigzag(bits: u64) -> i32 {
    ((bits >> 1) as i64 ^ -((bits & 1) as i64)) as i32
}

impl Exponential<'_> {
    /// The histogram. `Ok(None)` if there are more buckets than `most`, or indices beyond 32 bits.
    pub(super) fn native(
        &self,
        count: u64,
        sum: Option<f64>,
        delta: bool,
        most: usize,
    ) -> Result<Option<NativeHistogram>, WalkError> {
        let (Some(positive), Some(negative)) = (buckets(self.positive, most)?, buckets(self.negative, most)?)
        else {
            return Ok(None);
        };
        Ok(Some(NativeHistogram {
            schema: self.scale,
            count: count as f64,
            // Without a sum it is not a number, as Prometheus has it.
            sum: sum.unwrap_or(f64::NAN),
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count as f64,
            positive,
            negative,
            custom_bounds: Vec::new(),
            float: false,
            // A delta never goes on from the one before it.
            reset_hint: if delta { 3 } else { 0 },
        }))
    }
}

/// `Buckets`: those that are not empty, by Prometheus' index.
fn buckets(message: &[u8], most: usize) -> Result<Option<Vec<(i32, f64)>>, WalkError> {
    let (mut offset, mut counts) = (0, Vec::new());
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        match (number, field) {
            (1, Field::Varint(bits)) => offset = zigzag(bits),
            (2, Field::Varint(count)) => counts.push(count),
            (2, Field::Bytes(mut packed)) => {
                let broken = WalkError { offset: 0, problem: "bucket counts that end in a number" };
                while !packed.is_empty() {
                    let end = packed.iter().take(10).position(|byte| byte & 0x80 == 0).ok_or(broken)?;
                    let (count, rest) = packed.split_at(end + 1);
                    counts.push(count.iter().rev().fold(0, |all, byte| all << 7 | u64::from(byte & 0x7f)));
                    packed = rest;
                    if counts.len() > most {
                        return Ok(None);
                    }
                }
            }
            _ => {}
        }
        if counts.len() > most {
            return Ok(None);
        }
    }
    let indexed = counts.into_iter().enumerate().filter(|(_, count)| *count > 0);
    Ok(indexed
        .map(|(at, count)| Some((offset.checked_add(at as i32)?.checked_add(1)?, count as f64)))
        .collect())
}
