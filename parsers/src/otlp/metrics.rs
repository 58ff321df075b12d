//! One pass over an `ExportMetricsServiceRequest`: series as Prometheus would have them.
//!
//! `job`, `instance` and some more labels come from the resource (see `target`). A histogram becomes `_bucket` (with `le`), `_count` and `_sum`; an exponential
//! histogram a native one; a summary a series a quantile, `_count` and `_sum`. The least and the greatest value that a histogram
//! may tell are `_min` and `_max`, gauges that Prometheus itself would leave out. Exemplars keep their ids and filtered
//! attributes. What was sent with delta temporality is kept as it was sent, in series of their own: they have the label
//! `__temporality__="delta"`, as in Prometheus, and what is no counter has no `_total`.

use std::sync::Arc;

use crate::record::{
    ByteRange, ExemplarOrigin, ExemplarRow, Labels, MetricBatch, MetricKind, MetricMeta, SampleRow, SpanId,
    TraceId, push_pair,
};

use super::decode::{Text, fields, key_value};
use super::exponential::{Exponential, zigzag};
use super::logs::text_of;
use super::metric_names::{label_name, metric_name};
use super::target::{Promoted, TARGET_INFO, Target};
use super::traces::check_size;
use super::{Field, MAX_LABEL, MAX_RECORDS, Reader, Reason, Rejections, WalkError, decode_resource};

/// Buckets of one point: real ones have 10 to 160; each repeats the labels.
const MAX_BUCKETS: usize = 1000;

/// Bytes of label names and values in one request, counted once a series.
const MAX_LABEL_BYTES: usize = 64 * 1024 * 1024;

/// What Prometheus stores where a series has ended.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// `AGGREGATION_TEMPORALITY_DELTA`.
const DELTA: u64 = 1;

/// The label of series whose samples count since the one before, and its value.
const TEMPORALITY: (&str, &str) = ("__temporality__", "delta");

/// How far apart the samples of `target_info` are where a request is of a longer time: half of what a query looks back.
const INFO_EVERY: u64 = 150_000_000_000;

/// Samples of `target_info` for one resource of a request at most: two hours and a half.
const MAX_INFO_SAMPLES: u64 = 60;

/// Walks a body. `arrival` (ns) stands in for a point's missing time; the resource attributes that are `promoted` become labels.
pub fn walk_metrics(
    body: &[u8],
    arrival: u64,
    promoted: &Promoted,
) -> Result<(MetricBatch, Rejections), WalkError> {
    check_size(body)?;
    let mut walk = Walk {
        batch: MetricBatch::default(),
        rejections: Rejections::default(),
        promoted,
        arrival,
        label_bytes: 0,
        informed: false,
    };
    let mut reader = Reader::new(body);
    while let Some((number, field)) = reader.read()? {
        if let (1, Field::Bytes(message)) = (number, field) {
            walk.resource_metrics(message)?;
        }
    }
    if walk.informed {
        let (name, help) = (TARGET_INFO.to_owned(), "Attributes of the resource".to_owned());
        let unit = String::new();
        walk.batch.families.push(MetricMeta { name, kind: MetricKind::Gauge, unit, help });
    }
    Ok((walk.batch, walk.rejections))
}

struct Walk<'p> {
    batch: MetricBatch,
    rejections: Rejections,
    promoted: &'p Promoted,
    arrival: u64,
    label_bytes: usize,
    /// There is a `target_info`.
    informed: bool,
}

/// A family, with what its series share.
struct Family<'a> {
    name: String,
    target: &'a Target,
    delta: bool,
}

/// A data point of any kind, its parts as they come.
#[derive(Default)]
struct Point<'a> {
    start: u64,
    time: u64,
    labels: Vec<(String, String)>,
    value: Option<f64>,
    count: u64,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    counts: Vec<u64>,
    bounds: Vec<f64>,
    quantiles: Vec<(f64, f64)>,
    exponential: Exponential<'a>,
    exemplars: Vec<&'a [u8]>,
    no_value: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Number,
    Histogram,
    Exponential,
    Summary,
}

