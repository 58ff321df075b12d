use std::ops::ControlFlow;
use std::sync::Arc;

use parsers::record::{
    Labels, LogRecord, Resource, Scope, Severity, Span, SpanId, SpanKind, Spelling, SpellingKind, Status,
    TENANT, Value,
};
use proptest::prelude::*;
use store::read::{LogSelect, Matcher, ScanReport, SpanSelect, TraceRecords};

use super::*;
use crate::tree;

mod simulated;

const MS: u64 = 1_000_000;
const START: u64 = 1_700_000_000_000_000_000;

#[derive(Default)]
struct Memory {
    spans: Vec<Span>,
    logs: Vec<LogRecord>,
}

impl TraceRead for Memory {
    fn trace(&self, _: TraceId, _: usize) -> Result<TraceRecords, ReadError> {
        Ok(TraceRecords::default())
    }
    fn scan_traces(
        &self,
        select: &SpanSelect,
        visit: &mut dyn FnMut(Vec<Span>) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        let touches = |span: &&Span| span.start < select.window.end && span.end >= select.window.start;
        for span in self.spans.iter().filter(touches) {
            if visit(vec![span.clone()]).is_break() {
                break;
            }
        }
        Ok(ScanReport::default())
    }
    fn services(&self, _: Window) -> Result<Vec<(String, Vec<String>)>, ReadError> {
        Ok(Vec::new())
    }
}

impl LogRead for Memory {
    fn scan_logs(
        &self,
        select: &LogSelect,
        visit: &mut dyn FnMut(LogRecord) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        for log in &self.logs {
            let wanted =
                select.window.contains(log.time) && select.matchers.iter().all(|m| m.matches(&log.labels));
            if wanted && visit(log.clone()).is_break() {
                break;
            }
        }
        Ok(ScanReport::default())
    }
    fn streams(&self, _: &[Matcher], _: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        Ok(Vec::new())
    }
}

fn id(trace: u128) -> TraceId {
    TraceId::new(trace, Spelling::new(SpellingKind::Hex(32))).unwrap()
}

/// Times in ms.
fn span(trace: u128, span: u64, start: u64, end: u64, attributes: &[(&str, &str)], tenant: &str) -> Span {
    let pairs = |list: &[(&str, &str)]| -> Vec<(String, Value)> {
        list.iter().map(|(k, v)| ((*k).to_owned(), Value::Str((*v).to_owned()))).collect()
    };
    let mut resource = vec![("service.name", "cart"), ("k8s.pod.name", "cart-1")];
    if !tenant.is_empty() {
        resource.push((TENANT, tenant));
    }
    Span {
        trace_id: id(trace),
        span_id: SpanId::new(span).unwrap(),
        parent_span_id: None,
        trace_state: String::new(),
        flags: 0,
        name: "GET /cart/{id}".to_owned(),
        kind: SpanKind::Server,
        start: START + start * MS,
        end: START + end * MS,
        attributes: pairs(attributes),
        events: Vec::new(),
        links: Vec::new(),
        status: Status::default(),
        resource: Arc::new(Resource { attributes: pairs(&resource) }),
        scope: Arc::new(Scope::default()),
    }
}

fn line(at: u64, text: &str, labels: &[(&str, &str)], tenant: &str) -> LogRecord {
    let tenant = (!tenant.is_empty()).then(|| (TENANT.to_owned(), tenant.to_owned()));
    LogRecord {
        time: START + at * MS + 1,
        observed: 0,
        labels: Arc::new(Labels::new(labels.iter().copied())),
        metadata: tenant.into_iter().collect(),
        trace_id: None,
        span_id: None,
        severity: Severity::Info,
        line: text.as_bytes().to_vec(),
        source: None,
        rule: None,
    }
}

const APP: &[(&str, &str)] = &[("pod", "cart-1"), ("container", "cart"), ("service_name", "cart")];
const PROXY: &[(&str, &str)] =
    &[("pod", "cart-1"), ("container", "istio-proxy"), ("service_name", "istio-proxy")];

/// `rule confidence span line` of what is offered to trace 1.
fn offered(memory: &Memory) -> Vec<(&'static str, f64, u64, String)> {
    let own = memory.spans.iter().filter(|span| span.trace_id == id(1)).cloned().collect();
    let nodes = tree::build(own).nodes;
    let offer = offer(memory, memory, id(1), &nodes, &[], &OfferLimits::default()).unwrap();
    assert!(offer.warnings.is_empty(), "{:?}", offer.warnings);
    offer
        .lines
        .into_iter()
        .map(|l| {
            let text = String::from_utf8(l.record.line).unwrap();
            (l.join.rule.as_str(), l.join.confidence, l.span_id.map_or(0, SpanId::bits), text)
        })
        .collect()
}

