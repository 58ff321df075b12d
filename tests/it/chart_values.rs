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

/// Paths of all values, down to where the schema leaves it to Kubernetes or to Trefoil what they hold.
fn leaves(values: &Value, schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    let described = schema["properties"].is_object() && !OPEN.contains(&path);
    match values.as_object().filter(|_| described) {
        Some(entries) => {
            for (key, value) in entries {
                leaves(value, &schema["properties"][key], &below(path, key), found);
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
                described(value, &below(path, key), found);
            }
        }
        None => drop(found.insert(path.to_owned())),
    }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn schema() -> Value {
    serde_json::from_str(&read("values.schema.json")).unwrap()
}

/// What `values.yaml` gives.
fn given() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    leaves(&serde_saphyr::from_str(&read("values.yaml")).unwrap(), &schema(), "", &mut found);
    found
}

#[test]
fn every_value_is_in_the_schema_and_the_schema_has_no_other() {
    let mut known = BTreeSet::new();
    described(&schema(), "", &mut known);
    // Helm's own, which every chart may be given.
    known.remove("global");
    assert_eq!(given(), known);
}

#[test]
fn every_value_is_used_by_a_template() {
    let mut templates = String::new();
    for entry in std::fs::read_dir(chart().join("templates")).unwrap() {
        templates.push_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    for path in given() {
        let (section, key) = path.rsplit_once('.').unwrap_or(("", &path));
        let section = section.rsplit('.').next().unwrap_or_default();
        // By its path; or by its name, where its section is at hand.
        let named = [format!(".{path}"), format!("{section}.{key}"), format!("$monitor.{key}")];
        let used = named.iter().any(|name| templates.contains(name))
            || (templates.contains(&format!(" .{key}")) && templates.contains(section))
            || (section == "serviceAccounts" && templates.contains(".Values.serviceAccounts (index . 1)"));
        assert!(used, "{path}");
    }
}