impl Walk<'_> {
    fn resource_metrics(&mut self, message: &[u8]) -> Result<(), WalkError> {
        let mut resource = &b""[..];
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.read()? {
            if let (1, Field::Bytes(bytes)) = (number, field) {
                resource = bytes;
            }
        }
        let target = Target::new(&decode_resource(resource).attributes, self.promoted);
        let first = self.batch.samples.len();
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.read()? {
            let (2 | 1000, Field::Bytes(scope)) = (number, field) else { continue };
            let mut scope = Reader::new(scope);
            while let Some((number, field)) = scope.read()? {
                if let (2, Field::Bytes(metric)) = (number, field) {
                    self.metric(metric, &target)?;
                }
            }
        }
        self.info(&target, first);
        Ok(())
    }

    /// `target_info` at the newest time of the resource's samples, the first of which is here, and back to the oldest.
    fn info(&mut self, target: &Target, first: usize) {
        let times = || self.batch.samples.iter().skip(first).map(|row| row.time);
        let (Some(info), Some(oldest), Some(newest)) = (&target.info, times().min(), times().max()) else {
            return;
        };
        let cost: usize = info.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
        if self.batch.samples.len() + MAX_INFO_SAMPLES as usize > MAX_RECORDS
            || self.label_bytes + cost > MAX_LABEL_BYTES
        {
            return;
        }
        self.label_bytes += cost;
        self.informed = true;
        let series = self.batch.series.len() as u32;
        self.batch.series.push(Arc::clone(info));
        let count = ((newest - oldest) / INFO_EVERY + 1).min(MAX_INFO_SAMPLES);
        let times = (0..count).rev().map(|back| newest - back * INFO_EVERY);
        self.batch.samples.extend(times.map(|time| SampleRow {
            time,
            value: 1.0,
            series,
            ..SampleRow::default()
        }));
    }

    fn metric(&mut self, message: &[u8], target: &Target) -> Result<(), WalkError> {
        let (mut name, mut help, mut unit, mut data) = (&b""[..], &b""[..], &b""[..], None);
        let mut reader = Reader::new(message);
        while let Some((number, field)) = reader.read()? {
            let Field::Bytes(bytes) = field else { continue };
            match number {
                1 => name = bytes,
                2 => help = bytes,
                3 => unit = bytes,
                5 | 7 => data = Some((Shape::Number, number == 7, bytes)),
                9 => data = Some((Shape::Histogram, false, bytes)),
                10 => data = Some((Shape::Exponential, false, bytes)),
                11 => data = Some((Shape::Summary, false, bytes)),
                _ => {}
            }
        }
        let Some((shape, sum, data)) = data else { return Ok(()) };
        let (mut points, mut delta, mut monotonic) = (Vec::new(), false, false);
        let mut reader = Reader::new(data);
        while let Some((number, field)) = reader.read()? {
            match (number, field) {
                (1, Field::Bytes(point)) => points.push(point),
                (2, Field::Varint(code)) => delta = code == DELTA,
                (3, Field::Varint(code)) => monotonic = code != 0,
                _ => {}
            }
        }
        if name.is_empty() {
            self.rejections.add_many(Reason::MetricName, points.len() as u64);
            return Ok(());
        }
        let counter = sum && monotonic && !delta;
        let kind = match shape {
            Shape::Number if counter => MetricKind::Counter,
            Shape::Number => MetricKind::Gauge,
            Shape::Histogram | Shape::Exponential => MetricKind::Histogram,
            Shape::Summary => MetricKind::Summary,
        };
        let unit = Text(unit).cow();
        let name = metric_name(&Text(name).cow(), &unit, counter, kind == MetricKind::Gauge);
        let family = Family { name, target, delta };
        for point in points {
            let point = read_point(point, shape)?;
            self.point(&family, shape, point)?;
        }
        let name = family.name.strip_suffix("_total").filter(|_| counter).unwrap_or(&family.name).to_owned();
        let help = Text(help).cow().into_owned();
        self.batch.families.push(MetricMeta { name, kind, unit: unit.into_owned(), help });
        Ok(())
    }

    fn point(&mut self, family: &Family<'_>, shape: Shape, mut point: Point<'_>) -> Result<(), WalkError> {
        if point.time == 0 {
            point.time = self.arrival;
        }
        let long = |(k, v): &(String, String)| k.len() > MAX_LABEL || v.len() > MAX_LABEL;
        if family.name.len() > MAX_LABEL || point.labels.iter().chain(&family.target.own).any(long) {
            self.rejections.add(Reason::Label);
            return Ok(());
        }
        let label_bytes =
            |pairs: &[(String, String)]| pairs.iter().map(|(k, v)| k.len() + v.len() + 64).sum::<usize>();
        let series = point.counts.len() + point.quantiles.len() + 5;
        let of_target = label_bytes(&family.target.own) + label_bytes(&family.target.promoted);
        let cost = series * (label_bytes(&point.labels) + of_target + family.name.len() + 64);
        if self.batch.samples.len() + series > MAX_RECORDS
            || self.label_bytes + cost > MAX_LABEL_BYTES
            || self.batch.meta.len() >= MAX_LABEL_BYTES
        {
            self.rejections.add(Reason::TooMany);
            return Ok(());
        }
        let fits = point.counts.is_empty() || point.counts.len() == point.bounds.len() + 1;
        if point.counts.len() > MAX_BUCKETS || point.quantiles.len() > MAX_BUCKETS || !fits {
            self.rejections.add(Reason::DataPoint);
            return Ok(());
        }
        if shape == Shape::Number && point.value.is_none() && !point.no_value {
            self.rejections.add(Reason::DataPoint);
            return Ok(());
        }
        self.label_bytes += cost;
        let stale = point.no_value.then(|| f64::from_bits(STALE));
        let first = self.batch.series.len() as u32;
        let mut bounds = Vec::new();
        match shape {
            Shape::Number => {
                self.sample(family, "", None, &point, stale.or(point.value).unwrap_or_default());
            }
            Shape::Histogram => {
                let mut below = 0u64;
                for (i, count) in point.counts.iter().enumerate() {
                    below = below.saturating_add(*count);
                    let bound = point.bounds.get(i).copied().unwrap_or(f64::INFINITY);
                    bounds.push(bound);
                    self.sample(
                        family,
                        "_bucket",
                        Some(("le", number(bound))),
                        &point,
                        stale.unwrap_or(below as f64),
                    );
                }
                if point.counts.is_empty() {
                    let value = stale.unwrap_or(point.count as f64);
                    self.sample(family, "_bucket", Some(("le", number(f64::INFINITY))), &point, value);
                }
            }
            Shape::Exponential => {
                let Some(native) =
                    point.exponential.native(point.count, point.sum, family.delta, MAX_BUCKETS)?
                else {
                    self.rejections.add(Reason::DataPoint);
                    return Ok(());
                };
                let start = self.batch.meta.len() as u32;
                if stale.is_none() {
                    native.encode(&mut self.batch.meta);
                }
                self.sample(family, "", None, &point, stale.unwrap_or(native.count));
                if let (Some(row), true) = (self.batch.samples.last_mut(), stale.is_none()) {
                    row.histogram = ByteRange { start, end: self.batch.meta.len() as u32 };
                }
            }
            Shape::Summary => {
                for &(quantile, value) in &point.quantiles {
                    self.sample(
                        family,
                        "",
                        Some(("quantile", number(quantile))),
                        &point,
                        stale.unwrap_or(value),
                    );
                }
            }
        }
        if matches!(shape, Shape::Histogram | Shape::Summary) {
            self.sample(family, "_count", None, &point, stale.unwrap_or(point.count as f64));
            if let Some(sum) = point.sum {
                self.sample(family, "_sum", None, &point, stale.unwrap_or(sum));
            }
        }
        for (suffix, value) in [("_min", point.min), ("_max", point.max)] {
            if let Some(value) = value {
                self.sample(family, suffix, None, &point, stale.unwrap_or(value));
            }
        }
        for exemplar in &point.exemplars {
            self.exemplar(exemplar, first, &bounds);
        }
        Ok(())
    }

    fn sample(
        &mut self,
        family: &Family<'_>,
        suffix: &str,
        extra: Option<(&str, String)>,
        point: &Point<'_>,
        value: f64,
    ) {
        let all = family.target.promoted.iter().chain(&point.labels).chain(&family.target.own);
        let mut pairs: Vec<(&str, &str)> = all.map(|(k, v)| (&**k, &**v)).collect();
        if let Some((name, value)) = &extra {
            pairs.push((name, value));
        }
        pairs.extend(family.delta.then_some(TEMPORALITY));
        let name = format!("{}{suffix}", family.name);
        pairs.push(("__name__", &name));
        let series = self.batch.series.len() as u32;
        self.batch.series.push(Arc::new(Labels::new(pairs)));
        self.batch.samples.push(SampleRow {
            time: point.time,
            value,
            start: point.start,
            series,
            histogram: ByteRange::default(),
        });
    }

    /// `first` is the point's first series; an exemplar of a histogram belongs to the bucket that its value falls in.
    fn exemplar(&mut self, message: &[u8], first: u32, bounds: &[f64]) {
        if self.batch.exemplars.len() >= MAX_RECORDS || self.batch.meta.len() >= MAX_LABEL_BYTES {
            return self.rejections.add(Reason::Exemplar);
        }
        let mut row = ExemplarRow { origin: ExemplarOrigin::Application, ..ExemplarRow::default() };
        let start = self.batch.meta.len();
        fields(message, |number, field| match (number, field) {
            (2, Field::Fixed64(time)) => row.time = time,
            (3, Field::Fixed64(bits)) => row.value = f64::from_bits(bits),
            (4, Field::Bytes(bytes)) => row.span = SpanId::from_bytes(bytes).map_or(0, SpanId::bits),
            (5, Field::Bytes(bytes)) if bytes.len() == 16 => {
                if let Ok(id) = TraceId::from_bytes(bytes) {
                    row.trace = id.bits();
                    row.spelling = id.spelling();
                }
            }
            (6, Field::Fixed64(bits)) => row.value = bits as i64 as f64,
            (7, Field::Bytes(bytes)) => {
                let (key, value) = key_value(bytes, 0);
                push_pair(&mut self.batch.meta, &label_name(&key), &text_of(&value));
            }
            _ => {}
        });
        let bucket = bounds.iter().position(|bound| row.value <= *bound).unwrap_or(0);
        row.series = first + bucket as u32;
        row.labels = ByteRange { start: start as u32, end: self.batch.meta.len() as u32 };
        if row.time == 0 {
            row.time = self.arrival;
        }
        self.batch.exemplars.push(row);
    }
}

