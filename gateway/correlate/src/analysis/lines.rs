//! Log lines of chosen traces as facts: their patterns, and the places in the code that they name.
//!
//! Lines that name the trace, and those without an id that its containers wrote while its spans ran: as facts if they are more likely
//! its own than another's, and with their probability if not. The first are read for many traces at once; the others take much more reading, so that it is done for few traces;
//! those for which it would have to be done and is not count as not read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parsers::pattern::Miner;
use parsers::record::{Labels, SpanId, TraceId, Workload};
use query::QueryError;
use rustc_hash::{FxHashMap, FxHashSet};
use store::read::{LogRead, LogView, Matcher, SpanView, TraceRead, Window};

use super::code;
use super::digest::{Digest, sort_once};
use super::options::{MAX_PATTERNS, MAX_TRACE_FACTS};
use super::vocabulary::{Fact, Vocabulary};
use crate::workload_time::{self, OfferLimits};
use crate::{JoinedLog, tree};

/// Traces whose lines are read together: so many that blocks are read for several, and not so many that the time of one reading
/// is the time of a question.
const TOGETHER: usize = 400;
/// Traces for which lines without an id are looked for.
const MAX_OFFERS: usize = 200;
/// Traces for which that is done however long it takes: fewer tell nothing.
const MIN_OFFERS: usize = 40;
/// Longest time for the others.
const OFFER_TIME: Duration = Duration::from_millis(400);
/// Where services write lines with ids, so many traces tell whether they write others, too.
const TRIED: usize = 20;
/// Such a line is taken for the trace's own from this on, where one asks whether a trace has it...
const OFFER_CONFIDENCE: f64 = 0.5;
/// ...and counts for as much as it is probable from this on, where many traces are weighed together: one of five requests at once.
const WEIGHED_CONFIDENCE: f64 = 0.2;
/// What is read for the lines of one trace: less than where one trace is asked for.
const OFFER_LINES: usize = 2_000;
/// Bytes of lines that are scanned for them.
const OFFER_BYTES: u64 = 4 << 20;
/// Spans that ran beside them...
const OFFER_SPANS: usize = 5_000;
/// ...and bytes of spans that are read for them.
const OFFER_SPAN_BYTES: u64 = 16 << 20;
/// Spans above a line that are looked through.
const MAX_DEPTH: usize = 200;
/// Streams of which it is remembered whose they are.
const MAX_STREAMS: usize = 4_096;

/// What a line tells: a fact, of one of several spans below which the trace is looked at, or of none of these.
type Said = (u32, Option<SpanId>);

/// What is known of a trace.
struct Known {
    facts: Vec<Said>,
    probable: Vec<(Said, f64)>,
    /// Where it is looked at below several spans, those that were read.
    roots: FxHashSet<SpanId>,
    /// Services that write no line with an id, of which those without were not looked for.
    unread: Vec<u32>,
    /// Whether there are no lines without an id but those that were looked for.
    looked_for: bool,
}

/// Reads lines, each trace once.
pub(crate) struct Lines<'a> {
    traces: &'a dyn TraceRead,
    records: usize,
    miner: Miner,
    known: FxHashMap<TraceId, Known>,
    until: Instant,
    /// Where lines without an id are, and until when they are looked for.
    without_ids: Option<&'a dyn LogRead>,
    /// The part of all traces, and of the time, that one adding may take for it.
    parts: usize,
    offers: usize,
    offers_took: Duration,
    /// Traces in which such lines were looked for beside those with an id; `None` once one was found.
    in_vain: Option<usize>,
    services: Services,
    /// Whether a service writes lines at all.
    writes: FxHashMap<u32, bool>,
    /// Lines that were read.
    pub(crate) read: u64,
    /// Whether time ended before all that were asked for were read.
    pub(crate) cut: bool,
    /// Traces of which lines without an id were to be looked for, and those of which they were.
    to_look_for: usize,
    looked_for: usize,
}

/// Services by number.
#[derive(Default)]
struct Services {
    names: Vec<String>,
    by_name: FxHashMap<String, u32>,
    /// By the address of the labels, which stay where they are as long as they are held here.
    by_stream: FxHashMap<usize, (Arc<Labels>, Option<u32>)>,
}

impl Services {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.by_name.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.by_name.insert(name.to_owned(), number);
        number
    }

    /// Whose stream it is.
    fn of(&mut self, labels: &Arc<Labels>) -> Option<u32> {
        let address = Arc::as_ptr(labels).addr();
        if let Some((_, known)) = self.by_stream.get(&address) {
            return *known;
        }
        if self.by_stream.len() >= MAX_STREAMS {
            self.by_stream.clear();
        }
        let workload = Workload::from_labels(labels);
        let number = workload.service.or(workload.container).map(|name| self.number(&name));
        self.by_stream.insert(address, (Arc::clone(labels), number));
        number
    }

    fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("", |name| name)
    }
}