#[test]
fn a_line_of_the_container_stands_under_the_span_that_ran() {
    let spans = vec![span(1, 10, 100, 200, &[], ""), span(1, 11, 120, 150, &[], "")];
    let logs = vec![
        line(90, "before", APP, ""),
        line(130, "inner", APP, ""),
        line(180, "outer", APP, ""),
        line(130, "elsewhere", &[("pod", "cart-2"), ("service_name", "cart")], ""),
    ];
    let found = offered(&Memory { spans, logs });
    let placed: Vec<_> = found.iter().map(|(rule, _, span, text)| (*rule, *span, text.as_str())).collect();
    assert_eq!(placed, [("workload_time", 11, "inner"), ("workload_time", 10, "outer")]);
    // Nothing tells whether requests ran beside it that send no spans.
    assert!(found.iter().all(|(_, confidence, ..)| (0.5..0.9).contains(confidence)), "{found:?}");
}

#[test]
fn a_line_that_names_the_trace_alone_stands_under_the_span_that_ran() {
    let spans = vec![span(1, 10, 100, 200, &[], ""), span(1, 11, 120, 150, &[], "")];
    let nodes = tree::build(spans).nodes;
    let told = |at, labels, span| {
        let record = LogRecord { trace_id: Some(id(1)), span_id: span, ..line(at, "said", labels, "") };
        let mut logs = seen::logs(id(1), vec![record], &nodes);
        under_spans(&nodes, &mut logs);
        assert_eq!((logs[0].join.rule, logs[0].join.confidence), (JoinRule::TraceId, 1.0));
        (logs[0].span_id.map(SpanId::bits), logs[0].span_inferred)
    };
    let elsewhere = &[("pod", "cart-2"), ("service_name", "cart")];
    assert_eq!(told(130, APP, None), (Some(11), true));
    assert_eq!(told(180, APP, None), (Some(10), true));
    assert_eq!([told(90, APP, None), told(130, elsewhere, None)], [(None, false); 2]);
    assert_eq!(told(130, APP, SpanId::new(10)), (Some(10), false));
    assert_eq!(told(130, APP, SpanId::new(99)), (None, false), "it names a span that is not there");
}

#[test]
fn requests_of_other_traces_take_their_share() {
    let spans = vec![span(1, 10, 100, 200, &[], ""), span(2, 20, 50, 300, &[], "")];
    let found = offered(&Memory { spans, logs: vec![line(130, "whose", APP, "")] });
    assert!(found[0].1 <= 0.5, "{found:?}");
}

#[test]
fn a_proxys_access_log_joins_by_request_id_or_by_path_status_and_time() {
    let attributes = [
        ("guid:x-request-id", "84961386-6d84-929d-98bd-c5aee93b5c88"),
        ("url.path", "/cart/9"),
        ("http.response.status_code", "503"),
    ];
    let spans = vec![
        span(1, 10, 100, 200, &attributes, ""),
        span(2, 20, 110, 190, &[("url.path", "/hello"), ("http.response.status_code", "200")], ""),
    ];
    let by_id =
        r#"[2023-11-14T22:13:20.100Z] "GET /cart/9 HTTP/1.1" 503 - "84961386-6d84-929d-98bd-c5aee93b5c88""#;
    let by_path = r#"[2023-11-14T22:13:20.099Z] "GET /cart/9 HTTP/1.1" 503 - "-""#;
    let other = r#"[2023-11-14T22:13:20.109Z] "GET /hello HTTP/1.1" 200 - "-""#;
    // Envoy keeps its lines back: the first comes seconds after the request.
    let logs =
        vec![line(4_000, by_id, PROXY, ""), line(201, by_path, PROXY, ""), line(191, other, PROXY, "")];
    let found = offered(&Memory { spans, logs });
    let rules: Vec<_> = found.iter().map(|(rule, _, _, text)| (*rule, text.as_str())).collect();
    assert_eq!(rules, [("access_log", by_id), ("access_log", by_path)]);
    assert!(found.iter().all(|(_, confidence, ..)| *confidence >= 0.8), "{found:?}");
}

