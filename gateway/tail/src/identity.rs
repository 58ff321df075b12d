//! Which file is which, whatever it is called: device, inode and a hash of its first line, since inodes are used again; and
//! the marker that says whether an offset noted earlier is still true.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use memchr::memchr;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of the first line that count: a CRI line begins with a time in nanoseconds, so that this is ample.
pub(crate) const HEAD_BYTES: usize = 256;

/// Bytes before an offset that its marker covers.
const MARKER_BYTES: usize = 32;

/// The marker of a file's beginning: XXH3's hash of no bytes.
pub(crate) const NOTHING_READ: u64 = 0x2d06_8005_38d3_94c2;

/// The hash of a first line, given without its newline.
pub fn head_of_line(line: &[u8]) -> u64 {
    xxh3_64(line.get(..HEAD_BYTES).unwrap_or(line))
}

/// The hash of a file's first line; `None` while that line is too short to tell.
pub fn head_of_file(file: &File) -> io::Result<Option<u64>> {
    let mut bytes = [0; HEAD_BYTES];
    let read = read_up_to(file, &mut bytes, 0)?;
    Ok(head_of(bytes.get(..read).unwrap_or_default()))
}

/// The hash of the first line of a file that begins with these bytes, [`HEAD_BYTES`] at most; `None` while it is too short to tell.
pub(crate) fn head_of(bytes: &[u8]) -> Option<u64> {
    match memchr(b'\n', bytes) {
        Some(end) => bytes.get(..end).map(head_of_line),
        None if bytes.len() >= HEAD_BYTES => Some(head_of_line(bytes)),
        None => None,
    }
}

/// Truncations of one file that are told apart; after so many the count begins again.
const MAX_CUTS: u64 = 256;

/// The head of a file that was truncated so many times: what is written after a truncation is another file, even if it begins
/// with the same line.
pub fn after_cuts(head: u64, cuts: u64) -> u64 {
    match cuts % MAX_CUTS {
        0 => head,
        cuts => head ^ xxh3_64(&cuts.to_le_bytes()),
    }
}

/// How many truncations lie between a file's first line and a head that was noted of it; `None` if it is another file's.
pub fn cuts_between(noted: u64, head: u64) -> Option<u64> {
    (0..MAX_CUTS).find(|cuts| after_cuts(head, *cuts) == noted)
}

/// The hash of the bytes before an offset.
pub fn marker(file: &File, offset: u64) -> io::Result<u64> {
    let start = offset.saturating_sub(MARKER_BYTES as u64);
    let mut bytes = [0; MARKER_BYTES];
    let wanted = bytes.get_mut(..(offset - start) as usize).unwrap_or_default();
    let read = read_up_to(file, wanted, start)?;
    Ok(xxh3_64(bytes.get(..read).unwrap_or_default()))
}

/// Fills the buffer from an offset, as far as the file goes.
pub(crate) fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + read as u64) {
            Ok(0) => break,
            Ok(n) => read += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}
