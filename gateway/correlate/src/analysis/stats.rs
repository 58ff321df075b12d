//! Tests of significance: Mann and Whitney's on ranks, Fisher's and chi-square on counts, corrected for how many there are as
//! Benjamini and Hochberg have it.

/// How a significance was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    /// Of two lists of values, by their ranks.
    MannWhitney,
    /// Of two counts, exact.
    Fisher,
    /// Of two counts that are large.
    ChiSquare,
}

impl Test {
    /// As answers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MannWhitney => "mann_whitney",
            Self::Fisher => "fisher",
            Self::ChiSquare => "chi_square",
        }
    }
}

/// What a test found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tested {
    /// Probability that chance does as much.
    pub(crate) p: f64,
    /// -1 to 1: how much likelier a value of the first list is the larger one than a value of the second (Cliff's delta); for
    /// counts this is the difference of the rates.
    pub(crate) effect: f64,
    pub(crate) test: Test,
}

/// Smallest expected count for which chi-square may be trusted.
const CHI_SQUARE_FROM: f64 = 5.0;

/// Ranks of values; equal ones have their mean.
pub(crate) struct Ranks {
    pub(crate) of: Vec<f64>,
    /// Sum of `t^3 - t` over groups of `t` equal values.
    ties: f64,
}

impl Ranks {
    pub(crate) fn new(values: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..values.len()).collect();
        let value = |index: &usize| values.get(*index).copied().unwrap_or_default();
        order.sort_by(|a, b| value(a).total_cmp(&value(b)));
        let (mut of, mut ties, mut before) = (vec![0.0; values.len()], 0.0, 0);
        for group in order.chunk_by(|a, b| value(a) == value(b)) {
            let size = group.len() as f64;
            let rank = before as f64 + f64::midpoint(size, 1.0);
            for &index in group {
                if let Some(place) = of.get_mut(index) {
                    *place = rank;
                }
            }
            ties += size * size * size - size;
            before += group.len();
        }
        Self { of, ties }
    }

    /// Whether those with this sum of ranks differ from the others, both ways.
    pub(crate) fn test(&self, rank_sum: f64, count: usize) -> Tested {
        let (all, first) = (self.of.len() as f64, count as f64);
        let second = all - first;
        let nothing = Tested { p: 1.0, effect: 0.0, test: Test::MannWhitney };
        if first < 1.0 || second < 1.0 {
            return nothing;
        }
        let u = rank_sum - first * (first + 1.0) / 2.0;
        let effect = 2.0 * u / (first * second) - 1.0;
        let spread = first * second / 12.0 * (all + 1.0 - self.ties / (all * (all - 1.0)));
        if spread <= 0.0 {
            return nothing;
        }
        let z = ((u - first * second / 2.0).abs() - 0.5).max(0.0) / spread.sqrt();
        Tested { p: two_sided(z), effect, test: Test::MannWhitney }
    }

    /// How probable it is that chance gives ranks so large or small a weighted sum, of weights with this sum and so large a sum of
    /// squares about their mean.
    pub(crate) fn weighed(&self, weighted: f64, weights: f64, spread: f64) -> f64 {
        let all = self.of.len() as f64;
        let of_ranks = (all * all * all - all - self.ties) / 12.0;
        let deviation = (spread * of_ranks / (all - 1.0)).sqrt();
        if deviation > 0.0 {
            two_sided((weighted - weights * (all + 1.0) / 2.0).abs() / deviation)
        } else {
            1.0
        }
    }
}

/// Whether values of two lists differ.
pub(crate) fn values(first: &[f64], second: &[f64]) -> Tested {
    let mut all = first.to_vec();
    all.extend_from_slice(second);
    let ranks = Ranks::new(&all);
    let sum = ranks.of.iter().take(first.len()).sum();
    ranks.test(sum, first.len())
}

/// Logarithms of factorials.
pub(crate) struct Counts {
    ln_factorial: Vec<f64>,
}

impl Counts {
    /// For tables of up to this many.
    pub(crate) fn new(most: usize) -> Self {
        let mut ln_factorial = Vec::with_capacity(most + 1);
        let mut sum = 0.0;
        ln_factorial.push(sum);
        for number in 1..=most {
            sum += (number as f64).ln();
            ln_factorial.push(sum);
        }
        Self { ln_factorial }
    }

    fn ln_choose(&self, of: usize, take: usize) -> f64 {
        let ln = |number: usize| self.ln_factorial.get(number).copied().unwrap_or(f64::INFINITY);
        if take > of { f64::NEG_INFINITY } else { ln(of) - ln(take) - ln(of - take) }
    }

