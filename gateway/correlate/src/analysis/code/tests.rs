use std::sync::Arc;

use parsers::record::{Labels, LogRecord, Severity};
use proptest::prelude::*;

use super::*;

fn found(line: &str) -> Option<String> {
    in_text(line.as_bytes()).map(|place| place.to_string())
}

#[test]
fn places_are_found_where_loggers_write_them() {
    let cases = [
        ("I0102 15:04:05.000000       1 reflector.go:219] Listing", "reflector.go:219"),
        ("2025-10-09T08:53:20Z [db/query.go:42] slow query", "db/query.go:42"),
        (r#"{"level":"warn","caller":"cache/lru.go:88","msg":"evict"}"#, "cache/lru.go:88"),
        ("at com.shop.Cart.add(Cart.java:117)", "Cart.java:117"),
        ("src/main.rs:10:5 panicked", "src/main.rs:10"),
    ];
    for (line, expected) in cases {
        assert_eq!(found(line).as_deref(), Some(expected), "{line}");
    }
    for line in ["GET http://shop.io:8080/ 12:30:01", "10.0.0.1:53", "", "a.b:1", "time=12:00:01.py"] {
        assert_eq!(found(line), None, "{line}");
    }
}

#[test]
fn attributes_in_old_and_new_names_give_one_place() {
    let mut old = CodeAttributes::default();
    for (name, value) in [
        ("code.filepath", "db.py"),
        ("code.lineno", "7"),
        ("code.namespace", "shop.db"),
        ("code.function", "get"),
    ] {
        old.take(name, value);
    }
    let mut new = CodeAttributes::default();
    for (name, value) in
        [("code.file.path", "db.py"), ("code.line.number", "7"), ("code.function.name", "shop.db.get")]
    {
        new.take(name, value);
    }
    let place = old.place().unwrap();
    assert_eq!(Some(&place), new.place().as_ref());
    assert_eq!(CodePlace::read(&place.to_string()), place);
    assert_eq!(CodeAttributes::default().place(), None);
}

#[test]
fn metadata_goes_before_the_text() {
    let metadata = |pairs: &[(&str, &str)]| LogRecord {
        time: 1,
        observed: 1,
        labels: Arc::new(Labels::default()),
        metadata: pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        trace_id: None,
        span_id: None,
        severity: Severity::Info,
        line: b"seen at other.go:1".to_vec(),
        source: None,
        rule: None,
    };
    let of = |pairs: &[(&str, &str)]| of_line(&(&metadata(pairs)).into()).map(|place| place.to_string());
    assert_eq!(of(&[("caller", "a/b.go:9")]).as_deref(), Some("a/b.go:9"));
    assert_eq!(of(&[("file", "b.py"), ("lineno", "3"), ("func", "f")]).as_deref(), Some("b.py:3\u{1f}f"));
    assert_eq!(of(&[("source", "stdout")]).as_deref(), Some("other.go:1"));
}

proptest! {
    #[test]
    fn any_bytes_are_looked_at_without_harm(line in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = in_text(&line);
        let _ = CodePlace::read(&String::from_utf8_lossy(&line));
    }
}
