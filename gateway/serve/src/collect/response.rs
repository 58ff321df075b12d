//! The shape of the answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

/// What is read, and what is left out of this answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct FilesBody {
    /// Of all files that the request names, listed or not.
    pub totals: Totals,
    /// Files that are left out, since the request asked for no more.
    pub omitted: usize,
    /// By path.
    pub files: Vec<CollectedFile>,
}

/// Sums over files.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Totals {
    /// How many.
    pub files: usize,
    /// Since the start.
    pub bytes_read: u64,
    /// Delivered: stored, or taken by the endpoint.
    pub bytes_acknowledged: u64,
    /// Written, and not acknowledged.
    pub bytes_behind: u64,
    /// As far as known.
    pub bytes_lost: u64,
    /// Times that bytes were lost, also where nobody knows how many.
    pub losses: u64,
    /// Of the file that is furthest behind.
    pub lag_seconds: f64,
    /// Records emitted.
    pub lines: u64,
    /// Those with a trace id.
    pub linked_lines: u64,
    /// Lines with a trace id, of all lines; absent without any line.
    pub linked_share: Option<f64>,
}

/// One log file with all its rotated generations, since the start of the program.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct CollectedFile {
    /// Of the file being written.
    #[schema(value_type = String)]
    pub path: Arc<str>,
    /// Empty outside the layout of Kubernetes.
    #[schema(value_type = String)]
    pub namespace: Arc<str>,
    /// Empty outside the layout of Kubernetes.
    #[schema(value_type = String)]
    pub pod: Arc<str>,
    /// Outside the layout of Kubernetes the stem of the file's name.
    #[schema(value_type = String)]
    pub container: Arc<str>,
    /// Generations that are open.
    pub open_files: u64,
    /// Since the start.
    pub bytes_read: u64,
    /// Delivered: stored, or taken by the endpoint.
    pub bytes_acknowledged: u64,
    /// Written, and not acknowledged.
    pub bytes_behind: u64,
    /// Age of the oldest line that waits.
    pub lag_seconds: f64,
    /// Records emitted.
    pub lines: u64,
    /// Those with a trace id.
    pub linked_lines: u64,
    /// Lines with a trace id, of all lines; absent without any line.
    pub linked_share: Option<f64>,
    /// Lines with a trace id, by the rule that found it.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub linked_by_rule: BTreeMap<Arc<str>, u64>,
    /// Lines of which bytes that are not UTF-8 were replaced.
    pub invalid_utf8_lines: u64,
    /// As far as known.
    pub bytes_lost: u64,
    /// Times that bytes were lost, also where nobody knows how many.
    pub losses: u64,
    /// Annotations of its pod that cannot be followed, with what was expected.
    pub problems: Vec<String>,
    /// The last losses, oldest first.
    pub recent_losses: Vec<FileLoss>,
}

/// Bytes that existed and will not be read.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FileLoss {
    /// `line_too_long`, `truncated` or `rotated_away`.
    pub reason: &'static str,
    /// Device and inode of the file, `device:inode`.
    pub file: Option<String>,
    /// Offset at which the range begins.
    pub from: u64,
    /// Offset at which it ends; absent where nobody saw how much there was.
    pub to: Option<u64>,
    /// Bytes lost in it, as far as known: a line that was cut keeps its head.
    pub bytes: u64,
    /// When it was noticed.
    pub time_unix_nano: String,
}

impl Totals {
    /// Of these files.
    pub fn of<'a>(files: impl Iterator<Item = &'a CollectedFile>) -> Self {
        let mut totals = Self::default();
        for file in files {
            totals.files += 1;
            totals.bytes_read += file.bytes_read;
            totals.bytes_acknowledged += file.bytes_acknowledged;
            totals.bytes_behind += file.bytes_behind;
            totals.bytes_lost += file.bytes_lost;
            totals.losses += file.losses;
            totals.lag_seconds = totals.lag_seconds.max(file.lag_seconds);
            totals.lines += file.lines;
            totals.linked_lines += file.linked_lines;
        }
        totals.linked_share = share(totals.linked_lines, totals.lines);
        totals
    }
}

/// A part of a whole; `None` of nothing.
pub fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
