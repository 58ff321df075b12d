use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use parsers::record::{Labels, LogRecord, Severity, TraceId};
use proptest::prelude::*;
use store::read::{Direction, LogRead, LogSelect, Matcher, ReadError, ScanReport, Window};

use super::{Data, Limits, RangeParams, evaluate_instant, evaluate_range, parse};

const SECOND: u64 = 1_000_000_000;
const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

struct Lines(Vec<LogRecord>);

impl LogRead for Lines {
    fn scan_logs(
        &self,
        select: &LogSelect,
        visit: &mut dyn FnMut(LogRecord) -> ControlFlow<()>,
    ) -> Result<ScanReport, ReadError> {
        let mut found: Vec<LogRecord> = self
            .0
            .iter()
            .filter(|r| {
                select.window.contains(r.time) && select.matchers.iter().all(|m| m.matches(&r.labels))
            })
            .cloned()
            .collect();
        if select.direction == Direction::Backward {
            found.reverse();
        }
        let _ = found.into_iter().try_for_each(visit);
        Ok(ScanReport::default())
    }
    fn streams(&self, _: &[Matcher], _: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        Ok(Vec::new())
    }
}

/// One line a second from two services; every third names the trace.
fn lines() -> Lines {
    let line = |n: u64| LogRecord {
        time: n * SECOND,
        observed: n * SECOND,
        labels: Arc::new(Labels::new([("service_name", if n.is_multiple_of(2) { "cart" } else { "pay" })])),
        metadata: vec![("thread".to_owned(), format!("t{}", n % 4))],
        trace_id: n.is_multiple_of(3).then(|| TraceId::from_hex(ID.as_bytes()).unwrap()),
        span_id: None,
        severity: if n.is_multiple_of(5) { Severity::Error } else { Severity::Info },
        line: format!("level=info n={n} took={n}ms path=/a").into_bytes(),
        source: None,
        rule: None,
    };
    Lines((1..=30).map(line).collect())
}

/// How many lines a query finds in all.
fn count(query: &str) -> usize {
    let params = RangeParams {
        start: 0,
        end: 100 * SECOND,
        step: Duration::from_secs(10),
        limit: 1000,
        direction: Direction::Backward,
    };
    match evaluate_range(&parse(query).unwrap(), &lines(), &params, &Limits::default()).unwrap().data {
        Data::Streams(streams) => streams.iter().map(|stream| stream.entries.len()).sum(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn filters_find_what_they_say() {
    for (query, expected) in [
        ("{}", 30),
        (r#"{service_name="cart"}"#, 15),
        (r#"{service_name=~"c.*|p"}"#, 15),
        (r#"{service_name!="cart",}"#, 15),
        (r#"{service_name="cart"} |= "n=2 ""#, 1),
        (r#"{} |= "n=2 " or "n=3 ""#, 2),
        (r"{} |~ `n=\d ` != `n=7`", 8),
        (&format!(r#"{{}} | trace_id="{ID}""#), 10),
        (&format!(r#"{{}} | trace_id="{}""#, ID.to_uppercase()), 10),
        (r#"{} | detected_level="error""#, 6),
        (r"{} | logfmt | n > 20", 10),
        (r"{} | logfmt | took >= 0.03s", 1),
        (r#"{} | thread="t1" or thread="t2""#, 16),
        (r#"{} | logfmt | drop n | n = """#, 30),
        (
            &format!(
                r#"{{}} | label_format hit=`{{{{ contains "n=4 " __line__ }}}}` | hit="true" OR trace_id="{ID}""#
            ),
            11,
        ),
    ] {
        assert_eq!(count(query), expected, "{query}");
    }
}

fn instant(query: &str) -> Vec<(String, f64)> {
    let outcome = evaluate_instant(
        &parse(query).unwrap(),
        &lines(),
        30 * SECOND,
        100,
        Direction::Backward,
        &Limits::default(),
    );
    match outcome.unwrap().data {
        Data::Vector(values) => values
            .into_iter()
            .map(|(labels, sample)| {
                let labels: Vec<String> =
                    labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
                (labels.join(","), sample.value)
            })
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn counts_are_grouped() {
    assert_eq!(instant("vector(1)+vector(1)"), [(String::new(), 2.0)]);
    assert_eq!(instant("sum(count_over_time({}[10s]))"), [(String::new(), 10.0)]);
    assert_eq!(
        instant("sum by (detected_level) (count_over_time({} | drop __error__[30s]))"),
        [("detected_level=error".to_owned(), 6.0), ("detected_level=info".to_owned(), 24.0)]
    );
    assert_eq!(
        instant("max(rate({}[10s])) by (service_name)"),
        [("service_name=cart".to_owned(), 0.5), ("service_name=pay".to_owned(), 0.5)]
    );
    assert_eq!(instant("sum(count_over_time({}[10s] offset 10s)) * 2"), [(String::new(), 20.0)]);
}

#[test]
fn an_error_names_the_column_and_what_was_expected() {
    for (query, message) in [
        (r#"{a="b""#, "parse error at column 7: expected `,` or `}`, found the end"),
        (r#"{a="b"} | nope"#, "parse error at column 11: the stage `nope` is not supported"),
        ("quantile(1)", "parse error at column 1: `quantile` is not supported"),
        (r#"{a=~"("}"#, "parse error at column 5: the regular expression"),
    ] {
        let error = parse(query).unwrap_err().to_string();
        assert!(error.starts_with(message), "{query}: {error}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}", pieces in "[{}()|=!~\"`a-z0-9,.\\[\\] ]{0,200}") {
        let _ = parse(&text);
        let _ = parse(&pieces);
    }
}
