//! Scraping: pages of metrics are fetched from targets, in OpenMetrics with their exemplars where the target can.
//!
//! `discovery` says what there is, `target` what of it is scraped, `round` keeps one of `laps` for each target. A lap fetches a
//! page (`fetch`) and makes rows of it (`page`) with what it remembers of the last one (`memory`). What the lines of a page
//! mean is read in [`parsers::exposition`].

mod discovery;
mod fetch;
mod laps;
mod memory;
mod options;
mod page;
mod report;
mod round;
mod target;
#[cfg(test)]
mod tests;

pub use memory::MAX_REMEMBERED;
pub use options::{
    DEFAULT_BODY_LIMIT, DEFAULT_INTERVAL, DEFAULT_PATH, DEFAULT_TIMEOUT, Group, Job, Kubernetes,
    ScrapeOptions, Tls,
};
pub use page::STALE;
pub use report::{Counters, Health, Scraping, Snapshot, TargetReport};
pub use round::{MAX_TARGETS, run};
pub use target::DroppedTarget;
