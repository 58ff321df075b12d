//! Sources that are not files, as the configuration has them.

use std::sync::Arc;

use parsers::record::Position;
use parsers::stage::Pipeline;
use parsers::stage::relabel::Relabel;
use tail::feed::{FeedOptions, JournalOptions, Means, Syslog, SyslogOptions};
use tokio_util::task::TaskTracker;

use crate::config::{Config, Feed, Listen};

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

/// A port for syslog could not be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {listen} for syslog: {error}; set `collect.syslog[{index}].listen` to another address"
)]
pub struct SyslogError {
    listen: Listen,
    index: usize,
    error: std::io::Error,
}

/// Whether something is read that is no file.
pub(crate) fn has_feeds(config: &Config) -> bool {
    config.collect.journal.is_some() || !config.collect.syslog.is_empty()
}

/// The journal and the listeners for syslog, those that there are.
pub(crate) struct Feeds {
    journal: Option<JournalOptions>,
    syslog: Vec<Syslog>,
}

impl Feeds {
    /// As configured, read by an agent of this name. All ports are bound.
    pub async fn bind(config: &Config, agent: &str) -> Result<Self, SyslogError> {
        let journal = config.collect.journal.as_ref().map(|journal| JournalOptions {
            program: journal.program.clone(),
            directory: journal.directory.clone(),
            max_age: journal.max_age,
            json: journal.json,
            matches: journal.matches.clone(),
            feed: options(&journal.feed, config, agent),
        });
        let mut syslog = Vec::new();
        for (index, source) in config.collect.syslog.iter().enumerate() {
            let options = SyslogOptions {
                transport: source.listen.transport,
                address: source.listen.address,
                use_incoming_timestamp: source.use_incoming_timestamp,
                max_message_bytes: source.max_message_bytes as usize,
                idle_timeout: source.idle_timeout,
                feed: options(&source.feed, config, agent),
            };
            let fail = |error| SyslogError { listen: source.listen, index, error };
            syslog.push(Syslog::bind(options).await.map_err(fail)?);
        }
        Ok(Self { journal, syslog })
    }

    /// Reads until the shutdown, from where these positions say.
    pub async fn run(self, known: Vec<Position>, means: Means) {
        let tasks = TaskTracker::new();
        for listener in self.syslog {
            tracing::info!("listening for {}", listener.name);
            tasks.spawn(listener.run(means.clone()));
        }
        if let Some(options) = self.journal {
            tasks.spawn(async move { tail::feed::journal(options, &known, means).await });
        }
        tasks.close();
        tasks.wait().await;
    }
}
