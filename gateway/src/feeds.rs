//! Sources that are not files, as the configuration has them.

use std::sync::Arc;

use parsers::stage::Pipeline;
use parsers::stage::relabel::Relabel;
use tail::feed::FeedOptions;

use crate::config::{Config, Feed};

/// What is done to the records of a source, read by an agent of this name. The configuration has been read, so its stages and
/// rules can be compiled; what could not would be none.
pub(crate) fn options(feed: &Feed, config: &Config, agent: &str) -> FeedOptions {
    FeedOptions {
        node: config.collect.node.as_deref().map(Arc::from),
        labels: feed.labels.clone(),
        relabel: Relabel::new(feed.relabel()).unwrap_or_default(),
        pipeline: Pipeline::new(feed.stages()).unwrap_or_default(),
        ..FeedOptions::new(agent)
    }
}
