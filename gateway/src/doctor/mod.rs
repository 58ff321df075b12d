//! `trefoil doctor`: takes one real request and follows every link that Grafana would offer from it, with the queries that
//! Grafana would send, and says which link is dead and which setting would mend it.
//!
//! Links are those of a set of data sources: the generated ones, a provisioning file, or those of a running Grafana. Whose server
//! stands behind a data source makes no difference.

mod arguments;
mod ask;
mod exemplars;
mod links;
mod logs;
mod metrics;
mod report;
mod sources;
mod traces;

use std::collections::BTreeMap;

pub use arguments::Arguments;
pub use ask::Doorway;
pub use report::{Finding, Outcome, render};
pub use sources::{DataSource, SourcesError, of_grafana, of_provisioning};

use traces::Request;

/// Everything a check needs.
struct Patient<'a> {
    sources: &'a [DataSource],
    doorway: &'a Doorway,
}

impl Patient<'_> {
    fn source(&self, uid: &str) -> Option<&DataSource> {
        self.sources.iter().find(|source| source.uid == uid)
    }
}

/// Follows all links, starting from the trace with this id or, without one, from the newest.
pub async fn examine(sources: &[DataSource], doorway: &Doorway, id: Option<&str>) -> Vec<Finding> {
    let patient = Patient { sources, doorway };
    let mut findings = Vec::new();
    let mut answering = BTreeMap::new();
    for source in sources {
        let health = ask::health(&patient, source).await;
        answering.insert(source.uid.as_str(), health.outcome == Outcome::Alive);
        findings.push(health);
    }
    findings.extend(links::misnamed(&patient));
    let answers = |source: &DataSource| answering.get(source.uid.as_str()).copied().unwrap_or_default();
    let request = match traces::find(&patient, id, &answers).await {
        Ok(request) => request,
        Err(finding) => {
            findings.push(finding);
            return findings;
        }
    };
    for source in sources.iter().filter(|source| answers(source)) {
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
