//! What is counted under each set of labels, and the bound on how many sets there are.

use std::sync::Arc;

use parsers::record::{Labels, Spelling};
use rustc_hash::FxHashMap;

/// Says on a series that it stands for all those past the limit, as Tempo has it.
pub const OVERFLOW_LABEL: &str = "metric_overflow";

/// The series of one kind that a set of labels has: counters, then histograms.
#[derive(Debug, PartialEq, Eq)]
pub struct Shape {
    /// Families of counters, with their suffix, and what they count.
    pub counters: &'static [(&'static str, &'static str)],
    /// Families of histograms of seconds, and what they measure.
    pub histograms: &'static [(&'static str, &'static str)],
}

/// Spans of an operation.
pub(super) static SPANS: Shape = Shape {
    counters: &[
        ("traces_spanmetrics_calls_total", "Spans of an operation"),
        ("traces_spanmetrics_size_total", "Bytes of the spans of an operation"),
    ],
    histograms: &[("traces_spanmetrics_latency", "Durations of the spans of an operation in seconds")],
};
/// Calls between services.
pub(super) static CALLS: Shape = Shape {
    counters: &[
        ("traces_service_graph_request_total", "Calls of one service by another"),
        ("traces_service_graph_request_failed_total", "Failed calls of one service by another"),
    ],
    histograms: &[
        ("traces_service_graph_request_client_seconds", "Durations of calls as callers see them in seconds"),
        ("traces_service_graph_request_server_seconds", "Durations of calls as callees see them in seconds"),
    ],
};
/// Messages from one service to another. Tempo counts these only where it is told to.
pub(super) static MESSAGES: Shape = Shape {
    counters: &[],
    histograms: &[(
        "traces_service_graph_request_messaging_system_seconds",
        "Times from the end of sending a message to the begin of taking it in seconds",
    )],
};
/// Halves of calls without the other.
pub(super) static UNPAIRED: Shape = Shape {
    counters: &[(
        "traces_service_graph_unpaired_spans_total",
        "Sides of calls whose other side did not come",
    )],
    histograms: &[],
};
/// Halves of calls that there was no room for.
pub(super) static DROPPED: Shape = Shape {
    counters: &[("traces_service_graph_dropped_spans_total", "Sides of calls that there was no room for")],
    histograms: &[],
};

/// All of them, in the order in which they are shown.
pub(super) static SHAPES: [&Shape; 5] = [&SPANS, &CALLS, &MESSAGES, &UNPAIRED, &DROPPED];

impl Shape {
    /// Series with so many bounds of buckets: those, the last one, sum and count.
    fn series(&self, buckets: usize) -> usize {
        self.counters.len() + self.histograms.len() * (buckets + 3)
    }
}

/// A measurement and its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    /// What was measured, in nanoseconds.
    pub nanos: u64,
    /// Bits of the trace id.
    pub trace: u128,
    /// Bits of the span id.
    pub span: u64,
    /// How the trace id was written.
    pub spelling: Spelling,
    /// When the span ended.
    pub time: u64,
}

/// Examples of one bucket.
#[derive(Debug, Clone, Copy, Default)]
pub struct Examples {
    /// The highest since samples were written last.
    pub highest: Option<Example>,
    /// The newest since then.
    pub newest: Option<Example>,
    /// The highest of the interval before, shown until there is another.
    pub before: Option<Example>,
}

impl Examples {
    fn add(&mut self, example: Example) {
        if self.highest.is_none_or(|highest| highest.nanos <= example.nanos) {
            self.highest = Some(example);
        }
        self.newest = Some(example);
    }

    /// What came since this was asked last: the highest, and the newest if that is another.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Example> {
        let highest = self.highest.take();
        let newest = self.newest.take().filter(|newest| Some(*newest) != highest);
        self.before = highest.or(self.before);
        highest.into_iter().chain(newest)
    }
}

/// Durations in buckets.
#[derive(Debug, Clone)]
pub struct Histogram {
    /// How many are in each bucket alone; the last has no bound.
    pub counts: Vec<u64>,
    /// Of all, in nanoseconds.
    pub sum: u128,
    /// One for each bucket.
    pub examples: Vec<Examples>,
}

impl Histogram {
    fn new(buckets: usize) -> Self {
        let all = buckets + 1;
        Self { counts: vec![0; all], sum: 0, examples: vec![Examples::default(); all] }
    }

