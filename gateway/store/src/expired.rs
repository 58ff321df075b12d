//! What is left of segments that retention dropped: the ids that were in them and until when, so that a look-up can say that a
//! trace was here once. One small file a segment, about two bytes an id; nearly nothing of it is held in memory.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::disk;
use crate::opening::{io_error, names};
use crate::options::OpenError;
use crate::read::{Fate, Signal};
use crate::segment::{Name, Segment, Writer};

/// The folder.
pub const FOLDER: &str = "expired";
/// Bytes of all files together; the oldest are forgotten first. Some thirty million ids.
pub const MAX_BYTES: u64 = 64 << 20;
/// Each file is a read for a look-up that finds nothing.
pub const MAX_FILES: usize = 256;

/// Opens what is there. Segments that are still stored have no fate yet, whatever a crash left behind.
pub fn open(dir: &Path, segments: &[Arc<Segment>]) -> Result<Vec<Arc<Segment>>, OpenError> {
    let mut names = names(dir, Name::EXPIRED)?;
    names.sort_by_key(|n| (n.first, n.last, n.signal, n.day));
    let mut expired = Vec::new();
    for name in names {
        let path = name.path(dir, Name::EXPIRED);
        let stored = segments.iter().any(|s| s.name == name || s.name.replaces(&name));
        let opened = if stored { None } else { Segment::open(&path, name)? };
        match opened {
            Some(segment) => expired.push(Arc::new(segment)),
            None => disk::remove(&path).map_err(io_error("delete", &path))?,
        }
    }
    Ok(expired)
}

/// Writes what will be known of a segment that is about to be dropped. `None` when it holds no ids, or its index is damaged.
pub fn keep(dir: &Path, segment: &Segment) -> io::Result<Option<Arc<Segment>>> {
    let keys = segment.index().unwrap_or_default();
    if keys.is_empty() {
        return Ok(None);
    }
    Writer::create(dir, &segment.name, Name::EXPIRED)?.remainder(segment, keys)?;
    let path = segment.name.path(dir, Name::EXPIRED);
    let opened = Segment::open(&path, segment.name).map_err(io::Error::other)?;
    Ok(opened.map(Arc::new))
}

/// Those that there is no room for, oldest first.
pub fn surplus(expired: &[Arc<Segment>]) -> &[Arc<Segment>] {
    let mut bytes: u64 = expired.iter().map(|s| s.bytes).sum();
    let mut forget = 0;
    for segment in expired {
        if bytes <= MAX_BYTES && expired.len() - forget <= MAX_FILES {
            break;
        }
        bytes -= segment.bytes;
        forget += 1;
    }
    expired.get(..forget).unwrap_or_default()
}

/// The newest fate of a trace's records of one signal, if any were dropped.
pub fn fate(expired: &[Arc<Segment>], signal: Signal, low64: u64) -> Option<Fate> {
    let of_signal = expired.iter().rev().filter(|s| s.name.signal == signal);
    let mut holding = of_signal.filter(|s| matches!(s.find(low64), Ok(Some(_))));
    holding.next().map(|s| Fate::Expired { signal, newest: s.footer.last })
}
