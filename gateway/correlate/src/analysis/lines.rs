//! Log lines of chosen traces as facts: their patterns, and the places in the code that they name.

use std::time::{Duration, Instant};

use parsers::pattern::Miner;
use parsers::record::{LogRecord, Span, SpanId, TraceId, Workload};
use query::QueryError;
use rustc_hash::FxHashMap;
use store::read::TraceRead;

use super::code;
use super::digest::{Digest, sort_once};
use super::options::{MAX_PATTERNS, MAX_TRACE_FACTS};
use super::vocabulary::{Fact, Vocabulary};

/// Reads lines, each trace once.
pub(crate) struct Lines<'a> {
    traces: &'a dyn TraceRead,
    records: usize,
    miner: Miner,
    known: FxHashMap<TraceId, Vec<u32>>,
    until: Instant,
    /// Lines that were read.
    pub(crate) lines: u64,
    /// Whether time ended before all that were asked for were read.
    pub(crate) cut: bool,
}

impl<'a> Lines<'a> {
    /// At most `records` of each trace, for this long in all.
    pub(crate) fn new(traces: &'a dyn TraceRead, records: usize, time: Duration) -> Self {
        let (miner, known) = (Miner::new(MAX_PATTERNS), FxHashMap::default());
        Self { traces, records, miner, known, until: Instant::now() + time, lines: 0, cut: false }
    }

    /// Adds what the lines of a trace say to its facts.
    pub(crate) fn add(&mut self, digest: &mut Digest, vocabulary: &mut Vocabulary) -> Result<(), QueryError> {
        if digest.lines_read {
            return Ok(());
        }
        if !self.known.contains_key(&digest.trace) {
            if Instant::now() >= self.until {
                self.cut = true;
                return Ok(());
            }
            let records = self.traces.trace(digest.trace, self.records)?;
            let facts = self.facts(&records.spans, &records.logs, digest.root, vocabulary);
            self.known.insert(digest.trace, facts);
        }
        let facts = self.known.get(&digest.trace).map(Vec::as_slice).unwrap_or_default();
        // Below a span there are only the operations that are below it.
        let inside = |number: &u32| {
            let fact = vocabulary.facts().get(*number as usize);
            fact.is_some_and(|fact| digest.cell(fact.operation()).is_some())
        };
        let inside: Vec<u32> = facts.iter().copied().filter(inside).collect();
        digest.facts.extend(inside);
        sort_once(&mut digest.facts);
        digest.lines_read = true;
        Ok(())
    }

    fn facts(
        &mut self,
        spans: &[Span],
        logs: &[LogRecord],
        root: u32,
        vocabulary: &mut Vocabulary,
    ) -> Vec<u32> {
        let mut by_id: FxHashMap<SpanId, &Span> = FxHashMap::default();
        for span in spans {
            by_id.entry(span.span_id).or_insert(span);
        }
        let mut facts = Vec::new();
        for record in logs {
            self.lines += 1;
            let named = record.span_id.and_then(|id| by_id.get(&id).copied());
            let operation = match named.or_else(|| around(spans, record)) {
                Some(span) => vocabulary.operation(span.resource.service(), &span.name),
                None => root,
            };
            if let Some(mined) = self.miner.add(&record.line) {
                let pattern = mined.pattern as u32;
                facts.extend(vocabulary.fact(Fact::Pattern { operation, pattern }));
            }
            if let Some(place) = code::of_line(record).and_then(|place| vocabulary.value(&place.to_string()))
            {
                facts.extend(vocabulary.fact(Fact::Code { operation, place, from_line: true }));
            }
            if facts.len() >= MAX_TRACE_FACTS {
                break;
            }
        }
        facts
    }

    /// A pattern as LogQL's `|>` reads it.
    pub(crate) fn pattern(&self, number: u32) -> Option<String> {
        self.miner.text(u64::from(number))
    }
}

/// The shortest span of the line's service that the line lies in.
fn around<'a>(spans: &'a [Span], record: &LogRecord) -> Option<&'a Span> {
    let workload = Workload::from_labels(&record.labels);
    let service = workload.service.or(workload.container)?;
    let inside = |span: &&Span| {
        span.resource.service() == service && span.start <= record.time && record.time <= span.end
    };
    spans.iter().filter(inside).min_by_key(|span| span.duration())
}
