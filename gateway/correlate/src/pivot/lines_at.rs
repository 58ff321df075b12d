//! The line of a stream at a time, among those that a query lets through, and the lines around it.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use parsers::record::LogRecord;
use query::QueryError;
use query::logql::{self, Data, Entry, Expr, Limits, RangeParams};
use store::read::{Direction, LogRead, LogSelect, Matcher, ReadError, ScanReport, Window};

use super::SCAN_TIME;

/// How far from the time that was asked for a line may be: clients round to seconds.
const NEAR: u64 = 1_000_000_000;
/// Lines at that time that are taken for the one.
const MAX_LINES: usize = 10;
/// Before and after a line, so many others of its stream are shown, from so long.
const NEIGHBOURS: usize = 10;
const NEIGHBOURHOOD: u64 = 5_000_000_000;

/// Which line is meant, besides its time: a LogQL query for lines.
#[derive(Debug, Clone)]
pub struct LineSelect {
    text: String,
    matchers: Vec<Matcher>,
    /// What more it says than its streams.
    query: Option<Expr>,
}

impl LineSelect {
    /// Reads a selector, which filters and parsers may follow. `{}` is any stream.
    ///
    /// # Errors
    /// It is no LogQL, or a metric.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let matchers = logql::parse_selector(text)?;
        let query = if matchers.is_empty() { None } else { Some(logql::parse(text)?) };
        if query.as_ref().is_some_and(|query| !query.is_of_lines()) {
            return Err(QueryError::Invalid("a metric is no line".to_owned()));
        }
        Ok(Self { text: text.to_owned(), matchers, query })
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// What was read for a line.
pub(super) struct Seen {
    pub(super) lines: Vec<LogRecord>,
    pub(super) neighbours: Vec<LogRecord>,
    pub(super) report: ScanReport,
}

pub(super) fn around(time: u64) -> Window {
    Window { start: time.saturating_sub(NEIGHBOURHOOD), end: time.saturating_add(NEIGHBOURHOOD) }
}

/// The lines at a time, else the nearest, and those around them.
pub(super) fn look(logs: &dyn LogRead, select: &LineSelect, time: u64) -> Result<Seen, ReadError> {
    let mut reading = Reading { logs, select, report: ScanReport::default() };
    let at = Window { start: time, end: time.saturating_add(1) };
    let mut lines = reading.selected(at, Direction::Forward, MAX_LINES)?;
    if lines.is_empty() {
        let after = Window { start: time, end: time.saturating_add(NEAR) };
        let before = Window { start: time.saturating_sub(NEAR), end: time };
        lines = reading.selected(after, Direction::Forward, 1)?;
        lines.extend(reading.selected(before, Direction::Backward, 1)?);
        lines.sort_by_key(|line| line.time.abs_diff(time));
        lines.truncate(1);
    }
    let mut neighbours = Vec::new();
    if let Some((at, labels)) = lines.first().map(|line| (line.time, line.labels.clone())) {
        let around = around(at);
        let before = Window { start: around.start, end: at };
        let after = Window { start: at, end: around.end };
        neighbours = reading.stream(before, Direction::Backward, NEIGHBOURS)?;
        neighbours.extend(reading.stream(after, Direction::Forward, NEIGHBOURS + lines.len())?);
        neighbours.retain(|line| line.labels == labels);
    }
    Ok(Seen { lines, neighbours, report: reading.report })
}

struct Reading<'a> {
    logs: &'a dyn LogRead,
    select: &'a LineSelect,
    report: ScanReport,
}

impl Reading<'_> {
    /// Lines of the streams, whatever is in them.
    fn stream(
        &mut self,
        window: Window,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<LogRecord>, ReadError> {
        let matchers = self.select.matchers.clone();
        let select =
            LogSelect { matchers, window, direction, trace: None, contains: Vec::new(), mentions: None };
        let mut found = Found { records: Vec::new(), limit, began: Instant::now() };
        let read = self.logs.scan_logs(&select, &mut |record| {
            found.records.push(record);
            if found.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        self.note(&read);
        Ok(found.records)
    }

    /// Lines that the whole query lets through, as they were written.
    fn selected(
        &mut self,
        window: Window,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<LogRecord>, ReadError> {
        let Some(query) = &self.select.query else { return self.stream(window, direction, limit) };
        let (start, end) = (window.start, window.end);
        let params = RangeParams { start, end, step: SCAN_TIME, interval: Duration::ZERO, limit, direction };
        let limits = Limits { time: SCAN_TIME, ..Limits::default() };
        let outcome = logql::evaluate_range(query, self.logs, &params, &limits).map_err(told)?;
        self.note(&outcome.report);
        let Data::Streams(streams) = outcome.data else { return Ok(Vec::new()) };
        let mut entries: Vec<Entry> = streams.into_iter().flat_map(|stream| stream.entries).collect();
        entries.sort_by_key(|entry| entry.time);
        let mut lines: Vec<LogRecord> = Vec::new();
        for entry in entries {
            let at = Window { start: entry.time, end: entry.time.saturating_add(1) };
            let written = self.stream(at, Direction::Forward, MAX_LINES * 10)?;
            // A query that changes lines tells of them only when they were written.
            let same = written.iter().find(|record| record.line == entry.line && !lines.contains(record));
            let record = same.or_else(|| written.iter().find(|record| !lines.contains(record)));
            lines.extend(record.cloned());
        }
        Ok(lines)
    }

    fn note(&mut self, read: &ScanReport) {
        self.report.records += read.records;
        self.report.bytes += read.bytes;
    }
}

fn told(error: QueryError) -> ReadError {
    match error {
        QueryError::Read(error) => error,
        error => ReadError::Refused { server: "LogQL".to_owned(), detail: error.to_string() },
    }
}

struct Found {
    records: Vec<LogRecord>,
    limit: usize,
    began: Instant,
}

impl Found {
    fn is_full(&self) -> bool {
        self.records.len() >= self.limit || self.began.elapsed() > SCAN_TIME
    }
}
