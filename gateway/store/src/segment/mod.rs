//! Immutable files of one signal and day: compressed, checksummed blocks, a sorted trace index over them, and a footer that
//! says where all lies. The name says what is covered: `SIGNAL-DAY-FIRST-LAST.tfs`, journals `FIRST` to `LAST`; a segment
//! whose range lies within that of another of its signal and day was merged into it. What retention drops leaves a file of
//! the same form behind, `.tfx`, with the ids in its index and no blocks.

pub mod attributes;
mod calls;
mod dictionaries;
mod fill;
mod filter;
mod log_reader;
mod log_table;
mod merge;
mod reader;
mod seal;
mod services;
pub mod statistics;
mod summary;
mod texts;
mod times;
mod writer;

pub use calls::calls;
pub use fill::order;
pub use filter::{Filter, key};
pub use log_reader::LogReader;
pub use merge::{Dropped, MergeError, Removed, merge};
pub use reader::{Segment, parse_trailer, read};
pub use seal::seal;
pub use services::Services;
pub use summary::{Asked, Summary};
pub use texts::{Holding, Literal};
pub use times::SpanRows;
pub use writer::Writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parsers::record::Labels;

use crate::codec::{Damaged, Input, Output};
use crate::read::Signal;

/// First bytes of a segment; the byte after is the version.
pub const MAGIC: &[u8; 7] = b"tfsegmt";
/// Version of everything in a segment. From 2 on a footer lists sections; from 3 on blocks of logs are in parts, beside which there
/// may be some of earlier versions.
pub const VERSION: u8 = 3;
/// Footer offset, its length and checksum, magic and version.
const TRAILER: usize = 8 + 4 + 4 + 8;
/// No block is near this once unpacked; a longer one is damage, and is not allocated.
const MAX_BLOCK: usize = 512 << 20;
/// Blocks whose summaries are read together: about half a megabyte.
pub const SUMMARIES: usize = 512;
/// Nanoseconds.
pub const DAY: u64 = 86_400_000_000_000;

/// What a segment's name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// Which signal.
    pub signal: Signal,
    /// Days since 1970.
    pub day: u64,
    /// First journal covered.
    pub first: u64,
    /// Last journal covered.
    pub last: u64,
}

impl Name {
    /// Extension of segments.
    pub const SEGMENT: &str = "tfs";
    /// Extension of what is left of dropped ones.
    pub const EXPIRED: &str = "tfx";

    /// Where its file of this extension lies.
    pub fn path(&self, dir: &Path, extension: &str) -> PathBuf {
        dir.join(self.stem()).with_extension(extension)
    }

    /// The file's name, less its extension.
    pub fn stem(&self) -> String {
        let signal = match self.signal {
            Signal::Logs => "logs",
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
        };
        format!("{signal}-{:05}-{:08}-{:08}", self.day, self.first, self.last)
    }

    /// Reads [`Name::stem`].
    pub fn parse(stem: &str) -> Option<Self> {
        let mut parts = stem.split('-');
        let signal = match parts.next()? {
            "logs" => Signal::Logs,
            "traces" => Signal::Traces,
            "metrics" => Signal::Metrics,
            _ => return None,
        };
        let mut number = || parts.next()?.parse().ok();
        Some(Self { signal, day: number()?, first: number()?, last: number()? })
    }

    /// Whether the other one was merged into this.
    pub fn replaces(&self, other: &Self) -> bool {
        self != other
            && (self.signal, self.day) == (other.signal, other.day)
            && self.first <= other.first
            && other.last <= self.last
    }
}

/// Where bytes lie in a file, and what they hash to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extent {
    /// First byte.
    pub offset: u64,
    /// How many.
    pub length: u32,
    /// CRC-32.
    pub checksum: u32,
}

impl Extent {
    /// Writes it.
    pub fn encode(&self, out: &mut Output) {
        out.varint(self.offset);
        out.varint(u64::from(self.length));
        out.varint(u64::from(self.checksum));
    }

    /// Reads [`Extent::encode`] back.
    pub fn decode(input: &mut Input<'_>) -> Result<Self, Damaged> {
        Ok(Self { offset: input.varint()?, length: input.varint32()?, checksum: input.varint32()? })
    }
}

/// What the footer says of a block.
#[derive(Debug, Clone, Copy)]
pub struct Block {
    extent: Extent,
    /// Bytes once unpacked.
    pub raw: u32,
    /// Index into [`Footer::streams`], for logs.
    pub stream: u32,
    /// Oldest record.
    pub first: u64,
    /// Newest record.
    pub last: u64,
    /// Records.
    pub records: u32,
}

