//! Patterns of the lines that arrive, with how many lines were of each: kept in memory, for an hour, and drawn from the newest lines
//! of the store after a start. Of a stream that sends much only some lines are looked at, and count for those that are not.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use parsers::pattern::Miner;
use parsers::record::{Batch, Labels, Severity, TENANT, TENANT_LABEL};
use rustc_hash::FxHashMap;

use crate::read::{Direction, LogRead, LogSelect, Matcher, PatternCount, PatternRead, ReadError, Window};

/// How long lines count.
const KEPT: u64 = 3_600 * SECOND;
/// Lines are counted by this much time, as Loki has it.
const BUCKET: u64 = 10 * SECOND;
const SECOND: u64 = 1_000_000_000;
/// Patterns of one stream and level: what fits on a screen or two.
const STREAM_PATTERNS: usize = 50;
/// Patterns in all: some 5 MB of them, 30 MB at worst.
const MAX_PATTERNS: usize = 5_000;
/// Counts in all: 16 MB.
const MAX_COUNTS: usize = 1 << 20;
/// How much of time goes by before what is too old is dropped again: all counts are gone through for it.
const FORGETTING: u64 = 60 * SECOND;
/// Lines of one stream that are looked at in one batch: a stream that sends less is counted exactly. Two hundred
/// made storing all lines of a full load a fifth dearer.
const BATCH_LINES: usize = 32;
/// Lines that are read after a start: a tenth of a second's work.
const START_LINES: usize = 50_000;

/// The patterns of all streams.
#[derive(Debug, Default)]
pub struct Patterns(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    streams: FxHashMap<(Arc<Labels>, Severity), Stream>,
    patterns: usize,
    counts: usize,
    newest: u64,
    /// What is older was dropped.
    forgotten: u64,
}

#[derive(Debug)]
struct Stream {
    miner: Miner,
    /// By pattern: bucket and lines, in time order.
    counts: FxHashMap<u64, VecDeque<(u64, u64)>>,
    newest: u64,
}

