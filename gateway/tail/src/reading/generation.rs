//! One file, held open until it is read to its end: whole lines only, through a buffer that all files share.

use std::fs::File;
use std::io;
use std::path::Path;

use memchr::memchr;
use parsers::record::{FileId, Position};
use rustix::fs::SeekFrom;

use crate::identity::{self, read_up_to};

/// A complete line.
pub struct RawLine<'a> {
    /// Without its newline; only its head if `cut` is not 0.
    pub bytes: &'a [u8],
    /// Where it begins.
    pub offset: u64,
    /// Bytes of it that were passed over because it is longer than the buffer.
    pub cut: u64,
}

/// One file of a chain.
pub struct Generation {
    file: File,
    device: u64,
    inode: u64,
    /// Whether device and inode are of the file of which this is a copy, or that was compressed to this.
    unpacked: bool,
    head: Option<u64>,
    /// How many times it was truncated.
    cuts: u64,
    /// Where the next line begins.
    offset: u64,
    /// There is no newline between `offset` and this.
    scanned: u64,
    /// As last seen.
    size: u64,
    /// At most, before that.
    seen: u64,
    /// When it was last written, as last seen: seconds and nanoseconds.
    modified: (i64, i64),
    /// The same, when it still was what was read of it.
    checked: (i64, i64),
    /// The marker of `offset`, as it was when that was read.
    mark: u64,
    /// Rows below this were delivered before.
    pub(super) delivered: u64,
    /// Records of each output from here on are given to stages, though they were delivered before.
    pub(super) held: [u64; 2],
    /// Whether it was read to its end and has a successor.
    pub(super) drained: bool,
    /// Offset, resume and held as last put into a batch.
    pub(super) noted: Option<(u64, u64, [u64; 2])>,
    /// What is acknowledged.
    pub(super) safe: u64,
    /// Number of the batch, and the file's index in it.
    pub(super) slot: (u64, u32),
}

