//! Where there is hardly anything to analyse: an answer has its reason, and every number in it is one.

use std::sync::Arc;

use axum::http::StatusCode;
use parsers::record::{SpanId, Value as Attribute};
use serde_json::Value;

use crate::fakes::{self, Memory, Nothing, span};

/// Keys that hold nothing where there is nothing to hold, or nothing was asked for.
const MAY_BE_NULL: [&str; 6] = ["reason", "baseline", "significance", "overall", "operation", "presence"];

/// As many carts as there are entries, each with so many versions' statement of so many ms; 1 s apart.
fn carts(versions: &[u8], times: &[u64]) -> Memory {
    let mut spans = Vec::new();
    for ((number, version), took) in (1..).zip(versions).zip(times) {
        let (trace, start, took) = (format!("{number:032x}"), number * 1_000_000_000, took * 1_000_000);
        let (root, below) = (format!("{:016x}", number * 2), format!("{:016x}", number * 2 + 1));
        let cart = span(&trace, &root, "frontend", "GET /cart", start, start + took);
        let mut statement = span(&trace, &below, "db", "SELECT", start, start + took);
        statement.parent_span_id = SpanId::from_hex(root.as_bytes()).ok();
        statement.attributes.push(("service.version".to_owned(), Attribute::Str(format!("1.{version}"))));
        spans.extend([cart, statement]);
    }
    Memory { spans, ..Memory::default() }
}

/// Places of nulls and of texts of numbers that are none, but for the keys that may be null.
fn odd(place: &str, body: &Value, found: &mut Vec<String>) {
    match body {
        Value::Null => {
            let key = place.rsplit('.').next().unwrap_or_default();
            if !MAY_BE_NULL.contains(&key) {
                found.push(place.to_owned());
            }
        }
        Value::String(text) if ["NaN", "inf", "-inf", "-0"].contains(&text.as_str()) => {
            found.push(format!("{place}: {text}"));
        }
        Value::Array(list) => list.iter().for_each(|one| odd(place, one, found)),
        Value::Object(keys) => keys.iter().for_each(|(key, one)| odd(&format!("{place}.{key}"), one, found)),
        _ => {}
    }
}

/// Answers of all analyses over a window of so many seconds.
fn answers(memory: &dyn Fn() -> Memory, seconds: u64) -> Vec<(&'static str, Value)> {
    let cart = "%7B%20name%20%3D%20%22GET%20%2Fcart%22%20%7D";
    let statement = "%7B%20name%20%3D%20%22SELECT%22%20%7D";
    let questions = [
        ("contributors", "variance?service=frontend".to_owned()),
        ("compared", "versions?service=db".to_owned()),
        ("findings", format!("compare?a={cart}&b={statement}")),
        ("findings", format!("compare?a={cart}")),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ask = |(list, question): (&'static str, String)| {
        let state = fakes::state(Arc::new(memory()), Arc::new(Nothing));
        let path = format!("/api/v1/analysis/{question}&start=1&end={}", 1 + seconds);
        let (status, body) = runtime.block_on(fakes::ask(state, &path, &[]));
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        (list, serde_json::from_str(&body).unwrap())
    };
    questions.into_iter().map(ask).collect()
}

#[test]
fn whatever_little_there_is_every_number_is_one_and_an_empty_list_has_its_reason() {
    // By turns as many versions, and the same, no or ever other times.
    for (count, seconds) in (0..14).flat_map(|count| [(count, 1), (count, 20)]) {
        for kinds in 1..4u8 {
            let versions: Vec<u8> = (0..count).map(|number| number % kinds).collect();
            for spread in [0, 1, 37] {
                let times: Vec<u64> = (0..u64::from(count)).map(|number| number * spread % 90).collect();
                for (list, body) in answers(&|| carts(&versions, &times), seconds) {
                    check(list, &body);
                }
            }
        }
    }
}

fn check(list: &str, body: &Value) {
    let mut found = Vec::new();
    odd("", body, &mut found);
    assert!(found.is_empty(), "{found:?} in {body}");
    if body[list].as_array().is_some_and(Vec::is_empty) {
        assert!(body["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{body}");
    }
    for one in body["compared"].as_array().into_iter().flatten() {
        let said = one["reason"].as_str().is_some();
        assert_eq!(one["findings"].as_array().is_some_and(Vec::is_empty), said, "{one}");
    }
    let shares = |list: &str| {
        let all = body[list].as_array().filter(|all| !all.is_empty())?;
        all.iter().map(|one| one["share"].as_f64()).sum::<Option<f64>>()
    };
    if let Some(all) = shares("versions") {
        assert!((all - 1.0).abs() < 1e-9, "{body}");
    }
    if let Some(all) = shares("contributors") {
        let rest = body["others"]["share"].as_f64().unwrap();
        assert!((all + rest - 1.0).abs() < 1e-6, "{body}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let reason = |versions: &[u8], seconds, list: usize| {
        let times = vec![5; versions.len()];
        let body = answers(&|| carts(versions, &times), seconds).swap_remove(list).1;
        (body["reason"].as_str().unwrap_or_default().to_owned(), body["absent"].clone())
    };
    for (list, said) in [(0, "no trace"), (1, "no trace"), (2, "a has 0 traces"), (3, "a has 0 traces")] {
        let (told, absent) = reason(&[], 9, list);
        assert!(told.contains(said), "{told}");
        let hint = absent[0]["hint"].as_str().unwrap_or_default();
        assert!(absent[0]["signal"] == "spans" && !hint.is_empty(), "{absent}");
    }
    assert!(reason(&[1], 9, 0).0.contains("only one trace"));
    assert!(reason(&[1], 9, 1).0.contains("all calls are of 1.1"));
    assert!(reason(&[1], 9, 2).0.contains("nothing can be told from chance"));
    assert!(reason(&[1; 9], 20, 1).0.contains("all calls are of 1.1"));
    assert!(reason(&[1; 9], 20, 0).0.contains("take the same time"));
}
