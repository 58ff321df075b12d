use std::io::Read;
use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::IntoResponse;
use axum::routing::post;
use parsers::otlp::walk_logs;
use parsers::record::{FileId, Labels, LogRow, Severity, Spelling, SpellingKind, push_pair};

use super::*;

/// An endpoint that refuses requests with `poison` in a record, and first of all answers what it was told to.
#[derive(Default)]
struct Endpoint {
    first: Mutex<Vec<u16>>,
    taken: Mutex<Vec<Vec<u8>>>,
    tenants: Mutex<Vec<Option<String>>>,
}

fn contains(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

async fn take(State(endpoint): State<Arc<Endpoint>>, sent: HeaderMap, body: Bytes) -> impl IntoResponse {
    let mut plain = Vec::new();
    match sent.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap()) {
        Some("gzip") => drop(flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap()),
        Some("zstd") => plain = zstd::bulk::decompress(&body, 1 << 20).unwrap(),
        _ => plain = snap::raw::Decoder::new().decompress_vec(&body).unwrap(),
    }
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
    let told = endpoint.first.lock().unwrap().pop();
    let status = match told {
        Some(status) => StatusCode::from_u16(status).unwrap(),
        None if contains(&plain, "poison") => StatusCode::BAD_REQUEST,
        None => {
            endpoint.taken.lock().unwrap().push(plain);
            let tenant = sent.get(TENANT_HEADER).map(|value| value.to_str().unwrap().to_owned());
            endpoint.tenants.lock().unwrap().push(tenant);
            StatusCode::OK
        }
    };
    (status, headers)
}

async fn shipper(first: Vec<u16>) -> (Shipper, Arc<Endpoint>) {
    speaking(Protocol::Otlp, first).await
}

async fn speaking(protocol: Protocol, first: Vec<u16>) -> (Shipper, Arc<Endpoint>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let endpoint = Arc::new(Endpoint { first: Mutex::new(first), ..Endpoint::default() });
    let router = Router::new()
        .route("/v1/logs", post(take))
        .route("/loki/api/v1/push", post(take))
        .with_state(Arc::clone(&endpoint));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (Shipper::new(&ShipOptions::new(protocol, url), Arc::default()).unwrap(), endpoint)
}

fn logs(lines: &[&str]) -> Batch {
    let labels =
        Labels::new([("namespace", "ns"), ("pod", "p"), ("service_name", "app"), ("stream", "stdout")]);
    let mut logs = LogBatch { streams: vec![Arc::new(labels)], ..LogBatch::default() };
    for line in lines {
        let line = logs.push_text(line.as_bytes());
        let start = logs.meta.len() as u32;
        push_pair(&mut logs.meta, "pod_uid", "the-uid");
        let meta = parsers::record::ByteRange { start, end: logs.meta.len() as u32 };
        logs.rows.push(LogRow {
            file: 1,
            offset: 10 * logs.rows.len() as u64,
            time: 5,
            observed: 6,
            trace: 0xabcd,
            span: 0xef,
            spelling: Spelling::new(SpellingKind::Hex(16)),
            severity: Severity::Error,
            line,
            meta,
            ..LogRow::default()
        });
    }
    logs.files.push(FileId { device: 1, inode: 2, head: 3 });
    let offset = 10 * lines.len() as u64;
    let position = Position {
        agent: "node-7".into(),
        file: logs.files[0],
        offset,
        resume: offset,
        held: [offset; 2],
        marker: 9,
        path: "/var/log/x".into(),
        time: 77,
    };
    Batch { logs, positions: vec![position], ..Batch::default() }
}

#[tokio::test]
async fn a_trefoil_gets_everything_as_it_was() {
    let (shipper, endpoint) = speaking(Protocol::Trefoil, vec![]).await;
    let batch = logs(&["one", "two"]);
    shipper.ship(&batch).await.unwrap();
    let walked = walk_logs(&endpoint.taken.lock().unwrap()[0], 0, None).unwrap();
    assert_eq!(walked.logs, batch.logs);
    assert_eq!(walked.positions, batch.positions);
    assert!(walked.rejections.is_empty());
}

