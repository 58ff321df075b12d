//! Series that are made of spans as they arrive, named as Tempo's generator names them.
//!
//! Nothing is allocated for a span of an operation that is known. Whoever holds this tells the time, writes what
//! [`SpanMetrics::collect`] gives, and bounds what is handed in.

use std::sync::Arc;

use parsers::otlp::{Field, Reader};
use parsers::record::{Labels, MetricBatch, SpanBatch, SpanKind, SpanRow, StatusCode, TENANT, TENANT_LABEL};
use rustc_hash::FxHashSet;
use store::read::OTHERS;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed, xxh3_128_with_seed};

use super::options::{RedOptions, label_of};
use super::samples;
use super::tracks::{Example, OVERFLOW_LABEL, Place, SPANS, Track, Tracks};
use super::waiting::{Owner, Waiting};

/// Spans that ended longer ago are not counted: samples have the time at which they are written, and old spans would show in
/// the wrong place. SDKs send within seconds.
const SLACK: u64 = 120_000_000_000;
/// Series in which nothing was counted for so long end.
const IDLE: u64 = 15 * 60 * 1_000_000_000;
/// Fields of the attributes of a span and of a resource.
const SPAN_ATTRIBUTES: u32 = 9;
const RESOURCE_ATTRIBUTES: u32 = 1;

/// What became of spans beside being counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RedStats {
    /// Series that there are.
    pub series: usize,
    /// Spans and calls that were counted under the labels of the overflow.
    pub overflowed: u64,
    /// Spans that came too late.
    pub late: u64,
    /// Sides of calls that wait.
    pub waiting: usize,
}

/// Counts spans.
#[derive(Debug)]
pub struct SpanMetrics {
    pub(super) tracks: Tracks,
    /// Attributes that become labels, with those.
    dimensions: Vec<(String, String)>,
    /// The attribute that names the tenant, with its label.
    tenant: [(String, String); 1],
    pub(super) waiting: Waiting,
    pub(super) names: FxHashSet<Arc<str>>,
    /// Keys of the span in hand, kept for their memory.
    pub(super) keys: Vec<u64>,
    late: u64,
    /// When samples were written last, or the beginning.
    written: u64,
    /// What the resources of the batch in hand say, kept for its memory.
    resources: Vec<Of>,
    /// Values of the dimensions of the span in hand.
    values: Vec<String>,
}

/// What a resource says.
#[derive(Debug, Clone)]
pub(super) struct Of {
    pub owner: Arc<Owner>,
    /// Of the tenant; 0 of none.
    pub tenant: u64,
    /// Of the service and the tenant.
    own: u64,
    /// Of these and the dimensions.
    hash: u64,
    /// Values of the dimensions.
    values: Vec<String>,
}

