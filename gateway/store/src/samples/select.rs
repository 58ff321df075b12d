//! Reading by series, wherever the samples lie: segments in the order of their journals, then heads. What was written first wins
//! where one series has two samples of one time, as Prometheus has it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use parsers::record::{Labels, MetricMeta, NativeHistogram, Sample};
use rustc_hash::FxHashMap;

use super::Samples;
use super::head::Head;
use super::indexed::{Indexed, Place};
use super::postings::{resolve, resolve_any};
use super::series::Whole;
use crate::codec::Damaged;
use crate::read::{Matcher, ReadError, SampleLimits, SeriesSamples, Window};

/// What a histogram counts in samples: this many bytes make one.
const SAMPLE_BYTES: usize = size_of::<Sample>();

/// Series as they are found, by their labels.
pub(crate) struct Gathered<'a> {
    /// Of series that are wanted.
    pub(crate) matchers: &'a [Matcher],
    /// When.
    pub(crate) window: Window,
    limits: SampleLimits,
    places: FxHashMap<Arc<Labels>, usize>,
    series: Vec<SeriesSamples>,
    held: u64,
}

impl<'a> Gathered<'a> {
    /// Nothing yet.
    pub(crate) fn new(matchers: &'a [Matcher], window: Window, limits: SampleLimits) -> Self {
        Self { matchers, window, limits, places: FxHashMap::default(), series: Vec::new(), held: 0 }
    }

    fn hold(&mut self, samples: u64) -> Result<(), ReadError> {
        self.held += samples;
        if self.held > self.limits.samples {
            return Err(ReadError::TooMany { what: "samples", limit: self.limits.samples });
        }
        Ok(())
    }

    /// Where a series is gathered.
    fn place(&mut self, labels: Arc<Labels>) -> Result<usize, ReadError> {
        if let Some(place) = self.places.get(&labels) {
            return Ok(*place);
        }
        if self.series.len() >= self.limits.series {
            return Err(ReadError::TooMany { what: "series", limit: self.limits.series as u64 });
        }
        self.places.insert(Arc::clone(&labels), self.series.len());
        self.series.push(SeriesSamples { labels, ..SeriesSamples::default() });
        Ok(self.series.len() - 1)
    }

    /// Takes what one place holds of a series, in any order of time.
    pub(crate) fn take(&mut self, labels: Arc<Labels>, mut whole: Whole) -> Result<(), ReadError> {
        let window = self.window;
        whole.samples.retain(|sample| window.contains(sample.time));
        whole.histograms.retain(|(time, _)| window.contains(*time));
        if whole.samples.is_empty() && whole.histograms.is_empty() {
            return Ok(());
        }
        let number = self.place(labels)?;
        self.hold(whole.samples.len() as u64)?;
        let mut read = Vec::with_capacity(whole.histograms.len());
        for (time, body) in whole.histograms {
            let Ok(Some(histogram)) = NativeHistogram::decode(&body) else { continue };
            let buckets = histogram.positive.len() + histogram.negative.len();
            self.hold(((size_of::<NativeHistogram>() + 16 * buckets) / SAMPLE_BYTES) as u64)?;
            read.push((time, Arc::new(histogram)));
        }
        if let Some(series) = self.series.get_mut(number) {
            if series.samples.is_empty() {
                series.samples = whole.samples;
            } else {
                series.samples.append(&mut whole.samples);
            }
            series.histograms.append(&mut read);
        }
        Ok(())
    }

    /// All that was taken, sorted by labels, each time once.
    pub(crate) fn finish(mut self) -> Vec<SeriesSamples> {
        for series in &mut self.series {
            if !series.samples.is_sorted_by(|a, b| a.time < b.time) {
                series.samples.sort_by_key(|sample| sample.time);
                series.samples.dedup_by_key(|sample| sample.time);
            }
            if !series.histograms.is_sorted_by(|a, b| a.0 < b.0) {
                series.histograms.sort_by_key(|(time, _)| *time);
                series.histograms.dedup_by_key(|(time, _)| *time);
            }
        }
        self.series.sort_by(|a, b| a.labels.cmp(&b.labels));
        self.series
    }
}

/// Why a part of a segment was not read to its end.
enum Ended {
    Damaged,
    Read(ReadError),
}

impl From<Damaged> for Ended {
    fn from(_: Damaged) -> Self {
        Self::Damaged
    }
}