/// What lines need to know of a span.
#[derive(Debug, Clone, Copy)]
struct Ran {
    id: SpanId,
    parent: Option<SpanId>,
    service: u32,
    /// `None` if no digest has it.
    operation: Option<u32>,
    start: u64,
    end: u64,
}

impl Ran {
    fn of(view: &SpanView<'_>, services: &mut Services, vocabulary: &Vocabulary) -> Self {
        Self {
            id: view.span_id,
            parent: view.parent,
            service: services.number(view.service()),
            operation: vocabulary.known_or_other(view.service(), &view.name()),
            start: view.start,
            end: view.end,
        }
    }
}

/// One trace while its lines are read.
struct Reading {
    root: u32,
    /// Spans below which it is looked at, if they are several.
    roots: FxHashSet<SpanId>,
    /// By id, once all are there.
    spans: Vec<Ran>,
    lines: usize,
    facts: Vec<Said>,
    /// Facts that lines without an id tell, with how probable it is that these are the trace's own.
    probable: Vec<(Said, f64)>,
    /// Services that wrote lines with its id.
    told: Vec<u32>,
}

impl Reading {
    /// The span with this id.
    fn named(&self, id: Option<SpanId>) -> Option<&Ran> {
        let id = id?;
        let first = self.spans.partition_point(|span| span.id < id);
        self.spans.get(first).filter(|span| span.id == id)
    }

    /// Below which of several spans this one is, itself among them.
    fn below(&self, span: Option<&Ran>) -> Option<SpanId> {
        let mut at = span;
        // Senders may have made rings.
        for _ in 0..MAX_DEPTH {
            let here = at.filter(|_| !self.roots.is_empty())?;
            if self.roots.contains(&here.id) {
                return Some(here.id);
            }
            at = self.named(here.parent);
        }
        None
    }
}

impl<'a> Lines<'a> {
    /// At most `records` of each trace, for this long in all, which is so many times added.
    pub(crate) fn new(
        traces: &'a dyn TraceRead,
        without_ids: Option<&'a dyn LogRead>,
        records: usize,
        time: Duration,
        parts: usize,
    ) -> Self {
        Self {
            traces,
            records,
            miner: Miner::new(MAX_PATTERNS),
            known: FxHashMap::default(),
            until: Instant::now() + time,
            without_ids,
            parts: parts.max(1),
            offers: 0,
            offers_took: Duration::ZERO,
            in_vain: Some(0),
            services: Services::default(),
            writes: FxHashMap::default(),
            read: 0,
            cut: false,
            to_look_for: 0,
            looked_for: 0,
        }
    }

    /// Adds what the lines of these traces, by index, say to their facts, the first ones first.
    pub(crate) fn add(
        &mut self,
        digests: &mut [Digest],
        chosen: &[usize],
        vocabulary: &mut Vocabulary,
    ) -> Result<(), QueryError> {
        (self.offers, self.offers_took) = (0, Duration::ZERO);
        for chosen in chosen.chunks(TOGETHER) {
            let of = chosen.iter().filter_map(|index| digests.get(*index));
            let mut asked = FxHashSet::default();
            let mut is_new =
                |digest: &&Digest| !self.known.contains_key(&digest.trace) && asked.insert(digest.trace);
            let unknown: Vec<&Digest> = of.filter(&mut is_new).collect();
            if !unknown.is_empty() {
                if Instant::now() >= self.until {
                    self.cut = true;
                    return Ok(());
                }
                let mut roots: FxHashMap<TraceId, FxHashSet<SpanId>> = FxHashMap::default();
                for digest in digests.iter().filter(|digest| digest.of_several) {
                    if asked.contains(&digest.trace) {
                        roots.entry(digest.trace).or_default().insert(digest.span);
                    }
                }
                self.look_up(&unknown, roots, vocabulary)?;
            }
            for index in chosen {
                if let Some(digest) = digests.get_mut(*index) {
                    self.tell(digest, vocabulary);
                }
            }
        }
        Ok(())
    }

