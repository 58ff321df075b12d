//! Places in a chain of files, ordered.

use parsers::container::{Carried, Stream};

/// How many files of the chain were read before this one, and the offset in it.
pub type Place = (u64, u64);

/// Where something began, seen from a file.
pub fn place(file: u64, from: Carried) -> Place {
    (file.saturating_sub(u64::from(from.files_back)), from.offset)
}

/// Index into what is kept for standard error and for any other output.
pub fn output(stream: Stream) -> usize {
    usize::from(stream == Stream::Stderr)
}
