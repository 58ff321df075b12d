//! Central configuration: agents ask for their settings, which come from the gateway's own configuration.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use axum::body::Body;
use axum::extract::Query;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::answer;
use crate::body::Encoding;
use crate::intake::{Door, Origin};
use crate::tenant::Tenant;

/// Settings of the agents of some services.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentSettings {
    /// Of this service only.
    pub service: Option<String>,
    /// In this environment only.
    pub environment: Option<String>,
    /// As agents name them, such as `transaction_sample_rate`.
    pub settings: BTreeMap<String, String>,
}

/// Seconds after which an agent asks again.
const MAX_AGE: &str = "max-age=30, must-revalidate";
/// The same after an error.
const MAX_AGE_ERROR: &str = "max-age=300, must-revalidate";

/// Who asks, and what it has already.
struct Asked {
    service: String,
    environment: String,
    etag: Option<String>,
}

/// The settings for an agent: the most particular that fit, the first of several.
fn settings<'a>(all: &'a [AgentSettings], asked: &Asked) -> Option<&'a AgentSettings> {
    let fits = |wanted: &Option<String>, has: &str| wanted.as_deref().is_none_or(|wanted| wanted == has);
    let rank = |one: &AgentSettings| (one.service.is_some(), one.environment.is_some());
    let fitting = all
        .iter()
        .filter(|one| fits(&one.service, &asked.service) && fits(&one.environment, &asked.environment));
    fitting.fold(None, |best, one| match best {
        Some(best) if rank(best) >= rank(one) => Some(best),
        _ => Some(one),
    })
}

/// Answers a question whose sender may ask.
pub(super) async fn answer(
    all: &[AgentSettings],
    door: &Door,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
) -> Response {
    let asked = match *method {
        Method::GET => of_query(uri),
        Method::POST => of_body(door, headers, body).await,
        _ => {
            let text = format!("method not supported: {method}");
            return failed(StatusCode::METHOD_NOT_ALLOWED, headers, &text);
        }
    };
    let asked = match asked {
        Ok(asked) => asked,
        Err(text) => return failed(StatusCode::BAD_REQUEST, headers, &text),
    };
    let (etag, value) = match settings(all, &asked) {
        None => ("-".to_owned(), json!({})),
        Some(found) => {
            let mut hasher = DefaultHasher::new();
            found.settings.hash(&mut hasher);
            (format!("{:016x}", hasher.finish()), json!(found.settings))
        }
    };
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let known = known.map(str::to_owned).or(asked.etag);
    let unchanged = known.is_some_and(|known| known.trim_start_matches("W/").trim_matches('"') == etag);
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let media = [(header::CONTENT_TYPE, "application/json")];
        (StatusCode::OK, media, value.to_string()).into_response()
    };
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{etag}\"")) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    kept_for(response, MAX_AGE)
}

/// An error, which agents wait after.
fn failed(status: StatusCode, headers: &HeaderMap, text: &str) -> Response {
    kept_for(answer::error(status, headers, text), MAX_AGE_ERROR)
}

/// Every answer says for how long it holds: agents ask at that pace.
pub(super) fn refused(response: Response) -> Response {
    kept_for(response, MAX_AGE_ERROR)
}

fn kept_for(mut response: Response, age: &'static str) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(age));
    response.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Etag"));
    response
}

fn asked(service: Option<&str>, environment: Option<&str>, etag: Option<&str>) -> Result<Asked, String> {
    let service = service.filter(|name| !name.is_empty()).ok_or("service.name is required")?;
    Ok(Asked {
        service: service.to_owned(),
        environment: environment.unwrap_or_default().to_owned(),
        etag: etag.map(str::to_owned),
    })
}

fn of_query(uri: &Uri) -> Result<Asked, String> {
    let Query(query) =
        Query::<HashMap<String, String>>::try_from_uri(uri).map_err(|error| error.to_string())?;
    let get = |key: &str| query.get(key).map(String::as_str);
    asked(get("service.name"), get("service.environment"), get("ifnonematch"))
}

async fn of_body(door: &Door, headers: &HeaderMap, body: Body) -> Result<Asked, String> {
    let tenant = Tenant::of(headers).map_err(|trouble| trouble.to_string())?;
    let origin = Origin { tenant, address: None };
    let read = door.read_from(origin, body, Encoding::Identity, 0).await;
    let wire = read.map_err(|trouble| trouble.to_string())?;
    let value: Value =
        serde_json::from_slice(&wire.body).map_err(|error| format!("the body is no JSON: {error}"))?;
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    asked(text("/service/name"), text("/service/environment"), text("/etag"))
}