    /// Adds what is known of a trace's lines to its facts.
    fn tell(&self, digest: &mut Digest, vocabulary: &Vocabulary) {
        let Some(Known { facts, probable, roots, unread, looked_for }) = self.known.get(&digest.trace) else {
            return;
        };
        // Of a large trace not all spans were read.
        if digest.lines_read || (digest.of_several && !roots.contains(&digest.span)) {
            return;
        }
        let is_unread = |operation: &u32| {
            let service = self.services.by_name.get(vocabulary.service(*operation));
            service.is_some_and(|service| unread.contains(service))
        };
        digest.unread = digest.cells.iter().map(|cell| cell.operation).filter(is_unread).collect();
        // Below a span there are only the operations that are below it.
        let inside = |(number, below): &Said| {
            let fact = vocabulary.facts().get(*number as usize);
            fact.is_some_and(|fact| digest.cell(fact.operation()).is_some())
                && (!digest.of_several || *below == Some(digest.span))
        };
        let own: Vec<u32> = facts.iter().filter(|said| inside(said)).map(|(fact, _)| *fact).collect();
        let probable = probable.iter().filter(|(said, _)| inside(said));
        digest.probable = probable.map(|((fact, _), confidence)| (*fact, *confidence)).collect();
        digest.facts.extend(own);
        sort_once(&mut digest.facts);
        digest.looked_for = *looked_for;
        digest.lines_read = true;
    }

    /// Reads lines of traces, of each of which there is one digest here.
    fn look_up(
        &mut self,
        digests: &[&Digest],
        mut roots: FxHashMap<TraceId, FxHashSet<SpanId>>,
        vocabulary: &mut Vocabulary,
    ) -> Result<(), QueryError> {
        let ids: Vec<TraceId> = digests.iter().map(|digest| digest.trace).collect();
        let new = |digest: &&Digest| Reading {
            root: digest.root,
            roots: roots.remove(&digest.trace).unwrap_or_default(),
            spans: Vec::with_capacity(digest.cells.len()),
            lines: 0,
            facts: Vec::new(),
            probable: Vec::new(),
            told: Vec::new(),
        };
        let mut readings: Vec<Reading> = digests.iter().map(new).collect();
        let (traces, most) = (self.traces, self.records);
        traces.spans_of(&ids, &mut |place, view| {
            if let Some(reading) = readings.get_mut(place).filter(|reading| reading.spans.len() < most) {
                reading.spans.push(Ran::of(view, &mut self.services, vocabulary));
            }
        })?;
        for reading in &mut readings {
            reading.spans.sort_by_key(|span| (span.id, span.start));
        }
        traces.lines_of(&ids, &mut |place, view| {
            if let Some(reading) = readings.get_mut(place).filter(|reading| reading.lines < most) {
                self.line(reading, view, vocabulary);
            }
        })?;
        for (digest, mut reading) in digests.iter().zip(readings) {
            let (unread, looked_for) = self.add_offered(digest, &mut reading, vocabulary)?;
            sort_once(&mut reading.facts);
            let mut read = std::mem::take(&mut reading.roots);
            read.retain(|root| reading.named(Some(*root)).is_some());
            let Reading { facts, probable, .. } = reading;
            self.known.insert(digest.trace, Known { facts, probable, roots: read, unread, looked_for });
        }
        Ok(())
    }

    /// Takes a line that names its trace.
    fn line(&mut self, reading: &mut Reading, view: &LogView<'_>, vocabulary: &mut Vocabulary) {
        reading.lines += 1;
        let service = self.services.of(view.labels);
        // Its span says better whose it is than labels, which may name a container only.
        let by_span = reading.named(view.span_id).map(|span| span.service);
        if let Some(service) = by_span.or(service).filter(|service| !reading.told.contains(service)) {
            reading.told.push(service);
        }
        self.facts(reading, view, view.span_id, service, vocabulary);
    }

    fn facts(
        &mut self,
        reading: &mut Reading,
        view: &LogView<'_>,
        span: Option<SpanId>,
        service: Option<u32>,
        vocabulary: &mut Vocabulary,
    ) {
        self.read += 1;
        let span = reading.named(span).or_else(|| around(&reading.spans, service?, view.time));
        let below = reading.below(span);
        let operation = match span {
            Some(span) => span.operation,
            None => Some(reading.root),
        };
        let mined = self.miner.add(view.line);
        let Some(operation) = operation.filter(|_| reading.facts.len() < MAX_TRACE_FACTS) else { return };
        if let Some(mined) = mined {
            let pattern = mined.pattern as u32;
            let fact = vocabulary.fact(Fact::Pattern { operation, pattern });
            reading.facts.extend(fact.map(|fact| (fact, below)));
        }
        if let Some(place) = code::of_line(view).and_then(|place| vocabulary.value(&place.to_string())) {
            let fact = vocabulary.fact(Fact::Code { operation, place, from_line: true });
            reading.facts.extend(fact.map(|fact| (fact, below)));
        }
    }

