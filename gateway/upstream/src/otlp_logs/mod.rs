//! Logs to an OTLP/HTTP endpoint: another Trefoil's, or anyone's.
//!
//! Delivery is at least once: a batch counts when the endpoint has answered 2xx, and one of which the answer was lost is sent
//! again. Source positions stay with the agent and are not sent; no endpoint has a use for them.

mod encode;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use parsers::otlp::{Field, Reader};
use parsers::record::LogBatch;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};

/// A request that takes longer will not be answered: gateways give up after 30 s themselves.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Time for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Wait where the endpoint names none.
const DEFAULT_RETRY: Duration = Duration::from_secs(1);

/// Longest wait that an endpoint may ask for: a clock that is off must not stop the shipping for a day.
const MAX_RETRY: Duration = Duration::from_mins(5);

/// Bytes of an answer that are read: a partial success with its message.
const ANSWER_BYTES: usize = 64 * 1024;

/// Records of one batch that may be set aside. More refused ones mean that the endpoint does not understand us at all, and
/// then nothing is dropped.
const MAX_QUARANTINED: usize = 16;

/// What was shipped.
#[derive(Debug, Default)]
pub struct Counters {
    /// Records that the endpoint took.
    pub records: AtomicU64,
    /// Bytes sent, compressed.
    pub bytes: AtomicU64,
    /// Requests that may be sent again later.
    pub retries: AtomicU64,
    /// Records that the endpoint refused for good, each alone; they are not sent again.
    pub quarantined: AtomicU64,
    /// Records that the endpoint rejected in a partial success.
    pub rejected: AtomicU64,
}

/// Why nothing can be shipped at all.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Not a URL.
    #[error("`{0}` is not the URL of an OTLP logs endpoint, such as `http://trefoil:4318/v1/logs`")]
    Url(String),
    /// Not a header.
    #[error("`{0}` cannot be sent as a header")]
    Header(String),
    /// No HTTP client.
    #[error("no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// Why a batch was not taken. All of it has to be offered again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refused {
    /// Whether the endpoint is overloaded, or not there: time heals that. Otherwise a person has to look.
    pub busy: bool,
    /// For people.
    pub detail: String,
    /// When to try again at the earliest.
    pub retry_after: Duration,
}

/// Sends log batches.
#[derive(Debug)]
pub struct Shipper {
    client: Client,
    url: Url,
    counters: Arc<Counters>,
}

/// What an endpoint said to one request.
enum Verdict {
    Taken,
    /// These records are at fault, or their number.
    Poisoned(String),
    Refused(Refused),
}

impl Shipper {
    /// To this URL, with these headers on every request.
    pub fn new(url: &str, headers: &[(String, String)], counters: Arc<Counters>) -> Result<Self, BuildError> {
        let url = Url::parse(url).map_err(|_| BuildError::Url(url.to_owned()))?;
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let bad = || BuildError::Header(name.clone());
            let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
            value.set_sensitive(true);
            map.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?, value);
        }
        let client = Client::builder()
            .default_headers(map)
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { client, url, counters })
    }

    /// Sends the logs of a batch. If the endpoint finds fault with them, they are halved until the record at fault stands
    /// alone; that one is set aside and counted.
    pub async fn ship(&self, logs: &LogBatch) -> Result<(), Refused> {
        let mut open: Vec<_> = std::iter::once(0..logs.rows.len()).collect();
        let mut poisoned = Vec::new();
        while let Some(rows) = open.pop() {
            if rows.is_empty() {
                continue;
            }
            match self.send(logs, rows.clone()).await {
                Verdict::Taken => {
                    self.counters.records.fetch_add(rows.len() as u64, Ordering::Relaxed);
                }
                Verdict::Poisoned(detail) if rows.len() == 1 => {
                    poisoned.push((rows.start, detail));
                    if poisoned.len() > MAX_QUARANTINED {
                        let detail = poisoned.pop().map(|(_, detail)| detail).unwrap_or_default();
                        let detail = format!("the endpoint refuses one record after another: {detail}");
                        return Err(Refused { busy: false, detail, retry_after: DEFAULT_RETRY });
                    }
                }
                Verdict::Poisoned(_) => {
                    let middle = rows.start + rows.len() / 2;
                    open.push(middle..rows.end);
                    open.push(rows.start..middle);
                }
                Verdict::Refused(refused) => {
                    self.counters.retries.fetch_add(1, Ordering::Relaxed);
                    return Err(refused);
                }
            }
        }
        for (row, detail) in poisoned {
            self.counters.quarantined.fetch_add(1, Ordering::Relaxed);
            let row = logs.rows.get(row).map(|row| logs.record(row));
            let (labels, source) = row.map(|row| (row.labels, row.source)).unwrap_or_default();
            tracing::error!(
                ?labels,
                ?source,
                "the endpoint refuses a record, which is not sent again: {detail}"
            );
        }
        Ok(())
    }

    async fn send(&self, logs: &LogBatch, rows: Range<usize>) -> Verdict {
        let failed = |busy, detail| Verdict::Refused(Refused { busy, detail, retry_after: DEFAULT_RETRY });
        let body = match compress(&encode::request(logs, rows)) {
            Ok(body) => body,
            Err(error) => return failed(false, format!("compressing failed: {error}")),
        };
        let size = body.len() as u64;
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(CONTENT_ENCODING, "gzip")
            .body(body);
        let mut answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return failed(true, format!("{} does not answer: {error}", self.url)),
        };
        self.counters.bytes.fetch_add(size, Ordering::Relaxed);
        let status = answer.status();
        if status.is_success() {
            // The records are taken, whatever comes of the answer's body.
            self.note_rejections(&read(&mut answer).await);
            return Verdict::Taken;
        }
        let retry_after = retry_after(answer.headers());
        let said = String::from_utf8_lossy(&read(&mut answer).await).chars().take(200).collect::<String>();
        let detail = format!("{} answered {status}: {said}", self.url);
        match status {
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                Verdict::Poisoned(detail)
            }
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {
                let retry_after = retry_after.unwrap_or(DEFAULT_RETRY).min(MAX_RETRY);
                Verdict::Refused(Refused { busy: true, detail, retry_after })
            }
            // A wrong path or credential says nothing of the records: they wait until somebody has put it right.
            _ => failed(false, detail),
        }
    }

    /// `ExportLogsServiceResponse.partial_success`.
    fn note_rejections(&self, answer: &[u8]) {
        let mut reader = Reader::new(answer);
        while let Ok(Some((number, field))) = reader.read() {
            let (1, Field::Bytes(partial)) = (number, field) else { continue };
            let mut reader = Reader::new(partial);
            let (mut rejected, mut message) = (0, String::new());
            while let Ok(Some((number, field))) = reader.read() {
                match (number, field) {
                    (1, Field::Varint(count)) => rejected = count,
                    (2, Field::Bytes(text)) => message = String::from_utf8_lossy(text).into_owned(),
                    _ => {}
                }
            }
            if rejected > 0 {
                self.counters.rejected.fetch_add(rejected, Ordering::Relaxed);
                tracing::warn!(rejected, "the endpoint rejected records: {message}");
            }
        }
    }
}

fn compress(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

/// The beginning of an answer's body.
async fn read(answer: &mut Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        body.extend(chunk.iter().take(ANSWER_BYTES - body.len()));
        if body.len() == ANSWER_BYTES {
            break;
        }
    }
    body
}

/// `Retry-After`, in seconds or as a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(SystemTime::from(date.timestamp()).duration_since(SystemTime::now()).unwrap_or_default())
}
