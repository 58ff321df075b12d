//! Where stages put what they make of lines: into the batch being filled, and into the counts.

use parsers::record::FileId;
use parsers::stage::{Entry, Metric, Output};

use super::batch::{Filling, Origin};
use crate::report::Counters;

/// Takes what the stages make of the lines of one file, or of one source that is not a file.
pub(crate) struct Out<'a> {
    pub filling: &'a mut Filling,
    pub origin: &'a mut Origin,
    pub slot: &'a mut (u64, u32),
    pub id: FileId,
    /// Records below this were delivered before; their lines were read again only for those that follow.
    pub delivered: u64,
    pub counters: &'a Counters,
    /// How long a stage wants nothing more.
    pub wait: &'a mut u64,
}

impl Output for Out<'_> {
    fn entry(&mut self, entry: Entry) {
        if entry.offset >= self.delivered {
            let file = self.filling.file(self.slot, self.id);
            self.filling.push_entry(self.origin, file, entry);
        }
    }

    fn dropped(&mut self, reason: &str, entry: &Entry) {
        if entry.offset >= self.delivered {
            self.counters.dropped(reason);
        }
    }

    fn metric(&mut self, metric: &Metric, value: f64, entry: &Entry) {
        if entry.offset >= self.delivered {
            let trace = self.filling.trace_of(entry.line.as_bytes());
            self.counters.line_metrics.count(metric, value, entry, trace, self.filling.observed);
        }
    }

    fn wait(&mut self, nanos: u64) {
        *self.wait = (*self.wait).max(nanos);
    }
}
