//! Handing a dashboard's query on: status and body come back as they are, bounded, over no connection header of either side.

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use reqwest::header::{self, HeaderMap, HeaderName};
use reqwest::{Method, StatusCode};
use store::read::ReadError;

use super::{Prometheus, request};

/// Request headers that mean something to the server. Credentials of the caller are for this gateway and stay here.
const PASSED: [HeaderName; 3] = [header::ACCEPT, header::CONTENT_TYPE, header::USER_AGENT];
/// Headers of one connection (RFC 9110, section 7.6.1), and the length, which the body tells.
const DROPPED: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "set-cookie",
];
/// Parts of the API that change something.
const WRITING: [&str; 3] = ["admin", "write", "otlp"];

/// Why nothing was handed on.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// Only reading is handed on.
    #[error("{0}")]
    NotAllowed(String),
    /// The body is over the bound.
    #[error("request body of {got} bytes is over the limit of {limit}")]
    TooLarge {
        /// Its length.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// The server failed.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// What the server answered.
pub struct Forwarded {
    /// Its status.
    pub status: StatusCode,
    /// Its headers less those of the connection. A compressed body was unpacked and its header taken away.
    pub headers: HeaderMap,
    /// Its body, ending with an error when it breaks or goes over the bound.
    pub body: BoxStream<'static, Result<Bytes, ReadError>>,
}

impl Prometheus {
    /// Hands on a GET or POST (form) below `/api/v1/`. `path_and_query` begins with `/api/v1/` and is sent as it is.
    pub async fn forward(
        &self,
        method: Method,
        path_and_query: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Forwarded, ForwardError> {
        let inner = &self.inner;
        check(&method, path_and_query)?;
        let limit = inner.options.forward_limit;
        if body.len() > limit {
            return Err(ForwardError::TooLarge { got: body.len(), limit });
        }
        let timeout = inner.options.forward_timeout;
        let mut request = inner.client.request(method.clone(), format!("{}{path_and_query}", inner.base));
        for name in &PASSED {
            if let Some(value) = headers.get(name) {
                request = request.header(name, value);
            }
        }
        // A tenant that the configuration names stays the one that is asked for.
        let tenants = headers.get(request::TENANT_HEADER).filter(|_| inner.options.tenant.is_none());
        if let Some(tenants) = tenants {
            request = request.header(request::TENANT_HEADER, tenants);
        }
        if method == Method::POST {
            request = request.body(body);
        }
        request = request::known(&inner.name, inner.options.credentials.as_ref(), request)?;
        let server = inner.name.clone();
        let to_error = move |error: &reqwest::Error| {
            if error.is_timeout() {
                ReadError::Timeout { server: server.clone(), after: timeout }
            } else {
                request::unreachable(&server, error)
            }
        };
        let response = request.timeout(timeout).send().await.map_err(|error| to_error(&error))?;
        let status = response.status();
        let headers = kept(response.headers());
        let server = inner.name.clone();
        let mut seen = 0;
        let body = response.bytes_stream().map(move |chunk| {
            let chunk = chunk.map_err(|error| to_error(&error))?;
            seen += chunk.len();
            if seen > limit {
                return Err(ReadError::BadAnswer {
                    server: server.clone(),
                    got: format!("more than {limit} bytes"),
                    expected: "a shorter body".to_owned(),
                });
            }
            Ok(chunk)
        });
        // The first error ends it: nobody reads on past the bound.
        let body = body.scan(false, |failed, chunk| {
            let next = (!*failed).then_some(chunk);
            *failed = matches!(next, Some(Err(_)));
            std::future::ready(next)
        });
        Ok(Forwarded { status, headers, body: body.boxed() })
    }
}

fn kept(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .collect();
    headers
        .iter()
        .filter(|(name, _)| !DROPPED.contains(&name.as_str()) && !named.iter().any(|n| n == name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn check(method: &Method, path_and_query: &str) -> Result<(), ForwardError> {
    let refuse = |detail: &str| Err(ForwardError::NotAllowed(detail.to_owned()));
    if method != Method::GET && method != Method::POST {
        return refuse("only GET and POST are handed on");
    }
    let path = path_and_query.split(['?', '#']).next().unwrap_or_default();
    let Some(rest) = path.strip_prefix("/api/v1/") else {
        return refuse("only paths below /api/v1/ are handed on");
    };
    // A client resolves dots, escaped ones too, before it sends: the path would be another.
    let lower = path.to_ascii_lowercase();
    if lower.replace("%2e", ".").split(['/', '\\']).any(|part| part == "." || part == "..") {
        return refuse("a path with . or .. is not handed on");
    }
    let first = rest.trim_start_matches('/').split('/').next().unwrap_or_default();
    if first.contains(['%', '\\']) || WRITING.contains(&first) {
        return refuse("only reading is handed on");
    }
    Ok(())
}