    /// Whether `with` of `all` differs between the first and the second.
    pub(crate) fn test(&self, first: (usize, usize), second: (usize, usize)) -> Tested {
        let ((with_a, all_a), (with_b, all_b)) = (first, second);
        if all_a == 0 || all_b == 0 {
            return Tested { p: 1.0, effect: 0.0, test: Test::Fisher };
        }
        let (with, all) = (with_a + with_b, all_a + all_b);
        let rate = |with: usize, all: usize| with as f64 / all as f64;
        let effect = rate(with_a, all_a) - rate(with_b, all_b);
        let least = rate(with.min(all - with), all) * all_a.min(all_b) as f64;
        if least >= CHI_SQUARE_FROM {
            let cross =
                (with_a as f64 * (all_b - with_b) as f64 - with_b as f64 * (all_a - with_a) as f64).abs();
            let corrected = (cross - all as f64 / 2.0).max(0.0);
            let margins = all_a as f64 * all_b as f64 * with as f64 * (all - with) as f64;
            let chi = all as f64 * corrected * corrected / margins;
            return Tested { p: two_sided(chi.sqrt()), effect, test: Test::ChiSquare };
        }
        let total = self.ln_choose(all, with);
        let ln_p = |in_a: usize| match with.checked_sub(in_a) {
            Some(in_b) => self.ln_choose(all_a, in_a) + self.ln_choose(all_b, in_b) - total,
            None => f64::NEG_INFINITY,
        };
        // As unlikely as what was seen; a little more for what rounding does.
        let seen = ln_p(with_a) + 1e-7;
        let p = (0..=with.min(all_a)).map(ln_p).filter(|p| *p <= seen).map(f64::exp).sum::<f64>();
        Tested { p: p.min(1.0), effect, test: Test::Fisher }
    }
}

/// Whether so many in so many seconds differ from so many in others. `None` where there are too few to tell. The effect is the
/// difference of the rates by their sum.
pub(crate) fn rates((count_a, seconds_a): (u64, f64), (count_b, seconds_b): (u64, f64)) -> Option<Tested> {
    let (all, seconds) = ((count_a + count_b) as f64, seconds_a + seconds_b);
    let (expected_a, expected_b) = (all * seconds_a / seconds, all * seconds_b / seconds);
    let least = expected_a.min(expected_b);
    if least.is_nan() || least < CHI_SQUARE_FROM {
        return None;
    }
    let off = ((count_a as f64 - expected_a).abs() - 0.5).max(0.0);
    let z = off / (expected_a * expected_b / all).sqrt();
    let (rate_a, rate_b) = (count_a as f64 / seconds_a, count_b as f64 / seconds_b);
    Some(Tested { p: two_sided(z), effect: (rate_a - rate_b) / (rate_a + rate_b), test: Test::ChiSquare })
}

/// Probability that a normal value lies `z` or more deviations from its mean, on either side.
fn two_sided(z: f64) -> f64 {
    let x = z / std::f64::consts::SQRT_2;
    if x < 2.0 {
        // Series of erf: 2/sqrt(pi) * sum of (-1)^n x^(2n+1) / (n! (2n+1)).
        let (mut term, mut sum) = (x, x);
        for n in 1..60 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return (1.0 - std::f64::consts::FRAC_2_SQRT_PI * sum).clamp(0.0, 1.0);
    }
    // Continued fraction of erfc: exp(-x^2)/sqrt(pi) / (x + (1/2)/(x + (2/2)/(x + ...))).
    let mut fraction = x;
    for n in (1..80).rev() {
        fraction = x + f64::from(n) / 2.0 / fraction;
    }
    (-x * x).exp() / (std::f64::consts::PI.sqrt() * fraction)
}

/// Probabilities of many tests to what they are worth together (Benjamini and Hochberg): the share of wrong ones among all that
/// are at least as sure.
pub(crate) fn corrected(probabilities: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    let p = |index: &usize| probabilities.get(*index).copied().unwrap_or(1.0);
    order.sort_by(|a, b| p(b).total_cmp(&p(a)));
    let (mut worth, mut least) = (vec![1.0; probabilities.len()], 1.0f64);
    for (behind, index) in order.iter().enumerate() {
        let rank = probabilities.len() - behind;
        least = least.min(p(index) * probabilities.len() as f64 / rank as f64);
        if let Some(place) = worth.get_mut(*index) {
            *place = least;
        }
    }
    worth
}

/// The least value that is no smaller than this share of sorted values; 0 of none. Of two, the lower one is the median: half of them
/// are no larger.
pub(crate) fn quantile(sorted: &[u64], share: f64) -> u64 {
    // A little less, for what rounding does.
    let rank = (share * sorted.len() as f64 - 1e-9).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
