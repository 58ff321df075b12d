//! A query over what is stored.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use parsers::record::{Labels, Sample, Series};
use store::read::{Direction, LogRead, LogSelect, ScanReport, Window};

use super::pipeline::{Pipeline, Row};
use super::{Aggregation, Data, Entry, Expr, Grouping, Limits, Node, Outcome, RangeOp, RangeParams, Stream};
use crate::QueryError;

/// Lines, or values at each step.
pub fn evaluate_range(
    expr: &Expr,
    logs: &dyn LogRead,
    params: &RangeParams,
    limits: &Limits,
) -> Result<Outcome, QueryError> {
    if let Node::Lines(pipeline) = &expr.0 {
        return lines(pipeline, logs, params, limits);
    }
    let step = u64::try_from(params.step.as_nanos()).unwrap_or(u64::MAX).max(1);
    let steps = params.end.saturating_sub(params.start) / step + 1;
    if steps > limits.steps {
        let detail = format!("{steps} steps are more than {}: make the step larger", limits.steps);
        return Err(QueryError::TooMuch(detail));
    }
    let times = (0..steps).map(|n| params.start.saturating_add(n * step)).collect();
    let mut run = Run { logs, limits, times, report: ScanReport::default() };
    let data = match run.value(&expr.0, &[])? {
        Evaluated::Number(value) => Data::Matrix(vec![Series {
            labels: Arc::default(),
            samples: run.times.iter().map(|&time| Sample { time, value }).collect(),
        }]),
        Evaluated::Series(series) => Data::Matrix(series),
    };
    Ok(Outcome { data, report: run.report })
}

/// Values at one time.
pub fn evaluate_instant(
    expr: &Expr,
    logs: &dyn LogRead,
    time: u64,
    _limit: usize,
    _direction: Direction,
    limits: &Limits,
) -> Result<Outcome, QueryError> {
    if matches!(expr.0, Node::Lines(_)) {
        let detail = "log queries are not supported as an instant query type, please change your query to a range query type";
        return Err(QueryError::TooMuch(detail.to_owned()));
    }
    let mut run = Run { logs, limits, times: vec![time], report: ScanReport::default() };
    let data = match run.value(&expr.0, &[])? {
        Evaluated::Number(value) => Data::Scalar(Sample { time, value }),
        Evaluated::Series(series) => Data::Vector(
            series.into_iter().filter_map(|one| Some((one.labels, *one.samples.first()?))).collect(),
        ),
    };
    Ok(Outcome { data, report: run.report })
}

