//! The answers where a metrics server is configured, and samples are stored here as well. A query for series of that server alone
//! is handed on; one for series that Trefoil makes, or another that asks for stored series too, is evaluated here, over the
//! samples of both. Lists of what there is are put together.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use correlate::red::only_name;
use parsers::record::{Labels, MetricMeta};
use query::promql::{parse, parse_selector};
use serde_json::{Value, json};
use store::read::{Matcher, ReadError, SampleLimits, SampleRead, SeriesSamples, Window};
use tokio::runtime::Handle;

use super::embedded::{CUT, Described, NAMES, Remarks, described, describes, evaluate};
use super::error::{Failure, error};
use super::place::Place;
use super::routes::{Forward, ForwardFailure};
use super::targets;
use crate::State;
use crate::parameters::Parameters;
use crate::tenant;

/// Bytes of a list that is read to be added to: what a server may answer at most.
const LIST_LIMIT: usize = 64 << 20;

/// What is asked of the server.
pub(super) struct Asked<'a> {
    pub(super) parts: &'a Parts,
    /// Path and query, from `/api/v1/` on.
    pub(super) inner: &'a str,
    pub(super) body: Bytes,
}

impl Asked<'_> {
    async fn parameters(&self) -> Option<Parameters> {
        let request = Request::from_parts(self.parts.clone(), Body::from(self.body.clone()));
        Parameters::from_request(request, &()).await.ok()
    }

    async fn forward(&self, server: &dyn Forward) -> Result<Response, ForwardFailure> {
        let (method, headers) = (self.parts.method.clone(), &self.parts.headers);
        server.forward(method, self.inner, headers, self.body.clone()).await
    }
}

fn failed(failure: &ForwardFailure) -> Response {
    error(failure.status, "unavailable", &failure.detail)
}

/// Answers what is asked of `/prometheus/api/v1/…`.
pub(super) async fn answer(state: State, server: Arc<dyn Forward>, asked: Asked<'_>) -> Response {
    let path = asked.inner.split('?').next().unwrap_or_default();
    let name = path.strip_prefix("/api/v1/").unwrap_or_default().to_owned();
    let ours = match name.as_str() {
        "query" | "query_range" => queried(&state, &server, &asked, name == "query_range").await,
        "targets" => return targeted(&state, &*server, &asked).await,
        _ if describes(&name) => return listed(&state, &*server, &asked, name).await,
        _ => None,
    };
    match ours {
        Some(Ok(body)) => json_answer(body),
        Some(Err(failure)) => failure.into_response(),
        None => asked.forward(&*server).await.unwrap_or_else(|failure| failed(&failure)),
    }
}

/// The answer to a query; `None` if it is the server's to give, in its own words.
async fn queried(
    state: &State,
    server: &Arc<dyn Forward>,
    asked: &Asked<'_>,
    range: bool,
) -> Option<Result<String, Failure>> {
    let parameters = asked.parameters().await?;
    let selectors = parse(parameters.get("query").unwrap_or_default()).ok()?.selectors();
    let tenants = asked.parts.headers.get(tenant::HEADER).and_then(|value| value.to_str().ok());
    let source = Merged {
        ours: Arc::clone(&state.samples),
        theirs: Arc::clone(server),
        tenants: tenants.map(str::to_owned),
        runtime: Handle::current(),
        remarks: Remarks::default(),
    };
    let allowance = state.capacity.allowance();
    let evaluated = state.reads.run(move || {
        let mut all_theirs = true;
        for matchers in &selectors {
            all_theirs &= Place::of(&*source.ours, matchers)? == Place::Theirs;
        }
        if all_theirs {
            return Ok(None);
        }
        evaluate(&source, range, &parameters, (&source.remarks, allowance)).map(Some)
    });
    match evaluated.await {
        Ok(answered) => answered.transpose(),
        Err(error) => Some(Err(error.into())),
    }
}

/// The samples of both. Reading waits for the server, so it belongs on a thread for blocking work.
struct Merged {
    ours: Arc<dyn SampleRead>,
    theirs: Arc<dyn Forward>,
    tenants: Option<String>,
    runtime: Handle,
    remarks: Remarks,
}

