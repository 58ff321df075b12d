//! House rules that no compiler checks: which crate may know which, that modules say what they are, and what may not be in
//! the repository.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Which of our crates each crate may depend on. Data flows down this list; only the binary and the tests know all.
const LAYERS: [(&str, &[&str]); 11] = [
    ("parsers", &[]),
    ("peers", &[]),
    ("kubernetes", &["parsers"]),
    ("store", &["parsers"]),
    ("tail", &["parsers"]),
    ("receive", &["parsers", "peers", "kubernetes"]),
    ("query", &["parsers", "store"]),
    ("upstream", &["parsers", "peers", "store"]),
    ("correlate", &["parsers", "store", "query"]),
    ("dashboards", &[]),
    ("serve", &["parsers", "store", "query", "correlate", "dashboards"]),
];

/// Crates that bring a protocol's wire types or a server; what lies between the front-ends stays free of them.
const WIRE: [&str; 7] = ["axum", "hyper", "opentelemetry-proto", "prost", "reqwest", "tonic", "utoipa"];
const WIRELESS: [&str; 6] = ["parsers", "store", "tail", "query", "correlate", "dashboards"];

/// A file past this asks to be two.
const MAX_LINES: usize = 500;

/// Names that say nothing about what a module does.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "common", "helpers", "types", "manager", "misc"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All files of the project with their paths from its root; build output, virtual environments and hidden folders of tools
/// are none of it.
fn files() -> Vec<(String, PathBuf)> {
    fn walk(folder: &Path, root: &Path, found: &mut Vec<(String, PathBuf)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !matches!(name.as_str(), "target" | ".venv" | ".git" | "__pycache__" | "node_modules") {
                    walk(&path, root, found);
                }
            } else {
                found.push((path.strip_prefix(root).unwrap().display().to_string(), path));
            }
        }
    }
    let root = root();
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    found.sort();
    found
}

fn rust_files() -> Vec<(String, String)> {
    files()
        .into_iter()
        .filter(|(_, path)| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|(name, path)| (name, std::fs::read_to_string(path).unwrap()))
        .collect()
}

fn is_test(name: &str) -> bool {
    name.starts_with("tests/") || name.ends_with("/tests.rs") || name.contains("/tests/")
}

fn assert_none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}\n  {}", broken.join("\n  "));
}

/// `cargo metadata` of the workspace's own packages.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// Names of a package's dependencies, with those for tests only or without.
fn dependencies(package: &Value, with_dev: bool) -> BTreeSet<String> {
    package["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|dependency| with_dev || dependency["kind"] != "dev")
        .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn crates_know_only_the_layers_that_they_may() {
    let packages = packages();
    let ours: BTreeSet<&str> = packages.iter().map(|p| p["name"].as_str().unwrap()).collect();
    let mut broken = Vec::new();
    for package in &packages {
        let name = package["name"].as_str().unwrap();
        if matches!(name, "gateway" | "tests") {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == name) else {
            broken.push(format!("{name} has no place in the list of layers"));
            continue;
        };
        for dependency in dependencies(package, true) {
            if ours.contains(dependency.as_str()) && !allowed.contains(&dependency.as_str()) {
                broken.push(format!("{name} knows {dependency}, allowed: {allowed:?}"));
            }
        }
    }
    assert_none("a crate knows a layer that it must not", &broken);
}

#[test]
fn wire_types_stay_in_the_front_ends() {
    let mut broken = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        for dependency in dependencies(&package, false) {
            if WIRELESS.contains(&name) && WIRE.contains(&dependency.as_str()) {
                broken.push(format!("{name} depends on {dependency}"));
            }
        }
    }
    assert_none("protocols belong in receive, upstream and serve", &broken);
}

/// What a package's library is called in source code.
fn library(package: &str) -> String {
    match package {
        "md-5" => "md5".to_owned(),
        _ => package.replace('-', "_"),
    }
}

#[test]
fn every_declared_dependency_is_used() {
    let sources = rust_files();
    let mut broken = Vec::new();
    for package in packages() {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap()).to_owned();
        let folder = manifest.parent().unwrap().strip_prefix(root()).unwrap().display().to_string();
        // The other crates under gateway/ are packages of their own.
        let sources_below =
            if folder == "gateway" { "gateway/src/".to_owned() } else { format!("{folder}/") };
        let text: String = sources
            .iter()
            .filter(|(name, _)| name.starts_with(&sources_below))
            .map(|(_, text)| text.as_str())
            .collect();
        for dependency in dependencies(&package, true) {
            let name = library(&dependency);
            let path = format!("{name}::");
            let used = text.match_indices(&path).any(|(at, _)| {
                !text[..at]
                    .ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':')
            });
            let in_use = [";", " as ", "::"].iter().any(|end| text.contains(&format!("use {name}{end}")));
            if !used && !in_use {
                broken.push(format!("{folder}/Cargo.toml: {dependency}"));
            }
        }
    }
    assert_none("declared but used nowhere", &broken);
}

