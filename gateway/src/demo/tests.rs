use std::collections::{BTreeMap, BTreeSet};
use std::path::Path as FilePath;
use std::sync::Mutex;

use async_trait::async_trait;
use axum::Router;
use parsers::container::{JoinLimits, Joiner, PodPath};
use parsers::derived::{Derived, Deriver};
use parsers::otlp::{Promoted, walk_metrics};
use parsers::record::{Batch, Span, SpanKind, StatusCode};
use receive::otlp::{Otlp, OtlpOptions};
use receive::{Counters, Intake, Refusal, Sink};

use super::log_files::{LogFile, folder};
use super::plan::Served;
use super::*;

const START: u64 = 1_760_000_000_000_000_000;

fn plans(count: u64, seed: u64) -> Vec<(Visit, Plan)> {
    let (origins, mut rng) = (Origins::new(), Rng::new(seed));
    (0..count)
        .map(|n| {
            let visit = Visit::nth(n, &mut rng);
            (visit, visit.plan(&origins, &mut rng, START + n * 1_000_000_000).unwrap())
        })
        .collect()
}

fn spans<'a>(plan: &'a Plan) -> Vec<(Pod, &'a Span)> {
    let span = |step: &'a (u64, Happening)| match &step.1 {
        Happening::Span(pod, span) => Some((*pod, &**span)),
        _ => None,
    };
    plan.steps.iter().filter_map(span).collect()
}

fn lines<'a>(plan: &'a Plan) -> Vec<&'a Line> {
    let line = |step: &'a (u64, Happening)| match &step.1 {
        Happening::Log(line) => Some(line),
        _ => None,
    };
    plan.steps.iter().filter_map(line).collect()
}

fn served<'a>(plan: &'a Plan) -> Vec<&'a Served> {
    let served = |step: &'a (u64, Happening)| match &step.1 {
        Happening::Served(served) => Some(served),
        _ => None,
    };
    plan.steps.iter().filter_map(served).collect()
}

#[test]
fn one_seed_gives_one_story() {
    let story = |seed| format!("{:?}", plans(20, seed));
    assert_eq!(story(7), story(7));
    assert_ne!(story(7), story(8));
}

#[test]
fn each_format_is_recognised_and_names_its_request() {
    let deriver = Deriver::new(&[]).unwrap();
    let mut out = Derived::default();
    let mut with_ids: BTreeMap<(&str, String), usize> = BTreeMap::new();
    let mut without_ids: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, plan) in plans(300, 1) {
        let known: BTreeSet<_> = spans(&plan).iter().map(|(pod, span)| (*pod, span.span_id)).collect();
        for line in lines(&plan) {
            deriver.derive(line.text.as_bytes(), &mut out);
            assert_eq!(out.problem, None, "{}", line.text);
            let service = line.pod.spec().service;
            match out.trace {
                Some(trace) => {
                    assert_eq!(trace, plan.trace, "{}", line.text);
                    assert!(known.contains(&(line.pod, out.span.unwrap())), "{}", line.text);
                    let rule = deriver.rule_name(out.rule.unwrap()).unwrap().to_string();
                    *with_ids.entry((service, rule)).or_default() += 1;
                }
                None => *without_ids.entry(service).or_default() += 1,
            }
        }
    }
    let found: Vec<(&str, &str)> = with_ids.keys().map(|(service, rule)| (*service, &**rule)).collect();
    assert_eq!(
        found,
        [
            ("cart", "spring"),
            ("catalog", "envoy"),
            ("checkout", "logfmt"),
            ("frontend", "json"),
            ("pages", "otel_python"),
            ("payment", "logfmt"),
            ("shipping", "logfmt"),
        ]
    );
    assert_eq!(without_ids.keys().copied().collect::<Vec<_>>(), ["catalog", "shipping"]);
}

#[test]
fn the_spans_of_a_request_are_one_tree_in_possible_order() {
    for (visit, plan) in plans(300, 2) {
        let spans = spans(&plan);
        let by_id: BTreeMap<_, _> = spans.iter().map(|(pod, span)| (span.span_id, (*pod, *span))).collect();
        assert_eq!(by_id.len(), spans.len());
        let roots: Vec<_> = spans.iter().filter(|(_, span)| span.parent_span_id.is_none()).collect();
        let [(Pod::Frontend, root)] = roots[..] else { panic!("{roots:?}") };
        assert!((40_000_000..=850_000_000).contains(&root.duration()), "{visit:?} {}", root.duration());
        for (pod, span) in &spans {
            assert_eq!(span.trace_id, plan.trace);
            let Some(parent) = span.parent_span_id else { continue };
            let (parent_pod, parent) = by_id[&parent];
            assert!(parent.start <= span.start && span.end <= parent.end, "{span:?} in {parent:?}");
            let remote = span.kind == SpanKind::Server;
            assert_eq!(remote, parent.kind == SpanKind::Client && parent_pod != *pod);
        }
        assert!(plan.services >= 4);
        assert!(plan.steps.is_sorted_by_key(|(time, _)| *time));
    }
}

