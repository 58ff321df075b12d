//! Why a query has no answer.

use store::read::ReadError;

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
    /// It asks for more than the limits allow.
    #[error("{0}")]
    TooMuch(String),
    /// The source failed.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl QueryError {
    pub(crate) fn at(column: usize, detail: impl Into<String>) -> Self {
        Self::Syntax { column, detail: detail.into() }
    }
}