    /// Adds lines without an id that are probably the trace's own; tells of which services that write no others they are not looked
    /// for, and whether there are none but those that were.
    fn add_offered(
        &mut self,
        digest: &Digest,
        reading: &mut Reading,
        vocabulary: &mut Vocabulary,
    ) -> Result<(Vec<u32>, bool), QueryError> {
        let Some(without_ids) = self.without_ids else { return Ok((Vec::new(), true)) };
        // Lines of services that are not below the root are of no use here.
        let numbers =
            digest.cells.iter().map(|cell| self.services.number(vocabulary.service(cell.operation)));
        let services: FxHashSet<u32> = numbers.collect();
        let mut wanted = Vec::new();
        for service in services.iter().filter(|service| !reading.told.contains(service)) {
            if self.writes(*service, without_ids)? {
                wanted.push(*service);
            }
        }
        let may_be_beside = self.in_vain.is_none_or(|traces| traces < TRIED)
            && services.iter().any(|service| reading.told.contains(service));
        if wanted.is_empty() && !may_be_beside {
            return Ok((wanted, true));
        }
        self.to_look_for += 1;
        let late =
            self.offers >= MIN_OFFERS / self.parts && self.offers_took >= OFFER_TIME / self.parts as u32;
        if late || self.offers >= MAX_OFFERS / self.parts {
            return Ok((wanted, false));
        }
        self.offers += 1;
        let began = Instant::now();
        let spans = self.traces.trace(digest.trace, self.records)?.spans;
        let nodes = tree::build(spans).nodes;
        let limits = OfferLimits {
            lines: OFFER_LINES,
            scanned_bytes: OFFER_BYTES,
            spans: OFFER_SPANS,
            span_bytes: OFFER_SPAN_BYTES,
            min_confidence: WEIGHED_CONFIDENCE,
            ..OfferLimits::default()
        };
        let offer = workload_time::offer(self.traces, without_ids, digest.trace, &nodes, &[], &limits)?;
        self.offers_took += began.elapsed();
        if offer.lines.is_empty() && !offer.warnings.is_empty() {
            // There was too much to read.
            return Ok((wanted, false));
        }
        self.looked_for += 1;
        let mut beside = false;
        let sure = reading.facts.len();
        for JoinedLog { record, span_id, join, .. } in offer.lines {
            let (view, service) = (LogView::from(&record), self.services.of(&record.labels));
            let by_span = reading.named(span_id).map(|span| span.service);
            beside |= by_span.or(service).is_some_and(|service| reading.told.contains(&service));
            let known = reading.facts.len();
            self.facts(reading, &view, span_id.or(record.span_id), service, vocabulary);
            let new = reading.facts.split_off(known);
            for said in new {
                vocabulary.is_of_offer(said.0);
                if reading.facts.iter().take(sure).any(|known| *known == said) {
                    continue;
                }
                match reading.probable.iter_mut().find(|(known, _)| *known == said) {
                    Some((_, most)) => *most = most.max(join.confidence),
                    None => reading.probable.push((said, join.confidence)),
                }
                if join.confidence >= OFFER_CONFIDENCE {
                    reading.facts.push(said);
                }
            }
        }
        self.in_vain = match self.in_vain {
            Some(traces) if !beside => Some(traces + usize::from(may_be_beside)),
            _ => None,
        };
        Ok((Vec::new(), true))
    }

    /// Tells if lines without an id were not looked for in all traces: what is seen in them may be missing, or seem rare.
    pub(crate) fn warning(&self) -> Option<String> {
        let (looked_for, all) = (self.looked_for, self.to_look_for);
        (looked_for < all)
            .then(|| format!("log lines without an id were looked for in {looked_for} of {all} traces"))
    }

    /// Whether there are lines of a service at all.
    fn writes(&mut self, service: u32, logs: &dyn LogRead) -> Result<bool, QueryError> {
        if let Some(known) = self.writes.get(&service) {
            return Ok(*known);
        }
        let name = self.services.name(service).to_owned();
        let mut found = false;
        for label in ["service_name", "container", "app"] {
            found = found || !logs.streams(&[Matcher::equal(label, &*name)], Window::ALL)?.is_empty();
        }
        self.writes.insert(service, found);
        Ok(found)
    }

    /// A pattern as LogQL's `|>` reads it.
    pub(crate) fn pattern(&self, number: u32) -> Option<String> {
        self.miner.text(u64::from(number))
    }
}

/// The shortest span of the line's service that the line lies in.
fn around(spans: &[Ran], service: u32, time: u64) -> Option<&Ran> {
    let inside = |span: &&Ran| span.service == service && span.start <= time && time <= span.end;
    spans.iter().filter(inside).min_by_key(|span| span.end.saturating_sub(span.start))
}
