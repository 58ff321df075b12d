//! `trefoil doctor`: takes one real request and follows every link that Grafana would offer from it, with the queries that
//! Grafana would send, and says which link is dead and which setting would mend it.
//!
//! Links are those of a set of data sources: the generated ones, a provisioning file, or those of a running Grafana. Whose server
//! stands behind a data source makes no difference.

mod arguments;
mod ask;
mod dollars;
mod exemplars;
mod health;
mod lines;
mod links;
mod logs;
mod metrics;
mod report;
mod sources;
mod traces;

use std::collections::BTreeSet;

pub use arguments::Arguments;
pub use ask::{Answer, Doorway, Trouble};
pub use report::{Finding, Outcome, render};
pub use sources::{DataSource, Shown, SourcesError, of_gateway, of_grafana, of_provisioning};

use traces::Request;

/// Everything a check needs.
struct Patient<'a> {
    sources: &'a [DataSource],
    doorway: &'a Doorway,
    /// Those whose servers do not answer: links there are not followed, which would only be the same trouble once more.
    silent: BTreeSet<&'a str>,
}

/// Where a link leads.
enum Target<'a> {
    /// To this one.
    To(&'a DataSource),
    /// Nowhere, and why; it is told elsewhere.
    Told(String),
}

impl Patient<'_> {
    fn source(&self, uid: &str) -> Option<&DataSource> {
        self.sources.iter().find(|source| source.uid == uid)
    }

    fn answers(&self, source: &DataSource) -> bool {
        !self.silent.contains(source.uid.as_str())
    }

    /// The data source that a setting names by its uid, of one of these kinds.
    fn target(&self, uid: &serde_json::Value, kinds: &[&str]) -> Target<'_> {
        match uid.as_str().and_then(|uid| self.source(uid)) {
            Some(source) if !kinds.contains(&source.kind.as_str()) => {
                Target::Told(format!("{} is no {}", source.uid, kinds.join(" nor ")))
            }
            Some(source) if !self.answers(source) => {
                Target::Told(format!("the server of {} does not answer", source.uid))
            }
            Some(source) => Target::To(source),
            None => Target::Told("its data source does not exist".to_owned()),
        }
    }
}

/// Follows all links, starting from the trace with this id or, without one, from the newest that has log lines. What is found of
/// one data source stands together.
pub async fn examine(sources: &[DataSource], doorway: &Doorway, id: Option<&str>) -> Vec<Finding> {
    let mut findings = follow(sources, doorway, id).await;
    let place = |finding: &Finding| {
        let found = sources.iter().position(|source| report::title(source) == finding.datasource);
        found.unwrap_or(sources.len())
    };
    findings.sort_by_cached_key(place);
    findings
}

async fn follow(sources: &[DataSource], doorway: &Doorway, id: Option<&str>) -> Vec<Finding> {
    let mut patient = Patient { sources, doorway, silent: BTreeSet::new() };
    let mut findings = Vec::new();
    for source in sources {
        let health = health::of(&patient, source).await;
        if !health.iter().any(|finding| finding.outcome == Outcome::Alive) {
            patient.silent.insert(&source.uid);
        }
        findings.extend(health);
    }
    findings.extend(links::misnamed(&patient));
    let request = match traces::find(&patient, id).await {
        Ok(request) => request,
        Err(finding) => {
            findings.push(finding);
            return findings;
        }
    };
    for source in sources.iter().filter(|source| patient.answers(source)) {
        match source.kind.as_str() {
            "loki" => findings.extend(logs::to_traces(&patient, source, &request).await),
            "tempo" | "jaeger" | "zipkin" => findings.extend(of_traces(&patient, source, &request).await),
            "prometheus" => findings.extend(exemplars::to_traces(&patient, source).await),
            _ => {}
        }
    }
    findings
}

/// The links of a data source that shows traces.
async fn of_traces(patient: &Patient<'_>, source: &DataSource, request: &Request) -> Vec<Finding> {
    let mut findings = vec![traces::opens(patient, source, &request.id).await];
    findings.push(logs::of_trace(patient, source, request).await);
    findings.extend(metrics::of_span(patient, source, request).await);
    if source.kind == "tempo" {
        findings.extend(metrics::service_map(patient, source).await);
    }
    findings
}
