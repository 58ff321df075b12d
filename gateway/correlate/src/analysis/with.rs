//! What goes with slowness: of each fact whether traces in which it holds have larger values than those in which it doesn't.

use rustc_hash::{FxHashMap, FxHashSet};

use super::digest::Digest;
use super::options::{MIN_SUPPORT, SIGNIFICANCE};
use super::stats::{Ranks, corrected};
use super::vocabulary::{Fact, Vocabulary};

/// In which traces each fact holds.
pub(crate) struct Postings {
    by_fact: Vec<Vec<u32>>,
    /// Of facts that lines without an id tell, too: in which traces they may hold, with how probable that is.
    probable: FxHashMap<u32, Vec<(u32, f64)>>,
    by_operation: Vec<Vec<u32>>,
    /// Traces that have each operation.
    present: Vec<Present>,
    /// Traces of which no line is missing, by row.
    whole: Vec<bool>,
    /// Those of which no line without an id is missing.
    looked_for: Vec<bool>,
}

/// Traces that have an operation.
#[derive(Debug, Clone, Default)]
struct Present {
    rows: Vec<u32>,
    /// Whether there are some whose lines were read though some of this operation's may be missing.
    partly: bool,
}

impl Postings {
    pub(crate) fn new<'a>(digests: impl Iterator<Item = &'a Digest>, vocabulary: &Vocabulary) -> Self {
        let mut by_fact = vec![Vec::new(); vocabulary.facts().len()];
        let mut present = vec![Present::default(); vocabulary.operations()];
        let mut probable: FxHashMap<u32, Vec<(u32, f64)>> = FxHashMap::default();
        let (mut whole, mut looked_for) = (Vec::new(), Vec::new());
        for (row, digest) in digests.enumerate() {
            whole.push(digest.lines_read && digest.unread.is_empty());
            looked_for.push(digest.lines_read && digest.looked_for);
            for cell in &digest.cells {
                if let Some(present) = present.get_mut(cell.operation as usize) {
                    present.rows.push(row as u32);
                    present.partly |= digest.lines_read && !digest.lines_read_of(cell.operation);
                }
            }
            for (fact, confidence) in &digest.probable {
                probable.entry(*fact).or_default().push((row as u32, *confidence));
            }
            let only_probable = |fact: u32| digest.probable.iter().any(|(told, _)| *told == fact);
            for fact in &digest.facts {
                if vocabulary.takes_offers(*fact) && !only_probable(*fact) {
                    probable.entry(*fact).or_default().push((row as u32, 1.0));
                }
                if let Some(rows) = by_fact.get_mut(*fact as usize) {
                    rows.push(row as u32);
                }
            }
        }
        let mut by_operation = vec![Vec::new(); vocabulary.operations()];
        for (number, fact) in vocabulary.facts().iter().enumerate() {
            let holds = by_fact.get(number).map_or(0, |rows: &Vec<u32>| rows.len());
            let may_hold = probable.get(&(number as u32)).map_or(0, Vec::len);
            let rare = holds.max(may_hold) < MIN_SUPPORT;
            if let Some(facts) = by_operation.get_mut(fact.operation() as usize)
                && !rare
            {
                facts.push(number as u32);
            }
        }
        Self { by_fact, probable, by_operation, present, whole, looked_for }
    }

    fn probable(&self, fact: u32) -> &[(u32, f64)] {
        self.probable.get(&fact).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn rows(&self, fact: u32) -> &[u32] {
        self.by_fact.get(fact as usize).map(Vec::as_slice).unwrap_or_default()
    }

    /// Facts of an operation that hold in more than a few traces.
    pub(crate) fn of(&self, operation: u32) -> &[u32] {
        self.by_operation.get(operation as usize).map(Vec::as_slice).unwrap_or_default()
    }
}

