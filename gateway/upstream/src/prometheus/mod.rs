//! A Prometheus (or what speaks its API) as `store::read::MetricRead`, and handing dashboards' queries on to it.
//!
//! The process must have installed a rustls provider before a client is built.

mod cache;
mod decode;
mod forward;
mod options;
mod raw;
mod request;

use std::sync::Arc;
use std::time::Duration;

use parsers::record::{Exemplar, Labels, Series};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use store::read::{MetricRead, ReadError, Window};

pub use forward::{ForwardError, Forwarded};
pub use options::{
    BuildError, DEFAULT_BODY_LIMIT, DEFAULT_CACHE_BYTES, DEFAULT_FORWARD_LIMIT, DEFAULT_FORWARD_TIMEOUT,
    DEFAULT_RETRIES, DEFAULT_SPAN_LABELS, DEFAULT_TIMEOUT, DEFAULT_TRACE_LABELS, PrometheusOptions,
};

use cache::Cache;
use request::{Ask, Asker};

/// A client of one server. A cheap clone.
#[derive(Clone)]
pub struct Prometheus {
    inner: Arc<Inner>,
    /// Whose series are asked for, where the one who asks says so.
    tenants: Option<Arc<str>>,
}

struct Inner {
    name: String,
    base: String,
    client: reqwest::Client,
    asker: Asker,
    cache: Cache,
    options: PrometheusOptions,
}

impl Prometheus {
    /// Builds the client; nothing is asked yet.
    pub fn new(options: PrometheusOptions) -> Result<Self, BuildError> {
        let bad_url = |detail: String| BuildError::Url { url: options.url.clone(), detail };
        let url = reqwest::Url::parse(&options.url).map_err(|error| bad_url(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(bad_url("a scheme http:// or https:// and a host are needed".to_owned()));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad_url("a query or fragment has no place in it".to_owned()));
        }
        let client = reqwest::Client::builder()
            .default_headers(default_headers(&options)?)
            .redirect(reqwest::redirect::Policy::none());
        let client = options.certificates.give(client)?;
        let client = client.build().map_err(|error| BuildError::Client(error.to_string()))?;
        let base = options.url.trim_end_matches('/').to_owned();
        let host = url.host_str().unwrap_or_default();
        let name = match url.port() {
            Some(port) => format!("prometheus at {host}:{port}"),
            None => format!("prometheus at {host}"),
        };
        let asker = Asker::new(name.clone(), base.clone(), client.clone(), &options);
        let cache = Cache::new(options.cache_bytes);
        Ok(Self { inner: Arc::new(Inner { name, base, client, asker, cache, options }), tenants: None })
    }

    async fn ask<T>(
        &self,
        ask: Ask,
        window: Window,
        decode: impl FnOnce(&[u8]) -> Result<T, decode::Failure>,
    ) -> Result<T, ReadError> {
        let ask = Ask { tenants: self.tenants.clone(), ..ask };
        let body = self.inner.cache.get(ask, window, &self.inner.asker).await?;
        decode(&body).map_err(|failure| failure.into_error(&self.inner.name))
    }
}

fn default_headers(options: &PrometheusOptions) -> Result<HeaderMap, BuildError> {
    let tenant = options.tenant.iter().map(|tenant| (request::TENANT_HEADER, tenant.as_str()));
    let configured = options.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut headers = HeaderMap::new();
    for (name, value) in configured.chain(tenant) {
        let bad = |()| BuildError::Header { name: name.to_owned() };
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad(()))?;
        let mut value = HeaderValue::from_str(value).map_err(|_| bad(()))?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

/// Seconds with milliseconds, as every version of the API reads them.
fn seconds(nanos: u64) -> String {
    format!("{}.{:03}", nanos / 1_000_000_000, nanos % 1_000_000_000 / 1_000_000)
}

/// The API's bounds are closed and in milliseconds: the last one inside a half-open window, not before its start.
fn bounds(window: Window) -> (String, String) {
    // The year 9999: later times are refused.
    const LAST: u64 = u64::MAX / 2;
    let end = window.end.saturating_sub(1).clamp(window.start.min(LAST), LAST);
    (seconds(window.start.min(LAST)), seconds(end))
}

#[async_trait::async_trait]
impl MetricRead for Prometheus {
    fn name(&self) -> &str {
        &self.inner.name
    }

    async fn series(&self, selectors: &[String], window: Window) -> Result<Vec<Labels>, ReadError> {
        let (start, end) = bounds(window);
        let mut fields: Vec<(&str, &str)> = selectors.iter().map(|s| ("match[]", s.as_str())).collect();
        fields.extend([("start", start.as_str()), ("end", end.as_str())]);
        self.ask(Ask::new("series", &fields), window, decode::series).await
    }

    async fn range(
        &self,
        expression: &str,
        window: Window,
        step: Duration,
    ) -> Result<Vec<Series>, ReadError> {
        let (start, end) = bounds(window);
        let step = format!("{:.3}", step.as_secs_f64().max(0.001));
        let fields = [("query", expression), ("start", &start), ("end", &end), ("step", &step)];
        self.ask(Ask::new("query_range", &fields), window, decode::matrix).await
    }

    async fn exemplars(&self, expression: &str, window: Window) -> Result<Vec<Exemplar>, ReadError> {
        let (start, end) = bounds(window);
        let fields = [("query", expression), ("start", &start), ("end", &end)];
        let options = &self.inner.options;
        self.ask(Ask::new("query_exemplars", &fields), window, |body| {
            decode::exemplars(body, &options.trace_labels, &options.span_labels)
        })
        .await
    }

    /// A tenant that the configuration names stays the one that is asked for. A server that knows no tenants answers all alike.
    fn of_tenants(&self, tenants: &str) -> Option<Arc<dyn MetricRead>> {
        let chosen = self.inner.options.tenant.is_none().then(|| tenants.into());
        Some(Arc::new(Self { inner: Arc::clone(&self.inner), tenants: chosen }))
    }
}

#[cfg(test)]
mod tests;
