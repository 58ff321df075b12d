//! Promises about scraping over the network: real pages, a sink that keeps or refuses them, options that change.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use peers::{Credentials, Secret};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::super::*;
use super::*;
use crate::kept::Kept;
use crate::{Intake, Sink};

/// A program with a page, which a test changes.
#[derive(Default)]
struct Program {
    answer: Mutex<(u16, &'static str, String)>,
    asked: Mutex<Vec<HeaderMap>>,
}

impl Program {
    fn shows(&self, status: u16, media: &'static str, page: &str) {
        *self.answer.lock().unwrap() = (status, media, page.to_owned());
    }
}

async fn page(
    State(program): State<Arc<Program>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    program.asked.lock().unwrap().push(headers);
    let (status, media, page) = program.answer.lock().unwrap().clone();
    let page = page.replace("QUERY", &query.unwrap_or_default());
    (StatusCode::from_u16(status).unwrap(), [(header::CONTENT_TYPE, media)], page).into_response()
}

async fn compressed(state: State<Arc<Program>>, headers: HeaderMap) -> Response {
    let media = state.answer.lock().unwrap().1;
    let text = state.answer.lock().unwrap().2.clone();
    assert_eq!(headers[header::ACCEPT_ENCODING], "gzip");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    ([(header::CONTENT_TYPE, media), (header::CONTENT_ENCODING, "gzip")], gzip).into_response()
}

const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Between two looks at what has no event of its own.
async fn look_again() {
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    looks.tick().await;
    looks.tick().await;
}

struct Bench {
    program: Arc<Program>,
    address: String,
    kept: Arc<Kept>,
    scraping: Arc<Scraping>,
    options: watch::Sender<ScrapeOptions>,
    shutdown: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Bench {
    async fn start(kept: Kept) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let program = Arc::new(Program::default());
        program.shows(200, OPEN, "a_total 1 # {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"} 1 5\n# EOF\n");
        let router = Router::new()
            .route("/metrics", get(page))
            .route("/compressed", get(compressed))
            .route("/elsewhere", get(|| std::future::ready(Redirect::temporary("/metrics"))))
            .with_state(Arc::clone(&program));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let kept = Arc::new(kept);
        let intake = Intake::new(Arc::clone(&kept) as Arc<dyn Sink>, Arc::default(), None);
        let (options, following) = watch::channel(ScrapeOptions::default());
        let (scraping, shutdown) = (Arc::<Scraping>::default(), CancellationToken::new());
        let running = tokio::spawn(run(following, intake, Arc::clone(&scraping), shutdown.clone()));
        Self { program, address, kept, scraping, options, shutdown, running }
    }

    /// A job that is scraped often.
    fn job(&self, change: impl FnOnce(&mut Job)) -> Job {
        let mut job = Job::new("shop");
        job.interval = Duration::from_millis(100);
        job.groups = vec![Group { targets: vec![self.address.clone()], labels: Vec::new() }];
        change(&mut job);
        job
    }

    fn scrape(&self, change: impl FnOnce(&mut Job)) {
        self.options.send_replace(ScrapeOptions { jobs: vec![self.job(change)] });
    }

    /// The only target's report, once it is so.
    async fn report(&self, wanted: impl Fn(&TargetReport) -> bool) -> TargetReport {
        loop {
            let found = self.scraping.snapshot().targets;
            if let Some(report) = found.first().filter(|report| wanted(report)) {
                return report.clone();
            }
            look_again().await;
        }
    }

