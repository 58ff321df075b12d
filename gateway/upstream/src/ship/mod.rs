//! Log batches to another server: a Trefoil, a Loki, or any OTLP/HTTP endpoint.
//!
//! A batch counts when the server has answered 2xx, and one of which the answer was lost is sent again. A Trefoil is told the
//! files and offsets of the records, and stores each once; any other server may get some twice.

mod loki;
mod options;
mod otlp;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use parsers::otlp::{Field, Reader, encode_own_logs};
use parsers::record::{Batch, LogBatch, LogRow, Position};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, Response, StatusCode, Url};

pub use options::{Credentials, Protocol, Secret, ShipOptions};

/// Level of zstd: the fastest that still halves what the level below leaves.
const ZSTD_LEVEL: i32 = 1;

/// Time for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Wait where the server names none.
const DEFAULT_RETRY: Duration = Duration::from_secs(1);

/// Longest wait that a server may ask for: a clock that is off must not stop the shipping for a day.
const MAX_RETRY: Duration = Duration::from_mins(5);

/// Bytes of an answer that are read: a partial success with its message.
const ANSWER_BYTES: usize = 64 * 1024;

/// Records of one batch that may be set aside before the server has taken any of it. More refused ones mean that it does
/// not understand us at all, and then nothing is dropped.
const MAX_QUARANTINED: usize = 16;

/// Metadata by which the tailer says which tenant a stage chose.
const TENANT: &str = "tenant";

/// Header by which Loki and its kin tell tenants apart.
const TENANT_HEADER: &str = "X-Scope-OrgID";

/// What was shipped.
#[derive(Debug, Default)]
pub struct Counters {
    /// Records that the server took.
    pub records: AtomicU64,
    /// Bytes sent, compressed.
    pub bytes: AtomicU64,
    /// Requests that may be sent again later.
    pub retries: AtomicU64,
    /// Records that the server refused for good, each alone; they are not sent again.
    pub quarantined: AtomicU64,
    /// Records that the server rejected in a partial success.
    pub rejected: AtomicU64,
}

/// Why nothing can be shipped at all.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Not a URL.
    #[error("`{url}` is not a URL, such as `{example}`")]
    Url {
        /// What was given.
        url: String,
        /// What it could be.
        example: &'static str,
    },
    /// Not a header.
    #[error("`{0}` cannot be sent as a header")]
    Header(String),
    /// Not certificates.
    #[error("{}: no PEM certificates: {detail}", file.display())]
    Certificates {
        /// The file.
        file: std::path::PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// No HTTP client.
    #[error("no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// Why a batch was not taken. All of it has to be offered again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refused {
    /// Whether the server is overloaded, or not there: time heals that. Otherwise a person has to look.
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
    protocol: Protocol,
    url: Url,
    /// The URL for people: a password in it stays between the server and us.
    shown: String,
    credentials: Option<Credentials>,
    counters: Arc<Counters>,
}

/// What a server said to one request.
enum Verdict {
    Taken,
    /// These records are at fault, or their number.
    Poisoned(String),
    Refused(Refused),
}

