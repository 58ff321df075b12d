//! Whose records a request reads, where several tenants share a gateway: those of the tenants that `X-Scope-OrgID` names, on
//! every surface; without the header, all of them. Nothing that a request reads is of another tenant, so that no join crosses
//! from one to another.

mod logs;
mod samples;
mod traces;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use parsers::record::{Batch, Labels, TENANT, TENANT_LABEL};
use query::promql;
use store::read::{Matcher, MetricRead, PatternCount, PatternRead, Window};
use tokio::sync::broadcast::Receiver;
use tonic::Status;

use crate::bounds::Surface;
use crate::{Follow, SpanMetrics, State};

/// The header, and metadata of gRPC.
pub(crate) const HEADER: &str = "x-scope-orgid";
/// Bytes of a name. What Loki and its kin take.
const MAX_BYTES: usize = 150;
/// Names in one header: as many as a person chooses.
const MAX_NAMES: usize = 32;
/// What a name may hold besides letters and digits, as Loki and its kin have it; between several stands `|`.
const MARKS: &str = "!-_.*'()";

/// The tenants that a request reads. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tenants {
    names: Arc<[String]>,
    /// The condition on a label that holds for their series.
    matcher: Label,
}

/// A condition that compares equal to itself only.
#[derive(Debug, Clone)]
struct Label(Matcher);

impl PartialEq for Label {
    fn eq(&self, _: &Self) -> bool {
        // The names tell it.
        true
    }
}

impl Eq for Label {}

impl Tenants {
    /// What a request's head says; an empty name is none.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, String> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let bad = |what: &str| {
            let expected =
                format!("names of up to {MAX_BYTES} letters, digits and {MARKS}, with | between them");
            Err(format!("bad X-Scope-OrgID: {what}; expected {expected}"))
        };
        if values.any(|other| other != value) {
            return bad("two headers that differ");
        }
        let Ok(text) = value.to_str() else { return bad("it is no ASCII text") };
        let mut names: Vec<String> =
            text.split('|').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
        names.sort();
        names.dedup();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || MARKS.as_bytes().contains(&byte);
        if names.len() > MAX_NAMES {
            return bad(&format!("{} names, more than {MAX_NAMES}", names.len()));
        }
        for name in &names {
            match name.bytes().find(|&byte| !allowed(byte)) {
                _ if name.len() > MAX_BYTES => return bad(&format!("{} bytes", name.len())),
                _ if name == "." || name == ".." => return bad("it is a path"),
                Some(byte) => return bad(&format!("{:?} in it", char::from(byte))),
                None => {}
            }
        }
        if names.is_empty() {
            return Ok(None);
        }
        let Some(matcher) = matcher(&names) else { return bad("the names cannot be compared") };
        Ok(Some(Self { names: names.into(), matcher: Label(matcher) }))
    }

    /// Whether a record that names this tenant, or none, is one of theirs.
    fn have(&self, tenant: Option<&str>) -> bool {
        tenant.is_some_and(|tenant| self.names.iter().any(|name| name == tenant))
    }

    /// The one that is asked for, if it is one.
    fn only(&self) -> Option<&str> {
        match &*self.names {
            [name] => Some(name),
            _ => None,
        }
    }

    /// Labels of a series, as an answer has them: of several tenants each says whose it is.
    fn shown(&self, labels: Arc<Labels>) -> Arc<Labels> {
        if self.only().is_none() {
            return labels;
        }
        Arc::new(Labels::new(labels.iter().filter(|(name, _)| *name != TENANT_LABEL)))
    }

    /// As the header says it.
    fn header(&self) -> String {
        self.names.join("|")
    }
}

/// The condition on the label of a series that tells its tenant.
fn matcher(names: &[String]) -> Option<Matcher> {
    if let [name] = names {
        return Some(Matcher::equal(TENANT_LABEL, name));
    }
    let escaped: Vec<String> = names
        .iter()
        .map(|name| {
            name.chars().flat_map(|c| (".*()".contains(c)).then_some('\\').into_iter().chain([c])).collect()
        })
        .collect();
    let selector = format!("{{{TENANT_LABEL}=~`{}`}}", escaped.join("|"));
    promql::parse_selector(&selector).ok()?.into_iter().next()
}

/// The state as a request sees it: that of its tenants. Handlers take this, and not axum's own.
pub(crate) struct Extract<S>(pub(crate) S);

impl FromRequestParts<State> for Extract<State> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Response> {
        match Tenants::of(&parts.headers) {
            Ok(None) => Ok(Self(state.clone())),
            Ok(Some(tenants)) => Ok(Self(state.clone().of(&tenants))),
            Err(detail) => Err(refused(parts, &detail)),
        }
    }
}

