//! A page of metrics becomes rows: with the target's labels, relabelled, with marks where series ended, and with what
//! Prometheus itself notes of every scrape.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use parsers::exposition::{
    Entry, Exposition, FamilyKind, Format, LineFault, SampleLine, canonical_float, exemplars, series_labels,
};
use parsers::record::{ByteRange, Labels, MetricBatch, SampleRow};
use parsers::stage::Fields;
use parsers::stage::relabel::Relabel;
use rustc_hash::FxHasher;

use super::memory::{ALONE, Memory, set_kind, set_text};
use crate::exemplar_rows::push_exemplar;

/// What Prometheus writes where a series ends: a not-a-number that means just that.
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Bytes of a label's name or value: as remote write.
const MAX_LABEL: usize = 2048;
/// Labels of one series: as remote write.
const MAX_LABELS: usize = 256;
/// Bytes of exemplar labels in one page; ranges into them have 32 bits.
const MAX_META: usize = 64 << 20;

/// How the pages of a target are read.
#[derive(Debug)]
pub(super) struct Reading {
    /// The target's.
    pub labels: Arc<Labels>,
    pub metric_relabel: Relabel,
    pub honor_labels: bool,
    pub honor_timestamps: bool,
    pub sample_limit: Option<usize>,
}

/// What became of a page.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Outcome {
    /// Samples on the page.
    pub scraped: u64,
    /// Those that are left after relabelling.
    pub kept: u64,
    /// Series that were not there before.
    pub added: u64,
    /// New exemplars.
    pub exemplars: u64,
    /// Exemplars that were stored before.
    pub repeated_exemplars: u64,
    /// Exemplars that could not be read.
    pub bad_exemplars: u64,
    /// Lines that could not be taken.
    pub bad_lines: u64,
    /// The first of them.
    pub first_fault: Option<String>,
    /// Why the page as a whole is none, if it is none.
    pub failure: Option<String>,
    /// All of the page was there, so that what is not on it has ended.
    pub whole: bool,
}

/// What a line's series stands for.
struct Found {
    /// If it is remembered.
    index: Option<u32>,
    /// Unless rules drop it.
    labels: Option<Arc<Labels>>,
    group: u32,
}

/// One page being read.
pub(super) struct Page<'a> {
    reading: &'a Reading,
    memory: &'a mut Memory,
    time: u64,
    batch: MetricBatch,
    outcome: Outcome,
    /// The group of each row.
    groups: Vec<u32>,
    /// Since when the series of each group count.
    starts: Vec<u64>,
}

impl<'a> Page<'a> {
    /// Of a scrape at this time.
    pub fn new(reading: &'a Reading, memory: &'a mut Memory, time: u64) -> Self {
        memory.begin();
        Self {
            reading,
            memory,
            time,
            batch: MetricBatch::default(),
            outcome: Outcome { whole: true, ..Outcome::default() },
            groups: Vec::new(),
            starts: Vec::new(),
        }
    }

    /// Reads it.
    pub fn read(&mut self, body: &[u8], format: Format) {
        let mut lines = Exposition::new(body, format);
        let mut family = (String::new(), FamilyKind::Unknown);
        for entry in lines.by_ref() {
            match entry {
                Entry::Sample(line) => self.sample(&line, &family),
                Entry::Kind { family: name, kind } => {
                    self.memory.family(&name, |meta| set_kind(meta, kind.metric_kind()));
                    name.as_ref().clone_into(&mut family.0);
                    family.1 = kind;
                }
                Entry::Help { family, text } => {
                    self.memory.family(&family, |meta| set_text(&mut meta.help, &text));
                }
                Entry::Unit { family, unit } => {
                    self.memory.family(&family, |meta| set_text(&mut meta.unit, unit));
                }
                Entry::Fault(fault) => self.fault(fault),
            }
            if self.reading.sample_limit.is_some_and(|limit| self.batch.samples.len() > limit) {
                let limit = self.reading.sample_limit.unwrap_or_default();
                return self.fail(format!("more than {limit} samples: `sample_limit`"));
            }
        }
        self.outcome.whole = lines.is_whole();
        if !self.outcome.whole {
            self.outcome.failure = Some("the page was cut short: it has no `# EOF` at its end".to_owned());
        } else if self.outcome.scraped == 0 && self.outcome.bad_lines > 0 {
            let first = self.outcome.first_fault.clone().unwrap_or_default();
            self.fail(format!("nothing of the page can be read; {first}"));
        }
    }

