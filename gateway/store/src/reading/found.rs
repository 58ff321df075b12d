//! Records of one trace, gathered from wherever they lie.

use std::sync::Arc;

use parsers::otlp::{decode_resource, decode_scope, decode_span};
use parsers::record::{
    Batch, Exemplar, ExemplarRow, MetricBatch, Pairs, Resource, Scope, Span, SpanId, SpanKind, SpanRow,
    Status, TraceId, lossy,
};
use rustc_hash::FxHashMap;

use super::partial::{self, Repeat, Repeats, Report};
use crate::head::Kind;
use crate::read::{Detail, TraceRecords};

/// Records of one trace as they are found.
pub struct Found<'a> {
    id: TraceId,
    limit: usize,
    detail: Detail<'a>,
    /// Where in the records the first span of each id is; `None` if it was omitted.
    seen: FxHashMap<(u128, SpanId, SpanKind, Arc<str>), Option<usize>>,
    repeats: Repeats,
    /// Spans of one process share its resource; each is decoded once.
    resources: FxHashMap<Box<[u8]>, Arc<Resource>>,
    scopes: FxHashMap<Box<[u8]>, Arc<Scope>>,
    /// What was found, in no order.
    pub records: TraceRecords,
}

impl<'a> Found<'a> {
    /// Nothing yet, of a trace.
    pub fn new(id: TraceId, limit: usize, detail: Detail<'a>) -> Self {
        Self {
            id,
            limit,
            detail,
            seen: FxHashMap::default(),
            repeats: Repeats::default(),
            resources: FxHashMap::default(),
            scopes: FxHashMap::default(),
            records: TraceRecords::default(),
        }
    }

    /// In order of time.
    pub fn into_records(self) -> TraceRecords {
        let mut records = self.records;
        records.spans.sort_by_key(|s| (s.start, s.span_id));
        records.logs.sort_by_key(|l| l.time);
        records.exemplars.sort_by_key(|e| e.time);
        records
    }

    fn is_ours(&self, bits: u128, spelling: parsers::record::Spelling) -> bool {
        // Of a block few are, and their low halves tell already.
        bits as u64 == self.id.low64()
            && TraceId::new(bits, spelling).is_some_and(|id| id.matches(self.id).is_some())
    }

    /// Takes a row, if it is of the trace.
    pub fn take(&mut self, batch: &Batch, kind: Kind, row: usize) {
        match kind {
            Kind::Log => {
                let Some(r) = batch.logs.rows.get(row).filter(|r| self.is_ours(r.trace, r.spelling)) else {
                    return;
                };
                if self.records.logs.len() < self.limit {
                    self.records.logs.push(batch.logs.record(r));
                } else {
                    self.records.omitted += 1;
                }
            }
            Kind::Span => self.take_span(batch, row),
            Kind::Exemplar => {
                let m = &batch.metrics;
                let Some(e) = m.exemplars.get(row).filter(|e| self.is_ours(e.trace, e.spelling)) else {
                    return;
                };
                if self.records.exemplars.len() >= self.limit {
                    self.records.omitted += 1;
                    return;
                }
                self.records.exemplars.push(exemplar(m, e));
            }
        }
    }

    fn take_span(&mut self, batch: &Batch, row: usize) {
        let s = &batch.spans;
        let Some(r) = s.rows.get(row).filter(|r| self.is_ours(r.trace, r.spelling)) else { return };
        let resource = s.resources.get(r.resource as usize);
        let service = resource.map(|x| Arc::clone(&x.service)).unwrap_or_default();
        let Some(id) = SpanId::new(r.span) else { return };
        if matches!(self.detail, Detail::Only(wanted) if !wanted.contains(&id)) {
            return;
        }
        let report = || Report::new((id, r.kind, r.status), (r.start, r.end), &service, r.name.of(&s.bytes));
        let key = (r.trace, id, r.kind, Arc::clone(&service));
        let place = self.seen.get(&key).copied();
        let known = place.flatten().and_then(|at| self.records.spans.get(at));
        let part = match known.map(|known| self.repeats.tell(Report::of(known), report())) {
            Some(Repeat::Again) => return,
            Some(Repeat::Part) => true,
            Some(Repeat::Another) | None => false,
        };
        if !part && self.records.spans.len() >= self.limit {
            // Of those that are omitted each is counted once, too.
            if known.is_some() || self.repeats.note(report()) {
                self.records.omitted += 1;
            }
            self.seen.entry(key).or_insert(None);
            return;
        }
        let resource = resource.map(|x| x.payload.of(&s.bytes)).unwrap_or_default();
        let resource = once(&mut self.resources, resource, decode_resource);
        let span = if matches!(self.detail, Detail::Outline) {
            let scope = once(&mut self.scopes, &[], decode_scope);
            outline(r, id, &s.bytes, resource, scope)
        } else {
            let scope = s.scopes.get(r.scope as usize).map(|x| x.of(&s.bytes)).unwrap_or_default();
            let scope = once(&mut self.scopes, scope, decode_scope);
            decode_span(r.payload.of(&s.bytes), r.spelling, resource, scope)
        };
        // A row has valid ids, so its message has them too, unless it is damaged.
        let Some(span) = span else { return };
        match place.flatten().filter(|_| part).and_then(|at| self.records.spans.get_mut(at)) {
            Some(known) => partial::complete(known, span),
            None => {
                self.seen.entry(key).or_insert(Some(self.records.spans.len()));
                self.records.spans.push(span);
            }
        }
    }

    /// Takes all rows that are of the trace.
    pub fn take_all(&mut self, batch: &Batch) {
        (0..batch.logs.rows.len()).for_each(|i| self.take(batch, Kind::Log, i));
        (0..batch.spans.rows.len()).for_each(|i| self.take(batch, Kind::Span, i));
        (0..batch.metrics.exemplars.len()).for_each(|i| self.take(batch, Kind::Exemplar, i));
    }
}

/// What a row says without its message.
fn outline(
    row: &SpanRow,
    span_id: SpanId,
    bytes: &[u8],
    resource: Arc<Resource>,
    scope: Arc<Scope>,
) -> Option<Span> {
    Some(Span {
        trace_id: TraceId::new(row.trace, row.spelling)?,
        span_id,
        parent_span_id: SpanId::new(row.parent),
        trace_state: String::new(),
        flags: 0,
        name: lossy(row.name.of(bytes)).into_owned(),
        kind: row.kind,
        start: row.start,
        end: row.end,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        status: Status { code: row.status, message: String::new() },
        resource,
        scope,
    })
}

fn once<T>(known: &mut FxHashMap<Box<[u8]>, Arc<T>>, bytes: &[u8], decode: fn(&[u8]) -> T) -> Arc<T> {
    if let Some(decoded) = known.get(bytes) {
        return Arc::clone(decoded);
    }
    let decoded = Arc::new(decode(bytes));
    known.insert(bytes.into(), Arc::clone(&decoded));
    decoded
}

/// An exemplar of a batch, owned.
pub fn exemplar(metrics: &MetricBatch, row: &ExemplarRow) -> Exemplar {
    let labels = Pairs::new(row.labels.of(&metrics.meta));
    Exemplar {
        series: metrics.series.get(row.series as usize).cloned().unwrap_or_default(),
        labels: labels.map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        value: row.value,
        time: row.time,
        trace_id: TraceId::new(row.trace, row.spelling),
        span_id: SpanId::new(row.span),
        origin: row.origin,
    }
}
