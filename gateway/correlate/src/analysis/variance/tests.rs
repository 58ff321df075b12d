use std::ops::ControlFlow;
use std::sync::Arc;

use parsers::record::{Labels, LogRecord};
use proptest::prelude::*;
use store::read::{LogRead, LogSelect, Matcher, ReadError, ScanReport, Window};

use crate::analysis::planted::{Dice, MS, Memory, Request, shop};
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

/// One job of so many items, each of which writes a line and saves something, which takes long for one in ten.
fn batch(items: u64) -> Memory {
    let job = shop(1, 1, |_, _| {});
    let (spans, logs) = &job.traces[0];
    let (root, line) = (spans[0].clone(), logs[0].clone());
    let id = |number: u64| parsers::record::SpanId::new(number).unwrap();
    let (mut spans, mut lines) = (Vec::new(), Vec::new());
    for item in 0..items {
        let slow = item % 10 == 0;
        let took = if slow { 200 + item % 7 } else { 20 + item % 3 } * MS;
        let start = root.start + item * 10 * MS;
        let mut span = root.clone();
        (span.span_id, span.parent_span_id) = (id(1_000 + item * 2), Some(root.span_id));
        (span.name, span.start, span.end) = ("process item".to_owned(), start, start + took + 2 * MS);
        span.attributes = vec![("item".to_owned(), parsers::record::Value::Int(item as i64))];
        let mut save = span.clone();
        (save.span_id, save.parent_span_id) = (id(1_001 + item * 2), Some(span.span_id));
        (save.name, save.start, save.end) = ("save".to_owned(), start + MS, start + MS + took);
        save.attributes = vec![("big".to_owned(), parsers::record::Value::Bool(slow))];
        let said = if slow { "waited for the lock of the table" } else { "saved at once" };
        let time = save.start + MS;
        lines.push(LogRecord {
            time,
            span_id: Some(save.span_id),
            line: said.as_bytes().to_vec(),
            ..line.clone()
        });
        spans.extend([span, save]);
    }
    let end = spans.iter().map(|span| span.end).max().unwrap_or(root.end);
    spans.push(parsers::record::Span { name: "job".to_owned(), end, ..root });
    Memory { traces: vec![(spans, lines)] }
}

#[test]
fn of_a_job_with_many_items_each_item_counts() {
    let answer = ask(batch(400), "frontend", Some("process item"), 10);
    assert_eq!((answer.times.traces, answer.traces, answer.reason.clone()), (400, 1, None));
    let first = &answer.contributors[0];
    assert_eq!(first.operation.operation, "save");
    let shares: f64 = answer.contributors.iter().map(|contributor| contributor.share).sum();
    assert!((shares - 1.0).abs() < 1e-9, "{shares}");
    let attribute = &first.attributes[0];
    assert_eq!((&*attribute.key, &*attribute.value, attribute.strength.with), ("big", "true", 40));
    // Each item's lines are its own.
    let pattern = &first.patterns[0];
    assert!(pattern.pattern.contains("waited for the lock"), "{:?}", first.patterns);
    assert_eq!((pattern.strength.with, pattern.strength.without), (40, 360));
    assert_eq!(attribute.examples.len(), 1, "all are of one trace: {:?}", attribute.examples);
    let spans: std::collections::BTreeSet<_> = answer.slowest.iter().map(|example| example.span_id).collect();
    assert_eq!(spans.len(), answer.slowest.len());
}

#[test]
fn of_very_many_items_some_are_looked_at_and_that_is_said() {
    let answer = ask(batch(2_500), "frontend", Some("process item"), 10);
    assert_eq!(answer.times.traces, 1_000);
    assert!(answer.warnings.iter().any(|warning| warning.contains("up to 2500")), "{:?}", answer.warnings);
    assert_eq!(answer.contributors[0].operation.operation, "save");
    assert!(answer.contributors[0].attributes.iter().any(|attribute| attribute.key == "big"));
}

#[test]
fn traces_that_are_too_large_are_the_reason_where_there_are_no_others() {
    let options = AnalysisOptions { span_limit: 100, ..AnalysisOptions::default() };
    let analyst = Analyst::new(Arc::new(batch(200)), options);
    let (service, operation) = ("frontend".to_owned(), Some("job".to_owned()));
    let question = VarianceQuestion { service, operation, window: Window::ALL, limit: 10 };
    let answer = analyst.variance(&question).unwrap();
    let reason = answer.reason.unwrap();
    assert_eq!(answer.oversize, 1);
    assert!(reason.contains("more than 100 spans") && !reason.contains("no trace"), "{reason}");
}

#[test]
fn slow_traces_of_which_spans_were_lost_are_slow_all_the_same() {
    let mut memory = shop(3, 100, |request, _| {
        request.statement = if request.number % 5 == 0 { 500 * MS } else { 5 * MS };
    });
    for (spans, _) in &mut memory.traces {
        if spans.iter().any(|span| span.name == "SELECT products" && span.duration() > 100 * MS) {
            spans.retain(|span| span.name != "GET /products");
        }
    }
    let answer = ask(memory, "frontend", Some("GET /cart"), 10);
    assert_eq!((answer.times.traces, answer.reason), (100, None));
    let first = &answer.contributors[0];
    assert_eq!((&*first.operation.operation, first.share > 0.9), ("GET /cart", true));
    assert!(answer.warnings.iter().any(|w| w.contains("parents are missing")), "{:?}", answer.warnings);
}

#[test]
fn what_runs_on_after_the_operation_is_named() {
    let mut memory = shop(3, 50, |request, dice| {
        request.statement = 5 * MS;
        request.reviews = Some((2_000 + dice.below(3_000)) * MS);
    });
    for (spans, _) in &mut memory.traces {
        spans[0].end = spans[0].start + 30 * MS;
        // The message lies in a queue first.
        spans[3].start += 40 * MS;
    }
    let answer = ask(memory, "frontend", Some("GET /cart"), 10);
    assert!(answer.reason.as_ref().is_some_and(|reason| reason.contains("runs on")), "{:?}", answer.reason);
    let told = answer.warnings.iter().find(|warning| warning.contains("not waited for"));
    assert!(
        told.is_some_and(|told| told.contains("50 of 50") && told.contains("GET /stars of reviews")),
        "{told:?}"
    );
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

    #[test]
    fn shares_of_several_spans_of_a_trace_add_up_to_one(items in 2u64..60, jobs in 1usize..4) {
        let mut memory = batch(items);
        for number in 1..jobs as u64 {
            let (mut spans, _) = batch(items).traces.remove(0);
            let id = Request::new(number + 7, &mut Dice::new(number)).trace();
            for span in &mut spans {
                span.trace_id = id;
            }
            memory.traces.push((spans, Vec::new()));
        }
        let answer = ask(memory, "frontend", Some("process item"), 10);
        prop_assert_eq!(answer.times.traces, items as usize * jobs);
        let shares: f64 = answer.contributors.iter().map(|contributor| contributor.share).sum();
        prop_assert!((shares - 1.0).abs() < 1e-9, "{shares}");
        let means: f64 = answer.contributors.iter().map(|contributor| contributor.mean).sum();
        prop_assert!((means - answer.times.mean).abs() < 1.0);
    }
}
