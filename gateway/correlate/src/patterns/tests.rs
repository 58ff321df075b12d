use parsers::record::{Event, Value};
use proptest::prelude::*;

use super::*;
use crate::world::{World, line, span, trace_id};

const SECOND: u64 = 1_000_000_000;
const SHOP: &[(&str, &str)] = &[("service_name", "shop")];
const BEFORE: Window = Window { start: 1_000 * SECOND, end: 2_000 * SECOND };
const NOW: Window = Window { start: 2_000 * SECOND, end: 3_000 * SECOND };

fn question() -> PatternQuestion {
    PatternQuestion::new(Some("shop".to_owned()), NOW, BEFORE, 1_000)
}

fn find(world: World, question: &PatternQuestion) -> PatternReport {
    let world = Arc::new(world);
    LogPatterns::new(world.clone(), world, &LabelMapping::default()).find(question).unwrap()
}

fn usual(window: Window) -> impl Iterator<Item = parsers::record::LogRecord> {
    (0..600).map(move |n| {
        let text = format!("order {n} placed in {} ms", n * 7 % 100);
        line(window.start + n * SECOND, SHOP, Severity::Info, &text, n + 1)
    })
}

#[test]
fn what_is_new_comes_first_with_its_traces_and_its_query() {
    let mut world = World { logs: usual(BEFORE).chain(usual(NOW)).collect(), ..World::default() };
    for n in 0..40 {
        let text = format!("payment declined by bank for card {n}");
        world.logs.push(line(NOW.start + n, SHOP, Severity::Error, &text, 700 + n));
    }
    world.logs.push(line(NOW.start, &[("service_name", "other")], Severity::Error, "not of the shop", 1));
    world.spans.push(span(704, &[("service.name", "shop")], "POST /pay", NOW.start, NOW.start + 5));
    let report = find(world, &question());
    let first = &report.patterns[0];
    assert_eq!(first.pattern, "payment declined by bank for card <_>");
    assert_eq!((first.count, first.count_against), (40, 0));
    assert!(first.verdict.novelty == Novelty::New && first.verdict.is_significant());
    assert_eq!(first.query, "{service_name=\"shop\"} |> \"payment declined by bank for card <_>\"");
    assert_eq!((first.traces.len(), first.level), (3, Severity::Error));
    let second = &report.patterns[1];
    assert_eq!((second.count, second.count_against, second.verdict.novelty), (600, 600, Novelty::Steady));
    assert_eq!(report.patterns.len(), 2);
    assert_eq!((report.window.lines, report.window.from), (640, NOW.start));
}

#[test]
fn an_example_whose_spans_are_stored_stands_before_others() {
    let logs = (0..5).map(|n| line(NOW.start + n, SHOP, Severity::Info, "ready", n + 1)).collect();
    let spans = vec![span(2, &[("service.name", "shop")], "GET /", NOW.start, NOW.start + 5)];
    let report = find(World { spans, logs, ..World::default() }, &question());
    let traces = &report.patterns[0].traces;
    assert_eq!((traces[0].trace_id, traces[0].stored, traces[1].stored), (trace_id(2), true, false));
    assert!(report.absent.iter().any(|a| a.reason == AbsentReason::OutsideWindow), "{:?}", report.absent);
    assert_eq!(report.patterns[0].verdict.novelty, Novelty::Unknown, "there is nothing to compare with");
}

#[test]
fn an_exception_in_a_line_and_in_its_span_counts_once() {
    let stack = |id: u64| {
        format!(
            "java.lang.IllegalStateException: cart {id} is empty\n\tat com.shop.Cart.lambda$total${id}(Cart.java:{id})\n\tat com.shop.Api.handle(Api.java:7)"
        )
    };
    let mut world = World::default();
    for n in 1..=20u64 {
        let time = NOW.start + n * SECOND;
        world.logs.push(line(time, SHOP, Severity::Error, &format!("failed\n{}", stack(n)), n));
        let mut own = span(n, &[("service.name", "shop")], "POST /cart", time, time + 5);
        let text = |key: &str, value: String| (key.to_owned(), Value::Str(value));
        let attributes = vec![
            text("exception.type", "java.lang.IllegalStateException".to_owned()),
            text("exception.stacktrace", stack(n + 100)),
        ];
        own.events.push(Event { time, name: "exception".to_owned(), attributes });
        world.spans.push(own);
    }
    let report = find(world, &question());
    assert_eq!(report.exceptions.len(), 1, "{:?}", report.exceptions);
    let group = &report.exceptions[0];
    assert_eq!((group.count, group.in_logs, group.in_spans), (20, 20, 20));
    assert_eq!(group.frames, ["com.shop.Cart.lambda$total", "com.shop.Api.handle"]);
    assert_eq!((group.services.as_slice(), group.traces.len()), (&["shop".to_owned()][..], 3));
}

