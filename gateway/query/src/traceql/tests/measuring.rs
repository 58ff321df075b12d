//! Metrics: cases in `metrics.txt`, and bounds.

use super::super::{Limits, MetricsFound, MetricsParams, Static, metrics};
use super::stored::{Stored, ZERO, blocks, query, read};
use crate::{Allowance, Capacity, QueryError};

const SECOND: u64 = 1_000_000_000;

fn params(seconds: u64, step: u64) -> MetricsParams {
    MetricsParams {
        start: ZERO,
        end: ZERO + seconds * SECOND,
        step,
        exemplars: 10,
        series: 100,
        limits: Limits::default(),
        allowance: Allowance::default(),
    }
}

fn found(stored: &Stored, text: &str, params: &MetricsParams) -> MetricsFound {
    metrics(&query(text), stored, params).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// `labels: 1 - 3; ...`, a dash where there is no sample.
fn written(found: &MetricsFound, params: &MetricsParams) -> String {
    let series = found.series.iter().map(|series| {
        let labels = series.labels.iter().map(|(name, value)| format!("{name}={value}"));
        let times = (1..=(params.end - params.start) / params.step)
            .map(|i| (params.start + i * params.step) / 1_000_000);
        let samples = times.map(|time| {
            let sample = series.samples.iter().find(|(at, _)| *at == time);
            sample.map_or("-".to_owned(), |(_, value)| value.to_string())
        });
        format!("{}: {}", labels.collect::<Vec<_>>().join(", "), samples.collect::<Vec<_>>().join(" "))
    });
    series.collect::<Vec<_>>().join("; ")
}

#[test]
fn functions_count_and_measure_spans_in_their_intervals() {
    for (stored, cases) in blocks(include_str!("metrics.txt")) {
        for (text, expected) in cases {
            let params = params(4, SECOND);
            assert_eq!(written(&found(&stored, text, &params), &params), expected, "{text}");
        }
    }
}

#[test]
fn quantiles_are_near_the_values_that_were_sent() {
    let lines: Vec<String> = (1..=1000).map(|i| format!("{i} 1 - web a {} {i}", i % 900)).collect();
    let stored = read(&lines.join("\n"));
    let all = params(1, 0);
    let found = found(&stored, "{} | quantile_over_time(duration, .5, .9, .99)", &all);
    for (series, expected) in found.series.iter().zip([0.5, 0.9, 0.99]) {
        let [(_, value)] = series.samples[..] else { panic!("one value") };
        assert_eq!(series.labels, [("p".to_owned(), Static::Float(expected))]);
        assert!((value / expected - 1.0).abs() < 0.05, "{value} for {expected}");
        for exemplar in &series.exemplars {
            assert!((exemplar.value - value).abs() <= 0.7, "{exemplar:?} stands for {value}");
        }
    }
}

#[test]
fn one_value_over_the_whole_range() {
    let stored = read("1 1 - web a 100 5\n2 1 - web b 1900 5");
    let found = found(&stored, "{} | rate()", &params(4, 0));
    assert_eq!(found.series[0].samples, [((ZERO + 4 * SECOND) / 1_000_000, 0.5)]);
}

#[test]
fn exemplars_are_spans_of_the_series_and_bounded() {
    let lines: Vec<String> = (1..=500).map(|i| format!("{i} 1 - web a {} 30", i * 7)).collect();
    let stored = read(&lines.join("\n"));
    let found = found(&stored, "{} | max_over_time(duration) by(name)", &params(4, SECOND));
    let [series] = &found.series[..] else { panic!("one series") };
    assert!(!series.exemplars.is_empty() && series.exemplars.len() <= 10, "{}", series.exemplars.len());
    assert!(series.exemplars.iter().all(|exemplar| exemplar.value == 0.03), "{:?}", series.exemplars);
    let none = query("{} | rate() with(exemplars=false)");
    let found = metrics(&none, &stored, &params(4, SECOND)).unwrap();
    assert!(found.series[0].exemplars.is_empty());
}

#[test]
fn comparing_tells_the_selected_spans_from_the_others() {
    let stored = read(
        "1 1 - web a 100 5 region=eu\n2 1 - web a 200 5 region=eu\n3 1 - web a 300 5 status=error region=us\n\
         4 1 - web b 3000 5 status=error region=us",
    );
    let values = |text: &str| -> Vec<(String, f64)> {
        let found = found(&stored, text, &params(4, 0));
        let regions =
            found.series.iter().filter(|series| series.labels.iter().any(|(name, _)| name == "span.region"));
        let shown = regions.map(|series| {
            let labels: Vec<String> = series.labels.iter().map(|(_, value)| value.to_string()).collect();
            (labels.join(" "), series.samples[0].1)
        });
        shown.collect()
    };
    let told = |list: &[(&str, f64)]| -> Vec<(String, f64)> {
        list.iter().map(|(labels, count)| ((*labels).to_owned(), *count)).collect()
    };
    let all = values("{} | compare({ status = error })");
    let expected = told(&[
        ("\"baseline\" \"eu\"", 2.0),
        ("\"baseline_total\" nil", 2.0),
        ("\"selection\" \"us\"", 2.0),
        ("\"selection_total\" nil", 2.0),
    ]);
    assert_eq!(all, expected);
    let within = values(&format!("{{}} | compare({{ status = error }}, 1, {ZERO}, {})", ZERO + SECOND));
    assert_eq!(within[0], ("\"baseline\" \"eu\"".to_owned(), 2.0), "{within:?}");
    assert_eq!(within[2], ("\"selection\" \"us\"".to_owned(), 1.0), "{within:?}");
}

#[test]
fn lists_are_grouped_by_whole() {
    let stored = read(
        "1 1 - web a 1 1 list=[\"p\",\"q\"]\n2 1 - web a 2 1 list=[\"p\"]\n3 1 - web a 3 1 list=[\"p\",\"q\"]",
    );
    let found = found(&stored, "{ span.list = `q` } | count_over_time() by(span.list)", &params(1, 0));
    let [series] = &found.series[..] else { panic!("{found:?}") };
    assert_eq!((series.labels[0].1.to_string(), series.samples[0].1), ("[\"p\", \"q\"]".to_owned(), 2.0));
}

#[test]
fn series_and_intervals_are_bounded() {
    let lines: Vec<String> = (1..=300).map(|i| format!("{i} 1 - web a{i} {i} 30")).collect();
    let stored = read(&lines.join("\n"));
    let cut = found(&stored, "{} | rate() by(name)", &params(4, SECOND));
    assert_eq!(cut.series.len(), 100);
    assert!(cut.partial.is_some_and(|why| why.contains("maximum series limit of 100")));
    let few = MetricsParams { allowance: Capacity::new(39, 1 << 20).allowance(), ..params(4, SECOND) };
    let told = |text: &str| metrics(&query(text), &stored, &few).map(drop).map_err(|error| error.to_string());
    for text in ["{} | count_over_time() by(name)", "{} | compare({ name = `a1` })"] {
        let error = told(text).unwrap_err();
        assert!(error.starts_with("the answer would have more than 39 points"), "{text}: {error}");
    }
    // A value in one interval of four, and those that are left of many.
    told("{ name =~ `a.` } | max_over_time(duration) by(name)").unwrap();
    told("{} | rate() by(name) | topk(2)").unwrap();
    let none = MetricsParams { allowance: Capacity::new(500, 500).allowance(), ..params(4, SECOND) };
    let error = metrics(&query("{} | rate() by(name)"), &stored, &none).unwrap_err().to_string();
    assert!(error.contains("would hold more than 500 bytes"), "{error}");
    let too_fine = metrics(&query("{} | rate()"), &stored, &params(400_000, SECOND)).unwrap_err();
    assert!(matches!(&too_fine, QueryError::TooMuch(told) if told.contains("11000 points")), "{too_fine}");
    let backwards = MetricsParams { end: ZERO - 1, ..params(4, SECOND) };
    assert!(metrics(&query("{} | rate()"), &stored, &backwards).is_err());
    let none = metrics(&query("{}"), &stored, &params(4, SECOND)).unwrap_err().to_string();
    assert!(none.starts_with("invalid TraceQL query: a search query has no series"), "{none}");
}

#[test]
fn one_interval_counts_what_several_count_together() {
    let lines: Vec<String> = (0..=60).map(|i| format!("{} 1 - web a {} 1", i + 1, i * 1000)).collect();
    let stored = read(&lines.join("\n"));
    for step in [0, 1, 10, 20, 60] {
        let found = found(&stored, "{} | count_over_time()", &params(60, step * SECOND));
        let sum: f64 = found.series[0].samples.iter().map(|(_, value)| value).sum();
        assert_eq!(sum, 61.0, "in intervals of {step} s, with the first and the last instant");
    }
}
