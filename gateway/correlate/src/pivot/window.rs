//! A service or a workload in a window: its slowest, failed and typical traces, what its lines complain of, and the exemplars
//! of its series.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parsers::record::{Exemplar, LogRecord, Severity, SpanId, SpanKind, StatusCode, TraceId, Workload};
use store::read::{
    Direction, ExemplarLimits, LogRead, LogSelect, LogView, LogVisit, Matcher, ReadError, ScanReport,
    SpanView, TraceRead, TraceSelect, TraceVisitor, Window,
};

use super::gather::{Gathered, Own, blocking};
use super::subject::Subject;
use super::tenant::{OneTenant, SeriesFrom, of_resource};
use super::{Pivot, Reason, Related, RelatedLog, RelatedWorkload, SCAN_TIME, SurfaceQuery};
use crate::streams::{Selection, tenant_of};
use crate::{FoundExemplar, WorkloadField};

/// Slowest traces, and failed ones, that are shown.
const SHOWN: usize = 5;
/// Requests among which a typical one is chosen.
const SAMPLE: usize = 501;
/// Workloads of one window.
const MAX_WORKLOADS: usize = 16;
/// Lines that are looked at, newest first.
const MAX_LINES: u64 = 500_000;
/// The same service, but perhaps another workload of it.
const SERVICE_ALONE: f64 = 0.5;
/// Exemplars that are read.
const MAX_EXEMPLARS: usize = 200;
/// Longest time for reading those that are stored, of some ten questions that a pivot asks.
const EXEMPLAR_TIME: Duration = Duration::from_secs(3);

impl Pivot {
    pub(super) async fn of_subject(
        &self,
        subject: Subject,
        window: Window,
        mut gathered: Gathered,
    ) -> Result<Related, ReadError> {
        gathered.related.window = Some(window);
        gathered.related.queries.push(SurfaceQuery::TraceQl(subject.trace_ql()));
        self.add_subject(subject.clone(), window, &mut gathered, 1.0).await?;
        self.add_lines_of_seeds(&mut gathered).await?;
        self.add_elsewhere(&subject, window, &mut gathered).await?;
        self.add_metrics(&mut gathered).await;
        self.summarise(gathered).await
    }

    /// Its traces, lines, workloads and exemplars; all of them so sure.
    pub(super) async fn add_subject(
        &self,
        subject: Subject,
        window: Window,
        gathered: &mut Gathered,
        sure: f64,
    ) -> Result<(), ReadError> {
        let (traces, of, tenant) = (self.correlator.store(), subject.clone(), gathered.tenant.clone());
        let requests = blocking(move || requests(&*traces, &of, window, tenant)).await?;
        gathered.tenant = requests.tenant.clone();
        gathered.related.looked_at.spans += requests.report.records;
        gathered.related.looked_at.bytes += requests.report.bytes;
        if let Some(from) = requests.cut {
            gathered.related.looked_at.from = from;
            gathered
                .related
                .warnings
                .push(format!("traces are of the newest {} spans of the window", requests.report.records));
        }
        let text = subject.text();
        let count = requests.count;
        for (request, why) in requests.chosen() {
            let why = why.map_or_else(
                || format!("a typical one of {count} requests to {text}"),
                |why| format!("{why} of {count} requests to {text}"),
            );
            let reason = Reason::new("labels", request.confidence * sure, why).by(request.agreed.clone());
            gathered.add_seed(request.trace, Some(request.span), reason);
        }
        for (workload, (spans, confidence)) in requests.workloads {
            let why = format!("{spans} spans in the window");
            let reason = Reason::new("labels", confidence * sure, why).by(["resource"]);
            gathered.add_workload(RelatedWorkload { workload, reason });
        }
        self.add_complaints(&subject, window, gathered, sure).await?;
        if gathered.related.workloads.is_empty() && !gathered.related.logs.is_empty() {
            let reason = Reason::new("labels", sure, "what was asked about");
            gathered.add_workload(RelatedWorkload { workload: subject.workload.clone(), reason });
        }
        self.add_stored_exemplars(&subject, window, gathered, sure).await
    }

