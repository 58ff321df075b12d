//! Arithmetic of native histograms, and what can be told from one.

use std::collections::BTreeMap;

pub(super) use parsers::record::NativeHistogram;

/// Schema of histograms whose bounds are listed.
const CUSTOM: i32 = -53;
/// The hint of histograms that go up and down.
pub(super) const GAUGE: u8 = 3;
/// The hint of one that begins anew.
const RESET: u8 = 1;
/// The hint of one that goes on.
const NO_RESET: u8 = 2;

fn is_custom(histogram: &NativeHistogram) -> bool {
    histogram.schema == CUSTOM
}

/// Where a bucket of positive values ends.
fn bound(histogram: &NativeHistogram, index: i32) -> f64 {
    if is_custom(histogram) {
        let place = usize::try_from(index).ok();
        return place.and_then(|i| histogram.custom_bounds.get(i)).copied().unwrap_or(f64::INFINITY);
    }
    (f64::from(index) * (-f64::from(histogram.schema)).exp2()).exp2()
}

fn lower_bound(histogram: &NativeHistogram, index: i32) -> f64 {
    if is_custom(histogram) && index <= 0 {
        // Below the first of listed bounds there is no end; above zero it is taken to be zero.
        return if bound(histogram, 0) > 0.0 { 0.0 } else { f64::NEG_INFINITY };
    }
    bound(histogram, index.saturating_sub(1))
}

/// The bucket that one goes into when each is as wide as `2^by` were.
fn coarser(index: i32, by: u32) -> i32 {
    if by == 0 { index } else { ((i64::from(index) - 1) >> by.min(40)) as i32 + 1 }
}

/// Histograms by their weights, added up; `None` if their buckets cannot be brought together.
pub(super) fn combine(parts: &[(&NativeHistogram, f64)]) -> Option<NativeHistogram> {
    let ((first, _), rest) = parts.split_first()?;
    if rest.iter().any(|(h, _)| is_custom(h) != is_custom(first)) {
        return None;
    }
    if is_custom(first) && rest.iter().any(|(h, _)| h.custom_bounds != first.custom_bounds) {
        return None;
    }
    let schema = parts.iter().map(|(h, _)| h.schema).min()?;
    let mut sides = [BTreeMap::<i32, f64>::new(), BTreeMap::new()];
    let mut result = NativeHistogram {
        schema,
        float: true,
        custom_bounds: first.custom_bounds.clone(),
        reset_hint: if parts.iter().all(|(h, _)| h.reset_hint == GAUGE) { GAUGE } else { 0 },
        ..NativeHistogram::default()
    };
    for (histogram, weight) in parts {
        let by = if is_custom(histogram) { 0 } else { histogram.schema.abs_diff(schema) };
        for (side, buckets) in sides.iter_mut().zip([&histogram.positive, &histogram.negative]) {
            for (index, count) in buckets {
                *side.entry(coarser(*index, by)).or_default() += weight * count;
            }
        }
        result.count += weight * histogram.count;
        result.sum += weight * histogram.sum;
        result.zero_count += weight * histogram.zero_count;
        result.zero_threshold = result.zero_threshold.max(histogram.zero_threshold);
    }
    widen_zero(&mut result, &mut sides);
    let [positive, negative] = sides;
    result.positive = positive.into_iter().filter(|(_, count)| *count != 0.0).collect();
    result.negative = negative.into_iter().filter(|(_, count)| *count != 0.0).collect();
    Some(result)
}

/// Buckets within the bucket round zero become part of it. One that is cut by its end widens it.
fn widen_zero(histogram: &mut NativeHistogram, sides: &mut [BTreeMap<i32, f64>; 2]) {
    if is_custom(histogram) || histogram.zero_threshold == 0.0 {
        return;
    }
    loop {
        let before = histogram.zero_threshold;
        for side in sides.iter_mut() {
            while let Some((index, count)) = side.first_key_value().map(|(index, count)| (*index, *count)) {
                if lower_bound(histogram, index) >= histogram.zero_threshold {
                    break;
                }
                histogram.zero_threshold = histogram.zero_threshold.max(bound(histogram, index));
                histogram.zero_count += count;
                side.remove(&index);
            }
        }
        if histogram.zero_threshold == before {
            return;
        }
    }
}

/// All of them added up.
pub(super) fn sum<'a>(all: impl Iterator<Item = &'a NativeHistogram>) -> Option<NativeHistogram> {
    let parts: Vec<(&NativeHistogram, f64)> = all.map(|histogram| (histogram, 1.0)).collect();
    combine(&parts)
}

/// Multiplies all counts and the sum.
pub(super) fn scale(histogram: &mut NativeHistogram, factor: f64) {
    histogram.float = true;
    histogram.count *= factor;
    histogram.sum *= factor;
    histogram.zero_count *= factor;
    histogram.positive.iter_mut().chain(&mut histogram.negative).for_each(|(_, count)| *count *= factor);
    if factor < 0.0 {
        histogram.reset_hint = GAUGE;
    }
}

/// Whether a histogram began anew since the one before.
pub(super) fn is_reset(after: &NativeHistogram, before: &NativeHistogram) -> bool {
    match after.reset_hint {
        RESET => return true,
        NO_RESET | GAUGE => return false,
        _ => {}
    }
    if before.reset_hint == GAUGE || after.count < before.count || after.schema > before.schema {
        return after.count < before.count || after.schema > before.schema;
    }
    if after.zero_threshold < before.zero_threshold || after.zero_count < before.zero_count {
        return true;
    }
    // Some bucket lost observations.
    combine(&[(after, 1.0), (before, -1.0)]).is_none_or(|difference| {
        difference.zero_count < 0.0
            || difference.positive.iter().chain(&difference.negative).any(|(_, count)| *count < 0.0)
    })
}

