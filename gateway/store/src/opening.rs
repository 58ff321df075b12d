//! Opening: which files count after a crash, and what of them can be read.
//!
//! A record lies in a journal until its segments are finished, and the manifest says up to which journal that is. Without a
//! readable manifest the files tell it: journals are deleted only after their segments are finished, so a segment that covers
//! a journal which is gone is finished, and so is all that was sealed before it. A segment that is not finished is written
//! anew from its journals.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, RwLock};

use crate::codec::decode_batch;
use crate::disk;
use crate::expired;
use crate::head::Head;
use crate::journal::{self, Journal};
use crate::manifest;
use crate::options::{Counters, OpenError, StoreOptions};
use crate::positions::Positions;
use crate::reading::{Listed, Recent, Sections, Sheets};
use crate::retention;
use crate::samples::Samples;
use crate::sampling::Sampling;
use crate::segment::{Name, Segment};
use crate::store::{Inner, View, Writing};

/// Extension of a segment that cannot be read: nobody reads, merges or deletes it.
const DAMAGED: &str = "damaged";

/// Names what was tried on which path when the file system fails.
pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { action, path, source }
}

/// Opens a data directory, or makes one.
pub(crate) fn open(options: StoreOptions) -> Result<Inner, OpenError> {
    let dir = options.dir.clone();
    let [journals, segments_dir, expired_dir] =
        ["journal", "segments", expired::FOLDER].map(|folder| dir.join(folder));
    for dir in [&journals, &segments_dir, &expired_dir] {
        fs::create_dir_all(dir).map_err(io_error("create", dir))?;
    }
    let lock = take_lock(&dir)?;
    let counters = Arc::new(Counters::default());
    let manifest::Found { manifest, damaged } = manifest::read(&dir)?;
    if damaged {
        counters.damaged_manifests.fetch_add(1, Relaxed);
        tracing::error!(dir = %dir.display(), "the manifest was damaged; its copy, or the files themselves, say what is sealed");
    }
    let numbers = journal::list(&journals)?;
    let aside = journal::list_aside(&journals)?;
    let present: BTreeSet<u64> = numbers.iter().chain(&aside).copied().collect();
    let unfinished =
        |name: &Name| name.last > manifest.sealed && (name.first..=name.last).all(|n| present.contains(&n));
    let segments = open_segments(&segments_dir, unfinished, &counters)?;
    let sealed = segments.iter().map(|s| s.name.last).fold(manifest.sealed, u64::max);
    let expired = expired::open(&expired_dir, &segments)?;

    let samples = Samples::open(&dir, &options, &counters)?;
    let mut positions = Positions::default();
    positions.apply(&manifest.positions);
    let mut active = Head::new(sealed + 1);
    for number in &numbers {
        let file = journal::path(&journals, *number);
        if *number <= sealed {
            disk::remove(&file).map_err(io_error("delete", &file))?;
            continue;
        }
        let mut failed = None;
        let replayed = journal::replay(&file, decode_batch, |batch| {
            positions.apply(&batch.positions);
            match samples.take_over(batch) {
                Ok(batch) if batch.is_empty() => {}
                Ok(batch) => active.push(Arc::new(batch)),
                Err(refused) => failed = Some(refused),
            }
        })?;
        if let Some(refused) = failed {
            let source = io::Error::other(refused);
            return Err(io_error("take samples over from", &file)(source));
        }
        if replayed.unreadable {
            let aside = journal::put_aside(&journals, *number).map_err(io_error("rename", &file))?;
            tracing::error!(file = %aside.display(), "the journal cannot be read and was put aside");
        } else if replayed.lost > 0 {
            tracing::error!(file = %file.display(), records = replayed.records, bytes = replayed.lost, "the journal has bytes that cannot be read");
        }
        if replayed.lost > 0 && !replayed.unreadable {
            counters.damaged_journals.fetch_add(1, Relaxed);
        }
    }
    let aside = journal::list_aside(&journals)?.len();
    counters.damaged_journals.fetch_add(aside as u64, Relaxed);
    let newest = present.last().copied().unwrap_or(0).max(sealed);
    let sampling = Sampling::open(&dir, options.sampling.as_ref(), &segments, (sealed, newest))?;
    let number = sampling.as_ref().map_or(newest, |sampling| newest.max(sampling.swept())) + 1;
    let journal = Journal::create(&journals, number).map_err(io_error("create a journal in", &journals))?;
    active.journals.1 = number;
    if let Some(sampling) = &sampling {
        for batch in &active.batches {
            sampling.note(&sampling.look_at(batch), active.journals, retention::now());
        }
    }
    Ok(Inner {
        options,
        counters,
        writing: Mutex::new(Writing::new(journal, positions)),
        room: Condvar::new(),
        blocked: AtomicUsize::new(0),
        view: RwLock::new(View { active, frozen: Vec::new(), segments, expired }),
        maintenance: Mutex::new(()),
        merging: Mutex::new(()),
        sections: Sections::default(),
        recent: Recent::default(),
        listed: Listed::default(),
        samples,
        sampling,
        sheets: Sheets::default(),
        _lock: lock,
    })
}

fn take_lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("lock");
    let lock = File::create(&path).map_err(io_error("create", &path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(OpenError::Locked { dir: dir.to_owned() }),
        Err(fs::TryLockError::Error(source)) => Err(io_error("lock", &path)(source)),
    }
}

/// The names that files of one kind have in a folder; what a crash left half written is deleted.
pub(crate) fn names(dir: &Path, extension: &str) -> Result<Vec<Name>, OpenError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(io_error("list", dir))? {
        let path = entry.map_err(io_error("list", dir))?.path();
        if path.extension().is_some_and(|e| e == "tmp") {
            disk::remove(&path).map_err(io_error("delete", &path))?;
        } else if path.extension().is_some_and(|e| e == extension) {
            names.extend(path.file_stem().and_then(|s| s.to_str()).and_then(Name::parse));
        }
    }
    Ok(names)
}

pub(crate) fn open_segments(
    dir: &Path,
    unfinished: impl Fn(&Name) -> bool,
    counters: &Counters,
) -> Result<Vec<Arc<Segment>>, OpenError> {
    let mut found = names(dir, Name::SEGMENT)?;
    // What others were merged into comes before them, so that they go only when it can be read.
    found.sort_by_key(|n| (n.first, std::cmp::Reverse(n.last), n.signal, n.day));
    let mut segments: Vec<Arc<Segment>> = Vec::new();
    for name in found {
        let path = name.path(dir, Name::SEGMENT);
        if unfinished(&name) || segments.iter().any(|s| s.name.replaces(&name)) {
            disk::remove(&path).map_err(io_error("delete", &path))?;
        } else if let Some(segment) = Segment::open(&path, name)? {
            segments.push(Arc::new(segment));
        } else {
            let aside = path.with_extension(DAMAGED);
            fs::rename(&path, &aside).map_err(io_error("rename", &path))?;
            tracing::error!(file = %aside.display(), "the segment is damaged and was put aside");
        }
    }
    let aside = names(dir, DAMAGED)?.len();
    counters.damaged_segments.fetch_add(aside as u64, Relaxed);
    Ok(segments)
}