#[test]
fn the_candidate_fails_more_than_the_released_version_and_says_why() {
    let mut payments: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (_, plan) in plans(2000, 3) {
        for served in served(&plan).iter().filter(|served| served.pod.spec().service == "payment") {
            let (all, failed) = payments.entry(served.pod.spec().version).or_default();
            *all += 1;
            *failed += usize::from(served.status >= 500);
        }
        for (pod, span) in spans(&plan) {
            let thrown = span.events.iter().any(|event| event.name == "exception");
            assert!(!thrown || span.status.code == StatusCode::Error, "{pod:?}");
        }
    }
    let rate = |version| {
        let (all, failed): (usize, usize) = payments[version];
        failed as f64 / all as f64
    };
    assert!(rate("1.4.0") > 0.0 && rate("1.4.0") < 0.1, "{payments:?}");
    assert!(rate("2.0.0-rc1") > 0.15, "{payments:?}");
}

#[test]
fn a_rotated_log_reads_back_whole_and_only_two_older_files_stay() {
    let dir = tempfile::tempdir().unwrap();
    let place = folder(dir.path(), Pod::Cart.spec());
    let mut file = LogFile::open(place.clone(), 4000).unwrap();
    let texts: Vec<String> = (0..200).map(|i| format!("line {i} of the cart, with an ä in it")).collect();
    for (i, text) in texts.iter().enumerate() {
        let time = START + i as u64;
        file.append(&Line { pod: Pod::Cart, time, stderr: i % 3 == 0, text: text.clone() }).unwrap();
    }
    let mut names: Vec<String> = std::fs::read_dir(&place)
        .unwrap()
        .map(|entry| entry.unwrap().path().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names.len(), 3, "{names:?}");
    // `0.log` is the newest, and sorts first.
    names.rotate_left(1);
    let (mut read, mut split) = (Vec::new(), false);
    for name in &names {
        let path = PodPath::parse(name).unwrap();
        let spec = Pod::Cart.spec();
        assert_eq!(
            (path.namespace, path.pod, path.uid, path.container, path.restart),
            ("shop", spec.pod, Some(spec.uid), "cart", Some(0))
        );
        let bytes = std::fs::read(name).unwrap();
        split |= String::from_utf8_lossy(&bytes).contains(" P ");
        let mut joiner = Joiner::new(JoinLimits::default());
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            joiner.push(line.strip_suffix(b"\n").unwrap(), 0, &mut |line| {
                assert_eq!(line.problem, None);
                read.push(String::from_utf8(line.text.to_vec()).unwrap());
            });
        }
    }
    assert!(split);
    assert!(read.len() > 60);
    assert_eq!(read, texts[texts.len() - read.len()..]);
}

#[test]
fn measurements_carry_their_trace_in_both_forms() {
    let measurements = Measurements::new();
    let plans = plans(30, 4);
    let served: Vec<&Served> = plans.iter().flat_map(|(_, plan)| served(plan)).collect();
    for served in &served {
        measurements.observe(served);
    }

    let text = measurements.text("payment").unwrap();
    let last = served.iter().rfind(|served| served.pod == Pod::PaymentStable).unwrap();
    let exemplar = format!("# {{trace_id=\"{}\",span_id=\"{}\"}}", last.ids.trace, last.ids.span);
    assert!(text.contains(&exemplar), "{text}");
    assert!(text.contains("http_server_requests_total{"), "{text}");
    assert!(text.contains("version=\"1.4.0\"") && text.ends_with("# EOF\n"), "{text}");
    assert_eq!(measurements.text("nobody"), None);

    let body = metrics_otlp::encode(&measurements.take(), START, START + 1);
    let (batch, rejections) = walk_metrics(&body, START, &Promoted::default()).unwrap();
    assert_eq!(format!("{rejections:?}"), format!("{:?}", parsers::otlp::Rejections::default()));
    let sent: BTreeSet<_> = batch.exemplars.iter().map(|row| (row.trace, row.span)).collect();
    let made: BTreeSet<_> =
        served.iter().map(|served| (served.ids.trace.bits(), served.ids.span.bits())).collect();
    assert_eq!(sent, made);
    for row in &batch.exemplars {
        let labels = &batch.series[row.series as usize];
        assert_eq!(labels.get("__name__"), Some("http_server_request_duration_seconds_bucket"));
        assert!(row.value <= labels.get("le").unwrap().replace("+Inf", "inf").parse::<f64>().unwrap());
    }
    let total: f64 = batch
        .samples
        .iter()
        .filter(|row| batch.series[row.series as usize].get("__name__") == Some("http_server_requests_total"))
        .map(|row| row.value)
        .sum();
    assert_eq!(total, served.len() as f64);
    assert!(measurements.take().iter().all(|(_, histogram)| histogram.examples.is_empty()));
}