impl Patterns {
    /// Takes the lines of a batch.
    pub fn note(&self, batch: &Batch) {
        let logs = &batch.logs;
        let tenanted = memchr::memmem::find(&logs.meta, TENANT.as_bytes()).is_some();
        let mut of_stream: FxHashMap<u32, (usize, usize)> = FxHashMap::default();
        for row in &logs.rows {
            of_stream.entry(row.stream).or_default().0 += 1;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for row in &logs.rows {
            let Some(labels) = logs.streams.get(row.stream as usize) else { continue };
            let Some((count, seen)) = of_stream.get_mut(&row.stream) else { continue };
            let weight = count.div_ceil(BATCH_LINES);
            let is_looked_at = *seen % weight == 0;
            let weight = weight.min(*count - *seen);
            *seen += 1;
            if is_looked_at {
                let mut pairs = tenanted.then(|| logs.metadata(row)).into_iter().flatten();
                let labels = &of_tenant(labels, pairs.find(|(name, _)| *name == TENANT));
                kept.note(labels, row.severity, row.time, logs.line(row), weight as u64);
            }
        }
        kept.keep_bounds();
    }

    /// Takes the newest lines of the last hour before `now`.
    pub fn note_stored(&self, logs: &dyn LogRead, now: u64) -> Result<(), ReadError> {
        let window = Window { start: now.saturating_sub(KEPT), end: now };
        let direction = Direction::Backward;
        let select = LogSelect {
            matchers: Vec::new(),
            window,
            direction,
            trace: None,
            contains: Vec::new(),
            mentions: None,
        };
        let mut seen = 0;
        logs.scan_logs(&select, &mut |record| {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let mut pairs = record.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let labels = of_tenant(&record.labels, pairs.find(|(name, _)| *name == TENANT));
            kept.note(&labels, record.severity, record.time, &record.line, 1);
            seen += 1;
            if seen < START_LINES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keep_bounds();
        Ok(())
    }
}

/// A stream is one for each tenant: the patterns of one are not shown to another.
fn of_tenant(labels: &Arc<Labels>, tenant: Option<(&str, &str)>) -> Arc<Labels> {
    tenant.map_or_else(|| Arc::clone(labels), |(_, tenant)| Arc::new(labels.with(TENANT_LABEL, tenant)))
}

impl Kept {
    fn note(&mut self, labels: &Arc<Labels>, level: Severity, time: u64, line: &[u8], weight: u64) {
        let new = || Stream { miner: Miner::new(STREAM_PATTERNS), counts: FxHashMap::default(), newest: 0 };
        let stream = self.streams.entry((Arc::clone(labels), level)).or_insert_with(new);
        let before = stream.miner.len();
        let Some(mined) = stream.miner.add(line) else { return };
        self.patterns = self.patterns + stream.miner.len() - before;
        if let Some(forgotten) = mined.forgotten {
            self.counts -= stream.counts.remove(&forgotten).map_or(0, |counts| counts.len());
        }
        stream.newest = stream.newest.max(time);
        self.newest = self.newest.max(time);
        let bucket = time / BUCKET;
        let counts = stream.counts.entry(mined.pattern).or_default();
        // The newest stand last, and lines mostly come in order.
        let place = counts.iter().rposition(|(other, _)| *other <= bucket);
        match place.and_then(|place| counts.get_mut(place)).filter(|(other, _)| *other == bucket) {
            Some((_, count)) => *count += weight,
            None => {
                counts.insert(place.map_or(0, |place| place + 1), (bucket, weight));
                self.counts += 1;
            }
        }
    }

    /// Drops what is too old, then the streams that are silent for longest, until all is inside its bounds.
    fn keep_bounds(&mut self) {
        let full = self.counts > MAX_COUNTS || self.patterns > MAX_PATTERNS;
        let oldest = self.newest.saturating_sub(KEPT);
        // Twice the time is twice the memory at most: dropping what is old may wait until then.
        let grown = self.counts > MAX_COUNTS / 2 || self.patterns > MAX_PATTERNS / 2;
        if !full && (!grown || oldest < self.forgotten.saturating_add(FORGETTING)) {
            return;
        }
        self.forgotten = oldest;
        self.forget_before(oldest);
        let mut ages: Vec<(u64, (Arc<Labels>, Severity))> =
            self.streams.iter().map(|(key, stream)| (stream.newest, key.clone())).collect();
        ages.sort_unstable_by_key(|(newest, _)| std::cmp::Reverse(*newest));
        while self.counts > MAX_COUNTS || self.patterns > MAX_PATTERNS {
            let Some(stream) = ages.pop().and_then(|(_, key)| self.streams.remove(&key)) else { return };
            self.patterns -= stream.miner.len();
            self.counts -= stream.counts.values().map(VecDeque::len).sum::<usize>();
        }
    }

    fn forget_before(&mut self, oldest: u64) {
        let bucket = oldest / BUCKET;
        for stream in self.streams.values_mut() {
            for counts in stream.counts.values_mut() {
                let old = counts.partition_point(|(other, _)| *other < bucket);
                counts.drain(..old);
            }
            let empty = stream.counts.extract_if(|_, counts| counts.is_empty());
            empty.for_each(|(number, _)| stream.miner.forget(number));
        }
        self.streams.retain(|_, stream| !stream.miner.is_empty());
        self.patterns = self.streams.values().map(|stream| stream.miner.len()).sum();
        self.counts =
            self.streams.values().flat_map(|stream| stream.counts.values()).map(VecDeque::len).sum();
    }
}

impl PatternRead for Patterns {
    fn patterns(&self, matchers: &[Matcher], window: Window, step: u64) -> Vec<PatternCount> {
        let step = step.max(BUCKET);
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: FxHashMap<(String, Severity), std::collections::BTreeMap<u64, u64>> =
            FxHashMap::default();
        let oldest = kept.newest.saturating_sub(KEPT).max(window.start / BUCKET * BUCKET);
        for ((labels, level), stream) in &kept.streams {
            if !matchers.iter().all(|m| m.matches(labels)) {
                continue;
            }
            for (number, counts) in &stream.counts {
                let inside = |time: u64| oldest <= time && time < window.end;
                let mut inside = counts.iter().filter(|(bucket, _)| inside(bucket * BUCKET)).peekable();
                let Some(pattern) = stream.miner.text(*number).filter(|_| inside.peek().is_some()) else {
                    continue;
                };
                let samples = found.entry((pattern, *level)).or_default();
                for (bucket, lines) in inside {
                    *samples.entry(bucket * BUCKET / step * step).or_default() += lines;
                }
            }
        }
        let mut found: Vec<PatternCount> = found
            .into_iter()
            .map(|((pattern, level), samples)| PatternCount {
                pattern,
                level,
                samples: samples.into_iter().collect(),
            })
            .collect();
        found.sort_by(|a, b| b.total().cmp(&a.total()).then_with(|| a.pattern.cmp(&b.pattern)));
        found
    }
}

#[cfg(test)]
mod tests;
