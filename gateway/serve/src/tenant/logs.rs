//! Log records of some tenants.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parsers::record::{Labels, LogRecord, TENANT};
use store::read::{Direction, LogRead, LogSelect, LogView, LogVisit, Matcher, ReadError, ScanReport, Window};

use super::Tenants;

/// Longest time for which lines are read to find out which streams are a tenant's: a list that a person waits for.
const LISTING_TIME: Duration = Duration::from_secs(10);

/// Of the inner ones, those that name one of the tenants.
pub(super) struct Of {
    pub(super) inner: Arc<dyn LogRead>,
    pub(super) tenants: Tenants,
}

impl Of {
    fn has(&self, view: &LogView<'_>) -> bool {
        self.tenants.have(view.metadata().find(|(name, _)| *name == TENANT).map(|(_, tenant)| tenant))
    }
}

/// Hands on what is a tenant's.
struct Kept<'a> {
    of: &'a Of,
    visit: &'a mut dyn LogVisit,
    /// How much that was.
    records: u64,
    bytes: u64,
}

impl LogVisit for Kept<'_> {
    fn record(&mut self, view: &LogView<'_>) -> ControlFlow<()> {
        if !self.of.has(view) {
            return ControlFlow::Continue(());
        }
        self.records += 1;
        self.bytes += view.line.len() as u64;
        self.visit.record(view)
    }

    fn progress(&mut self, so_far: &ScanReport) -> ControlFlow<()> {
        self.visit.progress(so_far)
    }
}

/// Finds out which streams are a tenant's, until all are.
struct Listed<'a> {
    of: &'a Of,
    began: Instant,
    wanted: usize,
    found: BTreeSet<Arc<Labels>>,
}

impl LogVisit for Listed<'_> {
    fn record(&mut self, view: &LogView<'_>) -> ControlFlow<()> {
        if !self.found.contains(view.labels) && self.of.has(view) {
            self.found.insert(Arc::clone(view.labels));
        }
        if self.found.len() < self.wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn progress(&mut self, _: &ScanReport) -> ControlFlow<()> {
        if self.began.elapsed() < LISTING_TIME { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

impl LogRead for Of {
    fn scan_logs(
        &self,
        select: &LogSelect,
        visit: &mut dyn FnMut(LogRecord) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        let (mut records, mut bytes) = (0, 0);
        let report = self.inner.scan_logs(select, &mut |record| {
            let tenant = record.metadata.iter().find(|(name, _)| name == TENANT);
            if self.tenants.have(tenant.map(|(_, tenant)| tenant.as_str())) {
                records += 1;
                bytes += record.line.len() as u64;
                visit(record)
            } else {
                ControlFlow::Continue(())
            }
        })?;
        // How much there is of others is not theirs to know.
        Ok(ScanReport { records, bytes, ..report })
    }

    fn scan_views(
        &self,
        select: &LogSelect,
        ordered: bool,
        visit: &mut dyn LogVisit,
    ) -> Result<ScanReport, ReadError> {
        let mut kept = Kept { of: self, visit, records: 0, bytes: 0 };
        let report = self.inner.scan_views(select, ordered, &mut kept)?;
        Ok(ScanReport { records: kept.records, bytes: kept.bytes, ..report })
    }

    fn streams(&self, matchers: &[Matcher], window: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        let wanted = self.inner.streams(matchers, window)?.len();
        if wanted == 0 {
            return Ok(Vec::new());
        }
        let (direction, contains) = (Direction::Backward, Vec::new());
        let select = LogSelect {
            matchers: matchers.to_vec(),
            window,
            direction,
            trace: None,
            contains,
            mentions: None,
        };
        let mut listed = Listed { of: self, began: Instant::now(), wanted, found: BTreeSet::new() };
        self.inner.scan_views(&select, false, &mut listed)?;
        Ok(listed.found.into_iter().collect())
    }
}
