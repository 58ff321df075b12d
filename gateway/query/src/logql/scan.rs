//! Reading the records of one selector: what the store may skip by, one pipeline over each record, and the bounds.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use store::read::{Direction, LogRead, LogSelect, LogView, LogVisit, ScanReport, Window};

use super::Limits;
use super::pipeline::{Program, Row};
use super::plan::{hints, matchers};
use super::syntax::LogQuery;
use crate::QueryError;

/// When a query has to be done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    began: Instant,
    bytes: u64,
    time: Duration,
}

impl Deadline {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { began: Instant::now(), bytes: limits.bytes, time: limits.time }
    }

    fn check(&self, so_far: &ScanReport) -> Result<(), QueryError> {
        if so_far.bytes > self.bytes {
            return Err(QueryError::TooMuch(format!(
                "the query would read too many bytes (query: {}, limit: {}); consider adding more specific stream selectors or \
                 reduce the time range of the query",
                so_far.bytes, self.bytes
            )));
        }
        if self.began.elapsed() > self.time {
            return Err(QueryError::Timeout(self.time));
        }
        Ok(())
    }
}

/// In which order records are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    In(Direction),
    Any,
}

/// What takes the rows that pass: it says whether it wants more, or why it cannot go on.
pub(super) type Take<'a> = dyn FnMut(&mut Row<'_>) -> Result<ControlFlow<()>, QueryError> + 'a;

/// Gives each record that passes the stages to `take`.
pub(super) fn scan(
    query: &LogQuery,
    program: &mut Program<'_>,
    logs: &dyn LogRead,
    (window, order): (Window, Order),
    deadline: &Deadline,
    take: &mut Take<'_>,
) -> Result<ScanReport, QueryError> {
    let hints = hints(query);
    let direction = match order {
        Order::In(direction) => direction,
        Order::Any => Direction::Forward,
    };
    let select = LogSelect {
        matchers: matchers(query),
        window,
        direction,
        trace: hints.trace,
        contains: hints.contains,
        mentions: hints.mentions,
    };
    let mut visit = Visit { program, deadline, take, failed: None };
    let report = logs.scan_views(&select, order != Order::Any, &mut visit)?;
    visit.failed.map_or(Ok(report), Err)
}

pub(super) fn sum(a: ScanReport, b: ScanReport) -> ScanReport {
    ScanReport {
        bytes: a.bytes + b.bytes,
        records: a.records + b.records,
        damaged_blocks: a.damaged_blocks + b.damaged_blocks,
    }
}

struct Visit<'a, 'q> {
    program: &'a mut Program<'q>,
    deadline: &'a Deadline,
    take: &'a mut Take<'a>,
    failed: Option<QueryError>,
}

impl LogVisit for Visit<'_, '_> {
    fn record(&mut self, view: &LogView<'_>) -> ControlFlow<()> {
        match self.program.run(view, &mut self.take) {
            Ok(flow) => flow,
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn progress(&mut self, so_far: &ScanReport) -> ControlFlow<()> {
        match self.deadline.check(so_far) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}
