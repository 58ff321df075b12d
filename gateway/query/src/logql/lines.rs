//! Queries for lines: they stop reading when the answer is full.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use parsers::record::Labels;
use store::read::{LogRead, Window};

use super::pipeline::{Program, Row};
use super::plan::Needed;
use super::scan::{Deadline, Order, scan};
use super::syntax::LogQuery;
use super::{Data, Entry, Limits, Outcome, RangeParams, Stream};
use crate::QueryError;

/// Bytes of lines in an answer: far more than is read. Without a bound, some thousand lines of the greatest length would be a
/// gigabyte.
const MAX_BYTES: usize = 64 << 20;

pub(super) fn find(
    query: &LogQuery,
    logs: &dyn LogRead,
    params: &RangeParams,
    limits: &Limits,
) -> Result<Outcome, QueryError> {
    let mut program = Program::new(query, Needed::All, false);
    let mut answer = Answer::default();
    let mut left = params.limit.min(limits.entries);
    if left == 0 {
        return Ok(Outcome { data: Data::Streams(Vec::new()), report: Default::default() });
    }
    let order = (Window { start: params.start, end: params.end }, Order::In(params.direction));
    let mut last: Option<u64> = None;
    let report = scan(query, &mut program, logs, order, &Deadline::new(limits), &mut |row| {
        if last.is_some_and(|last| u128::from(last.abs_diff(row.time())) < params.interval.as_nanos()) {
            return Ok(ControlFlow::Continue(()));
        }
        last = Some(row.time());
        answer.take(row);
        if answer.bytes > MAX_BYTES {
            let detail =
                "the lines of the answer are over 64 MiB; ask for fewer of them or for a shorter time";
            return Err(QueryError::TooMuch(detail.to_owned()));
        }
        left -= 1;
        Ok(if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(Outcome { data: Data::Streams(answer.streams), report })
}

/// Lines by stream, in the order of their first lines.
#[derive(Default)]
struct Answer {
    streams: Vec<Stream>,
    places: HashMap<Arc<Labels>, usize>,
    /// Of lines and their labels.
    bytes: usize,
}

impl Answer {
    fn take(&mut self, row: &mut Row<'_>) {
        let labels = row.stream_labels();
        let place = *self.places.entry(Arc::clone(&labels)).or_insert_with(|| {
            self.streams.push(Stream { labels, entries: Vec::new() });
            self.streams.len() - 1
        });
        if let Some(stream) = self.streams.get_mut(place) {
            let (structured, parsed) = (row.structured(), row.parsed());
            let pairs = structured.iter().chain(&parsed);
            self.bytes +=
                row.bytes().len() + pairs.map(|(name, value)| name.len() + value.len()).sum::<usize>();
            stream.entries.push(Entry { time: row.time(), line: row.bytes().to_vec(), structured, parsed });
        }
    }
}
