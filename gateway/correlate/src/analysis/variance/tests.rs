use std::ops::ControlFlow;
use std::sync::Arc;

use parsers::record::{Labels, LogRecord};
use proptest::prelude::*;
use store::read::{LogRead, LogSelect, Matcher, ReadError, ScanReport, Window};

use crate::analysis::planted::{MS, Memory, shop};
use crate::analysis::{AnalysisOptions, Analyst, Variance, VarianceQuestion};

fn ask(memory: Memory, service: &str, operation: Option<&str>, limit: usize) -> Variance {
    let analyst = Analyst::new(Arc::new(memory), AnalysisOptions::default());
    let (service, operation) = (service.to_owned(), operation.map(str::to_owned));
    analyst.variance(&VarianceQuestion { service, operation, window: Window::ALL, limit }).unwrap()
}

#[test]
fn a_customer_for_whom_a_statement_is_slow_is_named_with_its_lines_and_its_place_in_the_code() {
    let memory = shop(1, 400, |request, dice| {
        if request.customer == "acme" && dice.below(10) > 0 {
            request.statement += (200 + dice.below(100)) * MS;
            request.lines.push(format!("[db.go:77] slow query took {} ms", dice.below(900)));
        }
    });
    let answer = ask(memory, "frontend", Some("GET /cart"), 10);
    let first = &answer.contributors[0];
    assert_eq!((&*first.operation.service, &*first.operation.operation), ("catalog", "SELECT products"));
    assert!(first.share > 0.95, "{}", first.share);
    let attribute = &first.attributes[0];
    assert_eq!((&*attribute.key, &*attribute.value), ("customer", "acme"));
    assert!(attribute.strength.explains > 0.5 && attribute.strength.significance < 1e-6);
    // Each request has its own id, and all have the same version.
    assert_eq!(first.attributes.len(), 1);
    assert_eq!(first.patterns.len(), 1, "{:?}", first.patterns);
    assert!(first.patterns[0].pattern.contains("slow query took <_> ms"));
    let places: Vec<(&str, Option<u32>, bool)> =
        first.code.iter().map(|seen| (&*seen.place.file, seen.place.line, seen.strength.is_some())).collect();
    assert_eq!(places, [("db.go", Some(77), true), ("catalog/db.go", Some(42), false)]);
    assert!(first.mean_slow > 10.0 * first.mean_fast);
    assert_eq!(answer.times.traces, 400);
    assert_eq!(answer.reason, None);
}

#[test]
fn what_holds_of_every_call_of_an_operation_explains_nothing() {
    // One request in three asks for reviews, and takes longer then.
    let memory = shop(5, 300, |request, dice| {
        request.reviews = (dice.below(3) == 0).then(|| (100 + dice.below(200)) * MS);
    });
    let answer = ask(memory, "frontend", Some("GET /cart"), 10);
    let first = &answer.contributors[0];
    assert_eq!((&*first.operation.service, first.attributes.len()), ("reviews", 0), "{:?}", first.attributes);
    assert!(first.spans_slow > 2.0 * first.spans_fast);
}

