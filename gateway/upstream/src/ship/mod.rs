//! Log batches to another server: a Trefoil, a Loki, or any OTLP/HTTP endpoint.
//!
//! A batch is done when the server has answered 2xx to all of it; until then it is sent again, for ever, after growing waits or
//! those that the server asks for. Whoever brings batches waits meanwhile, so that reading stops and the files themselves are
//! the buffer. A batch that the server finds fault with is halved until the record at fault stands alone; that one is set aside
//! and counted. A Trefoil is told the files and offsets of the records, and stores each once; any other server may get some
//! twice.

mod answer;
mod backoff;
mod body;
mod loki;
mod options;
mod otlp;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use parsers::record::{Batch, LogBatch, LogRow, Position, TENANT};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, RequestBuilder, Url};
use tokio::sync::{Semaphore, SemaphorePermit};

use answer::Verdict;
use backoff::Backoff;
use body::{Body, Room};

pub use backoff::{Clock, Timer};
pub use options::{Protocol, ShipOptions};

/// Time for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Records of one batch that may be set aside before the server has taken any of it. More refused ones mean that it does not
/// understand us at all, and then nothing is dropped.
const MAX_SINGLED_OUT: usize = 16;

/// Header by which Loki and its kin tell tenants apart.
const TENANT_HEADER: &str = "X-Scope-OrgID";
/// Bytes of a tenant's name that servers take.
const MAX_TENANT: usize = 150;

/// What was shipped.
#[derive(Debug, Default)]
pub struct Counters {
    /// Records that the server took.
    pub records: AtomicU64,
    /// Bytes sent, compressed.
    pub bytes: AtomicU64,
    /// Requests that had to be sent again.
    pub retries: AtomicU64,
    /// Records that the server refused for good; they are not sent again.
    pub quarantined: AtomicU64,
    /// Records that the server rejected in a partial success.
    pub rejected: AtomicU64,
    /// Bytes of batches under way.
    pub in_flight: AtomicU64,
}

fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
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
    /// No certificates where some should be.
    #[error(transparent)]
    Certificates(#[from] peers::Fault),
    /// No HTTP client.
    #[error("no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// Sends log batches.
pub struct Shipper {
    client: Client,
    url: Url,
    /// The URL for people: a password in it stays between the server and us.
    shown: String,
    options: ShipOptions,
    timer: Arc<dyn Timer>,
    budget: Semaphore,
    room: Mutex<Room>,
    counters: Arc<Counters>,
}

/// Bytes taken from the budget; given back at the end, however it comes.
struct Held<'a> {
    bytes: u64,
    counters: &'a Counters,
    _permit: Option<SemaphorePermit<'a>>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.counters.in_flight.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What happened to one batch so far.
#[derive(Default)]
struct Progress {
    singled_out: usize,
    taken: bool,
}

impl Shipper {
    /// To a server; connects with the first batch.
    pub fn new(
        options: &ShipOptions,
        timer: Arc<dyn Timer>,
        counters: Arc<Counters>,
    ) -> Result<Self, BuildError> {
        let url = options.endpoint()?;
        let mut map = HeaderMap::new();
        for (name, value) in &options.headers {
            let bad = || BuildError::Header(name.clone());
            let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
            value.set_sensitive(true);
            map.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?, value);
        }
        let mut client = Client::builder()
            .user_agent(concat!("Trefoil/", env!("CARGO_PKG_VERSION")))
            .default_headers(map)
            .timeout(options.timeout)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        client = options.certificates.give(client)?;
        let mut bare = url.clone();
        // Only a URL that cannot have them refuses to lose them.
        let _ = bare.set_username("").and_then(|()| bare.set_password(None));
        let shown = bare.into();
        let budget = Semaphore::new(options.budget() as usize);
        Ok(Self {
            client: client.build()?,
            url,
            shown,
            options: options.clone(),
            timer,
            budget,
            room: Mutex::default(),
            counters,
        })
    }

    /// Sends the logs of a batch and returns when all of them are safe, or set aside. As long as the server does not take them
    /// this does not return; to drop it is to give up.
    pub async fn ship(&self, batch: &Batch) {
        let _held = self.reserve(batch.logs.size()).await;
        let by_tenant = match self.options.protocol {
            // It keeps the tenant as metadata.
            Protocol::Trefoil => None,
            Protocol::Loki | Protocol::Otlp => by_tenant(&batch.logs),
        };
        let logs = by_tenant.as_ref().unwrap_or(&batch.logs);
        // In the order of the rows: a part that has been taken says that all before it have been.
        let mut open = match &by_tenant {
            Some(logs) => tenants(logs),
            None => std::iter::once(0..logs.rows.len()).collect(),
        };
        open.reverse();
        let mut progress = Progress::default();
        while let Some(rows) = open.pop() {
            if rows.is_empty() {
                continue;
            }
            let body = self.encode(logs, &batch.positions, rows.clone());
            if body.plain > self.options.request_bytes && rows.len() > 1 {
                halve(rows, &mut open);
                continue;
            }
            self.part(logs, rows, &body, &mut open, &mut progress).await;
        }
    }

    fn encode(&self, logs: &LogBatch, positions: &[Position], rows: Range<usize>) -> Body {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        body::encode(self.options.protocol, logs, positions, rows, &mut room)
    }

    async fn reserve(&self, bytes: usize) -> Held<'_> {
        // A batch larger than the whole budget goes when nothing else is under way.
        let wanted = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.options.budget());
        // It is never closed.
        let permit = self.budget.acquire_many(wanted).await.ok();
        count(&self.counters.in_flight, bytes as u64);
        Held { bytes: bytes as u64, counters: &self.counters, _permit: permit }
    }

    /// Sends one request until it is taken, or has to be halved.
    async fn part(
        &self,
        logs: &LogBatch,
        rows: Range<usize>,
        body: &Body,
        open: &mut Vec<Range<usize>>,
        progress: &mut Progress,
    ) {
        let first = logs.rows.get(rows.start).filter(|_| self.options.protocol != Protocol::Trefoil);
        let tenant = first.and_then(|row| tenant(logs, row)).map(sendable);
        let mut backoff = Backoff::new();
        loop {
            let (reason, asked) = match self.send(body, tenant.as_deref()).await {
                Verdict::Taken { rejected, reason } => {
                    progress.taken = true;
                    let rejected = rejected.min(rows.len() as u64);
                    count(&self.counters.records, rows.len() as u64 - rejected);
                    if rejected > 0 {
                        count(&self.counters.rejected, rejected);
                        tracing::warn!(rejected, "the server rejected records: {reason}");
                    }
                    return;
                }
                Verdict::Poisoned { reason, rest_kept } => {
                    // Once it takes some of this batch, what it refuses is at fault, however much that is.
                    let understood = progress.taken || progress.singled_out < MAX_SINGLED_OUT;
                    // All of a backlog may be out of the server's limits: the sound records were taken all the same.
                    let whole = rest_kept && progress.singled_out >= MAX_SINGLED_OUT;
                    if whole || (rows.len() == 1 && (understood || rest_kept)) {
                        progress.singled_out += 1;
                        self.set_aside(logs, rows, &reason);
                        return;
                    }
                    if rows.len() > 1 && understood {
                        halve(rows, open);
                        return;
                    }
                    (format!("it refuses one record after another: {reason}"), None)
                }
                Verdict::Later { reason, asked } => (reason, asked),
            };
            count(&self.counters.retries, 1);
            let wait = backoff.wait(asked);
            let (wait_ms, records) = (wait.as_millis() as u64, rows.len());
            tracing::warn!(wait_ms, records, "{} does not take records: {reason}", self.shown);
            self.timer.wait(wait).await;
        }
    }

    fn set_aside(&self, logs: &LogBatch, rows: Range<usize>, reason: &str) {
        let records = rows.len();
        count(&self.counters.quarantined, records as u64);
        let first = logs.rows.get(rows.start).map(|row| logs.record(row));
        let (labels, source) = first.map(|row| (row.labels, row.source)).unwrap_or_default();
        tracing::error!(
            ?labels,
            ?source,
            records,
            "the server refuses records, which are not sent again: {reason}"
        );
    }

    async fn send(&self, body: &Body, tenant: Option<&str>) -> Verdict {
        let later = |reason| Verdict::Later { reason, asked: None };
        let mut request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/x-protobuf");
        if let Some(encoding) = body.encoding {
            request = request.header(CONTENT_ENCODING, encoding);
        }
        if let Some(tenant) = tenant {
            request = request.header(TENANT_HEADER, tenant);
        }
        let request = match self.known(request.body(body.bytes.clone())) {
            Ok(request) => request,
            Err(detail) => return later(detail),
        };
        match request.send().await {
            Ok(answer) => {
                count(&self.counters.bytes, body.bytes.len() as u64);
                answer::verdict(answer, self.options.protocol != Protocol::Loki).await
            }
            Err(error) => {
                let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                later(format!("{}{cause}", error.without_url()))
            }
        }
    }

    /// The request with our credentials.
    fn known(&self, request: RequestBuilder) -> Result<RequestBuilder, String> {
        Ok(match &self.options.credentials {
            None => request,
            Some(credentials) => credentials.show(request).map_err(|fault| fault.to_string())?,
        })
    }
}

/// Puts both halves on the stack, the first on top.
fn halve(rows: Range<usize>, open: &mut Vec<Range<usize>>) {
    let middle = rows.start + rows.len() / 2;
    open.push(middle..rows.end);
    open.push(rows.start..middle);
}

/// The tenant that a stage chose for a record.
fn tenant<'a>(logs: &'a LogBatch, row: &LogRow) -> Option<&'a str> {
    logs.metadata(row).find(|(name, _)| *name == TENANT).map(|(_, value)| value)
}

/// A tenant as Loki and its kin take it: a line may have named it, and no line may stop the shipping.
fn sendable(tenant: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "!-_.*'()".contains(c);
    let name: String = tenant.chars().take(MAX_TENANT).map(|c| if allowed(c) { c } else { '_' }).collect();
    if matches!(&*name, "." | "..") { "_".to_owned() } else { name }
}

/// The rows of each tenant together, and else in their order, if stages chose any.
fn by_tenant(logs: &LogBatch) -> Option<LogBatch> {
    // Nearly always there is none, and looking through all metadata at once is quick.
    memchr::memmem::find(&logs.meta, TENANT.as_bytes())?;
    let mut sorted = logs.clone();
    sorted.rows.sort_by_cached_key(|row| tenant(logs, row).map(str::to_owned));
    Some(sorted)
}

/// Runs of rows of one tenant each; a request has one.
fn tenants(logs: &LogBatch) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    for run in logs.rows.chunk_by(|a, b| tenant(logs, a) == tenant(logs, b)) {
        let start = runs.last().map_or(0, |last: &Range<usize>| last.end);
        runs.push(start..start + run.len());
    }
    runs
}
