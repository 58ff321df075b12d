//! Generations that were compressed before they were read to their ends: unpacked into a file without a name, which goes when
//! it is closed.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use parsers::record::FileId;

use crate::discovery::{GZ, live_name};
use crate::identity;

/// A runtime rotates files of tens of megabytes; what unpacks to more is not one of them.
const MAX_UNPACKED: u64 = 1 << 30;

/// Digits of a number that is no date.
const NUMBER_DIGITS: usize = 4;

/// A compressed generation.
#[derive(Debug)]
pub struct Compressed {
    path: PathBuf,
    /// Its own place on the disk, with the head of what is in it.
    pub id: FileId,
}

/// The compressed generations of a chain, oldest first, by their names. Those that cannot be read are left out.
pub fn list(live: &str) -> Vec<Compressed> {
    let live = Path::new(live);
    let (Some(folder), Some(name)) = (live.parent(), live.file_name().and_then(|name| name.to_str())) else {
        return Vec::new();
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let file = path.file_name().and_then(|file| file.to_str());
            file.is_some_and(|file| file.ends_with(GZ) && file != name && live_name(file) == name)
        })
        .collect();
    oldest_first(&mut paths);
    paths.into_iter().filter_map(|path| Compressed::open(path).ok().flatten()).collect()
}

/// Sorts rotated files by what their names say: dates grow, and short numbers do the more often a file was rotated.
pub fn oldest_first(paths: &mut [PathBuf]) {
    paths.sort_by_key(|path| (std::cmp::Reverse(number(path)), path.clone()));
}

/// How often a file was rotated, where its name says that.
fn number(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    let digits = name.strip_suffix(GZ).unwrap_or(name).rsplit('.').next()?;
    digits.parse().ok().filter(|_| digits.len() <= NUMBER_DIGITS)
}

impl Compressed {
    /// Looks into one; `None` while its first line is too short to tell.
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
