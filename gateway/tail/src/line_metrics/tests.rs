use parsers::record::{MetricKind, Spelling};

use super::*;

const SECOND: u64 = 1_000_000_000;
const STALE: u64 = 0x7ff0_0000_0000_0002;

fn metric(name: &str, shape: MetricShape) -> Metric {
    Metric { name: name.into(), shape, help: "Help".into(), max_idle: 60 * SECOND }
}

fn counter() -> Metric {
    let shape = MetricShape::Counter { action: MetricAction::Inc, match_all: true, count_entry_bytes: false };
    metric("lines", shape)
}

fn entry(app: &str) -> Entry {
    Entry { labels: [("app", app)].into_iter().collect(), time: 7, ..Entry::default() }
}

/// Name, `app`, `le`, seconds and value of each sample.
fn rows(batch: &parsers::record::MetricBatch) -> Vec<String> {
    let row = |row: &parsers::record::SampleRow| {
        let labels = &batch.series[row.series as usize];
        let of = |name| labels.get(name).unwrap_or_default();
        let value = if row.value.to_bits() == STALE { "stale".to_owned() } else { row.value.to_string() };
        format!(
            "{} {} {} {} {value}",
            of("__name__"),
            of("app"),
            of("le"),
            (row.time as f64 / 1e9 * 1e3).round() / 1e3
        )
    };
    batch.samples.iter().map(row).collect()
}

#[test]
fn a_new_counter_begins_at_zero_and_one_that_is_idle_ends() {
    let metrics = LineMetrics::default();
    metrics.count(&counter(), 1.0, &entry("a"), None, 101 * SECOND);
    metrics.count(&counter(), 1.0, &entry("a"), None, 102 * SECOND);
    let batch = metrics.collect(100 * SECOND, 115 * SECOND);
    assert_eq!(rows(&batch), ["lines_total a  100.001 0", "lines_total a  115 2"]);
    assert_eq!((&*batch.families[0].name, batch.families[0].kind), ("lines_total", MetricKind::Counter));
    assert_eq!(rows(&metrics.collect(115 * SECOND, 130 * SECOND)), ["lines_total a  130 2"]);
    assert_eq!(rows(&metrics.collect(130 * SECOND, 163 * SECOND)), ["lines_total a  163 stale"]);
    assert_eq!(rows(&metrics.collect(163 * SECOND, 178 * SECOND)), [""; 0]);
    metrics.count(&counter(), 1.0, &entry("a"), None, 179 * SECOND);
    let again = rows(&metrics.collect(178 * SECOND, 193 * SECOND));
    assert_eq!(again, ["lines_total a  178.001 0", "lines_total a  193 1"]);
}

#[test]
fn a_series_that_a_scrape_let_go_ends_in_the_samples_too_unless_it_is_back() {
    let metrics = LineMetrics::default();
    let gauge = metric("depth", MetricShape::Gauge(MetricAction::Set));
    for app in ["a", "b"] {
        metrics.count(&gauge, 3.0, &entry(app), None, 100 * SECOND);
    }
    assert_eq!(rows(&metrics.collect(99 * SECOND, 101 * SECOND)), ["depth a  101 3", "depth b  101 3"]);
    metrics.render(200 * SECOND, &mut String::new());
    metrics.count(&gauge, 4.0, &entry("b"), None, 201 * SECOND);
    let batch = metrics.collect(101 * SECOND, 202 * SECOND);
    assert_eq!(rows(&batch), ["depth b  202 4", "depth a  202 stale"]);
}

#[test]
fn a_histogram_has_all_its_series_and_the_trace_of_its_last_line() {
    let metrics = LineMetrics::default();
    let histogram = metric("took", MetricShape::Histogram(vec![0.1, 1.0]));
    let trace = TraceId::new(0xabc, Spelling::default());
    for value in [0.05, 0.5, 5.0, 1.0] {
        metrics.count(&histogram, value, &entry("a"), trace, 100 * SECOND);
    }
    let batch = metrics.collect(100 * SECOND, 115 * SECOND);
    let now: Vec<String> = rows(&batch).into_iter().filter(|row| row.contains(" 115 ")).collect();
    let expected = [
        "took_bucket a 0.1 115 1",
        "took_bucket a 1 115 3",
        "took_bucket a +Inf 115 4",
        "took_sum a  115 6.55",
        "took_count a  115 4",
    ];
    assert_eq!(now, expected);
    let [exemplar] = batch.exemplars[..] else { panic!("one exemplar") };
    assert_eq!(batch.series[exemplar.series as usize].get("le"), Some("1"));
    assert_eq!((exemplar.trace, exemplar.time, exemplar.value), (0xabc, 7, 1.0));
    assert!(metrics.collect(115 * SECOND, 130 * SECOND).exemplars.is_empty());
}

#[test]
fn series_are_bounded_and_what_is_more_counts_for_one_that_says_so() {
    let metrics = LineMetrics::default();
    let histogram = metric("took", MetricShape::Histogram((0..97).map(f64::from).collect()));
    for n in 0..1_000 {
        metrics.count(&histogram, 1.0, &entry(&n.to_string()), None, 100 * SECOND);
    }
    let batch = metrics.collect(100 * SECOND, 115 * SECOND);
    assert_eq!(batch.series.len(), MAX_SERIES + 100);
    let rest = batch.series.iter().position(|s| s.get("overflow").is_some() && s.get("le") == Some("+Inf"));
    let value = batch.samples.iter().rfind(|row| Some(row.series as usize) == rest).unwrap().value;
    assert_eq!(value, 900.0);
}

#[test]
fn lines_of_two_tenants_are_told_apart() {
    let metrics = LineMetrics::default();
    for tenant in ["x", "y"] {
        let entry = Entry { tenant: Some(tenant.to_owned()), ..entry("a") };
        metrics.count(&counter(), 1.0, &entry, None, 100 * SECOND);
    }
    let batch = metrics.collect(100 * SECOND, 115 * SECOND);
    let tenants: Vec<_> = batch.series.iter().map(|labels| labels.get(TENANT_LABEL).unwrap()).collect();
    assert_eq!(tenants, ["x", "y"]);
}
