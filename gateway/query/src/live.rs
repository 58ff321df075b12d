//! A log query over records that have just arrived, as live tail asks it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use parsers::record::{Batch, Labels, LogRecord};
use store::read::{Direction, LogRead, LogSelect, Matcher, ReadError, ScanReport, Window};

use crate::QueryError;
use crate::logql::{self, Data, Expr, Limits, RangeParams, Stream};

/// The lines of a batch that a query selects, as it formats them, oldest first; `limit` of them at most. A metric query has none.
pub fn lines(expression: &Expr, batch: &Batch, limit: usize) -> Result<Vec<Stream>, QueryError> {
    // What the batch has in streams that are not asked for costs nothing.
    let wanted = |labels: &Arc<Labels>| expression.matchers().iter().all(|m| m.matches(labels));
    if !batch.logs.streams.iter().any(wanted) {
        return Ok(Vec::new());
    }
    let params = RangeParams {
        start: 0,
        end: u64::MAX,
        step: Duration::from_secs(1),
        interval: Duration::ZERO,
        limit,
        direction: Direction::Forward,
    };
    let limits = Limits { entries: limit, ..Limits::default() };
    match logql::evaluate_range(expression, &Arrived(batch), &params, &limits)?.data {
        Data::Streams(streams) => Ok(streams),
        Data::Matrix(_) | Data::Vector(_) | Data::Scalar(_) => Ok(Vec::new()),
    }
}

/// Records of a batch as a source of its own.
struct Arrived<'a>(&'a Batch);

impl LogRead for Arrived<'_> {
    fn scan_logs(
        &self,
        select: &LogSelect,
        visit: &mut dyn FnMut(LogRecord) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        let logs = &self.0.logs;
        let wanted: Vec<bool> =
            logs.streams.iter().map(|labels| select.matchers.iter().all(|m| m.matches(labels))).collect();
        let mut rows: Vec<_> = logs
            .rows
            .iter()
            .filter(|row| select.window.contains(row.time))
            .filter(|row| wanted.get(row.stream as usize).copied().unwrap_or(false))
            .collect();
        rows.sort_by_key(|row| row.time);
        let mut report = ScanReport::default();
        for row in rows {
            report.records += 1;
            report.bytes += row.line.len() as u64;
            if visit(logs.record(row)).is_break() {
                break;
            }
        }
        Ok(report)
    }

    fn streams(&self, matchers: &[Matcher], _: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        let streams = self.0.logs.streams.iter();
        Ok(streams.filter(|labels| matchers.iter().all(|m| m.matches(labels))).cloned().collect())
    }
}
