//! Settings of the Prometheus client.

use std::time::Duration;

use peers::{Certificates, Credentials};

/// One query, its retries and their pauses together. An answer to a person waits for it.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
/// Second and third attempts; what fails three times within a second is down.
pub const DEFAULT_RETRIES: usize = 2;
/// Answers kept in memory: some hundred looked-up traces.
pub const DEFAULT_CACHE_BYTES: u64 = 16 << 20;
/// One answer's body; a range query of 60 series with 120 points is about 200 KB.
pub const DEFAULT_BODY_LIMIT: usize = 8 << 20;
/// A body that is handed on to a dashboard, which may ask for much more.
pub const DEFAULT_FORWARD_LIMIT: usize = 64 << 20;
/// A whole handed-on exchange; Prometheus' own default limit for a query is two minutes.
pub const DEFAULT_FORWARD_TIMEOUT: Duration = Duration::from_mins(2);
/// Labels of an exemplar that hold its trace id.
pub const DEFAULT_TRACE_LABELS: [&str; 4] = ["trace_id", "traceID", "TraceID", "traceId"];
/// Labels of an exemplar that hold its span id.
pub const DEFAULT_SPAN_LABELS: [&str; 4] = ["span_id", "spanID", "SpanID", "spanId"];

/// Where a Prometheus (or Mimir, Thanos, VictoriaMetrics) is and how it is asked.
#[derive(Clone)]
pub struct PrometheusOptions {
    /// Base address with any path prefix, such as `http://mimir:8080/prometheus`; `/api/v1/...` is appended.
    pub url: String,
    /// One query with all its retries.
    pub timeout: Duration,
    /// Attempts after the first, for connection errors and 502, 503, 504.
    pub retries: usize,
    /// Bound of the cache of answers; 0 turns it off.
    pub cache_bytes: u64,
    /// Bound of one answer's body.
    pub body_limit: usize,
    /// Bound of one handed-on body, either way.
    pub forward_limit: usize,
    /// A handed-on exchange from first to last byte.
    pub forward_timeout: Duration,
    /// Headers sent with each request.
    pub headers: Vec<(String, String)>,
    /// How the server knows us.
    pub credentials: Option<Credentials>,
    /// Whom we trust, and by which certificate the server knows us.
    pub certificates: Certificates,
    /// `X-Scope-OrgID` of Mimir, Cortex and Loki-like servers.
    pub tenant: Option<String>,
    /// Exemplar labels that hold a trace id, in order of preference.
    pub trace_labels: Vec<String>,
    /// Exemplar labels that hold a span id, in order of preference.
    pub span_labels: Vec<String>,
}

// A URL may hold a password, and headers may be secrets.
impl std::fmt::Debug for PrometheusOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrometheusOptions").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl PrometheusOptions {
    /// Defaults for a server at this address.
    pub fn new(url: impl Into<String>) -> Self {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            url: url.into(),
            timeout: DEFAULT_TIMEOUT,
            retries: DEFAULT_RETRIES,
            cache_bytes: DEFAULT_CACHE_BYTES,
            body_limit: DEFAULT_BODY_LIMIT,
            forward_limit: DEFAULT_FORWARD_LIMIT,
            forward_timeout: DEFAULT_FORWARD_TIMEOUT,
            headers: Vec::new(),
            credentials: None,
            certificates: Certificates::default(),
            tenant: None,
            trace_labels: owned(&DEFAULT_TRACE_LABELS),
            span_labels: owned(&DEFAULT_SPAN_LABELS),
        }
    }
}

/// Options that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The address.
    #[error("{url}: not an http or https address: {detail}")]
    Url {
        /// As configured.
        url: String,
        /// What is wrong.
        detail: String,
    },
    /// A header.
    #[error("header {name}: not a valid name and value")]
    Header {
        /// As configured; values may be secrets and are not shown.
        name: String,
    },
    /// A file of certificates.
    #[error(transparent)]
    Certificates(#[from] peers::Fault),
    /// The TLS stack.
    #[error("HTTP client: {0}")]
    Client(String),
}