#[test]
fn the_banner_names_the_trace_and_every_address_as_it_is_reached() {
    let any = |port| SocketAddr::from(([0, 0, 0, 0], port));
    let at = Addresses { main: any(8080), otlp_grpc: any(4317), otlp_http: any(4318), metrics: any(9000) };
    let trace = TraceId::from_hex(b"4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
    let text = banner("target/release/trefoil", at, trace);
    for part in [
        "http://127.0.0.1:8080/api/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736",
        "  target/release/trefoil trace 4bf92f3577b34da6a3ce929d0e0e4736",
        "http://127.0.0.1:8080/grafana/datasources.yaml",
        "http://127.0.0.1:8080/grafana/dashboards\n",
        "Loki        http://127.0.0.1:8080\n",
        "http://127.0.0.1:8080/tempo",
        "127.0.0.1:4317",
        "127.0.0.1:4318",
        "127.0.0.1:9000/metrics/",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("0.0.0.0"), "{text}");
}

#[derive(Debug, Default)]
struct Kept(Mutex<Vec<Arc<Batch>>>);

#[async_trait]
impl Sink for Kept {
    async fn accept(&self, batch: Arc<Batch>) -> Result<(), Refusal> {
        self.0.lock().unwrap().push(batch);
        Ok(())
    }
}

/// A listener on a free port; also what a shop's clients need, once a process.
async fn bound() -> (TcpListener, SocketAddr) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn logs_below(dir: &FilePath) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&logs_below(&path));
        } else {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    text
}

#[tokio::test]
async fn a_shop_that_nobody_listens_to_stops_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let (closed, nobody) = bound().await;
    drop(closed);
    let (metrics, _) = bound().await;
    let pods_dir = dir.path().join("pods");
    let options = ShopOptions { pods_dir, otlp_grpc: nobody, otlp_http: nobody, metrics, seed: 1 };
    let shop = Shop::start(options, CancellationToken::new()).await.unwrap();
    assert_eq!(*shop.latest().borrow(), None);
    shop.stop().await;
}

#[tokio::test]
async fn a_shop_that_cannot_log_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let pods_dir = dir.path().join("file");
    std::fs::write(&pods_dir, "").unwrap();
    let (metrics, nobody) = bound().await;
    let options = ShopOptions { pods_dir, otlp_grpc: nobody, otlp_http: nobody, metrics, seed: 1 };
    let error = Shop::start(options, CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, StartError::PodsDir { .. }), "{error}");
}

#[tokio::test]
async fn a_trace_that_is_announced_has_its_spans_exemplars_and_lines_at_the_gateway() {
    let dir = tempfile::tempdir().unwrap();
    let kept = Arc::new(Kept::default());
    let intake = Intake::new(kept.clone(), Arc::new(Counters::default()), None);
    let otlp = Otlp::new(&intake, OtlpOptions::default());
    let serve = |listener: TcpListener, router: Router| {
        tokio::spawn(async move { axum::serve(listener, router).await });
    };
    let (grpc, otlp_grpc) = bound().await;
    let (http, otlp_http) = bound().await;
    let (metrics, metrics_at) = bound().await;
    serve(grpc, otlp.grpc());
    serve(http, otlp.http());
    let pods_dir = dir.path().join("pods");
    let options = ShopOptions { pods_dir: pods_dir.clone(), otlp_grpc, otlp_http, metrics, seed: 1 };
    let shop = Shop::start(options, CancellationToken::new()).await.unwrap();

    let trace = shop.latest().wait_for(Option::is_some).await.unwrap().unwrap();
    let scraped = reqwest::get(format!("http://{metrics_at}/metrics/frontend")).await.unwrap();
    assert_eq!(scraped.headers()["content-type"], OPENMETRICS);
    shop.stop().await;

    let (mut services, mut exemplars) = (BTreeSet::new(), BTreeSet::new());
    for batch in kept.0.lock().unwrap().iter() {
        let Batch { spans, metrics, .. } = &**batch;
        let rows = spans.rows.iter().filter(|row| row.trace == trace.bits());
        services.extend(rows.map(|row| spans.resources[row.resource as usize].service.clone()));
        let rows = metrics.exemplars.iter().filter(|row| row.trace == trace.bits());
        let series = rows.map(|row| &metrics.series[row.series as usize]);
        exemplars.extend(series.map(|labels| labels.get("job").unwrap().to_owned()));
    }
    let services: Vec<&str> = services.iter().map(|service| &**service).collect();
    assert!(services.len() >= 4, "{services:?}");
    // The one half exports over HTTP, the other over gRPC.
    assert!(services.contains(&"frontend") && services.contains(&"cart"), "{services:?}");
    assert_eq!(exemplars.iter().map(|job| &**job).collect::<Vec<_>>(), services);
    let lines = logs_below(&pods_dir);
    assert!(lines.matches(&trace.to_string()).count() >= 5, "{lines}");
}
