//! Reading samples by series: what PromQL is evaluated over.

use std::collections::BTreeSet;
use std::sync::Arc;

use parsers::record::{Labels, MetricMeta, NativeHistogram, Sample};

use super::{Matcher, ReadError, Window};
pub use crate::samples::SeriesStatistics;

/// Samples of one series, as they were written: staleness markers among them.
#[derive(Debug, Clone, Default)]
pub struct SeriesSamples {
    /// Labels, `__name__` among them.
    pub labels: Arc<Labels>,
    /// Numbers in time order, each time once.
    pub samples: Vec<Sample>,
    /// Native histograms in time order, each time once.
    pub histograms: Vec<(u64, Arc<NativeHistogram>)>,
}

/// How much one read may bring into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleLimits {
    /// Series that match.
    pub series: usize,
    /// Samples of all of them; a histogram counts as many as its buckets would.
    pub samples: u64,
}

/// Reads samples that are kept here. Selectors are lists of matchers that must all hold, `__name__` being a label like others.
pub trait SampleRead: Send + Sync {
    /// Samples in the window by series, sorted by labels. Over a limit it is [`ReadError::TooMany`], and nothing is kept.
    fn select(
        &self,
        matchers: &[Matcher],
        window: Window,
        limits: SampleLimits,
    ) -> Result<Vec<SeriesSamples>, ReadError>;

    /// Label sets of series with samples in the window that meet any of the selectors, sorted; no selector means all.
    fn label_sets(&self, selectors: &[Vec<Matcher>], window: Window) -> Result<Vec<Arc<Labels>>, ReadError>;

    /// Whether a series meets all matchers, and may have samples in the window.
    fn any(&self, matchers: &[Matcher], window: Window) -> Result<bool, ReadError> {
        Ok(!self.label_sets(&[matchers.to_vec()], window)?.is_empty())
    }

    /// What senders said about families, sorted by name, each statement once.
    fn metadata(&self) -> Result<Vec<MetricMeta>, ReadError>;

    /// What the series that are written to are made of; nothing where that is not known, or not to be told.
    fn series_statistics(&self) -> SeriesStatistics {
        SeriesStatistics::default()
    }

    /// Names of labels that such series have, sorted.
    fn label_names(&self, selectors: &[Vec<Matcher>], window: Window) -> Result<Vec<String>, ReadError> {
        let sets = self.label_sets(selectors, window)?;
        let names: BTreeSet<&str> = sets.iter().flat_map(|set| set.iter().map(|(name, _)| name)).collect();
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    /// Values that a label has among such series, sorted.
    fn label_values(
        &self,
        name: &str,
        selectors: &[Vec<Matcher>],
        window: Window,
    ) -> Result<Vec<String>, ReadError> {
        let sets = self.label_sets(selectors, window)?;
        let values: BTreeSet<&str> = sets.iter().filter_map(|set| set.get(name)).collect();
        Ok(values.into_iter().map(str::to_owned).collect())
    }
}
