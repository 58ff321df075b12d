use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use parsers::otlp::Writer;
use parsers::record::{MetricBatch, MetricKind, NativeHistogram, Pairs};
use proptest::prelude::*;
use tower::ServiceExt;

use super::RemoteWrite;
use crate::kept::Kept;
use crate::{Intake, MAX_BODY};

const ONE: &str = "application/x-protobuf";
const TWO: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const STALE: u64 = 0x7ff0_0000_0000_0002;

struct Sent {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
    stored: MetricBatch,
}

impl Sent {
    fn written(&self) -> [Option<&str>; 3] {
        ["samples", "histograms", "exemplars"].map(|what| {
            Some(self.headers.get(format!("x-prometheus-remote-write-{what}-written"))?.to_str().unwrap())
        })
    }
}

async fn send_to(kept: &Arc<Kept>, media: &str, encoding: &str, body: Vec<u8>) -> Sent {
    let router = RemoteWrite::new(&Intake::new(kept.clone(), Arc::default(), None), MAX_BODY).http();
    let request = Request::post("/api/v1/write").header("content-type", media);
    let request = request.header("content-encoding", encoding).body(Body::from(body)).unwrap();
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let stored = kept.metrics();
    Sent { status: parts.status, headers: parts.headers, text, stored }
}

fn packed(body: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(body).unwrap()
}

async fn send(media: &str, body: &[u8]) -> Sent {
    send_to(&Arc::new(Kept::default()), media, "snappy", packed(body)).await
}

fn pair(out: &mut Vec<u8>, name: &str, value: &str) {
    Writer::new(out).message(1, |out| {
        Writer::new(out).bytes(1, name.as_bytes());
        Writer::new(out).bytes(2, value.as_bytes());
    });
}

fn sample(out: &mut Vec<u8>, value: f64, millis: i64) {
    Writer::new(out).message(2, |out| {
        Writer::new(out).always_double(1, value);
        Writer::new(out).varint(2, millis as u64);
    });
}

fn histogram() -> NativeHistogram {
    NativeHistogram { count: 7.0, sum: 9.5, positive: vec![(2, 3.0), (5, 4.0)], ..NativeHistogram::default() }
}

/// A request of version 1.0: a counter with an exemplar, a native histogram, and a family.
fn one() -> Vec<u8> {
    let mut out = Vec::new();
    Writer::new(&mut out).message(1, |out| {
        pair(out, "job", "shop");
        pair(out, "__name__", "orders_total");
        sample(out, 5.0, 1_700_000_000_123);
        sample(out, f64::from_bits(STALE), 1_700_000_001_123);
        Writer::new(out).message(3, |out| {
            pair(out, "traceID", TRACE);
            pair(out, "span_id", "00f067aa0ba902b7");
            pair(out, "user", "é");
            Writer::new(out).always_double(2, 0.25);
            Writer::new(out).varint(3, 1_700_000_000_100);
        });
    });
    Writer::new(&mut out).message(1, |out| {
        pair(out, "__name__", "latency");
        Writer::new(out).message(4, |out| {
            histogram().encode(out);
            Writer::new(out).varint(15, 1_700_000_000_123);
        });
    });
    Writer::new(&mut out).message(3, |out| {
        Writer::new(out).varint(1, 1);
        Writer::new(out).bytes(2, b"orders");
        Writer::new(out).bytes(4, b"Orders taken");
    });
    out
}

/// A request of version 2.0 of these series: label references, samples and an exemplar.
fn two(series: &[(&[u64], usize, bool)]) -> Vec<u8> {
    let mut out = Vec::new();
    for symbol in ["", "__name__", "orders_total", "job", "shop", "trace_id", TRACE, "Orders taken"] {
        Writer::new(&mut out).always_bytes(4, symbol.as_bytes());
    }
    for (refs, samples, exemplar) in series {
        Writer::new(&mut out).message(5, |out| {
            let refs: Vec<u8> = refs.iter().map(|place| *place as u8).collect();
            Writer::new(out).bytes(1, &refs);
            for n in 0..*samples {
                Writer::new(out).message(2, |out| {
                    Writer::new(out).always_double(1, n as f64);
                    Writer::new(out).varint(2, 1_700_000_000_000 + n as u64);
                    Writer::new(out).varint(3, 1_600_000_000_000);
                });
            }
            if *exemplar {
                Writer::new(out).message(4, |out| {
                    Writer::new(out).bytes(1, &[5, 6]);
                    Writer::new(out).always_double(2, 1.5);
                    Writer::new(out).varint(3, 1_700_000_000_000);
                });
            }
            Writer::new(out).message(5, |out| {
                Writer::new(out).varint(1, 1);
                Writer::new(out).varint(3, 7);
            });
        });
    }
    out
}

