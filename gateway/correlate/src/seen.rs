//! What the stored records say together: spellings of the id, services, the window, links to other traces.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parsers::record::{
    Exemplar, ExemplarOrigin, LogRecord, Resource, SpellingKind, StatusCode, TENANT, TraceId, TraceMatch,
    Width, Workload, attribute,
};
use rustc_hash::{FxHashMap, FxHashSet};
use store::read::{TraceRecords, Window};

use crate::line_clock::LineClock;
use crate::{
    ExemplarSource, Join, JoinRule, JoinedExemplar, JoinedLog, LinkTarget, RelatedLink, SeenSpelling,
    ServiceSummary, SpanNode,
};

/// Both spellings are shown, but two traces may share 64 bits.
const LOW64_CONFIDENCE: f64 = 0.99;

/// Tenants that are named where records of several have one id.
const TOLD_TENANTS: usize = 5;

pub(crate) fn join(how: TraceMatch, exact: JoinRule) -> Join {
    match how {
        TraceMatch::Exact => Join { rule: exact, confidence: 1.0, agreed: Vec::new() },
        TraceMatch::Low64 => Join { rule: JoinRule::Low64, confidence: LOW64_CONFIDENCE, agreed: Vec::new() },
    }
}

/// The longest id seen that matches: who asks by 64 bits is told all 128.
pub(crate) fn longest(asked: TraceId, records: &TraceRecords) -> TraceId {
    if asked.width() == Width::Bits128 {
        return asked;
    }
    ids(records).map(|(id, _)| id).find(|id| id.width() == Width::Bits128).unwrap_or(asked)
}

/// How many different 128-bit ids are among the records: more than one means that 64 bits name two traces.
pub(crate) fn distinct_long_ids(records: &TraceRecords) -> usize {
    let long = ids(records).map(|(id, _)| id).filter(|id| id.width() == Width::Bits128);
    long.map(TraceId::bits).collect::<FxHashSet<_>>().len()
}

/// That records of several tenants have the id, if they do: who asks for all sees them as one trace.
pub(crate) fn of_tenants(records: &TraceRecords) -> Option<String> {
    // Spans of one process share their resource.
    let resources: FxHashMap<_, _> =
        records.spans.iter().map(|span| (Arc::as_ptr(&span.resource), &span.resource)).collect();
    let of_resource = |resource: &'_ Arc<Resource>| {
        attribute(&resource.attributes, TENANT).and_then(|tenant| tenant.as_str().map(str::to_owned))
    };
    let of_spans: BTreeSet<Option<String>> = resources.into_values().map(of_resource).collect();
    let metadata = records.logs.iter().flat_map(|log| &log.metadata);
    let of_logs = metadata.filter(|(key, _)| key == TENANT).map(|(_, tenant)| Some(tenant.clone()));
    let all: BTreeSet<Option<String>> = of_spans.into_iter().chain(of_logs).collect();
    let name = |tenant: &Option<String>| tenant.clone().unwrap_or_else(|| "of no tenant".to_owned());
    let names: Vec<String> = all.iter().take(TOLD_TENANTS).map(name).collect();
    (all.len() > 1).then(|| {
        format!(
            "records of {} tenants have this id and are shown together ({}): the header X-Scope-OrgID names the one that is meant",
            all.len(),
            names.join(", ")
        )
    })
}

#[derive(Clone, Copy)]
enum From {
    Span,
    Log,
    Exemplar,
}

fn ids(records: &TraceRecords) -> impl Iterator<Item = (TraceId, From)> {
    let spans = records.spans.iter().map(|span| (span.trace_id, From::Span));
    let logs = records.logs.iter().filter_map(|log| Some((log.trace_id?, From::Log)));
    let exemplars = records.exemplars.iter().filter_map(|e| Some((e.trace_id?, From::Exemplar)));
    spans.chain(logs).chain(exemplars)
}

/// Each spelling, most frequent first.
pub(crate) fn spellings(records: &TraceRecords) -> Vec<SeenSpelling> {
    let mut seen: FxHashMap<(u128, u8), SeenSpelling> = FxHashMap::default();
    for (id, from) in ids(records) {
        let entry = seen.entry((id.bits(), id.spelling().code())).or_insert_with(|| SeenSpelling {
            written: id.as_written(),
            form: id.spelling().kind(),
            count: 0,
            in_spans: false,
            in_logs: false,
            in_exemplars: false,
        });
        entry.count += 1;
        match from {
            From::Span => entry.in_spans = true,
            From::Log => entry.in_logs = true,
            From::Exemplar => entry.in_exemplars = true,
        }
    }
    // What came as bytes and what came as text of the same digits is one spelling to a reader: the text's.
    let mut written: BTreeMap<String, SeenSpelling> = BTreeMap::new();
    for one in seen.into_values() {
        match written.get_mut(&one.written) {
            None => {
                written.insert(one.written.clone(), one);
            }
            Some(known) => {
                if known.form == SpellingKind::Binary {
                    known.form = one.form;
                }
                known.count += one.count;
                known.in_spans |= one.in_spans;
                known.in_logs |= one.in_logs;
                known.in_exemplars |= one.in_exemplars;
            }
        }
    }
    let mut list: Vec<_> = written.into_values().collect();
    list.sort_by(|a, b| (Reverse(a.count), &a.written).cmp(&(Reverse(b.count), &b.written)));
    list
}

