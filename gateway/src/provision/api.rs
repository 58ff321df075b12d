//! Grafana's HTTP API, as far as provisioning needs it: data sources by uid, a folder, dashboards.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use dashboards::Target;

/// Grafana writes to its database for each call; one that takes longer is not coming back.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Of an answer that refuses something, this much is shown.
const SHOWN: usize = 300;
/// The folder's uid and title.
const FOLDER: (&str, &str) = ("trefoil", "Trefoil");

/// How Grafana knows who asks.
#[derive(Clone, PartialEq, Eq)]
pub enum Access {
    /// A service account's token.
    Token(String),
    /// A person's name and password.
    Basic(String, String),
    /// Anybody may: only in a Grafana that is set up so.
    Anonymous,
}

impl Access {
    /// What the environment says: `GRAFANA_TOKEN`, else `GRAFANA_USER` with `GRAFANA_PASSWORD`.
    pub fn from_environment(get: impl Fn(&str) -> Option<String>) -> Self {
        match (get("GRAFANA_TOKEN"), get("GRAFANA_USER")) {
            (Some(token), _) => Self::Token(token),
            (None, Some(user)) => Self::Basic(user, get("GRAFANA_PASSWORD").unwrap_or_default()),
            (None, None) => Self::Anonymous,
        }
    }
}

/// What went wrong, in words for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// Nobody there, or not in time.
    #[error("{url} cannot be asked: {detail}")]
    Unreachable {
        /// What was called.
        url: String,
        /// What the connection said.
        detail: String,
    },
    /// Grafana said no.
    #[error("{url} answered {status}: {said}{hint}")]
    Refused {
        /// What was called.
        url: String,
        /// With which status.
        status: StatusCode,
        /// In which words, shortened.
        said: String,
        /// What to do about it; may be empty.
        hint: &'static str,
    },
}

/// One Grafana.
pub struct Grafana {
    url: String,
    access: Access,
    client: reqwest::Client,
}

impl Grafana {
    /// The one at this address.
    pub fn new(url: &str, access: Access) -> Self {
        Self { url: url.trim_end_matches('/').to_owned(), access, client: reqwest::Client::new() }
    }

    /// Makes or renews everything, and tells of each thing as it is done.
    pub async fn provision(
        &self,
        target: &Target,
        mut done: impl FnMut(String),
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let sources: Vec<Value> = serde_json::from_str(&dashboards::datasources(target)?)?;
        for source in &sources {
            let (uid, name) = (text(source, "uid"), text(source, "name"));
            let path = format!("/api/datasources/uid/{uid}");
            let known = self.call(Method::GET, &path, None).await?;
            match known.0 {
                StatusCode::NOT_FOUND => self.accepted(Method::POST, "/api/datasources", source).await?,
                status if status.is_success() => self.accepted(Method::PUT, &path, source).await?,
                _ => return Err(self.refused(&path, known).into()),
            }
            done(format!("data source {name}"));
        }
        let (folder, title) = FOLDER;
        let known = self.call(Method::GET, &format!("/api/folders/{folder}"), None).await?;
        if !known.0.is_success() {
            self.accepted(Method::POST, "/api/folders", &json!({"uid": folder, "title": title})).await?;
        }
        for file in dashboards::dashboards(target) {
            let mut body: Value = serde_json::from_str(&file.contents)?;
            if let Some(body) = body.as_object_mut() {
                body.insert("folderUid".to_owned(), folder.into());
            }
            self.accepted(Method::POST, "/api/dashboards/db", &body).await?;
            done(format!(
                "dashboard {}",
                body.pointer("/dashboard/title").and_then(Value::as_str).unwrap_or_default()
            ));
        }
        Ok(())
    }

    async fn accepted(&self, method: Method, path: &str, body: &Value) -> Result<(), ApiError> {
        let answer = self.call(method, path, Some(body)).await?;
        if answer.0.is_success() { Ok(()) } else { Err(self.refused(path, answer)) }
    }

    fn refused(&self, path: &str, (status, said): (StatusCode, String)) -> ApiError {
        let hint = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                "; GRAFANA_TOKEN must hold the token of a service account with the role Admin"
            }
            StatusCode::CONFLICT => {
                "; a data source of that name is there already with another uid: rename or delete it"
            }
            _ => "",
        };
        ApiError::Refused { url: format!("{}{path}", self.url), status, said, hint }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, String), ApiError> {
        let url = format!("{}{path}", self.url);
        let mut request = self.client.request(method, &url).timeout(TIMEOUT);
        request = match &self.access {
            Access::Token(token) => request.bearer_auth(token),
            Access::Basic(user, password) => request.basic_auth(user, Some(password)),
            Access::Anonymous => request,
        };
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let unreachable = |error: reqwest::Error| ApiError::Unreachable {
            url: url.clone(),
            detail: crate::cli::root_cause(&error),
        };
        let mut answer = request.send().await.map_err(unreachable)?;
        let (status, mut said) = (answer.status(), Vec::new());
        while said.len() < SHOWN {
            let Some(chunk) = answer.chunk().await.map_err(unreachable)? else { break };
            said.extend_from_slice(&chunk);
        }
        said.truncate(SHOWN);
        Ok((status, String::from_utf8_lossy(&said).into_owned()))
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