#[test]
fn an_access_log_that_tells_of_another_request_is_not_claimed() {
    let own = "6ac5d4f2-1111-9222-8333-abcdefabcdef";
    let of_front = span(1, 10, 90, 200, &[("guid:x-request-id", own)], "");
    let front = [("service.name", "front"), ("k8s.pod.name", "front-1")];
    let front = front.map(|(key, value)| (key.to_owned(), Value::Str(value.to_owned())));
    let of_front = Span { resource: Arc::new(Resource { attributes: front.to_vec() }), ..of_front };
    let attributes = [("http.method", "GET"), ("http.target", "/reviews/0"), ("http.status_code", "200")];
    let spans = vec![of_front, span(1, 11, 100, 145, &attributes, "")];
    let line_of = |request: &str, status: u16, id: &str| {
        let said = format!(r#"[2023-11-14T22:13:20.100Z] "{request} HTTP/1.1" {status} - "{id}""#);
        line(146, &said, PROXY, "")
    };
    let (other, none) = ("00000000-2222-9222-8333-abcdefabcdef", "-");
    for foreign in [
        line_of("GET /reviews/0", 200, other),
        line_of("GET /reviews/0", 503, none),
        line_of("POST /reviews/0", 200, none),
        line_of("GET /health", 200, none),
    ] {
        for ours in [vec![], vec![line_of("GET /reviews/0", 200, own)]] {
            let logs = ours.iter().chain([&foreign]).cloned().collect();
            let found = offered(&Memory { spans: spans.clone(), logs });
            let sure = found.iter().filter(|(_, confidence, ..)| *confidence >= 0.8).count();
            assert_eq!(sure, ours.len(), "{found:?}");
        }
    }
}

#[test]
fn what_a_proxy_keeps_back_joins_by_the_start_length_path_and_status_that_it_says() {
    let attributes =
        [("url.path", "/ratings/0"), ("http.response.status_code", "500"), ("http.request.method", "GET")];
    let spans = vec![span(1, 10, 100, 130, &attributes, "")];
    let text = |took: u64| {
        format!(
            r#"[2023-11-14T22:13:20.100Z] "GET /ratings/0 HTTP/1.1" 500 - via_upstream - "-" 0 178 {took} 29 "-""#
        )
    };
    let json = r#"{"start_time":"2023-11-14T22:13:20.100Z","method":"GET","path":"/ratings/0","response_code":500,"duration":30}"#;
    for later in [0, 300, 1_000, 3_000, 10_000] {
        for said in [text(30), json.to_owned()] {
            let logs = vec![line(130 + later, &said, PROXY, "")];
            let found = offered(&Memory { spans: spans.clone(), logs });
            assert!(found.len() == 1 && found[0].1 >= 0.95, "{later} {said}: {found:?}");
        }
        let logs = vec![line(130 + later, &text(400), PROXY, "")];
        let longer = offered(&Memory { spans: spans.clone(), logs });
        assert!(longer.iter().all(|(_, confidence, ..)| *confidence < 0.9), "{later}: {longer:?}");
    }
}

#[test]
fn of_requests_alike_an_access_log_is_of_the_one_that_began_when_it_says() {
    let attributes = [("url.path", "/cart/9"), ("http.response.status_code", "200")];
    let spans = vec![span(1, 10, 100, 200, &attributes, ""), span(2, 20, 60, 190, &attributes, "")];
    let first = r#"[2023-11-14T22:13:20.099Z] "GET /cart/9 HTTP/1.1" 200 - "-""#;
    let second = r#"[2023-11-14T22:13:20.059Z] "GET /cart/9 HTTP/1.1" 200 - "-""#;
    let found =
        offered(&Memory { spans, logs: vec![line(201, first, PROXY, ""), line(191, second, PROXY, "")] });
    let lines: Vec<&str> = found.iter().map(|(.., text)| text.as_str()).collect();
    assert_eq!(lines, [first], "{found:?}");
    assert!(found[0].1 >= 0.8, "{found:?}");
}

proptest! {
    #[test]
    fn what_fits_two_requests_alike_is_claimed_for_neither(
        start in 50u64..100,
        long in 5u64..200,
        apart in 0u64..2,
        more in prop::collection::vec((0u64..300, 5u64..100), 0..6),
        written in 0u64..5,
        text in prop::sample::select(vec![
            "cache missed",
            "answered path=/cart/9 status=200",
            r#"[2023-11-14T22:13:20.100Z] "GET /cart/9 HTTP/1.1" 200 - "-""#,
            r#""GET /cart/9 HTTP/1.1" 200 12"#,
        ]),
        proxy: bool,
    ) {
        let attributes = [("url.path", "/cart/9"), ("http.response.status_code", "200"), ("thread.name", "worker-1")];
        let mut spans = vec![
            span(1, 1, start, 100 + long, &attributes, ""),
            span(2, 2, start + apart, 100 + long + apart, &attributes, ""),
        ];
        let others = more.iter().zip(3u64..);
        spans.extend(others.map(|((start, long), n)| span(n.into(), n, *start, start + long, &[], "")));
        let logs = vec![line(100 + written, text, if proxy { PROXY } else { APP }, "")];
        for (rule, confidence, ..) in offered(&Memory { spans, logs }) {
            prop_assert!(confidence < 0.8, "{rule} {confidence}");
        }
    }

    #[test]
    fn no_line_is_offered_across_tenants(
        spans in prop::collection::vec((1u128..4, 0u64..100, 1u64..100, 0usize..3), 1..10),
        lines in prop::collection::vec((0u64..200, 0usize..3), 0..20),
    ) {
        let tenants = ["", "team-7", "team-8"];
        let spans: Vec<Span> = spans
            .into_iter()
            .enumerate()
            .map(|(n, (trace, start, long, tenant))| {
                span(trace, n as u64 + 1, start, start + long, &[], tenants[tenant])
            })
            .collect();
        let logs = lines.iter().map(|(at, tenant)| line(*at, tenants[*tenant], APP, tenants[*tenant])).collect();
        let own: Vec<String> = spans
            .iter()
            .filter(|span| span.trace_id == id(1))
            .map(|span| Origin::of_resource(&span.resource).tenant.unwrap_or_default())
            .collect();
        for (_, _, _, text) in offered(&Memory { spans, logs }) {
            prop_assert!(own.contains(&text), "{text:?} of {own:?}");
        }
    }
}
