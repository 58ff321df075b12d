//! Samples and exemplars of what was counted.

use std::sync::Arc;

use parsers::record::{
    ByteRange, ExemplarOrigin, ExemplarRow, Labels, MetricBatch, MetricKind, MetricMeta, SampleRow,
};

use super::tracks::{Example, SHAPES, Track, Tracks};

/// Times are told apart by queries that are so far apart, in nanoseconds.
const MILLISECOND: u64 = 1_000_000;
/// Says that a series has ended, in Prometheus' words.
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// A sample of each series at `now`; of a new one also a 0 at `before`, when samples were written last, so that a rate has something
/// to begin with; exemplars; and the ends of series that are no more.
pub(super) fn write(tracks: &mut Tracks, ended: &[Track], before: u64, now: u64) -> MetricBatch {
    let mut batch = MetricBatch { families: families(), made: true, ..MetricBatch::default() };
    let bounds: Vec<String> = tracks.bounds.iter().map(|nanos| bound(*nanos)).collect();
    for track in tracks.iter_mut() {
        let fresh = track.series.is_empty();
        if fresh {
            track.series = series(track, &bounds);
        }
        // When samples were written last it was not there; at the time of an older process' samples there must be no 0.
        let zero = fresh.then(|| before.min(now.saturating_sub(MILLISECOND)));
        track.began = zero.unwrap_or(track.began);
        let first = batch.series.len() as u32;
        batch.series.extend(track.series.iter().map(Arc::clone));
        let mut values = Vec::with_capacity(track.series.len());
        values.extend(track.shape.counters.iter().zip(track.counters).map(|(_, count)| count as f64));
        for histogram in &mut track.histograms {
            let (mut sum, from) = (0, values.len());
            for count in histogram.counts() {
                sum += count;
                values.push(sum as f64);
            }
            values.push(histogram.sum as f64 / 1e9);
            values.push(sum as f64);
            let series = |bucket| first + (from + bucket) as u32;
            let examples = histogram.take_examples();
            batch.exemplars.extend(examples.map(|(bucket, example)| exemplar(example, series(bucket))));
        }
        for (series, value) in (first..).zip(values) {
            let row = |time, value| SampleRow {
                time,
                value,
                start: track.began,
                series,
                histogram: ByteRange::default(),
            };
            batch.samples.extend(zero.map(|time| row(time, 0.0)));
            batch.samples.push(row(now, value));
        }
    }
    for track in ended {
        let first = batch.series.len() as u32;
        batch.series.extend(track.series.iter().map(Arc::clone));
        let count = track.series.len() as u32;
        batch.samples.extend((first..first + count).map(|series| SampleRow {
            time: now,
            value: STALE,
            series,
            ..SampleRow::default()
        }));
    }
    batch
}

fn exemplar(example: Example, series: u32) -> ExemplarRow {
    ExemplarRow {
        trace: example.trace,
        span: example.span,
        time: example.time,
        value: example.nanos as f64 / 1e9,
        series,
        labels: ByteRange::default(),
        spelling: example.spelling,
        origin: ExemplarOrigin::Trefoil,
    }
}

/// A bound of a bucket in seconds, as label `le` has it.
pub fn bound(nanos: u64) -> String {
    (nanos as f64 / 1e9).to_string()
}

/// Labels of all series, in the order in which they are written.
fn series(track: &Track, bounds: &[String]) -> Vec<Arc<Labels>> {
    let named = |name: String| track.labels.with("__name__", name);
    let mut all: Vec<Arc<Labels>> =
        track.shape.counters.iter().map(|(name, _)| Arc::new(named((*name).to_owned()))).collect();
    for (name, _) in track.shape.histograms {
        let bucket = named(format!("{name}_bucket"));
        let bounds = bounds.iter().map(String::as_str).chain(["+Inf"]);
        all.extend(bounds.map(|bound| Arc::new(bucket.with("le", bound))));
        all.push(Arc::new(named(format!("{name}_sum"))));
        all.push(Arc::new(named(format!("{name}_count"))));
    }
    all
}

fn families() -> Vec<MetricMeta> {
    let meta = |kind| {
        move |(name, help): &(&str, &str)| MetricMeta {
            name: (*name).to_owned(),
            kind,
            unit: if kind == MetricKind::Histogram { "seconds".to_owned() } else { String::new() },
            help: (*help).to_owned(),
        }
    };
    let of = |shape: &&super::tracks::Shape| {
        let counters = shape.counters.iter().map(meta(MetricKind::Counter));
        counters.chain(shape.histograms.iter().map(meta(MetricKind::Histogram))).collect::<Vec<_>>()
    };
    SHAPES.iter().flat_map(of).collect()
}
