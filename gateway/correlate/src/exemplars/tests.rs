use std::ops::ControlFlow;

use parsers::record::{
    ExemplarOrigin, Resource, Sample, Scope, Series, Span, SpanId, SpanKind, Spelling, Status, TENANT,
    TENANT_LABEL, Value,
};
use store::read::{ExemplarLimits, ScanReport, SpanSelect, StoredExemplars, TraceRecords};

use super::*;

const SECOND: u64 = 1_000_000_000;
const WINDOW: Window = Window { start: 1_000 * SECOND, end: 1_060 * SECOND };

/// Spans, exemplars that are stored, and a metrics server with these series and exemplars.
#[derive(Clone, Default)]
struct World {
    spans: Vec<Span>,
    stored: Vec<Exemplar>,
    series: Vec<Labels>,
    sent: Vec<Exemplar>,
    /// What each series counted at the beginning and at the end of the window, by its bound.
    counts: Vec<(&'static str, f64, f64)>,
    failure: Option<ReadError>,
    /// There are more exemplars than are read.
    cut: bool,
}

impl TraceRead for World {
    fn trace(&self, _: TraceId, _: usize) -> Result<TraceRecords, ReadError> {
        Ok(TraceRecords::default())
    }
    fn scan_traces(
        &self,
        select: &SpanSelect,
        visit: &mut dyn FnMut(Vec<Span>) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        for span in &self.spans {
            let wanted = select.service.as_ref().is_none_or(|service| span.resource.service() == service);
            if wanted && visit(vec![span.clone()]).is_break() {
                break;
            }
        }
        Ok(ScanReport::default())
    }
    fn services(&self, _: Window) -> Result<Vec<(String, Vec<String>)>, ReadError> {
        let names: BTreeSet<&str> = self.spans.iter().map(|span| span.resource.service()).collect();
        Ok(names.into_iter().map(|name| (name.to_owned(), Vec::new())).collect())
    }
}

impl ExemplarRead for World {
    fn stored_exemplars(
        &self,
        selectors: &[Vec<Matcher>],
        _: Window,
        _: ExemplarLimits,
    ) -> Result<StoredExemplars, ReadError> {
        let wanted = |e: &&Exemplar| selectors.iter().any(|s| s.iter().all(|m| m.matches(&e.series)));
        let exemplars = self.stored.iter().filter(wanted).cloned().collect();
        Ok(StoredExemplars { exemplars, over_count: self.cut, over_time: self.cut })
    }
}

#[async_trait::async_trait]
impl MetricRead for World {
    fn name(&self) -> &'static str {
        "fake"
    }
    async fn series(&self, _: &[String], _: Window) -> Result<Vec<Labels>, ReadError> {
        Ok(self.series.clone())
    }
    async fn range(&self, expression: &str, _: Window, _: Duration) -> Result<Vec<Series>, ReadError> {
        let times = [WINDOW.start, WINDOW.end];
        let series = self.series.iter().filter_map(|labels| {
            let of = |count: &&(&str, f64, f64)| labels.get("le") == Some(count.0);
            let (_, first, last) = *self.counts.iter().find(of)?;
            let taken = expression.starts_with("timestamp(");
            let values = if taken { times.map(|time| time as f64 / 1e9) } else { [first, last] };
            let samples = times.into_iter().zip(values).map(|(time, value)| Sample { time, value });
            Some(Series { labels: Arc::new(labels.clone()), samples: samples.collect() })
        });
        Ok(series.collect())
    }
    async fn exemplars(&self, _: &str, _: Window) -> Result<Vec<Exemplar>, ReadError> {
        self.failure.clone().map_or(Ok(self.sent.clone()), Err)
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::new(pairs.iter().copied())
}

/// Buckets of a histogram of one service.
fn buckets(service: &str, more: &[(&str, &str)]) -> Vec<Labels> {
    let bucket = |bound: &&str| {
        let all = [("__name__", "http_server_duration_seconds_bucket"), ("le", *bound), ("job", service)];
        labels(&[&all, more].concat())
    };
    ["0.1", "1", "+Inf"].iter().map(bucket).collect()
}

fn span(
    number: u64,
    service: &str,
    kind: SpanKind,
    end: u64,
    millis: u64,
    attributes: &[(&str, Value)],
) -> Span {
    let attributes = attributes.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    Span {
        trace_id: TraceId::new(u128::from(number), Spelling::default()).unwrap(),
        span_id: SpanId::new(number).unwrap(),
        parent_span_id: None,
        trace_state: String::new(),
        flags: 0,
        name: "GET".to_owned(),
        kind,
        start: end - millis * 1_000_000,
        end,
        attributes,
        events: Vec::new(),
        links: Vec::new(),
        status: Status::default(),
        resource: Arc::new(Resource {
            attributes: vec![("service.name".to_owned(), Value::Str(service.to_owned()))],
        }),
        scope: Arc::new(Scope::default()),
    }
}

fn exemplar(series: &Labels, value: f64, trace: u64) -> Exemplar {
    Exemplar {
        series: Arc::new(series.clone()),
        labels: Vec::new(),
        value,
        time: WINDOW.start + trace,
        trace_id: TraceId::new(u128::from(trace), Spelling::default()),
        span_id: None,
        origin: ExemplarOrigin::Application,
    }
}

async fn find(world: World, with_server: bool) -> Result<ExemplarsFound, ReadError> {
    let expression = "rate(http_server_duration_seconds_bucket[1m])";
    let selectors = query::series_selectors::selectors(expression).unwrap();
    let world = Arc::new(world);
    let server = with_server.then(|| Arc::clone(&world) as Arc<dyn MetricRead>);
    let step = Some(Duration::from_secs(30));
    let options = CorrelateOptions::default();
    Exemplars::new(world.clone(), world, server, &options).find(expression, &selectors, WINDOW, step).await
}

/// Bound, milliseconds, trace and whether it was made.
fn shown(found: &ExemplarsFound) -> Vec<(String, u64, u64, bool)> {
    let mut shown: Vec<_> = found
        .series
        .iter()
        .flat_map(|series| series.exemplars.iter().map(move |found| (series, &found.exemplar)))
        .map(|(series, e)| {
            let bound = series.labels.get("le").unwrap_or_default().to_owned();
            (
                bound,
                (e.value * 1e3).round() as u64,
                e.trace_id.unwrap().low64(),
                e.origin == ExemplarOrigin::Trefoil,
            )
        })
        .collect();
    shown.sort_by_key(|(_, _, trace, _)| *trace);
    shown
}

#[tokio::test]
async fn of_each_step_the_slowest_and_a_typical_span_are_shown_in_their_buckets() {
    let at = |second: u64| WINDOW.start + second * SECOND;
    let server = SpanKind::Server;
    let world = World {
        series: buckets("shop", &[]),
        spans: vec![
            span(1, "shop", server, at(1), 50, &[]),
            span(2, "shop", server, at(2), 60, &[]),
            span(3, "shop", server, at(3), 2_000, &[]),
            span(4, "shop", server, at(40), 700, &[]),
            // Of another service, the calling side, and after the window.
            span(5, "other", server, at(4), 9_000, &[]),
            span(6, "shop", SpanKind::Client, at(5), 9_000, &[]),
            span(7, "shop", server, at(61), 9_000, &[]),
        ],
        ..World::default()
    };
    let found = find(world, true).await.unwrap();
    let text = str::to_owned;
    assert_eq!(
        shown(&found),
        [(text("0.1"), 60, 2, true), (text("+Inf"), 2_000, 3, true), (text("1"), 700, 4, true)]
    );
    assert!(found.warnings.is_empty());
}

#[tokio::test]
async fn what_fell_into_a_bucket_that_counted_nothing_is_no_exemplar() {
    let at = |second: u64| WINDOW.start + second * SECOND;
    let server = SpanKind::Server;
    let world = World {
        series: buckets("shop", &[]),
        spans: vec![
            span(1, "shop", server, at(20), 50, &[]),
            span(2, "shop", server, at(20), 500, &[]),
            // Beside the bound: the application may have measured less.
            span(3, "shop", server, at(20), 105, &[]),
            span(4, "shop", server, at(20), 3_000, &[]),
        ],
        counts: vec![("0.1", 3.0, 4.0), ("1", 3.0, 4.0), ("+Inf", 3.0, 4.0)],
        ..World::default()
    };
    let found = find(world.clone(), true).await.unwrap();
    let traces: Vec<u64> = shown(&found).iter().map(|(_, _, trace, _)| *trace).collect();
    assert_eq!(traces, [1, 3]);
    // A sample that is older than the span says nothing of it.
    let spans = vec![span(4, "shop", server, at(55), 3_000, &[])];
    let found = find(World { spans, ..world }, true).await.unwrap();
    assert_eq!(shown(&found).len(), 1);
}

#[tokio::test]
async fn labels_that_a_span_contradicts_keep_it_out() {
    let at = WINDOW.start + SECOND;
    let post = [
        ("http.request.method", Value::Str("POST".to_owned())),
        ("http.response.status_code", Value::Int(500)),
    ];
    let world = |more: &[(&str, &str)]| World {
        series: buckets("ns/shop", more),
        spans: vec![span(1, "shop", SpanKind::Server, at, 50, &post)],
        ..World::default()
    };
    for (more, expected) in [
        (&[][..], 1),
        (&[("method", "POST"), ("status", "500")], 1),
        (&[("method", "GET")], 0),
        (&[("http_response_status_code", "200")], 0),
        (&[("whatever", "x"), ("instance", "10.0.0.1:80")], 1),
    ] {
        assert_eq!(shown(&find(world(more), true).await.unwrap()).len(), expected, "{more:?}");
    }
}

#[tokio::test]
async fn no_exemplar_is_made_of_another_namespace_cluster_or_version() {
    let at = WINDOW.start + SECOND;
    let of = |trace, place: &[(&str, &str)]| {
        let mut span = span(trace, "shop", SpanKind::Server, at, 50 * trace, &[]);
        let mut resource = (*span.resource).clone();
        let text = |(key, value): &(&str, &str)| ((*key).to_owned(), Value::Str((*value).to_owned()));
        resource.attributes.extend(place.iter().map(text));
        span.resource = Arc::new(resource);
        span
    };
    let spans = vec![
        of(1, &[("k8s.namespace.name", "blue"), ("k8s.cluster.name", "east"), ("service.version", "1")]),
        of(2, &[("k8s.namespace.name", "green"), ("k8s.cluster.name", "west"), ("service.version", "2")]),
    ];
    for (label, first, second) in
        [("namespace", "blue", "green"), ("cluster", "east", "west"), ("version", "1", "2")]
    {
        for (value, trace) in [(first, 1), (second, 2)] {
            let series = buckets("shop", &[(label, value)]);
            let found = find(World { series, spans: spans.clone(), ..World::default() }, true).await.unwrap();
            let traces: Vec<u64> = shown(&found).iter().map(|(_, _, trace, _)| *trace).collect();
            assert_eq!(traces, [trace], "{label}={value}");
        }
    }
}

#[tokio::test]
async fn no_exemplar_is_made_across_tenants() {
    let at = WINDOW.start + SECOND;
    let of = |trace, tenant: Option<&str>| {
        let mut span = span(trace, "shop", SpanKind::Server, at, 50 + trace, &[]);
        let mut resource = (*span.resource).clone();
        resource.attributes.extend(tenant.map(|name| (TENANT.to_owned(), Value::Str(name.to_owned()))));
        span.resource = Arc::new(resource);
        span
    };
    let spans = vec![of(1, Some("red")), of(2, Some("blue")), of(3, None)];
    for (tenant, trace) in [("red", 1), ("blue", 2)] {
        let series = buckets("shop", &[(TENANT_LABEL, tenant)]);
        let found = find(World { series, spans: spans.clone(), ..World::default() }, true).await.unwrap();
        let traces: Vec<u64> = shown(&found).iter().map(|(_, _, trace, _)| *trace).collect();
        assert_eq!(traces, [trace], "{tenant}");
    }
}

#[tokio::test]
async fn nothing_is_made_where_the_application_sends_some_and_nothing_is_shown_twice() {
    let all = buckets("shop", &[]);
    let world = World {
        spans: vec![span(9, "shop", SpanKind::Server, WINDOW.start + SECOND, 50, &[])],
        sent: vec![exemplar(&all[0], 0.05, 1)],
        stored: vec![exemplar(&all[0], 0.05, 1), exemplar(&all[1], 0.5, 2)],
        series: all,
        ..World::default()
    };
    let found = shown(&find(world.clone(), true).await.unwrap());
    assert_eq!(found, [("0.1".to_owned(), 50, 1, false), ("1".to_owned(), 500, 2, false)]);
    let alone = shown(&find(world, false).await.unwrap());
    assert_eq!(alone, found, "what is stored is shown without a server too");
}

#[tokio::test]
async fn a_server_that_fails_is_a_warning_and_one_that_refuses_an_error() {
    let stored = vec![exemplar(&buckets("shop", &[])[0], 0.05, 1)];
    let (server, detail) = ("fake".to_owned(), "gone".to_owned());
    let failure = Some(ReadError::Unreachable { server: server.clone(), detail: detail.clone() });
    let found = find(World { failure, stored: stored.clone(), ..World::default() }, true).await.unwrap();
    assert_eq!((found.series.len(), found.warnings.len()), (1, 1));
    let failure = Some(ReadError::Refused { server, detail });
    assert!(find(World { stored, failure, ..World::default() }, true).await.is_err());
}

#[tokio::test]
async fn what_is_left_out_of_a_wide_question_is_told_with_how_to_narrow_it() {
    let at = WINDOW.start + SECOND;
    let spans = vec![span(1, "shop-0", SpanKind::Server, at, 50, &[])];
    let many = |services: usize| (0..services).flat_map(|n| buckets(&format!("shop-{n}"), &[])).collect();
    let found =
        find(World { series: many(50), spans: spans.clone(), ..World::default() }, true).await.unwrap();
    assert_eq!((shown(&found).len(), found.warnings.len()), (1, 0));
    let world = World { series: many(7_000), spans, cut: true, ..World::default() };
    let found = find(world, true).await.unwrap();
    assert_eq!(shown(&found).len(), 1, "what there is room for is shown");
    let told = found.warnings.join("\n");
    for part in ["10000", "20000 of 21000 series", "1000 histograms", "shorter window", "name"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}
