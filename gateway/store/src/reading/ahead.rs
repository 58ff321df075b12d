//! Blocks of a segment of spans in order, unpacked and decoded by a few threads ahead of whoever looks at them.

use std::ops::ControlFlow;
use std::sync::mpsc::sync_channel;
use std::thread::{Builder, available_parallelism};

use memchr::memmem::Finder;
use parsers::record::Batch;

use crate::segment::Segment;
use crate::store::Inner;

/// Threads of one query: what looks at the spans keeps no more of them busy.
const MAX_THREADS: usize = 4;
/// Blocks that each holds ready; they are of about 150 KB.
const AHEAD: usize = 2;
/// Fewer blocks are read sooner than threads begin.
const FEW: usize = 8;

/// How many of them there are.
pub(super) fn threads() -> usize {
    available_parallelism().map_or(1, usize::from).min(MAX_THREADS)
}

/// A block that was read.
pub(super) struct Loaded {
    pub(super) number: usize,
    /// `None` if it lacks what a wanted span must hold, or is damaged.
    pub(super) batch: Option<Batch>,
    /// Bytes of it, unpacked, if they were looked at for nothing.
    pub(super) lacking: u64,
    pub(super) damaged: bool,
}

fn load(inner: &Inner, segment: &Segment, number: usize, finders: &[Finder<'_>]) -> Loaded {
    let mut loaded = Loaded { number, batch: None, lacking: 0, damaged: false };
    let read = segment.unpacked(number).and_then(|body| {
        if finders.iter().any(|finder| finder.find(&body).is_none()) {
            loaded.lacking = body.len() as u64;
            return Ok(None);
        }
        segment.decode(&body).map(Some)
    });
    match read {
        Ok(batch) => loaded.batch = batch,
        Err(_) => {
            inner.tell_damaged(segment, number);
            loaded.damaged = true;
        }
    }
    loaded
}

/// Hands these blocks over, one after the other, until told to stop; those that say so only if they hold what is looked for.
pub(super) fn read(
    inner: &Inner,
    segment: &Segment,
    numbers: &[(usize, bool)],
    finders: &[Finder<'_>],
    each: &mut dyn FnMut(Loaded) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let threads = threads();
    let load = |(number, looked_through): (usize, bool)| {
        load(inner, segment, number, if looked_through { finders } else { &[] })
    };
    if numbers.len() < FEW || threads < 2 {
        return numbers.iter().try_for_each(|number| each(load(*number)));
    }
    std::thread::scope(|scope| {
        let mut ends = Vec::new();
        for first in 0..threads {
            let (sender, end) = sync_channel(AHEAD);
            let share = numbers.iter().skip(first).step_by(threads);
            let work = move || {
                for number in share {
                    // Nobody wants more once the other end is gone.
                    if sender.send(load(*number)).is_err() {
                        return;
                    }
                }
            };
            // Without a thread its share is read here.
            ends.push(Builder::new().name("store-read".into()).spawn_scoped(scope, work).ok().map(|_| end));
        }
        for (at, number) in numbers.iter().enumerate() {
            let ahead = ends.get(at % threads).and_then(Option::as_ref).and_then(|end| end.recv().ok());
            each(ahead.unwrap_or_else(|| load(*number)))?;
        }
        ControlFlow::Continue(())
    })
}
