use parsers::record::{Exemplar, ExemplarOrigin, LogRecord, Severity, StatusCode, TENANT, Value, attribute};
use proptest::prelude::*;

use super::*;
use crate::world::{World, labels, line, of_tenant, span, trace_id};
use crate::{AbsentSignal, CorrelateOptions};

mod elsewhere;
mod places;

const SECOND: u64 = 1_000_000_000;
const WINDOW: Window = Window { start: 1_000 * SECOND, end: 2_000 * SECOND };
const SHOP: &[(&str, &str)] =
    &[("service.name", "shop"), ("k8s.namespace.name", "ns"), ("k8s.pod.name", "shop-7d4b9c-x2x2z")];
const STREAM: &[(&str, &str)] = &[("namespace", "ns"), ("pod", "shop-7d4b9c-x2x2z"), ("container", "main")];

const LIMIT: usize = 50;

async fn related(world: &World, start: Start, tenant: Option<&str>) -> Related {
    let world = Arc::new(world.clone());
    let options = CorrelateOptions::default();
    let correlator = Correlator::new(world.clone(), None, options.clone()).with_logs(world.clone());
    let correlator = Arc::new(correlator);
    let exemplars = Exemplars::new(world.clone(), world.clone(), Some(world.held()), &options);
    let pivot = Pivot::new(correlator, exemplars, world.clone(), world);
    pivot.related(start, tenant.map(str::to_owned), LIMIT).await.unwrap()
}

fn at(second: u64) -> u64 {
    WINDOW.start + second * SECOND
}

fn service(name: &str) -> Start {
    Start::Service { name: name.to_owned(), window: WINDOW }
}

fn metric(expression: &str, time: u64) -> Start {
    let selectors = query::series_selectors::selectors(expression).unwrap();
    Start::Metric { expression: expression.to_owned(), selectors, time }
}

