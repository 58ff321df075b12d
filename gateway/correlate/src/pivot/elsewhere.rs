//! Why a window has nothing of what was asked about: sampling dropped it, or it was there at another time.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use parsers::record::format_rfc3339;
use store::read::{
    Direction, Fate, LogRead, LogSelect, LogView, LogVisit, Matcher, ReadError, SampleRead, ScanReport,
    SpanHint, SpanView, TraceRead, TraceSelect, TraceVisitor, Window,
};
use store::{KeepTraces, Rule, SamplingOptions};

use super::gather::{Gathered, blocking};
use super::subject::Subject;
use super::tenant::{OneTenant, of_resource};
use super::{Pivot, SCAN_TIME};
use crate::absent::absence;
use crate::streams::{Selection, tenant_of};
use crate::{Absence, AbsentReason, AbsentSignal};

impl Pivot {
    /// Says of spans and of lines that were not found where they are, if that is known.
    pub(super) async fn add_elsewhere(
        &self,
        subject: &Subject,
        window: Window,
        gathered: &mut Gathered,
    ) -> Result<(), ReadError> {
        let (no_spans, no_lines) = (gathered.seeds.is_empty(), gathered.related.logs.is_empty());
        if !no_spans && !no_lines {
            return Ok(());
        }
        let (traces, logs) = (self.correlator.store(), self.logs.clone());
        let (mapping, subject) = (self.correlator.mapping().clone(), subject.clone());
        let tenant = gathered.tenant.clone();
        let (samples, options) = (Arc::clone(&self.samples), self.correlator.options_shared());
        let found = blocking(move || {
            let mut absent = Vec::new();
            if no_spans {
                let dropped = match dropped(&*traces, &subject, window)? {
                    None => options
                        .sampling
                        .as_ref()
                        .map_or(Ok(None), |sampling| by_rules(sampling, &*samples, &subject, window))?,
                    known => known,
                };
                let newest = || newest_span(&*traces, &subject, tenant.clone());
                absent.extend(match dropped {
                    Some(dropped) => Some(dropped),
                    None => newest()?.map(|at| outside(AbsentSignal::Spans, &subject, at, window)),
                });
            }
            if no_lines {
                let selections = subject.selections(&*logs, &mapping, &Default::default(), Window::ALL)?;
                let newest = newest_line(&*logs, &selections, tenant)?;
                absent.extend(newest.map(|at| outside(AbsentSignal::Logs, &subject, at, window)));
            }
            Ok(absent)
        })
        .await?;
        gathered.related.absent.extend(found);
        Ok(())
    }
}

fn outside(signal: AbsentSignal, subject: &Subject, at: u64, window: Window) -> Absence {
    let (text, at) = (subject.text(), format_rfc3339(at));
    let (start, end) = (format_rfc3339(window.start), format_rfc3339(window.end));
    let detail = match signal {
        AbsentSignal::Spans => {
            format!("no span of {text} began between {start} and {end}; the newest began at {at}")
        }
        _ => format!("{text} wrote no line between {start} and {end}; the newest is of {at}"),
    };
    absence(signal, AbsentReason::OutsideWindow, detail)
}

/// That the spans of a service were counted, and by which rule sampling dropped them.
fn dropped(traces: &dyn TraceRead, subject: &Subject, window: Window) -> Result<Option<Absence>, ReadError> {
    let Some(service) = subject.service_name() else { return Ok(None) };
    let calls = traces.calls(window)?;
    let counted: u64 =
        calls.operations.iter().filter(|one| &*one.service == service).map(|one| one.calls).sum();
    let of_it = calls.edges.iter().filter(|edge| [&*edge.server, &*edge.client].contains(&service));
    let fate = of_it.flat_map(|edge| &edge.examples).find_map(|id| traces.sampled_out(*id));
    let Some(Fate::SampledOut { rule, decided }) = fate.filter(|_| counted > 0) else { return Ok(None) };
    let at = format_rfc3339(decided);
    let detail = format!(
        "{counted} spans of {service} were counted in these minutes, and none is kept: the rule `{rule}` of `sampling.rules` dropped \
         traces of it, one of them at {at}, with their lines and exemplars"
    );
    Ok(Some(absence(AbsentSignal::Spans, AbsentReason::SampledOut, detail)))
}

