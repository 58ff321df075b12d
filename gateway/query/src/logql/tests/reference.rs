//! The engine against a plain evaluator that looks at every line for every step.

use std::collections::BTreeMap;

use parsers::record::LogRecord;
use proptest::prelude::*;

use super::memory::{Memory, SECOND, params, record};
use crate::logql::{Data, Limits, RangeParams, evaluate_range, parse};

/// Values by labels and step.
type Table = BTreeMap<(String, u64), f64>;

#[derive(Debug, Clone, Copy)]
enum Op {
    Count,
    Rate,
    Bytes,
    Sum,
    Avg,
    Min,
    Max,
    First,
    Last,
    StdVar,
    Quantile,
}

#[derive(Debug, Clone)]
struct Case {
    op: Op,
    range: u64,
    offset: u64,
    /// Labels of an outer `sum by`.
    by: Option<Vec<&'static str>>,
}

impl Case {
    fn query(&self) -> String {
        let unwrapped = |name: &str| {
            format!(
                "{name}{{app=~\".+\"}} | logfmt | unwrap v [{}s] offset {}s) by (app, n)",
                self.range, self.offset
            )
        };
        let counted = |name: &str| {
            format!(
                "{name}({{app=~\".+\"}} | logfmt | drop v, detected_level [{}s] offset {}s)",
                self.range, self.offset
            )
        };
        let inner = match self.op {
            Op::Count => counted("count_over_time"),
            Op::Rate => counted("rate"),
            Op::Bytes => counted("bytes_over_time"),
            Op::Sum => unwrapped("sum_over_time(")
                .replace(" by (app, n)", "")
                .replace("| unwrap", "| drop detected_level | unwrap"),
            Op::Avg => unwrapped("avg_over_time("),
            Op::Min => unwrapped("min_over_time("),
            Op::Max => unwrapped("max_over_time("),
            Op::First => unwrapped("first_over_time("),
            Op::Last => unwrapped("last_over_time("),
            Op::StdVar => unwrapped("stdvar_over_time("),
            Op::Quantile => unwrapped("quantile_over_time(0.7, "),
        };
        match &self.by {
            Some(names) => format!("sum by ({}) ({inner})", names.join(", ")),
            None => inner,
        }
    }

    fn value(&self, lines: &[&LogRecord]) -> f64 {
        let numbers: Vec<f64> = lines.iter().map(|line| field(line, "v").parse().unwrap()).collect();
        let count = lines.len() as f64;
        let mean = numbers.iter().sum::<f64>() / count;
        match self.op {
            Op::Count => count,
            Op::Rate => count / self.range as f64,
            Op::Bytes => lines.iter().map(|line| line.line.len() as f64).sum(),
            Op::Sum => numbers.iter().sum(),
            Op::Avg => mean,
            Op::Min => numbers.iter().copied().fold(f64::INFINITY, f64::min),
            Op::Max => numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Op::First => numbers[0],
            Op::Last => numbers[numbers.len() - 1],
            Op::StdVar => numbers.iter().map(|n| (n - mean) * (n - mean)).sum::<f64>() / count,
            Op::Quantile => {
                let mut sorted = numbers;
                sorted.sort_by(f64::total_cmp);
                let rank = 0.7 * (count - 1.0);
                let low = rank.floor() as usize;
                let high = (low + 1).min(sorted.len() - 1);
                sorted[low] + (sorted[high] - sorted[low]) * (rank - low as f64)
            }
        }
    }
}

fn field<'r>(record: &'r LogRecord, name: &str) -> &'r str {
    let line = std::str::from_utf8(&record.line).unwrap();
    line.split(' ').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
}

fn labels(record: &LogRecord, names: &[&str]) -> String {
    let value = |name: &&str| record.labels.get(name).unwrap_or(field(record, name)).to_owned();
    let pairs: Vec<String> = names.iter().map(|name| format!("{name}={}", value(name))).collect();
    pairs.join(",")
}

fn naive(case: &Case, records: &[LogRecord], params: &RangeParams) -> Table {
    let mut table = Table::new();
    let step = params.step.as_nanos() as i128;
    let mut time = i128::from(params.start);
    while time <= i128::from(params.end) {
        let end = time - i128::from(case.offset * SECOND);
        let start = end - i128::from(case.range * SECOND);
        let mut groups: BTreeMap<String, Vec<&LogRecord>> = BTreeMap::new();
        for record in records.iter().filter(|r| i128::from(r.time) > start && i128::from(r.time) <= end) {
            groups.entry(labels(record, &["app", "n"])).or_default().push(record);
        }
        for lines in groups.values() {
            let names = case.by.clone().unwrap_or_else(|| vec!["app", "n"]);
            *table.entry((labels(lines[0], &names), time as u64)).or_insert(0.0) += case.value(lines);
        }
        time += step;
    }
    table
}

