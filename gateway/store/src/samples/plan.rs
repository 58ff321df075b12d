//! What of a batch a head takes: which samples are new, which are here already, which are refused and why.

use parsers::record::{MetricBatch, SampleRow};
use rustc_hash::{FxHashMap, FxHashSet};

use super::earlier::{Before, Newest};
use super::head::Head;
use super::limits::{Conflict, LeftOut, SampleOptions};
use super::record::{Record, Row};
use super::series::{Held, UNASKED, Value};

/// A series of a batch before it is looked up.
const UNKNOWN: u32 = u32::MAX;
/// A series that is not taken.
const REFUSED: u32 = u32::MAX - 1;

/// A batch on its way into a head.
pub struct Plan<'b> {
    batch: &'b MetricBatch,
    options: &'b SampleOptions,
    /// What is journalled.
    pub record: Record,
    /// What is not taken.
    pub left_out: LeftOut,
    /// Samples that only a look at what was before can judge, and those of the same series that follow them, by their place in
    /// the batch.
    pub deferred: Vec<usize>,
    /// Numbers in the head of the batch's series.
    places: Vec<u32>,
    /// Series of the head that have deferred samples.
    waiting: FxHashSet<u32>,
    /// Where the samples of the record are, by series and time; made when the first one is asked for.
    planned: Option<FxHashMap<(u32, u64), usize>>,
}

/// What becomes of a sample.
enum Judged {
    Taken,
    Late,
    Repeat,
    Conflict,
    /// It has to be looked at what was before.
    Deferred,
}

impl<'b> Plan<'b> {
    /// Of a batch.
    pub fn new(batch: &'b MetricBatch, options: &'b SampleOptions) -> Self {
        Self {
            batch,
            options,
            record: Record { rows: Vec::with_capacity(batch.samples.len()), ..Record::default() },
            left_out: LeftOut::default(),
            deferred: Vec::new(),
            places: vec![UNKNOWN; batch.series.len()],
            waiting: FxHashSet::default(),
            planned: None,
        }
    }

    /// Plans all but what has to be looked up. New series are in the index from now on, without samples.
    pub fn first(&mut self, head: &mut Head, before: Before<'_>) {
        for (at, row) in self.batch.samples.iter().enumerate() {
            let Some(place) = self.places.get(row.series as usize).copied() else { continue };
            let series = match place {
                UNKNOWN => self.place(head, row, before),
                known => known,
            };
            if self.waiting.contains(&series) {
                self.deferred.push(at);
            } else {
                self.row(head, at, row, series, None);
            }
        }
        let free = head.room_for_families();
        let new = self.batch.families.iter().filter(|family| !head.knows_family(family));
        self.record.families.extend(new.take(free).cloned());
    }

    /// Plans what was deferred, with what was found of each of its series.
    pub fn then(&mut self, head: &mut Head, found: &FxHashMap<u32, Newest>) {
        for at in std::mem::take(&mut self.deferred) {
            let Some(row) = self.batch.samples.get(at) else { continue };
            let Some(series) = self.places.get(row.series as usize).copied() else { continue };
            self.row(head, at, row, series, Some(found.get(&series).unwrap_or(&Newest::default())));
        }
    }

    /// The first deferred sample of each series: its number in the head, and which series of the batch it is.
    pub fn to_look_up(&self) -> impl Iterator<Item = (u32, &'b SampleRow)> {
        let mut seen = FxHashSet::default();
        let rows = self.deferred.iter().filter_map(|at| self.batch.samples.get(*at));
        let rows = rows.filter_map(|row| Some((*self.places.get(row.series as usize)?, row)));
        rows.filter(move |(series, _)| seen.insert(*series))
    }

    /// The number of a batch's series in the head; [`REFUSED`] if there are too many already.
    fn place(&mut self, head: &mut Head, row: &SampleRow, before: Before<'_>) -> u32 {
        let number = match self.batch.series.get(row.series as usize) {
            None => REFUSED,
            Some(labels) => match head.index.find(labels) {
                (hash, Some(number)) => {
                    note_older(head, number, |held| before.is_older(labels, hash, row.time.max(held.newest)));
                    number
                }
                (hash, None) if head.has_room(self.batch.made, self.options) => {
                    head.series.push(Held::default());
                    head.made += usize::from(self.batch.made);
                    let number = head.index.add(labels, hash);
                    note_older(head, number, |_| before.is_older(labels, hash, row.time));
                    number
                }
                _ => REFUSED,
            },
        };
        if let (Some(held), Some(labels)) =
            (head.series.get(number as usize), self.batch.series.get(row.series as usize))
            && !held.logged
        {
            self.record.new.push((number, std::sync::Arc::clone(labels)));
        }
        if let Some(place) = self.places.get_mut(row.series as usize) {
            *place = number;
        }
        number
    }

