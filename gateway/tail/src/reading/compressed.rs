//! Generations that were compressed before they were read to their ends: unpacked into a file without a name, which goes when
//! it is closed.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::read::MultiGzDecoder;
use parsers::record::FileId;

use crate::identity;

/// A runtime rotates files of tens of megabytes; what unpacks to more is not one of them.
const MAX_UNPACKED: u64 = 1 << 30;

/// Where a compressed generation is on the disk, and when it was made: a place is used again for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp {
    device: u64,
    inode: u64,
    /// `None` where the file system does not say.
    made: Option<SystemTime>,
}

impl Stamp {
    /// Of the file there is now, if there is one.
    pub fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self { device: metadata.dev(), inode: metadata.ino(), made: metadata.created().ok() })
    }
}

/// A compressed generation.
#[derive(Debug)]
pub struct Compressed {
    path: PathBuf,
    /// Its own place on the disk, with the head of what is in it.
    pub id: FileId,
}

impl Compressed {
    /// Looks into a file; `None` while too little is in it to tell what it is.
    pub fn open(path: PathBuf) -> io::Result<Option<Self>> {
        let file = File::open(&path)?;
        let metadata = file.metadata()?;
        let mut head = Vec::new();
        MultiGzDecoder::new(file).take(identity::HEAD_BYTES as u64).read_to_end(&mut head)?;
        let id = |head| FileId { device: metadata.dev(), inode: metadata.ino(), head };
        Ok(identity::head_of(&head).map(|head| Self { path, id: id(head) }))
    }

    /// Bytes of what is in it, as its end says; right for files below 4 GiB that were compressed in one piece, as runtimes do.
    pub fn unpacked_size(&self) -> Option<u64> {
        let file = File::open(&self.path).ok()?;
        let at = file.metadata().ok()?.len().checked_sub(4)?;
        let mut size = [0; 4];
        (identity::read_up_to(&file, &mut size, at).ok()? == 4).then(|| u64::from(u32::from_le_bytes(size)))
    }

    /// What is in it, as a file.
    pub fn unpack(&self) -> io::Result<File> {
        let mut unpacked = tempfile::tempfile()?;
        let mut packed = MultiGzDecoder::new(File::open(&self.path)?).take(MAX_UNPACKED);
        io::copy(&mut packed, &mut unpacked)?;
        Ok(unpacked)
    }
}
