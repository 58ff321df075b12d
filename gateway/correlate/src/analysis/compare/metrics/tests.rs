use parsers::record::MetricMeta;
use store::read::{SeriesSamples, Window};

use super::taken::nearest;
use super::*;
use crate::analysis::compare::VersionsQuestion;
use crate::analysis::compare::tests::compare_with;
use crate::analysis::planted::{MS, shop};
use crate::analysis::{AnalysisOptions, Analyst};

/// A gauge of the catalog that is high in the second half, one that is not, and a counter.
struct Scraped;

impl SampleRead for Scraped {
    fn select(
        &self,
        matchers: &[Matcher],
        window: Window,
        _: SampleLimits,
    ) -> Result<Vec<SeriesSamples>, ReadError> {
        let labels = self.label_sets(&[matchers.to_vec()], window)?;
        let value = |name: &str, at: u64| match name {
            "pool_in_use" => {
                if at < 100 {
                    5.0 + (at % 3) as f64
                } else {
                    40.0 + (at % 3) as f64
                }
            }
            "requests_total" => at as f64 * 10.0,
            _ => (at * 7 % 5) as f64,
        };
        Ok(labels
            .into_iter()
            .map(|labels| {
                let name = labels.get("__name__").unwrap_or_default();
                let sample = |at: u64| Sample { time: (1_000_000 + at * 1_000) * MS, value: value(name, at) };
                SeriesSamples {
                    samples: (0..200).map(sample).collect(),
                    labels: labels.clone(),
                    histograms: Vec::new(),
                }
            })
            .collect())
    }

    fn label_sets(&self, selectors: &[Vec<Matcher>], _: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        let named = |name: &'static str| {
            Arc::new(Labels::new([("__name__", name), ("service", "catalog"), ("pod", "catalog-1.0.0")]))
        };
        let sets = ["pool_in_use", "requests_total", "queue_length", "latency_bucket"].map(named);
        let meets = |labels: &&Arc<Labels>| selectors.iter().any(|s| s.iter().all(|m| m.matches(labels)));
        Ok(sets.iter().filter(meets).cloned().collect())
    }

    fn metadata(&self) -> Result<Vec<MetricMeta>, ReadError> {
        Ok(Vec::new())
    }
}

#[test]
fn a_metric_that_changed_with_the_traces_is_in_the_same_list() {
    // Ten requests a second; from the middle on they are slow, since the pool is used up.
    let memory = shop(1, 2_000, |request, _| {
        if request.number >= 1_000 {
            request.statement += 100 * MS;
        }
    });
    let metrics = Metrics::Stored(Arc::new(Scraped));
    let (slow, others) =
        ("{ name = \"GET /cart\" && duration > 100ms }", "{ name = \"GET /cart\" && duration <= 100ms }");
    let found = compare_with(&memory, slow, others, Some(metrics.clone()));
    let told: Vec<&str> = found.findings.iter().map(|finding| &*finding.what).collect();
    let metric: Vec<&Finding> = found.findings.iter().filter(|f| f.kind == FindingKind::Metric).collect();
    assert_eq!(metric.len(), 1, "{told:?}");
    assert!(metric[0].a > 39.0 && metric[0].b < 8.0, "{told:?}");
    assert_eq!(metric[0].operation.service, "catalog");
    assert!(matches!(&metric[0].detail, Detail::Metric { name, .. } if name == "pool_in_use"));
    assert_eq!(found.findings[0].kind, FindingKind::Latency, "{told:?}");
    let same = compare_with(&memory, slow, slow, Some(metrics));
    assert!(same.findings.is_empty());
}

/// Requests by status of two versions, named as exporters do: the pod is the instance.
struct ByStatus;

impl SampleRead for ByStatus {
    fn select(
        &self,
        matchers: &[Matcher],
        window: Window,
        _: SampleLimits,
    ) -> Result<Vec<SeriesSamples>, ReadError> {
        let samples = |labels: Arc<Labels>| {
            let fails = labels.get("status") == Some("500");
            let each = match (labels.get("version"), fails) {
                (Some("1.1.0"), _) => 5.0,
                _ => 40.0,
            };
            let from = if fails { 20 } else { 0 };
            let sample =
                |at: u64| Sample { time: (1_000_000 + at * 1_000) * MS, value: (at - from) as f64 * each };
            SeriesSamples { samples: (from..60).map(sample).collect(), labels, histograms: Vec::new() }
        };
        Ok(self.label_sets(&[matchers.to_vec()], window)?.into_iter().map(samples).collect())
    }

    fn label_sets(&self, selectors: &[Vec<Matcher>], _: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        let of = |(version, status): (&str, &str)| {
            let pod = format!("catalog-{version}");
            Arc::new(Labels::new([
                ("__name__", "requests_total"),
                ("job", "catalog"),
                ("instance", &pod),
                ("version", version),
                ("status", status),
            ]))
        };
        let sets = [("1.0.0", "200"), ("1.1.0", "200"), ("1.1.0", "500")].map(of);
        let meets = |labels: &&Arc<Labels>| selectors.iter().any(|s| s.iter().all(|m| m.matches(labels)));
        Ok(sets.iter().filter(meets).cloned().collect())
    }

