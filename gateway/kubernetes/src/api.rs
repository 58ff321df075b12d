//! The requests of the API that are needed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Certificate, Client, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::follow::Object;

/// Where a pod finds who it is.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Objects of one answer: some megabytes.
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
/// Connections that wait for the next request.
const IDLE_CONNECTIONS: usize = 2;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The version is too old to go on from.
    #[error("the API has forgotten the version")]
    Expired,
    /// There is no such object.
    #[error("{0}")]
    Missing(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// How the API is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Access {
    /// Its URL; without one, that of the cluster in which we run.
    pub url: Option<String>,
    /// How it knows us, read for each request since tokens are renewed; without it, as the service account, if the URL is the
    /// cluster's own.
    pub token_file: Option<PathBuf>,
    /// Whom to trust, in PEM; without it, the cluster's authority.
    pub ca_file: Option<PathBuf>,
    /// Any certificate will do.
    pub insecure_skip_verify: bool,
}

impl Access {
    /// Whether there is anything to ask: a URL is given, or we run in a cluster, with a service account.
    pub fn is_there(&self) -> bool {
        self.url.is_some()
            || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some_and(|host| !host.is_empty())
                && self.token_file.as_deref().unwrap_or(&account("token")).is_file()
    }
}

fn account(file: &str) -> PathBuf {
    Path::new(ACCOUNT).join(file)
}

/// Which objects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kind {
    /// Such as `/api/v1/pods`.
    pub path: String,
    /// `fieldSelector` and `labelSelector`.
    pub filters: Vec<(&'static str, String)>,
    /// What the API has in memory is good enough for the first list: it costs the cluster's storage nothing, and the watch
    /// tells what has changed since.
    pub cached: bool,
    /// Objects kept of a list at most.
    pub most: usize,
}

/// The API of a cluster.
#[derive(Debug)]
pub struct Api {
    client: Client,
    url: String,
    token_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct List<T> {
    metadata: ListMetadata,
    #[serde(default = "Vec::new", deserialize_with = "or_default")]
    items: Vec<T>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ListMetadata {
    #[serde(deserialize_with = "or_default")]
    resource_version: String,
    #[serde(rename = "continue", deserialize_with = "or_default")]
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
    #[serde(deserialize_with = "or_default")]
    message: String,
}

/// The API writes `null` for what is empty.
pub fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

impl Api {
    /// As configured, or of the cluster in which we run. An error says what is missing for that.
    pub fn new(access: &Access) -> Result<Self, String> {
        let (mut ca_file, mut token_file) = (access.ca_file.clone(), access.token_file.clone());
        let url = match &access.url {
            Some(url) => url.clone(),
            None => {
                let get = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
                let host = get("KUBERNETES_SERVICE_HOST").ok_or(
                    "there is no Kubernetes API here: KUBERNETES_SERVICE_HOST is not set; set `kubernetes.api`",
                )?;
                let host = if host.contains(':') { format!("[{host}]") } else { host };
                let port = get("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".to_owned());
                ca_file.get_or_insert_with(|| account("ca.crt"));
                token_file.get_or_insert_with(|| account("token"));
                format!("https://{host}:{port}")
            }
        };
        let mut client = Client::builder()
            .user_agent(concat!("Trefoil/", env!("CARGO_PKG_VERSION")))
            // The API is near; a proxy of the environment is for what is not.
            .no_proxy()
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .tls_danger_accept_invalid_certs(access.insecure_skip_verify)
            .connect_timeout(CONNECT_WITHIN)
            .read_timeout(SILENCE);
        if let Some(file) = &ca_file {
            let bad = |detail: String| format!("{}: {detail}", file.display());
            let pem = std::fs::read(file).map_err(|error| bad(error.to_string()))?;
            let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| bad(error.to_string()))?;
            client = client.tls_certs_only(certificates);
        }
        Ok(Self { client: client.build().map_err(|error| reason(&error))?, url, token_file })
    }

    async fn ask(
        &self,
        path: &str,
        query: &[(&str, &str)],
        within: Option<Duration>,
    ) -> Result<Response, Failure> {
        let mut request = self.client.get(format!("{}{path}", self.url)).query(query);
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
        let what = path.rsplit('/').next().unwrap_or_default();
        let hint = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                format!("; it needs a service account that may list and watch {what}")
            }
            _ => String::new(),
        };
        let said = format!("{path} answers with status {status}: {}{hint}", said.message);
        Err(if status == StatusCode::NOT_FOUND { Failure::Missing(said) } else { Failure::Other(said) })
    }

    /// One object.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let response = self.ask(path, &[], Some(LIST_WITHIN)).await?;
        let object = body(response, MAX_EVENT).await.map_err(Failure::Other)?;
        serde_json::from_slice(&object)
            .map_err(|error| Failure::Other(format!("{path} is no object: {error}")))
    }

    /// All objects that there are and that are wanted, and the version from which to watch. `cached` takes what the API has in memory.
    pub async fn list<T: Object>(
        &self,
        kind: &Kind,
        cached: bool,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<(Vec<T>, String), Failure> {
        let (limit, mut more, mut objects) = (PAGE.to_string(), String::new(), Vec::new());
        loop {
            let mut query = kind.query();
            query.push(("limit", limit.as_str()));
            if !more.is_empty() {
                query.push(("continue", &more));
            } else if cached {
                query.push(("resourceVersion", "0"));
            }
            let response = self.ask(&kind.path, &query, Some(LIST_WITHIN)).await?;
            let page = body(response, MAX_PAGE).await.map_err(Failure::Other)?;
            let list: List<T> = serde_json::from_slice(&page)
                .map_err(|error| Failure::Other(format!("{} is no list: {error}", kind.path)))?;
            let room = kind.most.saturating_sub(objects.len());
            objects.extend(list.items.into_iter().filter(&wanted).take(room));
            more = list.metadata.more;
            if more.is_empty() {
                return Ok((objects, list.metadata.resource_version));
            }
        }
    }

    /// What changes from a version on.
    pub(crate) async fn watch(&self, kind: &Kind, version: &str) -> Result<Events, Failure> {
        let mut query = kind.query();
        query.extend([
            ("watch", "1"),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", WATCH_SECONDS),
            ("resourceVersion", version),
        ]);
        let response = self.ask(&kind.path, &query, None).await?;
        Ok(Events { response, buffer: Vec::new(), seen: 0 })
    }
}

