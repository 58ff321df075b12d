//! What is known of series before the head in hand: a sample that is not newer than all of its series may lie in the head that is
//! being sealed, or in a segment. It is seldom asked for; what most series need to know is that nothing matters any more.

use std::cell::RefCell;

use parsers::record::Labels;

use super::head::Head;
use super::indexed::{Indexed, Pages};
use super::postings::resolve;
use super::series::{Value, Whole};
use crate::codec::Damaged;
use crate::read::{Matcher, Window};

/// What was newest when the last head was sealed.
#[derive(Debug, Default)]
pub struct Sealed {
    /// Newest sample of each series of that head, by the hash of its labels, sorted.
    newest: Vec<(u64, u64)>,
    /// Newest sample of that head.
    last: u64,
    /// Newest sample of all that was sealed before it.
    before: u64,
}

impl Sealed {
    /// Nothing is known but the newest sample of segments.
    pub fn until(last: u64) -> Self {
        Self { newest: Vec::new(), last: 0, before: last }
    }

    /// After this head, too.
    pub fn then(&self, head: &Head) -> Self {
        let series = |number: u32| head.series.get(number as usize);
        let newest = head.index.each_hash().filter_map(|(hash, number)| {
            let held = series(number).filter(|held| !held.is_empty())?;
            Some((hash, held.newest_of_all()))
        });
        let mut newest: Vec<(u64, u64)> = newest.collect();
        newest.sort_unstable();
        let last = newest.iter().map(|(_, newest)| *newest).max().unwrap_or(0);
        Self { newest, last, before: self.before.max(self.last) }
    }

    /// The newest sample of the series with this hash, 0 if it had none in the last head.
    fn of(&self, hash: u64) -> u64 {
        let from = self.newest.partition_point(|(of, _)| *of < hash);
        let equal = self.newest.iter().skip(from).take_while(|(of, _)| *of == hash);
        equal.map(|(_, newest)| *newest).max().unwrap_or(0)
    }
}

/// All that was before a head.
#[derive(Debug, Clone, Copy)]
pub struct Before<'a> {
    /// The head that is being sealed.
    pub frozen: Option<&'a Head>,
    /// What was sealed.
    pub sealed: &'a Sealed,
}

impl Before<'_> {
    /// Whether all samples of a series from before are older than `time`; `false` if only a look at them can tell.
    pub fn is_older(&self, labels: &Labels, hash: u64, time: u64) -> bool {
        let of_head = |head: &Head| head.held().newest.unwrap_or(0);
        let sealed = self.sealed.last.max(self.sealed.before);
        let frozen = self.frozen.map_or(0, of_head);
        if time > sealed.max(frozen) {
            return true;
        }
        if let Some(head) = self.frozen.filter(|_| time <= frozen)
            && let (_, Some(number)) = head.index.find(labels)
            && let Some(held) = head.series.get(number as usize).filter(|held| !held.is_empty())
            && held.newest_of_all() >= time
        {
            return false;
        }
        time > sealed || (time > self.sealed.before && time > self.sealed.of(hash))
    }
}

/// The newest sample of a series from before.
#[derive(Debug, Default)]
pub struct Newest {
    /// When; 0 if there is none.
    pub time: u64,
    value: Whole,
}

impl Newest {
    /// What it says.
    pub fn value(&self) -> Option<Value<'_>> {
        self.value.at(self.time)
    }

    /// Of the series with these labels among what was before; samples older than `time` do not matter. What is damaged is not
    /// there.
    pub fn find(
        labels: &Labels,
        time: u64,
        frozen: Option<&Head>,
        segments: &[std::sync::Arc<Indexed>],
        pages: &Pages,
    ) -> Self {
        let mut newest = Self::default();
        let matchers: Vec<Matcher> = labels.iter().map(|(name, value)| Matcher::equal(name, value)).collect();
        let in_time = segments.iter().filter(|indexed| indexed.segment.footer.last >= time);
        for indexed in in_time {
            // Reading tells of damage.
            let _ = newest.in_segment(labels, &matchers, indexed, pages);
        }
        if let Some(head) = frozen
            && let (_, Some(number)) = head.index.find(labels)
            && let Some(held) = head.series.get(number as usize).filter(|held| !held.is_empty())
            && held.newest > newest.time
        {
            newest = Self { time: held.newest, value: Whole::default() };
            let at = Window { start: held.newest, end: held.newest.saturating_add(1) };
            let _ = held.read(&head.room, at, &mut newest.value);
        }
        newest
    }

    fn in_segment(
        &mut self,
        labels: &Labels,
        matchers: &[Matcher],
        indexed: &Indexed,
        pages: &Pages,
    ) -> Result<(), Damaged> {
        let numbers = resolve(&indexed.postings(pages), matchers)?;
        let newest = RefCell::new(self);
        indexed.visit(&numbers, pages, &mut |found, places| {
            let mut newest = newest.borrow_mut();
            let last = places.iter().map(|place| place.last).max().unwrap_or(0);
            if last <= newest.time || !labels.iter().eq(found.iter().copied()) {
                return Ok(());
            }
            newest.time = last;
            newest.value = Whole::default();
            let at = Window { start: last, end: last.saturating_add(1) };
            indexed.read_chunks(places, at, pages, &mut newest.value)
        })
    }
}
