//! One file, held open until it is read to its end: whole lines only, through a buffer that all files share.

use std::fs::File;
use std::io;
use std::path::Path;

use memchr::memchr;
use parsers::record::{FileId, Position};
use rustix::fs::SeekFrom;

use crate::identity::{self, read_up_to};

/// Bytes before the offset that are read again with what follows: they tell a file that was written anew from one that grew.
const OVERLAP: usize = 32;

/// A complete line.
pub struct RawLine<'a> {
    /// Without its newline; only its head if `cut` is not 0.
    pub bytes: &'a [u8],
    /// Where it begins.
    pub offset: u64,
    /// Bytes of it that were passed over because it is longer than the buffer.
    pub cut: u64,
}

impl RawLine<'_> {
    /// Where what follows it begins.
    pub fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64 + self.cut + 1
    }
}

/// The last bytes that were read.
#[derive(Debug, Clone, Copy, Default)]
struct Tail {
    bytes: [u8; OVERLAP],
    length: usize,
}

impl Tail {
    fn of(bytes: &[u8]) -> Self {
        let last = bytes.get(bytes.len().saturating_sub(OVERLAP)..).unwrap_or_default();
        let mut tail = Self { length: last.len(), ..Self::default() };
        tail.bytes.iter_mut().zip(last).for_each(|(kept, byte)| *kept = *byte);
        tail
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// How a file came to be another one under the same inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// It became shorter; the length that it had.
    Shrunk(u64),
    /// What stood before the offset is not there any more.
    Rewritten,
}

/// One file of a chain.
pub struct Generation {
    file: File,
    device: u64,
    inode: u64,
    /// Whether device and inode are of the file that this is a copy of, or was before it was compressed.
    unpacked: bool,
    head: Option<u64>,
    /// How many times it was truncated.
    cuts: u64,
    /// Where the next line begins.
    offset: u64,
    /// What stands before `offset`, as it was read.
    tail: Tail,
    /// There is no newline between `offset` and this.
    scanned: u64,
    /// As last seen.
    size: u64,
    /// When it was written last, as last seen: seconds and nanoseconds.
    written: (i64, i64),
    /// It was seen to be another file than before.
    cut: Option<Cut>,
    /// Whether there is nothing but zeros between `offset` and `scanned`.
    hollow: bool,
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
        Ok(Self::new(file, (stat.st_dev, stat.st_ino), stat.st_size as u64, head))
    }

    /// What was unpacked of a file that is known as this one; `head` is of its first line.
    pub fn unpacked(file: File, id: FileId, head: u64) -> io::Result<Self> {
        let size = rustix::fs::fstat(&file)?.st_size as u64;
        let unpacked = Self::new(file, (id.device, id.inode), size, Some(head));
        let cuts = identity::cuts_between(id.head, head).unwrap_or_default();
        Ok(Self { unpacked: true, cuts, ..unpacked })
    }

    fn new(file: File, (device, inode): (u64, u64), size: u64, head: Option<u64>) -> Self {
        Self {
            file,
            device,
            inode,
            unpacked: false,
            head,
            cuts: 0,
            offset: 0,
            tail: Tail::default(),
            scanned: 0,
            size,
            written: (0, 0),
            cut: None,
            hollow: false,
            delivered: 0,
            held: [0; 2],
            drained: false,
            noted: None,
            safe: 0,
            slot: (0, 0),
        }
    }

    /// Who it is; `None` before its first line is complete (or long enough to tell).
    pub fn id(&self) -> Option<FileId> {
        self.head.map(|head| self.id_of(head))
    }

    fn id_of(&self, head: u64) -> FileId {
        let head = identity::after_cuts(head, self.cuts);
        FileId { device: self.device, inode: self.inode, head }
    }

    /// Whether a file noted as this one began as it does: it itself, or what it is a copy of.
    pub fn is_like(&self, noted: FileId, head: u64) -> bool {
        identity::cuts_between(noted.head, head).is_some()
    }

    /// Takes itself for the file that a position was noted of, if that is in its place and began as it does.
    pub fn take_for(&mut self, noted: FileId) -> bool {
        let same = self.is(noted.device, noted.inode);
        let cuts = self.head.filter(|_| same).and_then(|head| identity::cuts_between(noted.head, head));
        self.cuts = cuts.unwrap_or(self.cuts);
        cuts.is_some()
    }

    /// It is not the file that was noted in its place, though it begins alike.
    pub fn set_apart(&mut self) {
        self.cuts += 1;
    }

    /// Whether it has the part of another file.
    pub fn stands_in(&self) -> bool {
        self.unpacked
    }

    /// It is none of those that others take the part of, though it begins alike.
    pub fn set_apart_from(&mut self, taken: &[FileId]) {
        while !self.unpacked && self.id().is_some_and(|id| taken.contains(&id)) {
            self.set_apart();
        }
    }

