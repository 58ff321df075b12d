//! Sources that are not files, as the configuration has them.

use std::sync::Arc;

use parsers::record::Position;
use parsers::stage::Pipeline;
use parsers::stage::relabel::Relabel;
use tail::feed::{FeedOptions, JournalOptions, Means};

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

/// The journal, if it is read.
pub(crate) struct Feeds {
    journal: Option<JournalOptions>,
}

impl Feeds {
    /// As configured, read by an agent of this name.
    pub fn new(config: &Config, agent: &str) -> Self {
        let journal = config.collect.journal.as_ref().map(|journal| JournalOptions {
            program: journal.program.clone(),
            directory: journal.directory.clone(),
            max_age: journal.max_age,
            json: journal.json,
            matches: journal.matches.clone(),
            feed: options(&journal.feed, config, agent),
        });
        Self { journal }
    }

    /// Reads until the shutdown, from where these positions say.
    pub async fn run(self, known: Vec<Position>, means: Means) {
        if let Some(options) = self.journal {
            tail::feed::journal(options, &known, means).await;
        }
    }
}
