//! Unpacking frames of lines with the dictionaries of their segments.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use moka::sync::Cache;
use zstd::zstd_safe::{DCtx, DDict};

use super::{Extent, MAX_BLOCK, Segment};
use crate::codec::Damaged;

/// Dictionaries that are kept, with the tables that are made of them: 60 KB each. A look-up by an id reads with those of a few seals,
/// another one with those of others.
const KEPT: u64 = 64;

/// What tells dictionaries apart, whatever store they are of.
type Key = (super::Name, u64, u32);

/// Those that were read lately.
static LATELY: LazyLock<Cache<Key, Arc<DDict<'static>>>> = LazyLock::new(|| Cache::new(KEPT));

thread_local! {
    /// Making one costs as much as unpacking a frame.
    static UNPACKER: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
}

/// Unpacks what had so many bytes and was packed with the dictionary that lies there in a segment.
pub fn unpack_with(
    segment: &Segment,
    dictionary: Extent,
    packed: &[u8],
    size: usize,
) -> Result<Vec<u8>, Damaged> {
    if size > MAX_BLOCK {
        return Err(Damaged);
    }
    let read = || segment.read_part(dictionary).map(|content| Arc::new(DDict::create(&content)));
    let key = (segment.name, dictionary.offset, dictionary.checksum);
    let dictionary = LATELY.try_get_with(key, read).map_err(|damaged| *damaged)?;
    let mut body = Vec::with_capacity(size);
    UNPACKER
        .with_borrow_mut(|unpacker| unpacker.decompress_using_ddict(&mut body, packed, &dictionary))
        .map_err(|_| Damaged)?;
    Ok(body)
}
