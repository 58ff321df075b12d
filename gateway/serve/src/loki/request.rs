//! What Loki's clients ask, read from parameters, with Loki's own defaults.

use std::time::Duration;

use axum::http::HeaderMap;
use store::read::{Direction, Window};

use crate::failure::Failure;
use crate::parameters::{Parameters, SECOND};

/// Lines in an answer when the client does not say, as Loki has it.
const DEFAULT_LIMIT: usize = 100;
/// Most lines in an answer, as Loki has it: what a browser can show.
const MAX_LIMIT: usize = 5_000;
/// How far back a query looks when the client does not say, as Loki has it.
const QUERY_LOOKBACK: u64 = 3_600 * SECOND;
/// How far back label calls look when the client does not say, as Loki has it.
const LISTING_LOOKBACK: u64 = 6 * 3_600 * SECOND;
/// Steps into which a range is cut when the client does not say, as Loki has it.
const DEFAULT_STEPS: u64 = 250;
/// Most points of a series, as Prometheus and Loki have it: more than a screen has pixels.
const MAX_POINTS: u64 = 11_000;
/// The header in which clients name encodings, and the one that we know.
const FLAGS_HEADER: &str = "x-loki-response-encoding-flags";
pub(super) const CATEGORIZE: &str = "categorize-labels";

/// `query_range`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RangeRequest {
    pub(super) query: String,
    /// Nanoseconds, inside.
    pub(super) start: u64,
    /// Nanoseconds; lines of this instant are outside, a metric's last point is on it.
    pub(super) end: u64,
    pub(super) step: Duration,
    /// From one line of the answer to the next at least.
    pub(super) interval: Duration,
    pub(super) limit: usize,
    pub(super) direction: Direction,
}

/// `query`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InstantRequest {
    pub(super) query: String,
    /// Nanoseconds.
    pub(super) time: u64,
    pub(super) limit: usize,
    pub(super) direction: Direction,
}

/// `index/volume` and `index/volume_range`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VolumeRequest {
    pub(super) query: String,
    pub(super) window: Window,
    /// Volumes are summed by these; `None` says by those that the query names.
    pub(super) targets: Option<Vec<String>>,
    /// Label by label instead of label set by label set.
    pub(super) by_label: bool,
    pub(super) limit: usize,
    /// Nanoseconds; of a range.
    pub(super) step: Option<u64>,
}

impl VolumeRequest {
    pub(super) fn read(parameters: &Parameters, now: u64, ranged: bool) -> Result<Self, Failure> {
        let targets = parameters.get("targetLabels");
        let window = window(parameters, now, QUERY_LOOKBACK)?;
        Ok(Self {
            query: query(parameters)?.to_owned(),
            window,
            targets: targets.map(|names| names.split(',').map(|name| name.trim().to_owned()).collect()),
            by_label: match parameters.get("aggregateBy").unwrap_or("series") {
                "series" => false,
                "labels" => true,
                _ => return Err(Failure::refused("invalid aggregation option: expected series or labels")),
            },
            limit: limit(parameters)?,
            step: if ranged { Some(step(parameters, window)?) } else { None },
        })
    }
}

impl RangeRequest {
    pub(super) fn read(parameters: &Parameters, now: u64) -> Result<Self, Failure> {
        let window = window(parameters, now, QUERY_LOOKBACK)?;
        let step = step(parameters, window)?;
        Ok(Self {
            query: query(parameters)?.to_owned(),
            start: window.start,
            end: window.end,
            step: Duration::from_nanos(step),
            interval: interval(parameters)?,
            limit: limit(parameters)?,
            direction: direction(parameters)?,
        })
    }
}

impl InstantRequest {
    pub(super) fn read(parameters: &Parameters, now: u64) -> Result<Self, Failure> {
        Ok(Self {
            query: query(parameters)?.to_owned(),
            time: parameters.time("time")?.unwrap_or(now),
            limit: limit(parameters)?,
            direction: direction(parameters)?,
        })
    }
}

/// The window of a label or series call.
pub(super) fn listing_window(parameters: &Parameters, now: u64) -> Result<Window, Failure> {
    window(parameters, now, LISTING_LOOKBACK)
}

/// Whether lines shall tell labels, structured metadata and parsed labels apart.
pub(super) fn categorized(headers: &HeaderMap) -> bool {
    headers
        .get_all(FLAGS_HEADER)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|flag| flag.trim() == CATEGORIZE)
}

fn step(parameters: &Parameters, window: Window) -> Result<u64, Failure> {
    let span = window.end - window.start;
    let step = match parameters.duration("step")? {
        Some(0) => {
            let text: String = parameters.get("step").unwrap_or_default().chars().take(64).collect();
            return Err(Failure::refused(format!(
                "invalid step {text:?}: zero or negative query resolution step widths are not accepted. Try a positive integer"
            )));
        }
        Some(step) => step,
        None => (span / SECOND / DEFAULT_STEPS).max(1) * SECOND,
    };
    if span / step > MAX_POINTS {
        return Err(Failure::refused(
            "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter",
        ));
    }
    Ok(step)
}

fn interval(parameters: &Parameters) -> Result<Duration, Failure> {
    if parameters.get("interval").is_some_and(|text| text.starts_with('-')) {
        return Err(Failure::refused("interval must be >= 0"));
    }
    Ok(Duration::from_nanos(parameters.duration("interval")?.unwrap_or(0)))
}

pub(super) fn query(parameters: &Parameters) -> Result<&str, Failure> {
    match parameters.get("query") {
        Some(query) => Ok(query),
        None => Err(Failure::refused("query is missing: expected LogQL in the parameter `query`")),
    }
}

fn window(parameters: &Parameters, now: u64, lookback: u64) -> Result<Window, Failure> {
    let end = parameters.time("end")?.unwrap_or(now);
    let since = parameters.duration("since")?.unwrap_or(lookback);
    let start = parameters.time("start")?.unwrap_or_else(|| end.min(now).saturating_sub(since));
    if end < start {
        return Err(Failure::refused("end timestamp must not be before or equal to start time"));
    }
    Ok(Window { start, end })
}

fn limit(parameters: &Parameters) -> Result<usize, Failure> {
    let limit = parameters.count("limit")?.unwrap_or(DEFAULT_LIMIT);
    match limit {
        0 => Err(Failure::refused("limit must be a positive value")),
        1..=MAX_LIMIT => Ok(limit),
        _ => Err(Failure::refused(format!(
            "max entries limit per query exceeded, limit > max_entries_limit ({limit} > {MAX_LIMIT})"
        ))),
    }
}

fn direction(parameters: &Parameters) -> Result<Direction, Failure> {
    let direction = parameters.get("direction").unwrap_or("backward");
    match direction.to_ascii_lowercase().as_str() {
        "forward" => Ok(Direction::Forward),
        "backward" => Ok(Direction::Backward),
        _ => Err(Failure::refused(format!(
            "invalid direction {:?}: expected forward or backward",
            direction.chars().take(64).collect::<String>()
        ))),
    }
}