#[tokio::test]
async fn parts_of_a_batch_move_positions_no_further_than_they_reach() {
    let (shipper, endpoint) = speaking(Protocol::Trefoil, vec![]).await;
    let batch = logs(&["one", "two", "poison", "four", "five"]);
    shipper.ship(&batch).await.unwrap();
    let mut known = 0;
    let mut lines = Vec::new();
    for body in endpoint.taken.lock().unwrap().iter() {
        let walked = walk_logs(body, 0, None).unwrap();
        // As a store drops what it has.
        let fresh = walked.logs.rows.iter().filter(|row| row.offset >= known);
        lines.extend(fresh.map(|row| String::from_utf8_lossy(walked.logs.line(row)).into_owned()));
        known = walked.positions.iter().map(|position| position.offset).fold(known, u64::max);
    }
    assert_eq!(lines, ["one", "two", "four", "five"]);
    assert_eq!(known, batch.positions[0].offset);
}

#[tokio::test]
async fn a_loki_gets_labels_ids_and_what_is_left_of_the_metadata() {
    let (shipper, endpoint) = speaking(Protocol::Loki, vec![]).await;
    let mut batch = logs(&["hello"]);
    batch.logs.streams = vec![Arc::new(Labels::new([("app", "a \"b\" \\ c\nd"), ("pod", "p")]))];
    shipper.ship(&batch).await.unwrap();
    let body = &endpoint.taken.lock().unwrap()[0];
    for text in [
        r#"{app="a \"b\" \\ c\nd",pod="p"}"#,
        "hello",
        "\u{8}trace_id\u{12}\u{20}0000000000000000000000000000abcd",
        "\u{7}span_id\u{12}\u{10}00000000000000ef",
        "detected_level",
    ] {
        assert!(contains(body, text), "{text}");
    }
    assert!(!contains(body, "pod_uid"));
}

#[tokio::test]
async fn records_arrive_with_their_resource_and_binary_ids() {
    let (shipper, endpoint) = shipper(vec![]).await;
    shipper.ship(&logs(&["hello"])).await.unwrap();
    let taken = endpoint.taken.lock().unwrap();
    for text in
        ["k8s.namespace.name", "k8s.pod.uid", "the-uid", "service.name", "log.iostream", "hello", "error"]
    {
        assert!(contains(&taken[0], text), "{text}");
    }
    assert!(taken[0].windows(16).any(|window| window == 0xabcd_u128.to_be_bytes()));
    assert!(taken[0].windows(8).any(|window| window == 0xef_u64.to_be_bytes()));
}

#[tokio::test]
async fn a_request_has_one_tenant() {
    let (shipper, endpoint) = speaking(Protocol::Loki, vec![]).await;
    let mut batch = logs(&["a", "b", "c", "d"]);
    for (row, tenant) in [(1, "t1"), (2, "t1"), (3, "t2")] {
        let start = batch.logs.meta.len() as u32;
        push_pair(&mut batch.logs.meta, "tenant", tenant);
        batch.logs.rows[row].meta = parsers::record::ByteRange { start, end: batch.logs.meta.len() as u32 };
    }
    shipper.ship(&batch).await.unwrap();
    let tenants = endpoint.tenants.lock().unwrap().clone();
    assert_eq!(tenants, [None, Some("t1".to_owned()), Some("t2".to_owned())]);
    assert!(
        contains(&endpoint.taken.lock().unwrap()[1], "b")
            && contains(&endpoint.taken.lock().unwrap()[1], "c")
    );
}

