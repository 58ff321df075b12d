//! One question to the server: tried again on what passes, within one deadline, its answer read with a bound.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use peers::Credentials;
use store::read::ReadError;
use tower::retry::{Policy, Retry};
use tower::timeout::Timeout;
use tower::{Service, ServiceExt};

use super::PrometheusOptions;
use super::decode;

/// First pause before another attempt; doubled each time, and half of it is chance.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
/// By which Mimir and its kin tell tenants apart.
pub(super) const TENANT_HEADER: &str = "X-Scope-OrgID";
/// Longer questions are posted: servers and proxies refuse long request lines.
const LONGEST_GET: usize = 4096;

/// A question: which part of the API, and the encoded fields. All of them only read, so asking twice is harmless.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) endpoint: &'static str,
    pub(super) form: String,
    /// Of these tenants only.
    pub(super) tenants: Option<Arc<str>>,
}

impl Ask {
    pub(super) fn new(endpoint: &'static str, fields: &[(&str, &str)]) -> Self {
        let mut form = String::new();
        for (name, value) in fields {
            if !form.is_empty() {
                form.push('&');
            }
            encode(name, &mut form);
            form.push('=');
            encode(value, &mut form);
        }
        Self { endpoint, form, tenants: None }
    }
}

/// application/x-www-form-urlencoded, with `%20` for a space so that it serves as a query string too.
fn encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push('%');
            for nibble in [byte >> 4, byte & 15] {
                out.push(HEX.get(nibble as usize).map_or('0', |&digit| digit as char));
            }
        }
    }
}

/// An attempt that failed.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
struct Attempt {
    error: ReadError,
    passing: bool,
}

/// The stack that questions go through: deadline, retries, exchange.
pub(super) struct Asker {
    name: String,
    deadline: Duration,
    stack: Timeout<Retry<Retries, Exchange>>,
}

impl Asker {
    pub(super) fn new(
        name: String,
        base: String,
        client: reqwest::Client,
        options: &PrometheusOptions,
    ) -> Self {
        let exchange = Exchange {
            name: name.clone(),
            base,
            client,
            credentials: options.credentials.clone(),
            limit: options.body_limit,
        };
        let retries = Retries { left: options.retries, backoff: FIRST_BACKOFF };
        let stack = Timeout::new(Retry::new(retries, exchange), options.timeout);
        Self { name, deadline: options.timeout, stack }
    }

    pub(super) async fn ask(&self, ask: Ask) -> Result<Bytes, ReadError> {
        match self.stack.clone().oneshot(ask).await {
            Ok(body) => Ok(body),
            Err(error) => Err(match error.downcast::<Attempt>() {
                Ok(attempt) => attempt.error,
                // The deadline is the only other layer that fails.
                Err(_) => ReadError::Timeout { server: self.name.clone(), after: self.deadline },
            }),
        }
    }
}

#[derive(Clone)]
struct Retries {
    left: usize,
    backoff: Duration,
}

impl Policy<Ask, Bytes, Attempt> for Retries {
    type Future = tokio::time::Sleep;

    fn retry(&mut self, _: &mut Ask, result: &mut Result<Bytes, Attempt>) -> Option<Self::Future> {
        if !matches!(result, Err(attempt) if attempt.passing) {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        let half = self.backoff / 2;
        self.backoff *= 2;
        Some(tokio::time::sleep(half + half.mul_f64(chance())))
    }

    fn clone_request(&mut self, ask: &Ask) -> Option<Ask> {
        Some(ask.clone())
    }
}

/// 0 to 1, from the standard library's random hash keys: enough to keep gateways out of step.
fn chance() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0u8) as f64 / u64::MAX as f64
}

/// One attempt over the wire.
#[derive(Clone)]
struct Exchange {
    name: String,
    base: String,
    client: reqwest::Client,
    credentials: Option<Credentials>,
    limit: usize,
}

impl Service<Ask> for Exchange {
    type Response = Bytes;
    type Error = Attempt;
    type Future = Pin<Box<dyn Future<Output = Result<Bytes, Attempt>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Attempt>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, ask: Ask) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { this.exchange(ask).await })
    }
}

impl Exchange {
    async fn exchange(&self, ask: Ask) -> Result<Bytes, Attempt> {
        let url = format!("{}/api/v1/{}", self.base, ask.endpoint);
        let request = if ask.form.len() <= LONGEST_GET {
            self.client.get(format!("{url}?{}", ask.form))
        } else {
            self.client
                .post(url)
                .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(ask.form.clone())
        };
        let request = match &ask.tenants {
            Some(tenants) => request.header(TENANT_HEADER, &**tenants),
            None => request,
        };
        let request = known(&self.name, self.credentials.as_ref(), request);
        let request = request.map_err(|error| Attempt { error, passing: false })?;
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let body = self.body(response).await?;
        if status.is_success() {
            return Ok(body);
        }
        let passing = matches!(status.as_u16(), 502..=504);
        Err(Attempt { error: decode::refusal(status.as_u16(), &body).into_error(&self.name), passing })
    }

    async fn body(&self, mut response: reqwest::Response) -> Result<Bytes, Attempt> {
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if body.len() + chunk.len() > self.limit {
                let error = ReadError::BadAnswer {
                    server: self.name.clone(),
                    got: format!("more than {} bytes", self.limit),
                    expected: "a shorter body".to_owned(),
                };
                return Err(Attempt { error, passing: false });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    fn unreachable(&self, error: &reqwest::Error) -> Attempt {
        Attempt { error: unreachable(&self.name, error), passing: true }
    }
}

/// The request with our credentials. Without them it is not sent: the server would only refuse it.
pub(super) fn known(
    name: &str,
    credentials: Option<&Credentials>,
    request: reqwest::RequestBuilder,
) -> Result<reqwest::RequestBuilder, ReadError> {
    let Some(credentials) = credentials else { return Ok(request) };
    credentials
        .show(request)
        .map_err(|fault| ReadError::Unreachable { server: name.to_owned(), detail: fault.to_string() })
}

/// What the connection said, down to its root, without the address: that may hold a password.
pub(super) fn unreachable(name: &str, error: &reqwest::Error) -> ReadError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let detail = if std::ptr::addr_eq(cause, std::ptr::from_ref(error)) {
        "the request failed".to_owned()
    } else {
        cause.to_string()
    };
    ReadError::Unreachable { server: name.to_owned(), detail }
}
