//! Records in memory, for tests of what is asked of all signals.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use parsers::record::{
    Exemplar, Labels, LogRecord, MetricMeta, Resource, Scope, Severity, Span, SpanId, SpanKind, Spelling,
    Status, TENANT, TraceId, Value,
};
use store::read::{
    Direction, ExemplarLimits, ExemplarRead, LogRead, LogSelect, Matcher, MetricRead, ReadError,
    SampleLimits, SampleRead, ScanReport, SeriesSamples, SpanSelect, StoredExemplars, TraceRead,
    TraceRecords, Window,
};

/// All records.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) spans: Vec<Span>,
    pub(crate) logs: Vec<LogRecord>,
    pub(crate) exemplars: Vec<Exemplar>,
    pub(crate) series: Vec<Labels>,
}

impl TraceRead for World {
    fn trace(&self, id: TraceId, _: usize) -> Result<TraceRecords, ReadError> {
        let is = |other: Option<TraceId>| other.is_some_and(|other| other.matches(id).is_some());
        Ok(TraceRecords {
            spans: self.spans.iter().filter(|span| is(Some(span.trace_id))).cloned().collect(),
            logs: self.logs.iter().filter(|log| is(log.trace_id)).cloned().collect(),
            exemplars: self.exemplars.iter().filter(|e| is(e.trace_id)).cloned().collect(),
            ..TraceRecords::default()
        })
    }

    fn scan_traces(
        &self,
        select: &SpanSelect,
        visit: &mut dyn FnMut(Vec<Span>) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        let ids: BTreeSet<u128> = self.spans.iter().map(|span| span.trace_id.bits()).collect();
        for id in ids {
            let of = |span: &&Span| span.trace_id.bits() == id;
            let spans: Vec<Span> = self.spans.iter().filter(of).cloned().collect();
            let inside = spans.iter().any(|span| select.window.contains(span.start));
            let named = |service: &String| spans.iter().any(|span| span.resource.service() == service);
            if inside && select.service.as_ref().is_none_or(named) && visit(spans).is_break() {
                break;
            }
        }
        Ok(ScanReport { records: self.spans.len() as u64, ..ScanReport::default() })
    }

    fn services(&self, _: Window) -> Result<Vec<(String, Vec<String>)>, ReadError> {
        let names: BTreeSet<&str> = self.spans.iter().map(|span| span.resource.service()).collect();
        Ok(names.into_iter().map(|name| (name.to_owned(), Vec::new())).collect())
    }
}

impl LogRead for World {
    fn scan_logs(
        &self,
        select: &LogSelect,
        visit: &mut dyn FnMut(LogRecord) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        let wanted = |log: &&LogRecord| {
            select.window.contains(log.time) && select.matchers.iter().all(|m| m.matches(&log.labels))
        };
        let mut logs: Vec<&LogRecord> = self.logs.iter().filter(wanted).collect();
        logs.sort_by_key(|log| log.time);
        if select.direction == Direction::Backward {
            logs.reverse();
        }
        let mut report = ScanReport::default();
        for log in logs {
            report.records += 1;
            report.bytes += log.line.len() as u64;
            if visit(log.clone()).is_break() {
                break;
            }
        }
        Ok(report)
    }

    fn streams(&self, matchers: &[Matcher], window: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        let inside = self.logs.iter().filter(|log| window.contains(log.time));
        let streams: BTreeSet<Arc<Labels>> = inside.map(|log| Arc::clone(&log.labels)).collect();
        Ok(streams.into_iter().filter(|labels| matchers.iter().all(|m| m.matches(labels))).collect())
    }
}

impl ExemplarRead for World {
    fn stored_exemplars(
        &self,
        selectors: &[Vec<Matcher>],
        window: Window,
        _: ExemplarLimits,
    ) -> Result<StoredExemplars, ReadError> {
        let wanted = |e: &&Exemplar| {
            window.contains(e.time) && selectors.iter().any(|s| s.iter().all(|m| m.matches(&e.series)))
        };
        Ok(self.exemplars.iter().filter(wanted).cloned().collect::<Vec<_>>().into())
    }
}

impl SampleRead for World {
    fn select(&self, _: &[Matcher], _: Window, _: SampleLimits) -> Result<Vec<SeriesSamples>, ReadError> {
        Ok(Vec::new())
    }

    fn label_sets(&self, selectors: &[Vec<Matcher>], _: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        let wanted = |labels: &&Labels| selectors.iter().any(|s| s.iter().all(|m| m.matches(labels)));
        Ok(self.series.iter().filter(wanted).cloned().map(Arc::new).collect())
    }

    fn metadata(&self) -> Result<Vec<MetricMeta>, ReadError> {
        Ok(Vec::new())
    }
}

impl World {
    /// Its series and exemplars as those that are stored here.
    pub(crate) fn held(&self) -> Arc<dyn MetricRead> {
        Arc::new(crate::StoredMetrics::new(Arc::new(self.clone())))
    }
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::new(pairs.iter().copied())
}

pub(crate) fn trace_id(number: u64) -> TraceId {
    TraceId::new(u128::from(number) << 64 | u128::from(number), Spelling::default()).unwrap()
}

/// A line of a stream; `trace` 0 is none.
pub(crate) fn line(time: u64, of: &[(&str, &str)], level: Severity, text: &str, trace: u64) -> LogRecord {
    LogRecord {
        time,
        observed: time,
        labels: Arc::new(labels(of)),
        metadata: Vec::new(),
        trace_id: (trace > 0).then(|| trace_id(trace)),
        span_id: SpanId::new(trace),
        severity: level,
        line: text.as_bytes().to_vec(),
        source: None,
        rule: None,
    }
}

/// The only span of a trace.
pub(crate) fn span(trace: u64, resource: &[(&str, &str)], name: &str, start: u64, end: u64) -> Span {
    let text = |(key, value): &(&str, &str)| ((*key).to_owned(), Value::Str((*value).to_owned()));
    Span {
        trace_id: trace_id(trace),
        span_id: SpanId::new(trace).unwrap(),
        parent_span_id: None,
        trace_state: String::new(),
        flags: 1,
        name: name.to_owned(),
        kind: SpanKind::Server,
        start,
        end,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        status: Status::default(),
        resource: Arc::new(Resource { attributes: resource.iter().map(text).collect() }),
        scope: Arc::new(Scope::default()),
    }
}

/// The same line, of a tenant.
pub(crate) fn of_tenant(mut line: LogRecord, tenant: &str) -> LogRecord {
    line.metadata.push((TENANT.to_owned(), tenant.to_owned()));
    line
}