    /// Its lines of the worst levels, newest first.
    async fn add_complaints(
        &self,
        subject: &Subject,
        window: Window,
        gathered: &mut Gathered,
        sure: f64,
    ) -> Result<(), ReadError> {
        let pods: BTreeSet<String> =
            gathered.related.workloads.iter().filter_map(|related| related.workload.pod.clone()).collect();
        let (logs, mapping) = (self.logs.clone(), self.correlator.mapping().clone());
        let (of, tenant, limit) = (subject.clone(), gathered.tenant.clone(), gathered.limit);
        let (found, selections) = blocking(move || {
            let selections = of.selections(&*logs, &mapping, &pods, window)?;
            Ok((complaints(&*logs, &selections, window, tenant, limit)?, selections))
        })
        .await?;
        gathered.tenant = found.tenant;
        gathered.related.looked_at.lines += found.count;
        gathered.related.looked_at.bytes += found.report.bytes;
        // A service that is only thought of has no say in the order.
        let asked = sure >= 1.0;
        gathered.related.queries.extend(found.queries.into_iter().map(SurfaceQuery::LogQl));
        let mut plain_lines = 0;
        for (record, selection) in found.records {
            let level = record.severity.as_str();
            let why = format!("a line of level {level}, among {} of the window", found.count);
            let mut reason = subject.reason(&selection, &record.labels, why);
            reason.confidence *= sure;
            let span_id = record.span_id;
            let plain = record.severity < Severity::Warn;
            let log = RelatedLog { record, span_id, own: asked, reason };
            // What complains of nothing leaves room for lines of its traces.
            plain_lines += usize::from(plain);
            if plain && plain_lines > gathered.limit / 4 + 1 {
                gathered.spare.push(log);
            } else {
                gathered.add_log(log);
            }
        }
        if asked {
            let (subject, lines, all) = (subject.clone(), found.count, found.all);
            gathered.own = Some(Own { subject, selections, window, lines, all });
        }
        Ok(())
    }

    /// Exemplars that are stored of its series.
    async fn add_stored_exemplars(
        &self,
        subject: &Subject,
        window: Window,
        gathered: &mut Gathered,
        sure: f64,
    ) -> Result<(), ReadError> {
        let mapping = self.correlator.mapping();
        let wanted = series_of(subject, gathered);
        let denied = |exemplar: &Exemplar| subject.denied_by(mapping, &exemplar.series);
        let selectors: Vec<Vec<Matcher>> = wanted
            .iter()
            .flat_map(|(field, value)| {
                let job = regex::Regex::new(&format!("^(?s:(.*/)?{})$", regex::escape(value)));
                let named = move |name: &String| match &job {
                    Ok(job) if name == "job" => {
                        vec![Matcher { name: name.clone(), op: store::read::MatchOp::Regex(job.clone()) }]
                    }
                    _ => vec![Matcher::equal(name.as_str(), value)],
                };
                mapping.names(*field).iter().map(named)
            })
            .collect();
        if selectors.is_empty() {
            return Ok(());
        }
        let stored = self.exemplars.stored();
        let limits = ExemplarLimits { count: MAX_EXEMPLARS, time: EXEMPLAR_TIME };
        let found = blocking(move || stored.stored_exemplars(&selectors, window, limits)).await?;
        if found.over_time {
            let told = "older exemplars were not read for want of time: ask for a shorter window".to_owned();
            gathered.related.warnings.push(told);
        }
        for exemplar in found.exemplars.into_iter().filter(|exemplar| !denied(exemplar)) {
            if gathered.tenant.lets_in_series(&exemplar.series, SeriesFrom::Received) {
                let of = |field: WorkloadField| {
                    let values = wanted.iter().filter(move |(own, _)| *own == field).map(|(_, value)| value);
                    let values: Vec<&String> = values.collect();
                    let agreed = exemplar.series.iter().filter(|(name, other)| {
                        let tail = (*name == "job").then(|| other.rsplit('/').next()).flatten();
                        values.iter().any(|value| *other == **value || tail == Some(value.as_str()))
                    });
                    agreed.map(|(name, _)| name.to_owned()).collect::<Vec<String>>()
                };
                let pods = of(WorkloadField::Pod);
                // The service's own series do not say which of its workloads it was.
                let exact = subject.service_name().is_some() || !pods.is_empty();
                let (confidence, why) = if exact {
                    (sure, "of a series of it")
                } else {
                    (sure * SERVICE_ALONE, "of a series of its service")
                };
                let mut agreed = of(WorkloadField::Service);
                agreed.extend(pods);
                let reason = Reason::new("labels", confidence, why).by(agreed);
                gathered.add_exemplar(FoundExemplar { exemplar, made: None }, reason);
            }
        }
        Ok(())
    }
}