fn engine(query: &str, records: Vec<LogRecord>, params: &RangeParams) -> Table {
    let outcome =
        evaluate_range(&parse(query).unwrap(), &Memory(records), params, &Limits::default()).unwrap();
    let Data::Matrix(series) = outcome.data else { panic!("{query}") };
    let mut table = Table::new();
    for one in series {
        let pairs: Vec<String> = one.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        for sample in one.samples {
            table.insert((pairs.join(","), sample.time), sample.value);
        }
    }
    table
}

fn same(a: &Table, b: &Table) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|((ka, va), (kb, vb))| ka == kb && (va - vb).abs() <= 1e-9 * va.abs().max(1.0))
}

fn records() -> impl Strategy<Value = Vec<LogRecord>> {
    let one = (0u64..120, 0usize..3, 0u32..3, -50i32..50).prop_map(|(second, app, n, v)| {
        record(second, &format!("app={}", ["a", "b", "c"][app]), &format!("n=n{n} v={v}"))
    });
    // First and last of equal times is as records come.
    prop::collection::vec(one, 0..60).prop_map(|mut records| {
        for (at, record) in records.iter_mut().enumerate() {
            record.time += at as u64;
        }
        records.sort_by_key(|record| record.time);
        records
    })
}

fn case() -> impl Strategy<Value = Case> {
    let op = prop_oneof![
        Just(Op::Count),
        Just(Op::Rate),
        Just(Op::Bytes),
        Just(Op::Sum),
        Just(Op::Avg),
        Just(Op::Min),
        Just(Op::Max),
        Just(Op::First),
        Just(Op::Last),
        Just(Op::StdVar),
        Just(Op::Quantile)
    ];
    let by =
        prop_oneof![Just(None), Just(Some(vec!["app"])), Just(Some(vec!["n"])), Just(Some(vec!["app", "n"]))];
    (op, 1u64..70, 0u64..20, by).prop_map(|(op, range, offset, by)| Case { op, range, offset, by })
}

proptest! {
    #[test]
    fn windows_hold_what_looking_at_every_line_finds(
        records in records(), case in case(), start in 0u64..60, span in 0u64..100, step in 1u64..40
    ) {
        let params = params(start, start + span, step);
        let expected = naive(&case, &records, &params);
        let got = engine(&case.query(), records, &params);
        prop_assert!(same(&expected, &got), "{}\n{expected:?}\n{got:?}", case.query());
    }

    #[test]
    fn operators_meet_the_values_of_equal_labels(
        left in records(), range in 1u64..70, op in prop_oneof![
            Just("+"), Just("-"), Just("*"), Just(">"), Just("== bool"), Just("and"), Just("or"), Just("unless")
        ], by_n in any::<bool>()
    ) {
        let params = params(10, 110, 20);
        let by = if by_n { "n" } else { "app" };
        let a = format!("sum by ({by}) (count_over_time({{app=~\"a|b\"}} | logfmt [{range}s]))");
        let b = format!("sum by ({by}) (count_over_time({{app=~\"b|c\"}} | logfmt [30s]))");
        let (one, other) = (engine(&a, left.clone(), &params), engine(&b, left.clone(), &params));
        let mut expected = Table::new();
        for (key, a) in &one {
            let b = other.get(key);
            let value = match op {
                "and" => b.map(|_| *a),
                "unless" => b.is_none().then_some(*a),
                "or" => Some(*a),
                _ => b.and_then(|b| match op {
                    "+" => Some(a + b),
                    "-" => Some(a - b),
                    "*" => Some(a * b),
                    ">" => (a > b).then_some(*a),
                    _ => Some(f64::from(u8::from(a == b))),
                }),
            };
            expected.extend(value.map(|value| (key.clone(), value)));
        }
        if op == "or" {
            for (key, b) in &other {
                expected.entry(key.clone()).or_insert(*b);
            }
        }
        let got = engine(&format!("{a} {op} {b}"), left, &params);
        prop_assert!(same(&expected, &got), "{a} {op} {b}\n{expected:?}\n{got:?}");
    }
}
