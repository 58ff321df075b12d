//! Records with labels of their own to rows: relabelling, the stages of each stream apart, and how far the source is read while
//! stages hold some of it.

use std::collections::VecDeque;
use std::sync::Arc;

use parsers::container::Carried;
use parsers::record::{FileId, Labels, Position};
use parsers::stage::relabel::Relabel;
use parsers::stage::{Entry, Fields, Metric, Output, Pipeline};
use rustc_hash::FxHashMap;

use super::inlet::{Place, Record, Waiting};
use super::pump::{Assemble, Making, count_read};
use super::{FeedOptions, Means, origin, passing_identity};
use crate::reading::batch::Origin;
use crate::reading::origin::relabelled;
use crate::reading::out::Out;
use crate::report::{ContainerReport, Loss, Lost};

/// Streams of one source: what senders name must not become labels without end. Records of further ones have the labels that
/// all have.
const MAX_STREAMS: usize = 1000;

/// Records read since the oldest that a stage holds; when there are more, all that is held is let go.
const MAX_SINCE_HELD: usize = 4096;

/// Under what lines are counted that rules dropped.
const RELABELLED: &str = "relabel_configs";

/// What makes rows of records.
pub(super) struct Streams {
    origin: Origin,
    base: Fields,
    relabel: Relabel,
    stages: Pipeline,
    by_labels: FxHashMap<Arc<Labels>, Pipeline>,
    /// Whether there were more than may be.
    overflowing: bool,
    agent: Arc<str>,
    /// Whether stages hold records back. Then those that are read again after a kill may come out otherwise than before, so that none
    /// can be told to be a repeat of an earlier run.
    holding: bool,
    /// The identity of records of this run that have no place of their own, and how many there were.
    own: (FileId, u64),
    files: FxHashMap<FileId, File>,
    /// Where the last record stands.
    last: Option<Place>,
    /// Counts records.
    arrived: u64,
    /// Cursors of records since the oldest that is held, by their counts.
    cursors: VecDeque<(u64, Arc<str>)>,
    /// Behind which reading starts again, and the same as last noted.
    resume: (Option<Arc<str>>, Option<Arc<str>>),
}

/// A sequence of records.
#[derive(Debug, Default)]
struct File {
    slot: (u64, u32),
    /// Rows below this were taken before this run.
    floor: u64,
    /// Behind the last record of this run.
    next: u64,
    /// As last noted.
    noted: u64,
}

/// Gives what comes out of stages the place that it has in its source.
struct Placed<'a> {
    out: Out<'a>,
    number: u64,
}

impl Output for Placed<'_> {
    fn entry(&mut self, entry: Entry) {
        self.out.entry(Entry { offset: self.number, ..entry });
    }

    fn dropped(&mut self, reason: &str, entry: &Entry) {
        self.out.dropped(reason, entry);
    }

    fn metric(&mut self, metric: &Metric, value: f64, entry: &Entry) {
        self.out.metric(metric, value, entry);
    }

    fn wait(&mut self, nanos: u64) {
        self.out.wait(nanos);
    }
}

impl Streams {
    /// A source of this name, with the positions that earlier runs noted of it.
    pub fn new(name: &str, job: &str, options: &FeedOptions, known: &[Position], means: &Means) -> Self {
        let none = Arc::new(Labels::default());
        let file = |position: &Position| File { floor: position.offset, ..File::default() };
        Self {
            origin: origin(name, [Arc::clone(&none), Arc::clone(&none), none], means),
            base: options.base(job),
            relabel: options.relabel.clone(),
            stages: options.pipeline.clone(),
            by_labels: FxHashMap::default(),
            overflowing: false,
            agent: Arc::clone(&options.agent),
            holding: options.pipeline.may_hold(),
            own: (passing_identity(name), 0),
            files: known.iter().map(|position| (position.file, file(position))).collect(),
            last: None,
            arrived: 0,
            cursors: VecDeque::new(),
            resume: (None, None),
        }
    }

    /// The labels of a record; `None` if it is not to be kept.
    fn labels(&mut self, own: &Fields) -> Option<Arc<Labels>> {
        let labels = if self.relabel.is_empty() {
            let own = own.iter().filter(|(name, _)| !name.starts_with("__"));
            Arc::new(Labels::new(own.chain(self.base.iter())))
        } else {
            relabelled(own.clone(), self.base.iter(), &self.relabel)?
        };
        if self.by_labels.contains_key(&labels) {
            return Some(labels);
        }
        let full = self.by_labels.len() >= MAX_STREAMS;
        if full && !self.overflowing {
            let source = &*self.origin.report.path;
            tracing::warn!(source, "over {MAX_STREAMS} streams: further ones share the labels that all have");
            self.overflowing = true;
        }
        let labels = if full { Arc::new(Labels::new(self.base.iter())) } else { labels };
        if !self.by_labels.contains_key(&labels) {
            self.by_labels.insert(Arc::clone(&labels), self.stages.fork());
        }
        Some(labels)
    }

    /// Notes where a record stands; gives its number, which no later one of its sequence is below.
    fn arrive(&mut self, place: Option<Place>) -> (FileId, u64) {
        let place = match place {
            Some(place) if !self.holding => place,
            place => {
                self.own.1 += 1;
                let cursor = place.map_or_else(|| Arc::clone(&self.origin.report.path), |place| place.cursor);
                Place { file: self.own.0, number: self.own.1, cursor }
            }
        };
        let file = self.files.entry(place.file).or_default();
        let number = place.number.max(file.next);
        file.next = number + 1;
        self.arrived += 1;
        if !self.holding {
            self.cursors.clear();
        }
        self.cursors.push_back((self.arrived, Arc::clone(&place.cursor)));
        let id = place.file;
        self.last = Some(place);
        (id, number)
    }

