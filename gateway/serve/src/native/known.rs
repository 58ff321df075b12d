//! Nothing of a question is ignored in silence: parameters that a path does not have, and keys that its answer never has, are refused
//! with what there is. What there is says the description of this surface, from which this is made.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Query, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use utoipa::openapi::OpenApi;

use super::near;
use super::request::Refusal;

/// Parameters of each path, and keys of the first level of its answer.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<String, (Vec<String>, Vec<String>)>);

impl Known {
    /// Of the paths that are described.
    pub(super) fn of(document: &OpenApi) -> Self {
        let document = serde_json::to_value(document).unwrap_or_default();
        let mut known = HashMap::new();
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            let question = &item["get"];
            let parameters = question["parameters"].as_array().into_iter().flatten();
            let parameters = parameters.map(|parameter| resolved(&document, parameter));
            let of_query = parameters.filter(|parameter| parameter["in"] == "query");
            let names = of_query.filter_map(|parameter| Some(parameter["name"].as_str()?.to_owned()));
            let schema = &question["responses"]["200"]["content"]["application/json"]["schema"];
            let keys = resolved(&document, schema)["properties"].as_object();
            let keys = keys.into_iter().flatten().map(|(key, _)| key.clone());
            known.insert(path.clone(), (names.collect(), keys.collect()));
        }
        Self(known)
    }

    fn check(&self, path: &str, query: &[(String, String)]) -> Result<(), Refusal> {
        let Some((parameters, keys)) = self.0.get(path) else { return Ok(()) };
        for (place, (name, value)) in query.iter().enumerate() {
            if !parameters.contains(name) {
                return Err(unknown("parameter", name, parameters));
            }
            if query.iter().take(place).any(|(other, _)| other == name) {
                let detail = format!("`{name}` is there more than once: expected one of it");
                return Err(Refusal::new(detail));
            }
            if value.trim().is_empty() {
                let detail =
                    format!("invalid {name} {value:?}: expected a value; what is not wanted is left out");
                return Err(Refusal::new(detail));
            }
            let fields =
                value.split(',').map(str::trim).filter(|field| name == "fields" && !field.is_empty());
            for field in fields {
                if !keys.is_empty() && !keys.iter().any(|key| key == field) {
                    return Err(unknown("key in fields", field, keys));
                }
            }
        }
        Ok(())
    }
}

/// What a reference inside the document stands for.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target = value["$ref"].as_str().and_then(|place| place.strip_prefix('#'));
    target.and_then(|place| document.pointer(place)).unwrap_or(value)
}

fn unknown(what: &str, name: &str, known: &[String]) -> Refusal {
    let shown: String = name.chars().take(64).collect();
    let near = near::to(&shown, known.iter().map(String::as_str));
    let meant = near.first().map_or_else(String::new, |near| format!("did you mean `{near}`? "));
    Refusal::new(format!("unknown {what} {shown:?}: {meant}known are {}", known.join(", ")))
}

/// Refuses questions that say what nobody reads.
pub(super) async fn refuse_unknown(
    State(known): State<Arc<Known>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let query = Query::<Vec<(String, String)>>::try_from_uri(request.uri());
    // A query that is none is refused where it is read.
    if let (Some(path), Ok(Query(query))) = (path, query)
        && let Err(refusal) = known.check(path, &query)
    {
        return refusal.into_response();
    }
    next.run(request).await
}
