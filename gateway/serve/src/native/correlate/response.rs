//! The body, and links to the same records on each surface.

use correlate::{Related, RelatedLog, RelatedTrace, RelatedWorkload, SurfaceQuery};
use serde::Serialize;
use serde_json::{Map, Value};
use store::read::{TraceRead, Window};
use utoipa::ToSchema;

use super::super::exemplars::{ExemplarBody, body as exemplar_body};
use super::super::shape::{AbsenceBody, WindowBody, encoded, labels};
use super::near::Near;
use super::request::From as Asked;
use crate::parameters::SECOND;
use crate::values;

/// What belongs to what was asked about. Each list has what is surest and most telling first; all keys are always there.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct CorrelateBody {
    /// What was asked about.
    from: Asked,
    /// The time that the records are of.
    window: Option<WindowBody>,
    /// The tenant of all records, where they say one.
    tenant: Option<String>,
    /// Who took part.
    workloads: Vec<WorkloadBody>,
    traces: Vec<TraceBody>,
    logs: Vec<LogBody>,
    exemplars: Vec<RelatedExemplarBody>,
    metrics: Vec<MetricBody>,
    /// The exact queries on each surface.
    links: Vec<LinkBody>,
    /// What was read where no index leads to it.
    looked_at: LookedAtBody,
    /// What is not in this answer, and why.
    absent: Vec<AbsenceBody>,
    warnings: Vec<String>,
    #[serde(skip)]
    pub(super) found: bool,
}

impl CorrelateBody {
    /// Of a name of which there is nothing: which names are near.
    pub(super) fn say_what_is_near(&mut self, near: &[Near]) {
        for near in near {
            let no_match =
                |absent: &&mut AbsenceBody| absent.signal == near.signal && absent.reason == "no_match";
            for absent in self.absent.iter_mut().filter(no_match) {
                absent.detail.clone_from(&near.detail);
                absent.hint.clone_from(&near.hint);
            }
        }
    }
}

/// Why a record is here.
#[derive(Debug, Serialize, ToSchema)]
struct ReasonBody {
    /// `trace_id`, `low64`, `span_id`, `span_link`, `exemplar`, `workload_time`, `access_log`, `labels` or `stream`.
    rule: &'static str,
    /// 0 to 1.
    confidence: f64,
    /// Names of labels or attributes that agreed.
    agreed: Vec<String>,
    /// For people.
    why: String,
}

impl From<correlate::Reason> for ReasonBody {
    fn from(reason: correlate::Reason) -> Self {
        let correlate::Reason { rule, confidence, agreed, why } = reason;
        Self { rule, confidence, agreed, why }
    }
}

/// A workload that took part; what nothing says is null.
#[derive(Debug, Serialize, ToSchema)]
struct WorkloadBody {
    service: Option<String>,
    version: Option<String>,
    namespace: Option<String>,
    pod: Option<String>,
    container: Option<String>,
    node: Option<String>,
    host: Option<String>,
    instance: Option<String>,
    cluster: Option<String>,
    #[serde(flatten)]
    reason: ReasonBody,
}

/// A trace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RelatedTraceBody)]
struct TraceBody {
    trace_id: String,
    /// The span that it is about.
    span_id: Option<String>,
    root_service: String,
    root_name: String,
    start_unix_nano: String,
    duration_nano: String,
    spans: usize,
    errors: usize,
    services: Vec<String>,
    #[serde(flatten)]
    reason: ReasonBody,
    /// The whole of it.
    path: String,
}

/// A log line.
#[derive(Debug, Serialize, ToSchema)]
struct LogBody {
    time_unix_nano: String,
    line: String,
    labels: Map<String, Value>,
    metadata: Map<String, Value>,
    severity: &'static str,
    trace_id: Option<String>,
    /// The span under which it stands: the one that it names, or under which the look-up of its trace offers it.
    span_id: Option<String>,
    /// Whether it is of what was asked about itself, and not of its traces or its neighbourhood alone; such lines come first.
    own: bool,
    #[serde(flatten)]
    reason: ReasonBody,
}

/// An exemplar.
#[derive(Debug, Serialize, ToSchema)]
struct RelatedExemplarBody {
    #[serde(flatten)]
    reason: ReasonBody,
    exemplar: ExemplarBody,
}

/// A series.
#[derive(Debug, Serialize, ToSchema)]
struct MetricBody {
    metric: String,
    service: String,
    labels: Map<String, Value>,
    /// PromQL that gives the values.
    query: String,
    unit: Option<&'static str>,
    /// Pairs of time (nanoseconds, a string) and value.
    values: Vec<(String, Value)>,
    #[serde(flatten)]
    reason: ReasonBody,
    /// The same on this gateway.
    path: String,
}

/// The same records on another surface.
#[derive(Debug, Serialize, ToSchema)]
struct LinkBody {
    /// `trefoil`, `loki`, `tempo` or `prometheus`.
    surface: &'static str,
    /// `LogQL`, `TraceQL`, `PromQL`, or null for a trace by its id.
    language: Option<&'static str>,
    /// The query, or the id.
    query: String,
    /// On this gateway.
    path: String,
}