#[test]
fn traces_that_never_call_an_operation_tell_nothing_of_its_time_but_why_it_is_called() {
    let memory = shop(5, 400, |request, dice| {
        let slow = dice.below(4) == 0;
        request.reviews = match &*request.customer {
            "acme" | "hooli" => Some((100 + dice.below(20) + if slow { 60 } else { 0 }) * MS),
            _ => None,
        };
        request.lines.push(if slow { "cold" } else { "warm" }.to_owned());
    });
    let mut memory = memory;
    for span in memory.traces.iter_mut().flat_map(|(spans, _)| spans) {
        if span.name == "GET /stars" && span.duration() >= 150 * MS {
            span.attributes.push(("pool".to_owned(), parsers::record::Value::Str("cold".to_owned())));
        }
    }
    let answer = ask(memory, "frontend", Some("GET /cart"), 10);
    let first = &answer.contributors[0];
    assert_eq!(first.operation.service, "reviews");
    let presence = first.presence.as_ref().unwrap();
    assert_eq!(presence.with + presence.without, 400);
    assert!(presence.explains > 0.5, "{presence:?}");
    let named: Vec<(&str, f64)> =
        presence.attributes.iter().map(|one| (&*one.value, one.strength.mean_with)).collect();
    assert_eq!(named.len(), 2, "{named:?}");
    assert!(
        named.iter().all(|(value, called)| ["acme", "hooli"].contains(value) && *called == 1.0),
        "{named:?}"
    );
    // Neither customer's calls take longer than the other's.
    let values: Vec<&str> = first.attributes.iter().map(|one| &*one.value).collect();
    assert_eq!(values, ["cold"]);
    let strength = &first.attributes[0].strength;
    assert_eq!(strength.with + strength.without, presence.with);
    assert!(strength.mean_without > 100.0 * MS as f64, "{strength:?}");
}

/// Lines of the catalog that have no id, beside those that have one.
struct Muttered(Vec<LogRecord>);

impl LogRead for Muttered {
    fn scan_logs(
        &self,
        select: &LogSelect,
        visit: &mut dyn FnMut(LogRecord) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        let wanted = |log: &&LogRecord| {
            select.window.contains(log.time) && select.matchers.iter().all(|m| m.matches(&log.labels))
        };
        for log in self.0.iter().filter(wanted) {
            if visit(log.clone()).is_break() {
                break;
            }
        }
        Ok(ScanReport::default())
    }

    fn streams(&self, matchers: &[Matcher], _: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        let labels = Arc::new(Labels::new([("service_name", "catalog")]));
        Ok(matchers.iter().all(|matcher| matcher.matches(&labels)).then_some(labels).into_iter().collect())
    }
}

#[test]
fn lines_without_an_id_count_beside_those_that_have_one() {
    let memory = shop(7, 200, |request, dice| {
        if dice.below(6) == 0 {
            request.statement += 50 * MS;
        }
    });
    let mut muttered = Vec::new();
    for (spans, logs) in &memory.traces {
        let statement = spans.iter().find(|span| span.name == "SELECT products").unwrap();
        if statement.duration() > 40 * MS {
            let time = statement.end - MS / 2;
            let line = b"[pool.go:31] connection opened again".to_vec();
            muttered.push(LogRecord { time, trace_id: None, span_id: None, line, ..logs[0].clone() });
        }
    }
    let analyst = Analyst::new(Arc::new(memory), AnalysisOptions::default());
    let analyst = analyst.with_logs(Arc::new(Muttered(muttered)));
    let question =
        VarianceQuestion { service: "frontend".to_owned(), operation: None, window: Window::ALL, limit: 5 };
    let answer = analyst.variance(&question).unwrap();
    let first = &answer.contributors[0];
    let patterns: Vec<&str> = first.patterns.iter().map(|pattern| &*pattern.pattern).collect();
    assert!(patterns.iter().any(|pattern| pattern.contains("connection opened again")), "{first:?}");
    assert!(first.code.iter().any(|seen| seen.place.file == "pool.go"), "{:?}", first.code);
}

/// Streams of the frontend, whose lines have no ids.
struct FrontendWrites;

impl LogRead for FrontendWrites {
    fn scan_logs(
        &self,
        _: &LogSelect,
        _: &mut dyn FnMut(LogRecord) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        Ok(ScanReport::default())
    }

    fn streams(&self, matchers: &[Matcher], _: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        let labels = Arc::new(Labels::new([("service_name", "frontend")]));
        Ok(if matchers.iter().all(|matcher| matcher.matches(&labels)) { vec![labels] } else { Vec::new() })
    }
}

