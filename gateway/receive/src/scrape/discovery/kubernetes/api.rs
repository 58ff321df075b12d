//! The three requests of the API that are needed, over plain HTTPS.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;

use super::pods::Pod;
use crate::scrape::fetch::{builder, reason};
use crate::scrape::options::{Kubernetes, Tls};

/// Where a pod finds who it is.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Pods of one answer: some megabytes.
const PAGE: usize = 250;
/// Bytes of one answer.
const MAX_PAGE: usize = 32 << 20;
/// Bytes of one event; an object in the API has no more than 1.5 MiB.
const MAX_EVENT: usize = 4 << 20;
/// For a page.
const LIST_WITHIN: Duration = Duration::from_secs(30);
/// After this the API ends a watch by itself.
const WATCH_SECONDS: &str = "300";
/// A connection that is silent for so long is dead: bookmarks come every minute.
const SILENCE: Duration = Duration::from_secs(330);
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The version is too old to go on from.
    #[error("the API has forgotten the version")]
    Expired,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// What changed.
#[derive(Debug)]
pub(super) enum Event {
    /// New or changed.
    Put(Pod),
    Deleted(Pod),
    /// Nothing but how far it is.
    Bookmark(Pod),
}

/// The API of a cluster.
pub(super) struct Api {
    client: Client,
    url: String,
    token_file: Option<PathBuf>,
    /// Which pods.
    filters: Vec<(&'static str, String)>,
}

#[derive(Deserialize)]
struct List {
    metadata: ListMetadata,
    #[serde(default, deserialize_with = "super::pods::or_default")]
    items: Vec<Pod>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ListMetadata {
    resource_version: String,
    #[serde(rename = "continue", deserialize_with = "super::pods::or_default")]
    more: String,
}

#[derive(Deserialize)]
struct Line<'l> {
    #[serde(rename = "type")]
    kind: &'l str,
    #[serde(borrow)]
    object: &'l serde_json::value::RawValue,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    code: u16,
    message: String,
}

impl Api {
    /// As configured, or of the cluster in which we run.
    pub fn new(pods: &Kubernetes) -> Result<Self, String> {
        let account = |file: &str| Path::new(ACCOUNT).join(file);
        let (url, token_file, tls) = match &pods.api {
            Some(url) => (url.clone(), pods.token_file.clone(), pods.tls.clone()),
            None => {
                let get = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
                let host = get("KUBERNETES_SERVICE_HOST").ok_or(
                    "there is no Kubernetes API here: KUBERNETES_SERVICE_HOST is not set; set `kubernetes.api`",
                )?;
                let host = if host.contains(':') { format!("[{host}]") } else { host };
                let port = get("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".to_owned());
                let ca_file = pods.tls.ca_file.clone().or_else(|| Some(account("ca.crt")));
                let tls = Tls { ca_file, ..pods.tls.clone() };
                let token = pods.token_file.clone().unwrap_or_else(|| account("token"));
                (format!("https://{host}:{port}"), Some(token), tls)
            }
        };
        let client = builder(&tls)?.connect_timeout(CONNECT_WITHIN).read_timeout(SILENCE).build();
        let mut filters = Vec::new();
        filters.extend(pods.node.as_ref().map(|node| ("fieldSelector", format!("spec.nodeName={node}"))));
        filters.extend(pods.selector.as_ref().map(|selector| ("labelSelector", selector.clone())));
        Ok(Self { client: client.map_err(|error| reason(&error))?, url, token_file, filters })
    }

