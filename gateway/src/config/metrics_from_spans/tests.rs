use super::super::{Mistake, load, render as render_all};
use super::*;

#[test]
fn all_settings_are_read_and_rendered_again() {
    let text = "metrics_from_spans:\n  enabled: false\n  interval: 5s\n  histogram_buckets: [0.1, 2, 30]\n  \
                dimensions: [http.route, k8s.cluster.name]\n  max_series: 1000\n  wait: 2m\n";
    let config = load(text, "t", []).unwrap();
    let expected = MetricsFromSpans {
        enabled: false,
        interval: Duration::from_secs(5),
        options: RedOptions {
            buckets: vec![0.1, 2.0, 30.0],
            dimensions: vec!["http.route".to_owned(), "k8s.cluster.name".to_owned()],
            max_series: 1000,
            wait: Duration::from_mins(2),
        },
    };
    assert_eq!(config.metrics_from_spans, expected);
    assert_eq!(load(&render_all(&config), "again", []).unwrap().metrics_from_spans, expected);
    let defaults = load("", "t", []).unwrap();
    assert!(defaults.metrics_from_spans.enabled);
    let again = load(&render_all(&defaults), "again", []).unwrap();
    assert_eq!(again.metrics_from_spans, defaults.metrics_from_spans);
}

#[test]
fn every_mistake_is_told_at_once() {
    let text = "metrics_from_spans:\n  enabled: yess\n  interval: 10m\n  histogram_buckets: [1, 0.5]\n  \
                dimensions: [http.route, http_route]\n  max_series: 5\n  bucket: []\n  wait: 0s\n";
    let found = load(text, "t.yaml", []).err().unwrap();
    let found: Vec<String> = found.iter().map(Mistake::to_string).collect();
    assert_eq!(
        found,
        [
            "t.yaml:2: metrics_from_spans.enabled: expected `true` or `false`, came `yess`",
            "t.yaml:3: metrics_from_spans.interval: expected a duration from `1s` to `30s`, came `10m`",
            "t.yaml:4: metrics_from_spans.histogram_buckets: expected upper bounds that grow, came [1.0, 0.5]",
            "t.yaml:5: metrics_from_spans.dimensions: expected attributes that become different labels: \
             `http_route`, of `http_route`, is taken",
            "t.yaml:6: metrics_from_spans.max_series: expected a number of series from 100 to 5000000, came `5`",
            "t.yaml:7: metrics_from_spans.bucket: unknown key; known here: enabled, interval, \
             histogram_buckets, dimensions, max_series, wait",
            "t.yaml:8: metrics_from_spans.wait: expected a duration from `1s` to `10m`, came `0s`",
        ]
    );
    for (list, expected) in [
        ("histogram_buckets: []", "1 to 50 upper bounds in seconds, came 0"),
        ("histogram_buckets: [0]", "seconds from 0.000001 to 1000000"),
        ("dimensions: [service]", "`service`, of `service`, is taken"),
        ("dimensions: ['']", "some text"),
    ] {
        let found = load(&format!("metrics_from_spans: {{{list}}}"), "t", []).err().unwrap();
        assert!(found[0].to_string().contains(expected), "{list}: {}", found[0]);
    }
}
