//! Why a query has no answer.

use std::time::Duration;

use store::read::ReadError;

use crate::Exceeded;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// It cannot be read, or uses what is not supported.
    #[error("parse error at column {column}: {detail}")]
    Syntax {
        /// Counted in characters from 1.
        column: usize,
        /// What was expected and what was found.
        detail: String,
    },
    /// It cannot be read, in the form that Loki and Tempo give it.
    #[error("parse error at line {line}, col {column}: {detail}")]
    Parse {
        /// Counted from 1.
        line: usize,
        /// Counted in characters of that line from 1.
        column: usize,
        /// What was expected and what was found.
        detail: String,
    },
    /// It can be read but not be answered: the parts do not fit each other, or the stored lines do not fit it.
    #[error("{0}")]
    Invalid(String),
    /// A TraceQL query cannot be read, or means nothing.
    #[error("invalid TraceQL query: {0}")]
    TraceQl(#[from] crate::traceql::ParseError),
    /// It asks for more than the limits allow.
    #[error("{0}")]
    TooMuch(String),
    /// Other queries hold what it would need.
    #[error("{0}")]
    Busy(Exceeded),
    /// It took too long.
    #[error("the query timed out after {0:?}; ask for a shorter time range or a narrower selector")]
    Timeout(Duration),
    /// The source failed.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<Exceeded> for QueryError {
    fn from(exceeded: Exceeded) -> Self {
        match exceeded {
            Exceeded::Points(_) | Exceeded::Bytes(_) => Self::TooMuch(exceeded.to_string()),
            Exceeded::Busy(_) => Self::Busy(exceeded),
        }
    }
}

impl QueryError {
    pub(crate) fn at(column: usize, detail: impl Into<String>) -> Self {
        Self::Syntax { column, detail: detail.into() }
    }

    /// An error at a byte of a text.
    pub(crate) fn in_text(text: &str, at: usize, detail: impl Into<String>) -> Self {
        let before = text.get(..text.floor_char_boundary(at)).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self::Parse { line, column, detail: detail.into() }
    }
}