/// By which fields series are of a subject, with their values: of a service its name, of a workload the pods and services that
/// were found of it.
fn series_of(subject: &Subject, gathered: &Gathered) -> BTreeSet<(WorkloadField, String)> {
    if let Some(service) = subject.service_name() {
        return BTreeSet::from([(WorkloadField::Service, service.to_owned())]);
    }
    let workloads = gathered.related.workloads.iter().map(|related| &related.workload);
    let fields = |workload| {
        let fields = [WorkloadField::Pod, WorkloadField::Service].into_iter();
        fields.filter_map(move |field| Some((field, WorkloadField::of(field, workload)?.to_owned())))
    };
    workloads.flat_map(fields).collect()
}

/// A request to the subject: the span by which it came in.
#[derive(Clone)]
struct Request {
    trace: TraceId,
    span: SpanId,
    start: u64,
    duration: u64,
    confidence: f64,
    agreed: Vec<String>,
}

/// The requests of a window.
struct Requests<'a> {
    subject: &'a Subject,
    window: Window,
    began: Instant,
    found: Found,
}

#[derive(Default)]
struct Found {
    tenant: OneTenant,
    report: ScanReport,
    /// From when on all was looked at, if it was not all.
    cut: Option<u64>,
    count: u64,
    slowest: Vec<Request>,
    failed: Vec<Request>,
    sample: Vec<Request>,
    workloads: Vec<(Workload, (u64, f64))>,
}

fn requests(
    traces: &dyn TraceRead,
    subject: &Subject,
    window: Window,
    tenant: OneTenant,
) -> Result<Found, ReadError> {
    let wanted = |span: &SpanView<'_>| match subject.service_name() {
        Some(service) => span.service() == service && subject.of(span.resource()).is_some(),
        None => subject.of(span.resource()).is_some(),
    };
    let select = TraceSelect {
        window,
        reach: None,
        service: subject.service_name().map(str::to_owned),
        contains: Vec::new(),
        hint: store::read::SpanHint::Anything,
        wanted: &wanted,
        whole: false,
    };
    let found = Found { tenant, ..Found::default() };
    let mut requests = Requests { subject, window, began: Instant::now(), found };
    let report = traces.visit_traces(&select, &mut requests)?;
    requests.found.report = report;
    Ok(requests.found)
}

impl Found {
    fn note(&mut self, request: Request, failed: bool) {
        self.count += 1;
        let place = self.slowest.partition_point(|other| other.duration >= request.duration);
        if place < SHOWN {
            self.slowest.insert(place, request.clone());
            self.slowest.truncate(SHOWN);
        }
        if failed {
            let place = self.failed.partition_point(|other| other.start >= request.start);
            if place < SHOWN {
                self.failed.insert(place, request.clone());
                self.failed.truncate(SHOWN);
            }
        }
        // Every n-th, so that all of the window is in it.
        if self.sample.len() < SAMPLE {
            self.sample.push(request);
        } else if self.count.is_multiple_of(self.count / SAMPLE as u64 + 1)
            && let Some(place) = self.sample.get_mut((self.count % SAMPLE as u64) as usize)
        {
            *place = request;
        }
    }

    /// Those that are worth a look, failed ones first.
    fn chosen(&self) -> Vec<(&Request, Option<&'static str>)> {
        let mut sample: Vec<&Request> = self.sample.iter().collect();
        sample.sort_by_key(|request| request.duration);
        let failed = self.failed.iter().map(|request| (request, Some("the newest failed")));
        let slowest = self.slowest.iter().map(|request| (request, Some("the slowest")));
        let typical = sample.get(sample.len() / 2).map(|request| (*request, None));
        failed.chain(slowest).chain(typical).collect()
    }
}

