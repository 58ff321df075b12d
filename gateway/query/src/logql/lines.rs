//! Queries for lines: they stop reading when the answer is full.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use parsers::record::Labels;
use store::read::{Direction, LogRead, Window};

use super::pipeline::{Program, Row};
use super::plan::Needed;
use super::scan::{Deadline, Order, scan};
use super::syntax::LogQuery;
use super::{Data, Entry, Limits, Outcome, Stream};
use crate::QueryError;

pub(super) fn find(
    query: &LogQuery,
    logs: &dyn LogRead,
    window: Window,
    direction: Direction,
    limit: usize,
    limits: &Limits,
) -> Result<Outcome, QueryError> {
    let mut program = Program::new(query, Needed::All, false);
    let mut answer = Answer::default();
    let mut left = limit;
    if left == 0 {
        return Ok(Outcome { data: Data::Streams(Vec::new()), report: Default::default() });
    }
    let order = (window, Order::In(direction));
    let report = scan(query, &mut program, logs, order, &Deadline::new(limits), &mut |row| {
        answer.take(row);
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
            stream.entries.push(Entry { time: row.time(), line: row.bytes().to_vec(), structured, parsed });
        }
    }
}
