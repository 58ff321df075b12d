//! Samples and exemplars of what was counted.

use std::sync::Arc;

use parsers::record::{
    ByteRange, ExemplarOrigin, ExemplarRow, Labels, MetricBatch, MetricKind, MetricMeta, SampleRow,
};
use parsers::stage::{Metric, MetricShape};

use super::{Example, LineMetrics, Track, bound, bucket_of};

/// Times are told apart by queries that are so far apart, in nanoseconds.
const MILLISECOND: u64 = 1_000_000;
/// Says that a series has ended, in Prometheus' words.
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

impl LineMetrics {
    /// A sample of each series at `now`, nanoseconds since the epoch; of one that counts and is new also a 0 shortly after
    /// `before`, when samples were given last, so that a rate has something to begin with; exemplars that came since; and the ends
    /// of series that were not updated for too long, which go.
    pub fn collect(&self, before: u64, now: u64) -> MetricBatch {
        let mut state = self.lock();
        state.drop_idle(now);
        let state = &mut *state;
        let mut batch = MetricBatch::default();
        for family in state.families.values_mut() {
            batch.families.push(said(&family.metric));
            for (labels, track) in &mut family.tracks {
                let mut zero = None;
                if track.series.is_empty() {
                    track.series = series(&family.metric, labels);
                    // One that went and came back since has its last value to begin with: it was set back.
                    let back = track.series.iter().filter(|labels| state.ended.remove(*labels)).count() > 0;
                    let counts = !matches!(family.metric.shape, MetricShape::Gauge(_));
                    // At `before` itself there may be the end of an earlier one.
                    let at = (before + MILLISECOND).min(now.saturating_sub(MILLISECOND));
                    zero = (counts && !back).then_some(at);
                    track.began = if counts { at } else { 0 };
                }
                track.write(&family.metric.shape, zero, now, &mut batch);
            }
        }
        for labels in std::mem::take(&mut state.ended) {
            let series = batch.series.len() as u32;
            batch.series.push(labels);
            batch.samples.push(SampleRow { time: now, value: STALE, series, ..SampleRow::default() });
        }
        batch
    }
}

impl Track {
    fn write(&mut self, shape: &MetricShape, zero: Option<u64>, now: u64, batch: &mut MetricBatch) {
        let first = batch.series.len() as u32;
        batch.series.extend(self.series.iter().map(Arc::clone));
        let mut values = Vec::with_capacity(self.series.len());
        let mut of_exemplar = first;
        if let MetricShape::Histogram(bounds) = shape {
            let mut below = 0;
            for count in &self.buckets {
                below += count;
                values.push(below as f64);
            }
            values.extend([self.value, self.count as f64]);
            of_exemplar += self.exemplar.map_or(0, |example| bucket_of(bounds, example.value) as u32);
        } else {
            values.push(self.value);
        }
        for (series, value) in (first..).zip(values) {
            let row =
                |time, value| SampleRow { time, value, start: self.began, series, ..SampleRow::default() };
            batch.samples.extend(zero.map(|time| row(time, 0.0)));
            batch.samples.push(row(now, value));
        }
        let new = std::mem::take(&mut self.exemplar_is_new);
        batch.exemplars.extend(self.exemplar.filter(|_| new).map(|example| exemplar(example, of_exemplar)));
    }
}

fn exemplar(example: Example, series: u32) -> ExemplarRow {
    ExemplarRow {
        trace: example.trace.bits(),
        span: 0,
        time: example.time,
        value: example.value,
        series,
        labels: ByteRange::default(),
        spelling: example.trace.spelling(),
        origin: ExemplarOrigin::Trefoil,
    }
}

/// Labels of the series of one set of labels, in the order in which their values are written.
fn series(metric: &Metric, labels: &Labels) -> Vec<Arc<Labels>> {
    let named = |suffix: &str| labels.with("__name__", format!("{}{suffix}", metric.name));
    match &metric.shape {
        MetricShape::Counter { .. } => vec![Arc::new(named("_total"))],
        MetricShape::Gauge(_) => vec![Arc::new(named(""))],
        MetricShape::Histogram(bounds) => {
            let bucket = named("_bucket");
            let buckets = (0..=bounds.len()).map(|at| Arc::new(bucket.with("le", bound(bounds, at))));
            buckets.chain([Arc::new(named("_sum")), Arc::new(named("_count"))]).collect()
        }
    }
}

fn said(metric: &Metric) -> MetricMeta {
    let (suffix, kind) = match metric.shape {
        MetricShape::Counter { .. } => ("_total", MetricKind::Counter),
        MetricShape::Gauge(_) => ("", MetricKind::Gauge),
        MetricShape::Histogram(_) => ("", MetricKind::Histogram),
    };
    MetricMeta {
        name: format!("{}{suffix}", metric.name),
        kind,
        unit: String::new(),
        help: metric.help.to_string(),
    }
}