/// Whether one of the chunks has samples in a window, as far as their times tell.
fn touches(places: &[Place], window: Window) -> bool {
    places.iter().any(|place| window.touches(place.first, place.last))
}

fn shared(labels: &[(&str, &str)]) -> Arc<Labels> {
    Arc::new(Labels::new(labels.iter().copied()))
}

impl Samples {
    /// Visits segments that may hold samples of a window, then heads. A damaged segment is told and passed over.
    fn each(
        &self,
        window: Window,
        mut of_segment: impl FnMut(&Indexed) -> Result<(), Ended>,
        mut of_head: impl FnMut(&Head) -> Result<(), Ended>,
    ) -> Result<(), ReadError> {
        let (segments, frozen) = self.read(|view| (view.segments.clone(), view.frozen.clone()));
        let tell = |what: &str| {
            self.counters.damaged_blocks.fetch_add(1, Relaxed);
            tracing::error!(file = what, "damaged samples are passed over");
        };
        let mut of_segment = |indexed: &Indexed| {
            let footer = &indexed.segment.footer;
            if !window.touches(footer.first, footer.last) {
                return Ok(());
            }
            match of_segment(indexed) {
                Err(Ended::Damaged) => tell(&indexed.segment.name.stem()),
                Err(Ended::Read(error)) => return Err(error),
                Ok(()) => {}
            }
            Ok(())
        };
        segments.iter().try_for_each(|indexed| of_segment(indexed))?;
        let sealed = segments.iter().map(|indexed| indexed.segment.name.last);
        let seen = sealed.chain(frozen.iter().map(|head| head.journals.1)).max().unwrap_or(0);
        let mut of_head = |head: &Head| match of_head(head) {
            Err(Ended::Damaged) => {
                tell("in memory");
                Ok(())
            }
            Err(Ended::Read(error)) => Err(error),
            Ok(()) => Ok(()),
        };
        if let Some(head) = &frozen {
            of_head(head)?;
        }
        self.read(|view| {
            // What was frozen, or even sealed, meanwhile is no longer in the active head.
            let mut new = view.segments.iter().filter(|indexed| indexed.segment.name.first > seen);
            new.try_for_each(|indexed| of_segment(indexed))?;
            let meanwhile =
                view.frozen.as_ref().filter(|now| frozen.as_ref().is_none_or(|then| !Arc::ptr_eq(now, then)));
            meanwhile.map_or(Ok(()), |head| of_head(head))?;
            of_head(&view.active)
        })
    }

    /// Gathers the samples of the series that are wanted.
    pub(crate) fn gather(&self, gathered: &mut Gathered<'_>) -> Result<(), ReadError> {
        let (matchers, window) = (gathered.matchers, gathered.window);
        let room = std::cell::RefCell::new(gathered);
        let take =
            |labels: Arc<Labels>, whole: Whole| room.borrow_mut().take(labels, whole).map_err(Ended::Read);
        self.each(
            window,
            |indexed| {
                let numbers = resolve(&indexed.postings(&self.pages), matchers)?;
                let mut refused = None;
                indexed.visit(&numbers, &self.pages, &mut |labels, places| {
                    if refused.is_some() || !touches(places, window) {
                        return Ok(());
                    }
                    let mut whole = Whole::default();
                    indexed.read_chunks(places, window, &self.pages, &mut whole)?;
                    match take(shared(labels), whole) {
                        Err(Ended::Read(error)) => refused = Some(error),
                        Err(Ended::Damaged) => return Err(Damaged),
                        Ok(()) => {}
                    }
                    Ok(())
                })?;
                refused.map_or(Ok(()), |error| Err(Ended::Read(error)))
            },
            |head| {
                for number in resolve(&head.index, matchers)? {
                    let Some(held) = head.series.get(number as usize) else { continue };
                    if held.is_empty() || !window.touches(held.oldest, held.newest) {
                        continue;
                    }
                    let mut whole = Whole::default();
                    held.read(&head.room, window, &mut whole)?;
                    take(Arc::new(head.index.labels(number)), whole)?;
                }
                Ok(())
            },
        )
    }