fn read_point(message: &[u8], shape: Shape) -> Result<Point<'_>, WalkError> {
    let mut point = Point::default();
    let attributes = match shape {
        Shape::Number | Shape::Summary => 7,
        Shape::Histogram => 9,
        Shape::Exponential => 1,
    };
    let flags = if matches!(shape, Shape::Number | Shape::Summary) { 8 } else { 10 };
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        match (number, field, shape) {
            (n, Field::Bytes(bytes), _) if n == attributes => {
                let (key, value) = key_value(bytes, 0);
                point.labels.push((label_name(&key), text_of(&value)));
            }
            (n, Field::Varint(bits), _) if n == flags => point.no_value = bits & 1 != 0,
            (2, Field::Fixed64(time), _) => point.start = time,
            (3, Field::Fixed64(time), _) => point.time = time,
            (4, Field::Fixed64(bits), Shape::Number) => point.value = Some(f64::from_bits(bits)),
            (6, Field::Fixed64(bits), Shape::Number) => point.value = Some(bits as i64 as f64),
            (4, Field::Fixed64(bits), _) => point.count = bits,
            (5, Field::Fixed64(bits), _) => point.sum = Some(f64::from_bits(bits)),
            (11, Field::Fixed64(bits), Shape::Histogram) | (12, Field::Fixed64(bits), Shape::Exponential) => {
                point.min = Some(f64::from_bits(bits));
            }
            (12, Field::Fixed64(bits), Shape::Histogram) | (13, Field::Fixed64(bits), Shape::Exponential) => {
                point.max = Some(f64::from_bits(bits));
            }
            (5, Field::Bytes(bytes), Shape::Number)
            | (8, Field::Bytes(bytes), Shape::Histogram)
            | (11, Field::Bytes(bytes), Shape::Exponential) => point.exemplars.push(bytes),
            (6, Field::Varint(bits), Shape::Exponential) => point.exponential.scale = zigzag(bits),
            (7, Field::Fixed64(count), Shape::Exponential) => point.exponential.zero_count = count,
            (8, Field::Bytes(bytes), Shape::Exponential) => point.exponential.positive = bytes,
            (9, Field::Bytes(bytes), Shape::Exponential) => point.exponential.negative = bytes,
            (14, Field::Fixed64(bits), Shape::Exponential) => {
                point.exponential.zero_threshold = f64::from_bits(bits);
            }
            (6, Field::Fixed64(bits), Shape::Histogram) => point.counts.push(bits),
            (6, Field::Bytes(bytes), Shape::Histogram) => point.counts.extend(packed(bytes)),
            (7, Field::Fixed64(bits), Shape::Histogram) => point.bounds.push(f64::from_bits(bits)),
            (7, Field::Bytes(bytes), Shape::Histogram) => {
                point.bounds.extend(packed(bytes).map(f64::from_bits));
            }
            (6, Field::Bytes(bytes), Shape::Summary) => {
                let (mut quantile, mut value) = (0.0, 0.0);
                fields(bytes, |number, field| match (number, field) {
                    (1, Field::Fixed64(bits)) => quantile = f64::from_bits(bits),
                    (2, Field::Fixed64(bits)) => value = f64::from_bits(bits),
                    _ => {}
                });
                point.quantiles.push((quantile, value));
            }
            _ => {}
        }
    }
    Ok(point)
}

fn packed(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    bytes.chunks_exact(8).filter_map(|chunk| chunk.try_into().ok()).map(u64::from_le_bytes)
}

fn number(value: f64) -> String {
    if value == f64::INFINITY { "+Inf".to_owned() } else { value.to_string() }
}