    /// The samples of the first batch in which something is so.
    async fn stored(&self, wanted: impl Fn(&MetricBatch) -> bool) -> MetricBatch {
        loop {
            if let Some(found) = self.kept.all_metrics().into_iter().find(|batch| wanted(batch)) {
                return found;
            }
            self.kept.arrived().await;
        }
    }
}

#[tokio::test]
async fn a_target_is_scraped_again_and_again_and_its_exemplar_stored_once() {
    let bench = Bench::start(Kept::default()).await;
    bench.scrape(|_| {});
    let report = bench.report(|report| report.scrapes > 2).await;
    assert_eq!((report.health, report.last_error), (Health::Up, None));
    assert_eq!((report.samples, report.kept_samples, report.all_exemplars), (1, 1, 1));
    assert_eq!(report.url, format!("http://{}/metrics", bench.address));
    let labels: BTreeMap<String, String> = report.labels.into_iter().collect();
    assert_eq!((labels["job"].as_str(), &labels["instance"]), ("shop", &bench.address));
    let batches = bench.kept.all_metrics();
    assert_eq!(batches.iter().map(|batch| batch.exemplars.len()).sum::<usize>(), 1);
    assert_eq!(batches[0].exemplars[0].trace, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
    assert_eq!(noted(&batches[0], "up"), 1.0);
    let asked = &bench.program.asked.lock().unwrap()[0];
    let accept = asked[header::ACCEPT].to_str().unwrap();
    assert!(accept.starts_with("application/openmetrics-text;version=1.0.0;"), "{accept}");
    assert_eq!(asked["x-prometheus-scrape-timeout-seconds"], "10");
    assert!(!asked.contains_key(header::AUTHORIZATION));
}

#[tokio::test]
async fn a_target_that_fails_is_down_with_the_reason() {
    let bench = Bench::start(Kept::default()).await;
    bench.scrape(|_| {});
    bench.report(|report| report.health == Health::Up).await;
    for (status, media, page, expected) in [
        (404, "text/plain", "", "it answers with status 404 Not Found"),
        (200, OPEN, "a_total 1\n", "the page was cut short: it has no `# EOF` at its end"),
        (200, "text/html", "<p>\n", "nothing of the page can be read; line 1: no value"),
    ] {
        bench.program.shows(status, media, page);
        let report = bench.report(|report| report.last_error.as_deref() == Some(expected)).await;
        assert_eq!(report.health, Health::Down);
    }
    bench.program.shows(200, "application/json", "a 1\n");
    let report = bench.report(|report| report.health == Health::Up).await;
    assert!(report.last_error.unwrap().contains("Content-Type `application/json` is none of metrics"));
    bench.program.shows(200, OPEN, "a 1\nb x\n# EOF\n");
    let report = bench.report(|report| report.bad_lines == 1).await;
    let expected = "1 lines could not be taken; the first: line 2: a value that is no number";
    assert_eq!((report.health, report.last_error.as_deref()), (Health::Up, Some(expected)));
    let down = bench.stored(|batch| noted(batch, "up") == 0.0).await;
    assert_eq!(samples(&down)[0].split(' ').next_back(), Some("stale"));
    // Nobody listens there.
    bench.scrape(|job| job.groups[0].targets = vec!["127.0.0.1:1".to_owned()]);
    let report = bench.report(|report| report.health == Health::Down && report.url.contains(":1/")).await;
    assert!(report.last_error.unwrap().contains("refused"));
}

#[tokio::test]
async fn pages_are_bounded_on_the_wire_and_decompressed() {
    let bench = Bench::start(Kept::default()).await;
    let page = format!("a{{b=\"{}\"}} 1\n# EOF\n", "x".repeat(1000));
    bench.program.shows(200, OPEN, &page);
    bench.scrape(|job| job.metrics_path = "/compressed".to_owned());
    bench.report(|report| report.health == Health::Up && report.samples == 1).await;
    for path in ["/compressed", "/metrics"] {
        bench.scrape(|job| {
            job.metrics_path = path.to_owned();
            job.body_size_limit = 900;
        });
        let report = bench.report(|report| report.url.ends_with(path) && report.health == Health::Down).await;
        assert!(report.last_error.unwrap().contains("`body_size_limit`"));
    }
}

#[tokio::test]
async fn parameters_credentials_and_redirects_are_as_configured() {
    let bench = Bench::start(Kept::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "p:w\n").unwrap();
    bench.program.shows(200, "text/plain; version=0.0.4", "a{query=\"QUERY\"} 1\n");
    bench.scrape(|job| {
        job.params = vec![("m".into(), "x y".into()), ("m".into(), "z".into())];
        job.credentials = Some(Credentials::Basic { username: "u".into(), password: Secret::File(file) });
    });
    let batch = bench.stored(|batch| samples(batch).iter().any(|line| line.contains("query="))).await;
    assert!(samples(&batch)[0].contains("query=m=x+y&m=z"), "{:?}", samples(&batch));
    let asked = bench.program.asked.lock().unwrap().last().unwrap()[header::AUTHORIZATION].clone();
    assert_eq!(asked, "Basic dTpwOnc=");
    bench.scrape(|job| {
        job.metrics_path = "/elsewhere".to_owned();
        job.credentials = Some(Credentials::Bearer(Secret::Text("t".into())));
    });
    bench.report(|report| report.url.ends_with("/elsewhere") && report.health == Health::Up).await;
    let asked = bench.program.asked.lock().unwrap().last().unwrap()[header::AUTHORIZATION].clone();
    assert_eq!(asked, "Bearer t");
}

#[tokio::test]
async fn a_sink_that_refuses_is_said_and_nothing_piles_up() {
    let bench = Bench::start(Kept::full()).await;
    bench.scrape(|_| {});
    let report = bench.report(|report| report.last_error.is_some()).await;
    assert_eq!(report.last_error.unwrap(), "scraped, but not stored: disk full");
    assert_eq!((report.health, report.all_exemplars), (Health::Unknown, 0));
    assert!(bench.scraping.counters.refused.load(std::sync::atomic::Ordering::Relaxed) > 0);
}

#[tokio::test]
async fn a_target_that_goes_is_marked_and_one_whose_rules_change_goes_on() {
    let bench = Bench::start(Kept::default()).await;
    bench.program.shows(200, OPEN, "a 1\nb 1\n# EOF\n");
    bench.scrape(|_| {});
    bench.report(|report| report.health == Health::Up).await;
    let drop_b = RelabelConfig {
        source_labels: vec!["__name__".into()],
        regex: "b".into(),
        action: RelabelAction::Drop,
        ..RelabelConfig::default()
    };
    bench.scrape(|job| job.metric_relabel = vec![drop_b]);
    let marked = bench.stored(|batch| samples(batch).iter().any(|line| line.ends_with("stale"))).await;
    assert_eq!(
        samples(&marked),
        ["a{} 1", "b{} stale"].map(|line| line.replace("{}", &format!("{{instance={}}}", bench.address)))
    );
    bench.options.send_replace(ScrapeOptions::default());
    let stale = |row: &parsers::record::SampleRow| row.value.to_bits() == STALE.to_bits();
    let last = bench.stored(|batch| batch.samples.iter().all(stale)).await;
    assert_eq!(last.samples.len(), 1 + 5);
    assert_eq!(bench.scraping.snapshot().targets, []);
}

#[tokio::test]
async fn what_relabelling_drops_is_told_with_what_was_discovered() {
    let bench = Bench::start(Kept::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("targets.json");
    std::fs::write(
        &file,
        format!("[{{\"targets\": [\"{}\", \"x:1\"], \"labels\": {{\"team\": \"t\"}}}}]", bench.address),
    )
    .unwrap();
    let keep = RelabelConfig {
        source_labels: vec!["__address__".into()],
        regex: "127.*".into(),
        action: RelabelAction::Keep,
        ..RelabelConfig::default()
    };
    bench.scrape(|job| {
        job.groups.clear();
        job.relabel = vec![keep];
        job.files = vec![file.display().to_string()];
    });
    let report = bench.report(|report| report.health == Health::Up).await;
    assert!(report.labels.contains(&("team".to_owned(), "t".to_owned())));
    let snapshot = bench.scraping.snapshot();
    assert_eq!((snapshot.targets.len(), snapshot.dropped.len()), (1, 1));
    assert_eq!(snapshot.dropped[0].reason, "relabelling drops it");
    assert!(snapshot.dropped[0].labels.contains(&("__address__".to_owned(), "x:1".to_owned())));
    bench.scrape(|job| job.groups[0].targets = vec!["http://x".into()]);
    while bench
        .scraping
        .snapshot()
        .dropped
        .first()
        .is_none_or(|dropped| !dropped.reason.contains("no address"))
    {
        look_again().await;
    }
}

#[tokio::test]
async fn the_end_of_the_program_marks_nothing() {
    let mut bench = Bench::start(Kept::default()).await;
    bench.scrape(|_| {});
    bench.report(|report| report.health == Health::Up).await;
    bench.shutdown.cancel();
    (&mut bench.running).await.unwrap();
    let batches = bench.kept.all_metrics();
    assert!(
        batches.iter().flat_map(|batch| &batch.samples).all(|row| row.value.to_bits() != STALE.to_bits())
    );
}
