//! How reading fails.

use std::sync::Arc;
use std::time::Duration;

/// A source failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// The disk or the page cache.
    #[error("the store could not be read: {0}")]
    Io(Arc<std::io::Error>),
    /// The other server did not answer in its time.
    #[error("{server} did not answer within {after:?}")]
    Timeout {
        /// Which server.
        server: String,
        /// Its deadline.
        after: Duration,
    },
    /// The other server could not be reached.
    #[error("{server} cannot be reached: {detail}")]
    Unreachable {
        /// Which server.
        server: String,
        /// What the connection said.
        detail: String,
    },
    /// The other server answered, but not with what its protocol says.
    #[error("{server} answered {got}, expected {expected}")]
    BadAnswer {
        /// Which server.
        server: String,
        /// What came, shortened.
        got: String,
        /// What was expected.
        expected: String,
    },
    /// The query itself was refused.
    #[error("{server} refused the query: {detail}")]
    Refused {
        /// Which server.
        server: String,
        /// Its words.
        detail: String,
    },
    /// More was asked for than may be held in memory at a time.
    #[error("more than {limit} {what} are selected")]
    TooMany {
        /// `samples` or `series`.
        what: &'static str,
        /// How many there may be.
        limit: u64,
    },
}

impl From<std::io::Error> for ReadError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}
