//! Samples and exemplars: times as deltas, values as the difference of their bits.

use std::sync::Arc;

use parsers::record::{
    ByteRange, ExemplarOrigin, ExemplarRow, MetricBatch, MetricKind, MetricMeta, SampleRow, Spelling,
};

use super::{Damaged, Input, Output};

fn kind(code: u8) -> MetricKind {
    match code {
        1 => MetricKind::Counter,
        2 => MetricKind::Gauge,
        3 => MetricKind::Histogram,
        4 => MetricKind::Summary,
        _ => MetricKind::Unknown,
    }
}

/// Writes a batch of samples and exemplars.
pub fn encode_metrics(batch: &MetricBatch, out: &mut Output) {
    out.varint(batch.series.len() as u64);
    batch.series.iter().for_each(|s| out.labels(s));
    out.varint(batch.samples.len() as u64);
    batch.samples.iter().for_each(|s| out.varint(u64::from(s.series)));
    let mut last = 0;
    for s in &batch.samples {
        out.delta(last, s.time);
        last = s.time;
    }
    let mut bits = 0;
    for s in &batch.samples {
        out.varint((s.value.to_bits() ^ bits).swap_bytes());
        bits = s.value.to_bits();
    }
    let mut start = 0;
    for s in &batch.samples {
        out.delta(start, s.start);
        start = s.start;
    }
    let histograms = || batch.samples.iter().enumerate().filter(|(_, s)| !s.histogram.is_empty());
    out.varint(histograms().count() as u64);
    for (at, s) in histograms() {
        out.varint(at as u64);
        out.bytes(s.histogram.of(&batch.meta));
    }
    out.varint(batch.exemplars.len() as u64);
    for e in &batch.exemplars {
        out.varint(u64::from(e.series));
        out.varint(e.time);
        out.fixed64(e.value.to_bits());
        out.fixed128(e.trace);
        out.fixed64(e.span);
        out.byte(e.spelling.code());
        out.byte(e.origin as u8);
        out.bytes(e.labels.of(&batch.meta));
    }
    out.varint(batch.families.len() as u64);
    batch.families.iter().for_each(|family| encode_family(family, out));
}

/// Writes what is said of a family.
pub fn encode_family(family: &MetricMeta, out: &mut Output) {
    out.byte(family.kind as u8);
    out.bytes(family.name.as_bytes());
    out.bytes(family.unit.as_bytes());
    out.bytes(family.help.as_bytes());
}

/// Reads [`encode_family`] back.
pub fn decode_family(input: &mut Input<'_>) -> Result<MetricMeta, Damaged> {
    Ok(MetricMeta {
        kind: kind(input.byte()?),
        name: input.text()?.to_owned(),
        unit: input.text()?.to_owned(),
        help: input.text()?.to_owned(),
    })
}

/// Reads [`encode_metrics`] back.
pub fn decode_metrics(input: &mut Input<'_>) -> Result<MetricBatch, Damaged> {
    let mut batch = MetricBatch::default();
    for _ in 0..input.count()? {
        batch.series.push(Arc::new(input.labels()?));
    }
    let mut samples = vec![SampleRow::default(); input.count()?];
    for s in &mut samples {
        s.series = input.varint32()?;
    }
    let mut last = 0;
    for s in &mut samples {
        last = input.delta(last)?;
        s.time = last;
    }
    let mut bits = 0;
    for s in &mut samples {
        bits ^= input.varint()?.swap_bytes();
        s.value = f64::from_bits(bits);
    }
    let mut start = 0;
    for s in &mut samples {
        start = input.delta(start)?;
        s.start = start;
    }
    for _ in 0..input.count()? {
        let s = samples.get_mut(input.varint32()? as usize).ok_or(Damaged)?;
        let start = batch.meta.len() as u32;
        batch.meta.extend_from_slice(input.bytes()?);
        s.histogram = ByteRange { start, end: batch.meta.len() as u32 };
    }
    batch.samples = samples;
    for _ in 0..input.count()? {
        let mut e = ExemplarRow {
            series: input.varint32()?,
            time: input.varint()?,
            value: f64::from_bits(input.fixed64()?),
            trace: input.fixed128()?,
            span: input.fixed64()?,
            spelling: Spelling::from_code(input.byte()?),
            ..ExemplarRow::default()
        };
        e.origin = if input.byte()? == 1 { ExemplarOrigin::Trefoil } else { ExemplarOrigin::Application };
        let start = batch.meta.len() as u32;
        batch.meta.extend_from_slice(input.bytes()?);
        e.labels = ByteRange { start, end: batch.meta.len() as u32 };
        batch.exemplars.push(e);
    }
    for _ in 0..input.count()? {
        batch.families.push(decode_family(input)?);
    }
    Ok(batch)
}
