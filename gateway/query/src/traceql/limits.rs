//! How much one query may read.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use store::read::ScanReport;

use crate::QueryError;

/// Longest time of a query. Grafana gives a data source 30 s, the surface 28: this ends before, and says why.
const DEFAULT_TIME: Duration = Duration::from_secs(25);
/// Bytes of spans that a query reads: some minutes of one core, far more than fits the time.
const DEFAULT_BYTES: u64 = 64 << 30;
/// Spans that a query reads: as `DEFAULT_BYTES`, of very short spans.
const DEFAULT_SPANS: u64 = 200_000_000;

/// How much one query may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long.
    pub time: Duration,
    /// Bytes of spans.
    pub bytes: u64,
    /// Spans.
    pub spans: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: DEFAULT_TIME, bytes: DEFAULT_BYTES, spans: DEFAULT_SPANS }
    }
}

/// Limits while a query runs.
#[derive(Debug)]
pub(super) struct Spent {
    limits: Limits,
    started: Instant,
    exceeded: Option<QueryError>,
}

impl Spent {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, started: Instant::now(), exceeded: None }
    }

    /// Breaks when one is exceeded.
    pub(super) fn check(&mut self, report: ScanReport) -> ControlFlow<()> {
        let Limits { time, bytes, spans } = self.limits;
        let too_much = |limit: u64, what: &str| {
            let told =
                format!("query exceeds the limit of {limit} {what}; narrow the time range or the conditions");
            QueryError::TooMuch(told)
        };
        self.exceeded = if self.started.elapsed() > time {
            Some(QueryError::Timeout(time))
        } else if report.bytes > bytes {
            Some(too_much(bytes, "bytes read"))
        } else if report.records > spans {
            Some(too_much(spans, "spans read"))
        } else {
            None
        };
        if self.exceeded.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// The error that ended it, if one did.
    pub(super) fn ended(self) -> Result<(), QueryError> {
        self.exceeded.map_or(Ok(()), Err)
    }
}
