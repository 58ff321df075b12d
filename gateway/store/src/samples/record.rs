//! A journal's record of samples: which series are new to the file, what is said of families, and the samples by column.

use std::sync::Arc;

use parsers::record::{Labels, MetricMeta};

use crate::codec::{Damaged, Input, Output, decode_family, encode_family};

/// A sample as it is journalled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Number of the series in its head.
    pub series: u32,
    /// When.
    pub time: u64,
    /// What; of a histogram its count.
    pub value: f64,
}

/// What one batch adds to a head.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Record {
    /// Series that the file has not named yet.
    pub new: Vec<(u32, Arc<Labels>)>,
    /// Said of families for the first time.
    pub families: Vec<MetricMeta>,
    /// Samples.
    pub rows: Vec<Row>,
    /// Bodies of those that are histograms, by their place among the rows.
    pub histograms: Vec<(u32, Vec<u8>)>,
}

impl Record {
    /// Whether it adds nothing.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.families.is_empty()
    }

    /// In bytes, not packed.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Output::with_capacity(self.rows.len() * 12 + self.new.len() * 256 + 64);
        out.varint(self.new.len() as u64);
        for (number, labels) in &self.new {
            out.varint(u64::from(*number));
            out.labels(labels);
        }
        out.varint(self.families.len() as u64);
        self.families.iter().for_each(|family| encode_family(family, &mut out));
        out.varint(self.rows.len() as u64);
        let (mut series, mut time) = (0, 0);
        for row in &self.rows {
            out.delta(series, u64::from(row.series));
            series = u64::from(row.series);
        }
        for row in &self.rows {
            out.delta(time, row.time);
            time = row.time;
        }
        for row in &self.rows {
            out.fixed64(row.value.to_bits());
        }
        out.varint(self.histograms.len() as u64);
        for (at, body) in &self.histograms {
            out.varint(u64::from(*at));
            out.bytes(body);
        }
        out.into_bytes()
    }

    /// Reads [`Record::encode`] back.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut input = Input::new(bytes);
        let mut record = Self::default();
        for _ in 0..input.count()? {
            record.new.push((input.varint32()?, Arc::new(input.labels()?)));
        }
        for _ in 0..input.count()? {
            record.families.push(decode_family(&mut input)?);
        }
        let count = input.count()?;
        let (mut series, mut time) = (0, 0);
        for _ in 0..count {
            series = input.delta(series)?;
            let series = u32::try_from(series).map_err(|_| Damaged)?;
            record.rows.push(Row { series, time: 0, value: 0.0 });
        }
        for row in &mut record.rows {
            time = input.delta(time)?;
            row.time = time;
        }
        for row in &mut record.rows {
            row.value = f64::from_bits(input.fixed64()?);
        }
        for _ in 0..input.count()? {
            let at = input.varint32()?;
            if at as usize >= record.rows.len() {
                return Err(Damaged);
            }
            record.histograms.push((at, input.bytes()?.to_vec()));
        }
        if input.left() == 0 { Ok(record) } else { Err(Damaged) }
    }
}
