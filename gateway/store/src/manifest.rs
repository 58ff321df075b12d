//! The one small file that says how far sealing has come: journals up to `sealed` are in segments. It is replaced at once,
//! after the segments are in place and before the journals go, so that a crash between doubles nothing and loses nothing.
//! It carries the table of positions, since the journals that moved them are about to be deleted. A copy is kept beside it,
//! for the day on which a disk forgets a few bits.

use std::fs;
use std::io;
use std::path::Path;

use parsers::record::Position;

use crate::codec::{Damaged, Input, Output, decode_positions, encode_positions};
use crate::disk;
use crate::options::OpenError;

const MAGIC: &[u8; 7] = b"tfmanif";
const VERSION: u8 = 1;

/// What is in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Journals up to this number are in segments, and segments made of later ones are unfinished.
    pub sealed: u64,
    /// The table of positions.
    pub positions: Vec<Position>,
}

/// The file, and its copy.
const FILES: [&str; 2] = ["manifest", "manifest-copy"];

/// Replaces it, then its copy.
pub fn write(dir: &Path, manifest: &Manifest) -> io::Result<()> {
    let mut body = Output::default();
    body.varint(manifest.sealed);
    encode_positions(&manifest.positions, &mut body);
    let mut bytes = MAGIC.to_vec();
    bytes.push(VERSION);
    bytes.extend_from_slice(&crc32fast::hash(body.as_bytes()).to_le_bytes());
    bytes.extend_from_slice(body.as_bytes());
    FILES.iter().try_for_each(|file| disk::replace(&dir.join(file), &bytes))
}

/// What was found of a manifest.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// The newest one that can be read; empty if there is none.
    pub manifest: Manifest,
    /// A file was there and could not be read.
    pub damaged: bool,
}

/// Reads it, or the copy when it is damaged.
pub fn read(dir: &Path) -> Result<Found, OpenError> {
    let mut damaged = false;
    for name in FILES {
        let file = dir.join(name);
        let bytes = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(OpenError::Io { action: "read", path: file, source }),
        };
        if let (true, Some(&found)) = (bytes.starts_with(MAGIC), bytes.get(MAGIC.len()))
            && found > VERSION
        {
            return Err(OpenError::Version { file, found, known: VERSION });
        }
        match parse(&bytes) {
            Ok(manifest) => return Ok(Found { manifest, damaged }),
            Err(Damaged) => damaged = true,
        }
    }
    Ok(Found { manifest: Manifest::default(), damaged })
}

fn parse(bytes: &[u8]) -> Result<Manifest, Damaged> {
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
    Ok(Manifest { sealed: input.varint()?, positions: decode_positions(&mut input)? })
}
