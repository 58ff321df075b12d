use std::fmt::Write;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What a page says, a line each.
fn told(page: &str, format: Format) -> Vec<String> {
    Exposition::new(page.as_bytes(), format).map(|entry| tell(&entry)).collect()
}

fn tell(entry: &Entry<'_>) -> String {
    match entry {
        Entry::Sample(sample) => {
            let labels = match series_labels(sample.series) {
                Ok(pairs) => pairs.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(","),
                Err(problem) => return format!("{}: {problem}", sample.line),
            };
            let mut out = format!("{labels} {}", sample.value);
            if let Some(time) = sample.time {
                let _ = write!(out, " @{time}");
            }
            for exemplar in exemplars(sample.exemplars) {
                match exemplar {
                    Ok(ExemplarLine { labels, value, time }) => {
                        let labels: Vec<String> = labels.iter().map(|(n, v)| format!("{n}={v}")).collect();
                        let _ = write!(out, " # {} {value}", labels.join(","));
                        if let Some(time) = time {
                            let _ = write!(out, " @{time}");
                        }
                    }
                    Err(problem) => {
                        let _ = write!(out, " # {problem}");
                    }
                }
            }
            out
        }
        Entry::Kind { family, kind } => format!("{family} is {kind:?}"),
        Entry::Help { family, text } => format!("{family}: {text:?}"),
        Entry::Unit { family, unit } => format!("{family} in {unit}"),
        Entry::Fault(LineFault { line, problem }) => format!("{line}: {problem}"),
    }
}

/// One line of OpenMetrics.
fn line(text: &str) -> String {
    told(&format!("{text}\n# EOF\n"), Format::OpenMetrics).join(" | ")
}

