//! A client with bounded answers and deadlines.

use std::sync::Once;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

/// Larger than any answer that a test asks for.
const MAX_BODY: usize = 64 << 20;
/// Far beyond any answer's own deadline; a test that meets it has found a hang.
const DEADLINE: Duration = Duration::from_secs(30);

/// An HTTP client.
#[derive(Debug, Clone)]
pub struct Http {
    client: reqwest::Client,
}

/// What came back, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, or nothing.
    pub content_type: String,
    /// The body, as it was before any transfer compression.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text, whatever does not fit replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("status {}, no JSON: {}", self.status, self.excerpt()))
    }

    /// The body as JSON, if the status is 200.
    pub fn ok_json(&self) -> anyhow::Result<Value> {
        ensure!(self.status == 200, "status {}: {}", self.status, self.excerpt());
        self.json()
    }

    fn excerpt(&self) -> String {
        self.text().chars().take(300).collect()
    }
}

impl Http {
    /// A client; the process gets its TLS provider with the first one.
    pub fn new() -> anyhow::Result<Self> {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // An error says that the gateway, in this same process, was first; its provider is the same one.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        Ok(Self { client: reqwest::Client::builder().timeout(DEADLINE).build()? })
    }

    /// `GET`.
    pub async fn get(&self, url: &str) -> anyhow::Result<Answer> {
        self.get_with(url, &[]).await
    }

    /// `GET` with headers.
    pub async fn get_with(&self, url: &str, headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
        send(url, headers, self.client.get(url)).await
    }

    /// `POST` of a body with headers.
    pub async fn post(&self, url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> anyhow::Result<Answer> {
        send(url, headers, self.client.post(url).body(body)).await
    }
}

async fn send(
    url: &str,
    headers: &[(&str, &str)],
    mut request: reqwest::RequestBuilder,
) -> anyhow::Result<Answer> {
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = request.send().await.with_context(|| url.to_owned())?;
    let status = response.status().as_u16();
    let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        ensure!(body.len() + chunk.len() <= MAX_BODY, "{url} answered more than {MAX_BODY} bytes");
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, content_type, body })
}
