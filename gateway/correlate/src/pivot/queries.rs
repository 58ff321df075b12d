//! The same question in the languages of the surfaces.

use parsers::record::{Labels, Workload};

use super::SurfaceQuery;
use crate::WorkloadField;
pub(super) use crate::streams::quoted;

/// Labels of which a stream is chosen again: the others change with a file.
const CHOSEN: [&str; 7] = ["cluster", "namespace", "pod", "container", "service_name", "app", "job"];
/// Any stream: LogQL wants one condition that an empty value does not meet.
const ANY: &str = "{service_name=~\".+\"}";

/// LogQL for all lines of a trace.
pub(super) fn lines_of_trace(id: &str) -> SurfaceQuery {
    SurfaceQuery::LogQl(format!("{ANY} | trace_id={}", quoted(id)))
}

/// LogQL for the stream of these labels.
pub(super) fn stream(labels: &Labels) -> String {
    let chosen: Vec<(&str, &str)> =
        CHOSEN.iter().filter_map(|name| Some((*name, labels.get(name)?))).collect();
    let pairs: Vec<(&str, &str)> = if chosen.is_empty() { labels.iter().collect() } else { chosen };
    if pairs.is_empty() {
        return ANY.to_owned();
    }
    let pairs: Vec<String> =
        pairs.into_iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// TraceQL for the spans of a workload, by what it says of itself: its pod or else its service, and where that is.
pub(super) fn spans_of(workload: &Workload) -> Option<SurfaceQuery> {
    let said = |field: WorkloadField| Some((field.attribute(), field.of(workload)?));
    let own = said(WorkloadField::Pod).or_else(|| said(WorkloadField::Service))?;
    let place = [WorkloadField::Cluster, WorkloadField::Namespace].into_iter().filter_map(said);
    Some(SurfaceQuery::TraceQl(trace_ql(place.chain([own]))))
}

/// TraceQL for spans whose resource says all of this.
pub(super) fn trace_ql<'a>(said: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let all: Vec<String> =
        said.map(|(attribute, value)| format!("resource.{attribute} = {}", quoted(value))).collect();
    format!("{{ {} }}", all.join(" && "))
}
