//! Answers cut to what a model can read: lists shorter, texts shorter, until all fits, with a note of what was cut.

use serde_json::{Map, Value, json};

/// Bytes of an answer: some ten thousand tokens.
pub(super) const MAX_ANSWER: usize = 40_000;
/// Of these, for the note that says what was cut.
const NOTE: usize = 2_000;
/// Bytes of a text, from the first try to the last, and the entries that a list must keep there for the try to do.
const TRIES: [(usize, usize); 4] = [(4_000, 10), (1_000, 10), (300, 5), (120, 1)];
/// Entries of a list at most.
const MAX_ENTRIES: usize = 1_000;
/// Lists that are told to be cut, at most.
const MAX_NOTES: usize = 20;

/// How many entries each list of the first level may have so that the answer fits; `None` if shorter lists do not help.
pub(super) fn fitting(body: &[u8]) -> Option<usize> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let lists: Vec<Vec<usize>> = value
        .as_object()?
        .values()
        .filter_map(Value::as_array)
        .map(|list| list.iter().map(|entry| entry.to_string().len() + 1).collect())
        .collect();
    let all: usize = lists.iter().flatten().sum();
    let besides = body.len().saturating_sub(all);
    let size =
        |entries: usize| besides + lists.iter().flat_map(|list| list.iter().take(entries)).sum::<usize>();
    let longest = lists.iter().map(Vec::len).max()?;
    most(longest, |entries| size(entries) <= MAX_ANSWER - NOTE)
}

/// The most of `1..=limit` that does; whoever is less than one that does, does too.
fn most(limit: usize, does: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut least, mut beyond) = (0, limit + 1);
    while least + 1 < beyond {
        let middle = least.midpoint(beyond);
        if does(middle) { least = middle } else { beyond = middle }
    }
    (least > 0).then_some(least)
}

/// An answer that was asked for with fewer entries than the question names, for all of it is too long.
pub(super) fn shortened(body: &[u8], limit: usize, narrower: &str) -> String {
    let answer = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let cut = format!(
        "asked with `limit` {limit}, for more is too long: go on by `next` where it is told, or {narrower}"
    );
    json!({ "answer": answer, "note": { "cut": cut } }).to_string()
}

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
    for (bytes, least) in TRIES {
        let text = |entries| cut_to(&value, entries, bytes, narrower);
        if let Some(entries) = most(MAX_ENTRIES, |entries| text(entries).len() <= MAX_ANSWER)
            && entries >= least
        {
            return text(entries);
        }
    }
    let keys: Vec<&str> =
        value.as_object().map(|o| o.keys().map(String::as_str).collect()).unwrap_or_default();
    let cut = format!("even the shortest form is too long: {narrower}");
    json!({ "note": { "cut": cut, "keys": keys } }).to_string()
}

/// What was cut.
#[derive(Default)]
struct Cuts {
    /// How many entries lists have, by their paths; of several lists of one path the longest.
    lists: Map<String, Value>,
    texts: u64,
}

fn cut_to(value: &Value, entries: usize, bytes: usize, narrower: &str) -> String {
    let mut cuts = Cuts::default();
    let mut answer = cut(value, entries, bytes, "", &mut cuts);
    let whole = |name: &String| !cuts.lists.contains_key(name);
    // Whoever went on from there would miss what is cut.
    if let Some(answer) = answer.as_object_mut()
        && !answer.keys().all(whole)
    {
        answer.remove("next");
    }
    let mut what = Vec::new();
    if !cuts.lists.is_empty() {
        what.push("lists show their first entries only".to_owned());
    }
    if cuts.texts > 0 {
        what.push(format!("{} texts show their first {bytes} bytes only", cuts.texts));
    }
    let mut note = json!({ "cut": format!("{}; {narrower}", what.join(", ")) });
    if !cuts.lists.is_empty() {
        note["entries_of_lists"] = Value::Object(cuts.lists);
    }
    json!({ "answer": answer, "note": note }).to_string()
}

fn cut(value: &Value, entries: usize, bytes: usize, path: &str, cuts: &mut Cuts) -> Value {
    match value {
        Value::String(text) if text.len() > bytes => {
            cuts.texts += 1;
            format!("{}…", text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()).into()
        }
        Value::Array(list) => {
            let known = cuts.lists.get(path).and_then(Value::as_u64);
            let is_told = known.map_or(cuts.lists.len() < MAX_NOTES, |known| known < list.len() as u64);
            if list.len() > entries && is_told {
                cuts.lists.insert(path.to_owned(), json!(list.len()));
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