impl TraceVisitor for Requests<'_> {
    fn trace(&mut self, spans: &[SpanView<'_>]) -> ControlFlow<()> {
        let mut entry: Option<(&SpanView<'_>, (f64, Vec<String>))> = None;
        let mut failed = false;
        let window = self.window;
        for span in spans.iter().filter(|span| window.contains(span.start)) {
            if self.subject.service_name().is_some_and(|service| span.service() != service) {
                continue;
            }
            let Some(of) = self.subject.of(span.resource()) else { continue };
            if !self.found.tenant.lets_in(of_resource(span.resource())) {
                continue;
            }
            self.workload(span, of.0);
            failed |= span.status == StatusCode::Error;
            let is_entry = |span: &SpanView<'_>| {
                matches!(span.kind, SpanKind::Server | SpanKind::Consumer) || span.parent.is_none()
            };
            let better = entry.as_ref().is_none_or(|(known, _)| {
                (is_entry(span), std::cmp::Reverse(span.start))
                    > (is_entry(known), std::cmp::Reverse(known.start))
            });
            if better {
                entry = Some((span, of));
            }
        }
        if let Some((span, (confidence, agreed))) = entry {
            let request = Request {
                trace: span.trace_id,
                span: span.span_id,
                start: span.start,
                duration: span.duration(),
                confidence,
                agreed,
            };
            self.found.note(request, failed);
        }
        ControlFlow::Continue(())
    }

    fn progress(&mut self, report: ScanReport, newest: u64) -> ControlFlow<()> {
        self.found.report = report;
        if self.began.elapsed() < SCAN_TIME {
            return ControlFlow::Continue(());
        }
        self.found.cut = Some(newest);
        ControlFlow::Break(())
    }
}

impl Requests<'_> {
    fn workload(&mut self, span: &SpanView<'_>, confidence: f64) {
        let workload = Workload::from_resource(span.resource());
        let workloads = &mut self.found.workloads;
        if let Some((_, (spans, _))) = workloads.iter_mut().find(|(known, _)| *known == workload) {
            *spans += 1;
        } else if workloads.len() < MAX_WORKLOADS {
            workloads.push((workload, (1, confidence)));
        }
    }
}

/// Lines that complain, among all.
struct Complaints {
    tenant: OneTenant,
    report: ScanReport,
    /// Lines that were looked at, of the tenant.
    count: u64,
    /// Whether that is all of the window.
    all: bool,
    records: Vec<(LogRecord, Selection)>,
    queries: Vec<String>,
}

fn complaints(
    logs: &dyn LogRead,
    selections: &[Selection],
    window: Window,
    tenant: OneTenant,
    limit: usize,
) -> Result<Complaints, ReadError> {
    let began = Instant::now();
    let (records, queries) = (Vec::new(), Vec::new());
    let mut found =
        Complaints { tenant, report: ScanReport::default(), count: 0, all: true, records, queries };
    for selection in selections {
        let select = LogSelect {
            matchers: selection.matchers.clone(),
            window,
            direction: Direction::Backward,
            trace: None,
            contains: Vec::new(),
            mentions: None,
        };
        let tenant = &mut found.tenant;
        let mut worst = Worst { limit, began, tenant, count: 0, cut: false, kept: Default::default() };
        let report = logs.scan_views(&select, true, &mut worst)?;
        let kept = worst.kept;
        found.count += worst.count;
        found.all &= !worst.cut;
        found.report.records += report.records;
        found.report.bytes += report.bytes;
        found.queries.push(selection.text());
        found.records.extend(kept.into_iter().flatten().map(|record| (record, selection.clone())));
    }
    Ok(found)
}

/// The newest lines of each of three classes: errors, warnings, all else.
struct Worst<'a> {
    limit: usize,
    began: Instant,
    tenant: &'a mut OneTenant,
    count: u64,
    cut: bool,
    kept: [Vec<LogRecord>; 3],
}

impl LogVisit for Worst<'_> {
    fn record(&mut self, view: &LogView<'_>) -> ControlFlow<()> {
        if !self.tenant.lets_in(tenant_of(view)) {
            return ControlFlow::Continue(());
        }
        self.count += 1;
        let class = match view.severity {
            Severity::Error | Severity::Fatal => 0,
            Severity::Warn => 1,
            _ => 2,
        };
        if let Some(kept) = self.kept.get_mut(class).filter(|kept| kept.len() < self.limit) {
            kept.push(owned(view));
        }
        ControlFlow::Continue(())
    }

    fn progress(&mut self, so_far: &ScanReport) -> ControlFlow<()> {
        self.cut = so_far.records > MAX_LINES || self.began.elapsed() > SCAN_TIME;
        if self.cut { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn owned(view: &LogView<'_>) -> LogRecord {
    LogRecord {
        time: view.time,
        observed: view.time,
        labels: Arc::clone(view.labels),
        metadata: view.metadata().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        trace_id: view.trace_id,
        span_id: view.span_id,
        severity: view.severity,
        line: view.line.to_vec(),
        source: None,
        rule: None,
    }
}
