//! What one scrape of a target leaves for the next: which text stands for which labels, which series there were, which
//! exemplars are stored and what is known of families.
//!
//! A scrape notes what it meets at once, and [`Memory::commit`] makes it count when the sink has taken it. What the sink refused
//! is as if it had not been: exemplars are new the next time, too, and a series that went is still to be marked.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parsers::record::{Labels, MetricKind, MetricMeta};
use rustc_hash::{FxHashMap, FxHashSet};

/// Series of all targets that are remembered, at some 500 bytes each. Those beyond are stored just as well; but nothing says
/// when they end, and their exemplars are stored with every scrape.
pub const MAX_REMEMBERED: usize = 200_000;

/// Names and values of one target that are shared by its labels.
const MAX_NAMES: usize = 100_000;
/// Families of one target that are remembered.
const MAX_FAMILIES: usize = 10_000;
/// Bytes of a family's help and unit that are kept.
const MAX_HELP: usize = 2048;
/// Series that are gone before the others are put together again.
const MANY_GONE: usize = 64;

/// In no group.
pub(super) const ALONE: u32 = u32::MAX;

/// A series of a page.
#[derive(Debug)]
pub(super) struct Known {
    pub text: Arc<str>,
    /// `None` if rules drop it.
    pub labels: Option<Arc<Labels>>,
    /// The scrape that saw it last.
    pub lap: u64,
    /// The page gives its times: nobody but the page knows when it ends.
    pub own_times: bool,
    /// It says since when the series of its group count.
    pub created: bool,
    /// Series that began together: a counter, or the buckets, sum and count of a histogram.
    pub group: u32,
    /// Hash of the exemplars that are stored; 0 is none.
    pub exemplars: u64,
    /// It is stored and has not ended.
    stored: bool,
}

/// What is known of a family.
#[derive(Debug)]
struct Family {
    meta: MetricMeta,
    told: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Memory {
    all: Arc<AtomicUsize>,
    known: Vec<Known>,
    by_text: FxHashMap<Arc<str>, u32>,
    groups: FxHashMap<u64, u32>,
    names: FxHashSet<Arc<str>>,
    families: HashMap<String, Family>,
    /// Series of who scraped this target before us, with other rules.
    inherited: Vec<Arc<Labels>>,
    pub lap: u64,
    /// Exemplars that this scrape stores.
    pending: Vec<(u32, u64)>,
    /// Where the next series is looked for first: pages keep their order.
    cursor: usize,
}

impl Memory {
    /// Of a target, which shares a number of remembered series with all others.
    pub fn new(all: Arc<AtomicUsize>, inherited: Vec<Arc<Labels>>) -> Self {
        Self {
            all,
            known: Vec::new(),
            by_text: FxHashMap::default(),
            groups: FxHashMap::default(),
            names: FxHashSet::default(),
            families: HashMap::new(),
            inherited,
            lap: 0,
            pending: Vec::new(),
            cursor: 0,
        }
    }

    /// A scrape begins.
    pub fn begin(&mut self) {
        self.lap += 1;
        self.cursor = 0;
        self.pending.clear();
    }

    /// The index of a series that was seen before.
    pub fn find(&mut self, text: &str) -> Option<u32> {
        let here = self.known.get(self.cursor).is_some_and(|known| &*known.text == text);
        let found = if here { self.cursor as u32 } else { *self.by_text.get(text)? };
        self.cursor = found as usize + 1;
        Some(found)
    }

    pub fn known(&mut self, index: u32) -> Option<&mut Known> {
        self.known.get_mut(index as usize)
    }