fn lines(
    pipeline: &Pipeline,
    logs: &dyn LogRead,
    params: &RangeParams,
    limits: &Limits,
) -> Result<Outcome, QueryError> {
    let limit = params.limit.min(limits.entries);
    let mut streams: Vec<Stream> = Vec::new();
    let mut places: HashMap<Arc<Labels>, usize> = HashMap::new();
    let mut found = 0;
    let window = Window { start: params.start, end: params.end };
    let report = scan(pipeline, logs, window, params.direction, limits, &mut |row| {
        if found >= limit {
            return ControlFlow::Break(());
        }
        found += 1;
        let labels = if row.dropped.is_empty() {
            Arc::clone(&row.record.labels)
        } else {
            let kept = row.record.labels.iter().filter(|(name, _)| !row.dropped.iter().any(|d| d == name));
            Arc::new(Labels::new(kept))
        };
        let place = *places.entry(Arc::clone(&labels)).or_insert_with(|| {
            streams.push(Stream { labels, entries: Vec::new() });
            streams.len() - 1
        });
        let structured = row.structured();
        let entry = Entry { time: row.record.time, line: row.line, structured, parsed: row.parsed };
        if let Some(stream) = streams.get_mut(place) {
            stream.entries.push(entry);
        }
        if found >= limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(Outcome { data: Data::Streams(streams), report })
}

fn scan(
    pipeline: &Pipeline,
    logs: &dyn LogRead,
    window: Window,
    direction: Direction,
    limits: &Limits,
    visit: &mut dyn FnMut(Row) -> ControlFlow<()>,
) -> Result<ScanReport, QueryError> {
    let mut select = LogSelect {
        matchers: pipeline.matchers.clone(),
        window,
        direction,
        trace: None,
        contains: Vec::new(),
    };
    pipeline.hint(&mut select);
    let mut read = 0;
    let report = logs.scan_logs(&select, &mut |record| {
        read += record.line.len() as u64;
        if read > limits.bytes {
            return ControlFlow::Break(());
        }
        match pipeline.run(record) {
            Some(row) => visit(row),
            None => ControlFlow::Continue(()),
        }
    })?;
    if read > limits.bytes {
        let detail = format!("the query would read too many bytes (over {}): narrow it", limits.bytes);
        return Err(QueryError::TooMuch(detail));
    }
    Ok(report)
}

enum Evaluated {
    Number(f64),
    Series(Vec<Series>),
}

struct Run<'a> {
    logs: &'a dyn LogRead,
    limits: &'a Limits,
    /// The steps, ascending.
    times: Vec<u64>,
    report: ScanReport,
}

impl Run<'_> {
    /// `wanted` are labels by which the caller groups: metadata of these names count as labels.
    fn value(&mut self, node: &Node, wanted: &[String]) -> Result<Evaluated, QueryError> {
        match node {
            Node::Number(value) => Ok(Evaluated::Number(*value)),
            Node::Vector(value) => {
                let samples = self.times.iter().map(|&time| Sample { time, value: *value }).collect();
                Ok(Evaluated::Series(vec![Series { labels: Arc::default(), samples }]))
            }
            Node::Lines(_) => {
                Err(QueryError::TooMuch("lines cannot be calculated with; count them first".into()))
            }
            Node::Range { op, pipeline, range, offset } => {
                Ok(Evaluated::Series(self.counted(*op, pipeline, *range, *offset, wanted)?))
            }
            Node::Aggregate { op, grouping, keep, inner } => {
                let names = if grouping.without { &[][..] } else { &grouping.names };
                match self.value(inner, names)? {
                    Evaluated::Number(_) => {
                        Err(QueryError::TooMuch("a number cannot be aggregated; use vector()".into()))
                    }
                    Evaluated::Series(series) => {
                        Ok(Evaluated::Series(aggregate(*op, grouping, *keep, &series)))
                    }
                }
            }
            Node::Binary { op, left, right } => {
                let (left, right) = (self.value(left, wanted)?, self.value(right, wanted)?);
                Ok(calculate(*op, left, right))
            }
        }
    }

    fn counted(
        &mut self,
        op: RangeOp,
        pipeline: &Pipeline,
        range: u64,
        offset: u64,
        wanted: &[String],
    ) -> Result<Vec<Series>, QueryError> {
        let (first, last) =
            (self.times.first().copied().unwrap_or(0), self.times.last().copied().unwrap_or(0));
        // A step looks at (t - range, t].
        let window = Window {
            start: first.saturating_sub(offset).saturating_sub(range).saturating_add(1),
            end: last.saturating_sub(offset).saturating_add(1),
        };
        let mut counts: BTreeMap<Labels, Vec<(u64, f64)>> = BTreeMap::new();
        let mut too_many = false;
        let limit = self.limits.series;
        let report = scan(pipeline, self.logs, window, Direction::Forward, self.limits, &mut |row| {
            let stream = row.record.labels.iter().filter(|(name, _)| !row.dropped.iter().any(|d| d == name));
            let mut labels: BTreeMap<&str, String> =
                stream.map(|(name, value)| (name, value.to_owned())).collect();
            labels.extend(row.parsed.iter().map(|(name, value)| (name.as_str(), value.clone())));
            for name in wanted {
                labels.insert(name, row.get(name).into_owned());
            }
            let weight = match op {
                RangeOp::Count | RangeOp::Rate => 1.0,
                RangeOp::Bytes | RangeOp::BytesRate => row.line.len() as f64,
            };
            counts.entry(Labels::new(labels)).or_default().push((row.record.time, weight));
            too_many = counts.len() > limit;
            if too_many { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if too_many {
            let detail = format!("maximum of series ({limit}) reached for a single query");
            return Err(QueryError::TooMuch(detail));
        }
        self.report.bytes += report.bytes;
        self.report.records += report.records;
        self.report.damaged_blocks += report.damaged_blocks;
        let seconds = range as f64 / 1e9;
        let series = counts.into_iter().map(|(labels, lines)| {
            let (mut from, mut to, mut inside) = (0, 0, 0.0);
            let mut samples = Vec::new();
            for &time in &self.times {
                let shifted = time.saturating_sub(offset);
                while let Some((_, weight)) = lines.get(to).filter(|(at, _)| *at <= shifted) {
                    inside += weight;
                    to += 1;
                }
                let oldest = shifted.saturating_sub(range);
                while let Some((_, weight)) = lines.get(from).filter(|(at, _)| *at <= oldest && from < to) {
                    inside -= weight;
                    from += 1;
                }
                if from < to {
                    let value = match op {
                        RangeOp::Count | RangeOp::Bytes => inside,
                        RangeOp::Rate | RangeOp::BytesRate => inside / seconds,
                    };
                    samples.push(Sample { time, value });
                }
            }
            Series { labels: Arc::new(labels), samples }
        });
        Ok(series.filter(|series| !series.samples.is_empty()).collect())
    }
}

fn group(labels: &Labels, grouping: &Grouping) -> Labels {
    let named = |name: &str| grouping.names.iter().any(|wanted| wanted == name);
    Labels::new(labels.iter().filter(|(name, _)| named(name) != grouping.without))
}

fn aggregate(op: Aggregation, grouping: &Grouping, keep: usize, series: &[Series]) -> Vec<Series> {
    if matches!(op, Aggregation::Top | Aggregation::Bottom) {
        return ranked(op == Aggregation::Top, keep, series);
    }
    let mut groups: BTreeMap<Labels, BTreeMap<u64, (f64, f64)>> = BTreeMap::new();
    for one in series {
        let values = groups.entry(group(&one.labels, grouping)).or_default();
        for sample in &one.samples {
            values
                .entry(sample.time)
                .and_modify(|(so_far, count)| {
                    *so_far = match op {
                        Aggregation::Min => so_far.min(sample.value),
                        Aggregation::Max => so_far.max(sample.value),
                        _ => *so_far + sample.value,
                    };
                    *count += 1.0;
                })
                .or_insert((sample.value, 1.0));
        }
    }
    let finish = |(value, count): (f64, f64)| match op {
        Aggregation::Avg => value / count,
        Aggregation::Count => count,
        _ => value,
    };
    groups
        .into_iter()
        .map(|(labels, values)| Series {
            labels: Arc::new(labels),
            samples: values.into_iter().map(|(time, pair)| Sample { time, value: finish(pair) }).collect(),
        })
        .collect()
}

/// The largest or smallest series at each step.
fn ranked(largest: bool, keep: usize, series: &[Series]) -> Vec<Series> {
    let mut at: BTreeMap<u64, Vec<(f64, usize)>> = BTreeMap::new();
    for (index, one) in series.iter().enumerate() {
        for sample in &one.samples {
            at.entry(sample.time).or_default().push((sample.value, index));
        }
    }
    let mut kept: BTreeSet<(usize, u64)> = BTreeSet::new();
    for (time, mut values) in at {
        values.sort_by(|a, b| if largest { b.0.total_cmp(&a.0) } else { a.0.total_cmp(&b.0) });
        kept.extend(values.into_iter().take(keep).map(|(_, index)| (index, time)));
    }
    let series = series.iter().enumerate().map(|(index, one)| Series {
        labels: Arc::clone(&one.labels),
        samples: one.samples.iter().filter(|sample| kept.contains(&(index, sample.time))).copied().collect(),
    });
    series.filter(|one| !one.samples.is_empty()).collect()
}

fn calculate(op: char, left: Evaluated, right: Evaluated) -> Evaluated {
    let apply = |a: f64, b: f64| match op {
        '+' => a + b,
        '-' => a - b,
        '*' => a * b,
        '/' => a / b,
        '%' => a % b,
        _ => a.powf(b),
    };
    let each = |mut series: Vec<Series>, change: &dyn Fn(f64) -> f64| {
        for one in &mut series {
            for sample in &mut one.samples {
                sample.value = change(sample.value);
            }
        }
        Evaluated::Series(series)
    };
    match (left, right) {
        (Evaluated::Number(a), Evaluated::Number(b)) => Evaluated::Number(apply(a, b)),
        (Evaluated::Series(series), Evaluated::Number(b)) => each(series, &|a| apply(a, b)),
        (Evaluated::Number(a), Evaluated::Series(series)) => each(series, &|b| apply(a, b)),
        (Evaluated::Series(left), Evaluated::Series(right)) => {
            let others: HashMap<Arc<Labels>, BTreeMap<u64, f64>> = right
                .into_iter()
                .map(|one| {
                    (one.labels, one.samples.iter().map(|sample| (sample.time, sample.value)).collect())
                })
                .collect();
            let joined = left.into_iter().filter_map(|one| {
                let other = others.get(&one.labels)?;
                let values = one.samples.iter().filter_map(|sample| {
                    let value = apply(sample.value, *other.get(&sample.time)?);
                    Some(Sample { time: sample.time, value })
                });
                Some(Series { labels: Arc::clone(&one.labels), samples: values.collect() })
            });
            Evaluated::Series(joined.collect())
        }
    }
}
