//! Asking the servers behind data sources as Grafana would: directly, or through a Grafana that has their secrets.

use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::Value;

use super::Patient;
use super::report::Finding;
use super::sources::DataSource;
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

impl Doorway {
    /// Straight to each server.
    pub fn direct(client: Known) -> Self {
        Self { client, through: None }
    }

    /// Through this Grafana.
    pub fn through(client: Known, url: &str, access: Access) -> Self {
        Self { client, through: Some((url.trim_end_matches('/').to_owned(), access)) }
    }

    fn let_in(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.through {
            Some((_, Access::Token(token))) => request.bearer_auth(token),
            Some((_, Access::Basic(user, password))) => request.basic_auth(user, Some(password)),
            Some((_, Access::Anonymous)) | None => request,
        }
    }

    /// The JSON at an address; anything else is told in words.
    pub async fn get(&self, url: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let request = self.client.get(url).query(parameters).timeout(TIMEOUT);
        let request = self.let_in(request).header("accept", "application/json");
        let broken = |error: reqwest::Error| format!("{url}: {}", crate::cli::root_cause(&error));
        let mut answer = request.send().await.map_err(broken)?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(format!("{url} answered more than {MAX_ANSWER} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        if !answer.status().is_success() {
            let said: String = String::from_utf8_lossy(&body).chars().take(SHOWN).collect();
            return Err(format!("{url} answered {}: {}", answer.status(), said.trim()));
        }
        // Health answers are plain words.
        Ok(serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// Asks the server of a data source.
    pub(super) async fn ask(
        &self,
        source: &DataSource,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Value, String> {
        let url = match &self.through {
            Some((grafana, _)) => format!("{grafana}/api/datasources/proxy/uid/{}{path}", source.uid),
            None => format!("{}{path}", source.url),
        };
        self.get(&url, parameters).await
    }
}

/// Whether a data source's server answers what "Save & test" asks.
pub(super) async fn health(patient: &Patient<'_>, source: &DataSource) -> Finding {
    let (path, parameters): (&str, &[(&str, &str)]) = match source.kind.as_str() {
        "loki" => ("/loki/api/v1/query", &[("query", "vector(1)+vector(1)"), ("time", "4000000000")]),
        "tempo" => ("/api/echo", &[]),
        "jaeger" => ("/api/services", &[]),
        "zipkin" => ("/api/v2/services", &[]),
        "prometheus" => ("/api/v1/query", &[("query", "1+1"), ("time", "4")]),
        _ => return Finding::skipped(source, "server", "a plugin that has no part in this"),
    };
    match patient.doorway.ask(source, path, parameters).await {
        Ok(_) => Finding::alive(source, "server", format!("{} answers", source.url)),
        Err(error) => {
            Finding::dead(source, "server", error, "correct the data source's `url`, or start what it names")
        }
    }
}
