//! What somebody knows of containers beside the paths of their files. Reading goes on without it; where it may come at any moment,
//! a new file waits for it for a short while, which costs nothing: its lines stand in the file.

use std::fmt;
use std::sync::Arc;

use parsers::container::PodPath;
use parsers::stage::{Pipeline, StageConfig};

/// What is known of a container.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Notes {
    /// Labels of its streams beside, or instead of, those that its path gives.
    pub labels: Vec<(String, String)>,
    /// Metadata of each of its records.
    pub metadata: Vec<(String, String)>,
    /// What relabelling may look at, under Prometheus' names.
    pub discovered: Vec<(String, String)>,
    /// Its files are not read.
    pub excluded: bool,
    /// Stages before those of the configuration.
    pub stages: Vec<StageConfig>,
    /// Of those of the configuration only what takes secrets out.
    pub raw: bool,
    /// What it wishes that cannot be, for people.
    pub problems: Vec<String>,
}

/// Whether something is known of a container.
#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    /// This.
    Notes(Arc<Notes>),
    /// Nothing yet; it may come at any moment.
    Awaited,
    /// Nothing, and nobody knows whether anything will come.
    Nothing,
}

/// Knows containers.
pub trait Pods: fmt::Debug + Send + Sync {
    /// Grows with every change of what is known.
    fn revision(&self) -> u64;

    /// What is known of the container whose path this is.
    fn container(&self, path: &PodPath<'_>) -> Known;
}

impl Notes {
    /// What is done to the container's lines, where the configuration says this.
    pub(crate) fn pipeline(&self, configured: &Pipeline) -> Pipeline {
        let rest = if self.raw { configured.only_redaction() } else { configured.fork() };
        match Pipeline::new(&self.stages) {
            Ok(first) if !self.stages.is_empty() => first.followed_by(&rest),
            // They were compiled by who wishes them; what cannot be is one of the problems.
            _ => rest,
        }
    }
}
