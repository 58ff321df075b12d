//! Promise: every crate in the tree has a licence that `deny.toml` allows, and none is one that it bans. Read offline, so that
//! it is checked on every run; advisories need the network and `cargo deny check`.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The quoted strings of the lines of one section, each the first on its line.
fn quoted(text: &str, section: &str, starts: &str) -> Vec<String> {
    text.lines()
        .skip_while(|line| *line != format!("[{section}]"))
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| line.trim_start().starts_with(starts))
        .filter_map(|line| line.split('"').nth(1).map(str::to_owned))
        .collect()
}

/// Whether a licence expression can be met with the allowed licences: `OR` offers a choice, `AND` binds closer.
fn allowed(expression: &str, licences: &[String]) -> bool {
    let expression = expression.trim();
    for (operator, all) in [(" OR ", false), ("/", false), (" AND ", true)] {
        let parts = split_outside_brackets(expression, operator);
        if parts.len() > 1 {
            let mut met = parts.iter().map(|part| allowed(part, licences));
            return if all { met.all(|met| met) } else { met.any(|met| met) };
        }
    }
    match expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) => allowed(inner, licences),
        None => licences.iter().any(|licence| licence == expression),
    }
}

fn split_outside_brackets<'a>(text: &'a str, separator: &str) -> Vec<&'a str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && text[at..].starts_with(separator) && at >= from => {
                parts.push(&text[from..at]);
                from = at + separator.len();
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

#[test]
fn every_crate_has_an_allowed_licence_and_none_is_banned() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let deny = std::fs::read_to_string(root.join("deny.toml")).unwrap();
    let licences = quoted(&deny, "licenses", "\"");
    let banned = quoted(&deny, "bans", "{ crate");
    assert!(licences.len() > 3 && banned.len() > 3, "deny.toml is read");

    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--format-version", "1"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut broken = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let licence = package["license"].as_str().unwrap_or("none stated");
        if !allowed(licence, &licences) {
            broken.push(format!("{name}: licence {licence}"));
        }
        if banned.iter().any(|ban| ban == name) {
            broken.push(format!("{name} is banned"));
        }
    }
    assert!(broken.is_empty(), "see deny.toml\n  {}", broken.join("\n  "));
}

#[test]
fn licence_expressions_are_read_as_spdx_means_them() {
    let licences = ["MIT".to_owned(), "ISC".to_owned()];
    for met in ["MIT", "GPL-3.0 OR MIT", "MIT/GPL-3.0", "MIT AND ISC", "(GPL-3.0 OR MIT) AND ISC"] {
        assert!(allowed(met, &licences), "{met}");
    }
    for unmet in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0", "MIT WITH exception", ""] {
        assert!(!allowed(unmet, &licences), "{unmet}");
    }
}
