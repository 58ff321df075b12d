//! The one small file that says how far sweeping has come: segments of journals up to `swept` hold no record of a dropped
//! trace, but for those that could not be read whole. A copy lies beside it.

use std::fs;
use std::io;
use std::path::Path;

use crate::codec::{Damaged, Input, Output};
use crate::disk;
use crate::options::OpenError;
use crate::segment::Name;

const MAGIC: &[u8; 7] = b"tffront";
const VERSION: u8 = 1;
/// The file, and its copy.
const FILES: [&str; 2] = ["frontier", "frontier-copy"];

/// What is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    /// Journals up to this one.
    pub swept: u64,
    /// Segments of them that could not be swept: what they hold of dropped traces is hidden from readers.
    pub hidden: Vec<Name>,
}

impl Frontier {
    /// Whether a segment may hold records of dropped traces.
    pub fn is_unswept(&self, name: &Name) -> bool {
        name.last > self.swept || self.hidden.contains(name)
    }
}

/// Replaces it, then its copy.
pub fn write(dir: &Path, frontier: &Frontier) -> io::Result<()> {
    let mut body = Output::default();
    body.varint(frontier.swept);
    body.varint(frontier.hidden.len() as u64);
    frontier.hidden.iter().for_each(|name| body.bytes(name.stem().as_bytes()));
    let mut bytes = MAGIC.to_vec();
    bytes.push(VERSION);
    bytes.extend_from_slice(&crc32fast::hash(body.as_bytes()).to_le_bytes());
    bytes.extend_from_slice(body.as_bytes());
    FILES.iter().try_for_each(|file| disk::replace(&dir.join(file), &bytes))
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// There was none yet.
    Nothing,
    /// There were some, and none that can be read.
    Damaged,
    /// The newest one that can be read.
    Whole(Frontier),
}

/// Reads it, or the copy when it is damaged.
pub fn read(dir: &Path) -> Result<Found, OpenError> {
    let mut found = Found::Nothing;
    for name in FILES {
        let file = dir.join(name);
        let bytes = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(OpenError::Io { action: "read", path: file, source }),
        };
        if let (true, Some(&version)) = (bytes.starts_with(MAGIC), bytes.get(MAGIC.len()))
            && version > VERSION
        {
            return Err(OpenError::Version { file, found: version, known: VERSION });
        }
        match parse(&bytes) {
            Ok(frontier) => return Ok(Found::Whole(frontier)),
            Err(Damaged) => found = Found::Damaged,
        }
    }
    Ok(found)
}

fn parse(bytes: &[u8]) -> Result<Frontier, Damaged> {
    let mut input = Input::new(bytes);
    if input.raw(MAGIC.len())? != MAGIC || input.byte()? != VERSION {
        return Err(Damaged);
    }
    let checksum = u32::from_le_bytes(input.raw(4)?.try_into().map_err(|_| Damaged)?);
    let body = input.raw(input.left())?;
    if crc32fast::hash(body) != checksum {
        return Err(Damaged);
    }
    let mut input = Input::new(body);
    let mut frontier = Frontier { swept: input.varint()?, hidden: Vec::new() };
    for _ in 0..input.count()? {
        frontier.hidden.push(Name::parse(input.text()?).ok_or(Damaged)?);
    }
    Ok(frontier)
}
