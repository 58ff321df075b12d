//! How far each agent has read each file, and which rows of a batch are repeats by it. Kept in memory; journal records carry
//! the moves, and the manifest (see `manifest`) the whole table whenever journals are deleted.

use std::sync::Arc;

use parsers::record::{Batch, FileId, LogRow, Position};
use rustc_hash::FxHashMap;

#[cfg(test)]
mod tests;

/// More files than a node has; the longest untouched are forgotten first.
const MAX_POSITIONS: usize = 100_000;

/// The table.
#[derive(Debug, Default)]
pub struct Positions {
    table: FxHashMap<(Arc<str>, FileId), Position>,
    generation: u64,
}

impl Positions {
    /// Grows with every move: tells whether a decision about a batch still holds.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Moves positions; an older one than is known changes nothing.
    pub fn apply(&mut self, moves: &[Position]) {
        for p in moves {
            let key = (Arc::clone(&p.agent), p.file);
            if self.table.get(&key).is_none_or(|known| known.offset <= p.offset) {
                self.table.insert(key, p.clone());
            }
        }
        if !moves.is_empty() {
            self.generation += 1;
        }
        if self.table.len() > MAX_POSITIONS {
            self.forget(self.table.len() - MAX_POSITIONS / 2);
        }
    }

    /// Takes out this many, those first that have not moved for longest; any of them where times do not tell.
    fn forget(&mut self, count: usize) {
        let mut times: Vec<u64> = self.table.values().map(|p| p.time).collect();
        let last = count.min(times.len()).saturating_sub(1);
        let (older, &mut cutoff, _) = times.select_nth_unstable(last);
        let mut at_cutoff = count - older.iter().filter(|time| **time < cutoff).count();
        self.table.retain(|_, p| {
            let goes = p.time < cutoff || (p.time == cutoff && at_cutoff > 0);
            at_cutoff -= usize::from(goes && p.time == cutoff);
            !goes
        });
    }

    /// All positions of an agent.
    pub fn of(&self, agent: &str) -> Vec<Position> {
        self.table.values().filter(|p| &*p.agent == agent).cloned().collect()
    }

    /// The whole table.
    pub fn all(&self) -> Vec<Position> {
        self.table.values().cloned().collect()
    }

    /// The batch without its repeats and how many there were, or `None` if it has none.
    pub fn without_repeats(&self, batch: &Batch) -> Option<(Batch, u64)> {
        if batch.positions.is_empty() || batch.logs.files.is_empty() {
            return None;
        }
        let mut known: FxHashMap<FileId, u64> = FxHashMap::default();
        for p in &batch.positions {
            if let Some(position) = self.table.get(&(Arc::clone(&p.agent), p.file)) {
                // The very same move, to the time of its noting, comes with a batch that is sent again: then the records that
                // end where the file did are repeats, too. With any other they are what stages had held back.
                let above = u64::from(position == p);
                let floor = known.entry(p.file).or_default();
                *floor = position.offset.saturating_add(above).max(*floor);
            }
        }
        let floors: Vec<u64> =
            batch.logs.files.iter().map(|file| known.get(file).copied().unwrap_or(0)).collect();
        let repeated = |row: &LogRow| {
            let floor = (row.file as usize).checked_sub(1).and_then(|i| floors.get(i)).copied().unwrap_or(0);
            row.offset < floor
        };
        let repeats = batch.logs.rows.iter().filter(|r| repeated(r)).count() as u64;
        (repeats > 0).then(|| {
            let mut batch = batch.clone();
            batch.logs.rows.retain(|r| !repeated(r));
            (batch, repeats)
        })
    }
}
