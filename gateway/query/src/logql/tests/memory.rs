//! Records in memory, and short ways to ask about them.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use parsers::record::{Labels, LogRecord, Severity, TraceId};
use store::read::{Direction, LogRead, LogSelect, Matcher, ReadError, ScanReport, Window};

use crate::QueryError;
use crate::logql::{Data, Limits, RangeParams, evaluate_instant, evaluate_range, parse};

pub(super) const SECOND: u64 = 1_000_000_000;

pub(super) struct Memory(pub(super) Vec<LogRecord>);

impl LogRead for Memory {
    fn scan_logs(
        &self,
        select: &LogSelect,
        visit: &mut dyn FnMut(LogRecord) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        let selected = |r: &&LogRecord| {
            let of_trace =
                select.trace.is_none_or(|id| r.trace_id.is_some_and(|trace| trace.matches(id).is_some()));
            select.window.contains(r.time) && select.matchers.iter().all(|m| m.matches(&r.labels)) && of_trace
        };
        let mut found: Vec<LogRecord> = self.0.iter().filter(selected).cloned().collect();
        found.sort_by_key(|record| record.time);
        if select.direction == Direction::Backward {
            found.reverse();
        }
        let mut report = ScanReport::default();
        let _ = found.into_iter().try_for_each(|record| {
            report.records += 1;
            report.bytes += record.line.len() as u64;
            visit(record)
        });
        Ok(report)
    }

    fn streams(&self, _: &[Matcher], _: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        Ok(Vec::new())
    }
}

/// A record at a second: `a=b,c=d` are its labels.
pub(super) fn record(second: u64, labels: &str, line: &str) -> LogRecord {
    LogRecord {
        time: second * SECOND,
        observed: 0,
        labels: Arc::new(Labels::new(pairs(labels))),
        metadata: Vec::new(),
        trace_id: None,
        span_id: None,
        severity: Severity::Info,
        line: line.as_bytes().to_vec(),
        source: None,
        rule: None,
    }
}

pub(super) fn traced(mut record: LogRecord, id: &str) -> LogRecord {
    record.trace_id = Some(TraceId::from_hex(id.as_bytes()).unwrap());
    record
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(',').filter_map(|pair| pair.split_once('='))
}

/// `a=b c=d`, sorted.
fn spelled(mut pairs: Vec<(String, String)>) -> String {
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

/// The lines of a query, oldest first, each with the labels that parsers found: `line {a=b c=d}`.
pub(super) fn lines(memory: &Memory, query: &str) -> Result<Vec<String>, QueryError> {
    let params = params(0, 1_000, 10);
    match evaluate_range(&parse(query)?, memory, &params, &Limits::default())?.data {
        Data::Streams(streams) => {
            let mut all: Vec<_> = streams.into_iter().flat_map(|stream| stream.entries).collect();
            all.sort_by_key(|entry| entry.time);
            let spell = |entry: crate::logql::Entry| {
                let line = String::from_utf8_lossy(&entry.line).into_owned();
                if entry.parsed.is_empty() { line } else { format!("{line} {{{}}}", spelled(entry.parsed)) }
            };
            Ok(all.into_iter().map(spell).collect())
        }
        other => panic!("{query}: {other:?}"),
    }
}

/// Of the first line of a query: its stream, and its structured and parsed labels.
pub(super) fn first(memory: &Memory, query: &str) -> (String, (String, String)) {
    let outcome = evaluate_range(&parse(query).unwrap(), memory, &params(0, 1_000, 10), &Limits::default());
    let Data::Streams(mut streams) = outcome.unwrap().data else { panic!("{query}: no lines") };
    let stream = streams.pop().unwrap_or_else(|| panic!("{query}: no line"));
    let labels = stream.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let entry = stream.entries.into_iter().next().unwrap();
    (spelled(labels), (spelled(entry.structured), spelled(entry.parsed)))
}

pub(super) fn params(start: u64, end: u64, step: u64) -> RangeParams {
    RangeParams {
        start: start * SECOND,
        end: end * SECOND,
        step: Duration::from_secs(step),
        interval: Duration::ZERO,
        limit: 1_000,
        direction: Direction::Backward,
    }
}

/// Values at a second: `{a=b} 5`.
pub(super) fn values(memory: &Memory, query: &str, second: u64) -> Result<Vec<String>, QueryError> {
    let limits = Limits::default();
    let outcome =
        evaluate_instant(&parse(query)?, memory, second * SECOND, 100, Direction::Backward, &limits)?;
    let spell = |labels: &Labels, value: f64| {
        let pairs = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        format!("{{{}}} {}", spelled(pairs), rounded(value))
    };
    Ok(match outcome.data {
        Data::Vector(values) => values.iter().map(|(labels, sample)| spell(labels, sample.value)).collect(),
        Data::Scalar(sample) => vec![rounded(sample.value)],
        other => panic!("{query}: {other:?}"),
    })
}

/// Series over time: `{a=b} 1@10 2@20`.
pub(super) fn series(memory: &Memory, query: &str, params: &RangeParams) -> Result<Vec<String>, QueryError> {
    match evaluate_range(&parse(query)?, memory, params, &Limits::default())?.data {
        Data::Matrix(series) => {
            let spell = |one: &parsers::record::Series| {
                let pairs =
                    one.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                let samples =
                    one.samples.iter().map(|s| format!(" {}@{}", rounded(s.value), s.time / SECOND));
                format!("{{{}}}{}", spelled(pairs), samples.collect::<String>())
            };
            Ok(series.iter().map(spell).collect())
        }
        other => panic!("{query}: {other:?}"),
    }
}

/// To nine digits, so that the order of additions does not show.
fn rounded(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let text = format!("{value:.9}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