#[tokio::test]
async fn a_write_of_version_1_is_kept_as_sent_with_its_exemplars_and_histograms() {
    let sent = send(ONE, &one()).await;
    assert_eq!((sent.status, &*sent.text), (StatusCode::NO_CONTENT, ""));
    assert_eq!(sent.written(), [None; 3]);
    let stored = &sent.stored;
    let labels: Vec<_> = stored.series[0].iter().collect();
    assert_eq!(labels, [("__name__", "orders_total"), ("job", "shop")]);
    let [first, stale, native] = &stored.samples[..] else { panic!("{stored:?}") };
    assert_eq!((first.time, first.value), (1_700_000_000_123_000_000, 5.0));
    assert_eq!(stale.value.to_bits(), STALE, "the very bits");
    assert_eq!((native.value, native.series), (7.0, 1));
    assert_eq!(NativeHistogram::decode(native.histogram.of(&stored.meta)), Ok(Some(histogram())));
    let exemplar = stored.exemplars[0];
    assert_eq!(
        (exemplar.trace, exemplar.span),
        (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7)
    );
    assert_eq!((exemplar.value, exemplar.series), (0.25, 0));
    assert_eq!(Pairs::new(exemplar.labels.of(&stored.meta)).collect::<Vec<_>>(), [("user", "é")]);
    assert_eq!((&*stored.families[0].name, stored.families[0].kind), ("orders", MetricKind::Counter));
}

#[tokio::test]
async fn a_write_of_version_2_says_what_was_written() {
    let sent = send(TWO, &two(&[(&[1, 2, 3, 4], 2, true), (&[1, 2], 0, true)])).await;
    assert_eq!((sent.status, sent.written()), (StatusCode::NO_CONTENT, [Some("2"), Some("0"), Some("2")]));
    let stored = &sent.stored;
    assert_eq!(stored.series[0].get("job"), Some("shop"));
    assert_eq!((stored.samples[1].value, stored.samples[1].start), (1.0, 1_600_000_000_000_000_000));
    assert_eq!(stored.exemplars.len(), 2);
    assert_eq!((stored.families.len(), &*stored.families[0].help), (1, "Orders taken"));
    assert_eq!(stored.families[0].name, "orders");
}

#[tokio::test]
async fn a_bad_series_costs_no_neighbour_and_is_named() {
    let good: (&[u64], usize, bool) = (&[1, 2], 1, false);
    let cases: [(&[u64], usize, &str); 5] = [
        (&[1, 2, 3], 1, "odd number"),
        (&[1, 99], 1, "outside the symbols"),
        (&[3, 4], 1, "without __name__"),
        (&[1, 2, 3, 4, 3, 4], 1, "a label twice"),
        (&[1, 2], 0, "without samples"),
    ];
    for (refs, samples, part) in cases {
        let sent = send(TWO, &two(&[good, (refs, samples, false), good])).await;
        assert_eq!((sent.status, sent.stored.samples.len()), (StatusCode::BAD_REQUEST, 2), "{}", sent.text);
        assert_eq!(sent.written(), [Some("2"), Some("0"), Some("0")]);
        assert!(sent.text.contains(part) && sent.text.starts_with("1 of"), "{part} in {}", sent.text);
    }
    let mut body = one();
    Writer::new(&mut body).message(1, |out| {
        pair(out, "__name__", "x");
        sample(out, 1.0, -5);
        sample(out, 2.0, 5);
        Writer::new(out).always_bytes(2, &[9]);
        // Spans that claim buckets that are not there.
        Writer::new(out).message(4, |out| Writer::new(out).message(11, |out| Writer::new(out).varint(2, 9)));
    });
    let sent = send(ONE, &body).await;
    assert_eq!((sent.status, sent.stored.samples.len()), (StatusCode::BAD_REQUEST, 4));
    for part in ["before 1970", "cannot be read", "do not fit together"] {
        assert!(sent.text.contains(part), "{part} in {}", sent.text);
    }
}