fn refused(parts: &Parts, detail: &str) -> Response {
    let media = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if media.is_some_and(|media| media.starts_with("application/grpc")) {
        return Status::invalid_argument(detail).into_http::<axum::body::Body>().into_response();
    }
    Surface::of(parts.uri.path()).error(StatusCode::BAD_REQUEST, "bad_data", detail)
}

impl State {
    /// With the records of this tenant only, which must be one of those that the request's head names, if it names any.
    pub(crate) fn of_one(self, name: &str, head: &HeaderMap) -> Result<Self, String> {
        let mut named = HeaderMap::new();
        named.extend(HeaderValue::from_str(name).ok().map(|name| (HeaderName::from_static(HEADER), name)));
        let one = Tenants::of(&named)?.filter(|one| one.only().is_some());
        let one = one.ok_or_else(|| format!("bad tenant {name:?}: expected the name of one"))?;
        match Tenants::of(head)? {
            Some(tenants) if !tenants.have(Some(name.trim())) => {
                Err(format!("tenant {name:?} is none of those that X-Scope-OrgID names"))
            }
            Some(tenants) if tenants.only().is_some() => Ok(self),
            // Several were named, and each series says which of them it is of.
            _ => Ok(self.of(&one)),
        }
    }

    /// With the records of these tenants only.
    fn of(self, tenants: &Tenants) -> Self {
        let traces = Arc::new(traces::Of { inner: self.traces, tenants: tenants.clone() });
        let logs = Arc::new(logs::Of { inner: self.logs, tenants: tenants.clone() });
        let samples = Arc::new(samples::Of { inner: self.samples, tenants: tenants.clone() });
        let stored = Arc::new(samples::Of { inner: self.exemplars.stored(), tenants: tenants.clone() });
        let upstream = self.upstream.as_ref().map(|server| server.of_tenants(&tenants.header()));
        let metrics = match &upstream {
            Some(server) => server.clone(),
            None => Some(Arc::new(correlate::StoredMetrics::new(samples.clone())) as Arc<dyn MetricRead>),
        };
        Self {
            correlator: Arc::new(
                self.correlator
                    .over(traces.clone(), metrics.clone(), &tenants.header())
                    .with_logs(logs.clone()),
            ),
            exemplars: self.exemplars.over(traces.clone(), stored, metrics),
            traces,
            logs,
            samples,
            upstream: upstream.flatten(),
            patterns: Arc::new(Patterns { inner: self.patterns, tenants: tenants.clone() }),
            span_metrics: self.span_metrics.map(|inner| {
                Arc::new(SpansCounted { inner, tenants: tenants.clone() }) as Arc<dyn SpanMetrics>
            }),
            live: Arc::new(Arriving { inner: self.live, tenants: tenants.clone() }),
            ..self
        }
    }
}

/// Patterns of the lines of some tenants.
struct Patterns {
    inner: Arc<dyn PatternRead>,
    tenants: Tenants,
}

impl PatternRead for Patterns {
    fn patterns(&self, matchers: &[Matcher], window: Window, step: u64) -> Vec<PatternCount> {
        let mut matchers = matchers.to_vec();
        matchers.push(self.tenants.matcher.0.clone());
        self.inner.patterns(&matchers, window, step)
    }
}

/// What was counted of the spans of some tenants.
struct SpansCounted {
    inner: Arc<dyn SpanMetrics>,
    tenants: Tenants,
}

impl SpanMetrics for SpansCounted {
    fn text(&self, shown: &dyn Fn(&Labels) -> bool) -> Option<String> {
        self.inner.text(&|labels| self.tenants.have(labels.get(TENANT_LABEL)) && shown(labels))
    }
}

/// What arrives, of some tenants.
struct Arriving {
    inner: Arc<dyn Follow>,
    tenants: Tenants,
}

impl Follow for Arriving {
    fn follow(&self) -> Receiver<Arc<Batch>> {
        self.inner.follow()
    }

    fn shown(&self, batch: &Arc<Batch>) -> Arc<Batch> {
        let mut logs = batch.logs.clone();
        let of = |row: &parsers::record::LogRow| {
            batch.logs.metadata(row).find(|(name, _)| *name == TENANT).map(|(_, tenant)| tenant)
        };
        logs.rows.retain(|row| self.tenants.have(of(row)));
        Arc::new(Batch { logs, ..Batch::default() })
    }
}

#[cfg(test)]
mod tests;
