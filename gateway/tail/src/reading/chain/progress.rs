//! How far the files of a chain are: for positions, and for whoever asks.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parsers::container::Carried;
use parsers::record::Position;

use super::Chain;
use crate::reading::generation::Generation;
use crate::reading::held::{Place, place};

impl Chain {
    /// How far each file is, where that has changed since the last batch.
    pub fn positions(&mut self, agent: &Arc<str>, now: u64, out: &mut Vec<Position>) -> io::Result<()> {
        let last = self.generations.len().saturating_sub(1);
        let active = self.generations.iter().position(|generation| !generation.drained).unwrap_or(last);
        let now_at = self.file;
        let joining = self.joiner.carried().or(self.joiner.pending_offset().map(Carried::here));
        let held = [false, true].map(|stderr| self.pipeline.held(stderr));
        let held = held.map(|from| from.map(|from| place(now_at, from)));
        let again = held.into_iter().chain([joining.map(|from| place(now_at, from))]).flatten().min();
        for (at, generation) in self.generations.iter_mut().enumerate().take(active + 1) {
            let Some(file) = generation.id() else { continue };
            let number = now_at.saturating_sub((active - at) as u64);
            // What began in an earlier file is read anew with all that came since.
            let within = |place: Option<Place>, otherwise: u64| match place {
                Some((began, offset)) if began == number => offset,
                Some((began, _)) if began < number => 0,
                _ => otherwise,
            };
            let read = generation.offset();
            let offset = read.max(generation.delivered);
            let noted = (offset, within(again, read), held.map(|held| within(held, offset)));
            if read == 0 || generation.noted == Some(noted) {
                continue;
            }
            let (offset, resume, held) = noted;
            let marker = generation.marker(resume)?;
            generation.noted = Some(noted);
            let (agent, path) = (Arc::clone(agent), Arc::clone(&self.live));
            out.push(Position { agent, file, offset, resume, held, marker, path, time: now });
        }
        Ok(())
    }

    /// What is safe of each file by now, for whoever goes on with it later.
    pub fn noted(&self, agent: &Arc<str>, now: u64) -> Vec<Position> {
        let generations = self.generations.iter();
        let position = |generation: &Generation| {
            let ((offset, resume, held), file) = (generation.noted?, generation.id()?);
            let marker = generation.marker(resume).ok()?;
            let (agent, path) = (Arc::clone(agent), Arc::clone(&self.live));
            Some(Position { agent, file, offset, resume, held, marker, path, time: now })
        };
        generations.filter_map(position).collect()
    }

    /// What was noted is safe: files that are read to their ends can be closed.
    pub fn acknowledged(&mut self, now: u64) {
        let mut all_moved = 0;
        for generation in &mut self.generations {
            if let Some((_, resume, _)) = generation.noted {
                let moved = resume.saturating_sub(generation.safe);
                self.origin.report.acknowledged.fetch_add(moved, Ordering::Relaxed);
                generation.safe = resume;
                all_moved += moved;
            }
        }
        while self.generations.front().is_some_and(Generation::is_finished) {
            if let Some(id) = self.generations.pop_front().and_then(|generation| generation.id()) {
                self.pass(id);
            }
        }
        if all_moved > 0 {
            // What waits now came after what was acknowledged.
            self.origin.report.waiting_since.store(0, Ordering::Relaxed);
        }
        self.report(now);
    }

    /// Looks how long the files are by now, without reading them.
    pub fn look(&mut self, now: u64) -> io::Result<()> {
        self.generations.iter_mut().try_for_each(Generation::look)?;
        if self.copy.is_some() {
            self.generations.iter_mut().for_each(Generation::compare);
            if let Some(at) = self.generations.iter().position(|generation| generation.cut().is_some()) {
                self.go_on_in_copy(at);
            }
        }
        self.report(now);
        Ok(())
    }

    /// Counts what is written but not acknowledged, and notes since when.
    pub fn report(&self, now: u64) {
        let report = &self.origin.report;
        let behind: u64 = self.generations.iter().map(|g| g.size().saturating_sub(g.safe)).sum();
        // A line that was begun cannot be delivered before it is complete.
        let begun = self.generations.back().filter(|last| last.at_end()).map_or(0, Generation::unfinished);
        report.behind.store(behind, Ordering::Relaxed);
        report.open.store(self.generations.len() as u64, Ordering::Relaxed);
        if behind <= begun {
            report.waiting_since.store(0, Ordering::Relaxed);
            report.newest.store(0, Ordering::Relaxed);
        } else if report.waiting_since.load(Ordering::Relaxed) == 0 {
            report.waiting_since.store(now, Ordering::Relaxed);
        }
    }
}