/// Log records under their spans.
pub(crate) fn logs(asked: TraceId, records: Vec<LogRecord>, nodes: &[SpanNode]) -> Vec<JoinedLog> {
    let known: FxHashMap<_, _> = nodes.iter().rev().map(|node| (node.span.span_id, node)).collect();
    let clock = LineClock::new(nodes);
    let mut logs: Vec<JoinedLog> = records
        .into_iter()
        .filter_map(|record| {
            let how = asked.matches(record.trace_id?)?;
            let node = record.span_id.and_then(|id| known.get(&id));
            let (span_id, adjusted) = (
                node.map(|node| node.span.span_id),
                node.map_or_else(|| clock.adjusted(&record), |node| moved(record.time, node)),
            );
            let join = join(how, JoinRule::TraceId);
            Some(JoinedLog { record, span_id, span_inferred: false, adjusted, join })
        })
        .collect();
    logs.sort_by_key(|log| log.record.time);
    logs
}

/// A time of the clock that stamped a span, moved as the span was.
pub(crate) fn moved(time: u64, node: &SpanNode) -> u64 {
    let by = i128::from(node.start) - i128::from(node.span.start);
    u64::try_from(i128::from(time) + by).unwrap_or(time)
}

/// Exemplars that name the trace, from one source. Those that were made of spans are left out where the spans are there to
/// say it themselves.
pub(crate) fn exemplars(
    asked: TraceId,
    records: Vec<Exemplar>,
    source: &ExemplarSource,
    nodes: &[SpanNode],
) -> Vec<JoinedExemplar> {
    let told = |exemplar: &Exemplar| exemplar.origin == ExemplarOrigin::Trefoil && !nodes.is_empty();
    let joined = records.into_iter().filter(|exemplar| !told(exemplar)).filter_map(|exemplar| {
        let how = asked.matches(exemplar.trace_id?)?;
        Some(JoinedExemplar { exemplar, source: source.clone(), join: join(how, JoinRule::Exemplar) })
    });
    joined.collect()
}

/// From the first to just after the last instant, by adjusted span times.
pub(crate) fn window(nodes: &[SpanNode], logs: &[JoinedLog], exemplars: &[JoinedExemplar]) -> Option<Window> {
    let spans = nodes.iter().map(|node| (node.start, node.end));
    let points = logs.iter().map(|log| log.adjusted).chain(exemplars.iter().map(|e| e.exemplar.time));
    let all = spans.chain(points.map(|time| (time, time)));
    let (start, end) = all.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
    Some(Window { start, end: end.saturating_add(1) })
}

/// Services by name, version and namespace. A log line counts for the service of its pod, else of its name.
pub(crate) fn services(nodes: &[SpanNode], logs: &[JoinedLog]) -> Vec<ServiceSummary> {
    let mut found: BTreeMap<(String, String, String), ServiceSummary> = BTreeMap::new();
    let mut by_pod: FxHashMap<String, (String, String, String)> = FxHashMap::default();
    let mut by_name: FxHashMap<String, (String, String, String)> = FxHashMap::default();
    for node in nodes {
        let workload = Workload::from_resource(&node.span.resource);
        let key = (
            node.service().to_owned(),
            workload.version.unwrap_or_default(),
            workload.namespace.unwrap_or_default(),
        );
        let summary = found.entry(key.clone()).or_default();
        summary.spans += 1;
        summary.errors += u64::from(node.span.status.code == StatusCode::Error);
        if let Some(pod) = workload.pod {
            by_pod.entry(pod.clone()).or_insert_with(|| key.clone());
            add_pod(summary, pod);
        }
        by_name.entry(key.0.clone()).or_insert(key);
    }
    for log in logs {
        let workload = Workload::from_labels(&log.record.labels);
        let service = workload.service.or(workload.container);
        let same_pod = workload.pod.as_ref().and_then(|pod| by_pod.get(pod));
        let key = same_pod.or_else(|| by_name.get(service.as_ref()?)).cloned().unwrap_or_else(|| {
            let name = service.unwrap_or_else(|| "unknown_service".to_owned());
            (name, workload.version.unwrap_or_default(), workload.namespace.unwrap_or_default())
        });
        let summary = found.entry(key).or_default();
        summary.logs += 1;
        if let Some(pod) = workload.pod {
            add_pod(summary, pod);
        }
    }
    let named = found.into_iter().map(|((name, version, namespace), mut summary)| {
        summary.pods.sort();
        ServiceSummary { name, version, namespace, ..summary }
    });
    named.collect()
}

fn add_pod(summary: &mut ServiceSummary, pod: String) {
    if !summary.pods.contains(&pod) {
        summary.pods.push(pod);
    }
}

/// This answer's own address, the same trace on the other surfaces, and the traces that its spans link to.
pub(crate) fn links(id: TraceId, nodes: &[SpanNode], limit: usize) -> (Vec<RelatedLink>, usize) {
    let path = |rel, path: String| RelatedLink { rel, target: LinkTarget::Path(path) };
    let mut links = vec![
        path("self", format!("/api/v1/traces/{id}")),
        path("tempo", format!("/tempo/api/v2/traces/{id}")),
        // {service_name=~".+"} | trace_id="..."
        path(
            "loki",
            format!(
                "/loki/api/v1/query_range?query=%7Bservice_name%3D~%22.%2B%22%7D%20%7C%20trace_id%3D%22{id}%22"
            ),
        ),
    ];
    let mut cut = 0;
    for node in nodes {
        for link in &node.span.links {
            let Some(trace_id) = link.trace_id.filter(|other| other.matches(id).is_none()) else { continue };
            if links.len() >= limit {
                cut += 1;
                continue;
            }
            let target = LinkTarget::Trace { trace_id, span_id: link.span_id, from: node.span.span_id };
            links.push(RelatedLink { rel: "span_link", target });
        }
    }
    (links, cut)
}
