//! Promise: each value of the chart does something, and is checked before anything is installed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Sections that are not the chart's own business: what is below them goes into a file or an object as it is.
const OPEN: [&str; 2] = ["gateway.config", "agent.config"];

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../k8s/chart")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(chart().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Paths of all values that are no sections.
fn leaves(values: &Value, path: &str, found: &mut BTreeSet<String>) {
    match values.as_object().filter(|entries| !entries.is_empty() && !OPEN.contains(&path)) {
        Some(entries) => {
            for (key, value) in entries {
                let dot = if path.is_empty() { "" } else { "." };
                leaves(value, &format!("{path}{dot}{key}"), found);
            }
        }
        None => drop(found.insert(path.to_owned())),
    }
}

/// The same of what the schema knows.
fn described(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    match schema["properties"].as_object().filter(|_| !OPEN.contains(&path)) {
        Some(properties) => {
            assert_eq!(schema["additionalProperties"], false, "{path}: a misspelt key would be passed over");
            for (key, value) in properties {
                let dot = if path.is_empty() { "" } else { "." };
                described(value, &format!("{path}{dot}{key}"), found);
            }
        }
        None => drop(found.insert(path.to_owned())),
    }
}

fn values() -> Value {
    serde_saphyr::from_str(&read("values.yaml")).unwrap()
}

#[test]
fn every_value_is_in_the_schema_and_the_schema_has_no_other() {
    let (mut given, mut known) = (BTreeSet::new(), BTreeSet::new());
    leaves(&values(), "", &mut given);
    described(&serde_json::from_str(&read("values.schema.json")).unwrap(), "", &mut known);
    // Helm's own, which every chart may be given.
    known.remove("global");
    assert_eq!(given, known);
}

#[test]
fn every_value_is_used_by_a_template() {
    let mut given = BTreeSet::new();
    leaves(&values(), "", &mut given);
    let mut templates = String::new();
    for entry in std::fs::read_dir(chart().join("templates")).unwrap() {
        templates.push_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    for path in given {
        let mut parts = path.rsplit('.');
        let (key, section) = (parts.next().unwrap(), parts.next());
        // By its path, or by its name where its section is at hand.
        let used = templates.contains(&format!(".{path}"))
            || section.is_some_and(|section| templates.contains(&format!("{section}.{key}")))
            || (templates.contains(&format!(" .{key}")) && section.is_some_and(|s| templates.contains(s)))
            || templates.contains(&format!("$monitor.{key}"))
            || (section == Some("serviceAccounts")
                && templates.contains(".Values.serviceAccounts (index . 1)"));
        assert!(used, "{path}");
    }
}
