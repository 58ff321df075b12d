//! Why a query cannot be read, in Tempo's words.

/// Why a query cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Something stands where it must not.
    #[error(
        "parse error at line {line}, col {column}: syntax error: unexpected {found}, expecting {expected}"
    )]
    Syntax {
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// What came.
        found: String,
        /// What could have stood there.
        expected: String,
    },
    /// A word or a literal that is none.
    #[error("parse error at line {line}, col {column}: {detail}")]
    Word {
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// What is wrong with it.
        detail: String,
    },
    /// It reads, and means nothing.
    #[error("{0}")]
    Meaning(String),
}

/// A place in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Place {
    pub(super) fn word(self, detail: impl Into<String>) -> ParseError {
        ParseError::Word { line: self.line, column: self.column, detail: detail.into() }
    }

    pub(super) fn syntax(self, found: impl Into<String>, expected: impl Into<String>) -> ParseError {
        ParseError::Syntax {
            line: self.line,
            column: self.column,
            found: found.into(),
            expected: expected.into(),
        }
    }
}
