//! Search: cases in `searches.txt`, what an answer holds, and bounds.

use std::time::Duration;

use super::super::{Limits, SearchParams, Static, TraceHit, search};
use super::stored::{Stored, ZERO, blocks, query, read};

fn params(limit: usize) -> SearchParams {
    SearchParams { start: 0, end: u64::MAX, limit, spans_per_set: 100, limits: Limits::default() }
}

fn hits(stored: &Stored, text: &str) -> Vec<TraceHit> {
    search(&query(text), stored, &params(100)).unwrap().hits
}

/// `2: 1 2; 1: 3 | 4`: traces, sets and spans; a trace without spans is not in an answer.
fn written(hits: &[TraceHit]) -> String {
    let traces = hits.iter().map(|hit| {
        let sets = hit.sets.iter().map(|set| {
            let ids = set.spans.iter().map(|span| span.span_id.bits().to_string());
            ids.collect::<Vec<_>>().join(" ")
        });
        format!("{}: {}", hit.trace_id.bits(), sets.collect::<Vec<_>>().join(" | "))
    });
    traces.collect::<Vec<_>>().join("; ")
}

#[test]
fn queries_find_the_sets_that_they_describe() {
    for (stored, cases) in blocks(include_str!("searches.txt")) {
        for (text, expected) in cases {
            assert_eq!(written(&hits(&stored, text)), expected, "{text}");
        }
    }
}

#[test]
fn sets_tell_their_numbers_and_spans_what_was_looked_at() {
    let stored = read("1 1 - web GET 1000 500 n=1 code=200\n1 2 1 db SELECT 1100 100 n=2 kind=client");
    let text =
        "{ .n > 0 && duration > 1ms } | by(kind) | avg(.n) >= 1 | select(.code, resource.service.name)";
    let [hit] = &hits(&stored, text)[..] else { panic!("one trace") };
    let [first, second] = &hit.sets[..] else { panic!("two sets") };
    assert_eq!(first.attributes[0].0, "by(kind)");
    assert_eq!(first.attributes[1], ("avg(.n)".to_owned(), Static::Float(1.0)));
    assert_eq!(second.attributes[1], ("avg(.n)".to_owned(), Static::Float(2.0)));
    let shown: Vec<&str> = first.spans[0].attributes.iter().map(|(name, _)| &**name).collect();
    assert_eq!(shown, ["code", "service.name", "n", "kind"]);
    assert_eq!(hit.services["web"].spans, 1);
}

#[test]
fn the_newest_traces_are_kept_and_sets_are_cut_with_their_size_told() {
    let lines: Vec<String> = (1..=50)
        .map(|trace| format!("{trace} 1 - web a {} 5\n{trace} 2 1 web b {} 5", trace * 10, trace * 10 + 1))
        .collect();
    let stored = read(&lines.join("\n"));
    let params = SearchParams { spans_per_set: 1, ..params(3) };
    let found = search(&query("{}"), &stored, &params).unwrap();
    let ids: Vec<u128> = found.hits.iter().map(|hit| hit.trace_id.bits()).collect();
    assert_eq!(ids, [50, 49, 48]);
    assert_eq!((found.hits[0].sets[0].spans.len(), found.hits[0].sets[0].matched), (1, 2));
    let window = SearchParams { start: ZERO + 100_000_000, end: ZERO + 120_000_000, ..params };
    let found = search(&query("{}"), &stored, &window).unwrap();
    let ids: Vec<u128> = found.hits.iter().map(|hit| hit.trace_id.bits()).collect();
    assert_eq!(ids, [11, 10], "what runs in the window");
}

#[test]
fn tags_in_logfmt_are_met_as_texts_numbers_and_durations() {
    let stored = read("1 1 - web GET 1000 500 code=500 ok=true\n2 1 - web GET 2000 5 code=200 v=\"7\"");
    for (tags, min, expected) in [
        ("service.name=web", None, "2: 1; 1: 1"),
        ("code=500", None, "1: 1"),
        ("v=7", None, "2: 1"),
        ("ok=true", None, "1: 1"),
        ("name=\"GET\" service.name=web", Some(100_000_000), "1: 1"),
        ("", None, "2: 1; 1: 1"),
        ("status=unset", None, "2: 1; 1: 1"),
    ] {
        let query = super::super::from_tags(tags, min, None).unwrap();
        assert_eq!(written(&search(&query, &stored, &params(10)).unwrap().hits), expected, "{tags}");
    }
}

