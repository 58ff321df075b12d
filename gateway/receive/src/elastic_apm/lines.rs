//! A body that comes in pieces, perhaps compressed, to lines of a bounded length.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};

use crate::body::Encoding;

/// Bytes of an event.
pub(super) const MAX_EVENT: usize = 307_200;
/// Bytes of a line that is too long that its error shows.
const SHOWN: usize = 1024;

/// Undoes the compression, which is told by the first two bytes, since headers are not always true.
pub(super) enum Inflate {
    Undecided(Vec<u8>),
    Plain,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zlib(Box<Decompress>),
    /// What stands behind the end of a zlib stream is passed over.
    Ended,
}

impl Inflate {
    pub(super) fn new() -> Self {
        Self::Undecided(Vec::new())
    }

    /// Takes a piece of the body; what comes out is appended.
    pub(super) fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Undecided(head) => {
                head.extend_from_slice(piece);
                if head.len() < 2 {
                    return Ok(());
                }
                let head = std::mem::take(head);
                *self = match Encoding::sniffed(&head) {
                    Encoding::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
                    Encoding::Zlib => Self::Zlib(Box::new(Decompress::new(true))),
                    _ => Self::Plain,
                };
                self.feed(&head, out)
            }
            Self::Plain => {
                out.extend_from_slice(piece);
                Ok(())
            }
            Self::Gzip(decoder) => {
                decoder.write_all(piece)?;
                out.append(decoder.get_mut());
                Ok(())
            }
            Self::Zlib(decoder) => {
                if inflate(decoder, piece, out)? {
                    *self = Self::Ended;
                }
                Ok(())
            }
            Self::Ended => Ok(()),
        }
    }

    /// The body has ended; an error if it should not have.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Undecided(head) => {
                out.append(head);
                Ok(())
            }
            Self::Plain | Self::Ended => Ok(()),
            Self::Gzip(decoder) => {
                let ended = decoder.try_finish();
                out.append(decoder.get_mut());
                ended
            }
            Self::Zlib(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Bytes that come out of a piece before there is room for more.
const STEP: usize = 16 * 1024;

/// Takes a piece of a zlib stream; `true` at its end, which flate2's own writer does not ask for.
fn inflate(decoder: &mut Decompress, mut piece: &[u8], out: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        out.reserve(STEP);
        let before = (decoder.total_in(), decoder.total_out());
        let status = decoder.decompress_vec(piece, out, FlushDecompress::None)?;
        piece = piece.get((decoder.total_in() - before.0) as usize..).unwrap_or_default();
        if status == Status::StreamEnd {
            return Ok(true);
        }
        // All is out of it once there is room to spare.
        if piece.is_empty() && out.len() < out.capacity() {
            return Ok(false);
        }
        if before == (decoder.total_in(), decoder.total_out()) {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

/// A line, or the beginning of one that is too long.
pub(super) enum Line<'l> {
    Whole(&'l [u8]),
    TooLong(&'l [u8]),
}

/// Splits what comes into lines.
#[derive(Default)]
pub(super) struct Lines {
    pub buffer: Vec<u8>,
    /// Bytes of the buffer in which there is no end of a line.
    searched: usize,
    /// The rest of a line that was too long is left out.
    skipping: bool,
}

impl Lines {
    /// Gives the lines that have ended; with `last`, what stands behind them too.
    pub(super) fn split(&mut self, last: bool, mut each: impl FnMut(Line<'_>)) {
        let mut start = 0;
        while let Some(end) = self.buffer.iter().skip(self.searched).position(|byte| *byte == b'\n') {
            let end = self.searched + end;
            if !std::mem::take(&mut self.skipping) {
                give(self.buffer.get(start..end).unwrap_or_default(), &mut each);
            }
            start = end + 1;
            self.searched = start;
        }
        self.buffer.drain(..start.min(self.buffer.len()));
        self.searched = self.buffer.len();
        if self.buffer.len() > MAX_EVENT && !self.skipping {
            give(&self.buffer, &mut each);
            self.skipping = true;
        }
        if last && !std::mem::take(&mut self.skipping) {
            give(&self.buffer, &mut each);
        }
        if last || self.skipping {
            self.buffer.clear();
            self.searched = 0;
        }
    }
}

fn give(line: &[u8], each: &mut impl FnMut(Line<'_>)) {
    let line = line.trim_ascii();
    if line.len() > MAX_EVENT {
        each(Line::TooLong(line.get(..SHOWN).unwrap_or(line)));
    } else if !line.is_empty() {
        each(Line::Whole(line));
    }
}
