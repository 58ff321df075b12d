//! What the tailer counts of each file, as `/api/v1/collect/files` shows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serve::{CollectedFile, Collecting, FileLoss};
use tail::{ContainerReport, Loss, Lost};

/// The files of a tailer.
pub struct Collected(pub Arc<tail::Counters>);

impl Collecting for Collected {
    fn files(&self) -> Vec<CollectedFile> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        self.0.containers().iter().map(|report| file(report, now)).collect()
    }
}

fn file(report: &ContainerReport, now: u64) -> CollectedFile {
    let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let linked = report.linked();
    CollectedFile {
        path: Arc::clone(&report.path),
        namespace: Arc::clone(&report.namespace),
        pod: Arc::clone(&report.pod),
        container: Arc::clone(&report.container),
        open_files: get(&report.open),
        bytes_read: get(&report.bytes),
        bytes_acknowledged: get(&report.acknowledged),
        bytes_behind: get(&report.behind),
        lag_seconds: report.lag(now) as f64 / 1e9,
        lines: get(&report.lines),
        linked_lines: linked.values().sum(),
        linked_share: None,
        linked_by_rule: linked,
        invalid_utf8_lines: get(&report.invalid_utf8),
        bytes_lost: Lost::ALL.iter().map(|reason| report.lost(*reason)).sum(),
        losses: Lost::ALL.iter().map(|reason| report.losses(*reason)).sum(),
        problems: report.problems.clone(),
        recent_losses: report.recent_losses().iter().map(loss).collect(),
    }
}

fn loss(loss: &Loss) -> FileLoss {
    FileLoss {
        reason: loss.reason.as_str(),
        file: loss.file.map(|file| format!("{}:{}", file.device, file.inode)),
        from: loss.from,
        to: loss.to,
        bytes: loss.bytes,
        time_unix_nano: loss.time.to_string(),
    }
}