    /// Remembers a series that this scrape has seen; `None` if there are too many.
    pub fn remember(
        &mut self,
        text: &str,
        labels: Option<Arc<Labels>>,
        group: u32,
        created: bool,
    ) -> Option<u32> {
        if self.all.fetch_add(1, Ordering::Relaxed) >= MAX_REMEMBERED {
            self.all.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let text: Arc<str> = text.into();
        let index = self.known.len() as u32;
        self.by_text.insert(Arc::clone(&text), index);
        self.known.push(Known {
            text,
            labels,
            lap: self.lap,
            own_times: false,
            created,
            group,
            exemplars: 0,
            stored: false,
        });
        self.cursor = index as usize + 1;
        Some(index)
    }

    /// The group that has this hash, and how many there are.
    pub fn group(&mut self, hash: u64) -> u32 {
        let next = self.groups.len() as u32;
        *self.groups.entry(hash).or_insert(next)
    }

    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// A text that is shared by all labels in which it occurs.
    pub fn name(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.names.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        if self.names.len() < MAX_NAMES {
            self.names.insert(Arc::clone(&text));
        }
        text
    }

    /// Notes that these exemplars are stored with this scrape.
    pub fn storing(&mut self, index: u32, exemplars: u64) {
        self.pending.push((index, exemplars));
    }

    /// The series that are stored and that this scrape has not seen; none if it has not seen all that there are (`whole`).
    pub fn ended(&self, whole: bool) -> Vec<Arc<Labels>> {
        if !whole {
            return Vec::new();
        }
        let seen = |known: &Known| known.lap == self.lap;
        let mut ended: Vec<Arc<Labels>> = self
            .known
            .iter()
            .filter(|known| !seen(known) && known.stored && !known.own_times)
            .filter_map(|known| known.labels.clone())
            .collect();
        if !self.inherited.is_empty() {
            let still: FxHashSet<&Labels> = self
                .known
                .iter()
                .filter(|known| seen(known))
                .filter_map(|known| known.labels.as_deref())
                .collect();
            ended.extend(self.inherited.iter().filter(|labels| !still.contains(&***labels)).cloned());
        }
        ended
    }

    /// All series that are stored and have not ended: for who comes after, or for the end of the target.
    pub fn all(&self) -> Vec<Arc<Labels>> {
        let known = self.known.iter().filter(|known| known.stored && !known.own_times);
        known.filter_map(|known| known.labels.clone()).chain(self.inherited.iter().cloned()).collect()
    }

    /// The sink has taken what this scrape found.
    pub fn commit(&mut self, whole: bool) {
        for (index, exemplars) in std::mem::take(&mut self.pending) {
            if let Some(known) = self.known.get_mut(index as usize) {
                known.exemplars = exemplars;
            }
        }
        self.families.values_mut().for_each(|family| family.told = true);
        let mut gone = 0;
        for known in &mut self.known {
            known.stored = known.lap == self.lap || known.stored && !whole;
            gone += usize::from(!known.stored);
        }
        if whole {
            self.inherited = Vec::new();
        }
        if gone > self.known.len() / 4 + MANY_GONE {
            self.compact();
        }
    }

    /// Forgets what is gone.
    fn compact(&mut self) {
        let before = self.known.len();
        self.known.retain(|known| known.stored);
        self.all.fetch_sub(before - self.known.len(), Ordering::Relaxed);
        let texts = self.known.iter().enumerate();
        self.by_text = texts.map(|(index, known)| (Arc::clone(&known.text), index as u32)).collect();
        let mut used: Vec<u32> =
            self.known.iter().map(|known| known.group).filter(|group| *group != ALONE).collect();
        used.sort_unstable();
        used.dedup();
        let number = |group: u32| used.binary_search(&group).ok().map(|number| number as u32);
        self.groups.retain(|_, group| number(*group).map(|number| *group = number).is_some());
        for known in &mut self.known {
            known.group = number(known.group).unwrap_or(ALONE);
        }
        self.names.retain(|name| Arc::strong_count(name) > 1);
    }

    /// What a page says of a family.
    pub fn family(&mut self, name: &str, change: impl FnOnce(&mut MetricMeta) -> bool) {
        if let Some(family) = self.families.get_mut(name) {
            family.told &= !change(&mut family.meta);
            return;
        }
        if self.families.len() < MAX_FAMILIES && name.len() <= MAX_HELP {
            let mut meta = MetricMeta { name: name.to_owned(), ..MetricMeta::default() };
            change(&mut meta);
            self.families.insert(name.to_owned(), Family { meta, told: false });
        }
    }

    /// Families of which something is new.
    pub fn untold(&self) -> Vec<MetricMeta> {
        self.families.values().filter(|family| !family.told).map(|family| family.meta.clone()).collect()
    }

    /// Tells all families again with the next scrape: what is stored of them is dropped with its time.
    pub fn tell_again(&mut self) {
        self.families.values_mut().for_each(|family| family.told = false);
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.all.fetch_sub(self.known.len(), Ordering::Relaxed);
    }
}

/// Sets a family's kind; true if it was another.
pub(super) fn set_kind(meta: &mut MetricMeta, kind: MetricKind) -> bool {
    std::mem::replace(&mut meta.kind, kind) != kind
}

/// Sets a text of a family, cut if it is long; true if it was another.
pub(super) fn set_text(place: &mut String, text: &str) -> bool {
    let text = text.get(..text.floor_char_boundary(MAX_HELP)).unwrap_or_default();
    if place == text {
        return false;
    }
    text.clone_into(place);
    true
}