#[test]
fn exceptions_in_metadata_are_of_the_groups_of_those_in_lines() {
    let stack = |id: u64| {
        format!(
            "java.lang.IllegalStateException: cart {id} is empty\n\tat com.shop.Cart.total(Cart.java:{id})"
        )
    };
    let said = |pairs: &[(&str, String)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    let kind = || "java.lang.IllegalStateException".to_owned();
    let mut world = World::default();
    for n in 1..=3u64 {
        let time = NOW.start + n * SECOND;
        let told = |text: &str, metadata| parsers::record::LogRecord {
            metadata,
            ..line(time, SHOP, Severity::Error, text, n)
        };
        world.logs.push(told(&format!("failed\n{}", stack(n)), Vec::new()));
        world.logs.push(told("failed", said(&[("exception_stacktrace", stack(n + 10))])));
        let pairs = [("exception.type", kind()), ("exception.message", "of a cart".to_owned())];
        let with_stack: Vec<_> =
            pairs.iter().cloned().chain([("exception.stacktrace", stack(n + 20))]).collect();
        world.logs.push(told("failed", said(&with_stack)));
        // A stack stands in the text, and only its type and message beside.
        world.logs.push(told(&stack(n + 30), said(&pairs)));
        world.logs.push(told("failed", said(&[("exception.type", "TimeoutError".to_owned())])));
    }
    let report = find(world, &question());
    let groups: Vec<_> = report
        .exceptions
        .iter()
        .map(|group| (group.kind.as_str(), group.frames.len(), group.in_logs))
        .collect();
    assert_eq!(groups, [("TimeoutError", 0, 3), ("java.lang.IllegalStateException", 1, 12)]);
    assert_eq!((report.exceptions[1].count, report.exceptions[1].traces.len()), (3, 3), "each span has one");
}

#[test]
fn a_bound_that_is_met_is_told_and_rates_are_of_what_was_counted() {
    let world = World { logs: usual(BEFORE).chain(usual(NOW)).collect(), ..World::default() };
    let report = find(world, &PatternQuestion { bytes: 20_000, ..question() });
    assert!(report.window.from > NOW.start && report.window.lines < 600, "{:?}", report.window);
    assert!(report.warnings.iter().any(|warning| warning.contains("were counted")), "{:?}", report.warnings);
    assert_eq!(report.patterns[0].verdict.novelty, Novelty::Steady);
}

#[test]
fn streams_are_found_by_any_label_of_the_service_and_by_its_pods_each_once() {
    let pod = "shop-7d4b9c-x2x1z";
    let own = [("service.name", "shop"), ("k8s.pod.name", pod)];
    let streams: [&[(&str, &str)]; 6] = [
        &[("service_name", "shop"), ("app", "shop")],
        &[("app", "shop"), ("job", "ns/shop")],
        &[("job", "ns/shop")],
        &[("container", "shop")],
        &[("pod", pod), ("container", "main")],
        &[("service_name", "shopping")],
    ];
    let logs = streams.iter().map(|of| line(NOW.start, of, Severity::Info, "ready", 0)).collect();
    let spans = vec![span(1, &own, "GET /", NOW.start, NOW.start + 1)];
    let report = find(World { spans, logs, ..World::default() }, &question());
    assert_eq!(report.patterns[0].count, 5);
}

#[test]
fn what_began_within_the_window_to_compare_with_has_not_risen_since() {
    let began = BEFORE.start + 900 * SECOND;
    let heartbeats = |from: u64, to: u64| {
        (0..(to - from) / SECOND)
            .map(move |n| line(from + n * SECOND, SHOP, Severity::Info, "heartbeat sent", 0))
    };
    let world = World { logs: heartbeats(began, NOW.end).collect(), ..World::default() };
    let report = find(world.clone(), &question());
    assert_eq!((report.against.begins, report.window.begins), (Some(began), None));
    assert_eq!((report.patterns[0].count, report.patterns[0].count_against), (1_000, 100));
    assert_eq!(report.patterns[0].verdict.novelty, Novelty::Steady, "{:?}", report.patterns[0].verdict);
    assert!(
        report.warnings.iter().any(|warning| warning.starts_with("lines begin at ")),
        "{:?}",
        report.warnings
    );
    // Of what was there before, silence is silence.
    let mut silent = world;
    silent.logs.push(line(SECOND, SHOP, Severity::Info, "heartbeat sent", 0));
    let report = find(silent, &question());
    assert_eq!((report.against.begins, report.patterns[0].verdict.novelty), (None, Novelty::Rising));
}

/// A span that tells of an exception.
fn failed(id: u64, parent: u64, trace: u64, service: &str) -> parsers::record::Span {
    let text = |key: &str, value: &str| (key.to_owned(), Value::Str(value.to_owned()));
    let attributes = vec![text("exception.type", "X.Prop"), text("exception.message", "no stock")];
    let mut own = span(trace, &[("service.name", service)], "POST /cart", NOW.start, NOW.start + 5);
    own.span_id = SpanId::new(id).unwrap();
    own.parent_span_id = SpanId::new(parent);
    own.events.push(Event { time: NOW.start, name: "exception".to_owned(), attributes });
    own
}

#[test]
fn an_exception_on_its_way_through_spans_counts_once() {
    let mut world = World::default();
    for trace in 1..=10 {
        world.spans.extend([(1, 0), (2, 1), (3, 2)].map(|(id, parent)| failed(id, parent, trace, "shop")));
    }
    // Another call of the same request failed, too.
    world.spans.push(failed(7, 9, 1, "shop"));
    let report = find(world, &question());
    assert_eq!((report.exceptions[0].count, report.exceptions[0].in_spans), (11, 31));
}

#[test]
fn conditions_on_labels_are_conditions_on_what_spans_say() {
    let spans = vec![failed(1, 0, 1, "shop"), failed(2, 0, 2, "loud")];
    let of = |label: &str, value: &str| PatternQuestion {
        service: None,
        matchers: vec![Matcher::equal(label, value)],
        ..question()
    };
    let find = |question| find(World { spans: spans.clone(), ..World::default() }, &question);
    let report = find(of("service_name", "loud"));
    assert_eq!(report.exceptions[0].services, ["loud"]);
    assert_eq!((report.exceptions.len(), report.window.spans), (1, 1));
    let report = find(of("team", "red"));
    assert!(
        report.exceptions.is_empty() && report.warnings[0].contains("label team"),
        "{:?}",
        report.warnings
    );
}

proptest! {
    #[test]
    fn counts_add_up_and_a_window_against_itself_has_no_news(
        lines in prop::collection::vec((0usize..12, 0u64..2_000, 0usize..3), 0..400)
    ) {
        const WORDS: [&str; 6] = ["order", "placed", "failed", "cart", "=", "42"];
        const LEVELS: [Severity; 3] = [Severity::Info, Severity::Error, Severity::Unknown];
        let logs: Vec<_> = lines.iter().map(|(shape, at, level)| {
            let text = format!("{} {} {}", WORDS[shape % 6], WORDS[shape / 2 % 6], at);
            let text = if *shape == 11 { " == ".to_owned() } else { text };
            line(BEFORE.start + at * SECOND, SHOP, LEVELS[*level], &text, 0)
        }).collect();
        let world = World { logs, ..World::default() };
        let report = find(world.clone(), &question());
        for (counted, count) in [
            (report.window, report.patterns.iter().map(|p| p.count).sum::<u64>()),
            (report.against, report.patterns.iter().map(|p| p.count_against).sum()),
        ] {
            prop_assert_eq!(count + counted.other, counted.lines);
        }
        prop_assert_eq!(report.window.lines + report.against.lines, lines.len() as u64);
        let same = find(world, &PatternQuestion { against: NOW, ..question() });
        for pattern in &same.patterns {
            prop_assert!(matches!(pattern.verdict.novelty, Novelty::Steady));
        }
    }
}
