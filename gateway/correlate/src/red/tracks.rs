//! What is counted under each set of labels, and the bound on how many sets there are.

use std::sync::Arc;

use parsers::record::{Labels, Spelling};
use rustc_hash::FxHashMap;

/// Says on a series that it stands for all those past the limit, as Tempo has it.
pub const OVERFLOW_LABEL: &str = "metric_overflow";

/// The series of one kind that a set of labels has: counters, then histograms.
#[derive(Debug)]
pub struct Shape {
    /// Its place in the order in which shapes are shown.
    number: u16,
    /// Families of counters, with their suffix, and what they count.
    pub counters: &'static [(&'static str, &'static str)],
    /// Families of histograms of seconds, and what they measure.
    pub histograms: &'static [(&'static str, &'static str)],
}

/// Spans of an operation.
pub(super) static SPANS: Shape = Shape {
    number: 0,
    counters: &[
        ("traces_spanmetrics_calls_total", "Spans of an operation"),
        ("traces_spanmetrics_size_total", "Bytes of the spans of an operation"),
    ],
    histograms: &[("traces_spanmetrics_latency", "Durations of the spans of an operation in seconds")],
};
/// Calls between services.
pub(super) static CALLS: Shape = Shape {
    number: 1,
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
    number: 2,
    counters: &[],
    histograms: &[(
        "traces_service_graph_request_messaging_system_seconds",
        "Times from the end of sending a message to the begin of taking it in seconds",
    )],
};
/// Halves of calls without the other.
pub(super) static UNPAIRED: Shape = Shape {
    number: 3,
    counters: &[(
        "traces_service_graph_unpaired_spans_total",
        "Sides of calls whose other side did not come",
    )],
    histograms: &[],
};
/// Halves of calls that there was no room for.
pub(super) static DROPPED: Shape = Shape {
    number: 4,
    counters: &[("traces_service_graph_dropped_spans_total", "Sides of calls that there was no room for")],
    histograms: &[],
};

/// All of them, in the order in which they are shown.
pub(super) static SHAPES: [&Shape; 5] = [&SPANS, &CALLS, &MESSAGES, &UNPAIRED, &DROPPED];

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

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
    highest: Option<Example>,
    /// The first since then, whatever its height.
    first: Option<Example>,
    /// The highest of the interval before, shown until there is another.
    before: Option<Example>,
}

impl Examples {
    fn add_higher(&mut self, example: Example) {
        if self.highest.is_none() {
            self.first = Some(example);
        }
        self.highest = Some(example);
    }

    /// What came since this was asked last: the highest, and the first if that is another.
    fn take(&mut self) -> impl Iterator<Item = Example> + use<> {
        let highest = self.highest.take();
        let first = self.first.take().filter(|first| Some(*first) != highest);
        self.before = highest.or(self.before);
        highest.into_iter().chain(first)
    }

    /// The highest there is, perhaps of the interval before.
    pub fn shown(&self) -> Option<Example> {
        self.highest.or(self.before)
    }
}

/// How many durations are in a bucket. Nothing else is touched for a span that is no example, as most are not.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    count: u64,
    /// One more than the nanoseconds of the highest example; 0 without one.
    height: u64,
}

/// Durations in buckets.
#[derive(Debug, Clone)]
pub struct Histogram {
    /// The last has no bound.
    buckets: Vec<Bucket>,
    /// Of all, in nanoseconds.
    pub sum: u128,
    /// One for each bucket.
    pub examples: Vec<Examples>,
}

impl Histogram {
    fn new(bounds: usize) -> Self {
        let all = bounds + 1;
        Self { buckets: vec![Bucket::default(); all], sum: 0, examples: vec![Examples::default(); all] }
    }

    fn add(&mut self, bounds: &[u64], example: Example) {
        let at = bounds.partition_point(|bound| *bound < example.nanos);
        self.sum += u128::from(example.nanos);
        let Some(bucket) = self.buckets.get_mut(at) else { return };
        bucket.count += 1;
        let height = example.nanos.saturating_add(1);
        if height > bucket.height
            && let Some(examples) = self.examples.get_mut(at)
        {
            bucket.height = height;
            examples.add_higher(example);
        }
    }

    /// How many are in each bucket alone.
    pub fn counts(&self) -> impl Iterator<Item = u64> {
        self.buckets.iter().map(|bucket| bucket.count)
    }

    /// Examples that came since this was asked last, each with its bucket.
    pub(super) fn take_examples(&mut self) -> impl Iterator<Item = (usize, Example)> {
        self.buckets.iter_mut().for_each(|bucket| bucket.height = 0);
        let examples = self.examples.iter_mut().enumerate();
        examples.flat_map(|(bucket, examples)| examples.take().map(move |example| (bucket, example)))
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
    group: u64,
    room: Room,
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

/// Where something is counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Which no other set of labels has.
    pub key: u128,
    /// Whose it is: those of one group, such as the operations of a service, take no room from those of others.
    pub group: u64,
    /// What is told apart of that for which its group has no room.
    pub part: u16,
}

/// Whose room series take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Operations,
    Graph,
    /// What stands for others.
    Rest,
}