    fn metadata(&self) -> Result<Vec<MetricMeta>, ReadError> {
        Ok(Vec::new())
    }
}

#[test]
fn what_part_of_a_counter_a_version_has_is_compared_and_not_how_much_traffic() {
    let memory = shop(1, 500, |request, dice| {
        if request.number % 5 == 0 {
            request.version = "1.1.0";
            request.statement_fails = dice.below(2) == 0;
        }
    });
    let asked = VersionsQuestion {
        service: "catalog".to_owned(),
        by: "service.version".to_owned(),
        window: Window::ALL,
        versions: 100,
        limit: 100,
    };
    let analyst = Analyst::new(Arc::new(memory), AnalysisOptions::default());
    let analyst = analyst.with_metrics(Metrics::Stored(Arc::new(ByStatus)), LabelMapping::default());
    let found = analyst.versions(&asked).unwrap();
    let findings = &found.compared[0].comparison.findings;
    let metrics: Vec<&str> =
        findings.iter().filter(|f| f.kind == FindingKind::Metric).map(|finding| &*finding.what).collect();
    assert_eq!(metrics.len(), 1, "{metrics:?}");
    let also = findings.iter().flat_map(|finding| &finding.also).map(String::as_str);
    let metrics: Vec<&str> = metrics.into_iter().chain(also).collect();
    for (what, status) in metrics.iter().zip(["500", "200"]) {
        assert!(what.starts_with(&format!("requests_total{{status=\"{status}\"}} is ")), "{metrics:?}");
        assert!(what.contains(" % of requests_total of catalog against "), "{metrics:?}");
    }
    assert_eq!(findings[0].kind, FindingKind::Errors);
}

#[test]
fn a_difference_that_is_one_pods_own_names_it() {
    let pod = |name: &str| Some(("pod".to_owned(), name.to_owned()));
    let side = |values: &[(f64, &str)]| Taken {
        values: values.iter().map(|(value, _)| *value).collect(),
        pods: values.iter().map(|(_, name)| pod(name)).collect(),
        labels: Labels::new([("service", "cart")]),
    };
    // The slow ones ran on the pod that is short of CPU, and some others too.
    let a: Vec<(f64, &str)> = (0..40)
        .map(|n| if n % 4 == 0 { (f64::from(n % 3), "cart-2") } else { (9.0 + f64::from(n % 3), "cart-1") })
        .collect();
    let b: Vec<(f64, &str)> =
        (0..40).map(|n| (f64::from(n % 3), if n % 2 == 0 { "cart-2" } else { "cart-3" })).collect();
    let (name, service) = ("throttled_seconds_total".to_owned(), "cart".to_owned());
    let key = Key { name, service, part: None };
    let found = candidate(&key, &side(&a), &side(&b)).unwrap().finding;
    assert!(found.what.ends_with(", in cart-1"), "{}", found.what);
    let Detail::Metric { labels, .. } = &found.detail else { panic!("{found:?}") };
    assert_eq!((labels.get("pod"), labels.get("service")), (Some("cart-1"), Some("cart")));
    // All of them alike.
    let everywhere = |high: f64| -> Vec<(f64, &str)> {
        (0..40).map(|n| (high + f64::from(n % 3), ["cart-1", "cart-2", "cart-3"][n as usize % 3])).collect()
    };
    let found = candidate(&key, &side(&everywhere(9.0)), &side(&everywhere(0.0))).unwrap().finding;
    assert!(!found.what.contains(", in "), "{}", found.what);
    // One pod a side, as versions have it: nobody knows whether it is the pod.
    let of_one = |high: f64, pod: &'static str| -> Vec<(f64, &str)> {
        (0..40).map(|n| (high + f64::from(n % 3), pod)).collect()
    };
    let found =
        candidate(&key, &side(&of_one(9.0, "cart-canary")), &side(&of_one(0.0, "cart-1"))).unwrap().finding;
    assert!(!found.what.contains(", in "), "{}", found.what);
}

#[test]
fn counters_count_as_rates_and_what_begins_anew_is_passed_over() {
    let sample = |time: u64, value: f64| Sample { time: time * 1_000_000_000, value };
    let rated =
        rates(&[sample(0, 0.0), sample(10, 50.0), sample(20, 5.0), sample(30, 25.0), sample(30, 30.0)]);
    assert_eq!(rated, [sample(10, 5.0), sample(30, 2.0)]);
}

#[test]
fn only_samples_near_a_trace_tell_of_it() {
    let sample = |time: u64| Sample { time: time * 1_000_000_000, value: 1.0 };
    let samples = [sample(100), sample(130)];
    let place = |time: u64| nearest(&samples, time * 1_000_000_000).map(|(at, _)| at);
    assert_eq!(
        [place(10), place(100), place(114), place(116), place(400)],
        [None, Some(0), Some(0), Some(1), None]
    );
    assert_eq!(nearest(&[], 5), None);
}

#[test]
fn values_stand_in_expressions_as_themselves() {
    assert_eq!(escaped("shop-1/a.b\"c"), "shop-1/a\\\\.b\\\\\"c");
}