/// A fact that goes with large values.
#[derive(Debug, Clone)]
pub(crate) struct GoesWith {
    pub(crate) fact: Fact,
    /// Traces in which it holds, and in which it doesn't, of those for which that is known.
    pub(crate) with: usize,
    pub(crate) without: usize,
    pub(crate) mean_with: f64,
    pub(crate) mean_without: f64,
    /// The part of the values' variance that it explains, 0 to 1.
    pub(crate) explains: f64,
    pub(crate) significance: f64,
    /// Traces in which it holds, those with the largest values first.
    pub(crate) rows: Vec<u32>,
}

/// Rows of an example.
const EXAMPLES: usize = 3;

/// Facts of these operations that go with large values, those that explain most first. Of each the traces that have its operation
/// are looked at, so that what holds of every call of its operation is none. Values are by row, of which those `within` count;
/// operations that are named first go before others that explain as much.
pub(crate) fn goes_with(
    values: &[f64],
    within: &[bool],
    lines_read: &[bool],
    operations: &[u32],
    postings: &Postings,
    vocabulary: &Vocabulary,
) -> Vec<GoesWith> {
    let all = Known::new(values, within, lines_read, postings);
    let mut found: Vec<(usize, f64, GoesWith)> = Vec::new();
    let mut seen = FxHashSet::default();
    for (order, operation) in operations.iter().enumerate() {
        let Some(present) = postings.present.get(*operation as usize) else { continue };
        let mut having = vec![false; values.len()];
        for row in &present.rows {
            if let Some(place) = having.get_mut(*row as usize) {
                *place = is_set(within, *row as usize);
            }
        }
        let own = (having != within).then(|| Known::new(values, &having, lines_read, postings));
        let known = own.as_ref().unwrap_or(&all);
        for number in postings.of(*operation).iter().filter(|number| seen.insert(**number)) {
            let Some(fact) = vocabulary.facts().get(*number as usize).copied() else { continue };
            let population = match fact.of_lines() {
                false => &known.all,
                true if vocabulary.takes_offers(*number) => &known.looked,
                true if present.partly => &known.whole,
                true => &known.read,
            };
            let tested = if vocabulary.takes_offers(*number) {
                population.weigh(fact, postings.probable(*number))
            } else {
                population.test(fact, postings.rows(*number))
            };
            if let Some((p, with)) = tested {
                found.push((order, p, with));
            }
        }
    }
    let worth = corrected(&found.iter().map(|(_, p, _)| *p).collect::<Vec<_>>());
    let mut kept: Vec<(usize, GoesWith)> = found
        .into_iter()
        .zip(worth)
        .filter(|((_, _, with), worth)| *worth <= SIGNIFICANCE && with.mean_with > with.mean_without)
        .map(|((order, _, with), significance)| (order, GoesWith { significance, ..with }))
        .collect();
    kept.sort_by(|a, b| {
        b.1.explains.total_cmp(&a.1.explains).then(a.0.cmp(&b.0)).then(a.1.fact.cmp(&b.1.fact))
    });
    kept.into_iter()
        .map(|(_, mut with)| {
            let value = |row: &u32| values.get(*row as usize).copied().unwrap_or_default();
            with.rows.sort_by(|a, b| value(b).total_cmp(&value(a)).then(a.cmp(b)));
            with.rows.truncate(EXAMPLES);
            with
        })
        .collect()
}

fn is_set(list: &[bool], row: usize) -> bool {
    list.get(row).copied().unwrap_or_default()
}

/// Some traces, and those of them of which this or that is known.
struct Known {
    all: Population,
    read: Population,
    /// Where some lines of an operation are missing, only traces without such tell of them.
    whole: Population,
    /// What lines without an id say is known where these were looked for.
    looked: Population,
}

impl Known {
    fn new(values: &[f64], within: &[bool], lines_read: &[bool], postings: &Postings) -> Self {
        let read = |row| is_set(within, row) && is_set(lines_read, row);
        Self {
            all: Population::new(values, |row| is_set(within, row)),
            read: Population::new(values, read),
            whole: Population::new(values, |row| is_set(&postings.whole, row) && read(row)),
            looked: Population::new(values, |row| is_set(&postings.looked_for, row) && read(row)),
        }
    }
}

