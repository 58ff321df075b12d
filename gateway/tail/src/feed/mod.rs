//! Sources that are not files: standard input, the journal, syslog.
//!
//! Each reads in its own way and hands what it read, through a short queue, to a [`pump`]: that makes records of it with the
//! stages and rules that files have, and offers them to the [`Sink`]. While the sink takes nothing the pump takes
//! nothing, the queue fills, and the source stops reading.

mod inlet;
mod journal;
mod lines;
mod pump;
mod standard_input;
mod streams;
mod syslog;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use parsers::container::DEFAULT_MAX_LINE;
use parsers::derived::Deriver;
use parsers::record::{FileId, Labels};
use parsers::stage::relabel::Relabel;
use parsers::stage::{Fields, Pipeline};
use tokio_util::sync::CancellationToken;

use crate::options::DEFAULT_BATCH_BYTES;
use crate::reading::batch::Origin;
use crate::report::{ContainerReport, Counters};
use crate::run::now;
use crate::sink::Sink;

pub(crate) use journal::journal_position;
pub use journal::{JournalOptions, journal};
pub use standard_input::{InputError, standard_input};
pub use syslog::{Syslog, SyslogOptions, Transport};

/// Device of what is no file: no disk has this number.
const NO_DEVICE: u64 = u64::MAX;

/// What is done to the records of a source, and the bounds.
#[derive(Debug, Clone)]
pub struct FeedOptions {
    /// Who reads: stands in every position.
    pub agent: Arc<str>,
    /// Label `node`, if any.
    pub node: Option<Arc<str>>,
    /// Labels of every record, beside those that the source itself has for it.
    pub labels: Vec<(String, String)>,
    /// What is done to the labels, and whether a record is kept at all.
    pub relabel: Relabel,
    /// What is done to each record.
    pub pipeline: Pipeline,
    /// Bytes that a record may have; longer ones keep their head.
    pub max_line: usize,
    /// Bytes of records in a batch.
    pub batch_bytes: usize,
}

impl FeedOptions {
    /// Nothing done, for this agent.
    pub fn new(agent: impl Into<Arc<str>>) -> Self {
        Self {
            agent: agent.into(),
            node: None,
            labels: Vec::new(),
            relabel: Relabel::default(),
            pipeline: Pipeline::default(),
            max_line: DEFAULT_MAX_LINE,
            batch_bytes: DEFAULT_BATCH_BYTES,
        }
    }

    /// The labels that all records of the source have: those configured, and unless they are among them this `job` and the
    /// node.
    fn base(&self, job: &str) -> Fields {
        let mut labels = Fields::default();
        labels.set("job", job);
        if let Some(node) = &self.node {
            labels.set("node", &**node);
        }
        for (name, value) in &self.labels {
            labels.set(name, value.as_str());
        }
        labels
    }
}

/// What sources that are not files share with the rest of the program.
#[derive(Clone)]
pub struct Means {
    /// Finds ids.
    pub deriver: Arc<Deriver>,
    /// Takes batches.
    pub sink: Arc<dyn Sink>,
    /// Figures.
    pub counters: Arc<Counters>,
    /// Ends the reading; what was read is still delivered, if the sink takes it soon.
    pub shutdown: CancellationToken,
}

/// A source's place among the containers, for its figures and for what its lines have in common.
fn origin(name: &str, labels: [Arc<Labels>; 3], means: &Means) -> Origin {
    let rules = means.deriver.rule_names().into();
    let report = Arc::new(ContainerReport::new(&name.into(), ["", "", name], rules));
    means.counters.arrived(Arc::clone(&report));
    Origin { labels, metadata: Vec::new(), report, slots: (0, [None; 3]) }
}

/// The identity of a source that has none of its own: by it, a server that stores each record once tells a batch that is
/// sent again from a new one. Good for one run.
fn passing_identity(name: &str) -> FileId {
    let run = (now() ^ u64::from(std::process::id()).rotate_left(48)).to_le_bytes();
    FileId {
        device: NO_DEVICE,
        inode: xxhash_rust::xxh3::xxh3_64(&run),
        head: xxhash_rust::xxh3::xxh3_64(name.as_bytes()),
    }
}