    /// The scrape has failed: all series end, and nothing of it counts.
    pub fn fail(&mut self, failure: String) {
        let bad_lines = self.outcome.bad_lines;
        let first_fault = self.outcome.first_fault.take();
        self.memory.begin();
        self.batch = MetricBatch::default();
        self.groups.clear();
        self.outcome =
            Outcome { bad_lines, first_fault, failure: Some(failure), whole: true, ..Outcome::default() };
    }

    fn fault(&mut self, fault: LineFault) {
        self.outcome.bad_lines += 1;
        self.outcome.first_fault.get_or_insert_with(|| fault.to_string());
    }

    fn sample(&mut self, line: &SampleLine<'_>, family: &(String, FamilyKind)) {
        let lap = self.memory.lap;
        let Found { index, labels, group } = match self.memory.find(line.series) {
            Some(index) => {
                let Some(known) = self.memory.known(index) else { return };
                let again = known.lap == lap;
                if again && (line.time.is_none() || !self.reading.honor_timestamps) {
                    return self
                        .fault(LineFault { line: line.line, problem: "a series that was there before" });
                }
                known.lap = lap;
                if known.created {
                    let group = known.group;
                    self.outcome.scraped += 1;
                    return self.began(group, line.value);
                }
                Found { index: Some(index), labels: known.labels.clone(), group: known.group }
            }
            None => match self.new_series(line, family) {
                Ok(found) => found,
                Err(problem) => return self.fault(LineFault { line: line.line, problem }),
            },
        };
        self.outcome.scraped += 1;
        let Some(labels) = labels else { return };
        let own = line.time.filter(|_| self.reading.honor_timestamps);
        let time = own.unwrap_or(self.time);
        let series = self.batch.series.len() as u32;
        self.batch.series.push(labels);
        let histogram = ByteRange::default();
        self.batch.samples.push(SampleRow { time, value: line.value, start: 0, series, histogram });
        self.groups.push(group);
        if let Some(known) = index.and_then(|index| self.memory.known(index)) {
            known.own_times = own.is_some();
        }
        if !line.exemplars.is_empty() {
            self.exemplars(line.exemplars, index, series, time);
        }
    }

    fn exemplars(&mut self, text: &str, index: Option<u32>, series: u32, time: u64) {
        let mut hasher = FxHasher::default();
        text.hash(&mut hasher);
        let hash = hasher.finish().max(1);
        let stored = index.and_then(|index| self.memory.known(index)).map_or(0, |known| known.exemplars);
        if stored == hash {
            self.outcome.repeated_exemplars += 1;
            return;
        }
        for exemplar in exemplars(text) {
            match exemplar {
                Ok(exemplar) if self.batch.meta.len() < MAX_META => {
                    let pairs = exemplar.labels.iter().map(|(name, value)| (&**name, &**value));
                    let time = exemplar.time.filter(|time| *time > 0).unwrap_or(time);
                    push_exemplar(&mut self.batch, series, pairs, exemplar.value, time);
                    self.outcome.exemplars += 1;
                }
                _ => self.outcome.bad_exemplars += 1,
            }
        }
        if let Some(index) = index {
            self.memory.storing(index, hash);
        }
    }

    /// Since when the series of a group count.
    fn began(&mut self, group: u32, seconds: f64) {
        let nanos = seconds * 1e9;
        if !(nanos > 0.0 && nanos < u64::MAX as f64) {
            return;
        }
        if self.starts.len() <= group as usize {
            self.starts.resize(self.memory.groups().max(group as usize + 1), 0);
        }
        if let Some(start) = self.starts.get_mut(group as usize) {
            *start = nanos as u64;
        }
    }

