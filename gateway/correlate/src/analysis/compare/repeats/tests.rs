use std::sync::Arc;

use parsers::record::Labels;

use super::*;
use crate::analysis::vocabulary::{AttributeScope, Operation};

fn finding(kind: FindingKind, unit: Unit, detail: Detail, (a, b): (f64, f64), what: &str) -> Finding {
    Finding {
        kind,
        what: what.to_owned(),
        operation: Operation { service: "payment".to_owned(), operation: "POST".to_owned() },
        detail,
        a,
        b,
        unit,
        significance: None,
        score: 0.5,
        also: Vec::new(),
        examples: Vec::new(),
    }
}

fn attribute(key: &str, value: &str, shares: (f64, f64)) -> Finding {
    let (scope, what) = (AttributeScope::Span, format!("{key}={value}"));
    let detail = Detail::Attribute { scope, key: key.to_owned(), value: value.to_owned(), other: None };
    finding(FindingKind::Attribute, Unit::Share, detail, shares, &what)
}

fn metric(name: &str, unit: Unit, values: (f64, f64), what: &str) -> Finding {
    let detail =
        Detail::Metric { name: name.to_owned(), labels: Arc::new(Labels::new([("job", "payment")])) };
    finding(FindingKind::Metric, unit, detail, values, what)
}

fn told(findings: Vec<Finding>) -> Vec<(String, Vec<String>)> {
    folded(findings).into_iter().map(|finding| (finding.what, finding.also)).collect()
}

#[test]
fn a_value_that_took_anothers_place_and_attributes_of_the_same_traces_are_told_once() {
    let all = vec![
        attribute("status", "500", (0.9, 0.1)),
        attribute("error.type", "500", (0.9, 0.1)),
        attribute("status", "200", (0.1, 0.9)),
        attribute("customer", "acme", (0.8, 0.1)),
    ];
    let also = vec!["error.type=500".to_owned(), "status=200".to_owned()];
    assert_eq!(told(all), [("status=500".to_owned(), also), ("customer=acme".to_owned(), Vec::new())]);
}

#[test]
fn values_of_which_there_are_more_than_two_stay() {
    let all = vec![attribute("status", "500", (0.7, 0.1)), attribute("status", "200", (0.1, 0.9))];
    assert_eq!(told(all).len(), 2);
}

#[test]
fn two_counters_of_one_fact_are_one_finding() {
    let all = vec![
        metric("requests_total", Unit::Share, (0.6667, 0.0), "total 500"),
        metric("duration_count", Unit::Share, (0.6664, 0.0), "count 500"),
        metric("requests_total", Unit::Share, (0.3333, 1.0), "total 200"),
        metric("duration_count", Unit::Share, (0.3336, 1.0), "count 200"),
        metric("requests_total", Unit::Metric, (10.0, 4.0), "total"),
        metric("duration_count", Unit::Metric, (10.02, 4.01), "count"),
        metric("queue_length", Unit::Metric, (10.0, 4.0), "queue"),
    ];
    let told = told(all);
    let names: Vec<(&str, usize)> = told.iter().map(|(what, also)| (&**what, also.len())).collect();
    assert_eq!(names, [("total 500", 3), ("total", 1), ("queue", 0)]);
}
