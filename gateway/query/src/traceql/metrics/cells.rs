//! What a series keeps of each interval.

use std::collections::BTreeMap;

use super::super::ast::OverTime;

/// Buckets between a power of two and the next: a quantile is off by at most 4.4 %.
const FINENESS: f64 = 16.0;

/// Values of all intervals of a series.
#[derive(Debug)]
pub(super) enum Cells {
    /// How many.
    Counts(Vec<f64>),
    /// The least, the greatest or the sum; NaN where there is none.
    Values(OverTime, Vec<f64>),
    /// Sums and how many.
    Means(Vec<(f64, u32)>),
    /// How many in each bucket, by interval and bucket.
    Buckets(BTreeMap<(u32, i32), u32>),
}

impl Cells {
    pub(super) fn counts(intervals: usize) -> Self {
        Self::Counts(vec![0.0; intervals])
    }

    pub(super) fn over_time(function: OverTime, intervals: usize) -> Self {
        match function {
            OverTime::Avg => Self::Means(vec![(0.0, 0); intervals]),
            _ => Self::Values(function, vec![f64::NAN; intervals]),
        }
    }

    /// Whether a bucket came to those that are kept.
    pub(super) fn add(&mut self, interval: usize, value: f64) -> bool {
        match self {
            Self::Counts(counts) => {
                if let Some(count) = counts.get_mut(interval) {
                    *count += 1.0;
                }
            }
            Self::Values(function, values) => {
                if let Some(known) = values.get_mut(interval) {
                    *known = match function {
                        _ if known.is_nan() => value,
                        OverTime::Min => known.min(value),
                        OverTime::Max => known.max(value),
                        OverTime::Sum | OverTime::Avg => *known + value,
                    };
                }
            }
            Self::Means(means) => {
                if let Some((sum, count)) = means.get_mut(interval) {
                    *sum += value;
                    *count += 1;
                }
            }
            Self::Buckets(buckets) => {
                let count = buckets.entry((interval as u32, bucket(value))).or_default();
                *count += 1;
                return *count == 1;
            }
        }
        false
    }

    /// The value of an interval; NaN if it has none. Buckets have one for each quantile.
    pub(super) fn value(&self, interval: usize, quantile: f64) -> f64 {
        match self {
            Self::Counts(values) | Self::Values(_, values) => {
                values.get(interval).copied().unwrap_or(f64::NAN)
            }
            Self::Means(means) => match means.get(interval) {
                Some((sum, count)) if *count > 0 => sum / f64::from(*count),
                _ => f64::NAN,
            },
            Self::Buckets(buckets) => of_quantile(buckets, interval as u32, quantile),
        }
    }
}

/// Nothing and less has a bucket of its own.
fn bucket(value: f64) -> i32 {
    if value > 0.0 { (value.log2() * FINENESS).floor() as i32 } else { i32::MIN }
}

fn of_quantile(buckets: &BTreeMap<(u32, i32), u32>, interval: u32, quantile: f64) -> f64 {
    let of_interval = || buckets.range((interval, i32::MIN)..=(interval, i32::MAX));
    let total: f64 = of_interval().map(|(_, count)| f64::from(*count)).sum();
    let rank = quantile * total;
    let mut below = 0.0;
    for ((_, bucket), count) in of_interval() {
        let count = f64::from(*count);
        if below + count >= rank {
            if *bucket == i32::MIN {
                return 0.0;
            }
            // Values of a bucket are taken as spread evenly over it.
            let within = ((rank - below) / count).clamp(0.0, 1.0);
            return ((f64::from(*bucket) + within) / FINENESS).exp2();
        }
        below += count;
    }
    f64::NAN
}