impl Kind {
    fn query(&self) -> Vec<(&str, &str)> {
        self.filters.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }
}

/// What changed.
#[derive(Debug)]
pub(crate) enum Event<T> {
    /// New or changed.
    Put(T),
    Deleted(T),
    /// Nothing but how far it is.
    Bookmark(T),
}

/// An answer that goes on: a JSON object a line.
pub(crate) struct Events {
    response: Response,
    buffer: Vec<u8>,
    /// Bytes at the buffer's beginning that have no end of a line.
    seen: usize,
}

impl Events {
    /// The next one; `None` at the end of the answer, where half a line is as good as none.
    pub async fn next<T: Object>(&mut self) -> Result<Option<Event<T>>, Failure> {
        loop {
            let fresh = self.buffer.get(self.seen..).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', fresh) {
                let end = self.seen + end;
                let event = event(self.buffer.get(..end).unwrap_or_default());
                self.buffer.drain(..=end);
                self.seen = 0;
                match event? {
                    Some(event) => return Ok(Some(event)),
                    None => continue,
                }
            }
            self.seen = self.buffer.len();
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

fn event<T: Object>(line: &[u8]) -> Result<Option<Event<T>>, Failure> {
    if line.trim_ascii().is_empty() {
        return Ok(None);
    }
    let bad = |error| Failure::Other(format!("no event of a watch: {error}"));
    let line: Line<'_> = serde_json::from_slice(line).map_err(bad)?;
    let object = || serde_json::from_str::<T>(line.object.get()).map_err(bad);
    Ok(match line.kind {
        "ADDED" | "MODIFIED" => Some(Event::Put(object()?)),
        "DELETED" => Some(Event::Deleted(object()?)),
        "BOOKMARK" => Some(Event::Bookmark(object()?)),
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

/// The innermost reason: `error sending request` says nothing. The URL is known to who asks.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
