//! A router over nothing, or over records in memory, for tests of the surfaces.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use correlate::{CorrelateOptions, Correlator, Exemplars};
use parsers::record::{
    Batch, Labels, LogRecord, MetricMeta, Resource, Scope, Severity, Span, SpanId, SpanKind, Status, TraceId,
    Value,
};
use prometheus_client::registry::Registry;
use store::read::{
    Direction, ExemplarLimits, ExemplarRead, Fate, LogRead, LogSelect, Matcher, PatternCount, PatternRead,
    ReadError, SampleLimits, SampleRead, ScanReport, SeriesSamples, SpanSelect, StoredExemplars, TraceRead,
    TraceRecords, Window,
};
use tokio::sync::broadcast::{Receiver, channel};
use tower::ServiceExt as _;

use crate::{
    CollectedFile, Collecting, DEFAULT_REQUEST_TIMEOUT, Follow, OwnRequests, OwnSpans, PartState, Readiness,
    Reads, ScrapeTargetsBody, Scraping, State, Tails, router,
};

/// Holds nothing, and is waiting for its journal.
pub(crate) struct Nothing;

impl TraceRead for Nothing {
    fn trace(&self, _: TraceId, _: usize) -> Result<TraceRecords, ReadError> {
        Ok(TraceRecords::default())
    }
    fn scan_traces(
        &self,
        _: &SpanSelect,
        _: &mut dyn FnMut(Vec<Span>) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        Ok(ScanReport::default())
    }
    fn services(&self, _: Window) -> Result<Vec<(String, Vec<String>)>, ReadError> {
        Ok(Vec::new())
    }
}

impl Follow for Nothing {
    fn follow(&self) -> Receiver<Arc<Batch>> {
        channel(1).1
    }
}

/// One pattern of the shop, whatever is asked.
impl PatternRead for Nothing {
    fn patterns(&self, matchers: &[Matcher], window: Window, step: u64) -> Vec<PatternCount> {
        let shop = Labels::new([("app", "shop")]);
        let asked = matchers.iter().all(|m| m.matches(&shop));
        let samples = vec![(window.start, step / 1_000_000_000)];
        let (pattern, level) = ("order <_> placed".to_owned(), Severity::Info);
        if asked { vec![PatternCount { pattern, level, samples }] } else { Vec::new() }
    }
}

impl ExemplarRead for Nothing {
    fn stored_exemplars(
        &self,
        _: &[Vec<Matcher>],
        _: Window,
        _: ExemplarLimits,
    ) -> Result<StoredExemplars, ReadError> {
        Ok(StoredExemplars::default())
    }
}

impl SampleRead for Nothing {
    fn select(&self, _: &[Matcher], _: Window, _: SampleLimits) -> Result<Vec<SeriesSamples>, ReadError> {
        Ok(Vec::new())
    }
    fn label_sets(&self, _: &[Vec<Matcher>], _: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        Ok(Vec::new())
    }
    fn metadata(&self) -> Result<Vec<MetricMeta>, ReadError> {
        Ok(Vec::new())
    }
}

impl Collecting for Nothing {
    fn files(&self) -> Vec<CollectedFile> {
        Vec::new()
    }
}

impl LogRead for Nothing {
    fn scan_logs(
        &self,
        _: &LogSelect,
        _: &mut dyn FnMut(LogRecord) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        Ok(ScanReport::default())
    }
    fn streams(&self, _: &[Matcher], _: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        Ok(Vec::new())
    }
}

/// Log records and spans in memory.
#[derive(Default)]
pub(crate) struct Memory {
    /// In any order.
    pub(crate) logs: Vec<LogRecord>,
    /// Of any traces.
    pub(crate) spans: Vec<Span>,
    /// Traces that sampling dropped.
    pub(crate) dropped: Vec<TraceId>,
}

impl LogRead for Memory {
    fn scan_logs(
        &self,
        select: &LogSelect,
        visit: &mut dyn FnMut(LogRecord) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        let selected = |record: &&LogRecord| {
            select.window.contains(record.time) && select.matchers.iter().all(|m| m.matches(&record.labels))
        };
        let mut records: Vec<LogRecord> = self.logs.iter().filter(selected).cloned().collect();
        records.sort_by_key(|record| record.time);
        if select.direction == Direction::Backward {
            records.reverse();
        }
        let mut report = ScanReport::default();
        for record in records {
            report.records += 1;
            report.bytes += record.line.len() as u64;
            if visit(record).is_break() {
                break;
            }
        }
        Ok(report)
    }

    fn streams(&self, matchers: &[Matcher], window: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        let inside = self.logs.iter().filter(|record| window.contains(record.time));
        let mut streams: Vec<Arc<Labels>> = inside.map(|record| record.labels.clone()).collect();
        streams.retain(|labels| matchers.iter().all(|m| m.matches(labels)));
        streams.sort();
        streams.dedup();
        Ok(streams)
    }
}

impl TraceRead for Memory {
    fn sampled_out(&self, id: TraceId) -> Option<Fate> {
        let dropped = self.dropped.iter().any(|dropped| dropped.matches(id).is_some());
        dropped.then(|| Fate::SampledOut { rule: "rest".into(), decided: 0 })
    }

