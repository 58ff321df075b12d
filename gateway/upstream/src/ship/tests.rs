mod wire;

use std::collections::VecDeque;
use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use parsers::otlp::walk_logs;
use parsers::record::{
    ByteRange, FileId, Labels, LogRow, Position, Severity, Spelling, SpellingKind, push_pair,
};
use peers::{Credentials, Secret};
use store::read::{Direction, LogRead, LogSelect, Window};
use tokio::net::TcpListener;

use super::*;

/// What the endpoint does to a request before it takes those that follow.
#[derive(Debug, Clone, Copy)]
enum Act {
    Answer(u16),
    AnswerAfter(u16, &'static str),
    /// The connection ends without an answer.
    Reset,
    /// No answer ever.
    Silence,
    /// Loki's limits.
    TooOld,
    /// Takes the request, and its answer is lost.
    TakeAndReset,
}

/// Refuses requests with `poison` in a record, and first of all does what it was told to.
#[derive(Default)]
struct Endpoint {
    acts: Mutex<VecDeque<Act>>,
    taken: Mutex<Vec<Vec<u8>>>,
    headers: Mutex<HeaderMap>,
    tenants: Mutex<Vec<Option<String>>>,
    store: Mutex<Option<store::Store>>,
}

fn contains(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

fn plain(headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match headers.get(CONTENT_ENCODING).map(|v| v.as_bytes()) {
        Some(b"gzip") => {
            flate2::read::GzDecoder::new(body).read_to_end(&mut plain).unwrap();
        }
        Some(b"zstd") => plain = zstd::bulk::decompress(body, 1 << 20).unwrap(),
        _ => match snap::raw::Decoder::new().decompress_vec(body) {
            Ok(raw) => plain = raw,
            Err(_) => plain = body.to_vec(),
        },
    }
    plain
}

/// An answer whose body breaks the connection before its head is complete cannot be made with axum: a body that fails does.
fn reset() -> Response {
    let broken = futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("reset")) });
    (StatusCode::SERVICE_UNAVAILABLE, axum::body::Body::from_stream(broken)).into_response()
}

async fn take(State(endpoint): State<Arc<Endpoint>>, headers: HeaderMap, body: Bytes) -> Response {
    let plain = plain(&headers, &body);
    *endpoint.headers.lock().unwrap() = headers.clone();
    let act = endpoint.acts.lock().unwrap().pop_front();
    let store = endpoint.store.lock().unwrap().clone();
    // As a gateway takes it: what the agent says of files and offsets decides what is new.
    let keep = || {
        if let Some(store) = store {
            let walked = walk_logs(&plain, 0, None, None).unwrap();
            let batch = Batch { logs: walked.logs, positions: walked.positions, ..Batch::default() };
            store.append(Arc::new(batch)).unwrap();
        }
    };
    match act {
        Some(Act::Answer(status)) => StatusCode::from_u16(status).unwrap().into_response(),
        Some(Act::AnswerAfter(status, after)) => {
            (StatusCode::from_u16(status).unwrap(), [(header::RETRY_AFTER, after)]).into_response()
        }
        Some(Act::TooOld) => (StatusCode::BAD_REQUEST, "entry has timestamp too old").into_response(),
        Some(Act::Reset) => reset(),
        Some(Act::Silence) => std::future::pending().await,
        Some(Act::TakeAndReset) => {
            keep();
            endpoint.taken.lock().unwrap().push(plain);
            reset()
        }
        None if contains(&plain, "poison") => (StatusCode::BAD_REQUEST, "a bad record").into_response(),
        None => {
            let tenant = headers.get(TENANT_HEADER).map(|value| value.to_str().unwrap().to_owned());
            endpoint.tenants.lock().unwrap().push(tenant);
            keep();
            endpoint.taken.lock().unwrap().push(plain);
            StatusCode::OK.into_response()
        }
    }
}

/// Time passes at once, and is noted.
#[derive(Default)]
struct Noted(Mutex<Vec<Duration>>);

#[async_trait]
impl Timer for Noted {
    async fn wait(&self, time: Duration) {
        self.0.lock().unwrap().push(time);
        // An endpoint that never takes anything must not keep the test from ending.
        tokio::task::yield_now().await;
    }
}