    fn add(&mut self, bounds: &[u64], example: Example) {
        let bucket = bounds.partition_point(|bound| *bound < example.nanos);
        self.sum += u128::from(example.nanos);
        if let (Some(count), Some(examples)) = (self.counts.get_mut(bucket), self.examples.get_mut(bucket)) {
            *count += 1;
            examples.add(example);
        }
    }
}

/// What is counted under one set of labels.
#[derive(Debug)]
pub struct Track {
    /// Which series it has.
    pub shape: &'static Shape,
    /// Without `__name__` and `le`.
    pub labels: Labels,
    /// In the order of the shape.
    pub counters: [u64; 2],
    /// In the order of the shape.
    pub histograms: Vec<Histogram>,
    /// Labels of each series, made when samples are first written.
    pub(super) series: Vec<Arc<Labels>>,
    /// When something was counted last.
    touched: u64,
    /// When it began.
    pub(super) began: u64,
    key: u128,
}

impl Track {
    /// Measures with this histogram of the shape.
    pub(super) fn observe(&mut self, histogram: usize, bounds: &[u64], example: Example) {
        if let Some(histogram) = self.histograms.get_mut(histogram) {
            histogram.add(bounds, example);
        }
    }

    /// Adds to this counter of the shape.
    pub(super) fn count(&mut self, counter: usize, amount: u64) {
        if let Some(counter) = self.counters.get_mut(counter) {
            *counter += amount;
        }
    }
}

/// All sets of labels.
#[derive(Debug)]
pub(super) struct Tracks {
    /// Upper bounds of buckets in nanoseconds.
    pub bounds: Vec<u64>,
    max_series: usize,
    list: Vec<Track>,
    known: FxHashMap<u128, usize>,
    series: usize,
    /// How often something was counted under the labels of the overflow.
    pub overflowed: u64,
}

impl Tracks {
    pub fn new(bounds: Vec<u64>, max_series: usize) -> Self {
        Self { bounds, max_series, list: Vec::new(), known: FxHashMap::default(), series: 0, overflowed: 0 }
    }

    /// Adds to the one of this key, which no other set of labels has; `labels` tells them when it is new.
    pub fn with(
        &mut self,
        shape: &'static Shape,
        key: u128,
        now: u64,
        labels: impl FnOnce() -> Labels,
        add: impl FnOnce(&mut Track, &[u64]),
    ) {
        let at = match self.known.get(&key) {
            Some(at) => *at,
            None => self.begin(shape, key, now, labels),
        };
        if let Some(track) = self.list.get_mut(at) {
            track.touched = now;
            add(track, &self.bounds);
        }
    }

    fn begin(
        &mut self,
        shape: &'static Shape,
        key: u128,
        now: u64,
        labels: impl FnOnce() -> Labels,
    ) -> usize {
        if self.series + shape.series(self.bounds.len()) <= self.max_series {
            return self.push(shape, key, now, labels());
        }
        self.overflowed += 1;
        // One for each shape, beyond the limit.
        let overflow = SHAPES.iter().position(|known| *known == shape).unwrap_or_default() as u128;
        match self.known.get(&overflow) {
            Some(at) => *at,
            None => self.push(shape, overflow, now, Labels::new([(OVERFLOW_LABEL, "true")])),
        }
    }

    fn push(&mut self, shape: &'static Shape, key: u128, now: u64, labels: Labels) -> usize {
        let at = self.list.len();
        self.series += shape.series(self.bounds.len());
        self.list.push(Track {
            shape,
            labels,
            counters: [0; 2],
            histograms: shape.histograms.iter().map(|_| Histogram::new(self.bounds.len())).collect(),
            series: Vec::new(),
            touched: now,
            began: now,
            key,
        });
        self.known.insert(key, at);
        at
    }

    /// Series that there are.
    pub fn series(&self) -> usize {
        self.series
    }

    pub fn iter(&self) -> impl Iterator<Item = &Track> {
        self.list.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Track> {
        self.list.iter_mut()
    }

    /// Takes out those in which nothing was counted since.
    pub fn take_idle(&mut self, since: u64) -> Vec<Track> {
        let idle: Vec<Track> = self.list.extract_if(.., |track| track.touched < since).collect();
        if !idle.is_empty() {
            let buckets = self.bounds.len();
            self.series = self.list.iter().map(|track| track.shape.series(buckets)).sum();
            self.known = self.list.iter().enumerate().map(|(at, track)| (track.key, at)).collect();
        }
        idle
    }
}