/// Traces for which facts of a kind are known.
struct Population {
    /// Place among those, by row.
    place: Vec<Option<u32>>,
    values: Vec<f64>,
    ranks: Ranks,
    sum: f64,
    squares: f64,
}

impl Population {
    fn new(values: &[f64], within: impl Fn(usize) -> bool) -> Self {
        let mut place = Vec::with_capacity(values.len());
        let mut kept = Vec::new();
        for (row, value) in values.iter().enumerate() {
            let inside = within(row);
            place.push(inside.then_some(kept.len() as u32));
            if inside {
                kept.push(*value);
            }
        }
        let sum: f64 = kept.iter().sum();
        let mean = sum / kept.len().max(1) as f64;
        let squares = kept.iter().map(|value| (value - mean) * (value - mean)).sum();
        Self { place, ranks: Ranks::new(&kept), values: kept, sum, squares }
    }

    fn test(&self, fact: Fact, rows: &[u32]) -> Option<(f64, GoesWith)> {
        let places: Vec<usize> = rows
            .iter()
            .filter_map(|row| self.place.get(*row as usize).copied().flatten())
            .map(|place| place as usize)
            .collect();
        let (with, without) = (places.len(), self.values.len().saturating_sub(places.len()));
        if with < MIN_SUPPORT || without == 0 || self.squares <= 0.0 {
            return None;
        }
        let of = |list: &[f64]| places.iter().filter_map(|place| list.get(*place)).sum::<f64>();
        let (ranks, sum) = (of(&self.ranks.of), of(&self.values));
        let (mean_with, mean_without) = (sum / with as f64, (self.sum - sum) / without as f64);
        let apart = mean_with - mean_without;
        let between = with as f64 * without as f64 / (with + without) as f64 * apart * apart;
        let tested = self.ranks.test(ranks, with);
        let explains = (between / self.squares).clamp(0.0, 1.0);
        let rows = rows.to_vec();
        let goes =
            GoesWith { fact, with, without, mean_with, mean_without, explains, significance: 1.0, rows };
        Some((tested.p, goes))
    }

    /// As [`Population::test`], of a fact that holds in each row with a probability: every trace counts among both, for as much.
    fn weigh(&self, fact: Fact, rows: &[(u32, f64)]) -> Option<(f64, GoesWith)> {
        let weights: Vec<(usize, f64)> = rows
            .iter()
            .filter_map(|(row, weight)| {
                Some((self.place.get(*row as usize).copied().flatten()? as usize, *weight))
            })
            .collect();
        let all = self.values.len() as f64;
        let sum_of = |of: &dyn Fn(usize, f64) -> f64| {
            weights.iter().map(|(place, weight)| of(*place, *weight)).sum::<f64>()
        };
        let (with, squares) = (sum_of(&|_, weight| weight), sum_of(&|_, weight| weight * weight));
        let (without, spread) = (all - with, squares - with * with / all);
        if with < MIN_SUPPORT as f64 || without < 1.0 || spread <= 0.0 || self.squares <= 0.0 {
            return None;
        }
        let at = |list: &[f64], place: usize| list.get(place).copied().unwrap_or_default();
        let sum = sum_of(&|place, weight| weight * at(&self.values, place));
        let ranks = sum_of(&|place, weight| weight * at(&self.ranks.of, place));
        let together = sum - with * self.sum / all;
        let rows = rows.iter().map(|(row, _)| *row).collect();
        let goes = GoesWith {
            fact,
            with: with.round() as usize,
            without: without.round() as usize,
            mean_with: sum / with,
            mean_without: (self.sum - sum) / without,
            explains: (together * together / (spread * self.squares)).clamp(0.0, 1.0),
            significance: 1.0,
            rows,
        };
        Some((self.ranks.weighed(ranks, with, spread), goes))
    }
}
