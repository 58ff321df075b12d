//! What is known of containers beside their paths, taken over when it comes and whenever it changes.

use std::sync::Arc;

use parsers::container::PodPath;
use rustc_hash::FxHashSet;

use super::Tailer;
use crate::pods::{Known, Notes};
use crate::reading::Chain;

/// Nanoseconds that a new file is not read for what may come to be known of its container: a watch tells of a pod before its
/// containers start, as a rule, and a person who looks for lines does not wait much longer.
const WAIT: u64 = 5_000_000_000;

impl Known {
    pub(super) fn notes(&self) -> Option<&Notes> {
        match self {
            Self::Notes(notes) => Some(notes),
            Self::Awaited | Self::Nothing => None,
        }
    }
}

impl Chain {
    /// Takes what is known at its start. Where more may come it is not read for a while; what it has stands in its file.
    pub(super) fn wait_for(&mut self, known: Option<Known>, now: u64) {
        match known {
            Some(Known::Notes(notes)) => self.notes = Some(notes),
            Some(Known::Awaited) => (self.unknown, self.wait_until) = (true, now.saturating_add(WAIT)),
            Some(Known::Nothing) => self.unknown = true,
            None => {}
        }
    }
}

impl Tailer {
    /// What is known of the container whose path this is; `None` where nobody is to know anything.
    pub(super) fn known(&self, live: &str) -> Option<Known> {
        Some(self.options.pods.as_ref()?.container(&PodPath::parse(live)?))
    }

    /// Whether anything has changed in what is known.
    pub(super) fn knows_more(&self) -> bool {
        self.options.pods.as_ref().is_some_and(|pods| pods.revision() != self.revision)
    }

    /// Takes over what is known by now. Nothing is under way.
    pub(super) fn take_notes(&mut self) {
        let Some(pods) = &self.options.pods else { return };
        self.revision = pods.revision();
        self.look_at = 0;
        let (excluded, back): (FxHashSet<_>, FxHashSet<_>) =
            std::mem::take(&mut self.excluded).into_iter().partition(|path| {
                self.known(path).as_ref().and_then(Known::notes).is_some_and(|notes| notes.excluded)
            });
        self.excluded = excluded;
        for path in &back {
            self.discovery.look_again(path);
        }
        self.change_chains(|before, now| before != now);
    }

    /// Goes over to what is known of containers, or said of files, by now: of those that `which` chooses by what was known before
    /// and what is now.
    pub(super) fn change_chains(&mut self, which: impl Fn(Option<&Notes>, Option<&Notes>) -> bool) {
        for (path, mut chain) in std::mem::take(&mut self.chains) {
            let known = self.known(&chain.live);
            if chain.unknown && !matches!(known, Some(Known::Awaited)) {
                // It has waited for this, or waits in vain.
                (chain.unknown, chain.wait_until) = (matches!(known, Some(Known::Nothing)), 0);
            }
            // A pod that is deleted and forgotten, or an API that is away, takes nothing back.
            let notes = match known {
                Some(Known::Notes(notes)) => Some(notes),
                Some(Known::Awaited | Known::Nothing) => chain.notes.clone(),
                None => None,
            };
            if !which(chain.notes.as_deref(), notes.as_deref()) {
                self.chains.insert(path, chain);
                continue;
            }
            let (live, before) = (Arc::clone(&chain.live), Arc::clone(&chain.origin.report));
            let Some((origin, pipeline)) = self.origin(&path, &live, Some(&before), notes.as_deref()) else {
                self.earlier.extend(chain.noted(&self.options.agent, self.filling.observed));
                self.counters.departed(&path);
                self.excluded.extend(notes.filter(|notes| notes.excluded).map(|_| path));
                continue;
            };
            self.counters.arrived(Arc::clone(&origin.report));
            chain.notes = notes;
            chain.change(origin, pipeline);
            self.chains.insert(path, chain);
        }
    }
}
