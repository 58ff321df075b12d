//! Log lines of chosen traces as facts: their patterns, and the places in the code that they name.
//!
//! Lines that name the trace, and, of services that write none such, those that their containers wrote while its spans ran, if they
//! are more likely its own than another's. That takes much more reading, so that it is done for few traces; those for which it
//! would have to be done and is not count as not read.

use std::time::{Duration, Instant};

use parsers::pattern::Miner;
use parsers::record::{LogRecord, Span, SpanId, TraceId, Workload};
use query::QueryError;
use rustc_hash::{FxHashMap, FxHashSet};
use store::read::{LogRead, Matcher, TraceRead, Window};

use super::code;
use super::digest::{Digest, sort_once};
use super::options::{MAX_PATTERNS, MAX_TRACE_FACTS};
use super::vocabulary::{Fact, Vocabulary};
use crate::workload_time::{self, OfferLimits};
use crate::{JoinedLog, tree};

/// Traces for which lines without an id are looked for.
const MAX_OFFERS: usize = 200;
/// Longest time for that.
const OFFER_TIME: Duration = Duration::from_millis(400);
/// Such a line is taken for the trace's own from this on.
const OFFER_CONFIDENCE: f64 = 0.5;
/// What is read for the lines of one trace: less than where one trace is asked for.
const OFFER_LINES: usize = 2_000;
/// Bytes of lines that are scanned for them.
const OFFER_BYTES: u64 = 4 << 20;
/// Spans that ran beside them.
const OFFER_SPANS: usize = 1_000;

/// Reads lines, each trace once.
pub(crate) struct Lines<'a> {
    traces: &'a dyn TraceRead,
    records: usize,
    miner: Miner,
    /// `None` for a trace of which not all is known.
    known: FxHashMap<TraceId, Option<Vec<u32>>>,
    until: Instant,
    /// Where lines without an id are, and until when they are looked for.
    without_ids: Option<&'a dyn LogRead>,
    offers: usize,
    offers_took: Duration,
    /// Whether a service writes lines at all.
    writes: FxHashMap<String, bool>,
    /// Lines that were read.
    pub(crate) read: u64,
    /// Whether time ended before all that were asked for were read.
    pub(crate) cut: bool,
}

impl<'a> Lines<'a> {
    /// At most `records` of each trace, for this long in all.
    pub(crate) fn new(
        traces: &'a dyn TraceRead,
        without_ids: Option<&'a dyn LogRead>,
        records: usize,
        time: Duration,
    ) -> Self {
        Self {
            traces,
            records,
            miner: Miner::new(MAX_PATTERNS),
            known: FxHashMap::default(),
            until: Instant::now() + time,
            without_ids,
            offers: 0,
            offers_took: Duration::ZERO,
            writes: FxHashMap::default(),
            read: 0,
            cut: false,
        }
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
            let mut records = self.traces.trace(digest.trace, self.records)?;
            // Lines of services that are not below the root are of no use here.
            let services: FxHashSet<String> =
                digest.cells.iter().map(|cell| vocabulary.named(cell.operation).service).collect();
            let known = match self.offered(digest.trace, &services, &records.spans, &records.logs)? {
                Some(offered) => {
                    records.logs.extend(offered);
                    Some(self.facts(&records.spans, &records.logs, digest.root, vocabulary))
                }
                None => None,
            };
            self.known.insert(digest.trace, known);
        }
        let Some(facts) = self.known.get(&digest.trace).and_then(Option::as_deref) else { return Ok(()) };
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

    /// Lines without an id that are probably the trace's own, where it takes them to know its lines; `None` if they would have to
    /// be looked for and are not.
    fn offered(
        &mut self,
        trace: TraceId,
        services: &FxHashSet<String>,
        spans: &[Span],
        logs: &[LogRecord],
    ) -> Result<Option<Vec<LogRecord>>, QueryError> {
        let Some(without_ids) = self.without_ids else { return Ok(Some(Vec::new())) };
        let told: FxHashSet<String> = logs.iter().filter_map(service).collect();
        let mut wanted = false;
        for service in services.iter().filter(|service| !told.contains(*service)) {
            wanted |= self.writes(service, without_ids)?;
        }
        if !wanted {
            return Ok(Some(Vec::new()));
        }
        if self.offers >= MAX_OFFERS || self.offers_took >= OFFER_TIME {
            return Ok(None);
        }
        self.offers += 1;
        let (began, nodes) = (Instant::now(), tree::build(spans.to_vec()).nodes);
        let limits = OfferLimits {
            lines: OFFER_LINES,
            scanned_bytes: OFFER_BYTES,
            spans: OFFER_SPANS,
            span_bytes: OFFER_BYTES,
            min_confidence: OFFER_CONFIDENCE,
            ..OfferLimits::default()
        };
        let offer = workload_time::offer(self.traces, without_ids, trace, &nodes, &[], &limits)?;
        self.offers_took += began.elapsed();
        // A line of a span names it from here on.
        let own = |log: JoinedLog| LogRecord { span_id: log.span_id.or(log.record.span_id), ..log.record };
        Ok(Some(offer.lines.into_iter().map(own).collect()))
    }

    /// Whether there are lines of a service at all.
    fn writes(&mut self, service: &str, logs: &dyn LogRead) -> Result<bool, QueryError> {
        if let Some(known) = self.writes.get(service) {
            return Ok(*known);
        }
        let mut found = false;
        for label in ["service_name", "container", "app"] {
            found = found || !logs.streams(&[Matcher::equal(label, service)], Window::ALL)?.is_empty();
        }
        self.writes.insert(service.to_owned(), found);
        Ok(found)
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
            self.read += 1;
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
    let service = service(record)?;
    let inside = |span: &&Span| {
        span.resource.service() == service && span.start <= record.time && record.time <= span.end
    };
    spans.iter().filter(inside).min_by_key(|span| span.duration())
}

fn service(record: &LogRecord) -> Option<String> {
    let workload = Workload::from_labels(&record.labels);
    workload.service.or(workload.container)
}
