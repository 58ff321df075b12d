//! One inotify instance over folders: create, move, delete; never modify, which would cost a wake-up a write.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
use rustc_hash::FxHashMap;

/// Room for the events of one read: a few hundred names.
const EVENT_BYTES: usize = 16 * 1024;

/// File systems, by their magic numbers in `statfs(2)`, on which others write without this kernel's knowledge: NFS, SMB (two),
/// CIFS, 9P, FUSE, Ceph, Lustre, AFS, VirtualBox folders; and overlay, whose lower layers change without events.
const SHARED: [u64; 11] = [
    0x6969,
    0x517B,
    0xFE53_4D42,
    0xFF53_4D42,
    0x0102_1997,
    0x6573_5546,
    0x00C3_6400,
    0x0BD0_0BD0,
    0x5346_414F,
    0x786F_4256,
    0x794C_7630,
];

/// What is told of a folder.
const MASK: WatchMask = WatchMask::CREATE
    .union(WatchMask::MOVED_FROM)
    .union(WatchMask::MOVED_TO)
    .union(WatchMask::DELETE)
    .union(WatchMask::DELETE_SELF)
    .union(WatchMask::MOVE_SELF)
    .union(WatchMask::ONLYDIR);

/// What has changed since the last look.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Folders in which names came or went.
    pub folders: BTreeSet<PathBuf>,
    /// Whether a folder came or went.
    pub tree: bool,
    /// Whether the kernel dropped events.
    pub overflow: bool,
}

/// The watches that could be had.
pub(super) struct Watches {
    inotify: Option<Inotify>,
    folders: FxHashMap<WatchDescriptor, PathBuf>,
    known: FxHashMap<PathBuf, WatchDescriptor>,
    /// Those on file systems that others write, too.
    shared: BTreeSet<PathBuf>,
    buffer: Vec<u8>,
}

impl Watches {
    /// An instance, or none where the kernel gives none: then everything is polled.
    pub fn new() -> Self {
        let inotify = Inotify::init()
            .inspect_err(|error| tracing::warn!("no inotify instance ({error}): folders are polled"))
            .ok();
        Self {
            inotify,
            folders: FxHashMap::default(),
            known: FxHashMap::default(),
            shared: BTreeSet::new(),
            buffer: vec![0; EVENT_BYTES],
        }
    }

    /// As where the kernel gives no instance.
    #[cfg(test)]
    pub fn none() -> Self {
        Self { inotify: None, ..Self::new() }
    }

    /// Watches the folder that has this name by now, which a link may have led to another one.
    pub fn renew(&mut self, folder: &Path) {
        let (Some(inotify), Some(known)) = (&self.inotify, self.known.get_mut(folder)) else { return };
        // Of a folder that is watched already the kernel gives the watch that there is.
        let Ok(watch) = inotify.watches().add(folder, MASK) else { return };
        if *known != watch {
            if self.folders.get(known).is_some_and(|of| of == folder) {
                self.folders.remove(known);
                // The kernel has removed the watch already if the folder is gone.
                let _ = inotify.watches().remove(known.clone());
            }
            self.folders.insert(watch.clone(), folder.to_owned());
            *known = watch;
        }
    }

    /// Watches a folder; `false` if that cannot be had, or does not tell all. A folder that is gone needs no watch.
    pub fn add(&mut self, folder: &Path) -> bool {
        if self.known.contains_key(folder) {
            return !self.shared.contains(folder);
        }
        if rustix::fs::statfs(folder).is_ok_and(|stat| SHARED.contains(&(stat.f_type as u64))) {
            self.shared.insert(folder.to_owned());
        }
        let Some(inotify) = &self.inotify else { return false };
        match inotify.watches().add(folder, MASK) {
            Ok(watch) => {
                self.folders.insert(watch.clone(), folder.to_owned());
                self.known.insert(folder.to_owned(), watch);
                !self.shared.contains(folder)
            }
            Err(error) => matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        }
    }

    /// Forgets folders that were not seen any more.
    pub fn retain(&mut self, seen: &BTreeSet<PathBuf>) {
        self.shared.retain(|folder| seen.contains(folder));
        let Some(inotify) = &self.inotify else { return };
        let folders = &mut self.folders;
        self.known.retain(|folder, watch| {
            let keep = seen.contains(folder);
            if !keep {
                folders.remove(watch);
                // The kernel has removed the watch already if the folder is gone.
                let _ = inotify.watches().remove(watch.clone());
            }
            keep
        });
    }

    /// Takes all events that wait.
    pub fn changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        let Some(inotify) = &mut self.inotify else { return changes };
        loop {
            let events = match inotify.read_events(&mut self.buffer) {
                Ok(events) => events,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return changes,
            };
            let mut any = false;
            for event in events {
                any = true;
                if event.mask.contains(EventMask::Q_OVERFLOW) {
                    changes.overflow = true;
                    continue;
                }
                let Some(folder) = self.folders.get(&event.wd).cloned() else { continue };
                if event.mask.intersects(EventMask::DELETE_SELF | EventMask::MOVE_SELF | EventMask::IGNORED) {
                    // A folder made anew under this name needs a watch of its own.
                    self.folders.remove(&event.wd);
                    self.known.remove(&folder);
                    changes.tree = true;
                } else if event.mask.contains(EventMask::ISDIR) {
                    changes.tree = true;
                } else {
                    changes.folders.insert(folder);
                }
            }
            if !any {
                return changes;
            }
        }
    }
}
