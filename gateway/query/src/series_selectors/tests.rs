use proptest::prelude::*;

use super::selectors;

fn texts(expression: &str) -> Vec<String> {
    selectors(expression)
        .unwrap_or_else(|error| panic!("{expression}: {error}"))
        .into_iter()
        .map(|s| s.text)
        .collect()
}

#[test]
fn selectors_are_found_wherever_they_stand() {
    for (expression, expected) in [
        ("test", vec![r#"{__name__="test"}"#]),
        ("1+1", vec![]),
        ("time() - inf + NaN", vec![]),
        (r#"up{job="a",}"#, vec![r#"{__name__="up",job="a"}"#]),
        (r#"{ __name__ =~ 'a|b' , x!="1" }"#, vec![r#"{__name__=~"a|b",x!="1"}"#]),
        (r#"{"http.requests", "http.status"="x"}"#, vec![r#"{__name__="http.requests","http.status"="x"}"#]),
        (
            "histogram_quantile(.9, sum(rate(traces_spanmetrics_latency_bucket{span_name=~\"x\"}[5m])) by (le))",
            vec![r#"{__name__="traces_spanmetrics_latency_bucket",span_name=~"x"}"#],
        ),
        ("sum by (le, job) (rate(a_bucket[1m:5s] offset 5m))", vec![r#"{__name__="a_bucket"}"#]),
        ("SUM WITHOUT (le) (a)", vec![r#"{__name__="a"}"#]),
        ("a * on(x) group_left b", vec![r#"{__name__="a"}"#, r#"{__name__="b"}"#]),
        (
            "a OR b and c unless d",
            vec![r#"{__name__="a"}"#, r#"{__name__="b"}"#, r#"{__name__="c"}"#, r#"{__name__="d"}"#],
        ),
        ("a @ start() + a @ 1.5e3 > bool 0x1f", vec![r#"{__name__="a"}"#, r#"{__name__="a"}"#]),
        ("label_replace(up, 'a', \"$1\", `b{}`, '(.*)')", vec![r#"{__name__="up"}"#]),
        ("job:requests:rate5m # and {this=\n/ -2^.5", vec![r#"{__name__="job:requests:rate5m"}"#]),
        ("by{on=\"1\"}", vec![r#"{__name__="by",on="1"}"#]),
        (r#"a{b="\x41\u00e9\"\\\101"}"#, vec![r#"{__name__="a",b="Aé\"\\A"}"#]),
        ("", vec![]),
    ] {
        assert_eq!(texts(expression), expected, "{expression}");
        for text in texts(expression) {
            assert_eq!(texts(&text), [text.as_str()], "what is written is read again");
        }
    }
}

#[test]
fn a_selector_selects() {
    use parsers::record::Labels;
    let selector = &selectors(r#"a_bucket{job=~"x|y",le!="1",gone=""}"#).unwrap()[0];
    for (labels, expected) in [
        (vec![("__name__", "a_bucket"), ("job", "x")], true),
        (vec![("__name__", "a_bucket"), ("job", "xy")], false),
        (vec![("__name__", "a_bucket"), ("job", "y"), ("le", "1")], false),
        (vec![("__name__", "b"), ("job", "x")], false),
    ] {
        let set = Labels::new(labels.clone());
        assert_eq!(selector.matchers.iter().all(|m| m.matches(&set)), expected, "{labels:?}");
    }
}

#[test]
fn what_cannot_be_read_names_its_column() {
    for (expression, words) in [
        ("up{", "column 4: expected a label, or }, found the end"),
        ("up{a}", "column 5: expected =, !=, =~ or !~"),
        ("up{a=b}", "expected a text in quotes"),
        ("up{a='b}", "column 6: a text without its closing quote"),
        ("up{a=~'('}", "is no regular expression"),
        ("up[5m", "found the end"),
        (r#"up{a="\q"}"#, r"\q is no escape"),
    ] {
        let error = selectors(expression).unwrap_err().to_string();
        assert!(error.contains(words), "{expression}: {error}");
    }
    assert!(selectors(&"a+".repeat(200)).unwrap_err().to_string().contains("more than 100 places"));
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "[a-z(){}\\[\\]=~!\"'`\\\\#,.0-9 é]{0,80}") {
        let _ = selectors(&text);
    }
}

#[test]
fn no_text_is_too_deep() {
    assert_eq!(selectors(&"(".repeat(1 << 20)).unwrap().len(), 0);
}