#[test]
fn lines_with_an_id_are_read_of_traces_of_which_those_without_are_not_looked_for() {
    // More traces than lines without an id are looked for.
    let memory = shop(1, 600, |request, dice| {
        if request.customer == "acme" {
            request.statement += (200 + dice.below(100)) * MS;
            request.lines.push("slow query".to_owned());
        }
    });
    let analyst = Analyst::new(Arc::new(memory), AnalysisOptions::default());
    let analyst = analyst.with_logs(Arc::new(FrontendWrites));
    let (service, operation) = ("frontend".to_owned(), Some("GET /cart".to_owned()));
    let question = VarianceQuestion { service, operation, window: Window::ALL, limit: 10 };
    let answer = analyst.variance(&question).unwrap();
    assert_eq!(answer.line_traces, 600);
    let pattern = &answer.contributors[0].patterns[0];
    assert!(pattern.pattern.contains("slow query"), "{pattern:?}");
    assert_eq!(pattern.strength.with + pattern.strength.without, 600, "{pattern:?}");
    let of_those = |warning: &String| {
        let found = warning.strip_prefix("log lines without an id were looked for in ")?;
        found.strip_suffix(" of 600 traces")?.parse::<usize>().ok()
    };
    let looked_for = answer.warnings.iter().find_map(of_those);
    assert!(looked_for.is_some_and(|traces| (1..=200).contains(&traces)), "{:?}", answer.warnings);
}

#[test]
fn what_is_beyond_the_limit_keeps_its_share() {
    let answer = ask(shop(2, 100, |_, _| {}), "frontend", None, 1);
    assert_eq!((answer.contributors.len(), answer.others.operations), (1, 3));
    assert!((answer.contributors[0].share + answer.others.share - 1.0).abs() < 1e-9);
}

#[test]
fn nothing_found_and_nothing_varying_are_said() {
    let answer = ask(shop(3, 20, |_, _| {}), "frontend", Some("DELETE /cart"), 10);
    assert!(answer.contributors.is_empty());
    assert!(answer.reason.unwrap().contains("no trace"));
    let answer = ask(shop(3, 20, |request, _| request.statement = 5 * MS), "frontend", None, 10);
    assert!(answer.reason.unwrap().contains("same time"));
}

#[test]
fn of_two_traces_the_quicker_half_is_the_quicker_one_and_shares_come_with_a_caution() {
    let memory = shop(3, 2, |request, _| {
        request.statement = if request.number == 1 { 5 * MS } else { 305 * MS };
        request.reviews = None;
    });
    let answer = ask(memory, "frontend", None, 10);
    let first = &answer.contributors[0];
    assert_eq!((first.mean_fast, first.mean_slow), (5.0 * MS as f64, 305.0 * MS as f64));
    assert!(answer.times.p50 < answer.times.p90, "{:?}", answer.times);
    assert!(
        answer.warnings.iter().any(|warning| warning.contains("of 2 traces alone")),
        "{:?}",
        answer.warnings
    );
}

#[test]
fn an_operation_below_the_root_is_looked_at_alone() {
    let memory = shop(4, 100, |request, dice| request.statement += dice.below(50) * MS);
    let answer = ask(memory, "catalog", Some("GET /products"), 10);
    let names: Vec<&str> = answer.contributors.iter().map(|c| &*c.operation.operation).collect();
    assert_eq!(names, ["SELECT products", "GET /products"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn shares_add_up_to_one(seed in any::<u64>(), requests in 2u64..40) {
        let memory = shop(seed, requests, |request, dice| {
            request.statement += dice.below(80) * MS;
            request.reviews = (dice.below(3) > 0).then_some(4 * MS);
        });
        let answer = ask(memory, "frontend", None, 10);
        if answer.times.variance > 0.0 {
            let shares: f64 = answer.contributors.iter().map(|contributor| contributor.share).sum();
            prop_assert!((shares - 1.0).abs() < 1e-9, "{shares}");
            let means: f64 = answer.contributors.iter().map(|contributor| contributor.mean).sum();
            prop_assert!((means - answer.times.mean).abs() < 1.0);
        }
    }
}