    /// Whether a segment or a head that touches a window has a series that meets all matchers.
    pub(crate) fn any(&self, matchers: &[Matcher], window: Window) -> Result<bool, ReadError> {
        let found = std::cell::Cell::new(false);
        self.each(
            window,
            |indexed| {
                found.set(found.get() || !resolve(&indexed.postings(&self.pages), matchers)?.is_empty());
                Ok(())
            },
            |head| {
                if !found.get() {
                    let numbers = resolve(&head.index, matchers)?;
                    found.set(numbers.iter().any(|number| is_in(head, *number, window)));
                }
                Ok(())
            },
        )?;
        Ok(found.get())
    }

    /// Adds the label sets of series with samples in a window that meet any of the selectors.
    pub(crate) fn label_sets(
        &self,
        selectors: &[Vec<Matcher>],
        window: Window,
        into: &mut BTreeSet<Arc<Labels>>,
    ) -> Result<(), ReadError> {
        let into = std::cell::RefCell::new(into);
        self.each(
            window,
            |indexed| {
                let numbers = resolve_any(&indexed.postings(&self.pages), selectors)?;
                Ok(indexed.visit(&numbers, &self.pages, &mut |labels, places| {
                    if touches(places, window) {
                        into.borrow_mut().insert(shared(labels));
                    }
                    Ok(())
                })?)
            },
            |head| {
                for number in resolve_any(&head.index, selectors)? {
                    if is_in(head, number, window) {
                        into.borrow_mut().insert(Arc::new(head.index.labels(number)));
                    }
                }
                Ok(())
            },
        )
    }

    /// Adds the names of the labels of such series, or the values of one label.
    pub(crate) fn label_texts(
        &self,
        name: Option<&str>,
        selectors: &[Vec<Matcher>],
        window: Window,
        into: &mut BTreeSet<String>,
    ) -> Result<(), ReadError> {
        let into = std::cell::RefCell::new(into);
        let add = |labels: &mut dyn Iterator<Item = (&str, &str)>| {
            let mut into = into.borrow_mut();
            for (label, value) in labels {
                let text = match name {
                    Some(name) if name == label => value,
                    Some(_) => continue,
                    None => label,
                };
                if !into.contains(text) {
                    into.insert(text.to_owned());
                }
            }
        };
        self.each(
            window,
            |indexed| {
                let footer = &indexed.segment.footer;
                // Of a segment that lies wholly inside all series count: their labels need not be looked at one by one.
                if selectors.is_empty() && window.contains(footer.first) && window.contains(footer.last) {
                    let texts = match name {
                        Some(name) => indexed.label_values(name, &self.pages)?,
                        None => indexed.label_names(&self.pages)?,
                    };
                    into.borrow_mut().extend(texts);
                    return Ok(());
                }
                let numbers = resolve_any(&indexed.postings(&self.pages), selectors)?;
                Ok(indexed.visit(&numbers, &self.pages, &mut |labels, places| {
                    if touches(places, window) {
                        add(&mut labels.iter().copied());
                    }
                    Ok(())
                })?)
            },
            |head| {
                let symbols = head.index.symbols();
                let held = head.held();
                let inside = |time: Option<u64>| time.is_none_or(|time| window.contains(time));
                if selectors.is_empty() && inside(held.oldest) && inside(held.newest) {
                    // Series without samples are those whose journalling failed: they are few, and will have some.
                    let each = head.index.each_pair();
                    add(&mut each.map(|(name, value, _)| (name, value)));
                    return Ok(());
                }
                for number in resolve_any(&head.index, selectors)? {
                    if is_in(head, number, window) {
                        let pairs = head.index.pairs(number).iter();
                        add(&mut pairs.map(|(name, value)| (symbols.text(*name), symbols.text(*value))));
                    }
                }
                Ok(())
            },
        )
    }

    /// Visits what was said of families.
    pub(crate) fn families(&self, visit: &mut dyn FnMut(MetricMeta)) -> Result<(), ReadError> {
        let visit = std::cell::RefCell::new(visit);
        self.each(
            Window::ALL,
            |indexed| {
                indexed.families()?.into_iter().for_each(|said| (visit.borrow_mut())(said));
                Ok(())
            },
            |head| {
                head.families().for_each(|said| (visit.borrow_mut())(said.clone()));
                Ok(())
            },
        )
    }
}

fn is_in(head: &Head, number: u32, window: Window) -> bool {
    let held = head.series.get(number as usize);
    held.is_some_and(|held| !held.is_empty() && window.touches(held.oldest, held.newest))
}
