//! Where to ship to, and how.

use std::time::Duration;

use peers::{Certificates, Credentials};
use reqwest::Url;

use super::BuildError;

/// A request that takes longer will not be answered: gateways give up after 30 s themselves.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of one request before compression: gRPC's default limit, which Loki's own parts have between them.
const REQUEST_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of all batches under way: a few of the greatest.
const IN_FLIGHT_BYTES: u32 = 16 * 1024 * 1024;

/// What the server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP logs with the fields of our own, by which re-sent records are stored once.
    Trefoil,
    /// Loki's push, protobuf in snappy.
    Loki,
    /// OTLP logs as anyone reads them.
    Otlp,
}

impl Protocol {
    /// The path that a URL without one gets, and an example.
    fn path(self) -> (&'static str, &'static str) {
        match self {
            Self::Trefoil => ("/v1/logs", "http://trefoil:8080"),
            Self::Loki => ("/loki/api/v1/push", "http://loki:3100/loki/api/v1/push"),
            Self::Otlp => ("/v1/logs", "http://collector:4318/v1/logs"),
        }
    }
}

/// Where to ship to, and how.
#[derive(Clone, PartialEq, Eq)]
pub struct ShipOptions {
    /// What the server speaks.
    pub protocol: Protocol,
    /// Its URL; without a path, the protocol's usual one.
    pub url: String,
    /// Headers of every request.
    pub headers: Vec<(String, String)>,
    /// How the server knows us.
    pub credentials: Option<Credentials>,
    /// Whom we trust, and by which certificate the server knows us.
    pub certificates: Certificates,
    /// For one request.
    pub timeout: Duration,
    /// Bytes of a request before compression. A single record that is larger goes alone.
    pub request_bytes: usize,
    /// Bytes of all batches under way; who brings more waits.
    pub in_flight_bytes: u32,
}

// A URL may hold a password, and headers may be secrets.
impl std::fmt::Debug for ShipOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShipOptions").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

impl ShipOptions {
    /// The defaults, for this server.
    pub fn new(protocol: Protocol, url: impl Into<String>) -> Self {
        Self {
            protocol,
            url: url.into(),
            headers: Vec::new(),
            credentials: None,
            certificates: Certificates::default(),
            timeout: DEFAULT_TIMEOUT,
            request_bytes: REQUEST_BYTES,
            in_flight_bytes: IN_FLIGHT_BYTES,
        }
    }

    /// Permits of the budget: a semaphore holds no more than an eighth of the address space.
    pub(super) fn budget(&self) -> u32 {
        self.in_flight_bytes.clamp(1, u32::MAX >> 4)
    }

    pub(super) fn endpoint(&self) -> Result<Url, BuildError> {
        let (path, example) = self.protocol.path();
        let mut url =
            Url::parse(&self.url).map_err(|_| BuildError::Url { url: self.url.clone(), example })?;
        if url.path() == "/" {
            url.set_path(path);
        }
        Ok(url)
    }
}
