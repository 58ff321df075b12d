//! `multiline`: joins lines that belong to one record. Time is that of the lines: however slow the reader is, a record is
//! not torn; only when there is nothing more to read does waiting count.

use regex::Regex;

use crate::container::{Carried, DEFAULT_MAX_LINE};

use super::config::{FirstLine, MultilineConfig};
use super::entry::{Entry, cut};
use super::error::compile;
use super::trace_lines::TraceLines;

/// Nanoseconds, as Promtail has it.
const MAX_WAIT: u64 = 3_000_000_000;

/// Lines, as Promtail has it.
const MAX_LINES: u64 = 128;

/// Lines that a stack trace may have: Java's own limit is 1,024 frames a cause.
const MAX_TRACE_LINES: u64 = 2_048;

/// Outputs that are followed apart: a container has two.
const MAX_STREAMS: usize = 4;

#[derive(Debug, Clone)]
enum Rule {
    Expression(Regex),
    StackTraces,
}

/// A record that may go on.
#[derive(Debug, Clone)]
struct Block {
    entry: Entry,
    lines: u64,
    from: Carried,
    /// Time of its last line.
    last: u64,
    /// When that was given.
    given: u64,
}

#[derive(Debug, Clone, Default)]
struct Stream {
    /// Value of the label `stream`.
    name: String,
    block: Option<Block>,
    /// The last record had all lines that it may have: what follows is a record of its own, and goes on the same way.
    continuing: bool,
    traces: TraceLines,
}

#[derive(Debug, Clone)]
pub(super) struct Multiline {
    rule: Rule,
    max_wait: u64,
    max_lines: u64,
    streams: Vec<Stream>,
}

impl Multiline {
    pub fn new(config: &MultilineConfig) -> Result<Self, String> {
        let (rule, default_lines) = match &config.firstline {
            FirstLine::Expression(text) if text.is_empty() => {
                return Err("expected a `firstline` expression".into());
            }
            FirstLine::Expression(text) => (Rule::Expression(compile(text)?), MAX_LINES),
            FirstLine::StackTraces => (Rule::StackTraces, MAX_TRACE_LINES),
        };
        let max_wait = config.max_wait_time.unwrap_or(MAX_WAIT);
        if max_wait == 0 {
            return Err("expected a `max_wait_time` above 0".into());
        }
        let max_lines = config.max_lines.filter(|lines| *lines > 0).unwrap_or(default_lines);
        Ok(Self { rule, max_wait, max_lines, streams: Vec::new() })
    }

    pub fn reset(&mut self) {
        self.streams = Vec::new();
    }

    /// Takes a line; emits the records that it ends.
    pub fn push(&mut self, entry: Entry, now: u64, emit: &mut dyn FnMut(Entry)) {
        let offset = entry.offset;
        for stream in &mut self.streams {
            if stream.block.as_ref().is_some_and(|b| entry.time > b.last.saturating_add(self.max_wait)) {
                stream.end(offset, emit);
                stream.continuing = false;
            }
        }
        let name = entry.labels.get("stream").unwrap_or_default();
        let at = match self.streams.iter().position(|stream| stream.name == name) {
            Some(at) => at,
            None => {
                if self.streams.len() >= MAX_STREAMS {
                    self.streams.remove(0).end(offset, emit);
                }
                self.streams.push(Stream { name: name.to_owned(), ..Stream::default() });
                self.streams.len() - 1
            }
        };
        let Some(stream) = self.streams.get_mut(at) else { return emit(entry) };
        let (first, alone) = match &self.rule {
            Rule::Expression(regex) => (regex.is_match(&entry.line), false),
            Rule::StackTraces => {
                let before = stream.block.as_ref().map(|block| (block.entry.line.as_str(), block.lines));
                (!stream.traces.continues(before, &entry.line), true)
            }
        };
        let given = now;
        let from = entry.began.unwrap_or(Carried::here(offset));
        if first {
            stream.end(offset, emit);
            stream.continuing = false;
            stream.block = Some(Block { last: entry.time, lines: 1, from, given, entry });
        } else if let Some(block) = &mut stream.block {
            block.append(&entry, now);
        } else if stream.continuing || alone {
            stream.block = Some(Block { last: entry.time, lines: 1, from, given, entry });
        } else {
            // Before the first line that begins a record, lines are what they are.
            return emit(entry);
        }
        if stream.block.as_ref().is_some_and(|block| block.lines >= self.max_lines) {
            stream.end(offset, emit);
            stream.continuing = true;
        }
    }

    /// There is nothing more to read: what has waited long enough is emitted.
    pub fn idle(&mut self, now: u64, offset: u64, emit: &mut dyn FnMut(Entry)) {
        for stream in &mut self.streams {
            if stream.block.as_ref().is_some_and(|b| now >= b.given.saturating_add(self.max_wait)) {
                stream.end(offset, emit);
                stream.continuing = false;
            }
        }
    }

    pub fn flush(&mut self, offset: u64, emit: &mut dyn FnMut(Entry)) {
        for mut stream in std::mem::take(&mut self.streams) {
            stream.end(offset, emit);
        }
    }

    /// Outputs with where their records began.
    pub fn held(&self) -> impl Iterator<Item = (&str, Carried)> {
        self.streams.iter().filter_map(|stream| Some((&*stream.name, stream.block.as_ref()?.from)))
    }

    pub fn for_held(&mut self, change: &mut dyn FnMut(&mut Carried)) {
        for block in self.streams.iter_mut().filter_map(|stream| stream.block.as_mut()) {
            change(&mut block.from);
        }
    }
}

impl Stream {
    fn end(&mut self, offset: u64, emit: &mut dyn FnMut(Entry)) {
        if let Some(block) = self.block.take() {
            emit(Entry { offset, ..block.entry });
        }
    }
}

impl Block {
    fn append(&mut self, entry: &Entry, now: u64) {
        self.lines += 1;
        self.last = self.last.max(entry.time);
        self.given = now;
        let line = &mut self.entry.line;
        // Once cut, nothing more is taken: a later line would otherwise follow a gap.
        if self.entry.truncated > 0 {
            self.entry.truncated += entry.line.len() as u64 + 1;
            return;
        }
        line.push('\n');
        line.push_str(&entry.line);
        self.entry.truncated += cut(line, DEFAULT_MAX_LINE) as u64 + entry.truncated;
    }
}
