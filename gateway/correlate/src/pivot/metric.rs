//! Series at a time as the start: their exemplars, else the workload that their labels tell.

use std::collections::BTreeMap;

use parsers::record::{TraceId, Workload, format_rfc3339};
use query::series_selectors::Selector;
use store::read::{Detail, ReadError, Window};

use super::gather::{Gathered, blocking};
use super::subject::Subject;
use super::tenant::of_resource;
use super::{Pivot, Reason, Related, RelatedWorkload, SurfaceQuery};
use crate::absent::{absence, reason_of};
use crate::{AbsentReason, AbsentSignal};

/// How long before a value exemplars are of it: the range of a usual rate.
const BEFORE: u64 = 300_000_000_000;
/// And after: a scrape later.
const AFTER: u64 = 60_000_000_000;
/// Series whose workloads are looked at.
const MAX_SERIES: usize = 100;
/// Traces of which it is looked whose they are.
const MAX_TRACES: usize = 1_000;
/// Services whose spans are looked at.
const MAX_SERVICES: usize = 3;
/// Labels say which service it is, not which requests made the value.
const BY_LABELS: f64 = 0.5;

impl Pivot {
    /// Of which tenant the first of these traces are, of those that have spans here.
    async fn whose(&self, ids: Vec<TraceId>) -> Result<BTreeMap<u128, Option<String>>, ReadError> {
        let traces = self.correlator.store();
        blocking(move || {
            let mut whose = BTreeMap::new();
            for id in ids {
                if whose.len() >= MAX_TRACES || whose.contains_key(&id.bits()) {
                    continue;
                }
                if let Some(span) = traces.trace_spans(id, Detail::Outline, 1)?.first() {
                    whose.insert(id.bits(), of_resource(&span.resource).map(str::to_owned));
                }
            }
            Ok(whose)
        })
        .await
    }

    pub(super) async fn of_metric(
        &self,
        expression: &str,
        selectors: &[Selector],
        time: u64,
        mut gathered: Gathered,
    ) -> Result<Related, ReadError> {
        let window = Window { start: time.saturating_sub(BEFORE), end: time.saturating_add(AFTER) };
        gathered.related.window = Some(window);
        gathered.related.queries.push(SurfaceQuery::PromQl(expression.to_owned()));
        let found = self.exemplars.find(expression, selectors, window, None).await?;
        gathered.related.warnings.extend(found.warnings);
        gathered.related.absent.extend(found.absent);
        let named: Vec<TraceId> = found
            .series
            .iter()
            .flat_map(|series| series.exemplars.iter().filter_map(|found| found.exemplar.trace_id))
            .collect();
        let whose = self.whose(named).await?;
        for series in found.series {
            for found in series.exemplars {
                if !gathered.tenant.lets_in_series(&series.labels, self.from) {
                    continue;
                }
                // A series that does not say whose it is may name traces of several.
                let of = found.exemplar.trace_id.and_then(|id| whose.get(&id.bits()));
                if of.is_some_and(|of| !gathered.tenant.lets_in(of.as_deref())) {
                    continue;
                }
                let (rule, confidence, why) = match found.made {
                    None => ("exemplar", 1.0, "the application named this trace".to_owned()),
                    Some(made) => (
                        "labels",
                        made.confidence,
                        format!("{} of its step among spans that fit", made.of.as_str()),
                    ),
                };
                let reason = Reason::new(rule, confidence, why);
                if let Some(id) = found.exemplar.trace_id {
                    gathered.add_seed(id, found.exemplar.span_id, reason.clone());
                }
                gathered.add_exemplar(found, reason);
            }
        }
        let texts: Vec<String> = selectors.iter().map(|selector| selector.text.clone()).collect();
        let (series, answered) = match self.metrics.series(&texts, window).await {
            Ok(series) => (series, true),
            Err(error) => {
                let detail = error.to_string();
                gathered.related.absent.push(absence(AbsentSignal::Metrics, reason_of(&error), detail));
                (Vec::new(), false)
            }
        };
        let mut services: Vec<Workload> = Vec::new();
        let none = answered && series.is_empty();
        for labels in series.into_iter().take(MAX_SERIES) {
            if !gathered.tenant.lets_in_series(&labels, self.from) {
                continue;
            }
            let mut workload = Workload::from_labels(&labels);
            // Prometheus Operator's `job` is `namespace/name`; its `instance` is an address.
            workload.service = workload.service.map(|name| match name.rsplit_once('/') {
                Some((_, name)) => name.to_owned(),
                None => name,
            });
            workload.instance = None;
            let Workload { service, namespace, cluster, .. } = workload.clone();
            let of = Workload { service, namespace, cluster, ..Workload::default() };
            if of.service.is_some() && !services.contains(&of) {
                services.push(of);
            }
            let reason =
                Reason::new("labels", 1.0, "its labels say so").by(labels.iter().map(|(name, _)| name));
            gathered.add_workload(RelatedWorkload { workload, reason });
        }
        if none && gathered.seeds.is_empty() {
            let detail = format!("no series of {expression} has samples around {}", format_rfc3339(time));
            gathered.related.absent.push(absence(AbsentSignal::Metrics, AbsentReason::NoMatch, detail));
        }
        if !answered && gathered.seeds.is_empty() {
            for signal in [AbsentSignal::Spans, AbsentSignal::Logs] {
                let detail = "what lies behind the series is told by their labels, which are not known now";
                gathered.related.absent.push(absence(signal, AbsentReason::SourceDown, detail));
            }
        }
        for service in services.into_iter().take(MAX_SERVICES) {
            self.add_subject(Subject::service_in(service), window, &mut gathered, BY_LABELS).await?;
        }
        self.add_lines_of_seeds(&mut gathered).await?;
        self.add_metrics(&mut gathered).await;
        self.summarise(gathered).await
    }
}
