//! How far a Promtail was, taken over so that nothing is read twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use parsers::record::Position;
use tail::position::{imported, imported_cursor};

/// By what keys with cursors begin in a Promtail's positions file.
const CURSOR: &str = "cursor-";

/// A Promtail's positions file: offsets as text, journal cursors among them.
#[derive(serde::Deserialize)]
struct Promtail {
    #[serde(default)]
    positions: BTreeMap<String, String>,
}

/// The file cannot be taken over. Nothing is started then: every line on the node would be read again.
#[derive(Debug, thiserror::Error)]
#[error("collect.import_positions: {}: {detail}", file.display())]
pub struct ImportError {
    file: PathBuf,
    detail: String,
}

/// Reads a Promtail's positions, for an agent of this name.
pub fn read(file: &Path, agent: &str) -> Result<Vec<Position>, ImportError> {
    let bad = |detail: String| ImportError { file: file.to_owned(), detail };
    let text = std::fs::read_to_string(file).map_err(|error| bad(error.to_string()))?;
    let read: Promtail = serde_saphyr::from_str(&text).map_err(|error| bad(error.to_string()))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let (cursors, files): (Vec<_>, Vec<_>) =
        read.positions.into_iter().partition(|(key, _)| key.starts_with(CURSOR));
    let offsets = files.into_iter().filter_map(|(path, offset)| Some((path, offset.parse().ok()?)));
    let offsets: Vec<(String, u64)> = offsets.collect();
    let mut positions = imported(agent, &offsets, now);
    positions.extend(cursors.iter().filter_map(|(_, cursor)| imported_cursor(agent, cursor, now)));
    let (noted, of) = (positions.len(), offsets.len() + cursors.len());
    tracing::info!(file = %file.display(), noted, of, "positions taken over");
    Ok(positions)
}