/// A bucket with its bounds, in growing order.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    lower: f64,
    upper: f64,
    count: f64,
    /// Bounds grow by a factor, not by a sum.
    exponential: bool,
}

fn buckets(histogram: &NativeHistogram) -> Vec<Bucket> {
    let exponential = !is_custom(histogram);
    let mut all = Vec::with_capacity(histogram.positive.len() + histogram.negative.len() + 1);
    for (index, count) in histogram.negative.iter().rev() {
        let (lower, upper) = (-bound(histogram, *index), -lower_bound(histogram, *index));
        all.push(Bucket { lower, upper, count: *count, exponential });
    }
    if histogram.zero_count != 0.0 {
        let mut zero = Bucket {
            lower: -histogram.zero_threshold,
            upper: histogram.zero_threshold,
            count: histogram.zero_count,
            exponential: false,
        };
        // With observations on one side only, what is near zero lies on that side, too.
        match (histogram.negative.is_empty(), histogram.positive.is_empty()) {
            (true, false) => zero.lower = 0.0,
            (false, true) => zero.upper = 0.0,
            _ => {}
        }
        all.push(zero);
    }
    for (index, count) in &histogram.positive {
        let (lower, upper) = (lower_bound(histogram, *index), bound(histogram, *index));
        all.push(Bucket { lower, upper, count: *count, exponential });
    }
    all
}

impl Bucket {
    /// The value below which this share of the bucket lies.
    fn value_at(&self, share: f64) -> f64 {
        if !self.exponential {
            return self.lower + (self.upper - self.lower) * share;
        }
        let (small, large) = (self.lower.abs().log2(), self.upper.abs().log2());
        let place = (small + (large - small) * share).exp2();
        if self.lower < 0.0 { -place } else { place }
    }

    /// The share of the bucket that lies below a value.
    fn share_below(&self, value: f64) -> f64 {
        if value <= self.lower {
            return 0.0;
        }
        if value >= self.upper {
            return 1.0;
        }
        if !self.exponential {
            return (value - self.lower) / (self.upper - self.lower);
        }
        let (small, large) = (self.lower.abs().log2(), self.upper.abs().log2());
        (value.abs().log2() - small) / (large - small)
    }
}

/// The value below which this share of all observations lies.
pub(super) fn quantile(histogram: &NativeHistogram, quantile: f64) -> f64 {
    if quantile.is_nan() || histogram.count == 0.0 {
        return f64::NAN;
    }
    if quantile < 0.0 {
        return f64::NEG_INFINITY;
    }
    if quantile > 1.0 {
        return f64::INFINITY;
    }
    let rank = quantile * histogram.count;
    let mut below = 0.0;
    let all = buckets(histogram);
    for bucket in all.iter().filter(|bucket| bucket.count > 0.0) {
        if below + bucket.count < rank {
            below += bucket.count;
            continue;
        }
        if bucket.upper.is_infinite() {
            return bucket.lower;
        }
        if bucket.lower.is_infinite() {
            return bucket.upper;
        }
        return bucket.value_at((rank - below) / bucket.count);
    }
    all.last().map_or(f64::NAN, |bucket| if bucket.upper.is_infinite() { bucket.lower } else { bucket.upper })
}

/// The share of observations between two values.
pub(super) fn fraction(histogram: &NativeHistogram, lower: f64, upper: f64) -> f64 {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let below = |value: f64| -> f64 {
        buckets(histogram).iter().map(|bucket| bucket.count * bucket.share_below(value)).sum()
    };
    (below(upper) - below(lower)) / histogram.count
}

/// The variance, each observation being taken to lie in the (geometric) middle of its bucket.
pub(super) fn variance(histogram: &NativeHistogram) -> f64 {
    let mean = histogram.sum / histogram.count;
    let mut squares = super::sums::Sum::default();
    for bucket in buckets(histogram).iter().filter(|bucket| bucket.count != 0.0) {
        let middle = if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
            0.0
        } else if !bucket.exponential {
            f64::midpoint(bucket.lower, bucket.upper)
        } else {
            let size = (bucket.lower * bucket.upper).sqrt();
            if bucket.upper < 0.0 { -size } else { size }
        };
        squares.add(bucket.count * (middle - mean) * (middle - mean));
    }
    squares.value() / histogram.count
}

/// A bucket as answers show it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShownBucket {
    /// Which bounds belong to it: 0 the upper, 1 the lower, 3 both.
    pub boundaries: u8,
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
    /// Observations.
    pub count: f64,
}

/// The buckets of a histogram that are not empty, in growing order, as Prometheus' interface gives them.
pub fn shown_buckets(histogram: &NativeHistogram) -> Vec<ShownBucket> {
    let mut all = Vec::new();
    for (index, count) in histogram.negative.iter().rev() {
        let (lower, upper) = (-bound(histogram, *index), -lower_bound(histogram, *index));
        all.push(ShownBucket { boundaries: 1, lower, upper, count: *count });
    }
    let threshold = histogram.zero_threshold;
    all.push(ShownBucket { boundaries: 3, lower: -threshold, upper: threshold, count: histogram.zero_count });
    for (index, count) in &histogram.positive {
        let lower = match index {
            ..=0 if is_custom(histogram) => f64::NEG_INFINITY,
            _ => lower_bound(histogram, *index),
        };
        all.push(ShownBucket { boundaries: 0, lower, upper: bound(histogram, *index), count: *count });
    }
    all.retain(|bucket| bucket.count != 0.0);
    all
}