impl SpanMetrics {
    /// With these settings; `now` is the time at which counting begins.
    pub fn new(options: &RedOptions, now: u64) -> Self {
        let bounds = options.buckets.iter().map(|seconds| (seconds * 1e9).round() as u64).collect();
        Self {
            tracks: Tracks::new(bounds, options.max_series),
            dimensions: options.dimensions.iter().map(|name| (name.clone(), label_of(name))).collect(),
            tenant: [(TENANT.to_owned(), TENANT_LABEL.to_owned())],
            waiting: Waiting::new(options.wait.as_nanos() as u64),
            names: FxHashSet::default(),
            keys: Vec::new(),
            late: 0,
            written: now,
            resources: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Counts spans.
    pub fn add(&mut self, spans: &SpanBatch, now: u64) {
        self.resources.clear();
        for resource in &spans.resources {
            let mut values = vec![String::new(); self.dimensions.len()];
            read(&self.dimensions, resource.payload.of(&spans.bytes), RESOURCE_ATTRIBUTES, &mut values);
            let mut tenant = [String::new()];
            read(&self.tenant, resource.payload.of(&spans.bytes), RESOURCE_ATTRIBUTES, &mut tenant);
            let [tenant] = tenant;
            let owner = Arc::new(Owner { service: Arc::clone(&resource.service), tenant });
            let tenant = of_tenant(&owner.tenant);
            let own = xxh3_64_with_seed(resource.service.as_bytes(), tenant);
            let hash = values.iter().fold(own, |hash, value| xxh3_64_with_seed(value.as_bytes(), hash));
            self.resources.push(Of { owner, tenant, own, hash, values });
        }
        let resources = std::mem::take(&mut self.resources);
        for row in &spans.rows {
            let Some(of) = resources.get(row.resource as usize) else { continue };
            if row.end.saturating_add(SLACK) < now {
                self.late += 1;
                continue;
            }
            self.operation(spans, row, of, now);
            match row.kind {
                SpanKind::Client | SpanKind::Producer => self.caller(spans, row, of, now),
                SpanKind::Server | SpanKind::Consumer => self.callee(spans, row, of, now),
                SpanKind::Internal | SpanKind::Unspecified => {}
            }
        }
        self.resources = resources;
        self.expire(now);
    }

    fn operation(&mut self, spans: &SpanBatch, row: &SpanRow, of: &Of, now: u64) {
        let Self { tracks, dimensions, values, .. } = self;
        let name = row.name.of(&spans.bytes);
        let part = (row.kind as u16) << 8 | row.status as u16;
        let mut seed = of.hash ^ u64::from(part).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if !dimensions.is_empty() {
            values.clone_from(&of.values);
            read(dimensions, row.payload.of(&spans.bytes), SPAN_ATTRIBUTES, values);
            seed = values.iter().fold(seed, |hash, value| xxh3_64_with_seed(value.as_bytes(), hash));
        }
        let labels = |others: bool| {
            let name = if others { OTHERS.into() } else { String::from_utf8_lossy(name) };
            let own = [
                ("service", &*of.owner.service),
                ("span_name", &*name),
                ("span_kind", kind(row.kind)),
                ("status_code", status(row.status)),
                (TENANT_LABEL, &of.owner.tenant),
            ];
            let dimensions = dimensions.iter().zip(values.iter()).filter(|_| !others);
            let dimensions = dimensions.map(|((_, label), value)| (label.as_str(), value.as_str()));
            Labels::new(own.into_iter().chain(dimensions).chain(overflow(others)))
        };
        let example = example(row);
        // Keys below the number of shapes are the overflows'.
        let key = xxh3_128_with_seed(name, seed) | 1 << 127;
        let place = Place { key, group: of.own, part };
        tracks.with(&SPANS, place, now, labels, |track, bounds| {
            track.count(0, 1);
            track.count(1, row.payload.len() as u64);
            track.observe(0, bounds, example);
        });
    }

    /// Samples of all series at this time, exemplars since the last, and the ends of series that have been idle.
    pub fn collect(&mut self, now: u64) -> MetricBatch {
        self.expire(now);
        let idle = self.tracks.take_idle(now.saturating_sub(IDLE));
        let batch = samples::write(&mut self.tracks, &idle, self.written, now);
        self.written = now;
        batch
    }

    /// What is counted under each set of labels.
    pub fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.tracks.iter()
    }

    /// Upper bounds of the buckets of all histograms, in nanoseconds; one more has no bound.
    pub fn bounds(&self) -> &[u64] {
        &self.tracks.bounds
    }

    /// What became of spans.
    pub fn stats(&self) -> RedStats {
        RedStats {
            series: self.tracks.series(),
            overflowed: self.tracks.overflowed,
            late: self.late,
            waiting: self.waiting.len(),
        }
    }
}

/// Says of a series that it stands for others.
pub(super) fn overflow(others: bool) -> Option<(&'static str, &'static str)> {
    others.then_some((OVERFLOW_LABEL, "true"))
}

/// Tells what is of one tenant from what is of another; 0 of none.
pub(super) fn of_tenant(tenant: &str) -> u64 {
    if tenant.is_empty() { 0 } else { xxh3_64(tenant.as_bytes()) }
}

pub(super) fn example(row: &SpanRow) -> Example {
    Example {
        nanos: row.end.saturating_sub(row.start),
        trace: row.trace,
        span: row.span,
        spelling: row.spelling,
        time: row.end,
    }
}

fn kind(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified => "SPAN_KIND_UNSPECIFIED",
        SpanKind::Internal => "SPAN_KIND_INTERNAL",
        SpanKind::Server => "SPAN_KIND_SERVER",
        SpanKind::Client => "SPAN_KIND_CLIENT",
        SpanKind::Producer => "SPAN_KIND_PRODUCER",
        SpanKind::Consumer => "SPAN_KIND_CONSUMER",
    }
}

fn status(status: StatusCode) -> &'static str {
    match status {
        StatusCode::Unset => "STATUS_CODE_UNSET",
        StatusCode::Ok => "STATUS_CODE_OK",
        StatusCode::Error => "STATUS_CODE_ERROR",
    }
}

/// Puts the values of dimensions that a message has among its attributes in their places.
fn read(dimensions: &[(String, String)], message: &[u8], attributes: u32, values: &mut [String]) {
    if dimensions.is_empty() {
        return;
    }
    let mut reader = Reader::new(message);
    while let Ok(Some((field, value))) = reader.read() {
        let (true, Field::Bytes(pair)) = (field == attributes, value) else { continue };
        let (mut key, mut value) = (&[][..], &[][..]);
        let mut pair = Reader::new(pair);
        while let Ok(Some((field, read))) = pair.read() {
            match (field, read) {
                (1, Field::Bytes(bytes)) => key = bytes,
                (2, Field::Bytes(bytes)) => value = bytes,
                _ => {}
            }
        }
        let place = dimensions.iter().position(|(name, _)| name.as_bytes() == key);
        let Some(slot) = place.and_then(|place| values.get_mut(place)) else { continue };
        match Reader::new(value).read() {
            Ok(Some((1, Field::Bytes(text)))) => *slot = String::from_utf8_lossy(text).into_owned(),
            Ok(Some((2, Field::Varint(bits)))) => *slot = (bits != 0).to_string(),
            Ok(Some((3, Field::Varint(bits)))) => *slot = (bits as i64).to_string(),
            Ok(Some((4, Field::Fixed64(bits)))) => *slot = f64::from_bits(bits).to_string(),
            _ => {}
        }
    }
}