#[tokio::test]
async fn a_label_that_is_no_text_is_refused_by_name_and_too_many_name_their_bound() {
    let neighbour = |out: &mut Vec<u8>| {
        Writer::new(out).message(1, |out| {
            pair(out, "__name__", "good");
            sample(out, 1.0, 5);
        });
    };
    let mut body = Vec::new();
    neighbour(&mut body);
    Writer::new(&mut body).message(1, |out| {
        pair(out, "__name__", "orders_total");
        Writer::new(out).message(1, |out| {
            Writer::new(out).bytes(1, b"user");
            Writer::new(out).bytes(2, b"caf\xe9");
        });
        sample(out, 1.0, 5);
        sample(out, 2.0, 6);
    });
    Writer::new(&mut body).message(1, |out| {
        pair(out, "__name__", "wide");
        (0..500).for_each(|n| pair(out, &format!("l{n}"), "v"));
        sample(out, 1.0, 5);
    });
    neighbour(&mut body);
    let sent = send(ONE, &body).await;
    assert_eq!((sent.status, sent.stored.samples.len()), (StatusCode::BAD_REQUEST, 2), "{}", sent.text);
    let expected = "2: a series with a label that is not UTF-8 (user=\"caf\\xe9\" of orders_total); \
                    1: a series with more than 256 labels";
    assert!(sent.text.contains(expected), "{}", sent.text);

    let mut body = Vec::new();
    for symbol in [&b""[..], b"__name__", b"orders_total", b"user", b"\xff"] {
        Writer::new(&mut body).always_bytes(4, symbol);
    }
    let wide = [[1, 2]; 300].concat();
    for refs in [&[1, 2][..], &[1, 2, 3, 4], &wide] {
        Writer::new(&mut body).message(5, |out| {
            Writer::new(out).bytes(1, refs);
            sample(out, 1.0, 5);
        });
    }
    let sent = send(TWO, &body).await;
    assert_eq!((sent.status, sent.stored.samples.len()), (StatusCode::BAD_REQUEST, 1), "{}", sent.text);
    for part in ["user=\"\\xff\" of orders_total", "more than 256 labels"] {
        assert!(sent.text.contains(part), "{part} in {}", sent.text);
    }
}

#[tokio::test]
async fn other_types_are_415_and_say_what_is_supported() {
    for (media, encoding) in [
        ("application/vnd.google.protobuf", "snappy"),
        ("application/json", "snappy"),
        ("application/x-protobuf;proto=io.prometheus.write.v3.Request", "snappy"),
        ("application/x-protobuf", "gzip"),
        ("application/x-protobuf", ""),
    ] {
        let sent = send_to(&Arc::new(Kept::default()), media, encoding, packed(&one())).await;
        assert_eq!(sent.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{media} {encoding}");
        assert!(sent.text.contains("io.prometheus.write.v2.Request"), "{}", sent.text);
    }
    let named = "Application/X-Protobuf; proto=prometheus.WriteRequest; charset=utf-8";
    assert_eq!(send(named, &one()).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn broken_bodies_are_400_and_a_refusal_is_503() {
    for (media, body) in [(ONE, vec![7; 9]), (TWO, vec![7; 9]), (ONE, packed(&[0x0a, 0xff, 0x01]))] {
        let sent = send_to(&Arc::new(Kept::default()), media, "snappy", body).await;
        assert_eq!(sent.status, StatusCode::BAD_REQUEST);
        assert_eq!(sent.written()[0], (media == TWO).then_some("0"));
    }
    let sent = send_to(&Arc::new(Kept::full()), TWO, "snappy", packed(&two(&[(&[1, 2], 1, false)]))).await;
    assert_eq!((sent.status, sent.written()[0]), (StatusCode::SERVICE_UNAVAILABLE, None));
    assert!(sent.headers.contains_key("retry-after"));
    let bomb = vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0];
    let sent = send_to(&Arc::new(Kept::default()), ONE, "snappy", bomb).await;
    assert_eq!(sent.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_write_of_version_2_read_as_1_is_empty_and_the_other_way_round() {
    let sent = send(ONE, &two(&[(&[1, 2], 1, false)])).await;
    assert_eq!((sent.status, sent.stored.samples.len()), (StatusCode::NO_CONTENT, 0));
    let sent = send(TWO, &one()).await;
    assert_eq!(sent.written(), [Some("0"), Some("0"), Some("0")], "so that the sender notices");
}

proptest! {
    #[test]
    fn any_bytes_have_a_status(body: Vec<u8>, second: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let sent = runtime.block_on(send(if second { TWO } else { ONE }, &body));
        prop_assert!(matches!(sent.status.as_u16(), 204 | 400));
    }

    #[test]
    fn a_mutated_write_has_a_status(at in 0usize..200, byte: u8, cut in 0usize..30, second: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (media, mut body) = if second { (TWO, two(&[(&[1, 2, 3, 4], 2, true)])) } else { (ONE, one()) };
        if let Some(slot) = body.get_mut(at) {
            *slot = byte;
        }
        body.truncate(body.len().saturating_sub(cut));
        let sent = runtime.block_on(send(media, &body));
        prop_assert!(matches!(sent.status.as_u16(), 204 | 400));
    }
}
