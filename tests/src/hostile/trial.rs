//! Sends spoilt bodies to the receivers and looks at what they answer.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, header};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use parsers::otlp::{decode_resource, decode_scope, decode_span};
use parsers::record::{Batch, NativeHistogram, Pairs};
use receive::elastic_apm::{ElasticApm, ElasticApmOptions};
use receive::jaeger::Jaeger;
use receive::loki_push::LokiPush;
use receive::otlp::{Otlp, OtlpOptions};
use receive::remote_write::RemoteWrite;
use receive::zipkin::Zipkin;
use receive::{Intake, Refusal, Sink};
use tower::ServiceExt;

use super::bodies::{RECORDED, Recorded, Way};
use super::mutation::spoil;
use crate::corpus::Dice;

/// Bytes of a body, on the wire and decompressed: below what some of the compressed ones become.
const MAX_BODY: usize = 4 << 20;
/// Of all at once, of which there is one.
const MAX_IN_FLIGHT: usize = 64 << 20;
/// What the intake says when a decoder has panicked on another thread.
const PANICKED: &str = "reading the body failed";

/// All receivers, over a sink that reads whatever it is given.
pub struct Trial {
    router: Router,
    jaeger: Jaeger,
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Findings {
    /// Bodies by the status that they got, in the protocol's own words.
    pub answers: BTreeMap<String, u64>,
    /// Cases that panicked, or got a status that is none of their protocol's.
    pub wrong: Vec<String>,
    /// The longest that one body took, and its case.
    pub slowest: (Duration, u64),
}

/// Reads all that it is given as the store and the answers do.
struct Reader;

#[async_trait]
impl Sink for Reader {
    async fn accept(&self, batch: Arc<Batch>) -> Result<(), Refusal> {
        let spans = &batch.spans;
        for row in &spans.rows {
            let resource = decode_resource(spans.resources[row.resource as usize].payload.of(&spans.bytes));
            let scope = decode_scope(spans.scopes[row.scope as usize].of(&spans.bytes));
            decode_span(row.payload.of(&spans.bytes), row.spelling, Arc::new(resource), Arc::new(scope));
        }
        for row in &batch.logs.rows {
            let _ = batch.logs.record(row);
        }
        let metrics = &batch.metrics;
        for row in metrics.samples.iter().filter(|row| !row.histogram.is_empty()) {
            let _ = NativeHistogram::decode(row.histogram.of(&metrics.meta));
        }
        for row in &metrics.exemplars {
            assert!((row.series as usize) < metrics.series.len(), "an exemplar of no series");
            let _ = Pairs::new(row.labels.of(&metrics.meta)).count();
        }
        Ok(())
    }
}

impl Default for Trial {
    fn default() -> Self {
        let intake = Intake::within(Arc::new(Reader), Arc::default(), None, MAX_IN_FLIGHT);
        let otlp = Otlp::new(&intake, OtlpOptions { max_body: MAX_BODY, ..OtlpOptions::default() });
        let jaeger = Jaeger::new(&intake, MAX_BODY);
        let apm = ElasticApmOptions { max_body: MAX_BODY, ..ElasticApmOptions::default() };
        let spans = otlp.http().merge(otlp.grpc()).merge(jaeger.http()).merge(jaeger.grpc());
        let spans =
            spans.merge(Zipkin::new(&intake, MAX_BODY).http()).merge(ElasticApm::new(&intake, apm).http());
        let router = spans
            .merge(LokiPush::new(&intake, MAX_BODY).http())
            .merge(RemoteWrite::new(&intake, MAX_BODY).http());
        Self { router, jaeger }
    }
}

impl Trial {
    /// Sends as many bodies, each made of its own number alone, from `first` on.
    pub async fn run(&self, first: u64, count: u64) -> Findings {
        let mut findings = Findings::default();
        for case in first..first.saturating_add(count) {
            let started = Instant::now();
            let (way, code) = self.case(case).await;
            let taken = started.elapsed();
            if taken > findings.slowest.0 {
                findings.slowest = (taken, case);
            }
            if !is_allowed(way, &code) {
                findings.wrong.push(format!("case {case}: {way:?}: {code}"));
            }
            *findings.answers.entry(code).or_default() += 1;
        }
        findings
    }

