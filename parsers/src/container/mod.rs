//! What a container runtime wraps round a line: CRI and docker json-file, records split over several lines, and what the
//! path of a log file says about its pod.
//!
//! The text itself is the business of [`crate::line`] and [`crate::derived`].

mod clock;
mod cri;
mod docker_json;
mod joiner;
mod pod_path;
#[cfg(test)]
mod tests;

pub use joiner::{Carried, DEFAULT_MAX_LINE, JoinLimits, Joiner};
pub use pod_path::PodPath;

use crate::record::ProblemKind;

/// Which of a container's outputs wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// The file does not say.
    #[default]
    Unknown,
}

impl Stream {
    /// The value of the `stream` label; empty for [`Stream::Unknown`].
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Unknown => "",
        }
    }
}

/// One record as the application wrote it, unwrapped and joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContainerLine<'a> {
    /// When the runtime took it: nanoseconds since the epoch, of the first fragment. `None` if the line does not say.
    pub time: Option<u64>,
    /// Which output wrote it.
    pub stream: Stream,
    /// The text, without its newline. Raw bytes: not always UTF-8.
    pub text: &'a [u8],
    /// Offset in its file of the record's last fragment (for a whole line: of the line).
    pub offset: u64,
    /// Where the record begins: its first fragment. Reading has to start there to get all of it again.
    pub began: Carried,
    /// Bytes cut from the end because the record was longer than the limit.
    pub truncated: u64,
    /// What was wrong with it, if anything; the text is kept all the same.
    pub problem: Option<ProblemKind>,
}
