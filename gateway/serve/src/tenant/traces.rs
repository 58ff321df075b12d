//! Spans of some tenants, and the log records and exemplars that go with them.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parsers::record::{Resource, Span, TENANT, TENANT_LABEL, TraceId, Value, attribute};
use store::read::{
    Detail, Fate, LogView, ReadError, RunningSelect, ScanReport, SpanHint, SpanSelect, SpanView, TraceRead,
    TraceRecords, TraceSelect, TraceVisitor, Window,
};

use super::Tenants;

/// Longest time for which spans are read to find out which services are a tenant's: a list that a person waits for.
const LISTING_TIME: Duration = Duration::from_secs(5);
/// Operations of one service in a list, as the store has it.
const OPERATIONS: usize = 1_000;

/// Of the inner ones, those whose resource names one of the tenants.
pub(super) struct Of {
    pub(super) inner: Arc<dyn TraceRead>,
    pub(super) tenants: Tenants,
}

impl Of {
    fn has(&self, resource: &Resource) -> bool {
        self.tenants.have(attribute(&resource.attributes, TENANT).and_then(Value::as_str))
    }
}

impl TraceRead for Of {
    fn trace(&self, id: TraceId, limit: usize) -> Result<TraceRecords, ReadError> {
        let mut found = self.inner.trace(id, limit)?;
        found.spans.retain(|span| self.has(&span.resource));
        found.logs.retain(|record| {
            let tenant = record.metadata.iter().find(|(name, _)| name == TENANT);
            self.tenants.have(tenant.map(|(_, tenant)| tenant.as_str()))
        });
        found.exemplars.retain(|exemplar| self.tenants.have(exemplar.series.get(TENANT_LABEL)));
        for exemplar in &mut found.exemplars {
            exemplar.series = self.tenants.shown(std::mem::take(&mut exemplar.series));
        }
        Ok(found)
    }

    fn trace_spans(&self, id: TraceId, detail: Detail<'_>, limit: usize) -> Result<Vec<Span>, ReadError> {
        let mut spans = self.inner.trace_spans(id, detail, limit)?;
        spans.retain(|span| self.has(&span.resource));
        Ok(spans)
    }

    fn lines_of(&self, ids: &[TraceId], visit: &mut dyn FnMut(usize, &LogView<'_>)) -> Result<(), ReadError> {
        self.inner.lines_of(ids, &mut |place, view| {
            let tenant = view.metadata().find(|(name, _)| *name == TENANT);
            if self.tenants.have(tenant.map(|(_, tenant)| tenant)) {
                visit(place, view);
            }
        })
    }

    fn spans_of(
        &self,
        ids: &[TraceId],
        visit: &mut dyn FnMut(usize, &SpanView<'_>),
    ) -> Result<(), ReadError> {
        self.inner.spans_of(ids, &mut |place, view| {
            if self.has(view.resource()) {
                visit(place, view);
            }
        })
    }

    fn running(
        &self,
        select: &RunningSelect,
        visit: &mut dyn FnMut(&SpanView<'_>) -> ControlFlow<()>,
    ) -> Result<bool, ReadError> {
        self.inner.running(select, &mut |view| {
            if self.has(view.resource()) { visit(view) } else { ControlFlow::Continue(()) }
        })
    }

    fn sampled_out(&self, id: TraceId) -> Option<Fate> {
        self.inner.sampled_out(id)
    }

    fn scan_traces(
        &self,
        select: &SpanSelect,
        visit: &mut dyn FnMut(Vec<Span>) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        let mut records = 0;
        let report = self.inner.scan_traces(select, &mut |mut spans| {
            spans.retain(|span| self.has(&span.resource));
            records += spans.len() as u64;
            if spans.is_empty() { ControlFlow::Continue(()) } else { visit(spans) }
        })?;
        // How much there is of others is not theirs to know.
        Ok(ScanReport { records, ..report })
    }

    fn visit_traces(
        &self,
        select: &TraceSelect<'_>,
        visitor: &mut dyn TraceVisitor,
    ) -> Result<ScanReport, ReadError> {
        let mut contains = select.contains.clone();
        contains.extend(self.tenants.only().map(|name| name.as_bytes().to_vec()));
        let seen = Cell::new((0, 0));
        let wanted = |view: &SpanView<'_>| {
            if !self.has(view.resource()) {
                return false;
            }
            let (records, bytes) = seen.get();
            seen.set((records + 1, bytes + view.size()));
            (select.wanted)(view)
        };
        let (service, hint) = (select.service.clone(), select.hint.clone());
        let select = TraceSelect { service, contains, hint, wanted: &wanted, ..*select };
        let report = self.inner.visit_traces(&select, &mut Kept { of: self, visitor })?;
        let (records, bytes) = seen.get();
        Ok(ScanReport { records, bytes, ..report })
    }

    /// The store's lists are not by tenant: spans are read for this one, the newest first, for as long as one waits.
    fn services(&self, window: Window) -> Result<Vec<(String, Vec<String>)>, ReadError> {
        let select = TraceSelect {
            window,
            reach: None,
            service: None,
            contains: Vec::new(),
            hint: SpanHint::Anything,
            wanted: &|_| true,
            whole: false,
        };
        let mut listed = Listed { began: Instant::now(), found: BTreeMap::new() };
        self.visit_traces(&select, &mut listed)?;
        Ok(listed.found.into_iter().map(|(name, names)| (name, names.into_iter().collect())).collect())
    }
}

/// Hands on what is a tenant's.
struct Kept<'a> {
    of: &'a Of,
    visitor: &'a mut dyn TraceVisitor,
}

impl TraceVisitor for Kept<'_> {
    fn trace(&mut self, spans: &[SpanView<'_>]) -> ControlFlow<()> {
        if spans.iter().all(|span| self.of.has(span.resource())) {
            return self.visitor.trace(spans);
        }
        let kept: Vec<SpanView<'_>> =
            spans.iter().filter(|span| self.of.has(span.resource())).cloned().collect();
        if kept.is_empty() { ControlFlow::Continue(()) } else { self.visitor.trace(&kept) }
    }

    fn progress(&mut self, report: ScanReport, newest: u64) -> ControlFlow<()> {
        self.visitor.progress(report, newest)
    }
}

/// Services and their operations, as spans have them.
struct Listed {
    began: Instant,
    found: BTreeMap<String, BTreeSet<String>>,
}

impl TraceVisitor for Listed {
    fn trace(&mut self, spans: &[SpanView<'_>]) -> ControlFlow<()> {
        for span in spans {
            let service = span.service();
            if !self.found.contains_key(service) {
                self.found.insert(service.to_owned(), BTreeSet::new());
            }
            if let Some(names) = self.found.get_mut(service)
                && names.len() < OPERATIONS
            {
                names.insert(span.name().into_owned());
            }
        }
        ControlFlow::Continue(())
    }

    fn progress(&mut self, _: ScanReport, _: u64) -> ControlFlow<()> {
        if self.began.elapsed() < LISTING_TIME { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}