struct Bench {
    shipper: Shipper,
    endpoint: Arc<Endpoint>,
    waits: Arc<Noted>,
}

async fn bench(target: Protocol, acts: &[Act], change: impl FnOnce(&mut ShipOptions)) -> Bench {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let endpoint =
        Arc::new(Endpoint { acts: Mutex::new(acts.iter().copied().collect()), ..Endpoint::default() });
    let router = Router::new().route("/push", post(take)).with_state(Arc::clone(&endpoint));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/push", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let waits = Arc::new(Noted::default());
    let mut options = ShipOptions::new(target, url);
    change(&mut options);
    let shipper = Shipper::new(&options, Arc::clone(&waits) as Arc<dyn Timer>, Arc::default()).unwrap();
    Bench { shipper, endpoint, waits }
}

/// Rows of one file, each line at ten times its index.
fn batch(lines: &[&str]) -> Batch {
    let labels =
        Labels::new([("namespace", "ns"), ("pod", "p"), ("service_name", "app"), ("stream", "stdout")]);
    let file = FileId { device: 1, inode: 2, head: 3 };
    let mut logs = LogBatch { streams: vec![Arc::new(labels)], files: vec![file], ..LogBatch::default() };
    for (at, line) in lines.iter().enumerate() {
        let line = logs.push_text(line.as_bytes());
        let start = logs.meta.len() as u32;
        push_pair(&mut logs.meta, "pod_uid", "the-uid");
        logs.rows.push(LogRow {
            time: 5_000_000_007,
            observed: 6,
            trace: 0xabcd,
            span: 0xef,
            spelling: Spelling::new(SpellingKind::Hex(16)),
            severity: Severity::Error,
            line,
            meta: ByteRange { start, end: logs.meta.len() as u32 },
            file: 1,
            offset: at as u64 * 10,
            ..LogRow::default()
        });
    }
    let offset = 10 * lines.len() as u64;
    let position = Position {
        agent: "node-7".into(),
        file,
        offset,
        resume: offset,
        held: [offset; 2],
        marker: 9,
        path: "/var/log/x".into(),
        time: 77,
    };
    Batch { logs, positions: vec![position], ..Batch::default() }
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[tokio::test]
async fn each_request_carries_credentials_and_headers() {
    let bench = bench(Protocol::Loki, &[Act::Answer(500)], |options| {
        options.headers = vec![("X-Scope-OrgID".into(), "team".into())];
        let password = Secret::Text("pass".into());
        options.credentials = Some(Credentials::Basic { username: "user".into(), password });
    })
    .await;
    bench.shipper.ship(&batch(&["one"])).await;
    let headers = bench.endpoint.headers.lock().unwrap().clone();
    assert_eq!(headers["x-scope-orgid"], "team");
    assert_eq!(headers["authorization"], "Basic dXNlcjpwYXNz");
    assert_eq!(headers["content-type"], "application/x-protobuf");
}

#[tokio::test]
async fn a_backlog_that_is_all_too_old_for_loki_does_not_hold_what_comes_after() {
    let bench = bench(Protocol::Loki, &[Act::TooOld; 200], |_| ()).await;
    bench.shipper.ship(&batch(&["a"; 300])).await;
    assert_eq!(get(&bench.shipper.counters.quarantined), 300);
    assert!(bench.waits.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn whatever_the_network_and_the_endpoint_do_the_batch_is_sent_until_it_is_taken() {
    let acts = [
        Act::Answer(500),
        Act::Reset,
        Act::Answer(401),
        Act::Answer(404),
        Act::Answer(260),
        Act::AnswerAfter(429, "7"),
        Act::AnswerAfter(503, "100000"),
        Act::Silence,
        Act::Answer(502),
    ];
    for target in [Protocol::Otlp, Protocol::Loki, Protocol::Trefoil] {
        let bench = bench(target, &acts, |options| options.timeout = Duration::from_millis(300)).await;
        bench.shipper.ship(&batch(&["a", "b"])).await;
        let waits = bench.waits.0.lock().unwrap();
        assert_eq!(waits.len(), acts.len());
        assert!(waits[5] >= Duration::from_secs(7) && waits[5] < Duration::from_secs(8), "{waits:?}");
        // However long an endpoint asks for, five minutes are the most.
        assert!(waits[6] >= Duration::from_mins(5) && waits[6] < Duration::from_secs(301), "{waits:?}");
        assert!(waits[4] > waits[0], "{waits:?}");
        assert_eq!(bench.endpoint.taken.lock().unwrap().len(), 1);
        let counters = &bench.shipper.counters;
        assert_eq!((get(&counters.records), get(&counters.retries)), (2, acts.len() as u64));
        assert_eq!((get(&counters.quarantined), get(&counters.in_flight)), (0, 0));
    }
}

#[tokio::test]
async fn a_connection_that_is_refused_or_cut_is_tried_again() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let bench = bench(Protocol::Loki, &[], |_| ()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/push", listener.local_addr().unwrap());
    let options = ShipOptions::new(Protocol::Loki, url);
    let waits = Arc::clone(&bench.waits) as Arc<dyn Timer>;
    let shipper = Shipper::new(&options, waits, Arc::default()).unwrap();
    tokio::spawn(async move {
        drop(listener.accept().await.unwrap());
        for answer in ["", "HTTP/1.1 2", "HTTP/1.1 204 No Content\r\n\r\n"] {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 64 * 1024];
            assert!(client.read(&mut buffer).await.unwrap() > 0);
            client.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    shipper.ship(&batch(&["a"])).await;
    assert_eq!(get(&shipper.counters.records), 1);
    assert!(bench.waits.0.lock().unwrap().len() >= 2);
}

#[tokio::test]
async fn only_the_poisoned_record_is_set_aside() {
    for target in [Protocol::Otlp, Protocol::Loki, Protocol::Trefoil] {
        let bench = bench(target, &[], |_| ()).await;
        bench.shipper.ship(&batch(&["one", "two", "poison", "four", "five"])).await;
        let taken = bench.endpoint.taken.lock().unwrap().concat();
        for line in ["one", "two", "four", "five"] {
            assert!(contains(&taken, line), "{line}");
        }
        assert_eq!(get(&bench.shipper.counters.quarantined), 1);
        assert_eq!(get(&bench.shipper.counters.records), 4);
    }
}

#[tokio::test]
async fn nothing_more_is_set_aside_where_the_endpoint_takes_no_record_at_all() {
    let bench = bench(Protocol::Otlp, &[], |_| ()).await;
    let refused = batch(&["poison"; 40]);
    // It holds the batch until it has waited a few times; then the agent is stopped.
    let held = async {
        while bench.waits.0.lock().unwrap().len() < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = bench.shipper.ship(&refused) => panic!("nothing was taken"),
        () = held => {}
    }
    assert_eq!(get(&bench.shipper.counters.quarantined), MAX_SINGLED_OUT as u64);
    assert_eq!(get(&bench.shipper.counters.in_flight), 0);
}

#[tokio::test]
async fn no_request_is_larger_than_its_bound() {
    let lines: Vec<String> = (0..200).map(|n| format!("{n:050}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    for target in [Protocol::Otlp, Protocol::Loki, Protocol::Trefoil] {
        let bench = bench(target, &[], |options| options.request_bytes = 5000).await;
        bench.shipper.ship(&batch(&lines)).await;
        let taken = bench.endpoint.taken.lock().unwrap();
        assert!(taken.len() > 2 && taken.iter().all(|body| body.len() <= 5000));
        let all = taken.concat();
        assert!(lines.iter().all(|line| contains(&all, line)));
        assert_eq!(get(&bench.shipper.counters.records), 200);
    }
}

#[tokio::test]
async fn who_brings_more_than_the_budget_waits() {
    let bench = bench(Protocol::Loki, &[Act::Silence], |options| options.in_flight_bytes = 10).await;
    let (first, second) = (batch(&["first"]), batch(&["second"]));
    {
        let mut sent = Box::pin(bench.shipper.ship(&first));
        let mut waiting = Box::pin(bench.shipper.ship(&second));
        let began = async {
            while !bench.endpoint.acts.lock().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! { () = &mut sent => panic!("it is not answered"), () = began => {} }
        assert!(futures::FutureExt::now_or_never(&mut waiting).is_none());
        assert_eq!(get(&bench.shipper.counters.in_flight), first.logs.size() as u64);
    }
    bench.shipper.ship(&second).await;
    assert_eq!(bench.endpoint.taken.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn many_poisoned_records_do_not_hold_up_those_that_are_taken() {
    let Bench { shipper, endpoint, .. } = bench(Protocol::Otlp, &[], |_| ()).await;
    let mut lines = vec!["poison"; 40];
    lines.splice(0..0, ["first"; 40]);
    lines.push("last");
    shipper.ship(&batch(&lines)).await;
    assert_eq!(shipper.counters.quarantined.load(Ordering::Relaxed), 40);
    assert_eq!(shipper.counters.records.load(Ordering::Relaxed), 41);
    assert!(contains(&endpoint.taken.lock().unwrap().concat(), "last"));
}

#[tokio::test]
async fn a_password_in_the_url_is_not_told() {
    let options = ShipOptions::new(Protocol::Otlp, "http://me:s3cret@127.0.0.1:1");
    let shipper = Shipper::new(&options, Arc::new(Noted::default()), Arc::default()).unwrap();
    assert_eq!(shipper.shown, "http://127.0.0.1:1/v1/logs");
    let body = shipper.encode(&batch(&["a"]).logs, &[], 0..1);
    let Verdict::Later { reason, .. } = shipper.send(&body, None).await else { panic!("nobody is there") };
    assert!(!reason.contains("s3cret"), "{reason}");
}

#[tokio::test]
async fn a_batch_whose_answer_was_lost_is_stored_once_in_a_trefoil() {
    let folder = tempfile::tempdir().unwrap();
    let store = store::Store::open(store::StoreOptions::new(folder.path())).unwrap();
    let acts = [Act::Answer(503), Act::TakeAndReset, Act::Reset, Act::TakeAndReset];
    let bench = bench(Protocol::Trefoil, &acts, |options| options.request_bytes = 1200).await;
    *bench.endpoint.store.lock().unwrap() = Some(store.clone());
    let lines = ["zero", "one", "two", "three", "four", "five", "six"];
    bench.shipper.ship(&batch(&lines)).await;
    // The agent was killed before it had noted its position, and reads on from an earlier one.
    bench.shipper.ship(&batch(&lines)).await;
    bench.shipper.ship(&batch(&["zero", "one", "two", "three", "four", "five", "six", "seven"])).await;
    let mut stored = Vec::new();
    let (window, direction) = (Window::ALL, Direction::Forward);
    let select =
        LogSelect { matchers: vec![], window, direction, trace: None, contains: vec![], mentions: None };
    store
        .scan_logs(&select, &mut |record| {
            stored.push(String::from_utf8(record.line).unwrap());
            ControlFlow::Continue(())
        })
        .unwrap();
    stored.sort();
    let mut expected = lines.to_vec();
    expected.push("seven");
    expected.sort_unstable();
    assert_eq!(stored, expected);
    assert_eq!(store.positions("node-7"), batch(&[""; 8]).positions);
    store.close();
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let told = |text: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, text.parse().unwrap());
        answer::retry_after(&headers)
    };
    assert_eq!(told("12"), Some(Duration::from_secs(12)));
    assert_eq!(told("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
    assert_eq!(told("soon"), None);
}

#[tokio::test]
async fn tenants_that_take_turns_have_a_request_each() {
    let bench = bench(Protocol::Loki, &[], |_| {}).await;
    let mut batch = batch(&["a", "b", "c", "d", "e"]);
    for (at, row) in batch.logs.rows.iter_mut().enumerate() {
        let start = batch.logs.meta.len() as u32;
        if at != 4 {
            push_pair(&mut batch.logs.meta, TENANT, if at % 2 == 0 { "one" } else { "two" });
        }
        row.meta = ByteRange { start, end: batch.logs.meta.len() as u32 };
    }
    bench.shipper.ship(&batch).await;
    let tenants = bench.endpoint.tenants.lock().unwrap().clone();
    assert_eq!(tenants, [None, Some("one".to_owned()), Some("two".to_owned())]);
}
