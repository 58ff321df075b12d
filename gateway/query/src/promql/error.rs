//! Why an expression has no answer, in Prometheus' words.

use store::read::ReadError;

use crate::Exceeded;

/// Why an expression has no answer.
#[derive(Debug, thiserror::Error)]
pub enum PromError {
    /// It cannot be read, or its types do not fit.
    #[error("{line}:{column}: parse error: {detail}")]
    Parse {
        /// From 1.
        line: usize,
        /// In bytes, from 1.
        column: usize,
        /// What is wrong.
        detail: String,
    },
    /// It may not be asked so.
    #[error("{0}")]
    BadData(String),
    /// It can be read, but not be evaluated over what is stored.
    #[error("{0}")]
    Execution(String),
    /// It took too long.
    #[error("query timed out in expression evaluation")]
    Timeout,
    /// It would need too much memory.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// Other queries hold what it would need.
    #[error("{0}")]
    Busy(Exceeded),
    /// The samples could not be read.
    #[error(transparent)]
    Read(ReadError),
}

impl PromError {
    /// The `errorType` of Prometheus' interface.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Parse { .. } | Self::BadData(_) => "bad_data",
            Self::Execution(_) | Self::TooManySamples => "execution",
            Self::Timeout => "timeout",
            Self::Busy(_) => "unavailable",
            Self::Read(_) => "internal",
        }
    }

    pub(crate) fn execution(text: impl Into<String>) -> Self {
        Self::Execution(text.into())
    }
}

impl From<Exceeded> for PromError {
    fn from(exceeded: Exceeded) -> Self {
        match exceeded {
            Exceeded::Points(_) | Exceeded::Bytes(_) => Self::Execution(exceeded.to_string()),
            Exceeded::Busy(_) => Self::Busy(exceeded),
        }
    }
}

impl From<ReadError> for PromError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::TooMany { what: "samples", .. } => Self::TooManySamples,
            ReadError::TooMany { .. } => Self::Execution(error.to_string()),
            other => Self::Read(other),
        }
    }
}

/// Line and column of a byte of a query, both from 1.
pub(crate) fn position(query: &str, at: usize) -> (usize, usize) {
    let before = query.as_bytes().get(..at).unwrap_or(query.as_bytes());
    let line = before.split(|byte| *byte == b'\n').count();
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    (line, before.len() - start + 1)
}
