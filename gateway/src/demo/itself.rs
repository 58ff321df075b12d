//! The demo scrapes its own `/metrics`, as a Prometheus would scrape a Trefoil: its dashboard about Trefoil has something to show.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use receive::scrape::{Job, ScrapeOptions};

use super::exporter::reachable;

/// What the chart's monitors call it, too.
const JOB: &str = "trefoil";
/// A rate needs two samples: somebody who has just started the demo sees one after a quarter of a minute.
const INTERVAL: Duration = Duration::from_secs(5);

/// Adds the job, unless the configuration has one of that name. Its target is named by `file`, since the port may be chosen by
/// the system later.
pub(crate) fn scrape_itself(options: &mut ScrapeOptions, file: &Path) {
    if options.jobs.iter().any(|job| job.name == JOB) {
        return;
    }
    let own = Job::new(JOB);
    options.jobs.push(Job {
        interval: INTERVAL,
        timeout: INTERVAL,
        files: vec![file.display().to_string()],
        ..own
    });
}

/// Writes the target down: the gateway's main port.
pub(crate) fn name_itself(file: &Path, main: SocketAddr) -> io::Result<()> {
    std::fs::write(file, format!("- {{targets: ['{}']}}\n", reachable(main)))
}