#[tokio::test]
async fn overload_is_told_with_the_wait_that_the_endpoint_asked_for() {
    for status in [429, 500, 502, 503, 504] {
        let (shipper, endpoint) = shipper(vec![status]).await;
        let refused = shipper.ship(&logs(&["a"])).await.unwrap_err();
        assert!(refused.busy);
        assert_eq!(refused.retry_after, Duration::from_secs(7));
        shipper.ship(&logs(&["a"])).await.unwrap();
        assert_eq!(endpoint.taken.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn only_the_poisoned_record_is_set_aside() {
    let (shipper, endpoint) = shipper(vec![]).await;
    shipper.ship(&logs(&["one", "two", "poison", "four", "five"])).await.unwrap();
    let taken = endpoint.taken.lock().unwrap().concat();
    for line in ["one", "two", "four", "five"] {
        assert!(contains(&taken, line), "{line}");
    }
    assert_eq!(shipper.counters.quarantined.load(Ordering::Relaxed), 1);
    assert_eq!(shipper.counters.records.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn nothing_is_set_aside_where_the_endpoint_is_wrong_and_not_the_records() {
    let (wrong, _) = shipper(vec![404]).await;
    assert!(!wrong.ship(&logs(&["a"])).await.unwrap_err().busy);
    let (refusing, _) = shipper(vec![]).await;
    assert!(!refusing.ship(&logs(&["poison"; 40])).await.unwrap_err().busy);
    for counters in [&wrong.counters, &refusing.counters] {
        assert_eq!(counters.quarantined.load(Ordering::Relaxed), 0);
    }
}

#[tokio::test]
async fn records_that_share_an_offset_survive_a_batch_in_parts() {
    let (shipper, endpoint) = speaking(Protocol::Trefoil, vec![]).await;
    let mut batch = logs(&["one", "two", "three", "poison"]);
    batch.logs.rows[2].offset = batch.logs.rows[1].offset;
    shipper.ship(&batch).await.unwrap();
    let (mut known, mut lines) = (0, 0);
    for body in endpoint.taken.lock().unwrap().iter() {
        let walked = walk_logs(body, 0, None).unwrap();
        lines += walked.logs.rows.iter().filter(|row| row.offset >= known).count();
        known = walked.positions.iter().map(|position| position.offset).fold(known, u64::max);
    }
    assert_eq!(lines, 3);
}

#[tokio::test]
async fn each_file_of_a_stream_keeps_its_resource() {
    let (shipper, endpoint) = shipper(vec![]).await;
    let mut batch = logs(&["before", "after"]);
    batch.logs.files.push(FileId { device: 1, inode: 4, head: 5 });
    for (row, restart) in ["restart-0", "restart-1"].into_iter().enumerate() {
        let start = batch.logs.meta.len() as u32;
        push_pair(&mut batch.logs.meta, "restart", restart);
        let meta = parsers::record::ByteRange { start, end: batch.logs.meta.len() as u32 };
        batch.logs.rows[row].meta = meta;
        batch.logs.rows[row].file = row as u32 + 1;
    }
    shipper.ship(&batch).await.unwrap();
    let walked = walk_logs(&endpoint.taken.lock().unwrap()[0], 0, None).unwrap();
    let restarts: Vec<String> = walked
        .logs
        .rows
        .iter()
        .flat_map(|row| walked.logs.metadata(row).filter(|(name, _)| name.contains("restart")))
        .map(|(_, value)| value.to_owned())
        .collect();
    assert_eq!(restarts, ["restart-0", "restart-1"]);
}

#[tokio::test]
async fn many_poisoned_records_do_not_hold_up_those_that_are_taken() {
    let (shipper, endpoint) = shipper(vec![]).await;
    let mut lines = vec!["poison"; 40];
    lines.splice(0..0, ["first"; 40]);
    lines.push("last");
    shipper.ship(&logs(&lines)).await.unwrap();
    assert_eq!(shipper.counters.quarantined.load(Ordering::Relaxed), 40);
    assert_eq!(shipper.counters.records.load(Ordering::Relaxed), 41);
    assert!(contains(&endpoint.taken.lock().unwrap().concat(), "last"));
}

#[tokio::test]
async fn a_password_in_the_url_is_not_told() {
    let (mut shipper, _) = shipper(vec![404]).await;
    let url = shipper.url.as_str().replace("http://", "http://me:s3cret@");
    shipper = Shipper::new(&ShipOptions::new(Protocol::Otlp, url), Arc::default()).unwrap();
    let detail = shipper.ship(&logs(&["a"])).await.unwrap_err().detail;
    assert!(detail.contains("answered 404") && !detail.contains("s3cret"), "{detail}");
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let told = |text: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, text.parse().unwrap());
        retry_after(&headers)
    };
    assert_eq!(told("12"), Some(Duration::from_secs(12)));
    assert_eq!(told("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
    assert_eq!(told("soon"), None);
}