    fn trace(&self, id: TraceId, _: usize) -> Result<TraceRecords, ReadError> {
        let spans = self.spans.iter().filter(|span| span.trace_id.matches(id).is_some()).cloned().collect();
        let fates = self.sampled_out(id).into_iter().collect();
        Ok(TraceRecords { spans, fates, ..TraceRecords::default() })
    }

    fn scan_traces(
        &self,
        select: &SpanSelect,
        visit: &mut dyn FnMut(Vec<Span>) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        let mut spans = self.spans.clone();
        spans.sort_by_key(|span| span.trace_id.bits());
        let mut traces: Vec<&[Span]> = spans.chunk_by(|a, b| a.trace_id == b.trace_id).collect();
        traces.retain(|trace| trace.iter().any(|span| select.window.contains(span.start)));
        traces.sort_by_key(|trace| std::cmp::Reverse(trace.iter().map(|span| span.start).max()));
        for trace in traces {
            if visit(trace.to_vec()).is_break() {
                break;
            }
        }
        Ok(ScanReport { records: self.spans.len() as u64, ..ScanReport::default() })
    }

    fn services(&self, _: Window) -> Result<Vec<(String, Vec<String>)>, ReadError> {
        let mut services = BTreeMap::<String, BTreeSet<String>>::new();
        for span in &self.spans {
            services.entry(span.resource.service().to_owned()).or_default().insert(span.name.clone());
        }
        Ok(services.into_iter().map(|(name, spans)| (name, spans.into_iter().collect())).collect())
    }
}

impl Readiness for Nothing {
    fn parts(&self) -> Vec<PartState> {
        let waiting_for = Some("replaying the journal".to_owned());
        vec![PartState { name: "store", waiting_for, refusing: None }]
    }
}

impl Scraping for Nothing {
    fn targets(&self) -> ScrapeTargetsBody {
        ScrapeTargetsBody::default()
    }
}

impl OwnSpans for Nothing {
    fn ended(&self, _: Span) {}
}

/// A span of a service; ids in hex, times in nanoseconds.
pub(crate) fn span(trace: &str, id: &str, service: &str, name: &str, start: u64, end: u64) -> Span {
    let service = Value::Str(service.to_owned());
    Span {
        trace_id: TraceId::from_hex(trace.as_bytes()).unwrap(),
        span_id: SpanId::from_hex(id.as_bytes()).unwrap(),
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
        resource: Arc::new(Resource { attributes: vec![("service.name".to_owned(), service)] }),
        scope: Arc::new(Scope::default()),
    }
}

/// A line of a stream.
pub(crate) fn line(time: u64, labels: &[(&str, &str)], text: &str) -> LogRecord {
    LogRecord {
        time,
        observed: time,
        labels: Arc::new(Labels::new(labels.iter().copied())),
        metadata: Vec::new(),
        trace_id: None,
        span_id: None,
        severity: Severity::Unknown,
        line: text.as_bytes().to_vec(),
        source: None,
        rule: None,
    }
}

/// The state over these sources.
pub(crate) fn state(traces: Arc<dyn TraceRead>, logs: Arc<dyn LogRead>) -> State {
    let mut registry = Registry::default();
    let own = OwnRequests::new(&mut registry, Arc::new(Nothing), false);
    State {
        correlator: Arc::new(Correlator::new(traces.clone(), None, CorrelateOptions::default())),
        exemplars: Exemplars::new(traces.clone(), Arc::new(Nothing), None, &CorrelateOptions::default()),
        traces,
        logs,
        samples: Arc::new(Nothing),
        patterns: Arc::new(Nothing),
        live: Arc::new(Nothing),
        tails: Tails::default(),
        reads: Reads::default(),
        capacity: query::Capacity::default(),
        prometheus: None,
        upstream: None,
        readiness: Arc::new(Nothing),
        collecting: Arc::new(Nothing),
        scraping: Arc::new(Nothing),
        metrics: Arc::new(Text(registry)),
        span_metrics: None,
        own,
        log_retention: std::time::Duration::from_hours(168),
        external_url: None,
        tls: false,
        request_timeout: DEFAULT_REQUEST_TIMEOUT,
    }
}

/// Asks a router over nothing.
pub(crate) async fn get_with(path: &str, headers: &[(&str, &str)]) -> (StatusCode, String) {
    ask(state(Arc::new(Nothing), Arc::new(Nothing)), path, headers).await
}

/// Asks a router over this state.
pub(crate) async fn ask(state: State, path: &str, headers: &[(&str, &str)]) -> (StatusCode, String) {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    let response = router(state).oneshot(request).await.unwrap();
    let status = response.status();
    #[expect(clippy::disallowed_methods, reason = "bounded")]
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// As [`get_with`], without headers.
pub(crate) async fn get(path: &str) -> (StatusCode, String) {
    get_with(path, &[]).await
}

struct Text(Registry);

impl crate::Metrics for Text {
    fn text(&self) -> Option<String> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.0).ok()?;
        Some(text)
    }
}