impl SampleRead for Merged {
    fn select(
        &self,
        matchers: &[Matcher],
        window: Window,
        limits: SampleLimits,
    ) -> Result<Vec<SeriesSamples>, ReadError> {
        let place = Place::of(&*self.ours, matchers)?;
        let ours = match place {
            Place::Theirs => Vec::new(),
            Place::Ours | Place::Both(_) => self.ours.select(matchers, window, limits)?,
        };
        if place == Place::Ours {
            return Ok(ours);
        }
        let held: usize = ours.iter().map(|series| series.samples.len()).sum();
        let left = SampleLimits {
            series: limits.series.saturating_sub(ours.len()),
            samples: limits.samples.saturating_sub(held as u64),
        };
        let asked = self.theirs.samples(matchers, window, left, self.tenants.as_deref());
        let mut theirs = match self.runtime.block_on(asked) {
            Ok(theirs) => theirs,
            // What is here is an answer; what is missing of it is said.
            Err(error) if place != Place::Theirs && !matches!(error, ReadError::TooMany { .. }) => {
                let mut remarks = self.remarks.lock().unwrap_or_else(PoisonError::into_inner);
                let remark = format!("series that are stored here alone: {error}");
                if !remarks.contains(&remark) {
                    remarks.push(remark);
                }
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        if let Place::Both(owned) = place {
            let is_owned = |name: &str| owned.iter().any(|own| own == name);
            theirs.retain(|series| !series.labels.get("__name__").is_some_and(is_owned));
        }
        Ok(together(ours, theirs))
    }

    fn label_sets(&self, selectors: &[Vec<Matcher>], window: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        self.ours.label_sets(selectors, window)
    }

    fn metadata(&self) -> Result<Vec<MetricMeta>, ReadError> {
        self.ours.metadata()
    }
}

/// Series of both by their labels. Of two samples of one time ours stays.
fn together(ours: Vec<SeriesSamples>, theirs: Vec<SeriesSamples>) -> Vec<SeriesSamples> {
    let mut all: BTreeMap<Arc<Labels>, SeriesSamples> =
        ours.into_iter().map(|series| (Arc::clone(&series.labels), series)).collect();
    for mut series in theirs {
        let known = all.entry(Arc::clone(&series.labels)).or_insert_with(|| SeriesSamples {
            labels: Arc::clone(&series.labels),
            ..SeriesSamples::default()
        });
        known.samples.append(&mut series.samples);
        known.samples.sort_by_key(|sample| sample.time);
        known.samples.dedup_by_key(|sample| sample.time);
        known.histograms.append(&mut series.histograms);
        known.histograms.sort_by_key(|(time, _)| *time);
        known.histograms.dedup_by_key(|(time, _)| *time);
    }
    all.into_values().collect()
}

/// What there is on the server, with what is only here.
async fn listed(state: &State, server: &dyn Forward, asked: &Asked<'_>, name: String) -> Response {
    let Some(parameters) = asked.parameters().await else {
        return asked.forward(server).await.unwrap_or_else(|failure| failed(&failure));
    };
    let samples = Arc::clone(&state.samples);
    let ours = state.reads.run(move || {
        let ours = described(&*samples, &name, &parameters)?;
        let (mut owned, mut all) = (Vec::new(), name != "metadata");
        for selector in parameters.all("match[]") {
            let matchers = parse_selector(selector)?;
            match Place::of(&*samples, &matchers)? {
                Place::Ours => owned.extend(only_name(&matchers).map(str::to_owned)),
                Place::Both(names) => {
                    owned.extend(names);
                    all = false;
                }
                Place::Theirs => all = false,
            }
        }
        Ok::<_, Failure>((ours, all && !owned.is_empty(), owned))
    });
    let ours = match ours.await {
        Ok(Ok((ours, true, _))) => return json_answer(ours.body()),
        Ok(Ok((ours, false, owned))) => Some((ours, owned)),
        // What is wrong with a question is said by the server.
        _ => None,
    };
    let theirs = asked.forward(server).await;
    let Some((ours, owned)) = ours else { return theirs.unwrap_or_else(|failure| failed(&failure)) };
    let nothing = ours.data.as_array().is_some_and(Vec::is_empty)
        || ours.data.as_object().is_some_and(serde_json::Map::is_empty);
    let theirs = match theirs {
        Ok(theirs) => theirs,
        Err(failure) if nothing => return failed(&failure),
        Err(failure) => return ours_alone(&ours.data, &failure),
    };
    // Servers before 2.50 know no `limit`.
    if nothing && owned.is_empty() && ours.limit == NAMES {
        return theirs;
    }
    changed(theirs, |theirs| add(theirs, ours, &owned)).await
}

/// What is scraped there, and what is scraped here.
async fn targeted(state: &State, server: &dyn Forward, asked: &Asked<'_>) -> Response {
    let theirs = asked.forward(server).await;
    let Some(parameters) = asked.parameters().await else {
        return theirs.unwrap_or_else(|failure| failed(&failure));
    };
    let ours = targets::targets(&state.scraping.targets(), &parameters);
    let nothing = LISTS_OF_TARGETS.iter().all(|list| ours[list].as_array().is_none_or(Vec::is_empty));
    match theirs {
        Ok(theirs) if nothing => theirs,
        Ok(theirs) => changed(theirs, |theirs| with_targets(theirs, ours)).await,
        Err(failure) if nothing => failed(&failure),
        Err(failure) => ours_alone(&ours, &failure),
    }
}

/// Where Prometheus tells of its targets.
const LISTS_OF_TARGETS: [&str; 2] = ["activeTargets", "droppedTargets"];

fn with_targets(mut theirs: Value, mut ours: Value) -> Option<String> {
    let data = theirs.get_mut("data")?.as_object_mut()?;
    for list in LISTS_OF_TARGETS {
        let there = data.entry(list).or_insert_with(|| json!([])).as_array_mut();
        if let (Some(there), Some(here)) = (there, ours[list].as_array_mut()) {
            there.append(here);
        }
    }
    Some(theirs.to_string())
}

fn json_answer(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The answer while the server gives none.
fn ours_alone(data: &Value, failure: &ForwardFailure) -> Response {
    let remark = format!("what is stored here alone: {}", failure.detail);
    json_answer(json!({ "status": "success", "data": data, "warnings": [remark] }).to_string())
}

/// The server's answer, changed unless it is an error or there is nothing to change.
async fn changed(theirs: Response, change: impl FnOnce(Value) -> Option<String>) -> Response {
    if theirs.status() != StatusCode::OK {
        return theirs;
    }
    let (mut parts, body) = theirs.into_parts();
    #[expect(clippy::disallowed_methods, reason = "this is the bounded reader: the limit is ours")]
    let Ok(body) = to_bytes(body, LIST_LIMIT).await else {
        let detail = format!("the server's answer broke off, or is over {LIST_LIMIT} bytes");
        return error(StatusCode::BAD_GATEWAY, "unavailable", &detail);
    };
    let changed = serde_json::from_slice(&body).ok().and_then(change);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, changed.map_or(Body::from(body), Body::from))
}

/// An answer with what of ours it lacks, cut to the limit; `None` if that changes nothing, or it is no answer of this kind.
///
/// Series of the names that are `owned` are listed as they are here.
fn add(mut theirs: Value, ours: Described, owned: &[String]) -> Option<String> {
    let limit = ours.limit;
    let mut cut = false;
    match (theirs.get_mut("data")?, ours.data) {
        (Value::Array(list), Value::Array(ours)) => {
            let before = list.len();
            let is_owned =
                |one: &Value| one["__name__"].as_str().is_some_and(|n| owned.iter().any(|own| own == n));
            list.retain(|one| !is_owned(one));
            let known: std::collections::HashSet<String> = list.iter().map(Value::to_string).collect();
            let new: Vec<Value> = ours.into_iter().filter(|one| !known.contains(&one.to_string())).collect();
            if new.is_empty() && list.len() == before && before <= limit {
                return None;
            }
            list.extend(new);
            list.sort_by_cached_key(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned));
            cut = list.len() > limit;
            list.truncate(limit);
        }
        (Value::Object(families), Value::Object(ours)) => {
            let before = families.len();
            for (name, said) in ours {
                if families.len() < limit {
                    families.entry(name).or_insert(said);
                }
            }
            if families.len() > limit {
                *families = std::mem::take(families).into_iter().take(limit).collect();
                cut = true;
            } else if families.len() == before {
                return None;
            }
        }
        _ => return None,
    }
    if cut {
        let warnings = theirs.as_object_mut()?.entry("warnings").or_insert_with(|| json!([]));
        if let Some(list) = warnings.as_array_mut().filter(|list| !list.contains(&json!(CUT))) {
            list.push(json!(CUT));
        }
    }
    Some(theirs.to_string())
}

#[cfg(test)]
mod tests;