/// That the rules drop all traces of a service, or that its spans arrived, as is counted before sampling.
fn by_rules(
    sampling: &SamplingOptions,
    samples: &dyn SampleRead,
    subject: &Subject,
    window: Window,
) -> Result<Option<Absence>, ReadError> {
    let Some(service) = subject.service_name() else { return Ok(None) };
    let names = |rule: &&Rule| rule.when.service.as_ref().is_some_and(|of| of.matches(service));
    let all = |rule: &&Rule| rule.when.span_conditions() == 1 && rule.keep == KeepTraces::Share(0.0);
    let counted = [Matcher::equal("__name__", ARRIVED), Matcher::equal("service", service)];
    let detail = if let Some(rule) = sampling.rules.iter().filter(names).find(all) {
        format!(
            "no span of {service} is kept: the rule `{}` of `sampling.rules` drops the traces of it",
            rule.name
        )
    } else if !samples.label_sets(&[counted.to_vec()], window)?.is_empty() {
        let rules: Vec<String> = sampling.rules.iter().map(|rule| format!("`{}`", rule.name)).collect();
        format!(
            "spans of {service} arrived, as `{ARRIVED}` counts before sampling, and none is kept of this time: `sampling.rules` ({}) \
             dropped them, unless they have expired since",
            rules.join(", ")
        )
    } else {
        return Ok(None);
    };
    Ok(Some(absence(AbsentSignal::Spans, AbsentReason::SampledOut, detail)))
}

/// Counts spans as they arrive.
const ARRIVED: &str = "traces_spanmetrics_calls_total";

/// When the newest span of it began that is stored, as far as the newest segment with any tells.
fn newest_span(
    traces: &dyn TraceRead,
    subject: &Subject,
    tenant: OneTenant,
) -> Result<Option<u64>, ReadError> {
    let wanted = |span: &SpanView<'_>| {
        subject.of(span.resource()).is_some() && tenant.clone().lets_in(of_resource(span.resource()))
    };
    let select = TraceSelect {
        window: Window::ALL,
        reach: None,
        service: subject.service_name().map(str::to_owned),
        contains: Vec::new(),
        hint: SpanHint::Anything,
        wanted: &wanted,
        whole: false,
    };
    let mut newest = NewestSpan { wanted: &wanted, began: Instant::now(), at: None };
    traces.visit_traces(&select, &mut newest)?;
    Ok(newest.at)
}

struct NewestSpan<'a> {
    wanted: &'a dyn Fn(&SpanView<'_>) -> bool,
    began: Instant,
    at: Option<u64>,
}

impl TraceVisitor for NewestSpan<'_> {
    fn trace(&mut self, spans: &[SpanView<'_>]) -> ControlFlow<()> {
        let own = spans.iter().filter(|span| (self.wanted)(span)).map(|span| span.start);
        self.at = self.at.max(own.max());
        ControlFlow::Continue(())
    }

    /// Newer segments come first: older ones have nothing newer, but for what was sent late.
    fn progress(&mut self, _: ScanReport, newest: u64) -> ControlFlow<()> {
        let known = self.at.is_some_and(|at| newest <= at);
        if known || self.began.elapsed() > SCAN_TIME {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// When its newest line was written.
fn newest_line(
    logs: &dyn LogRead,
    selections: &[Selection],
    tenant: OneTenant,
) -> Result<Option<u64>, ReadError> {
    let mut newest = NewestLine { tenant, began: Instant::now(), at: None };
    for selection in selections {
        let select = LogSelect {
            matchers: selection.matchers.clone(),
            window: Window { start: newest.at.unwrap_or_default(), end: Window::ALL.end },
            direction: Direction::Backward,
            trace: None,
            contains: Vec::new(),
            mentions: None,
        };
        logs.scan_views(&select, true, &mut newest)?;
    }
    Ok(newest.at)
}

struct NewestLine {
    tenant: OneTenant,
    began: Instant,
    at: Option<u64>,
}

impl LogVisit for NewestLine {
    fn record(&mut self, view: &LogView<'_>) -> ControlFlow<()> {
        if !self.tenant.lets_in(tenant_of(view)) {
            return ControlFlow::Continue(());
        }
        self.at = self.at.max(Some(view.time));
        ControlFlow::Break(())
    }

    fn progress(&mut self, _: &ScanReport) -> ControlFlow<()> {
        if self.began.elapsed() > SCAN_TIME { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
