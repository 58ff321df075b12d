//! What the store asks of the file system beyond reading and writing: durable names, free space, whole small files.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Makes creations, renames and deletions in a directory survive a power failure.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Replaces a small file at once: whoever reads it finds the old bytes or the new.
pub fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = file.with_extension("tmp");
    let handle = File::create(&temporary)?;
    io::Write::write_all(&mut &handle, bytes)?;
    handle.sync_all()?;
    fs::rename(&temporary, file)?;
    file.parent().map_or(Ok(()), sync_dir)
}

/// Bytes that a file system has left for us.
pub fn free(dir: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(dir)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Whether an error says that the disk or the quota is full.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Bytes of a file on disk, 0 if it is gone.
pub fn size(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |m| m.size())
}

/// Deletes a file; one that is gone already is fine.
pub fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