impl Generation {
    /// Opens a file, to be read from its beginning.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let stat = rustix::fs::fstat(&file)?;
        let head = identity::head_of_file(&file)?;
        Ok(Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size as u64,
            seen: 0,
            modified: (0, 0),
            checked: (0, 0),
            mark: 0,
            file,
            unpacked: false,
            head,
            cuts: 0,
            offset: 0,
            scanned: 0,
            delivered: 0,
            held: [0; 2],
            drained: false,
            noted: None,
            safe: 0,
            slot: (0, 0),
        })
    }

    /// What was unpacked of a file that is known as this one.
    pub fn unpacked(file: File, id: FileId) -> io::Result<Self> {
        let size = rustix::fs::fstat(&file)?.st_size as u64;
        Ok(Self {
            file,
            device: id.device,
            inode: id.inode,
            unpacked: true,
            head: Some(id.head),
            cuts: 0,
            offset: 0,
            scanned: 0,
            size,
            seen: 0,
            modified: (0, 0),
            checked: (0, 0),
            mark: 0,
            delivered: 0,
            held: [0; 2],
            drained: false,
            noted: None,
            safe: 0,
            slot: (0, 0),
        })
    }

    /// Who it is; `None` before its first line is complete (or long enough to tell).
    pub fn id(&self) -> Option<FileId> {
        self.head.map(|head| self.id_of(head))
    }

    /// The hash of its first line, if that is complete, or long enough to tell.
    pub fn head(&self) -> Option<u64> {
        self.head
    }

    fn id_of(&self, head: u64) -> FileId {
        let head = identity::after_cuts(head, self.cuts);
        FileId { device: self.device, inode: self.inode, head }
    }

    /// Takes itself for the file that a position was noted of, if it begins as that one did.
    pub fn is_of(&mut self, known: FileId) -> bool {
        let same = self.is(known.device, known.inode);
        let cuts = self.head.filter(|_| same).and_then(|head| identity::cuts_between(known.head, head));
        self.cuts = cuts.unwrap_or(self.cuts);
        cuts.is_some()
    }

    /// Whether another file holds what this one does, or did before it was cut: as far as this was read, or, of a copy that is
    /// still being made, as far as that goes.
    pub fn is_copied_in(&self, other: &Self) -> io::Result<bool> {
        if self.head.is_none() || self.head != other.head {
            return Ok(false);
        }
        if other.size <= self.size && self.marker(other.size)? == other.marker(other.size)? {
            return Ok(true);
        }
        Ok(self.offset > 0 && self.offset <= other.size && other.marker(self.offset)? == self.mark)
    }

    /// This file was cut, and a copy of it was made before: the copy takes its part, as far as it was read.
    pub fn goes_on_in(&mut self, copy: Self) -> Self {
        let (device, inode, size) = (self.device, self.inode, copy.size);
        let copy = Self { file: copy.file, device, inode, unpacked: true, size, seen: size, ..*self };
        self.start_anew();
        copy
    }

    /// Whether it holds what the file did of which a position was noted, and begins as that one did.
    pub fn is_copy_of(&self, known: &Position) -> bool {
        self.head.is_some_and(|head| identity::cuts_between(known.file.head, head).is_some())
            && self.holds(known)
    }

    /// Takes the part of a file of which it is a copy.
    pub fn stand_for(&mut self, known: FileId) {
        let cuts = self.head.and_then(|head| identity::cuts_between(known.head, head));
        (self.device, self.inode, self.unpacked) = (known.device, known.inode, true);
        self.cuts = cuts.unwrap_or_default();
    }

    /// A copy has taken the part of the file that a position was noted of: what stands in this one now is another file, even
    /// if it begins with the same line.
    pub fn follow(&mut self, known: FileId) {
        if self.id() == Some(known) {
            self.cuts += 1;
        }
    }

    /// Whether what was noted of a file is true of this one.
    pub fn holds(&self, known: &Position) -> bool {
        let Position { resume, offset: delivered, marker, .. } = *known;
        delivered <= self.size
            && resume <= delivered
            && identity::marker(&self.file, resume).is_ok_and(|now| now == marker)
    }

    /// Device and inode.
    pub fn place(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// Whether this is the file with that device and inode. While it is open here, no other file can have them; those of a
    /// file that was compressed, or copied and cut, are free for others.
    pub fn is(&self, device: u64, inode: u64) -> bool {
        !self.unpacked && self.device == device && self.inode == inode
    }

    /// Goes on where an earlier reader was. `false`, and reading from the beginning, if the marker says that the file is not
    /// what it was.
    pub fn resume(&mut self, from: &Position) -> bool {
        let Position { resume, offset: delivered, held, marker, .. } = *from;
        let holds = self.holds(from);
        if !holds {
            self.cuts += 1;
        }
        if holds {
            (self.offset, self.scanned, self.delivered, self.safe) = (resume, resume, delivered, resume);
            self.mark = marker;
            self.held = held;
            self.noted = Some((delivered, resume, held));
        }
        holds
    }

    /// Where the next line begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Its length, as last seen.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The marker of an offset.
    pub fn marker(&self, offset: u64) -> io::Result<u64> {
        identity::marker(&self.file, offset)
    }

    /// Looks at its length.
    pub fn look(&mut self) -> io::Result<()> {
        self.seen = self.seen.max(self.size);
        let stat = rustix::fs::fstat(&self.file)?;
        self.size = stat.st_size as u64;
        self.modified = (stat.st_mtime, stat.st_mtime_nsec as i64);
        Ok(())
    }

    /// Whether it is shorter than it was, or has been written since and does not say any more what was read of it.
    pub fn is_cut(&mut self) -> io::Result<bool> {
        if self.size < self.scanned.max(self.seen) {
            return Ok(true);
        }
        if self.offset == 0 || (self.size == self.scanned && self.modified == self.checked) {
            return Ok(false);
        }
        let cut = self.marker(self.offset)? != self.mark;
        self.checked = if cut { self.checked } else { self.modified };
        Ok(cut)
    }

    /// Whether there is nothing that was not looked at.
    pub fn at_end(&self) -> bool {
        self.size <= self.scanned
    }

    /// Bytes of a line that was begun.
    fn unfinished(&self) -> u64 {
        self.scanned - self.offset
    }

    /// Bytes that were there, as far as is known, and are not read yet; to be asked when it was just found to be cut.
    pub fn unread_when_cut(&self) -> u64 {
        self.seen.max(self.scanned) - self.offset
    }

    /// It was cut: it is a new file in an old inode.
    pub fn start_anew(&mut self) {
        (self.head, self.offset, self.scanned, self.delivered, self.safe) = (None, 0, 0, 0, 0);
        (self.seen, self.mark) = (0, 0);
        self.held = [0; 2];
        self.cuts += 1;
        self.noted = None;
        self.slot = (0, 0);
    }

    /// Reads complete lines, at least one if there is one and about `budget` bytes at most. Gives how many bytes it got
    /// through.
    pub fn read(
        &mut self,
        buffer: &mut [u8],
        budget: u64,
        take: &mut dyn FnMut(RawLine<'_>, FileId),
    ) -> io::Result<u64> {
        let from = self.offset;
        while self.offset - from < budget && self.scanned < self.size {
            if self.unfinished() >= buffer.len() as u64 {
                if self.skip_hole(buffer)? {
                    continue;
                }
                if !self.read_long(buffer, take)? {
                    break;
                }
                continue;
            }
            let start = self.offset;
            let read = read_up_to(&self.file, buffer, start)?;
            let bytes = buffer.get(..read).unwrap_or_default();
            let mut at = 0;
            while let Some(rest) = bytes.get(at..) {
                let Some(end) = memchr(b'\n', rest) else { break };
                let line = rest.get(..end).unwrap_or_default();
                self.give(RawLine { bytes: line, offset: start + at as u64, cut: 0 }, take);
                at += end + 1;
            }
            self.offset = start + at as u64;
            self.scanned = start + read as u64;
            if let Some(read) = bytes.get(..at).filter(|read| !read.is_empty()) {
                self.mark = identity::marker_of(read, start).map_or_else(|| self.marker(self.offset), Ok)?;
            }
            self.size = self.size.max(self.scanned);
            if read < buffer.len() {
                break;
            }
        }
        Ok(self.offset - from)
    }

    /// Whether a line would begin with a hole of the file, which was never written: reading goes on behind it.
    fn skip_hole(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let read = read_up_to(&self.file, buffer, self.offset)?;
        if buffer.get(..read).unwrap_or_default().iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        let data = match rustix::fs::seek(&self.file, SeekFrom::Data(self.scanned)) {
            Ok(data) => data.min(self.size),
            // Nothing comes after it.
            Err(rustix::io::Errno::NXIO) => self.size,
            // Where nothing is known of holes there are none.
            Err(_) => return Ok(false),
        };
        if data <= self.scanned {
            return Ok(false);
        }
        (self.offset, self.scanned) = (data, data);
        self.mark = self.marker(data)?;
        Ok(true)
    }

    /// The line at `offset` does not fit the buffer: looks for its end without keeping it, then reads its head again.
    fn read_long(
        &mut self,
        buffer: &mut [u8],
        take: &mut dyn FnMut(RawLine<'_>, FileId),
    ) -> io::Result<bool> {
        let read = read_up_to(&self.file, buffer, self.scanned)?;
        let Some(end) = memchr(b'\n', buffer.get(..read).unwrap_or_default()) else {
            self.scanned += read as u64;
            return Ok(read > 0);
        };
        let end = self.scanned + end as u64;
        let read = read_up_to(&self.file, buffer, self.offset)?;
        // The newline itself may be the buffer's last byte.
        let bytes = buffer.get(..read.min((end - self.offset) as usize)).unwrap_or_default();
        let cut = end - self.offset - bytes.len() as u64;
        self.give(RawLine { bytes, offset: self.offset, cut }, take);
        (self.offset, self.scanned) = (end + 1, end + 1);
        self.mark = self.marker(self.offset)?;
        Ok(true)
    }

    /// The file gets no more: what stands after its last newline is a line too.
    pub fn read_rest(
        &mut self,
        buffer: &mut [u8],
        take: &mut dyn FnMut(RawLine<'_>, FileId),
    ) -> io::Result<u64> {
        if self.offset >= self.size {
            return Ok(0);
        }
        let length = self.size - self.offset;
        let read = read_up_to(&self.file, buffer, self.offset)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        self.give(RawLine { bytes, offset: self.offset, cut: length.saturating_sub(read as u64) }, take);
        (self.offset, self.scanned) = (self.size, self.size);
        self.mark = self.marker(self.offset)?;
        Ok(length)
    }

    fn give(&mut self, line: RawLine<'_>, take: &mut dyn FnMut(RawLine<'_>, FileId)) {
        let head = *self.head.get_or_insert_with(|| identity::head_of_line(line.bytes));
        take(line, self.id_of(head));
    }

    /// Whether all of it is acknowledged and no half-joined record begins in it.
    pub(super) fn is_finished(&self) -> bool {
        self.drained && (self.id().is_none() || self.safe >= self.size)
    }
}