fn line_at(time: u64) -> Start {
    line_of(r#"{pod=~"shop.*"}"#, time)
}

fn line_of(query: &str, time: u64) -> Start {
    Start::Line { select: LineSelect::parse(query).unwrap(), time }
}

fn exemplar(time: u64, trace: u64) -> Exemplar {
    let series = labels(&[("__name__", "http_server_duration_seconds_bucket"), ("le", "1"), ("job", "shop")]);
    Exemplar {
        series: Arc::new(series),
        labels: Vec::new(),
        value: 0.5,
        time,
        trace_id: Some(trace_id(trace)),
        span_id: None,
        origin: ExemplarOrigin::Application,
    }
}

/// Twenty requests, of which the tenth failed and the fifteenth was slow.
fn shop() -> World {
    let mut world = World::default();
    for n in 1..=20 {
        let long = if n == 15 { 5 * SECOND } else { SECOND / 10 };
        let mut own = span(n, SHOP, "GET /cart", at(n * 10), at(n * 10) + long);
        if n == 10 {
            own.status.code = StatusCode::Error;
            world.logs.push(line(at(n * 10) + 1, STREAM, Severity::Error, "card declined", n));
        }
        world.logs.push(line(
            at(n * 10) + 2,
            STREAM,
            Severity::Info,
            "GET /cart",
            if n % 2 == 0 { n } else { 0 },
        ));
        world.spans.push(own);
    }
    world.spans.push(span(99, &[("service.name", "other")], "GET /", at(1), at(900)));
    world.series.push(exemplar(0, 1).series.as_ref().clone());
    world
}

#[tokio::test]
async fn a_service_leads_to_its_failed_and_slowest_requests_and_to_what_its_lines_complain_of() {
    let found = related(&shop(), service("shop"), None).await;
    let traces: Vec<_> = found.traces.iter().map(|trace| trace.trace_id).collect();
    assert_eq!(traces[0], trace_id(10), "what failed comes first: {traces:?}");
    assert!(traces.contains(&trace_id(15)) && !traces.contains(&trace_id(99)));
    assert_eq!(found.logs[0].record.line, b"card declined");
    assert!(found.workloads.iter().any(|related| related.workload.pod.is_some()));
    assert!(
        found.queries.contains(&SurfaceQuery::TraceQl("{ resource.service.name = \"shop\" }".to_owned()))
    );
    for (rule, confidence) in found.traces.iter().map(|t| (t.reason.rule, t.reason.confidence)) {
        assert!(rule == "labels" && (0.0..=1.0).contains(&confidence));
    }
}

#[tokio::test]
async fn a_line_leads_to_its_trace_by_id_or_by_its_pod_and_time() {
    let with_id = related(&shop(), line_at(at(100) + 1), None).await;
    let first = &with_id.traces[0];
    assert_eq!((first.trace_id, first.reason.rule, first.reason.confidence), (trace_id(10), "trace_id", 1.0));
    let without = related(&shop(), line_at(at(110) + 2), None).await;
    let first = &without.traces[0];
    assert_eq!((first.trace_id, first.reason.rule), (trace_id(11), "workload_time"));
    assert!(first.reason.confidence > 0.5, "{:?}", first.reason);
    assert_eq!(without.logs[0].record.time, at(110) + 2, "the line itself is the surest");
    let none = related(&shop(), line_at(at(999)), None).await;
    assert!(!none.found() && none.absent.iter().any(|a| a.signal == AbsentSignal::Logs));
}

/// What a proxy beside the shop's container writes, after the request, of `n`.
fn access_line(n: u64, path: &str, request: &str, later: u64) -> LogRecord {
    let proxy = [("namespace", "ns"), ("pod", "shop-7d4b9c-x2x2z"), ("container", "istio-proxy")];
    let start = parsers::record::format_rfc3339(at(n * 10) - 1_000_000);
    let text = format!(
        r#"[{start}] "GET {path} HTTP/1.1" 200 - via_upstream - "-" 0 120 100 99 "-" "curl" "{request}" "shop" "10.0.0.7:80""#
    );
    line(at(n * 10) + SECOND / 10 + later, &proxy, Severity::Info, &text, 0)
}

#[tokio::test]
async fn a_line_of_an_access_log_leads_to_the_request_that_it_tells_of() {
    const REQUEST: &str = "9f2c11f0-65a1-4d2c-8b0e-57d5a1c0ffee";
    let mut world = World::default();
    for n in [3, 4] {
        // Two requests at once, of which one says which request it is.
        for (trace, path) in [(n, "/cart"), (n + 100, "/orders")] {
            let mut span = span(trace, SHOP, &format!("GET {path}"), at(n * 10), at(n * 10) + SECOND / 10);
            span.kind = parsers::record::SpanKind::Server;
            for (key, value) in [("http.request.method", "GET"), ("url.path", path)] {
                span.attributes.push((key.to_owned(), Value::Str(value.to_owned())));
            }
            span.attributes.push(("http.response.status_code".to_owned(), Value::Int(200)));
            if trace == 4 {
                span.attributes
                    .push(("http.request.header.x-request-id".to_owned(), Value::Str(REQUEST.to_owned())));
            }
            world.spans.push(span);
        }
    }
    // Told by its path; and by its id, nine seconds later, as Envoy keeps lines back.
    world.logs.push(access_line(3, "/orders", "0d4f6a51-0000-4000-8000-000000000001", 1_000_000));
    world.logs.push(access_line(4, "/cart", REQUEST, 9 * SECOND));
    for (line, trace, sure) in [(0, 103, 0.6), (1, 4, 0.95)] {
        let found = related(&world, line_at(world.logs[line].time), None).await;
        let first = found.traces.first().unwrap_or_else(|| panic!("{line}: {:?}", found.absent));
        assert_eq!(
            (first.trace_id, first.reason.rule),
            (trace_id(trace), "access_log"),
            "{:?}",
            found.traces
        );
        assert!(first.reason.confidence >= sure, "{:?}", first.reason);
        assert!(found.traces.iter().skip(1).all(|other| other.reason.confidence < 0.4), "{:?}", found.traces);
    }
}

#[tokio::test]
async fn a_span_leads_to_its_trace_and_one_that_is_not_there_says_what_was_looked_at() {
    let id = |number| SpanId::new(number).unwrap();
    let found = related(&shop(), Start::Span { id: id(10), window: Window::ALL }, None).await;
    assert_eq!(found.traces[0].trace_id, trace_id(10));
    assert_eq!((found.logs[0].reason.rule, found.logs[0].reason.confidence), ("span_id", 1.0));
    let none = related(&shop(), Start::Span { id: id(12_345), window: Window::ALL }, None).await;
    assert!(!none.found() && none.looked_at.spans == 21);
    // Whether it was dropped is not known of a span's id: nobody says that it never came.
    assert_eq!(none.absent[0].reason, crate::AbsentReason::NoMatch);
    assert!(none.absent[0].detail.contains("21 spans"), "{:?}", none.absent);
    assert!(none.absent[0].detail.contains("sampled out"), "{:?}", none.absent);
    let later = Start::Span { id: id(10), window: Window { start: at(500), end: at(600) } };
    let outside = related(&shop(), later, None).await;
    assert_eq!(outside.absent[0].reason, crate::AbsentReason::OutsideWindow);
    assert!(outside.absent[0].hint.contains(&trace_id(10).to_string()), "{:?}", outside.absent);
}

#[tokio::test]
async fn lines_of_the_service_come_before_worse_ones_of_its_traces_and_what_is_left_out_is_counted() {
    let mut world = shop();
    let other = [("namespace", "ns"), ("pod", "bank-7d4b9c-x2x2z"), ("service_name", "bank")];
    for n in 1..=20 {
        for more in 1..=30 {
            world.logs.push(line(at(n * 10) + more, &other, Severity::Error, "bank down", n));
        }
    }
    let own = |log: &RelatedLog| log.record.labels.get("pod") == Some("shop-7d4b9c-x2x2z");
    let found = related(&world, service("shop"), None).await;
    assert_eq!(found.logs.len(), LIMIT);
    assert_eq!(found.logs[0].record.line, b"card declined", "what went wrong is first among its own");
    let first = found.logs.iter().position(|log| !own(log)).unwrap();
    assert!(first > 1 && found.logs[first..].iter().all(|log| !own(log)), "{:?}", found.logs);
    assert!(found.logs.iter().all(|log| log.own == own(log)));
    // Its 21 lines, and 30 of the bank for each trace.
    let all = 21 + 30 * found.traces.len();
    let told = format!("{} more log lines are left out: ", all - LIMIT);
    assert!(found.warnings.iter().any(|warning| warning.starts_with(&told)), "{told} {:?}", found.warnings);

    // What complains of nothing leaves room for its traces, and takes what they leave.
    let mut quiet = World { spans: shop().spans, ..World::default() };
    for n in 0..40 {
        quiet.logs.push(line(at(300) + n, STREAM, Severity::Info, &n.to_string(), 0));
    }
    let quiet = related(&quiet, service("shop"), None).await;
    assert_eq!((quiet.logs.len(), quiet.warnings.len()), (40, 0), "{:?}", quiet.warnings);

    // Many lines of its own: those of the window are counted, though few are read out.
    for n in 0..2_000 {
        world.logs.push(line(at(300) + n, STREAM, Severity::Error, "full", 0));
    }
    let many = related(&world, service("shop"), None).await;
    let all = all + 2_000;
    let told = format!("{} more log lines are left out: ", all - LIMIT);
    assert!(many.warnings.iter().any(|warning| warning.starts_with(&told)), "{told} {:?}", many.warnings);
}

/// A request of two spans in one pod, with a line without an id in each.
fn nested() -> World {
    let mut world = World::default();
    let mut root = span(7, SHOP, "GET /cart", at(10), at(20));
    root.span_id = SpanId::new(71).unwrap();
    let mut inner = span(7, SHOP, "price", at(13), at(14));
    (inner.span_id, inner.parent_span_id) = (SpanId::new(72).unwrap(), SpanId::new(71));
    inner.kind = parsers::record::SpanKind::Internal;
    world.spans.extend([root, inner]);
    world.logs.push(line(at(13) + SECOND / 2, STREAM, Severity::Info, "in the inner", 0));
    world.logs.push(line(at(17), STREAM, Severity::Info, "in the root", 0));
    world
}

#[tokio::test]
async fn a_span_leads_to_its_lines_as_the_look_up_of_its_trace_has_them() {
    let world = nested();
    let whole = related(&world, Start::Trace(trace_id(7)), None).await;
    assert_eq!(whole.logs.len(), 2, "{:?}", whole.absent);
    for (id, text) in [(72, "in the inner"), (71, "in the root")] {
        let id = SpanId::new(id).unwrap();
        let found = related(&world, Start::Span { id, window: Window::ALL }, None).await;
        let lines: Vec<_> = found.logs.iter().map(|log| String::from_utf8_lossy(&log.record.line)).collect();
        assert_eq!(lines, [text]);
        let same = whole.logs.iter().find(|log| log.record.line == text.as_bytes()).unwrap();
        assert_eq!(found.logs[0].reason.confidence, same.reason.confidence);
        assert!(found.logs[0].reason.confidence > 0.5, "{:?}", found.logs[0].reason);
        assert_eq!((found.logs[0].span_id, same.span_id), (Some(id), Some(id)));
        let pods: Vec<_> = found.workloads.iter().filter(|w| w.workload.pod.is_some()).collect();
        assert_eq!(pods.len(), 1, "{pods:?}");
        assert_eq!(pods[0].workload.container.as_deref(), Some("main"));
    }
}

#[tokio::test]
async fn a_line_is_chosen_by_the_whole_query() {
    let mut world = World::default();
    for (after, text) in [(0, "left"), (0, "both"), (SECOND / 10, "left"), (SECOND / 2, "right")] {
        world.logs.push(line(at(5) + after, STREAM, Severity::Info, text, 0));
    }
    let first = async |query: &str, time| {
        let found = related(&world, line_of(query, time), None).await;
        found.logs.first().map(|log| String::from_utf8_lossy(&log.record.line).into_owned())
    };
    for (query, text) in [
        (r#"{pod=~"shop.*"} |= "both""#, Some("both")),
        (r#"{pod=~"shop.*"} |= "right""#, Some("right")),
        (r#"{pod=~"shop.*"} | line_format "{{.pod}}" |= "shop" | pod="none""#, None),
        (r#"{pod=~"shop.*"} |= "nobody""#, None),
    ] {
        assert_eq!(first(query, at(5)).await.as_deref(), text, "{query}");
    }
    assert!(LineSelect::parse(r#"rate({pod="x"}[1m])"#).is_err());
}

#[tokio::test]
async fn a_metric_leads_to_its_exemplars_or_to_the_spans_behind_its_labels() {
    let expression = "rate(http_server_duration_seconds_bucket{job=\"shop\"}[5m])";
    let mut world = shop();
    world.exemplars.push(exemplar(at(140), 14));
    let sent = related(&world, metric(expression, at(150)), None).await;
    let first = &sent.traces[0];
    assert_eq!((first.trace_id, first.reason.rule, first.reason.confidence), (trace_id(14), "exemplar", 1.0));
    let made = related(&shop(), metric(expression, at(150)), None).await;
    assert!(made.exemplars.iter().all(|related| related.found.made.is_some()) && !made.exemplars.is_empty());
    assert!(made.traces.iter().any(|trace| trace.trace_id == trace_id(15)), "the slowest behind it");
    let gauge = labels(&[("__name__", "queue_length"), ("app", "shop")]);
    let world = World { series: vec![gauge], ..shop() };
    let behind = related(&world, metric("queue_length", at(150)), None).await;
    assert_eq!(behind.traces[0].reason.rule, "labels");
    assert!(behind.traces[0].reason.confidence <= 0.5, "labels alone: {:?}", behind.traces[0]);
}

#[tokio::test]
async fn of_a_metrics_server_that_is_down_nothing_is_said_to_be_missing() {
    struct Down;
    #[async_trait::async_trait]
    impl MetricRead for Down {
        fn name(&self) -> &'static str {
            "prometheus"
        }
        async fn series(&self, _: &[String], _: Window) -> Result<Vec<parsers::record::Labels>, ReadError> {
            Err(ReadError::Unreachable { server: "prometheus".to_owned(), detail: "refused".to_owned() })
        }
        async fn range(
            &self,
            _: &str,
            _: Window,
            _: Duration,
        ) -> Result<Vec<parsers::record::Series>, ReadError> {
            self.series(&[], Window::ALL).await.map(|_| Vec::new())
        }
        async fn exemplars(&self, _: &str, _: Window) -> Result<Vec<Exemplar>, ReadError> {
            self.series(&[], Window::ALL).await.map(|_| Vec::new())
        }
    }
    let (world, down, options) = (Arc::new(shop()), Arc::new(Down), CorrelateOptions::default());
    let correlator = Correlator::new(world.clone(), Some(down.clone()), options.clone());
    let exemplars = Exemplars::new(world.clone(), world.clone(), Some(down), &options);
    let pivot = Pivot::new(Arc::new(correlator), exemplars, world.clone(), world);
    let found = pivot.related(metric("up", at(150)), None, LIMIT).await.unwrap();
    for signal in [AbsentSignal::Metrics, AbsentSignal::Exemplars, AbsentSignal::Spans] {
        let of: Vec<_> = found.absent.iter().filter(|absent| absent.signal == signal).collect();
        assert_eq!(of.len(), 1, "{:?}", found.absent);
        assert_eq!(of[0].reason, crate::AbsentReason::SourceDown, "{:?}", found.absent);
    }
}

#[tokio::test]
async fn without_a_metrics_server_no_hint_speaks_of_one_and_each_absence_is_told_once() {
    let name = WorkloadName::parse("shop/nobody").unwrap();
    for start in [metric("nothing", at(150)), Start::Workload { name, window: WINDOW }] {
        let found = related(&shop(), start, None).await;
        let metrics: Vec<_> = found.absent.iter().filter(|a| a.signal == AbsentSignal::Metrics).collect();
        assert_eq!(metrics.len(), 1, "{metrics:?}");
        assert!(!metrics[0].hint.contains("upstream.prometheus.labels"), "{metrics:?}");
    }
}

#[tokio::test]
async fn a_workload_and_a_line_lead_to_the_exemplars_of_their_traces_and_series() {
    let mut world = shop();
    world.exemplars.push(exemplar(at(100), 10));
    let name = WorkloadName::parse("ns/shop").unwrap();
    for start in [Start::Workload { name, window: WINDOW }, line_at(at(100) + 1)] {
        let found = related(&world, start.clone(), None).await;
        let traces: Vec<_> = found.exemplars.iter().map(|e| e.found.exemplar.trace_id).collect();
        assert_eq!(traces, [Some(trace_id(10))], "{start:?}");
        assert!(found.absent.iter().all(|absent| absent.signal != AbsentSignal::Exemplars));
    }
    let none = related(&shop(), line_at(at(100) + 1), None).await;
    let absent = none.absent.iter().find(|absent| absent.signal == AbsentSignal::Exemplars).unwrap();
    assert!(absent.hint.contains("/api/v1/exemplars"), "{absent:?}");
}

#[tokio::test]
async fn what_does_not_exist_is_no_workload_and_is_absent_once() {
    let found = related(&shop(), service("nosuch"), None).await;
    assert!(found.workloads.is_empty() && !found.found());
    let found = related(&shop(), Start::Trace(trace_id(12_345)), None).await;
    let of_spans = found.absent.iter().filter(|absent| absent.signal == AbsentSignal::Spans).count();
    assert_eq!(of_spans, 1, "{:?}", found.absent);
}

#[tokio::test]
async fn a_workload_is_its_pod_or_what_owns_the_pod() {
    for (text, found) in [
        ("ns/shop", true),
        ("ns/deployment/shop", true),
        ("ns/shop-7d4b9c-x2x2z", true),
        ("ns/sho", false),
        ("x/shop", false),
    ] {
        let name = WorkloadName::parse(text).unwrap();
        let related = related(&shop(), Start::Workload { name, window: WINDOW }, None).await;
        assert_eq!(!related.traces.is_empty() && !related.logs.is_empty(), found, "{text}: {related:?}");
    }
    assert_eq!(WorkloadName::parse("shop"), None);
}

fn tenant_of_line(line: &LogRecord) -> Option<&str> {
    line.metadata.iter().find(|(name, _)| name == TENANT).map(|(_, value)| value.as_str())
}

fn starts() -> Vec<Start> {
    vec![
        Start::Trace(trace_id(3)),
        Start::Span { id: SpanId::new(3).unwrap(), window: Window::ALL },
        line_at(at(30) + 2),
        service("shop"),
        metric("http_server_duration_seconds_bucket", at(150)),
        Start::Workload { name: WorkloadName::parse("ns/shop").unwrap(), window: WINDOW },
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_answer_holds_records_of_two_tenants(
        spans in prop::collection::vec((1u64..8, 0usize..3), 1..30),
        lines in prop::collection::vec((1u64..30, 0u64..8, 0usize..3), 1..30),
        asked in 0usize..3,
    ) {
        const TENANTS: [Option<&str>; 3] = [None, Some("a"), Some("b")];
        let mut world = World::default();
        for (trace, tenant) in spans {
            let mut resource = SHOP.to_vec();
            resource.extend(TENANTS[tenant].map(|name| (TENANT, name)));
            world.spans.push(span(trace, &resource, "GET", at(trace * 10), at(trace * 10) + SECOND));
        }
        for (second, trace, tenant) in lines {
            let own = line(at(second), STREAM, Severity::Info, "a line", trace);
            world.logs.push(match TENANTS[tenant] { Some(name) => of_tenant(own, name), None => own });
        }
        for tenant in TENANTS {
            let mut one = exemplar(at(100), 3);
            if let Some(name) = tenant {
                one.series = Arc::new(one.series.with("__tenant_id__", name));
            }
            world.series.push((*one.series).clone());
            world.exemplars.push(one);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for start in starts() {
            let found = runtime.block_on(related(&world, start.clone(), TENANTS[asked]));
            let mut tenants: Vec<Option<String>> = Vec::new();
            for log in &found.logs {
                tenants.push(tenant_of_line(&log.record).map(str::to_owned));
            }
            for exemplar in &found.exemplars {
                tenants.push(exemplar.found.exemplar.series.get("__tenant_id__").map(str::to_owned));
            }
            for trace in &found.traces {
                let of = |span: &&parsers::record::Span| span.trace_id == trace.trace_id;
                let told = |span: &parsers::record::Span| {
                    attribute(&span.resource.attributes, TENANT).and_then(Value::as_str).map(str::to_owned)
                };
                let own: Vec<_> = world.spans.iter().filter(of).map(told).collect();
                prop_assert!(own.contains(&found.tenant), "{:?}", start);
                let counted = own.iter().filter(|tenant| **tenant == found.tenant).count();
                prop_assert!(trace.spans <= counted, "{:?} {:?}", start, trace);
            }
            for tenant in tenants {
                prop_assert_eq!(&tenant, &found.tenant, "{:?}", start);
            }
            if let (Some(asked), true) = (TENANTS[asked], found.found()) {
                prop_assert_eq!(found.tenant.as_deref(), Some(asked));
            }
        }
    }
}