    /// The way of a body, and what it got.
    async fn case(&self, case: u64) -> (Way, String) {
        let mut dice = Dice::new(case);
        let Recorded { way, message } = dice.pick(&RECORDED);
        let other = &dice.pick(&RECORDED).message;
        let mut body = message.clone();
        let times = if dice.chance(600) { 1 } else { 1 + dice.below(3) };
        for _ in 0..times {
            spoil(&mut body, other, &mut dice);
        }
        // A body at the door of another protocol, now and then.
        let way = if dice.chance(50) { dice.pick(&RECORDED).way } else { *way };
        let sent = match way {
            Way::Udp(protocol) => {
                let jaeger = self.jaeger.clone();
                let sent = tokio::spawn(async move { jaeger.datagrams(protocol, [&*body]).await }).await;
                sent.map(|()| "udp".to_owned())
            }
            way => {
                let request = request(way, body, &mut dice);
                let router = self.router.clone();
                tokio::spawn(async move {
                    match router.oneshot(request).await {
                        Ok(answer) => code(answer).await,
                        Err(never) => match never {},
                    }
                })
                .await
            }
        };
        (way, sent.unwrap_or_else(|error| format!("panic: {error}")))
    }
}

fn request(way: Way, mut body: Vec<u8>, dice: &mut Dice) -> Request<Body> {
    let (path, media) = match way {
        Way::Http(path, media) | Way::Snappy(path, media) => (path, media),
        Way::Grpc(path) => (path, "application/grpc"),
        Way::Udp(_) => ("/", ""),
    };
    let mut request = Request::post(path).header(header::CONTENT_TYPE, media);
    let is_grpc = matches!(way, Way::Grpc(_));
    let mut word = if matches!(way, Way::Snappy(..)) { "snappy" } else { "" };
    if word == "snappy" || dice.chance(100) {
        let mut packed = if word == "snappy" {
            compress("snappy", &body)
        } else {
            word = *dice.pick(&["gzip", "zstd", "deflate", "snappy", "lz4", "br"]);
            compress(word, &body)
        };
        // What is compressed is spoilt as well, and not always what it says.
        if dice.chance(150) {
            spoil(&mut packed, &body, dice);
        }
        if dice.chance(50) {
            word = *dice.pick(&["gzip", "zstd", "deflate", "snappy", "zlib", "lz4", ""]);
        }
        body = packed;
    }
    if is_grpc {
        let len = if dice.chance(30) { dice.bits() as u32 } else { body.len() as u32 };
        let flag = if dice.chance(30) { dice.bits() as u8 } else { u8::from(!word.is_empty()) };
        body = [&[flag][..], &len.to_be_bytes(), &body].concat();
        if !word.is_empty() {
            request = request.header("grpc-encoding", word);
        }
    } else if !word.is_empty() {
        request = request.header(header::CONTENT_ENCODING, word);
    }
    if dice.chance(20) {
        request = request.header(
            "x-scope-orgid",
            *dice.pick(&["a", "", "a|b", "..", "\u{7f}"].map(|name| name.trim_matches('\u{7f}'))),
        );
    }
    request.body(Body::from(body)).unwrap_or_default()
}

fn compress(word: &str, body: &[u8]) -> Vec<u8> {
    let fast = Compression::fast();
    let packed = match word {
        "gzip" => {
            let mut out = GzEncoder::new(Vec::new(), fast);
            out.write_all(body).and_then(|()| out.finish())
        }
        "zlib" => {
            let mut out = ZlibEncoder::new(Vec::new(), fast);
            out.write_all(body).and_then(|()| out.finish())
        }
        // Some mean it with a header, some without.
        "deflate" if body.len().is_multiple_of(2) => return compress("zlib", body),
        "deflate" => {
            let mut out = DeflateEncoder::new(Vec::new(), fast);
            out.write_all(body).and_then(|()| out.finish())
        }
        "lz4" => {
            let mut out = lz4_flex::frame::FrameEncoder::new(Vec::new());
            out.write_all(body).and_then(|()| Ok(out.finish()?))
        }
        "zstd" => zstd::encode_all(body, 1),
        "snappy" => snap::raw::Encoder::new().compress_vec(body).map_err(Into::into),
        _ => Ok(body.to_vec()),
    };
    packed.unwrap_or_default()
}

/// The status in the protocol's own words.
async fn code(answer: Response<Body>) -> String {
    let (parts, body) = answer.into_parts();
    let is_grpc = parts.headers.get(header::CONTENT_TYPE).is_some_and(|media| media == "application/grpc");
    #[expect(clippy::disallowed_methods, reason = "bounded")]
    let text = axum::body::to_bytes(body, MAX_BODY).await.unwrap_or_default();
    let message = parts.headers.get("grpc-message").map_or(&text[..], |message| message.as_bytes());
    if String::from_utf8_lossy(message).replace("%20", " ").contains(PANICKED) {
        return "panic".to_owned();
    }
    if is_grpc {
        // Without one in the head it stands behind the body, and is OK.
        let code = parts.headers.get("grpc-status").map_or("0", |code| code.to_str().unwrap_or("?"));
        return format!("grpc {code}");
    }
    parts.status.as_u16().to_string()
}

/// Whether a protocol has this status. One sender at a time is never too much, so none is told to wait.
fn is_allowed(way: Way, code: &str) -> bool {
    let allowed: &[&str] = match way {
        Way::Udp(_) => &["udp"],
        Way::Grpc(_) => &["grpc 0", "grpc 3", "grpc 8", "grpc 12", "grpc 13"],
        Way::Http(path, _) | Way::Snappy(path, _) => match path {
            "/api/v1/write" => &["204", "400", "413", "415"],
            "/loki/api/v1/push" => &["204", "400", "413", "422"],
            "/v1/traces" | "/v1/logs" | "/v1/metrics" => &["200", "400", "413", "415"],
            _ => &["202", "400", "413"],
        },
    };
    allowed.contains(&code)
}