/// What was read.
#[derive(Debug, Serialize, ToSchema)]
struct LookedAtBody {
    spans: u64,
    lines: u64,
    bytes: u64,
    /// From when on all was looked at; null says that nothing was left out.
    from_unix_nano: Option<String>,
}

impl CorrelateBody {
    pub(super) fn new(from: Asked, related: Related, traces: &dyn TraceRead) -> Self {
        let (found, window) = (related.found(), related.window);
        let looked = related.looked_at;
        let exemplars = related.exemplars.into_iter().map(|related| RelatedExemplarBody {
            exemplar: exemplar_body(&related.found, traces),
            reason: related.reason.into(),
        });
        Self {
            from,
            window: window.map(WindowBody::from),
            tenant: related.tenant,
            workloads: related.workloads.into_iter().map(workload).collect(),
            traces: related.traces.into_iter().map(trace).collect(),
            logs: related.logs.into_iter().map(log).collect(),
            exemplars: exemplars.collect(),
            metrics: related.metrics.into_iter().map(|link| metric(link, window)).collect(),
            links: related.queries.into_iter().map(|query| link(query, window)).collect(),
            looked_at: LookedAtBody {
                spans: looked.spans,
                lines: looked.lines,
                bytes: looked.bytes,
                from_unix_nano: (looked.from > 0).then(|| looked.from.to_string()),
            },
            absent: related.absent.iter().map(AbsenceBody::from).collect(),
            warnings: related.warnings,
            found,
        }
    }
}

fn workload(related: RelatedWorkload) -> WorkloadBody {
    let workload = related.workload;
    WorkloadBody {
        service: workload.service,
        version: workload.version,
        namespace: workload.namespace,
        pod: workload.pod,
        container: workload.container,
        node: workload.node,
        host: workload.host,
        instance: workload.instance,
        cluster: workload.cluster,
        reason: related.reason.into(),
    }
}

fn trace(related: RelatedTrace) -> TraceBody {
    TraceBody {
        trace_id: related.trace_id.to_string(),
        span_id: related.span_id.map(|span| span.to_string()),
        root_service: related.root_service,
        root_name: related.root_name,
        start_unix_nano: related.start.to_string(),
        duration_nano: related.duration.to_string(),
        spans: related.spans,
        errors: related.errors,
        services: related.services,
        reason: related.reason.into(),
        path: format!("/api/v1/traces/{}", related.trace_id),
    }
}

fn log(related: RelatedLog) -> LogBody {
    let record = related.record;
    LogBody {
        time_unix_nano: record.time.to_string(),
        line: String::from_utf8_lossy(&record.line).into_owned(),
        labels: labels(&record.labels),
        metadata: record.metadata.into_iter().map(|(name, value)| (name, value.into())).collect(),
        own: related.own,
        severity: record.severity.as_str(),
        trace_id: record.trace_id.map(|id| id.to_string()),
        span_id: related.span_id.map(|id| id.to_string()),
        reason: related.reason.into(),
    }
}

fn metric(related: correlate::MetricLink, window: Option<Window>) -> MetricBody {
    let values = related.values.iter().map(|s| (s.time.to_string(), values::double(s.value)));
    MetricBody {
        path: link(SurfaceQuery::PromQl(related.query.clone()), window).path,
        values: values.collect(),
        labels: labels(&related.labels),
        reason: ReasonBody {
            rule: related.join.rule.as_str(),
            confidence: related.join.confidence,
            agreed: related.join.agreed,
            why: "its labels name the workload".to_owned(),
        },
        metric: related.metric,
        service: related.service,
        query: related.query,
        unit: related.unit,
    }
}

/// Points of a graph.
const POINTS: u64 = 120;

fn link(query: SurfaceQuery, window: Option<Window>) -> LinkBody {
    // Whole seconds round the window: Tempo and Prometheus have no finer ones.
    let seconds = window.map(|window| (window.start / SECOND, window.end / SECOND + 1));
    let range = seconds.map_or_else(String::new, |(start, end)| format!("&start={start}&end={end}"));
    match query {
        SurfaceQuery::Trace(id) => LinkBody {
            surface: "tempo",
            language: None,
            query: id.to_string(),
            path: format!("/tempo/api/v2/traces/{id}"),
        },
        SurfaceQuery::LogQl(query) => {
            let path = format!("/loki/api/v1/query_range?query={}{range}", encoded(&query));
            LinkBody { surface: "loki", language: Some("LogQL"), query, path }
        }
        SurfaceQuery::TraceQl(query) => {
            let path = format!("/tempo/api/search?q={}{range}", encoded(&query));
            LinkBody { surface: "tempo", language: Some("TraceQL"), query, path }
        }
        SurfaceQuery::PromQl(query) => {
            let step = seconds.map_or(60, |(start, end)| ((end - start) / POINTS).max(1));
            let path = format!("/prometheus/api/v1/query_range?query={}{range}&step={step}", encoded(&query));
            LinkBody { surface: "prometheus", language: Some("PromQL"), query, path }
        }
    }
}
