use std::sync::Arc;

use parsers::record::Labels;

use super::*;
use crate::logql::Entry;

fn fields(lines: &[&str]) -> BTreeMap<String, LogField> {
    let entry = |line: &&str| Entry {
        time: 1,
        line: line.as_bytes().to_vec(),
        structured: vec![("trace_id".to_owned(), "abc".to_owned())],
        parsed: Vec::new(),
    };
    let labels = Arc::new(Labels::new([("app", "shop")]));
    detect(&[Stream { labels, entries: lines.iter().map(entry).collect() }])
}

#[test]
fn fields_are_found_with_their_kinds_parsers_and_places() {
    let found = fields(&[
        r#"{"status":200,"took":"1.5s","http":{"user-agent":"x y","size":"12KB"},"app":"other","list":[1]}"#,
        r#"level=info took=20ms ratio=0.5 msg="it \"works\"" broken"#,
        "no fields = here",
    ]);
    let told: Vec<_> = found
        .iter()
        .map(|(name, field)| {
            let parsers: Vec<_> = field.parsers.iter().copied().collect();
            (name.as_str(), field.kind, parsers.join(","), field.path.join("/"))
        })
        .collect();
    let told: Vec<_> = told.iter().map(|(a, b, c, d)| (*a, *b, c.as_str(), d.as_str())).collect();
    assert_eq!(
        told,
        [
            ("app_extracted", "string", "json", "app"),
            ("http_size", "bytes", "json", "http/size"),
            ("http_user_agent", "string", "json", "http/user-agent"),
            ("level", "string", "logfmt", ""),
            ("msg", "string", "logfmt", ""),
            ("ratio", "float", "logfmt", ""),
            ("status", "int", "json", "status"),
            ("took", "duration", "json,logfmt", "took"),
            ("trace_id", "string", "", ""),
        ]
    );
    assert_eq!(found["msg"].values.first().unwrap(), r#"it "works""#);
}

#[test]
fn made_up_keys_do_not_fill_the_answer() {
    let lines: Vec<String> = (0..MAX_FIELDS * 2).map(|n| format!("k{n}=1 same={n}")).collect();
    let found = fields(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(found.len(), MAX_FIELDS);
    assert_eq!(found["same"].values.len(), MAX_VALUES);
}

/// As many as `| json` would give.
#[test]
fn keys_of_one_name_are_one_field_of_a_line() {
    let found = fields(&[r#"{"a-b":1,"a b":2,"nested":{"x y":"z"},"trace_id":"other"}"#]);
    assert_eq!(found["a_b"].values.iter().collect::<Vec<_>>(), ["2"]);
    assert_eq!(found["nested_x_y"].path, ["nested", "x y"]);
    // Metadata of the name keeps it.
    assert!(found["trace_id"].parsers.is_empty());
    assert!(found["trace_id_extracted"].parsers.contains("json"));
}

#[test]
fn what_went_wrong_with_a_line_is_no_field() {
    let parsed = [("__error__", "JSONParserErr"), ("__error_details__", "no object"), ("pod", "p-1")];
    let entry = Entry {
        time: 1,
        line: b"plain".to_vec(),
        structured: Vec::new(),
        parsed: parsed.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
    };
    let found = detect(&[Stream { labels: Arc::default(), entries: vec![entry] }]);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["pod"]);
}