/// All sets of labels.
///
/// A group may take as much as it leaves free, so that one which comes later has room whatever those before it took: the first half of it
/// all, the next half of what is left. What of a group is more is counted together, under its name; and only where so many groups have more
/// that there is no room for that either, all of them in one.
#[derive(Debug)]
pub(super) struct Tracks {
    /// Upper bounds of buckets in nanoseconds.
    pub bounds: Vec<u64>,
    max_series: usize,
    list: Vec<Track>,
    known: FxHashMap<u128, usize>,
    taken: Taken,
    /// How often something was counted under the labels of the overflow.
    pub overflowed: u64,
}

/// How many series there are.
#[derive(Debug, Default)]
struct Taken {
    operations: usize,
    graph: usize,
    rest: usize,
    groups: FxHashMap<u64, usize>,
}

impl Taken {
    fn add(&mut self, room: Room, group: u64, series: usize) {
        match room {
            Room::Operations => self.operations += series,
            Room::Graph => self.graph += series,
            Room::Rest => return self.rest += series,
        }
        *self.groups.entry(group).or_default() += series;
    }

    /// Of `max`, an eighth is for what stands for others, a quarter for calls and half for operations; the last eighth is for who comes
    /// first.
    fn free(&self, room: Room, max: usize) -> usize {
        let (own, most) = match room {
            Room::Operations => (self.operations, 5 * max / 8),
            Room::Graph => (self.graph, 3 * max / 8),
            Room::Rest => return (max / 8).saturating_sub(self.rest),
        };
        most.saturating_sub(own).min((7 * max / 8).saturating_sub(self.operations + self.graph))
    }

    fn has_room(&self, room: Room, group: u64, series: usize, max: usize) -> bool {
        let own = if room == Room::Rest { 0 } else { self.groups.get(&group).copied().unwrap_or_default() };
        own + series <= self.free(room, max)
    }
}

impl Tracks {
    pub fn new(bounds: Vec<u64>, max_series: usize) -> Self {
        let (list, known, taken) = (Vec::new(), FxHashMap::default(), Taken::default());
        Self { bounds, max_series, list, known, taken, overflowed: 0 }
    }

    /// Adds to the one at this place; `labels` tells them when it is new, or those of what stands for the others of its group.
    pub fn with(
        &mut self,
        shape: &'static Shape,
        place: Place,
        now: u64,
        labels: impl Fn(bool) -> Labels,
        add: impl FnOnce(&mut Track, &[u64]),
    ) {
        let at = match self.known.get(&place.key) {
            Some(at) => *at,
            None => self.begin(shape, place, now, labels),
        };
        if let Some(track) = self.list.get_mut(at) {
            track.touched = now;
            add(track, &self.bounds);
        }
    }

    fn begin(
        &mut self,
        shape: &'static Shape,
        place: Place,
        now: u64,
        labels: impl Fn(bool) -> Labels,
    ) -> usize {
        let Place { key, group, part } = place;
        let series = shape.series(self.bounds.len());
        let room = if *shape == SPANS { Room::Operations } else { Room::Graph };
        if self.taken.has_room(room, group, series, self.max_series) {
            return self.push(shape, (room, key, group), now, labels(false));
        }
        self.overflowed += 1;
        let number = u128::from(shape.number);
        // Of other keys the upper bits are those of a hash.
        let others = 1 << 127 | u128::from(group) << 32 | number << 16 | u128::from(part);
        if let Some(at) = self.known.get(&others) {
            return *at;
        }
        if self.taken.has_room(Room::Rest, group, series, self.max_series) {
            return self.push(shape, (Room::Rest, others, group), now, labels(true));
        }
        // One for each shape, beyond the limit.
        match self.known.get(&number) {
            Some(at) => *at,
            None => self.push(shape, (Room::Rest, number, 0), now, Labels::new([(OVERFLOW_LABEL, "true")])),
        }
    }

    fn push(
        &mut self,
        shape: &'static Shape,
        (room, key, group): (Room, u128, u64),
        now: u64,
        labels: Labels,
    ) -> usize {
        let at = self.list.len();
        self.taken.add(room, group, shape.series(self.bounds.len()));
        self.list.push(Track {
            shape,
            labels,
            counters: [0; 2],
            histograms: shape.histograms.iter().map(|_| Histogram::new(self.bounds.len())).collect(),
            series: Vec::new(),
            touched: now,
            began: now,
            key,
            group,
            room,
        });
        self.known.insert(key, at);
        at
    }

    /// Series that there are.
    pub fn series(&self) -> usize {
        self.taken.operations + self.taken.graph + self.taken.rest
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
            self.taken = Taken::default();
            for track in &self.list {
                self.taken.add(track.room, track.group, track.shape.series(self.bounds.len()));
            }
            self.known = self.list.iter().enumerate().map(|(at, track)| (track.key, at)).collect();
        }
        idle
    }
}