    async fn ask(
        &self,
        namespace: Option<&str>,
        query: &[(&str, &str)],
        within: Option<Duration>,
    ) -> Result<Response, Failure> {
        let path = match namespace {
            Some(namespace) => format!("/api/v1/namespaces/{namespace}/pods"),
            None => "/api/v1/pods".to_owned(),
        };
        let mut request = self.client.get(format!("{}{path}", self.url)).query(&self.filters).query(query);
        if let Some(within) = within {
            request = request.timeout(within);
        }
        if let Some(file) = &self.token_file {
            let token = std::fs::read_to_string(file)
                .map_err(|error| Failure::Other(format!("{}: {error}", file.display())))?;
            request = request.bearer_auth(token.trim());
        }
        let response = request.send().await.map_err(|error| Failure::Other(reason(&error)))?;
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response);
        }
        if status == StatusCode::GONE {
            return Err(Failure::Expired);
        }
        let said = body(response, MAX_EVENT).await.unwrap_or_default();
        let said: Status = serde_json::from_slice(&said).unwrap_or_default();
        let hint = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                "; it needs a service account that may list and watch pods"
            }
            _ => "",
        };
        Err(Failure::Other(format!("{path} answers with status {status}: {}{hint}", said.message)))
    }

    /// All pods that there are, and the version from which to watch.
    pub async fn list(&self, namespace: Option<&str>) -> Result<(Vec<Pod>, String), Failure> {
        let (limit, mut more, mut pods) = (PAGE.to_string(), String::new(), Vec::new());
        loop {
            let mut query = vec![("limit", limit.as_str())];
            if !more.is_empty() {
                query.push(("continue", &more));
            }
            let response = self.ask(namespace, &query, Some(LIST_WITHIN)).await?;
            let page = body(response, MAX_PAGE).await.map_err(Failure::Other)?;
            let list: List = serde_json::from_slice(&page)
                .map_err(|error| Failure::Other(format!("no list of pods: {error}")))?;
            pods.extend(list.items.into_iter().filter(Pod::wants_scraping).take(super::MAX_PODS));
            more = list.metadata.more;
            if more.is_empty() {
                return Ok((pods, list.metadata.resource_version));
            }
        }
    }

    /// What changes from a version on.
    pub async fn watch(&self, namespace: Option<&str>, version: &str) -> Result<Events, Failure> {
        let query = [
            ("watch", "1"),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", WATCH_SECONDS),
            ("resourceVersion", version),
        ];
        let response = self.ask(namespace, &query, None).await?;
        Ok(Events { response, buffer: Vec::new() })
    }
}

/// An answer that goes on: a JSON object a line.
pub(super) struct Events {
    response: Response,
    buffer: Vec<u8>,
}

impl Events {
    /// The next one; `None` at the end of the answer.
    pub async fn next(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            while let Some(end) = memchr::memchr(b'\n', &self.buffer) {
                let event = event(self.buffer.get(..end).unwrap_or_default());
                self.buffer.drain(..=end);
                if let Some(event) = event? {
                    return Ok(Some(event));
                }
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) if self.buffer.len() + chunk.len() <= MAX_EVENT => {
                    self.buffer.extend_from_slice(&chunk);
                }
                Ok(Some(_)) => return Err(Failure::Other(format!("an event over {MAX_EVENT} bytes"))),
                Ok(None) => return Ok(None),
                Err(error) => return Err(Failure::Other(format!("the watch broke off: {}", reason(&error)))),
            }
        }
    }
}

fn event(line: &[u8]) -> Result<Option<Event>, Failure> {
    if line.trim_ascii().is_empty() {
        return Ok(None);
    }
    let bad = |error| Failure::Other(format!("no event of a watch: {error}"));
    let line: Line<'_> = serde_json::from_slice(line).map_err(bad)?;
    let pod = || serde_json::from_str::<Pod>(line.object.get()).map_err(bad);
    Ok(match line.kind {
        "ADDED" | "MODIFIED" => Some(Event::Put(pod()?)),
        "DELETED" => Some(Event::Deleted(pod()?)),
        "BOOKMARK" => Some(Event::Bookmark(pod()?)),
        "ERROR" => {
            let status: Status = serde_json::from_str(line.object.get()).unwrap_or_default();
            return Err(if status.code == StatusCode::GONE.as_u16() {
                Failure::Expired
            } else {
                Failure::Other(format!("the watch says: {} ({})", status.message, status.code))
            });
        }
        _ => None,
    })
}

async fn body(mut response: Response, most: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| reason(&error))? {
        if body.len() + chunk.len() > most {
            return Err(format!("an answer over {most} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
