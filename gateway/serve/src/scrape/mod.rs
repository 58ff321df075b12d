//! What is scraped, how it does, and what was discovered and is not scraped: for whoever asks why a metric is missing.

mod response;
mod routes;
#[cfg(test)]
mod tests;

pub use response::{DroppedTarget, FailingDiscovery, ScrapeTarget, ScrapeTargetsBody};
pub(crate) use routes::{__path_targets, targets};

/// Tells what is scraped.
pub trait Scraping: Send + Sync {
    /// All of it, targets by job and URL.
    fn targets(&self) -> ScrapeTargetsBody;
}
