//! The Elastic APM receiver: intake v2, central configuration, and what agents ask of a server first.
//!
//! A request is a stream of lines (`stream`, `lines`), each an event (`decoder`), which a module a kind reads: `metadata`,
//! `spans`, `exception`, `ecs_log`, `metricset`.

mod agents;
mod answer;
mod auth;
mod decoder;
mod ecs_log;
mod exception;
mod fields;
mod flat;
mod lines;
mod metadata;
mod metricset;
mod routes;
mod spans;
mod stream;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use agents::AgentSettings;
use axum::http::HeaderMap;
use axum::response::Response;

use crate::counters::{Protocol, count};
use crate::intake::{Door, Intake};
use crate::wrong_path::alone;

/// How the receiver behaves.
#[derive(Clone, Default)]
pub struct ElasticApmOptions {
    /// Bytes of one request, on the wire and decompressed.
    pub max_body: usize,
    /// What agents show as their secret token. Without it and without keys, all may send.
    pub secret_token: Option<String>,
    /// API keys, each as `id:key`.
    pub api_keys: Vec<String>,
    /// Settings that agents fetch.
    pub agents: Vec<AgentSettings>,
}

/// The receiver, ready to be mounted. Cheap to clone.
#[derive(Clone)]
pub struct ElasticApm {
    inner: Arc<Inner>,
}

struct Inner {
    door: Door,
    keys: auth::Keys,
    agents: Vec<AgentSettings>,
}

impl Inner {
    /// 401, counted, if a request does not show what it has to.
    fn refusal(&self, headers: &HeaderMap) -> Option<Response> {
        let refusal = self.keys.refusal(headers)?;
        count(&self.door.counters().unauthorized, 1);
        Some(refusal)
    }
}

impl ElasticApm {
    /// Over what the gateway's receivers share.
    pub fn new(intake: &Intake, options: ElasticApmOptions) -> Self {
        let ElasticApmOptions { max_body, secret_token, api_keys, agents } = options;
        let keys = auth::Keys { secret_token, api_keys };
        Self { inner: Arc::new(Inner { door: intake.door(Protocol::ElasticApm, max_body), keys, agents }) }
    }

    /// `/intake/v2/events` and `/config/v1/agents`, to merge on the main port.
    pub fn http(&self) -> axum::Router {
        routes::router(Arc::clone(&self.inner))
    }

    /// As [`ElasticApm::http`], and `/`, for port 8200.
    pub fn port(&self) -> axum::Router {
        let port = self.http().merge(routes::root(Arc::clone(&self.inner)));
        alone(port, "POST to /intake/v2/events, and GET or POST of /config/v1/agents")
    }
}
