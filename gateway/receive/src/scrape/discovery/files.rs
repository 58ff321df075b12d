//! Files that name targets, as Prometheus' `file_sd` has them: JSON or YAML, a list of `{targets: [...], labels: {...}}`. Looked
//! at every few seconds and read when they have changed. A file that cannot be read keeps what it said before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::Outlet;
use crate::scrape::options::Group;

/// Between looks at the files.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Bytes of one file; more is a mistake.
const MAX_FILE: u64 = 16 << 20;
/// Files of one source.
const MAX_FILES: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    targets: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// A file as it was last seen.
#[derive(Default)]
struct Seen {
    modified: Option<(SystemTime, u64)>,
    groups: Vec<Group>,
    trouble: Option<String>,
}

/// Watches until it is dropped.
pub(super) async fn watch(patterns: &[String], outlet: &Outlet) {
    let mut seen = BTreeMap::new();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        let patterns = patterns.to_vec();
        let look = tokio::task::spawn_blocking(move || {
            look(&patterns, &mut seen);
            seen
        });
        // It reads what was there before anew if looking panicked.
        seen = look.await.unwrap_or_default();
        let troubles: Vec<&str> = seen.values().filter_map(|file: &Seen| file.trouble.as_deref()).collect();
        outlet.trouble((!troubles.is_empty()).then(|| troubles.join("; ")).as_deref());
        outlet.set(seen.values().flat_map(|file| file.groups.iter().cloned()).collect());
    }
}

fn look(patterns: &[String], seen: &mut BTreeMap<PathBuf, Seen>) {
    let mut there: Vec<PathBuf> = patterns.iter().flat_map(|pattern| matching(pattern)).collect();
    there.sort();
    there.dedup();
    there.truncate(MAX_FILES);
    seen.retain(|path, _| there.contains(path));
    for path in there {
        let file = seen.entry(path.clone()).or_default();
        let modified = std::fs::metadata(&path).and_then(|data| Ok((data.modified()?, data.len()))).ok();
        if modified.is_some() && modified == file.modified {
            continue;
        }
        file.modified = modified;
        match read(&path) {
            Ok(groups) => (file.groups, file.trouble) = (groups, None),
            Err(trouble) => file.trouble = Some(format!("{}: {trouble}", path.display())),
        }
    }
}

/// The paths that a pattern covers: `*` may stand in its last name. One without is there in any case, so that a file that is
/// missing is told.
fn matching(pattern: &str) -> Vec<PathBuf> {
    let Some((folder, name)) = pattern.rsplit_once('/').filter(|(_, name)| name.contains('*')) else {
        return vec![pattern.into()];
    };
    let folder = if folder.is_empty() { Path::new("/") } else { Path::new(folder) };
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let names = entries.map(|entry| entry.file_name()).filter(|entry| covers(name, &entry.to_string_lossy()));
    names.map(|name| folder.join(name)).collect()
}

/// Whether a pattern with `*` covers a name.
fn covers(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.is_empty()
}

/// What a file says, or what is wrong with it, with the line.
fn read(path: &Path) -> Result<Vec<Group>, String> {
    let bytes = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if bytes > MAX_FILE {
        return Err(format!("{bytes} bytes are too many, expected no more than {MAX_FILE}"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let is_json = path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("json"));
    let entries: Vec<Entry> = if is_json {
        serde_json::from_str(&text).map_err(|error| error.to_string())?
    } else if text.trim().is_empty() {
        Vec::new()
    } else {
        serde_saphyr::from_str(&text).map_err(|error| {
            let line = error.location().map_or(1, |at| at.line());
            let said = error.to_string();
            format!(
                "{} at line {line}",
                said.lines().find(|line| !line.trim().is_empty()).unwrap_or("unreadable")
            )
        })?
    };
    let group = |entry: Entry| Group { targets: entry.targets, labels: entry.labels.into_iter().collect() };
    Ok(entries.into_iter().map(group).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_names_in_its_folder() {
        for (pattern, name, covered) in [
            ("*.json", "a.json", true),
            ("*.json", "a.yaml", false),
            ("shop-*.y*ml", "shop-1.yaml", true),
            ("shop-*.y*ml", "shop.yml", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(covers(pattern, name), covered, "{pattern} {name}");
        }
    }

    #[test]
    fn a_broken_file_keeps_what_it_said_and_says_where_it_is_broken() {
        let folder = std::env::temp_dir().join(format!("trefoil-file-sd-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (json, yaml) = (folder.join("a.json"), folder.join("b.yml"));
        std::fs::write(&json, r#"[{"targets": ["a:1", "b:1"], "labels": {"team": "x"}}]"#).unwrap();
        std::fs::write(&yaml, "- targets: [c:1]\n").unwrap();
        let patterns = [format!("{}/*.json", folder.display()), yaml.display().to_string()];
        let mut seen = BTreeMap::new();
        let addresses = |seen: &BTreeMap<PathBuf, Seen>| {
            let groups = seen.values().flat_map(|file| file.groups.iter());
            groups.flat_map(|group| group.targets.iter().cloned()).collect::<Vec<_>>().join(" ")
        };
        look(&patterns, &mut seen);
        assert_eq!(addresses(&seen), "a:1 b:1 c:1");
        assert_eq!(seen[&json].groups[0].labels, [("team".to_owned(), "x".to_owned())]);
        std::fs::write(&json, "[\n{\"targets\": [\n").unwrap();
        std::fs::write(&yaml, "- targets: [d:1]\n  label: {}\n").unwrap();
        look(&patterns, &mut seen);
        assert_eq!(addresses(&seen), "a:1 b:1 c:1");
        let (json_trouble, yaml_trouble) = (&seen[&json].trouble, &seen[&yaml].trouble);
        assert!(
            json_trouble.as_ref().unwrap().contains("a.json: EOF while parsing a list at line 3"),
            "{json_trouble:?}"
        );
        assert!(yaml_trouble.as_ref().unwrap().contains("at line 2"), "{yaml_trouble:?}");
        std::fs::write(&json, "[]").unwrap();
        std::fs::remove_file(&yaml).unwrap();
        look(&patterns, &mut seen);
        assert_eq!(addresses(&seen), "c:1");
        assert!(seen[&yaml].trouble.is_some());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
