//! Texts by number: label names and values are written once, however many series have them.

use std::sync::Arc;

use rustc_hash::FxHashMap;

/// Texts in the order in which they came.
#[derive(Debug, Default)]
pub struct Symbols {
    numbers: FxHashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
    bytes: usize,
}

/// What one text takes besides its bytes: its place in the map and in the list, and its counts.
const COST: usize = 72;

impl Symbols {
    /// The number of a text, which it gets if it has none.
    pub fn add(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let (number, text) = (self.texts.len() as u32, Arc::<str>::from(text));
        self.bytes += text.len() + COST;
        self.texts.push(Arc::clone(&text));
        self.numbers.insert(text, number);
        number
    }

    /// The number of a text, if it has one.
    pub fn number(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    /// The text of a number.
    pub fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", |text| text)
    }

    /// The same, shared.
    pub fn shared(&self, number: u32) -> Arc<str> {
        self.texts.get(number as usize).cloned().unwrap_or_default()
    }

    /// For each number, its place in the order of the texts.
    pub fn ranks(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.texts.len() as u32).collect();
        order.sort_unstable_by(|a, b| self.text(*a).cmp(self.text(*b)));
        let mut ranks = vec![0; order.len()];
        for (rank, number) in order.into_iter().enumerate() {
            if let Some(place) = ranks.get_mut(number as usize) {
                *place = rank as u32;
            }
        }
        ranks
    }

    /// What they take in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
