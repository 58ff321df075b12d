//! Bytes of a stream to records: lines of bounded length, unwrapped, joined and put through stages as those of a file are.

use std::sync::Arc;

use memchr::memchr;
use parsers::container::{ContainerLine, JoinLimits, Joiner, Stream};
use parsers::record::{FileId, Labels, Position};
use parsers::stage::{Fields, Pipeline};

use super::pump::{Assemble, Making, count_read};
use super::{FeedOptions, Means, origin, passing_identity};
use crate::reading::batch::Origin;
use crate::reading::origin::relabelled;
use crate::reading::out::Out;
use crate::report::{ContainerReport, Loss};

/// Room beyond a line of the greatest length for what a runtime writes before it.
const WRAPPING: usize = 4096;

/// What makes records of a stream of bytes.
pub(super) struct Lines {
    origin: Origin,
    joiner: Joiner,
    pipeline: Pipeline,
    agent: Arc<str>,
    id: FileId,
    slot: (u64, u32),
    /// A line of which the end is still to come, as far as it is kept.
    begun: Vec<u8>,
    /// Bytes of it that are not kept.
    cut: u64,
    /// Where the next line begins.
    offset: u64,
    /// Bytes of a line that are kept.
    max: usize,
    noted: u64,
}

impl Lines {
    /// `None` if relabelling says that nothing is to be read.
    pub fn new(name: &'static str, options: &FeedOptions, means: &Means) -> Option<Self> {
        let mut base = options.base(name);
        if base.get("service_name").is_none() {
            let job = base.get("job").unwrap_or(name).to_owned();
            base.set("service_name", job);
        }
        let labels = [Stream::Stdout, Stream::Stderr, Stream::Unknown].map(|stream| {
            let pairs = base.iter().chain([("stream", stream.as_str())]);
            if options.relabel.is_empty() {
                return Some(Arc::new(Labels::new(pairs)));
            }
            relabelled(Fields::default(), pairs, &options.relabel)
        });
        let [Some(stdout), Some(stderr), Some(unknown)] = labels else { return None };
        Some(Self {
            origin: origin(name, [stdout, stderr, unknown], means),
            joiner: Joiner::new(JoinLimits { max_line: options.max_line }),
            pipeline: options.pipeline.fork(),
            agent: Arc::clone(&options.agent),
            id: passing_identity(name),
            slot: (0, 0),
            begun: Vec::new(),
            cut: 0,
            offset: 0,
            max: options.max_line + WRAPPING,
            noted: 0,
        })
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.max.saturating_sub(self.begun.len()).min(bytes.len());
        self.begun.extend_from_slice(bytes.get(..room).unwrap_or_default());
        self.cut += (bytes.len() - room) as u64;
    }

    /// The line that was begun is complete.
    fn end(&mut self, making: &mut Making<'_>) {
        let mut line = std::mem::take(&mut self.begun);
        let cut = std::mem::take(&mut self.cut);
        self.line(&line, cut, making);
        self.offset += line.len() as u64 + cut + 1;
        line.clear();
        self.begun = line;
    }

    fn line(&mut self, line: &[u8], cut: u64, making: &mut Making<'_>) {
        let Self { joiner, origin, pipeline, slot, id, offset, .. } = self;
        let end = *offset + line.len() as u64 + cut + 1;
        let mut to = To { origin, pipeline, slot, id: *id };
        joiner.push(line, *offset, &mut |mut record| {
            record.truncated += cut;
            if record.truncated > 0 {
                let loss = Loss::of_line(&record, to.id, end, making.filling.observed);
                to.origin.report.lose(loss);
            }
            to.put(&record, making);
        });
    }
}

/// Where a line goes.
struct To<'a> {
    origin: &'a mut Origin,
    pipeline: &'a mut Pipeline,
    slot: &'a mut (u64, u32),
    id: FileId,
}

impl To<'_> {
    fn put(&mut self, record: &ContainerLine<'_>, making: &mut Making<'_>) {
        if self.pipeline.is_empty() {
            let file = making.filling.file(self.slot, self.id);
            making.filling.push(self.origin, file, record);
            return;
        }
        let now = making.filling.observed;
        let entry = self.origin.entry(record, now);
        self.through(making, |pipeline, out| pipeline.run(entry, now, out));
    }

    fn through(&mut self, making: &mut Making<'_>, step: impl FnOnce(&mut Pipeline, &mut Out<'_>)) {
        let mut out = Out {
            filling: making.filling,
            origin: self.origin,
            slot: self.slot,
            id: self.id,
            delivered: 0,
            counters: making.counters,
            wait: making.wait,
        };
        step(self.pipeline, &mut out);
    }
}

impl Assemble for Lines {
    type Item = Vec<u8>;

    fn take(&mut self, bytes: Vec<u8>, making: &mut Making<'_>) {
        count_read(making.counters, &self.origin.report, bytes.len() as u64, making.filling.observed);
        let mut rest = bytes.as_slice();
        while let Some((line, after)) = memchr(b'\n', rest).and_then(|end| rest.split_at_checked(end)) {
            if self.begun.is_empty() && self.cut == 0 && line.len() <= self.max {
                self.line(line, 0, making);
                self.offset += line.len() as u64 + 1;
            } else {
                self.keep(line);
                self.end(making);
            }
            rest = after.get(1..).unwrap_or_default();
        }
        self.keep(rest);
    }

    fn idle(&mut self, making: &mut Making<'_>) {
        let Self { origin, pipeline, slot, id, offset, .. } = self;
        let (now, offset) = (making.filling.observed, *offset);
        let mut to = To { origin, pipeline, slot, id: *id };
        to.through(making, |pipeline, out| pipeline.idle(now, offset, out));
    }

    fn flush(&mut self, making: &mut Making<'_>) {
        if !self.begun.is_empty() || self.cut > 0 {
            self.end(making);
        }
        let Self { joiner, origin, pipeline, slot, id, offset, .. } = self;
        let (now, at) = (making.filling.observed, *offset);
        let mut to = To { origin, pipeline, slot, id: *id };
        // What was half joined has a place before the position that was noted meanwhile: it is given the one behind.
        joiner.flush(&mut |record| to.put(&ContainerLine { offset: at, ..record }, making));
        to.through(making, |pipeline, out| pipeline.flush(now, at, out));
        *offset += 1;
    }

    fn holds(&self) -> bool {
        [false, true].iter().any(|stderr| self.pipeline.held(*stderr).is_some())
    }

    fn positions(&mut self, now: u64, out: &mut Vec<Position>) {
        if self.noted == self.offset {
            return;
        }
        self.noted = self.offset;
        out.push(Position {
            agent: Arc::clone(&self.agent),
            file: self.id,
            offset: self.offset,
            resume: self.offset,
            held: [self.offset; 2],
            marker: 0,
            path: Arc::clone(&self.origin.report.path),
            time: now,
        });
    }

    fn report(&self) -> &ContainerReport {
        &self.origin.report
    }
}