#[test]
fn what_reads_too_much_or_too_long_ends_with_the_reason() {
    let stored = read("1 1 - web GET 1000 500\n2 1 - web GET 2000 5");
    let end = |limits: Limits| {
        let params = SearchParams { limits, ..params(10) };
        search(&query("{}"), &stored, &params).unwrap_err().to_string()
    };
    let told = end(Limits { spans: 1, ..Limits::default() });
    assert_eq!(told, "query exceeds the limit of 1 spans read; narrow the time range or the conditions");
    let told = end(Limits { time: Duration::ZERO, ..Limits::default() });
    assert!(told.contains("timed out"), "{told}");
}

#[test]
fn of_several_values_that_is_shown_which_met_the_condition() {
    let stored = read(
        "1 1 - web GET 0 10 list=[\"p\",\"q\"] event=a@5 event=b@6 event.why=late link=2/1 link=3/2\n\
         1 2 1 web PUT 0 10 list=[\"p\",\"q\"]",
    );
    let shown = |text: &str| -> Vec<String> {
        let found = search(&query(text), &stored, &params(1)).unwrap();
        let spans = found.hits.iter().flat_map(|hit| &hit.sets[0].spans).take(1);
        let told =
            spans.flat_map(|span| span.attributes.iter().map(|(name, value)| format!("{name}={value}")));
        told.collect()
    };
    for (text, expected) in [
        ("{ span.list = \"q\" }", "list=\"q\""),
        ("{ span.list =~ \"[qr]\" }", "list=\"q\""),
        ("{ span.list != \"z\" }", "list=[\"p\", \"q\"]"),
        ("{ span.list != nil } | select(span.list)", "list=[\"p\", \"q\"]"),
        ("{ event:timeSinceStart > 5ms }", "event:timeSinceStart=6ms"),
        ("{ 5ms < event:timeSinceStart && event:timeSinceStart < 7ms }", "event:timeSinceStart=6ms"),
        ("{ event:name = \"b\" }", "event:name=\"b\""),
        ("{ event:name != nil }", "event:name=\"a\""),
        ("{ link:spanID = \"0000000000000002\" }", "link:spanID=\"0000000000000002\""),
    ] {
        assert_eq!(shown(text), [expected], "{text}");
    }
}

#[test]
fn every_query_over_a_trace_that_crosses_the_windows_edge_agrees() {
    let stored = read(
        "1 1 - longsvc long 400000 10000\n1 2 1 longsvc kid 405000 1000\n1 3 1 longsvc late 409000 500 status=error",
    );
    let at = |second: u64| ZERO + second * 1_000_000_000;
    for (start, end, inside) in [
        (403, 420, true),
        (407, 420, true),
        (406, 408, true),
        (395, 401, true),
        (390, 400, false),
        (411, 420, false),
    ] {
        for text in [
            "{ resource.service.name = \"longsvc\" }",
            "{ name = \"long\" }",
            "{ name = \"late\" && rootName = \"long\" }",
            "{ name = \"long\" } >> { name = \"late\" }",
            "{ name = \"long\" } &>> { name = \"late\" }",
            "{ name = \"late\" } << { name = \"long\" }",
            "{ name = \"kid\" } ~ { name = \"late\" }",
            "{ name = \"long\" } && { name = \"late\" }",
            "{ nestedSetParent < 0 && resource.service.name = \"longsvc\" } &>> { status = error }",
            "{ trace:id = \"00000000000000000000000000000001\" }",
            "{} | count() = 3",
        ] {
            let params = SearchParams { start: at(start), end: at(end), ..params(10) };
            let found = search(&query(text), &stored, &params).unwrap().hits;
            assert_eq!(found.len(), usize::from(inside), "{text} from {start} to {end}");
        }
    }
}