    /// Reads a series that was not seen before.
    fn new_series(
        &mut self,
        line: &SampleLine<'_>,
        family: &(String, FamilyKind),
    ) -> Result<Found, &'static str> {
        let mut pairs = series_labels(line.series)?;
        if pairs.len() > MAX_LABELS {
            return Err("more than 256 labels");
        }
        if pairs.iter().any(|(name, value)| name.len() > MAX_LABEL || value.len() > MAX_LABEL) {
            return Err("a label over 2048 bytes");
        }
        let (name, labels) = pairs.split_first_mut().ok_or("a series without a name")?;
        let bound = match family.1 {
            FamilyKind::Histogram | FamilyKind::GaugeHistogram if name.1.ends_with("_bucket") => "le",
            FamilyKind::Summary => "quantile",
            _ => "",
        };
        for (_, value) in labels.iter_mut().filter(|(name, _)| name == bound) {
            if let Some(canonical) = canonical_float(value) {
                *value = canonical.into();
            }
        }
        let suffix = match family.1 {
            FamilyKind::Counter | FamilyKind::Histogram | FamilyKind::Summary => {
                name.1.strip_prefix(family.0.as_str())
            }
            _ => None,
        };
        let created = suffix == Some("_created");
        let group = if matches!(suffix, Some("_total" | "_bucket" | "_sum" | "_count" | "_created" | "")) {
            let mut hasher = FxHasher::default();
            family.0.hash(&mut hasher);
            labels.iter().filter(|(name, _)| name != bound).for_each(|pair| pair.hash(&mut hasher));
            self.memory.group(hasher.finish())
        } else {
            ALONE
        };
        if created {
            self.memory.remember(line.series, None, group, true);
            self.began(group, line.value);
            return Ok(Found { index: None, labels: None, group });
        }
        let fields = self.merged(pairs.iter().map(|(name, value)| (&**name, &**value)));
        let labels = fields.map(|fields| {
            let pairs: Vec<(Arc<str>, Arc<str>)> = fields
                .iter()
                .map(|(name, value)| (self.memory.name(name), self.memory.name(value)))
                .collect();
            Arc::new(Labels::new(pairs))
        });
        let index = self.memory.remember(line.series, labels.clone(), group, false);
        self.outcome.added += u64::from(labels.is_some());
        Ok(Found { index, labels, group })
    }

    /// The labels of a series with those of its target, after the rules; `None` if those drop it.
    fn merged<'p>(&self, pairs: impl Iterator<Item = (&'p str, &'p str)>) -> Option<Fields> {
        let mut fields: Fields = pairs.filter(|(_, value)| !value.is_empty()).collect();
        for (name, value) in self.reading.labels.iter() {
            if !self.reading.honor_labels
                && let Some(exported) = fields.remove(name)
            {
                let mut other = format!("exported_{name}");
                while fields.get(&other).is_some() {
                    other.insert_str(0, "exported_");
                }
                fields.set(&other, exported);
            }
            if fields.get(name).is_none() {
                fields.set(name, value);
            }
        }
        let kept = self.reading.metric_relabel.apply(&mut fields);
        (kept && fields.get("__name__").is_some_and(|name| !name.is_empty())).then_some(fields)
    }

    /// The rows, and what became of it. `seconds` is how long the scrape took.
    pub fn finish(mut self, seconds: f64) -> (MetricBatch, Outcome) {
        self.outcome.kept = self.batch.samples.len() as u64;
        if !self.starts.is_empty() {
            for (row, group) in self.batch.samples.iter_mut().zip(&self.groups) {
                row.start = self.starts.get(*group as usize).copied().unwrap_or_default();
            }
        }
        for labels in self.memory.ended(self.outcome.whole) {
            self.push(labels, STALE);
        }
        let up = f64::from(u8::from(self.outcome.failure.is_none()));
        let noted =
            [up, seconds, self.outcome.scraped as f64, self.outcome.kept as f64, self.outcome.added as f64];
        for (name, value) in NOTED.into_iter().zip(noted) {
            self.push(noted_series(&self.reading.labels, name), value);
        }
        self.batch.families = self.memory.untold();
        (self.batch, self.outcome)
    }

    fn push(&mut self, labels: Arc<Labels>, value: f64) {
        let series = self.batch.series.len() as u32;
        self.batch.series.push(labels);
        let (start, histogram) = (0, ByteRange::default());
        self.batch.samples.push(SampleRow { time: self.time, value, start, series, histogram });
    }
}

/// What Prometheus notes of every scrape.
const NOTED: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

fn noted_series(target: &Labels, name: &str) -> Arc<Labels> {
    Arc::new(Labels::new(target.iter().chain([("__name__", name)])))
}

/// The end of a target: marks for all its series and for what was noted of it.
pub(super) fn end(labels: &Labels, memory: &Memory, time: u64) -> MetricBatch {
    let mut batch = MetricBatch { series: memory.all(), ..MetricBatch::default() };
    batch.series.extend(NOTED.map(|name| noted_series(labels, name)));
    let row = |series| SampleRow { time, value: STALE, start: 0, series, histogram: ByteRange::default() };
    batch.samples = (0..batch.series.len() as u32).map(row).collect();
    batch
}
