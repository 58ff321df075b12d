//! The series of a head: each label set has a number, in the order in which they came, and each label of a value a list of the
//! series that have it.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use parsers::record::Labels;
use rustc_hash::{FxHashMap, FxHasher};

use super::postings::{Numbers, Postings};
use super::symbols::Symbols;
use crate::codec::Damaged;

/// Ends a chain of series.
const NONE: u32 = u32::MAX;
/// What a value of a label takes besides its text: its place in the map, its list's head and first numbers.
const VALUE_COST: usize = 64;

/// A name and a value.
type Pair = (u32, u32);

/// Series by label set, and by label.
#[derive(Debug, Default)]
pub struct Index {
    symbols: Symbols,
    /// Labels of all series back to back.
    pairs: Vec<Pair>,
    /// Where each series' labels end.
    ends: Vec<u32>,
    /// The newest series of each hash.
    by_hash: FxHashMap<u64, u32>,
    /// The series of the same hash before each.
    before: Vec<u32>,
    /// Series of each value of each label.
    postings: FxHashMap<u32, FxHashMap<u32, Vec<u32>>>,
    values: usize,
}

fn hash(labels: &Labels) -> u64 {
    let mut hasher = FxHasher::default();
    for (name, value) in labels.iter() {
        name.hash(&mut hasher);
        value.hash(&mut hasher);
    }
    hasher.finish()
}

impl Index {
    /// Series that it has.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The labels of a series, by number.
    pub fn pairs(&self, series: u32) -> &[Pair] {
        let series = series as usize;
        let from = series.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let to = self.ends.get(series).copied().unwrap_or(from);
        self.pairs.get(from as usize..to as usize).unwrap_or_default()
    }

    /// What the numbers mean.
    pub fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// The labels of a series.
    pub fn labels(&self, series: u32) -> Labels {
        let shared = |number: u32| self.symbols.shared(number);
        Labels::new(self.pairs(series).iter().map(|(name, value)| (shared(*name), shared(*value))))
    }

    fn is(&self, series: u32, labels: &Labels) -> bool {
        let pairs = self.pairs(series);
        let text = |number: u32| self.symbols.text(number);
        pairs.len() == labels.len()
            && pairs
                .iter()
                .zip(labels.iter())
                .all(|((n, v), (name, value))| text(*v) == value && text(*n) == name)
    }

    /// The series with these labels, and the hash by which it is found or added.
    pub fn find(&self, labels: &Labels) -> (u64, Option<u32>) {
        let hash = hash(labels);
        let mut at = self.by_hash.get(&hash).copied().unwrap_or(NONE);
        while at != NONE {
            if self.is(at, labels) {
                return (hash, Some(at));
            }
            at = self.before.get(at as usize).copied().unwrap_or(NONE);
        }
        (hash, None)
    }

    /// Adds a series that it does not have, by its labels and what [`Index::find`] gave for them.
    pub fn add(&mut self, labels: &Labels, hash: u64) -> u32 {
        let series = self.ends.len() as u32;
        for (name, value) in labels.iter() {
            let (name, value) = (self.symbols.add(name), self.symbols.add(value));
            self.pairs.push((name, value));
            let list = self.postings.entry(name).or_default().entry(value).or_default();
            self.values += usize::from(list.is_empty());
            list.push(series);
        }
        self.ends.push(self.pairs.len() as u32);
        let before = self.by_hash.insert(hash, series);
        self.before.push(before.unwrap_or(NONE));
        series
    }

    /// All series, each with the hash of its labels.
    pub fn each_hash(&self) -> impl Iterator<Item = (u64, u32)> {
        let before =
            |series: &u32| self.before.get(*series as usize).copied().filter(|series| *series != NONE);
        self.by_hash.iter().flat_map(move |(hash, newest)| {
            std::iter::successors(Some(*newest), before).map(|series| (*hash, series))
        })
    }

    /// What it takes in memory.
    pub fn bytes(&self) -> usize {
        // A pair and its place in a list; hash, chain and end of a series.
        self.symbols.bytes() + self.pairs.len() * 14 + self.ends.len() * 32 + self.values * VALUE_COST
    }

    /// How many values each label has, those with most first.
    pub fn values_by_name(&self) -> Vec<(Arc<str>, usize)> {
        let mut counts: Vec<_> =
            self.postings.iter().map(|(name, values)| (self.symbols.shared(*name), values.len())).collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counts
    }

    /// Series of each label and value, in no order.
    pub fn each_pair(&self) -> impl Iterator<Item = (&str, &str, usize)> {
        self.postings.iter().flat_map(|(name, values)| {
            values
                .iter()
                .map(|(value, list)| (self.symbols.text(*name), self.symbols.text(*value), list.len()))
        })
    }
}

impl Postings for Index {
    fn count(&self) -> u32 {
        self.ends.len() as u32
    }

    fn with(&self, name: &str, value: &str) -> Result<Numbers<'_>, Damaged> {
        let pair = self.symbols.number(name).zip(self.symbols.number(value));
        let list = pair.and_then(|(name, value)| self.postings.get(&name)?.get(&value));
        Ok(Cow::Borrowed(list.map_or(&[], Vec::as_slice)))
    }

    fn each(
        &self,
        name: &str,
        wanted: &dyn Fn(&str) -> bool,
        visit: &mut dyn FnMut(&[u32]),
    ) -> Result<(), Damaged> {
        let values = self.symbols.number(name).and_then(|name| self.postings.get(&name));
        for (value, list) in values.into_iter().flatten() {
            if wanted(self.symbols.text(*value)) {
                visit(list);
            }
        }
        Ok(())
    }
}
