//! Files that are cut or written anew: what is lost of them, and the copies in which the rest may be.

use std::sync::atomic::Ordering;

use rustc_hash::FxHashSet;

use super::{Chain, Means};
use crate::reading::generation::{Cut, Generation};
use crate::report::{Loss, Lost};

impl Chain {
    /// A file appeared that begins like one of this chain, under a name that rotation gives: a copy, which may outlive what was
    /// not read yet of the other.
    pub fn keep_copy(&mut self, copy: Generation) {
        self.copy = Some(copy);
    }

    /// The copy has no name any more, if it is not among these: it is kept only if a file was cut since.
    pub fn check_copy(&mut self, there: &FxHashSet<(u64, u64)>) {
        if self.copy.as_ref().is_none_or(|copy| there.contains(&copy.place())) {
            return;
        }
        for generation in &mut self.generations {
            // An error comes again when it is read.
            let _ = generation.look();
            generation.compare();
        }
        if !self.generations.iter().any(|generation| generation.cut().is_some()) {
            self.copy = None;
        }
    }

    /// The file is another one than before: reading starts at its beginning, after what a copy still has of the other.
    pub(super) fn start_anew(&mut self, at: usize, cut: Cut, means: &mut Means<'_>) {
        if self.go_on_in_copy(at) {
            return;
        }
        self.copy = None;
        means.counters.truncations.fetch_add(1, Ordering::Relaxed);
        if self.generations.iter().take(at).all(|before| before.drained) {
            self.flush(at, means);
        }
        self.lose_rest(at, cut, means.filling.observed);
        let Some(generation) = self.generations.get_mut(at) else { return };
        let head = generation.head();
        generation.start_anew();
        if let Some(head) = head {
            self.keep_head(head);
        }
    }

    /// Puts the copy of a file that was cut before what was written since.
    pub(super) fn go_on_in_copy(&mut self, at: usize) -> bool {
        let Some(generation) = self.generations.get_mut(at) else { return false };
        let head = generation.head();
        let Some(copy) = self.copy.take_if(|copy| generation.is_copied_by(copy)) else { return false };
        tracing::info!(path = &*self.path, "the file was copied and cut: reading on in its copy");
        let copy = generation.go_on_in(copy);
        self.generations.insert(at, copy);
        if let Some(head) = head {
            self.keep_head(head);
        }
        true
    }

    /// What was not read of a file that is another one now is lost.
    fn lose_rest(&mut self, at: usize, cut: Cut, time: u64) {
        let Some(generation) = self.generations.get(at) else { return };
        let (file, from) = (generation.id(), generation.offset());
        let to = match cut {
            Cut::Shrunk(size) if size > from => Some(size),
            // What was written after the last look, if anything was, nobody knows.
            Cut::Shrunk(_) | Cut::Rewritten => None,
        };
        let bytes = to.map_or(0, |to| to - from);
        tracing::warn!(path = &*self.path, from, bytes, "the file was truncated: reading from its beginning");
        self.origin.report.lose(Loss { reason: Lost::Truncated, file, from, to, bytes, time });
    }
}
