//! Answers cut to what a model can read: lists shorter, texts shorter, until all fits, with a note of what was cut.

use serde_json::{Map, Value, json};

/// Bytes of an answer: some ten thousand tokens.
const MAX_ANSWER: usize = 40_000;
/// Entries of a list and bytes of a text, from the first try to the last.
const TRIES: [(usize, usize); 6] = [(200, 4_000), (50, 2_000), (20, 1_000), (10, 500), (5, 300), (2, 120)];

/// The answer within the bound; `narrower` says how it is asked for less. JSON stays JSON.
pub(super) fn bounded(body: &[u8], narrower: &str) -> String {
    if body.len() <= MAX_ANSWER {
        return String::from_utf8_lossy(body).into_owned();
    }
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        let text = String::from_utf8_lossy(body);
        let head = text.get(..text.floor_char_boundary(MAX_ANSWER)).unwrap_or_default();
        return format!("{head}\n[cut: the first {MAX_ANSWER} of {} bytes]", text.len());
    };
    for (entries, bytes) in TRIES {
        let mut cuts = Map::new();
        let cut = cut(&value, entries, bytes, "", &mut cuts);
        let note = json!({
            "cut": format!("lists show their first entries only; {narrower}"),
            "entries_of_lists": cuts,
        });
        let text = json!({ "answer": cut, "note": note }).to_string();
        if text.len() <= MAX_ANSWER {
            return text;
        }
    }
    let keys: Vec<&str> =
        value.as_object().map(|o| o.keys().map(String::as_str).collect()).unwrap_or_default();
    let cut = format!("even the shortest form is too long: {narrower}");
    json!({ "note": { "cut": cut, "keys": keys } }).to_string()
}

/// Lists that are told to be cut, at most.
const MAX_NOTES: usize = 20;

fn cut(value: &Value, entries: usize, bytes: usize, path: &str, cuts: &mut Map<String, Value>) -> Value {
    match value {
        Value::String(text) if text.len() > bytes => {
            format!("{}…", text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()).into()
        }
        Value::Array(list) => {
            if list.len() > entries && cuts.len() < MAX_NOTES {
                cuts.insert(path.to_owned(), json!(list.len()));
            }
            let inner = format!("{path}[]");
            list.iter().take(entries).map(|value| cut(value, entries, bytes, &inner, cuts)).collect()
        }
        Value::Object(map) => {
            let pairs = map.iter().map(|(key, value)| {
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                (key.clone(), cut(value, entries, bytes, &inner, cuts))
            });
            Value::Object(pairs.collect())
        }
        other => other.clone(),
    }
}
