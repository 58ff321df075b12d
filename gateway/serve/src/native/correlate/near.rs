//! What there is by names near to one of which nothing was found.

use std::collections::BTreeSet;

use store::read::{Matcher, Window};

use super::super::request::{Failure, window};
use super::super::{absence, exemplars};
use crate::State;
use crate::parameters::{Parameters, now};

/// What is said instead of why a name has nothing.
pub(super) struct Near {
    /// Of which signal.
    pub(super) signal: &'static str,
    /// What is not there.
    pub(super) detail: String,
    /// What to try.
    pub(super) hint: String,
}

/// Names that are near to that of the service, the metric or the workload that is asked about; nothing if that one is known.
pub(super) async fn near(state: &State, parameters: &Parameters) -> Result<Vec<Near>, Failure> {
    if let Some(tenant) = parameters.get("tenant")
        && has_nothing(state).await?
    {
        return Ok(of_nobody(tenant));
    }
    if let Some(service) = parameters.get("service") {
        let known = absence::names(state).await;
        return Ok(told("spans", "span of service", "services", "/api/v1/services", service, known));
    }
    if let Some(expression) = parameters.get("metric") {
        return metrics(state, expression).await;
    }
    let Some(workload) = parameters.get("workload") else { return Ok(Vec::new()) };
    let (logs, window) = (state.logs.clone(), window(parameters, now())?);
    let streams = state.reads.run(move || logs.streams(&[], window)).await??;
    let pods = streams.iter().filter_map(|labels| Some((labels.get("namespace")?, labels.get("pod")?)));
    let (mut known, mut exact) = (BTreeSet::new(), BTreeSet::new());
    for (space, pod) in pods {
        known.insert(format!("{space}/{}", owner(pod)));
        exact.insert(format!("{space}/{pod}"));
    }
    let known: Vec<String> = known.into_iter().chain(exact).collect();
    Ok(told("logs", "line of workload", "workloads", "/loki/api/v1/series", workload, known))
}

/// Whether nothing at all is stored of whom the answer is of.
async fn has_nothing(state: &State) -> Result<bool, Failure> {
    if !absence::names(state).await.is_empty() {
        return Ok(false);
    }
    let (logs, samples) = (state.logs.clone(), state.samples.clone());
    let nothing = move || -> Result<bool, store::read::ReadError> {
        let names = || samples.label_values("__name__", &[Vec::new()], Window::ALL);
        Ok(logs.streams(&[], Window::ALL)?.is_empty() && names()?.is_empty())
    };
    Ok(state.reads.run(nothing).await??)
}

/// That a tenant has sent nothing.
fn of_nobody(tenant: &str) -> Vec<Near> {
    let of = |signal| {
        Near {
        signal,
        detail: format!("nothing of tenant {tenant:?} is stored"),
        hint: "ask without `tenant`: the answer names the tenant of what it found; records are of the one that `X-Scope-OrgID` named \
               when they were sent"
            .to_owned(),
    }
    };
    ["spans", "logs", "metrics", "exemplars"].map(of).into()
}

/// Of the stored series; a metrics server is not asked for all of its names.
async fn metrics(state: &State, expression: &str) -> Result<Vec<Near>, Failure> {
    if state.upstream.is_some() {
        return Ok(Vec::new());
    }
    let named = |matcher: &Matcher| match &matcher.op {
        store::read::MatchOp::Equal(name) if matcher.name == "__name__" => Some(name.clone()),
        _ => None,
    };
    let selectors = exemplars::selectors("metric", expression)?;
    let Some(name) = selectors.iter().flat_map(|selector| &selector.matchers).find_map(named) else {
        return Ok(Vec::new());
    };
    let samples = state.samples.clone();
    let names = move || samples.label_values("__name__", &[Vec::new()], Window::ALL);
    let known = state.reads.run(names).await??;
    let path = "/prometheus/api/v1/label/__name__/values";
    Ok(told("metrics", "series of", "metrics", path, &name, known))
}

fn told(
    signal: &'static str,
    what: &str,
    kind: &str,
    path: &str,
    name: &str,
    known: Vec<String>,
) -> Vec<Near> {
    if known.is_empty() || known.iter().any(|other| other == name) {
        return Vec::new();
    }
    let hint = absence::next(kind, path, name, known.iter().map(String::as_str));
    vec![Near { signal, detail: format!("no {what} {name:?} is stored"), hint }]
}

/// What a pod's name is made of: that of its deployment, daemon set, job or stateful set, as far as can be told.
fn owner(pod: &str) -> &str {
    let made = |end: &str| {
        (1..=10).contains(&end.len()) && end.bytes().all(|b| b"bcdfghjklmnpqrstvwxz0123456789".contains(&b))
    };
    let Some((rest, end)) = pod.rsplit_once('-').filter(|(_, end)| made(end)) else { return pod };
    match rest.rsplit_once('-') {
        Some((name, hash)) if end.len() == 5 && made(hash) => name,
        _ => rest,
    }
}
