//! Opening: which segments count after a crash, and what of the journals can be read.
//!
//! Samples lie in a journal until their segments are finished, and journals are deleted only then: a segment that covers a
//! journal which is gone is finished, and one whose journals are all there is written anew from them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, RwLock};

use rustc_hash::FxHashMap;

use super::earlier::Sealed;
use super::head::Head;
use super::indexed::{Indexed, Pages};
use super::record::Record;
use super::{Samples, View, Writing, folders};
use crate::disk;
use crate::journal::{self, Journal};
use crate::opening::{io_error, open_segments};
use crate::options::{Counters, OpenError, StoreOptions};
use crate::segment::Name;

impl Samples {
    /// Opens the samples of a data directory, or makes a place for them.
    pub(crate) fn open(
        dir: &Path,
        options: &StoreOptions,
        counters: &Arc<Counters>,
    ) -> Result<Self, OpenError> {
        let (dir, journals) = folders(dir);
        fs::create_dir_all(&journals).map_err(io_error("create", &journals))?;
        let numbers = journal::list(&journals)?;
        let aside = journal::list_aside(&journals)?;
        let present: BTreeSet<u64> = numbers.iter().chain(&aside).copied().collect();
        let unfinished = |name: &Name| (name.first..=name.last).all(|number| present.contains(&number));
        let segments = open_segments(&dir, unfinished, counters)?;
        let sealed = segments.iter().map(|segment| segment.name.last).max().unwrap_or(0);
        let newest = segments.iter().map(|segment| segment.footer.last).max().unwrap_or(0);
        let segments = segments.into_iter().map(|segment| Arc::new(Indexed::open(segment, counters)));
        let segments = segments.collect();

        let mut active = Head::new(sealed + 1);
        for number in &numbers {
            let file = journal::path(&journals, *number);
            if *number <= sealed {
                disk::remove(&file).map_err(io_error("delete", &file))?;
                continue;
            }
            let (mut ours, mut unnamed) = (FxHashMap::default(), 0);
            let replayed = journal::replay(&file, Record::decode, |record| {
                unnamed += active.replay(record, &mut ours);
            })?;
            if replayed.unreadable {
                let aside = journal::put_aside(&journals, *number).map_err(io_error("rename", &file))?;
                tracing::error!(file = %aside.display(), "the journal of samples cannot be read and was put aside");
            } else if replayed.lost > 0 {
                tracing::error!(file = %file.display(), records = replayed.records, bytes = replayed.lost, unnamed, "the journal of samples has bytes that cannot be read");
                counters.damaged_journals.fetch_add(1, Relaxed);
            }
        }
        let aside = journal::list_aside(&journals)?.len();
        counters.damaged_journals.fetch_add(aside as u64, Relaxed);
        let number = present.last().copied().unwrap_or(0).max(sealed) + 1;
        let journal =
            Journal::create(&journals, number).map_err(io_error("create a journal in", &journals))?;
        active.journals.1 = number;
        Ok(Self {
            dir,
            options: options.samples,
            sync: options.sync,
            min_free_bytes: options.min_free_bytes,
            busy_wait: options.busy_wait,
            counters: Arc::clone(counters),
            writing: Mutex::new(Writing { journal, unsynced: Vec::new(), free: None, told: None }),
            room: Condvar::new(),
            view: RwLock::new(View {
                active,
                frozen: None,
                segments,
                sealed: Arc::new(Sealed::until(newest)),
            }),
            maintenance: Mutex::new(()),
            pages: Pages::default(),
        })
    }
}
