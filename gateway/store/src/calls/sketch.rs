//! A distribution of durations that can be added to others.

/// Bits of a number that are kept below its highest: 16 buckets for each power of two, so that what is read back differs from
/// what was put in by 3 % at most.
const BITS: u32 = 4;

/// Durations in nanoseconds, counted in buckets that grow with the durations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sketch {
    /// Bucket and count, in order of the buckets.
    buckets: Vec<(u16, u32)>,
}

/// The bucket of a duration.
fn bucket(nanos: u64) -> u16 {
    let shift = (nanos | 1).ilog2().saturating_sub(BITS);
    (u64::from(shift << BITS) + (nanos >> shift)) as u16
}

/// The middle of a bucket.
fn middle(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    let shift = (bucket >> BITS).saturating_sub(1).min(63);
    let lowest = (bucket - (shift << BITS)) << shift;
    lowest + ((1u64 << shift) >> 1)
}

impl Sketch {
    /// Counts one.
    pub fn add(&mut self, nanos: u64) {
        self.add_to(bucket(nanos), 1);
    }

    pub(super) fn add_to(&mut self, bucket: u16, count: u32) {
        match self.buckets.binary_search_by_key(&bucket, |(at, _)| *at) {
            Ok(at) => {
                if let Some((_, counted)) = self.buckets.get_mut(at) {
                    *counted = counted.saturating_add(count);
                }
            }
            Err(at) => self.buckets.insert(at, (bucket, count)),
        }
    }

    /// Adds another.
    pub fn merge(&mut self, other: &Self) {
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
            return;
        }
        for (bucket, count) in &other.buckets {
            self.add_to(*bucket, *count);
        }
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// The duration that this share of all (0 to 1) does not exceed; `None` if there is none.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let wanted = ((self.count() as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let reached = |(_, count): &&(u16, u32)| {
            seen += u64::from(*count);
            seen >= wanted
        };
        let (bucket, _) = self.buckets.iter().find(reached).or(self.buckets.last())?;
        Some(middle(*bucket))
    }

    pub(super) fn buckets(&self) -> &[(u16, u32)] {
        &self.buckets
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_read_back_differs_by_three_percent_at_most(nanos: u64) {
            let mut sketch = Sketch::default();
            sketch.add(nanos);
            let read = sketch.quantile(0.5).unwrap();
            prop_assert!(read.abs_diff(nanos) as f64 <= nanos as f64 * 0.032, "{nanos} {read}");
        }

        #[test]
        fn sums_of_sketches_are_sketches_of_sums(a: Vec<u64>, b: Vec<u64>) {
            let of = |list: &[u64]| {
                let mut sketch = Sketch::default();
                list.iter().for_each(|nanos| sketch.add(*nanos));
                sketch
            };
            let mut sum = of(&a);
            sum.merge(&of(&b));
            prop_assert_eq!(sum, of(&[a, b].concat()));
        }

        #[test]
        fn quantiles_grow(list in prop::collection::vec(any::<u64>(), 1..50), low in 0.0..1.0f64, more in 0.0..1.0f64) {
            let mut sketch = Sketch::default();
            list.iter().for_each(|nanos| sketch.add(*nanos));
            prop_assert!(sketch.quantile(low) <= sketch.quantile((low + more).min(1.0)));
        }
    }
}