#[test]
fn lines_of_openmetrics_say_what_the_specification_says() {
    for (text, expected) in [
        ("# TYPE acme_http_router_request_seconds summary", "acme_http_router_request_seconds is Summary"),
        ("# TYPE a info", "a is Info"),
        ("# TYPE a stateset", "a is StateSet"),
        ("# TYPE a gaugehistogram", "a is GaugeHistogram"),
        ("# TYPE a unknown", "a is Unknown"),
        ("# TYPE a colour", "1: an unknown type"),
        ("# UNIT a_seconds seconds", "a_seconds in seconds"),
        (r#"# HELP a Latency \"in\" \\ all\nof it"#, "a: \"Latency \\\"in\\\" \\\\ all\\nof it\""),
        ("# HELP a", "a: \"\""),
        ("# a remark", "1: a comment that is none of TYPE, UNIT, HELP and EOF"),
        ("", "1: an empty line"),
        ("a 1", "__name__=a 1"),
        ("a{} 1", "__name__=a 1"),
        (r#"a{b="c",d="e"} 1.5e3"#, "__name__=a,b=c,d=e 1500"),
        (r#"a{b="c",} 1"#, "__name__=a,b=c 1"),
        (r#"a{b="} # {\"\\\n\x"} 1"#, "__name__=a,b=} # {\"\\\n\\x 1"),
        (r#"a{b=""} 1"#, "__name__=a,b= 1"),
        ("a +Inf", "__name__=a inf"),
        ("a -Inf", "__name__=a -inf"),
        ("a NaN", "__name__=a NaN"),
        ("a 0x1p4", "1: a value that is no number"),
        ("a 1_000", "1: a value that is no number"),
        ("a", "1: no value"),
        ("a{b=\"c\"}", "1: no value"),
        ("a 1 1520879607.789123456", "__name__=a 1 @1520879607789123456"),
        ("a 1 1.5208796e9", "__name__=a 1 @1520879600000000000"),
        ("a 1 -1", "1: a time that is no number, or not between 1970 and 2554"),
        ("a 1 NaN", "1: a time that is no number, or not between 1970 and 2554"),
        ("a 1 1 1", "1: something behind value and time"),
        ("a-b 1", "1: a metric's name with other characters than letters, digits, `_` and `:`"),
        ("1a 1", "1: a metric's name with other characters than letters, digits, `_` and `:`"),
        ("a:b_C9 1", "__name__=a:b_C9 1"),
        (r#"{"http.requests"} 1"#, "__name__=http.requests 1"),
        (r#"{"http.requests","the.method"="GET",b="c"} 1"#, "__name__=http.requests,the.method=GET,b=c 1"),
        (r#"{b="c","späte"} 1"#, "__name__=späte,b=c 1"),
        (r#"a{"späte"="x"} 1"#, "__name__=a,späte=x 1"),
        (r#"a{"b"} 1"#, "1: a label without a value"),
        (r#"{b="c"} 1"#, "1: a series without a name"),
        (r#"a{b="c",b="d"} 1"#, "1: a label twice"),
        (r#"a{b="c" d="e"} 1"#, "1: no comma between labels"),
        ("a{b=c} 1", "1: no quotes round a value"),
        (r#"a{b.c="d"} 1"#, "1: a label without a value"),
        (r#"a{9="d"} 1"#, "1: a label's name that is neither quoted nor of letters, digits and `_`"),
        (r#"a{b="c 1"#, "1: labels without an end"),
        (r#"# TYPE "http.requests" counter"#, "http.requests is Counter"),
        (r#"a 1 # {trace_id="abc"} 0.5"#, "__name__=a 1 # trace_id=abc 0.5"),
        (
            r#"a_bucket{le="1.0"} 11 1.5 # {trace_id="KOO5S4vxi0o",span_id="x y"} 0.67 1520879607.789"#,
            "__name__=a_bucket,le=1.0 11 @1500000000 # trace_id=KOO5S4vxi0o,span_id=x y 0.67 @1520879607789000000",
        ),
        ("a 1 # {} 0.5", "__name__=a 1 #  0.5"),
        (
            r#"a 1 # {trace_id="1"} 1 1 # {trace_id="2"} 2 2"#,
            "__name__=a 1 # trace_id=1 1 @1000000000 # trace_id=2 2 @2000000000",
        ),
        // Its sample is not lost.
        ("a 1 # trace", "__name__=a 1 # no labels"),
        (r#"a 1 # {b="c"}"#, "__name__=a 1 # no value"),
        (r#"a 1 # {b="c"} x"#, "__name__=a 1 # a value that is no number"),
        (r#"a 1 # {b="c"} 1 x"#, "__name__=a 1 # an exemplar's time that is none"),
        (r#"a 1 # {b="c"} 1 1 1"#, "__name__=a 1 # something behind an exemplar"),
    ] {
        assert_eq!(line(text), expected, "{text}");
    }
}

#[test]
fn lines_of_the_text_format_may_be_spaced_and_have_milliseconds() {
    let page = "# HELP http_requests_total The \"total\".\\n\n# TYPE http_requests_total counter\n\
                http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n\n\
                # Escaping:\n  \tmsdos{path = \"C:\\\\\" , error=\"a\\nb\\\"\"}\t1.458255915e9  \n#TYPE x untyped\n\
                some {a=\"b\"} 12\nrpc{quantile=\"0.01\"} 3102 -5\n# UNIT x y\r\nlast 1";
    let expected = [
        "http_requests_total: \"The \\\"total\\\".\\n\"",
        "http_requests_total is Counter",
        "__name__=http_requests_total,method=post,code=200 1027 @1395066363000000000",
        "__name__=msdos,path=C:\\,error=a\nb\" 1458255915",
        "x is Unknown",
        "__name__=some,a=b 12",
        "9: a time that is no number, or not between 1970 and 2554",
        "__name__=last 1",
    ];
    assert_eq!(told(page, Format::Text), expected);
}

#[test]
fn a_bad_line_costs_none_of_its_neighbours() {
    let page = b"a 1\nb x\nc{\xff=\"\"} 1\nd 2 # nonsense\ne 3\n# EOF\n";
    let all: Vec<String> = Exposition::new(page, Format::OpenMetrics).map(|entry| tell(&entry)).collect();
    let expected = [
        "__name__=a 1",
        "2: a value that is no number",
        "3: bytes that are not UTF-8",
        "__name__=d 2 # no labels",
        "__name__=e 3",
    ];
    assert_eq!(all, expected);
}

#[test]
fn openmetrics_without_its_end_was_cut_short() {
    for (page, whole, expected) in [
        ("a 1\n# EOF\n", true, "__name__=a 1"),
        ("a 1\n# EOF", true, "__name__=a 1"),
        ("a 1\n", false, "__name__=a 1 | 1: no `# EOF` behind it: the page was cut short"),
        ("a 1\nb 12", false, "__name__=a 1 | 2: the page was cut short in the middle of it"),
        ("", false, "0: no `# EOF` behind it: the page was cut short"),
        ("# EOF\na 1\n", true, "2: something behind `# EOF`"),
    ] {
        let mut lines = Exposition::new(page.as_bytes(), Format::OpenMetrics);
        let all: Vec<String> = lines.by_ref().map(|entry| tell(&entry)).collect();
        assert_eq!((all.join(" | ").as_str(), lines.is_whole()), (expected, whole), "{page:?}");
    }
    let mut text = Exposition::new(b"a 1", Format::Text);
    assert_eq!((text.by_ref().count(), text.is_whole()), (1, true));
}

#[test]
fn the_content_type_says_which_format_it_is() {
    for (media, format) in [
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", Some(Format::OpenMetrics)),
        ("APPLICATION/OpenMetrics-Text", Some(Format::OpenMetrics)),
        ("text/plain; version=0.0.4", Some(Format::Text)),
        ("text/plain;version=1.0.0;escaping=allow-utf-8", Some(Format::Text)),
        ("text/html", None),
        ("", None),
    ] {
        assert_eq!(Format::of(media), format, "{media}");
    }
}

#[test]
fn bounds_are_written_in_one_way() {
    for (text, expected) in [
        ("1", Some("1.0")),
        ("0.005", Some("0.005")),
        (".5", Some("0.5")),
        ("5e-1", Some("0.5")),
        ("+inf", Some("+Inf")),
        ("100000", Some("100000.0")),
        ("1000000", Some("1e+06")),
        ("2.5e+7", Some("2.5e+07")),
        ("0.0001", Some("0.0001")),
        ("0.00001", Some("1e-05")),
        ("x", None),
    ] {
        assert_eq!(canonical_float(text).as_deref(), expected, "{text}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Labels and value, and a time; the same of an exemplar.
type Point = (Vec<(String, String)>, f64, Option<u64>);

fn rendered(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("\"{}\"=\"{}\"", escaped(name), escaped(value))).collect();
    pairs.join(",")
}

fn point() -> impl Strategy<Value = Point> {
    let name = "[^\\r\u{0}]{1,8}".prop_filter("it names the series", |name| name != "__name__");
    (vec((name, any::<String>()), 0..4), any::<f64>(), proptest::option::of(0u64..1 << 63)).prop_map(
        |(mut pairs, value, time)| {
            let mut seen = std::collections::HashSet::new();
            pairs.retain(|(name, _)| seen.insert(name.clone()));
            let value = if value.is_nan() { 0.0 } else { value };
            (pairs, value, time)
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_by_the_rules_is_read_as_it_was(
        points in vec(("[^\\r\u{0}]{1,8}", point(), proptest::option::of(point())), 0..8)
    ) {
        let time = |time: Option<u64>| time.map_or(String::new(), |time| {
            format!(" {}.{:09}", time / 1_000_000_000, time % 1_000_000_000)
        });
        let mut page = String::new();
        for (name, (pairs, value, at), exemplar) in &points {
            let labels = rendered(pairs);
            let comma = if labels.is_empty() { "" } else { "," };
            let _ = write!(page, "{{\"{}\"{comma}{labels}}} {value}{}", escaped(name), time(*at));
            if let Some((pairs, value, at)) = exemplar {
                let _ = write!(page, " # {{{}}} {value}{}", rendered(pairs), time(*at));
            }
            page.push('\n');
        }
        page.push_str("# EOF\n");
        let read: Vec<Entry<'_>> = Exposition::new(page.as_bytes(), Format::OpenMetrics).collect();
        prop_assert_eq!(read.len(), points.len(), "{}", page);
        for (entry, (name, (pairs, value, at), exemplar)) in read.iter().zip(&points) {
            let Entry::Sample(sample) = entry else { panic!("{entry:?}") };
            let labels = series_labels(sample.series).unwrap();
            let mut expected = vec![("__name__".to_owned(), name.clone())];
            expected.extend(pairs.iter().cloned());
            let labels: Vec<(String, String)> =
                labels.into_iter().map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
            prop_assert_eq!(labels, expected);
            prop_assert_eq!((sample.value, sample.time), (*value, *at));
            let found: Vec<ExemplarLine<'_>> = exemplars(sample.exemplars).map(Result::unwrap).collect();
            prop_assert_eq!(found.len(), usize::from(exemplar.is_some()));
            for (found, (pairs, value, at)) in found.iter().zip(exemplar) {
                let labels: Vec<(String, String)> =
                    found.labels.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
                prop_assert_eq!(&labels, pairs);
                prop_assert_eq!((found.value, found.time), (*value, *at));
            }
        }
    }

    #[test]
    fn any_bytes_are_a_page(bytes in vec(any::<u8>(), 0..400), open in any::<bool>()) {
        let format = if open { Format::OpenMetrics } else { Format::Text };
        Exposition::new(&bytes, format).for_each(|entry| drop(tell(&entry)));
    }

    #[test]
    fn anything_made_of_a_pages_own_signs_is_a_page(page in "[ab {}\"\\\\=,#0-9.e+\\n\\t-]{0,200}", open in any::<bool>()) {
        let format = if open { Format::OpenMetrics } else { Format::Text };
        let lines = page.split('\n').count() as u64;
        for entry in Exposition::new(page.as_bytes(), format) {
            if let Entry::Fault(LineFault { line, .. }) = entry {
                prop_assert!(line <= lines);
            }
            tell(&entry);
        }
    }
}