    fn row(&mut self, head: &mut Head, at: usize, row: &SampleRow, series: u32, found: Option<&Newest>) {
        let Some(held) = head.series.get_mut(series as usize) else {
            self.left_out.over_limit += 1;
            return;
        };
        if let Some(newest) = found.filter(|_| held.earlier == UNASKED) {
            held.earlier = newest.time;
        }
        let body = row.histogram.of(&self.batch.meta);
        let value = if row.histogram.is_empty() { Value::Number(row.value) } else { Value::Histogram(body) };
        match self.judge(head, series, row.time, value, found) {
            Judged::Late => self.left_out.late += 1,
            Judged::Repeat => self.left_out.repeats += 1,
            Judged::Conflict => {
                self.left_out.conflicts += 1;
                self.left_out.first_conflict.get_or_insert(Conflict { series, time: row.time });
            }
            Judged::Deferred => {
                self.waiting.insert(series);
                self.deferred.push(at);
            }
            Judged::Taken => {
                if let Some(held) = head.series.get_mut(series as usize) {
                    held.expect(row.time);
                }
                if let Value::Histogram(body) = value {
                    self.record.histograms.push((self.record.rows.len() as u32, body.to_vec()));
                }
                if let Some(planned) = &mut self.planned {
                    planned.insert((series, row.time), self.record.rows.len());
                }
                self.record.rows.push(Row { series, time: row.time, value: row.value });
            }
        }
    }

    fn judge(
        &mut self,
        head: &Head,
        series: u32,
        time: u64,
        value: Value<'_>,
        found: Option<&Newest>,
    ) -> Judged {
        let Some(held) = head.series.get(series as usize) else { return Judged::Taken };
        if held.earlier == UNASKED {
            return Judged::Deferred;
        }
        let of_two = |equal: bool| if equal { Judged::Repeat } else { Judged::Conflict };
        if held.is_empty() || time > held.newest {
            // In the order of this head; what was before may be newer.
            return match held.earlier {
                earlier if self.is_late(time, earlier) => Judged::Late,
                earlier if time != earlier => Judged::Taken,
                _ => match found {
                    Some(newest) => newest.value().map_or(Judged::Taken, |known| of_two(known.is(value))),
                    None => Judged::Deferred,
                },
            };
        }
        if self.is_late(time, held.newest_of_all()) {
            return Judged::Late;
        }
        if let Some(equal) = held.at(time, &head.room, |known| known.is(value)) {
            return of_two(equal);
        }
        match self.planned_at(series, time) {
            Some(known) => of_two(known.is(value)),
            None => Judged::Taken,
        }
    }

    fn is_late(&self, time: u64, newest: u64) -> bool {
        time.saturating_add(self.options.out_of_order.as_nanos() as u64) < newest
    }

    /// The sample of the record of this series and time.
    fn planned_at(&mut self, series: u32, time: u64) -> Option<Value<'_>> {
        let Record { rows, histograms, .. } = &self.record;
        let planned = self.planned.get_or_insert_with(|| {
            rows.iter().enumerate().map(|(at, row)| ((row.series, row.time), at)).collect()
        });
        let at = *planned.get(&(series, time))?;
        let histogram = histograms.binary_search_by_key(&(at as u32), |(place, _)| *place).ok();
        let histogram = histogram.and_then(|place| histograms.get(place));
        match histogram {
            Some((_, body)) => Some(Value::Histogram(body)),
            None => rows.get(at).map(|row| Value::Number(row.value)),
        }
    }
}

/// Notes that nothing before a series matters, if that is so.
fn note_older(head: &mut Head, number: u32, is_older: impl FnOnce(&Held) -> bool) {
    if let Some(held) = head.series.get_mut(number as usize)
        && held.earlier == UNASKED
        && is_older(held)
    {
        held.earlier = 0;
    }
}
