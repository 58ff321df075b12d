//! What the scraper reports of each target, as `/api/v1/scrape/targets` shows it.

use std::sync::Arc;

use receive::scrape::{self, TargetReport};
use serve::{DroppedTarget, FailingDiscovery, ScrapeTarget, ScrapeTargetsBody};

/// The targets of a scraper.
pub struct Scraped(pub Arc<scrape::Scraping>);

impl serve::Scraping for Scraped {
    fn targets(&self) -> ScrapeTargetsBody {
        let snapshot = self.0.snapshot();
        let dropped = |target: scrape::DroppedTarget| DroppedTarget {
            job: target.job,
            discovered_labels: target.labels.into_iter().collect(),
            reason: target.reason,
        };
        let failing = |(source, error)| FailingDiscovery { source, error };
        ScrapeTargetsBody {
            targets: snapshot.targets.into_iter().map(target).collect(),
            omitted: 0,
            dropped: snapshot.dropped.into_iter().map(dropped).collect(),
            omitted_dropped: snapshot.more_dropped,
            failing_discoveries: snapshot.discovery.into_iter().map(failing).collect(),
        }
    }
}

fn target(report: TargetReport) -> ScrapeTarget {
    ScrapeTarget {
        job: report.job,
        url: report.url,
        labels: report.labels.into_iter().collect(),
        health: report.health.as_str(),
        last_error: report.last_error,
        last_scrape_unix_nano: (report.last_scrape > 0).then(|| report.last_scrape.to_string()),
        last_scrape_duration_seconds: report.last_duration.as_secs_f64(),
        interval_seconds: report.interval.as_secs_f64(),
        samples: report.samples,
        samples_post_metric_relabeling: report.kept_samples,
        exemplars: report.exemplars,
        exemplars_total: report.all_exemplars,
        bad_lines: report.bad_lines,
        scrapes_total: report.scrapes,
    }
}
