//! What is scraped here, as Prometheus tells of its targets.

use parsers::record::format_rfc3339;
use serde_json::{Value, json};

use crate::parameters::Parameters;
use crate::scrape::{ScrapeTarget, ScrapeTargetsBody};

/// What a target that was not scraped yet has for the time of its last scrape.
const NEVER: &str = "0001-01-01T00:00:00Z";

fn target(target: &ScrapeTarget) -> Value {
    let last = target.last_scrape_unix_nano.as_deref().and_then(|nanos| nanos.parse().ok());
    json!({
        "discoveredLabels": { "__address__": address(&target.url), "job": target.job },
        "labels": target.labels,
        "scrapePool": target.job,
        "scrapeUrl": target.url,
        "globalUrl": target.url,
        "lastError": target.last_error.as_deref().unwrap_or_default(),
        "lastScrape": last.map_or_else(|| NEVER.to_owned(), format_rfc3339),
        "lastScrapeDuration": target.last_scrape_duration_seconds,
        "health": target.health,
        "scrapeInterval": format!("{}s", target.interval_seconds),
    })
}

/// Host and port of a URL.
fn address(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default()
}

/// Those in the state that is asked for (`active` or `dropped`), or all; active ones of one pool, if that is asked for.
pub(super) fn targets(all: &ScrapeTargetsBody, parameters: &Parameters) -> Value {
    let (state, pool) = (parameters.get("state"), parameters.get("scrapePool"));
    let wanted = |name: &str| state.is_none_or(|state| state == name || state == "any");
    let of_pool = |target: &&ScrapeTarget| pool.is_none_or(|pool| pool == target.job);
    let active = all.targets.iter().filter(|_| wanted("active")).filter(of_pool).map(target);
    let dropped = all.dropped.iter().filter(|_| wanted("dropped"));
    let dropped = dropped.map(|target| json!({ "discoveredLabels": target.discovered_labels }));
    json!({ "activeTargets": active.collect::<Value>(), "droppedTargets": dropped.collect::<Value>() })
}