#[test]
fn every_module_says_what_lives_in_it() {
    let broken: Vec<String> = rust_files()
        .into_iter()
        // The tests beside a module are said by it.
        .filter(|(name, _)| !name.ends_with("/tests.rs"))
        .filter(|(_, text)| !text.starts_with("//! ") || text.starts_with("//! stub"))
        .map(|(name, _)| name)
        .collect();
    assert_none("the first line is a module comment, `//! `", &broken);
}

#[test]
fn files_stay_small_enough_to_be_one_thing() {
    let broken: Vec<String> = rust_files()
        .into_iter()
        .filter(|(name, _)| !is_test(name) && !name.contains("generated"))
        .map(|(name, text)| (name, text.lines().count()))
        .filter(|&(_, lines)| lines > MAX_LINES)
        .map(|(name, lines)| format!("{name}: {lines} lines, at most {MAX_LINES}"))
        .collect();
    assert_none("a long file asks to be two", &broken);
}

#[test]
fn module_names_say_what_the_module_is() {
    let broken: Vec<String> = rust_files()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| name.trim_end_matches(".rs").split('/').any(|part| EMPTY_NAMES.contains(&part)))
        .collect();
    assert_none("a name in the field's own words", &broken);
}

#[test]
fn nothing_is_left_for_later() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("HA", "CK"),
        concat!("unimple", "mented!"),
        concat!("to", "do!"),
    ];
    let mut broken = Vec::new();
    for (name, text) in rust_files() {
        for (number, line) in text.lines().enumerate() {
            let words = || line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '!'));
            if marks.iter().any(|mark| words().any(|word| word == *mark)) {
                broken.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert_none("unfinished marks", &broken);
}

#[test]
fn tests_neither_sleep_nor_hide() {
    let marks = [concat!("sle", "ep("), concat!("#[ign", "ore")];
    let mut broken = Vec::new();
    for (name, text) in rust_files().into_iter().filter(|(name, _)| is_test(name)) {
        for (number, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                broken.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert_none("wait for the event instead; run every test", &broken);
}

#[test]
fn no_path_of_somebodys_machine_is_in_the_repository() {
    let marks = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Use", "rs/"), concat!("/wo", "rk/")];
    let mut broken = Vec::new();
    for (name, path) in files() {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for (number, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                broken.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert_none("a path that exists on one machine only", &broken);
}

#[test]
fn the_top_level_is_the_one_that_the_readme_maps() {
    let folders: BTreeSet<String> = std::fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    let expected = ["dashboards", "gateway", "k8s", "parsers", "tests"].map(str::to_owned);
    assert_eq!(folders, BTreeSet::from(expected));
}

#[test]
fn the_readmes_two_commands_come_first_and_the_build_server_runs_the_second() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let screen: String = readme.lines().take(40).collect::<Vec<_>>().join("\n");
    for command in ["cargo run --release -- demo", "tests/run"] {
        assert!(screen.contains(command), "README's first screen does not show `{command}`");
    }
    assert!(std::fs::read_to_string(root().join(".ci/run")).unwrap().contains("tests/run"));
}
