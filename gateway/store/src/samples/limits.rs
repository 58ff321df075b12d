//! How many series are taken, how late samples may be, and what is said when there are too many.

use std::time::Duration;

use parsers::record::Labels;

use super::head::Head;

/// Each series takes up to a kilobyte of memory while it is written to, so that these take one gigabyte: what a machine that is
/// meant for so many has, and what a label that explodes may take of any other before it is told.
pub const MAX_SERIES: usize = 1_000_000;
/// A sender that was cut off, or has several connections, catches up within this.
pub const OUT_OF_ORDER: Duration = Duration::from_hours(1);
/// Labels that are named when there are too many series.
const NAMED: usize = 3;
/// Entries of each list of [`SeriesStatistics`].
pub const LISTED: usize = 10;

/// Bounds of what is taken of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleOptions {
    /// Series that are written to at a time; new ones over it are refused.
    pub max_series: usize,
    /// Series besides that are made here of other records ([`parsers::record::MetricBatch::made`]).
    pub reserved: usize,
    /// A sample that is older than the newest of its series by more is refused.
    pub out_of_order: Duration,
}

impl Default for SampleOptions {
    fn default() -> Self {
        Self { max_series: MAX_SERIES, reserved: 0, out_of_order: OUT_OF_ORDER }
    }
}

/// What of a batch that was taken is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeftOut {
    /// Samples older than the newest of their series by more than may be.
    pub late: u64,
    /// Samples of series that would have been new, of which there are too many.
    pub over_limit: u64,
    /// Samples that are here already; nobody needs to be told.
    pub repeats: u64,
    /// Samples of a series and time of which another value is here.
    pub conflicts: u64,
    pub(super) first_conflict: Option<Conflict>,
    /// Why, for people; empty if all is kept or here already.
    pub reason: String,
}

/// One of the samples whose series has another value at their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Conflict {
    /// Number of the series in its head.
    pub series: u32,
    /// When, nanoseconds.
    pub time: u64,
}

impl LeftOut {
    /// Samples that the sender had better know of.
    pub fn refused(&self) -> u64 {
        self.late + self.over_limit + self.conflicts
    }

    pub(super) fn explain(&mut self, head: &Head, options: &SampleOptions) {
        let mut reasons = Vec::new();
        if self.late > 0 {
            reasons.push(format!(
                "{} samples are older than the newest of their series by more than {:?} (store.out_of_order)",
                self.late, options.out_of_order
            ));
        }
        if self.over_limit > 0 {
            reasons.push(format!("{} samples of new series: {}", self.over_limit, too_many(head, options)));
        }
        if let Some(first) = self.first_conflict {
            // In Prometheus' words, which people look for.
            reasons.push(format!(
                "{} samples: duplicate sample for timestamp, the series has another value at that time, such as {} at {} ms",
                self.conflicts,
                selector(&head.index.labels(first.series)),
                first.time / 1_000_000
            ));
        }
        self.reason = reasons.join("; ");
    }
}

/// A series as a query names it.
fn selector(labels: &Labels) -> String {
    let pairs = labels.iter().filter(|(name, _)| *name != "__name__");
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{}{{{}}}", labels.get("__name__").unwrap_or_default(), pairs.join(", "))
}

/// Which labels have most values, in words.
pub(super) fn too_many(head: &Head, options: &SampleOptions) -> String {
    let names = head.index.values_by_name();
    let named: Vec<String> =
        names.iter().take(NAMED).map(|(name, values)| format!("{name} ({values})")).collect();
    format!(
        "there are {} series already, as many as may be (store.max_series is {}); labels with most values: {}",
        head.sent_series(options),
        options.max_series,
        named.join(", ")
    )
}

/// What series are made of, as Prometheus tells it: lists have ten entries at most, the largest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeriesStatistics {
    /// Series that are written to.
    pub series: u64,
    /// How many there may be.
    pub max_series: u64,
    /// Pairs of a label and a value.
    pub label_pairs: u64,
    /// Oldest sample of the head, nanoseconds.
    pub oldest: Option<u64>,
    /// Newest sample.
    pub newest: Option<u64>,
    /// Metrics by their series.
    pub series_by_metric: Vec<(String, u64)>,
    /// Labels by their values.
    pub values_by_label: Vec<(String, u64)>,
    /// Labels by the bytes of their values.
    pub bytes_by_label: Vec<(String, u64)>,
    /// `name=value` by their series.
    pub series_by_pair: Vec<(String, u64)>,
}

fn largest(mut list: Vec<(String, u64)>) -> Vec<(String, u64)> {
    list.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    list.truncate(LISTED);
    list
}

impl SeriesStatistics {
    pub(super) fn of(head: &Head, options: &SampleOptions) -> Self {
        let mut bytes = std::collections::BTreeMap::<&str, u64>::new();
        let (mut metrics, mut pairs) = (Vec::new(), Vec::new());
        let mut label_pairs = 0;
        for (name, value, series) in head.index.each_pair() {
            label_pairs += 1;
            *bytes.entry(name).or_default() += value.len() as u64;
            if name == "__name__" {
                metrics.push((value.to_owned(), series as u64));
            }
            pairs.push((name, value, series as u64));
        }
        pairs.sort_by_key(|pair| std::cmp::Reverse(pair.2));
        pairs.truncate(LISTED * 2);
        let pairs = pairs.into_iter().map(|(name, value, series)| (format!("{name}={value}"), series));
        let values = head.index.values_by_name();
        Self {
            series: head.index.len() as u64,
            max_series: options.max_series as u64,
            label_pairs,
            oldest: head.held().oldest,
            newest: head.held().newest,
            series_by_metric: largest(metrics),
            values_by_label: largest(values.iter().map(|(n, c)| (n.to_string(), *c as u64)).collect()),
            bytes_by_label: largest(bytes.into_iter().map(|(n, c)| (n.to_owned(), c)).collect()),
            series_by_pair: largest(pairs.collect()),
        }
    }
}
