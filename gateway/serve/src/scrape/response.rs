//! The shape of the answer.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

/// What is scraped, and what is not.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct ScrapeTargetsBody {
    /// By job and URL.
    pub targets: Vec<ScrapeTarget>,
    /// Targets that are left out, since the request asked for others or for no more.
    pub omitted: usize,
    /// What was discovered and is not scraped.
    pub dropped: Vec<DroppedTarget>,
    /// Dropped targets that are left out of the list.
    pub omitted_dropped: usize,
    /// Discoveries that fail. What they found before is scraped on.
    pub failing_discoveries: Vec<FailingDiscovery>,
}

/// A target and its last scrape.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct ScrapeTarget {
    /// Whose it is.
    pub job: String,
    /// Where its page is.
    pub url: String,
    /// Of all its series.
    pub labels: BTreeMap<String, String>,
    /// `up`, `down`, or `unknown` before the first scrape.
    pub health: &'static str,
    /// What is wrong, if something is: why there was no page, or what of it could not be taken or stored.
    pub last_error: Option<String>,
    /// When the last scrape began; absent before the first.
    pub last_scrape_unix_nano: Option<String>,
    /// How long it took.
    pub last_scrape_duration_seconds: f64,
    /// Between two scrapes.
    pub interval_seconds: f64,
    /// Samples of the last page.
    pub samples: u64,
    /// Those that were left after relabelling.
    pub samples_post_metric_relabeling: u64,
    /// Exemplars of the last page that were new.
    pub exemplars: u64,
    /// Exemplars since it was found.
    pub exemplars_total: u64,
    /// Lines of the last page that could not be taken.
    pub bad_lines: u64,
    /// Scrapes since it was found.
    pub scrapes_total: u64,
}

/// Something that was discovered and is not scraped.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct DroppedTarget {
    /// Whose it would be.
    pub job: String,
    /// As they were before relabelling.
    pub discovered_labels: BTreeMap<String, String>,
    /// Why.
    pub reason: String,
}

/// A discovery that fails.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct FailingDiscovery {
    /// Files, or pods of an API.
    pub source: String,
    /// Why.
    pub error: String,
}
