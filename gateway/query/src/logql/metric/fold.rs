//! What is kept of the samples in a cell, for each kind of range aggregation: two of them join to one of both.

/// Samples folded together.
pub(super) trait Fold: Clone {
    /// Of one sample.
    fn one(time: u64, value: f64) -> Self;
    /// Takes in what comes later.
    fn join(&mut self, later: &Self);
}

/// How many, and their sum.
#[derive(Debug, Clone)]
pub(super) struct Total {
    pub(super) sum: f64,
}

impl Fold for Total {
    fn one(_: u64, value: f64) -> Self {
        Self { sum: value }
    }
    fn join(&mut self, later: &Self) {
        self.sum += later.sum;
    }
}

/// The smallest and the largest.
#[derive(Debug, Clone)]
pub(super) struct Extremes {
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Fold for Extremes {
    fn one(_: u64, value: f64) -> Self {
        Self { min: value, max: value }
    }
    fn join(&mut self, later: &Self) {
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
    }
}

/// The first and the last.
#[derive(Debug, Clone)]
pub(super) struct Ends {
    pub(super) first: (u64, f64),
    pub(super) last: (u64, f64),
}

impl Fold for Ends {
    fn one(time: u64, value: f64) -> Self {
        Self { first: (time, value), last: (time, value) }
    }
    fn join(&mut self, later: &Self) {
        if later.first.0 < self.first.0 {
            self.first = later.first;
        }
        if later.last.0 >= self.last.0 {
            self.last = later.last;
        }
    }
}

/// Mean and spread, after Welford and Chan.
#[derive(Debug, Clone)]
pub(super) struct Moments {
    pub(super) count: f64,
    pub(super) mean: f64,
    /// Sum of squared distances from the mean.
    squares: f64,
}

impl Moments {
    pub(super) fn variance(&self) -> f64 {
        self.squares / self.count
    }
}

impl Fold for Moments {
    fn one(_: u64, value: f64) -> Self {
        // A value that is no number makes the spread none, too.
        Self { count: 1.0, mean: value, squares: if value.is_finite() { 0.0 } else { f64::NAN } }
    }
    fn join(&mut self, later: &Self) {
        let count = self.count + later.count;
        let distance = later.mean - self.mean;
        if self.mean == later.mean {
            self.squares += later.squares;
        } else {
            self.squares += later.squares + distance * distance * self.count * later.count / count;
            self.mean += distance * later.count / count;
        }
        self.count = count;
    }
}

/// A counter that may begin again from zero. Samples must come in order.
#[derive(Debug, Clone)]
pub(super) struct Counter {
    ends: Ends,
    count: u64,
    /// What was reached before each new beginning.
    lost: f64,
}

impl Fold for Counter {
    fn one(time: u64, value: f64) -> Self {
        Self { ends: Ends::one(time, value), count: 1, lost: 0.0 }
    }
    fn join(&mut self, later: &Self) {
        if later.ends.first.1 < self.ends.last.1 {
            self.lost += self.ends.last.1;
        }
        self.lost += later.lost;
        self.ends.last = later.ends.last;
        self.count += later.count;
    }
}

impl Counter {
    /// Growth a second over a window, drawn out to its ends as Prometheus' `rate` does: as far as the counter's samples
    /// would be expected there, and not below zero.
    pub(super) fn rate(&self, (start, end): (i128, i128)) -> f64 {
        if self.count < 2 {
            return 0.0;
        }
        let seconds = |nanos: i128| nanos as f64 / 1e9;
        let (first, last) = (self.ends.first, self.ends.last);
        let growth = last.1 - first.1 + self.lost;
        let sampled = seconds(i128::from(last.0) - i128::from(first.0));
        if sampled <= 0.0 {
            return 0.0;
        }
        let between = sampled / (self.count - 1) as f64;
        let mut to_start = seconds(i128::from(first.0) - start);
        let to_end = seconds(end - i128::from(last.0));
        if growth > 0.0 && first.1 >= 0.0 {
            to_start = to_start.min(sampled * (first.1 / growth));
        }
        // Samples further away than this are taken as missing.
        let expected = between * 1.1;
        let reach = |gap: f64| if gap < expected { gap } else { between / 2.0 };
        let drawn_out = sampled + reach(to_start) + reach(to_end);
        growth * (drawn_out / sampled) / seconds(end - start)
    }
}
