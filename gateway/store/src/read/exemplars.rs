//! Reading the exemplars that are stored, and how far.

use std::time::Duration;

use parsers::record::Exemplar;

use super::{Matcher, ReadError, Window};

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExemplarLimits {
    /// Exemplars at most.
    pub count: usize,
    /// Longest time for it; what is not sealed yet is always read.
    pub time: Duration,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StoredExemplars {
    /// In time order.
    pub exemplars: Vec<Exemplar>,
    /// There were more than may be: older ones are left out.
    pub over_count: bool,
    /// It took too long: what is older was not read.
    pub over_time: bool,
}

impl From<Vec<Exemplar>> for StoredExemplars {
    fn from(exemplars: Vec<Exemplar>) -> Self {
        Self { exemplars, over_count: false, over_time: false }
    }
}

/// Reads the exemplars that are stored.
pub trait ExemplarRead: Send + Sync {
    /// Those in the window, of series that meet all conditions of one of the selectors; over the limits the newest of what was read.
    fn stored_exemplars(
        &self,
        selectors: &[Vec<Matcher>],
        window: Window,
        limits: ExemplarLimits,
    ) -> Result<StoredExemplars, ReadError>;
}
