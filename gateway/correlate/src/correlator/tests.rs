use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::Duration;

use parsers::record::{Exemplar, Labels, LogRecord, Sample, Series, Severity, Span, SpanId};
use store::read::{
    Detail, Fate, Matcher, SampleLimits, SampleRead, ScanReport, SeriesSamples, Signal, SpanSelect, Window,
};

use super::*;
use crate::{Absence, JoinRule};

struct Stored(Result<TraceRecords, ReadError>);

impl TraceRead for Stored {
    fn trace(&self, _: TraceId, limit: usize) -> Result<TraceRecords, ReadError> {
        let mut records = self.0.clone()?;
        records.omitted += records.spans.len().saturating_sub(limit) as u64;
        records.spans.truncate(limit);
        records.omitted += records.logs.len().saturating_sub(limit) as u64;
        records.logs.truncate(limit);
        Ok(records)
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

#[derive(Clone)]
enum Server {
    Answers { series: Vec<Labels>, exemplars: Vec<Exemplar> },
    Fails(ReadError),
    Hangs,
}

#[async_trait::async_trait]
impl MetricRead for Server {
    fn name(&self) -> &'static str {
        "fake"
    }
    async fn series(&self, _: &[String], _: Window) -> Result<Vec<Labels>, ReadError> {
        match self {
            Self::Answers { series, .. } => Ok(series.clone()),
            Self::Fails(error) => Err(error.clone()),
            Self::Hangs => std::future::pending().await,
        }
    }
    async fn range(&self, _: &str, window: Window, _: Duration) -> Result<Vec<Series>, ReadError> {
        let Self::Answers { series, .. } = self else { return Ok(Vec::new()) };
        let samples = vec![Sample { time: window.start, value: 2.0 }];
        Ok(series.iter().map(|l| Series { labels: Arc::new(l.clone()), samples: samples.clone() }).collect())
    }
    async fn exemplars(&self, _: &str, _: Window) -> Result<Vec<Exemplar>, ReadError> {
        match self {
            Self::Answers { exemplars, .. } => Ok(exemplars.clone()),
            Self::Fails(error) => Err(error.clone()),
            Self::Hangs => std::future::pending().await,
        }
    }
}

fn long() -> TraceId {
    TraceId::from_hex(b"4bf92f3577b34da6a3ce929d0e0e4736").unwrap()
}

fn log(id: TraceId, span: u64, service: &str, metadata: &[(&str, &str)]) -> LogRecord {
    LogRecord {
        time: 1_000_000_000_000,
        observed: 0,
        labels: Arc::new(Labels::new([("service_name", service)])),
        metadata: metadata.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        trace_id: Some(id),
        span_id: SpanId::new(span),
        severity: Severity::Info,
        line: b"paid".to_vec(),
        source: None,
        rule: None,
    }
}

fn exemplar(id: TraceId) -> Exemplar {
    Exemplar {
        series: Arc::new(Labels::new([("__name__", "x_bucket")])),
        labels: Vec::new(),
        value: 0.5,
        time: 1_000_000_000_001,
        trace_id: Some(id),
        span_id: None,
        origin: Default::default(),
    }
}

fn with_log() -> TraceRecords {
    TraceRecords { logs: vec![log(long(), 5, "shop", &[])], ..TraceRecords::default() }
}

async fn answer(records: TraceRecords, server: Option<Server>) -> Answer {
    let options =
        CorrelateOptions { metric_deadline: Duration::from_millis(5), ..CorrelateOptions::default() };
    let metrics = server.map(|server| Arc::new(server) as Arc<dyn MetricRead>);
    Correlator::new(Arc::new(Stored(Ok(records))), metrics, options).answer(long()).await
}

fn reasons(absent: &[Absence]) -> Vec<(&'static str, &'static str)> {
    absent.iter().map(|a| (a.signal.as_str(), a.reason.as_str())).collect()
}

#[tokio::test]
async fn every_empty_part_has_its_reason() {
    let nothing = answer(TraceRecords::default(), None).await;
    assert!(!nothing.found());
    let never = [("spans", "never_seen"), ("logs", "never_seen"), ("exemplars", "never_seen")];
    assert_eq!(reasons(&nothing.absent), [&never[..], &[("metrics", "not_configured")]].concat());

    // Without a record nobody knows when the trace was, and the server was asked for the last hour only.
    let server = Server::Answers { series: Vec::new(), exemplars: Vec::new() };
    let unknown = answer(TraceRecords::default(), Some(server)).await;
    assert!(reasons(&unknown.absent).contains(&("exemplars", "outside_window")), "{:?}", unknown.absent);

    let fates = vec![Fate::Expired { signal: Signal::Traces, newest: 9 }];
    let expired = answer(TraceRecords { fates, ..with_log() }, None).await;
    assert_eq!(reasons(&expired.absent)[0], ("spans", "expired"));

    let unsampled = vec![log(long(), 5, "shop", &[("trace_sampled", "False")])];
    let unsampled = answer(TraceRecords { logs: unsampled, ..TraceRecords::default() }, None).await;
    assert_eq!(reasons(&unsampled.absent)[0], ("spans", "sampled_out"));
}

#[tokio::test]
async fn a_trace_that_sampling_dropped_is_gone_with_its_exemplars_elsewhere_and_says_by_which_rule() {
    let fates = vec![Fate::SampledOut { rule: "health".into(), decided: 1_700_000_000_000_000_000 }];
    let server = Server::Answers { series: Vec::new(), exemplars: vec![exemplar(long())] };
    let gone = answer(TraceRecords { fates, ..TraceRecords::default() }, Some(server)).await;
    assert!(!gone.found() && gone.exemplars.is_empty());
    let all = ["spans", "logs", "exemplars", "metrics"].map(|signal| (signal, "sampled_out"));
    assert_eq!(reasons(&gone.absent), all);
    assert!(gone.absent[0].detail.contains("`health`"), "{}", gone.absent[0].detail);
    assert!(gone.absent[0].detail.contains("2023-11-14T22:13:20"), "{}", gone.absent[0].detail);
}

#[tokio::test]
async fn a_broken_store_is_named_and_not_an_error() {
    let error = ReadError::Io(Arc::new(std::io::Error::other("disk")));
    let correlator = Correlator::new(Arc::new(Stored(Err(error))), None, CorrelateOptions::default());
    let broken = correlator.answer(long()).await;
    assert_eq!(reasons(&broken.absent)[..2], [("spans", "source_down"), ("logs", "source_down")]);
}

#[tokio::test]
async fn a_metrics_server_that_hangs_or_fails_costs_no_more_than_its_deadline() {
    let slow = answer(with_log(), Some(Server::Hangs)).await;
    assert!(reasons(&slow.absent).contains(&("metrics", "source_slow")), "{:?}", slow.absent);
    assert!(reasons(&slow.absent).contains(&("exemplars", "source_slow")));
    let error = ReadError::Unreachable { server: "fake".to_owned(), detail: "refused".to_owned() };
    let down = answer(with_log(), Some(Server::Fails(error))).await;
    assert!(reasons(&down.absent).contains(&("metrics", "source_down")));
    assert_eq!(down.logs.len(), 1);
}

/// Says which threads read it, and takes its time for samples.
struct Here {
    world: crate::world::World,
    takes: Duration,
    threads: Mutex<Vec<(&'static str, std::thread::ThreadId)>>,
}

impl Here {
    fn note(&self, what: &'static str) {
        self.threads.lock().unwrap().push((what, std::thread::current().id()));
    }
}

impl TraceRead for Here {
    fn trace(&self, _: TraceId, _: usize) -> Result<TraceRecords, ReadError> {
        self.note("trace");
        Ok(with_log())
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

impl SampleRead for Here {
    fn select(&self, _: &[Matcher], _: Window, _: SampleLimits) -> Result<Vec<SeriesSamples>, ReadError> {
        Ok(Vec::new())
    }
    fn label_sets(&self, selectors: &[Vec<Matcher>], window: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        self.note("samples");
        let began = std::time::Instant::now();
        while began.elapsed() < self.takes {
            std::hint::spin_loop();
        }
        self.world.label_sets(selectors, window)
    }
    fn metadata(&self) -> Result<Vec<parsers::record::MetricMeta>, ReadError> {
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn what_is_stored_here_is_asked_at_once_and_within_its_time() {
    let found = async |takes: Duration, metric_deadline: Duration| {
        let series = vec![Labels::new([("__name__", "http_requests_total"), ("job", "prod/shop")])];
        let world = crate::world::World { series, ..Default::default() };
        let here = Arc::new(Here { world, takes, threads: Mutex::default() });
        let metrics = Arc::new(crate::StoredMetrics::new(here.clone()));
        let options = CorrelateOptions { metric_deadline, ..CorrelateOptions::default() };
        let answer = Correlator::new(here.clone(), Some(metrics), options).answer(long()).await;
        (answer, here.threads.lock().unwrap().clone())
    };
    let (joined, threads) = found(Duration::ZERO, Duration::from_mins(1)).await;
    assert_eq!(
        joined.metrics.iter().map(|link| link.metric.as_str()).collect::<Vec<_>>(),
        ["http_requests_total"]
    );
    let [("trace", first), .., ("samples", last)] = threads[..] else { panic!("{threads:?}") };
    assert_eq!(first, last);
    let (late, _) = found(Duration::from_millis(2), Duration::from_millis(1)).await;
    assert!(late.metrics.is_empty() && late.logs.len() == 1);
    assert!(reasons(&late.absent).contains(&("metrics", "source_slow")), "{:?}", late.absent);
}

#[tokio::test]
async fn series_of_the_service_join_by_labels_and_others_do_not() {
    let series = vec![
        Labels::new([("__name__", "http_requests_total"), ("job", "prod/shop")]),
        Labels::new([("__name__", "http_requests_total"), ("job", "other")]),
    ];
    let found = answer(with_log(), Some(Server::Answers { series, exemplars: vec![exemplar(long())] })).await;
    assert_eq!(found.metrics.len(), 1);
    let link = &found.metrics[0];
    assert_eq!(link.query, r#"rate({__name__="http_requests_total",job="prod/shop"}[2m])"#);
    assert_eq!((link.service.as_str(), link.unit, link.values.len()), ("shop", Some("1/s"), 1));
    assert_eq!((link.join.rule, link.join.agreed.as_slice()), (JoinRule::Labels, &["job".to_owned()][..]));
    assert_eq!(found.exemplars[0].source, ExemplarSource::Upstream("fake".into()));
    assert_eq!(reasons(&found.absent), [("spans", "never_seen")]);
}

#[tokio::test]
async fn the_first_part_of_a_trace_has_the_series_of_all_its_services() {
    let of = |mut span: Span, service: &str| {
        let name = parsers::record::Value::Str(service.to_owned());
        let attributes = vec![("service.name".to_owned(), name)];
        span.resource = Arc::new(parsers::record::Resource { attributes });
        span
    };
    let spans = (1..=20).map(|n| of(span(n, n / 2), if n > 10 { "late" } else { "shop" })).collect();
    let records = TraceRecords { spans, ..TraceRecords::default() };
    let series = ["shop", "late"].map(|job| Labels::new([("__name__", "http_requests_total"), ("job", job)]));
    let server = Arc::new(Server::Answers { series: series.to_vec(), exemplars: Vec::new() });
    let correlator =
        Correlator::new(Arc::new(Stored(Ok(records))), Some(server), CorrelateOptions::default());
    let part = correlator.part(long(), Page { limit: 3, ..Page::default() }).await;
    assert_eq!(part.spans.len(), 3);
    assert!(part.spans.iter().all(|node| node.service() == "shop"));
    let services: Vec<_> = part.metrics.iter().map(|link| link.service.as_str()).collect();
    assert_eq!(services, ["late", "shop"]);
}

#[tokio::test]
async fn both_widths_of_one_id_join_and_are_shown() {
    let short = TraceId::from_hex(b"a3ce929d0e0e4736").unwrap();
    let logs = vec![log(long(), 5, "shop", &[]), log(short, 5, "shop", &[])];
    let both = answer(TraceRecords { logs, ..TraceRecords::default() }, None).await;
    let rules: Vec<_> = both.logs.iter().map(|l| (l.join.rule.as_str(), l.span_id)).collect();
    assert_eq!(rules, [("trace_id", None), ("low64", None)]);
    assert_eq!((both.spellings.len(), both.services[0].logs), (2, 2));
    let spans = vec![span(5, 0), Span { trace_id: short, ..span(6, 5) }];
    let both = answer(TraceRecords { spans, ..with_log() }, None).await;
    let joins = both.spans.iter().map(|node| both.join_of(node));
    let joins: Vec<_> = joins.map(|join| (join.rule.as_str(), join.confidence)).collect();
    assert_eq!(joins, [("trace_id", 1.0), ("low64", 0.99)]);
}

fn span(number: u64, parent: u64) -> Span {
    Span {
        trace_id: long(),
        span_id: SpanId::new(number).unwrap(),
        parent_span_id: SpanId::new(parent),
        trace_state: String::new(),
        flags: 0,
        name: format!("op{number}"),
        kind: parsers::record::SpanKind::Internal,
        start: 1_000_000_000_000 + number,
        end: 1_000_000_001_000 - number,
        attributes: vec![("n".to_owned(), parsers::record::Value::Int(number as i64))],
        events: Vec::new(),
        links: Vec::new(),
        status: Default::default(),
        resource: Default::default(),
        scope: Default::default(),
    }
}

#[tokio::test]
async fn the_parts_of_a_trace_make_the_whole() {
    // Two chains of one root, so that parts cut through parents.
    let spans: Vec<Span> = (1..=101).map(|n| span(n, if n <= 3 { n / 2 } else { n - 2 })).collect();
    let logs = vec![log(long(), 50, "shop", &[]), log(long(), 0, "shop", &[])];
    let records = TraceRecords { spans, logs, ..TraceRecords::default() };
    let correlator = Correlator::new(Arc::new(Stored(Ok(records))), None, CorrelateOptions::default());
    let whole = correlator.answer(long()).await;
    assert_eq!((whole.spans.len(), whole.total_spans, whole.next), (101, 101, None));
    let (mut spans, mut lines, mut path) = (Vec::new(), 0, Vec::new());
    let mut offset = Some(0);
    while let Some(from) = offset {
        let part = correlator.part(long(), Page { offset: from, limit: 17, ..Page::default() }).await;
        assert!(part.spans.len() <= 17 && part.total_spans == 101);
        assert_eq!(part.window, whole.window);
        assert!(part.absent.iter().all(|a| a.signal != AbsentSignal::Spans), "{:?}", part.absent);
        spans.extend(part.spans.iter().map(|n| (n.span.span_id, n.depth, n.span.attributes.len())));
        path.extend(part.critical_path.iter().map(|s| (s.start, s.span_id)));
        lines += part.logs.len();
        offset = part.next;
    }
    let of_whole: Vec<_> =
        whole.spans.iter().map(|n| (n.span.span_id, n.depth, n.span.attributes.len())).collect();
    assert_eq!(spans, of_whole);
    assert_eq!(lines, 2);
    path.sort_unstable();
    assert_eq!(path, whole.critical_path.iter().map(|s| (s.start, s.span_id)).collect::<Vec<_>>());
}

#[tokio::test]
async fn pages_have_all_their_lines_and_say_where_they_stand_and_not_that_records_are_missing() {
    let spans: Vec<Span> = (1..=40).map(|n| span(n, n / 2)).collect();
    for (of_each, told) in [(1, false), (3, true)] {
        let lines = (1..=40).flat_map(|n| vec![log(long(), n, "shop", &[]); of_each]);
        let world = crate::world::World { logs: lines.collect(), ..Default::default() };
        let records =
            TraceRecords { spans: spans.clone(), logs: world.logs.clone(), ..TraceRecords::default() };
        let correlator = Correlator::new(Arc::new(Stored(Ok(records))), None, CorrelateOptions::default())
            .with_logs(Arc::new(world));
        for offset in [0, 10, 20, 30] {
            let page = Page { offset, limit: 10, ..Page::default() };
            let part = correlator.part(long(), page).await;
            assert_eq!((part.spans.len(), part.logs.len()), (10, 10), "{offset} {:?}", part.warnings);
            let ids: Vec<_> = part.spans.iter().map(|node| Some(node.span.span_id)).collect();
            assert!(part.logs.iter().all(|log| ids.contains(&log.record.span_id)));
            assert!(part.absent.iter().all(|a| a.reason != AbsentReason::Truncated), "{:?}", part.absent);
            let says = |text: &str| part.warnings.iter().any(|warning| warning.contains(text));
            let place = format!("spans {} to {} of 40", offset + 1, offset + 10);
            assert!(says(&place) && says("`next` gives more") == (offset < 30), "{:?}", part.warnings);
            assert!(!says("left out"), "{:?}", part.warnings);
            assert_eq!(says("the first 10 lines of this page are shown"), told, "{:?}", part.warnings);
        }
    }
    assert!(page::told(3_000, 20_000, 15_000).contains("spans 15,001 to 18,000 of 20,000"));
}

#[tokio::test]
async fn only_the_first_part_of_a_trace_reads_all_of_it() {
    struct Read(Stored, Arc<Mutex<Vec<&'static str>>>);
    impl TraceRead for Read {
        fn trace(&self, id: TraceId, limit: usize) -> Result<TraceRecords, ReadError> {
            self.1.lock().unwrap().push("records");
            self.0.trace(id, limit)
        }
        fn trace_spans(&self, id: TraceId, detail: Detail<'_>, limit: usize) -> Result<Vec<Span>, ReadError> {
            self.1.lock().unwrap().push(if matches!(detail, Detail::Only(_)) { "some" } else { "outline" });
            self.0.trace_spans(id, detail, limit)
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
    let spans: Vec<Span> = (1..=30).map(|n| span(n, n / 2)).collect();
    let (reads, records) = (Arc::default(), TraceRecords { spans, ..TraceRecords::default() });
    let store = Arc::new(Read(Stored(Ok(records)), Arc::clone(&reads)));
    let logs = Arc::new(crate::world::World::default());
    let correlator = Correlator::new(store.clone(), None, CorrelateOptions::default()).with_logs(logs);
    let part = async |offset| correlator.part(long(), Page { offset, limit: 10, ..Page::default() }).await;
    assert_eq!(part(0).await.next, Some(10));
    assert_eq!(*reads.lock().unwrap(), ["records", "outline", "some"]);
    assert_eq!((part(10).await.next, part(20).await.next), (Some(20), None));
    assert_eq!(reads.lock().unwrap()[3..], ["some", "some"]);
    // Whoever begins again sees what came meanwhile.
    part(0).await;
    assert_eq!(reads.lock().unwrap()[5..], ["records", "outline", "some"]);
    // Nor does it take from others: over another store nothing is known.
    let other = correlator.over(Arc::new(Stored(Ok(TraceRecords::default()))), None, "other");
    assert!(other.part(long(), Page { offset: 10, limit: 10, ..Page::default() }).await.spans.is_empty());
    // What somebody sees is kept for the next request that sees the same.
    reads.lock().unwrap().clear();
    for offset in [0, 10, 20] {
        let team = correlator.over(store.clone(), None, "team");
        team.part(long(), Page { offset, limit: 10, ..Page::default() }).await;
    }
    assert_eq!(*reads.lock().unwrap(), ["records", "outline", "some", "some", "some"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_read_large_traces_in_parts_what_is_kept_of_them_has_a_bound() {
    let process: Arc<parsers::record::Resource> = Arc::default();
    let of_it = |span: Span| Span { resource: Arc::clone(&process), ..span };
    let spans: Vec<Span> = (1..=20_000).map(|n| of_it(span(n, u64::from(n > 1)))).collect();
    let store = Arc::new(Stored(Ok(TraceRecords { spans, ..TraceRecords::default() })));
    let correlator = Correlator::new(store.clone(), None, CorrelateOptions::default());
    let read = async |whose: &str, offset| {
        let seen = correlator.over(store.clone(), None, whose);
        let part = seen.part(long(), Page { offset, limit: 10, ..Page::default() }).await;
        assert_eq!((part.spans.len(), part.total_spans), (10, 20_000));
        let (bytes, count) = correlator.outlines.held();
        assert!(bytes <= crate::outline::MAX_BYTES, "{bytes} bytes of {count} outlines");
        count
    };
    let one = read("team 0", 0).await;
    assert_eq!((read("team 0", 10).await, read("team 0", 20).await), (one, one));
    let mut most = 0;
    for team in 1..24 {
        most = read(&format!("team {team}"), 0).await.max(most);
        // The last one is there.
        assert_eq!(read(&format!("team {team}"), 10).await, most);
    }
    assert!((5..23).contains(&most), "{most}");
}

#[tokio::test]
async fn an_id_in_another_byte_order_is_asked_back() {
    struct Known(TraceId);
    impl TraceRead for Known {
        fn trace(&self, id: TraceId, _: usize) -> Result<TraceRecords, ReadError> {
            let known = id.matches(self.0).is_some();
            Ok(if known { with_log() } else { TraceRecords::default() })
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
    let asked = TraceId::from_hex(b"36470e0e9d92cea3a64db377352ff94b").unwrap();
    let answer =
        Correlator::new(Arc::new(Known(long())), None, CorrelateOptions::default()).answer(asked).await;
    let meant = answer.absent.iter().find(|a| a.reason == AbsentReason::OtherSpelling).unwrap();
    assert!(meant.detail.contains("did you mean 4bf92f3577b34da6a3ce929d0e0e4736"), "{meant:?}");
    assert!(meant.hint.contains("/api/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736"));
}

#[tokio::test]
async fn one_id_of_several_tenants_is_told_to_who_sees_them_all() {
    let of = |tenants: &[&str]| TraceRecords {
        logs: tenants.iter().map(|tenant| log(long(), 5, "shop", &[(TENANT, tenant)])).collect(),
        ..TraceRecords::default()
    };
    let told = answer(of(&["blue", "green", "blue"]), None).await.warnings;
    assert!(told.iter().any(|w| w.contains("2 tenants") && w.contains("(blue, green)")), "{told:?}");
    let told = answer(of(&["blue", "blue"]), None).await.warnings;
    assert!(told.iter().all(|w| !w.contains("tenants")), "{told:?}");
}
