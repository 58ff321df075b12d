//! Another configuration while the program runs: at SIGHUP, and when the file has changed. What is wrong with it is said, and
//! the one before goes on; what it cannot change without a restart is said, too.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config, LoadError};
use crate::renewed::Renewed;

/// Between looks at the file: a mounted ConfigMap changes a minute late anyway.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What became of configurations while running.
#[derive(Debug, Default)]
pub struct Counters {
    /// Those that were taken.
    pub taken: AtomicU64,
    /// Those that were refused.
    pub refused: AtomicU64,
    /// Whether the last one was refused.
    pub outdated: AtomicBool,
}

/// Takes another configuration. Gives the sections that stay what they were until a restart, or why it cannot be taken at all.
pub trait Reload: Send + Sync {
    /// Goes over to it.
    fn reload(&self, config: Config) -> Result<Vec<&'static str>, String>;
}

/// The configuration file, and what the command line puts over it.
pub struct Source {
    path: PathBuf,
    adjust: Box<dyn Fn(&mut Config) + Send + Sync>,
    /// As it was read last.
    text: Vec<u8>,
}

impl Source {
    /// A file that has just been read.
    pub fn new(path: &Path, adjust: impl Fn(&mut Config) + Send + Sync + 'static) -> Self {
        let text = std::fs::read(path).unwrap_or_default();
        Self { path: path.to_owned(), adjust: Box::new(adjust), text }
    }

    /// Whether the file says something else than when it was read last. One that cannot be read for a moment says nothing.
    fn has_changed(&mut self) -> bool {
        match std::fs::read(&self.path) {
            Ok(text) if text != self.text => {
                self.text = text;
                true
            }
            _ => false,
        }
    }

    fn load(&self) -> Result<Config, LoadError> {
        let mut config = config::load_file(Some(&self.path))?;
        (self.adjust)(&mut config);
        Ok(config)
    }
}

/// SIGHUP, caught from the call on: one that comes during the start must not end the program. `None` where it cannot be.
pub fn hangups() -> Option<Signal> {
    let hangups = signal(SignalKind::hangup());
    hangups.inspect_err(|error| tracing::warn!(%error, "SIGHUP cannot be caught")).ok()
}

/// Waits for the next of these signals; for ever where they cannot be caught.
pub async fn arrival(signals: &mut Option<Signal>) {
    match signals {
        Some(signals) => drop(signals.recv().await),
        None => std::future::pending().await,
    }
}

/// Reloads until shutdown: the configuration, without whose file there is nothing to read again, and what is renewed beside it.
pub async fn keep_reloading(
    mut source: Option<Source>,
    mut hangups: Option<Signal>,
    program: Arc<dyn Reload>,
    renewed: Vec<Arc<dyn Renewed>>,
    counters: Arc<Counters>,
    shutdown: CancellationToken,
) {
    loop {
        let asked = tokio::select! {
            () = shutdown.cancelled() => return,
            () = arrival(&mut hangups) => true,
            () = tokio::time::sleep(LOOK_EVERY) => false,
        };
        for renewed in &renewed {
            renew(&**renewed, &counters);
        }
        let Some(source) = &mut source else {
            if asked {
                tracing::warn!("there is no configuration file to read again (--config)");
            }
            continue;
        };
        if source.has_changed() || asked {
            take(source, &*program, &counters);
        }
    }
}

/// What cannot be used of it is told once, and the one before goes on.
fn renew(renewed: &dyn Renewed, counters: &Counters) {
    let name = renewed.name();
    match renewed.renew() {
        None => {}
        Some(Ok(())) => {
            counters.taken.fetch_add(1, Ordering::Relaxed);
            tracing::info!("the files of {name} have changed and were read again");
        }
        Some(Err(error)) => {
            counters.refused.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                "the changed files of {name} are refused, what they held before goes on: {error}"
            );
        }
    }
}

fn take(source: &Source, program: &dyn Reload, counters: &Counters) {
    let file = source.path.display();
    let taken = source.load().map_err(|error| error.to_string()).and_then(|config| program.reload(config));
    counters.outdated.store(taken.is_err(), Ordering::Relaxed);
    match taken {
        Ok(waiting) => {
            counters.taken.fetch_add(1, Ordering::Relaxed);
            tracing::info!(%file, "the configuration was read again");
            if !waiting.is_empty() {
                let sections = waiting.join(", ");
                tracing::warn!(%file, "what has changed under {sections} takes effect at the next start");
            }
        }
        Err(error) => {
            counters.refused.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%file, "the changed configuration is refused, the one before goes on: {error}");
        }
    }
}