    /// The hash of its first line.
    pub fn head(&self) -> Option<u64> {
        self.head
    }

    /// Device and inode.
    pub fn place(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// Whether this is the file with that device and inode. While it is open here, no other file can have them; those of a
    /// file that was compressed are free for others.
    pub fn is(&self, device: u64, inode: u64) -> bool {
        !self.unpacked && self.device == device && self.inode == inode
    }

    /// Whether the marker says that the file is what it was when this was noted.
    pub fn holds(&self, noted: &Position) -> bool {
        noted.offset <= self.size
            && noted.resume <= noted.offset
            && identity::marker(&self.file, noted.resume).is_ok_and(|now| now == noted.marker)
    }

    /// Whether it has what was read of the file that this was noted of.
    pub fn has_read(&self, noted: &Position) -> bool {
        self.head.is_some_and(|head| self.is_like(noted.file, head)) && self.holds(noted)
    }

    /// Goes on where an earlier reader was.
    pub fn resume(&mut self, from: &Position) {
        self.noted = Some((from.offset, from.resume, from.held));
        self.go_back();
    }

    /// Goes back to what was last noted of it, as after a restart.
    pub fn go_back(&mut self) {
        let (delivered, resume, held) = self.noted.unwrap_or_default();
        (self.offset, self.scanned, self.delivered, self.safe) = (resume, resume, delivered, resume);
        (self.held, self.drained, self.slot, self.hollow) = (held, false, (0, 0), false);
        let mut before = [0; OVERLAP];
        let length = resume.min(OVERLAP as u64);
        let wanted = before.get_mut(..length as usize).unwrap_or_default();
        let read = read_up_to(&self.file, wanted, resume - length);
        // Without it the file is read on unseen, as one that was just opened.
        let whole = read.ok().filter(|read| *read as u64 == length).and_then(|read| before.get(..read));
        self.tail = whole.map(Tail::of).unwrap_or_default();
    }

    /// Whether the other is a copy of this file, and has what was read of it.
    pub fn is_copied_by(&self, copy: &mut Self) -> bool {
        copy.look().is_ok()
            && copy.head == self.head
            && copy.size >= self.offset
            && copy.ends_as(self).is_ok_and(|same| same)
    }

    /// The copy takes the part of this file, which was cut and is read anew.
    pub fn go_on_in(&mut self, copy: Self) -> Self {
        let Self { file, size, written, .. } = copy;
        let copy = Self { file, size, written, unpacked: true, cut: None, hollow: false, ..*self };
        self.start_anew();
        copy
    }

    /// Takes the part of a file of which it is a copy.
    pub fn stand_for(&mut self, known: FileId) {
        let cuts = self.head.and_then(|head| identity::cuts_between(known.head, head));
        (self.device, self.inode, self.unpacked) = (known.device, known.inode, true);
        self.cuts = cuts.unwrap_or_default();
    }

    /// What it held when it was seen last may be in another file by now.
    pub fn forget_size(&mut self) {
        (self.size, self.cut) = (0, None);
    }

    /// Whether it has no name any more, under which it could be found again.
    pub fn is_removed(&self) -> bool {
        !self.unpacked && rustix::fs::fstat(&self.file).is_ok_and(|stat| stat.st_nlink == 0)
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

    /// Looks at its length, and whether it is still the file that was read.
    pub fn look(&mut self) -> io::Result<()> {
        let stat = rustix::fs::fstat(&self.file)?;
        let (size, written) = (stat.st_size as u64, (stat.st_mtime as i64, stat.st_mtime_nsec as i64));
        if size < self.size {
            self.cut.get_or_insert(Cut::Shrunk(self.size));
        }
        // What grows is looked at when it is read.
        if size == self.size && written != self.written {
            self.compare();
        }
        (self.size, self.written) = (size, written);
        Ok(())
    }

    /// Compares what was read last with what stands there, which a length may not tell; what cannot be read counts as the
    /// same.
    pub fn compare(&mut self) {
        let begins = self.offset > 0
            || self.head.is_none()
            || identity::head_of_file(&self.file).map_or(true, |head| head == self.head);
        if !begins || !self.ends_as(self).unwrap_or(true) {
            self.cut.get_or_insert(Cut::Rewritten);
        }
    }

    /// Whether in this file, too, what the other read last stands before where that one is.
    fn ends_as(&self, other: &Self) -> io::Result<bool> {
        let known = other.tail.as_slice();
        let mut there = [0; OVERLAP];
        let there = there.get_mut(..known.len()).unwrap_or_default();
        let read = read_up_to(&self.file, there, other.offset - known.len() as u64)?;
        Ok(there.get(..read) == Some(known))
    }

    /// Whether it was cut or written anew since it was read.
    pub fn cut(&self) -> Option<Cut> {
        self.cut
    }

    /// Whether there is nothing that was not looked at.
    pub fn at_end(&self) -> bool {
        self.size <= self.scanned
    }

    /// Bytes of a line that was begun.
    pub fn unfinished(&self) -> u64 {
        self.scanned - self.offset
    }

    /// It was cut: it is a new file in an old inode.
    pub fn start_anew(&mut self) {
        (self.head, self.offset, self.scanned, self.delivered, self.safe) = (None, 0, 0, 0, 0);
        (self.held, self.tail, self.cut, self.hollow) = ([0; 2], Tail::default(), None, false);
        self.cuts += 1;
        self.noted = None;
        self.slot = (0, 0);
    }

    /// Reads complete lines, at least one if there is one and about `budget` bytes at most. Gives how many bytes it got
    /// through; stops at once where it finds that the file was written anew.
    pub fn read(
        &mut self,
        buffer: &mut [u8],
        budget: u64,
        take: &mut dyn FnMut(RawLine<'_>, FileId),
    ) -> io::Result<u64> {
        let from = self.offset;
        while self.offset - from < budget && self.scanned < self.size {
            if !self.hollow && self.unfinished() + OVERLAP as u64 >= buffer.len() as u64 {
                if !self.read_long(buffer, take)? {
                    break;
                }
                continue;
            }
            let overlap = self.tail.length;
            let read = read_up_to(&self.file, buffer, self.offset - overlap as u64)?;
            let whole = buffer.get(..read).unwrap_or_default();
            let bytes = whole.get(overlap..).unwrap_or_default();
            let head = bytes.get(..bytes.len().min(identity::HEAD_BYTES)).unwrap_or_default();
            let same_head = self.offset > 0 || self.head.is_none() || identity::head_of(head) == self.head;
            if whole.get(..overlap) != Some(self.tail.as_slice()) || !same_head {
                self.cut.get_or_insert(Cut::Rewritten);
                break;
            }
            if bytes.first() == Some(&0) {
                if self.pass_hole(bytes, read < buffer.len()) {
                    continue;
                }
                break;
            }
            self.hollow = false;
            let (start, mut at) = (self.offset, 0);
            while let Some(rest) = bytes.get(at..) {
                let Some(end) = memchr(b'\n', rest) else { break };
                let line = rest.get(..end).unwrap_or_default();
                self.give(RawLine { bytes: line, offset: start + at as u64, cut: 0 }, take);
                at += end + 1;
            }
            self.tail = Tail::of(whole.get(..overlap + at).unwrap_or_default());
            self.offset = start + at as u64;
            self.scanned = start + bytes.len() as u64;
            self.size = self.size.max(self.scanned);
            if read < buffer.len() {
                break;
            }
        }
        Ok(self.offset - from)
    }

    /// Zeros where a line should begin are a hole: what a writer leaves that goes on at its old offset after its file was
    /// cut, or a sparse file. There may be terabytes of them. `false` while nothing follows: they may not be all yet, or a
    /// network file system may show them where data is to come.
    fn pass_hole(&mut self, bytes: &[u8], at_end: bool) -> bool {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let after = self.offset + zeros as u64;
        let data = if zeros < bytes.len() {
            Some(after)
        } else if at_end {
            None
        } else {
            rustix::fs::seek(&self.file, SeekFrom::Data(after)).ok()
        };
        self.hollow = data.is_none();
        match data {
            Some(data) => (self.offset, self.scanned, self.tail) = (data, data, Tail::default()),
            None => self.scanned = self.size.max(after),
        }
        data.is_some()
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
        (self.offset, self.scanned, self.tail) = (end + 1, end + 1, Tail::default());
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
        if self.hollow {
            (self.offset, self.scanned) = (self.size, self.size);
            return Ok(length);
        }
        let read = read_up_to(&self.file, buffer, self.offset)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        self.give(RawLine { bytes, offset: self.offset, cut: length.saturating_sub(read as u64) }, take);
        (self.offset, self.scanned, self.tail) = (self.size, self.size, Tail::default());
        Ok(length)
    }

    fn give(&mut self, line: RawLine<'_>, take: &mut dyn FnMut(RawLine<'_>, FileId)) {
        let head = self.head.unwrap_or_else(|| {
            // After a hole it is not the first line by which the next run knows the file.
            let known = (line.offset > 0).then(|| identity::head_of_file(&self.file).ok().flatten());
            known.flatten().unwrap_or_else(|| identity::head_of_line(line.bytes))
        });
        self.head = Some(head);
        take(line, self.id_of(head));
    }

    /// Whether all of it is acknowledged and no half-joined record begins in it.
    pub(super) fn is_finished(&self) -> bool {
        self.drained && (self.id().is_none() || self.safe >= self.size)
    }
}
