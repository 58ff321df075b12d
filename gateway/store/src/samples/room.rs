//! Where the samples of a head lie: chunks one behind the other in slabs, newest samples in places of one size. Nothing is moved
//! or freed before all of it is, so that a million series cost the allocator some hundred slabs.

use parsers::record::Sample;

use crate::codec::{Input, Output};

/// Bytes of a slab: few, and large enough to be given back to the operating system.
const SLAB: usize = 1 << 20;
/// Samples that are held as they are before they become a chunk: a quarter of a kilobyte for each of a million series.
pub const OPEN: usize = 16;
/// Bytes at most of what leads from a chunk to the one before it.
const LINK: usize = 10;
/// Samples of a slab.
const SLAB_SAMPLES: usize = SLAB / size_of::<Sample>();

/// Chunks and newest samples.
#[derive(Debug, Default)]
pub struct Room {
    chunks: Vec<Vec<u8>>,
    places: Vec<Vec<Sample>>,
    places_taken: u32,
}

/// Where a chunk lies, in order of arrival; none lies at 0.
pub type At = u64;

impl Room {
    /// Keeps a chunk, far less than a megabyte, behind the one at `before`, 0 if it is the first; gives where it is.
    pub fn keep(&mut self, before: At, chunk: &[u8]) -> At {
        let most = chunk.len() + LINK;
        if self.chunks.last().is_none_or(|slab| slab.capacity() - slab.len() < most) {
            self.chunks.push(Vec::with_capacity(SLAB.max(most)));
        }
        let slab = self.chunks.len().saturating_sub(1);
        let Some(bytes) = self.chunks.last_mut() else { return 0 };
        let at = (slab * SLAB + bytes.len() + 1) as At;
        let mut link = Output::default();
        link.varint(if before == 0 { 0 } else { at - before });
        bytes.extend_from_slice(link.as_bytes());
        bytes.extend_from_slice(chunk);
        at
    }

    /// The chunk that was kept there, with what lies behind it, and where the one before it is.
    pub fn chunk(&self, at: At) -> Option<(At, Input<'_>)> {
        let place = usize::try_from(at).ok()?.checked_sub(1)?;
        let mut bytes = Input::new(self.chunks.get(place / SLAB)?.get(place % SLAB..)?);
        let back = bytes.varint().ok()?;
        Some((if back == 0 { 0 } else { at.saturating_sub(back) }, bytes))
    }

    /// A place for [`OPEN`] samples.
    pub fn place(&mut self) -> u32 {
        let place = self.places_taken;
        if self.places.len() <= place as usize * OPEN / SLAB_SAMPLES {
            self.places.push(vec![Sample { time: 0, value: 0.0 }; SLAB_SAMPLES]);
        }
        self.places_taken += 1;
        place
    }

    /// The samples of a place.
    pub fn open(&self, place: u32) -> &[Sample] {
        let from = place as usize * OPEN;
        let slab = self.places.get(from / SLAB_SAMPLES).map(Vec::as_slice).unwrap_or_default();
        slab.get(from % SLAB_SAMPLES..from % SLAB_SAMPLES + OPEN).unwrap_or_default()
    }

    /// The same, to be written.
    pub fn open_mut(&mut self, place: u32) -> &mut [Sample] {
        let from = place as usize * OPEN;
        let slab = self.places.get_mut(from / SLAB_SAMPLES).map(Vec::as_mut_slice).unwrap_or_default();
        slab.get_mut(from % SLAB_SAMPLES..from % SLAB_SAMPLES + OPEN).unwrap_or_default()
    }
}
