//! Whether a count is news against another one.

/// Below this nobody would have seen it by chance in one of a hundred comparisons.
const SIGNIFICANT: f64 = 0.01;
/// By how much a pattern must have grown to be called rising: less is noise to a reader, however sure.
const RISEN: f64 = 1.5;
/// Up to this sum of both counts the exact distribution is summed; above it the normal one is as good.
const EXACT: u64 = 1_000;
/// Counts that tell how traffic as a whole has changed.
const TELLING: u64 = 10;
/// So many patterns tell it; fewer may all be part of the news.
const ENOUGH: usize = 5;
/// What is taken for a change of traffic at most, either way.
const MOST_TRAFFIC: f64 = 4.0;

/// What became of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Novelty {
    /// Not seen before.
    New,
    /// More frequent than traffic as a whole explains.
    Rising,
    /// As before.
    Steady,
    /// Less frequent than traffic as a whole explains.
    Falling,
    /// Not seen any more.
    Gone,
    /// There is nothing to compare with.
    Unknown,
}

impl Novelty {
    /// As answers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Rising => "rising",
            Self::Steady => "steady",
            Self::Falling => "falling",
            Self::Gone => "gone",
            Self::Unknown => "unknown",
        }
    }
}

/// A comparison of two counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// What became of it.
    pub novelty: Novelty,
    /// How many times as frequent as traffic as a whole lets expect; none if it was not seen before.
    pub ratio: Option<f64>,
    /// How probable such a difference is by chance, in as many comparisons as were made: 0 to 1.
    pub p_value: f64,
}

impl Verdict {
    /// Whether chance does not explain it.
    pub fn is_significant(&self) -> bool {
        self.p_value < SIGNIFICANT
    }

    /// In which order a reader wants them: sure news, other news, all else.
    pub(super) fn order(&self) -> u8 {
        match self.novelty {
            Novelty::New | Novelty::Rising if self.is_significant() => 0,
            Novelty::New | Novelty::Rising => 1,
            _ => 2,
        }
    }
}

/// How many times as many as before are expected, from all counts (now, before) and the times that are counted.
pub(super) fn expected(counts: &[(u64, u64)], seconds: (f64, f64)) -> f64 {
    let by_time = seconds.0 / seconds.1;
    let mut ratios: Vec<f64> = counts
        .iter()
        .filter(|(now, before)| *now >= TELLING && *before >= TELLING)
        .map(|(now, before)| *now as f64 / *before as f64)
        .collect();
    if ratios.len() < ENOUGH {
        return by_time;
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios.get(ratios.len() / 2).copied().unwrap_or(by_time);
    median.clamp(by_time / MOST_TRAFFIC, by_time * MOST_TRAFFIC)
}

/// Compares two counts where `expected` times as many as before are expected, in one of so many comparisons. `None` for
/// `expected` says that there is nothing to compare with.
pub(super) fn judge(now: u64, before: u64, expected: Option<f64>, comparisons: usize) -> Verdict {
    let Some(expected) = expected else {
        return Verdict { novelty: Novelty::Unknown, ratio: None, p_value: 1.0 };
    };
    let p_value = (chance(now, before, expected) * comparisons.max(1) as f64).min(1.0);
    let ratio = (before > 0).then(|| now as f64 / (before as f64 * expected));
    let sure = p_value < SIGNIFICANT;
    let novelty = match ratio {
        None => Novelty::New,
        Some(_) if now == 0 => Novelty::Gone,
        Some(ratio) if sure && ratio >= RISEN => Novelty::Rising,
        Some(ratio) if sure && ratio <= 1.0 / RISEN => Novelty::Falling,
        Some(_) => Novelty::Steady,
    };
    Verdict { novelty, ratio, p_value }
}

/// How probable it is that two counts differ at least so much from what is expected: the two-sided test of a share of their sum.
fn chance(now: u64, before: u64, expected: f64) -> f64 {
    let sum = now + before;
    let share = expected / (1.0 + expected);
    let mean = sum as f64 * share;
    if sum == 0 || (now as f64 - mean).abs() < f64::EPSILON {
        return 1.0;
    }
    if sum > EXACT {
        let deviation = (sum as f64 * share * (1.0 - share)).sqrt();
        // Half a count nearer, as a sum of whole counts is compared with a curve.
        let distance = ((now as f64 - mean).abs() - 0.5).max(0.0) / deviation;
        return erfc(distance / std::f64::consts::SQRT_2);
    }
    let logs = (share.ln(), (1.0 - share).ln());
    let mut factorials = vec![0.0];
    for number in 1..=sum {
        factorials.push(factorials.last().copied().unwrap_or(0.0) + (number as f64).ln());
    }
    let factorial = |number: u64| factorials.get(number as usize).copied().unwrap_or(0.0);
    let density = |count: u64| {
        let ways = factorial(sum) - factorial(count) - factorial(sum - count);
        (ways + count as f64 * logs.0 + (sum - count) as f64 * logs.1).exp()
    };
    let tail: f64 =
        if now as f64 > mean { (now..=sum).map(density).sum() } else { (0..=now).map(density).sum() };
    (2.0 * tail).min(1.0)
}

/// The complementary error function for numbers that are not negative, to seven digits (Abramowitz and Stegun 7.1.26 has five;
/// this is the rational Chebyshev fit that is usual).
fn erfc(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.5 * x);
    let terms = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let sum = terms.iter().rev().fold(0.0, |sum, term| sum * t + term);
    t * (-x * x + sum).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_counts_are_no_news_and_tenfold_ones_are() {
        assert_eq!(judge(50, 50, Some(1.0), 10).novelty, Novelty::Steady);
        assert_eq!(judge(500, 50, Some(1.0), 10).novelty, Novelty::Rising);
        assert_eq!(judge(500, 50, Some(10.0), 10).novelty, Novelty::Steady, "traffic explains it");
        assert_eq!(judge(5, 100, Some(1.0), 10).novelty, Novelty::Falling);
        assert_eq!(judge(0, 100, Some(1.0), 10).novelty, Novelty::Gone);
        assert!(judge(20, 0, Some(1.0), 10).is_significant());
        let once = judge(1, 0, Some(1.0), 10);
        assert!(once.novelty == Novelty::New && !once.is_significant());
        assert_eq!(judge(9, 0, None, 10).novelty, Novelty::Unknown);
    }

    #[test]
    fn the_curve_goes_on_where_the_sum_ends() {
        let (exact, curve) = (chance(540, 460, 1.0), chance(541, 460, 1.0));
        assert!((exact - curve).abs() < 0.002, "{exact} {curve}");
        assert!((erfc(0.0) - 1.0).abs() < 1e-6 && (erfc(1.0) - 0.157_299_2).abs() < 1e-6);
    }

    #[test]
    fn traffic_is_what_most_patterns_did() {
        let counts = [(200, 100), (40, 20), (60, 30), (400, 200), (20, 10), (9_000, 10)];
        assert!((expected(&counts, (60.0, 60.0)) - 2.0).abs() < 1e-9);
        assert!((expected(&counts[..2], (60.0, 120.0)) - 0.5).abs() < 1e-9, "too few to tell");
    }
}