impl Shipper {
    /// To a server.
    pub fn new(options: &ShipOptions, counters: Arc<Counters>) -> Result<Self, BuildError> {
        let url = options.endpoint()?;
        let mut map = HeaderMap::new();
        for (name, value) in &options.headers {
            let bad = || BuildError::Header(name.clone());
            let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
            value.set_sensitive(true);
            map.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?, value);
        }
        let mut client = Client::builder()
            .default_headers(map)
            .timeout(options.timeout)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(file) = &options.ca_file {
            let bad = |detail: String| BuildError::Certificates { file: file.clone(), detail };
            let pem = std::fs::read(file).map_err(|error| bad(error.to_string()))?;
            let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| bad(error.to_string()))?;
            client = client.tls_certs_merge(certificates);
        }
        let mut bare = url.clone();
        // Only a URL that cannot have them refuses to lose them.
        let _ = bare.set_username("").and_then(|()| bare.set_password(None));
        Ok(Self {
            client: client.build()?,
            protocol: options.protocol,
            url,
            shown: bare.into(),
            credentials: options.credentials.clone(),
            counters,
        })
    }

    /// Sends the logs of a batch. If the server finds fault with them, they are halved until the record at fault stands
    /// alone; that one is set aside and counted.
    pub async fn ship(&self, batch: &Batch) -> Result<(), Refused> {
        let logs = &batch.logs;
        let mut open = tenants(logs);
        open.reverse();
        let mut poisoned = Vec::new();
        let mut any_taken = false;
        while let Some(rows) = open.pop() {
            if rows.is_empty() {
                continue;
            }
            match self.send(logs, &batch.positions, rows.clone()).await {
                Verdict::Taken => {
                    any_taken = true;
                    self.counters.records.fetch_add(rows.len() as u64, Ordering::Relaxed);
                }
                Verdict::Poisoned(detail) if rows.len() == 1 => {
                    poisoned.push((rows.start, detail));
                    // Once a part is taken, offering all again would double it, and again with each try.
                    if poisoned.len() > MAX_QUARANTINED && !any_taken {
                        let detail = poisoned.pop().map(|(_, detail)| detail).unwrap_or_default();
                        let detail = format!("the server refuses one record after another: {detail}");
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
                "the server refuses a record, which is not sent again: {detail}"
            );
        }
        Ok(())
    }

    /// The body of a request, its type and its encoding.
    fn body(
        &self,
        logs: &LogBatch,
        positions: &[Position],
        rows: Range<usize>,
    ) -> std::io::Result<(Vec<u8>, Option<&'static str>)> {
        let mut plain = Vec::with_capacity(logs.size() + logs.size() / 4);
        Ok(match self.protocol {
            Protocol::Trefoil => {
                encode_own_logs(logs, rows, positions, &mut plain);
                (zstd::bulk::compress(&plain, ZSTD_LEVEL)?, Some("zstd"))
            }
            Protocol::Otlp => {
                otlp::request(logs, rows, &mut plain);
                (gzip(&plain)?, Some("gzip"))
            }
            Protocol::Loki => {
                loki::request(logs, rows, &mut plain);
                // Snappy is part of Loki's protocol, and not told in a header.
                (snap::raw::Encoder::new().compress_vec(&plain)?, None)
            }
        })
    }

    async fn send(&self, logs: &LogBatch, positions: &[Position], rows: Range<usize>) -> Verdict {
        let failed = |busy, detail| Verdict::Refused(Refused { busy, detail, retry_after: DEFAULT_RETRY });
        let (body, encoding) = match self.body(logs, positions, rows.clone()) {
            Ok(body) => body,
            Err(error) => return failed(false, format!("compressing failed: {error}")),
        };
        let size = body.len() as u64;
        let mut request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/x-protobuf");
        if let Some(encoding) = encoding {
            request = request.header(CONTENT_ENCODING, encoding);
        }
        if let Some(tenant) = logs.rows.get(rows.start).and_then(|row| tenant(logs, row)) {
            request = request.header(TENANT_HEADER, tenant);
        }
        let request = request.body(body);
        let request = match &self.credentials {
            None => Ok(request),
            Some(Credentials::Bearer(token)) => token.read().map(|token| request.bearer_auth(token)),
            Some(Credentials::Basic { username, password }) => {
                password.read().map(|password| request.basic_auth(username, Some(password)))
            }
        };
        let request = match request {
            Ok(request) => request,
            Err(detail) => return failed(false, detail),
        };
        let mut answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return failed(true, format!("{} does not answer: {error}", self.shown)),
        };
        self.counters.bytes.fetch_add(size, Ordering::Relaxed);
        let status = answer.status();
        if status.is_success() {
            // The records are taken, whatever comes of the answer's body.
            let said = read(&mut answer).await;
            if self.protocol != Protocol::Loki {
                self.note_rejections(&said);
            }
            return Verdict::Taken;
        }
        let retry_after = retry_after(answer.headers());
        let said = String::from_utf8_lossy(&read(&mut answer).await).chars().take(200).collect::<String>();
        let detail = format!("{} answered {status}: {said}", self.shown);
        match status {
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                Verdict::Poisoned(detail)
            }
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::INTERNAL_SERVER_ERROR
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
                tracing::warn!(rejected, "the server rejected records: {message}");
            }
        }
    }
}

/// The tenant that a stage chose for a record.
fn tenant<'a>(logs: &'a LogBatch, row: &LogRow) -> Option<&'a str> {
    logs.metadata(row).find(|(name, _)| *name == TENANT).map(|(_, value)| value)
}

/// Runs of rows of one tenant each; a request has one.
fn tenants(logs: &LogBatch) -> Vec<Range<usize>> {
    let whole = 0..logs.rows.len();
    // Nearly always there is none, and looking through all metadata at once is quick.
    if memchr::memmem::find(&logs.meta, TENANT.as_bytes()).is_none() {
        return std::iter::once(whole).collect();
    }
    let mut runs = Vec::new();
    for run in logs.rows.chunk_by(|a, b| tenant(logs, a) == tenant(logs, b)) {
        let start = runs.last().map_or(0, |last: &Range<usize>| last.end);
        runs.push(start..start + run.len());
    }
    runs
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
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
