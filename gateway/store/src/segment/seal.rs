//! From the batches of a head to segments: rows are dealt out by signal and day, sorted, and filled into blocks.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parsers::record::{Batch, Labels, LogBatch, LogRow};
use rustc_hash::FxHashMap;

use super::calls::write_calls;
use super::fill::{LogFill, MetricFill, SpanFill, order};
use super::log_table::sample;
use super::services::Services;
use super::writer::Writer;
use super::{DAY, Name, Section};
use crate::calls::Gather;
use crate::codec::Output;
use crate::disk;
use crate::read::Signal;

/// A sender with a broken clock must not make a file a day: older days than these go with the oldest of them.
const MAX_DAYS: usize = 16;

/// Rows of a batch list, as (batch, row).
type Rows = Vec<(u32, u32)>;

/// A log record in its batch.
type LogOf<'a> = (&'a LogBatch, &'a LogRow);

/// Deals the rows of a signal out by day.
fn days(signal: Signal, batches: &[Arc<Batch>]) -> BTreeMap<u64, Rows> {
    let mut days: BTreeMap<u64, Rows> = BTreeMap::new();
    let mut add = |batch: usize, row: usize, time: u64| {
        days.entry(time / DAY).or_default().push((batch as u32, row as u32));
    };
    for (b, batch) in batches.iter().enumerate() {
        match signal {
            Signal::Logs => batch.logs.rows.iter().enumerate().for_each(|(i, r)| add(b, i, r.time)),
            Signal::Traces => {
                batch.spans.rows.iter().enumerate().for_each(|(i, r)| add(b, i, r.start));
            }
            // Samples lie elsewhere.
            Signal::Metrics => {
                batch.metrics.exemplars.iter().enumerate().for_each(|(i, e)| add(b, i, e.time));
            }
        }
    }
    while days.len() > MAX_DAYS {
        let Some((_, old)) = days.pop_first() else { break };
        if let Some(mut next) = days.first_entry() {
            next.get_mut().extend(old);
        }
    }
    days
}

/// Writes batches into segments that cover these journals, one a signal and day. They have their names when this returns, and
/// survive a power failure.
pub fn seal(dir: &Path, batches: &[Arc<Batch>], journals: (u64, u64)) -> io::Result<Vec<Name>> {
    let mut names = Vec::new();
    for signal in [Signal::Logs, Signal::Traces, Signal::Metrics] {
        for (day, rows) in days(signal, batches) {
            let name = Name { signal, day, first: journals.0, last: journals.1 };
            let mut writer = Writer::create(dir, &name, Name::SEGMENT)?;
            match signal {
                Signal::Logs => logs(batches, &rows, &mut writer)?,
                Signal::Traces => spans(batches, &rows, &mut writer)?,
                Signal::Metrics => exemplars(batches, &rows, &mut writer)?,
            }
            writer.finish()?;
            names.push(name);
        }
    }
    disk::sync_dir(dir)?;
    Ok(names)
}

fn logs(batches: &[Arc<Batch>], rows: &Rows, writer: &mut Writer) -> io::Result<()> {
    let mut places: FxHashMap<Arc<Labels>, usize> = FxHashMap::default();
    let mut streams: Vec<(Arc<Labels>, Vec<LogOf<'_>>)> = Vec::new();
    // Rows of a batch come together: its streams are looked up once.
    let mut of_batch: (u32, FxHashMap<u32, usize>) = (u32::MAX, FxHashMap::default());
    for &(b, r) in rows {
        let Some(batch) = batches.get(b as usize).map(|b| &b.logs) else { continue };
        let Some(row) = batch.rows.get(r as usize) else { continue };
        if of_batch.0 != b {
            of_batch = (b, FxHashMap::default());
        }
        let place = *of_batch.1.entry(row.stream).or_insert_with(|| {
            let labels = batch.streams.get(row.stream as usize).cloned().unwrap_or_default();
            *places.entry(labels).or_insert_with_key(|labels| {
                streams.push((Arc::clone(labels), Vec::new()));
                streams.len() - 1
            })
        });
        if let Some((_, rows)) = streams.get_mut(place) {
            rows.push((batch, row));
        }
    }
    streams.sort_by(|a, b| a.0.cmp(&b.0));
    let all = streams.iter().flat_map(|(_, rows)| rows.iter().copied());
    let dictionary = writer.dictionary(sample(all))?;
    writer.pack_with(dictionary)?;
    let mut traces: FxHashMap<u128, u64> = FxHashMap::default();
    for (_, row) in streams.iter().flat_map(|(_, rows)| rows).filter(|(_, row)| row.trace != 0) {
        let first = traces.entry(row.trace).or_insert(row.time);
        *first = row.time.min(*first);
    }
    let mut traces: Vec<(u64, u128)> = traces.into_iter().map(|(trace, time)| (time, trace)).collect();
    // Records of one time refer to ids that lie together.
    traces.sort_unstable();
    traces.iter().for_each(|(_, trace)| {
        writer.log_table().number(*trace);
    });
    for (labels, mut rows) in streams {
        rows.sort_by_key(|(_, r)| r.time);
        let mut fill = LogFill::new(&labels, writer.stream(&labels));
        for (from, row) in rows {
            fill.push(from, row, writer)?;
        }
        fill.write(writer)?;
    }
    Ok(())
}

fn spans(batches: &[Arc<Batch>], rows: &Rows, writer: &mut Writer) -> io::Result<()> {
    let mut spans: Vec<_> = rows
        .iter()
        .filter_map(|&(b, r)| {
            let batch = batches.get(b as usize)?;
            Some((b, &batch.spans, batch.spans.rows.get(r as usize)?))
        })
        .collect();
    spans.sort_by_key(|(_, _, r)| order(r));
    let mut services = Services::default();
    let mut fill = SpanFill::new(true);
    let mut calls = Gather::default();
    for (number, from, row) in spans {
        services.add(from, row);
        calls.add(number, from, row);
        fill.push(number, from, row, writer)?;
    }
    if let Some(counted) = fill.finish(writer)? {
        writer.statistics(&counted)?;
    }
    writer.services(services.into_list());
    write_calls(&calls.finish(), writer)
}

fn exemplars(batches: &[Arc<Batch>], rows: &Rows, writer: &mut Writer) -> io::Result<()> {
    let mut fill = MetricFill::default();
    for &(b, r) in rows {
        let Some(batch) = batches.get(b as usize).map(|b| &b.metrics) else { continue };
        let Some(row) = batch.exemplars.get(r as usize) else { continue };
        let labels = batch.series.get(row.series as usize).cloned().unwrap_or_default();
        fill.exemplar(&labels, row, &batch.meta, writer)?;
    }
    fill.write(writer)?;
    writer.section(Section::NoSamples, &Output::default())
}