impl Block {
    /// Where it lies.
    pub fn extent(&self) -> Extent {
        self.extent
    }
}

/// A service with its operations.
pub type Service = (Arc<str>, Vec<Arc<str>>);

/// What is held in memory of an open segment.
#[derive(Debug, Default)]
pub struct Footer {
    /// Oldest record.
    pub first: u64,
    /// Newest record.
    pub last: u64,
    /// Blocks, in order.
    pub blocks: Vec<Block>,
    /// Streams of log blocks.
    pub streams: Vec<Arc<Labels>>,
    /// Services of spans, sorted.
    pub services: Vec<Service>,
    /// First key and place of each group of the trace index.
    groups: Vec<(u32, Extent)>,
    /// Ids in it.
    pub filter: Filter,
    /// What else is known of its records, where it lies: each is read when it is asked for. A number that is not known here
    /// is passed over, so that a section can be added without a new version.
    sections: Vec<(u32, Extent)>,
}

/// What a segment may hold beside its blocks and the index over their traces; the number is what the file has. Any of them may be
/// missing; one that grows with the segment comes in several parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Section {
    /// Attributes of spans with their values.
    SpanStatistics = 1,
    /// What each block of spans may hold; a part for every [`SUMMARIES`] blocks.
    SpanBlocks = 2,
    /// Which texts may occur in the lines of which block.
    Texts = 3,
    /// Who called whom ([`crate::calls`]).
    Calls = 4,
    /// When spans ran, and in which blocks those lie.
    SpanTimes = 8,
    /// What blocks of logs share: trace ids and dictionaries.
    LogTable = 9,
    /// Series with their labels and chunks ([`crate::samples`]); a part for so many.
    SampleSeries = 16,
    /// Values of labels with the series that have them, sorted; a part for so many bytes.
    SampleValues = 17,
    /// How many series there are, and the first value of each part of [`Section::SampleValues`].
    SampleKeys = 18,
    /// What was said of metric families.
    Families = 19,
    /// Says of a segment of metrics that it has exemplars alone. Earlier versions wrote samples into the same blocks.
    NoSamples = 20,
}

impl Footer {
    fn encode(&self, out: &mut Output) {
        out.varint(self.first);
        out.varint(self.last);
        out.varint(self.streams.len() as u64);
        self.streams.iter().for_each(|s| out.labels(s));
        out.varint(self.services.len() as u64);
        for (service, operations) in &self.services {
            out.bytes(service.as_bytes());
            out.varint(operations.len() as u64);
            operations.iter().for_each(|o| out.bytes(o.as_bytes()));
        }
        out.varint(self.blocks.len() as u64);
        for b in &self.blocks {
            b.extent.encode(out);
            out.varint(u64::from(b.raw));
            out.varint(u64::from(b.stream));
            out.varint(b.first);
            out.delta(b.first, b.last);
            out.varint(u64::from(b.records));
        }
        out.varint(self.groups.len() as u64);
        for (key, extent) in &self.groups {
            out.varint(u64::from(*key));
            extent.encode(out);
        }
        self.filter.encode(out);
        out.varint(self.sections.len() as u64);
        for (number, extent) in &self.sections {
            out.varint(u64::from(*number));
            extent.encode(out);
        }
    }

    fn decode(input: &mut Input<'_>, version: u8) -> Result<Self, Damaged> {
        let mut footer = Self { first: input.varint()?, last: input.varint()?, ..Self::default() };
        for _ in 0..input.count()? {
            footer.streams.push(Arc::new(input.labels()?));
        }
        for _ in 0..input.count()? {
            let service = Arc::from(input.text()?);
            let operations =
                (0..input.count()?).map(|_| input.text().map(Arc::from)).collect::<Result<_, _>>()?;
            footer.services.push((service, operations));
        }
        for _ in 0..input.count()? {
            let extent = Extent::decode(input)?;
            let (raw, stream, first) = (input.varint32()?, input.varint32()?, input.varint()?);
            let last = input.delta(first)?;
            footer.blocks.push(Block { extent, raw, stream, first, last, records: input.varint32()? });
        }
        for _ in 0..input.count()? {
            footer.groups.push((input.varint32()?, Extent::decode(input)?));
        }
        footer.filter = Filter::decode(input)?;
        if version >= 2 {
            for _ in 0..input.count()? {
                footer.sections.push((input.varint32()?, Extent::decode(input)?));
            }
        }
        Ok(footer)
    }
}
