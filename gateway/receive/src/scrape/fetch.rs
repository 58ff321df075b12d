//! Getting a page: as Prometheus asks for it, so that programs answer in OpenMetrics, with their exemplars.

use std::time::Duration;

use axum::body::Body;
use parsers::exposition::Format;
use peers::Credentials;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, ClientBuilder, Response, StatusCode, Url};

use super::options::Tls;
use crate::body::Encoding;

/// Exemplars exist only in OpenMetrics. As Prometheus with exemplar storage sends it, less the binary format.
const ACCEPTED: HeaderValue = HeaderValue::from_static(
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
     text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
);
/// Says how long a target may take.
const TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";
/// Connections that wait for a target's next scrape, of all targets of a job on one host.
const IDLE_CONNECTIONS: usize = 2;

/// The client of a job. An error names what is wrong with its settings.
pub(super) fn client(tls: &Tls) -> Result<Client, String> {
    builder(tls)?.build().map_err(|error| reason(&error))
}

/// A client that trusts whom these settings trust.
pub(super) fn builder(tls: &Tls) -> Result<ClientBuilder, String> {
    let mut client = Client::builder()
        // By this name, `/metrics` of a Trefoil knows to leave out what is made of spans.
        .user_agent(concat!("Trefoil/", env!("CARGO_PKG_VERSION")))
        .no_gzip()
        .no_zstd()
        // Targets are near; a proxy of the environment is for what is not.
        .no_proxy()
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .tls_danger_accept_invalid_certs(tls.insecure_skip_verify);
    if let Some(file) = &tls.ca_file {
        client = client.tls_certs_only(peers::certificates(file).map_err(|fault| fault.to_string())?);
    }
    Ok(client)
}

/// An answer whose body is still to be read.
pub(super) struct Fetched {
    pub body: Body,
    pub encoding: Encoding,
    pub format: Format,
    /// What is odd about it.
    pub remark: Option<String>,
}

/// Asks for a page. An error says why there is none.
pub(super) async fn fetch(
    client: &Client,
    url: &Url,
    credentials: Option<&Credentials>,
    timeout: Duration,
) -> Result<Fetched, String> {
    let mut request = client
        .get(url.clone())
        .header(ACCEPT, ACCEPTED)
        .header(ACCEPT_ENCODING, "gzip")
        .header(TIMEOUT, timeout.as_secs_f64().to_string());
    request = match credentials {
        None => request,
        Some(credentials) => credentials.show(request).map_err(|fault| fault.to_string())?,
    };
    let response = request.send().await.map_err(|error| reason(&error))?;
    if response.status() != StatusCode::OK {
        return Err(format!("it answers with status {}", response.status()));
    }
    let encoding = match text(response.headers(), &CONTENT_ENCODING).to_ascii_lowercase().as_str() {
        "" | "identity" => Encoding::Identity,
        "gzip" | "x-gzip" => Encoding::Gzip,
        "deflate" => Encoding::Zlib,
        "zstd" => Encoding::Zstd,
        other => {
            return Err(format!("it answers with the Content-Encoding `{other}`, which was not asked for"));
        }
    };
    let media = text(response.headers(), &CONTENT_TYPE).to_owned();
    let format = Format::of(&media);
    let remark = format.is_none().then(|| {
        format!("its Content-Type `{media}` is none of metrics; read as `text/plain; version=0.0.4`")
    });
    Ok(Fetched { body: stream(response), encoding, format: format.unwrap_or(Format::Text), remark })
}

fn stream(response: Response) -> Body {
    Body::from_stream(response.bytes_stream())
}

fn text<'h>(headers: &'h HeaderMap, name: &reqwest::header::HeaderName) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim()
}

/// The innermost reason: `error sending request` says nothing. The URL is known to who asks.
pub(super) fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
