//! Asking the servers behind data sources as Grafana would: directly, or through a Grafana that has their secrets.

use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

use super::sources::{DataSource, Shown};
use crate::caller::Known;
use crate::provision::Access;

/// A query that Grafana would wait for no longer either.
const TIMEOUT: Duration = Duration::from_secs(30);
/// More than any answer to the questions asked here.
const MAX_ANSWER: usize = 32 << 20;
/// Of what a server says when it refuses, this much is shown.
const SHOWN: usize = 200;

/// The way to the servers.
pub struct Doorway {
    client: Known,
    /// A Grafana that hands requests on, and how it knows who asks.
    through: Option<(String, Access)>,
}

/// What a server answered.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The body; null where it is no JSON.
    pub json: Value,
    /// Its clock, s since 1970, as the header `Date` has it.
    pub clock: Option<i64>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No connection, or none that lasts.
    #[error("{url}: {detail}")]
    Unreached {
        /// What was asked.
        url: String,
        /// What the connection said.
        detail: String,
    },
    /// Another status than those of success.
    #[error("{url} answered {status}: {said}")]
    Status {
        /// What was asked.
        url: String,
        /// Which.
        status: StatusCode,
        /// In which words, shortened.
        said: String,
    },
    /// More than anybody would read.
    #[error("{url} answered more than {MAX_ANSWER} bytes")]
    TooMuch {
        /// What was asked.
        url: String,
    },
}

impl Trouble {
    /// Whether the server wants to know who asks.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Status { status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, .. })
    }

    /// Whether there is a server that knows no such path.
    pub(super) fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Status { status: StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, .. })
    }

    /// Whether the server's certificate was not believed.
    pub(super) fn is_distrust(&self) -> bool {
        matches!(self, Self::Unreached { detail, .. } if detail.contains("certificate"))
    }
}

impl Doorway {
    /// Straight to each server.
    pub fn direct(client: Known) -> Self {
        Self { client, through: None }
    }

    /// Through this Grafana.
    pub fn through(client: Known, url: &str, access: Access) -> Self {
        Self { client, through: Some((url.trim_end_matches('/').to_owned(), access)) }
    }

    /// The JSON at an address, for the one who asks here.
    pub async fn get(&self, url: &str, parameters: &[(&str, &str)]) -> Result<Answer, Trouble> {
        let request = self.client.get(url);
        let request = match &self.through {
            Some((_, Access::Token(token))) => request.bearer_auth(token),
            Some((_, Access::Basic(user, password))) => request.basic_auth(user, Some(password)),
            Some((_, Access::Anonymous)) | None => request,
        };
        send(url, request, parameters).await
    }

    /// Asks the server of a data source.
    pub(super) async fn ask(
        &self,
        source: &DataSource,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Value, Trouble> {
        Ok(self.ask_at(source, &source.url, path, parameters).await?.json)
    }

    /// Asks at another address as its data source would; through a Grafana, the address is always the data source's own.
    pub(super) async fn ask_at(
        &self,
        source: &DataSource,
        at: &str,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Answer, Trouble> {
        if let Some((grafana, _)) = &self.through {
            let url = format!("{grafana}/api/datasources/proxy/uid/{}{path}", source.uid);
            return self.get(&url, parameters).await;
        }
        let url = format!("{at}{path}");
        match &source.shown {
            Shown::Ours => self.get(&url, parameters).await,
            Shown::Headers(headers) => {
                let request = self.client.get_unknown(&url);
                let request =
                    headers.iter().fold(request, |request, (name, value)| request.header(name, value));
                send(&url, request, parameters).await
            }
        }
    }

    /// Whether addresses can be tried that no data source has.
    pub(super) fn is_direct(&self) -> bool {
        self.through.is_none()
    }
}

async fn send(url: &str, request: RequestBuilder, parameters: &[(&str, &str)]) -> Result<Answer, Trouble> {
    let request = request.query(parameters).timeout(TIMEOUT).header("accept", "application/json");
    let broken = |error: reqwest::Error| Trouble::Unreached {
        url: url.to_owned(),
        detail: crate::cli::root_cause(&error),
    };
    let mut answer = request.send().await.map_err(broken)?;
    let clock = answer.headers().get("date").and_then(|date| date.to_str().ok()).and_then(seconds);
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Trouble::TooMuch { url: url.to_owned() });
        }
        body.extend_from_slice(&chunk);
    }
    if !answer.status().is_success() {
        let said: String = String::from_utf8_lossy(&body).trim().chars().take(SHOWN).collect();
        return Err(Trouble::Status { url: url.to_owned(), status: answer.status(), said });
    }
    // Health answers are plain words.
    Ok(Answer { json: serde_json::from_slice(&body).unwrap_or(Value::Null), clock })
}

/// The time in a header such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn seconds(date: &str) -> Option<i64> {
    Some(jiff::fmt::rfc2822::parse(date).ok()?.timestamp().as_second())
}
