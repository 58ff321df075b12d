//! Generated files on the disk: writing them, and telling which are not as they would be written.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A file that is not as it would be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// It is not there.
    Missing(PathBuf),
    /// It holds something else.
    Stale(PathBuf),
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "{} is missing", path.display()),
            Self::Stale(path) => write!(f, "{} is not what would be generated", path.display()),
        }
    }
}

/// Writes them below a folder, each under a temporary name first: Grafana may be watching.
///
/// # Errors
///
/// The file that could not be written, and why.
pub fn write(folder: &Path, files: &BTreeMap<String, String>) -> Result<(), (PathBuf, io::Error)> {
    for (name, contents) in files {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        let replace = || -> io::Result<()> {
            std::fs::create_dir_all(parent)?;
            // Grafana runs as somebody else, and temporary files are for their owner only unless told otherwise.
            let readable = std::fs::Permissions::from_mode(0o644);
            let mut temporary = tempfile::Builder::new().permissions(readable).tempfile_in(parent)?;
            io::Write::write_all(&mut temporary, contents.as_bytes())?;
            temporary.persist(&path)?;
            Ok(())
        };
        replace().map_err(|error| (path.clone(), error))?;
    }
    Ok(())
}

/// What [`write`] would change.
///
/// # Errors
///
/// The file that could not be read, and why.
pub fn differences(
    folder: &Path,
    files: &BTreeMap<String, String>,
) -> Result<Vec<Difference>, (PathBuf, io::Error)> {
    let mut found = Vec::new();
    for (name, contents) in files {
        let path = folder.join(name);
        match std::fs::read(&path) {
            Ok(bytes) if bytes == contents.as_bytes() => {}
            Ok(_) => found.push(Difference::Stale(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => found.push(Difference::Missing(path)),
            Err(error) => return Err((path, error)),
        }
    }
    Ok(found)
}
