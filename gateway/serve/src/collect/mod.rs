//! What is read of log files, how far, and what was lost: for whoever asks why lines are missing.

mod response;
mod routes;
#[cfg(test)]
mod tests;

pub use response::{CollectedFile, FileLoss};
pub use routes::router;
pub(crate) use routes::{__path_files, files};

/// Tells what is read.
pub trait Collecting: Send + Sync {
    /// Every file that is being read, by path.
    fn files(&self) -> Vec<CollectedFile>;
}