    fn put(&mut self, labels: &Arc<Labels>, record: Record, at: (FileId, u64), making: &mut Making<'_>) {
        let Some(pipeline) = self.by_labels.get_mut(labels) else { return };
        let Some(file) = self.files.get_mut(&at.0) else { return };
        let Record { time, mut text, truncated, metadata, .. } = record;
        if truncated > 0 {
            whole_characters(&mut text);
            // Records have numbers instead of offsets.
            let (reason, file, from, to) = (Lost::LineTooLong, Some(at.0), at.1, Some(at.1 + 1));
            let time = making.filling.observed;
            self.origin.report.lose(Loss { reason, file, from, to, bytes: truncated, time });
        }
        if std::str::from_utf8(&text).is_err() {
            self.origin.report.invalid_utf8.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        let now = making.filling.observed;
        let entry = Entry {
            labels: labels.iter().collect(),
            metadata,
            offset: self.arrived,
            began: Some(Carried::here(self.arrived)),
            truncated,
            ..Entry::new(time.unwrap_or(now), &text)
        };
        let mut out = placed(&mut self.origin, file, at, making);
        if pipeline.is_empty() {
            out.entry(entry);
        } else {
            pipeline.run(entry, now, &mut out);
        }
    }

    /// Lets go what stages hold, all of it or what has waited long enough.
    fn release(&mut self, all: bool, making: &mut Making<'_>) {
        let Some(last) = &self.last else { return };
        let Some(file) = self.files.get_mut(&last.file) else { return };
        // Their places may lie below what was noted meanwhile: they have that of the next record.
        let at = (last.file, file.next.max(file.floor));
        let (now, arrived) = (making.filling.observed, self.arrived);
        for pipeline in self.by_labels.values_mut().filter(|pipeline| !pipeline.is_empty()) {
            let mut out = placed(&mut self.origin, file, at, making);
            if all {
                pipeline.flush(now, arrived, &mut out);
            } else {
                pipeline.idle(now, arrived, &mut out);
            }
        }
    }

    /// The count of the oldest record that a stage holds.
    fn oldest_held(&self) -> Option<u64> {
        let held = |pipeline: &Pipeline| {
            let both = [false, true].map(|stderr| pipeline.held(stderr).map(|from| from.offset));
            both.into_iter().flatten().min()
        };
        self.by_labels.values().filter_map(held).min()
    }

    /// Forgets cursors of records that are through.
    fn settle(&mut self) {
        let held = self.oldest_held().unwrap_or(u64::MAX);
        while self.cursors.front().is_some_and(|(count, _)| *count < held) {
            self.resume.0 = self.cursors.pop_front().map(|(_, cursor)| cursor);
        }
    }
}

fn placed<'a>(
    origin: &'a mut Origin,
    file: &'a mut File,
    (id, number): (FileId, u64),
    making: &'a mut Making<'_>,
) -> Placed<'a> {
    let out = Out {
        filling: making.filling,
        origin,
        slot: &mut file.slot,
        id,
        delivered: 0,
        counters: making.counters,
        wait: making.wait,
    };
    Placed { out, number }
}

/// Takes out what is left of a character that was cut.
fn whole_characters(text: &mut Vec<u8>) {
    if let Err(error) = std::str::from_utf8(text)
        && error.error_len().is_none()
    {
        text.truncate(error.valid_up_to());
    }
}

impl Assemble for Streams {
    type Item = Waiting;

    fn take(&mut self, waiting: Waiting, making: &mut Making<'_>) {
        let mut record = waiting.record;
        count_read(making.counters, &self.origin.report, record.read, making.filling.observed);
        let at = self.arrive(record.place.take());
        match self.labels(&record.labels) {
            Some(labels) => self.put(&labels, record, at, making),
            None => making.counters.dropped(RELABELLED),
        }
        if self.cursors.len() > MAX_SINCE_HELD {
            self.settle();
            if self.cursors.len() > MAX_SINCE_HELD {
                self.release(true, making);
            }
        }
    }

    fn idle(&mut self, making: &mut Making<'_>) {
        self.release(false, making);
    }

    fn flush(&mut self, making: &mut Making<'_>) {
        self.release(true, making);
    }

    fn holds(&self) -> bool {
        self.holding && self.oldest_held().is_some()
    }

    fn positions(&mut self, now: u64, out: &mut Vec<Position>) {
        self.settle();
        let moved = self.resume.0 != self.resume.1;
        let cursor = self.resume.0.as_ref().unwrap_or(&self.origin.report.path);
        for (file, state) in &mut self.files {
            let offset = state.next.max(state.floor);
            let is_last = self.last.as_ref().is_some_and(|last| last.file == *file);
            if state.next == 0 || (state.noted == offset && !(moved && is_last)) {
                continue;
            }
            state.noted = offset;
            out.push(Position {
                agent: Arc::clone(&self.agent),
                file: *file,
                offset,
                resume: offset,
                held: [offset; 2],
                marker: 0,
                path: Arc::clone(cursor),
                time: now,
            });
        }
        self.resume.1 = self.resume.0.clone();
    }

    fn report(&self) -> &ContainerReport {
        &self.origin.report
    }
}
