//! Settings of the series that are made of spans.

use std::time::Duration;

/// Upper bounds of durations in seconds, as Tempo's generator has them: from a cache's answer to a report's.
pub const DEFAULT_BUCKETS: [f64; 14] =
    [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384];
/// Series at most, buckets counted: some 2,600 combinations of service, operation, kind and status, and about 20 MB.
pub const DEFAULT_MAX_SERIES: usize = 50_000;
/// How often samples are written: what Prometheus scrapes are set to most.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(15);
/// How long one side of a call waits for the other: as long as the graph of what is stored does.
pub const DEFAULT_WAIT: Duration = Duration::from_nanos(store::read::PAIRING_WAIT);

/// What is made of spans, and how much of it.
#[derive(Debug, Clone, PartialEq)]
pub struct RedOptions {
    /// Upper bounds of buckets, in seconds, ascending.
    pub buckets: Vec<f64>,
    /// Attributes of spans or of their resources that become labels of span metrics.
    pub dimensions: Vec<String>,
    /// Series at most; what of a service is more than its share is counted under `span_name="(others)", metric_overflow="true"`.
    pub max_series: usize,
    /// How long one side of a call waits for the other, as a message may lie in its queue. Not for longer than there is room: for 50,000.
    pub wait: Duration,
}

impl Default for RedOptions {
    fn default() -> Self {
        Self {
            buckets: DEFAULT_BUCKETS.into(),
            dimensions: Vec::new(),
            max_series: DEFAULT_MAX_SERIES,
            wait: DEFAULT_WAIT,
        }
    }
}

/// The label for an attribute: what is no letter, digit or underscore becomes one.
pub fn label_of(attribute: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let label: String = attribute.chars().map(plain).collect();
    if label.starts_with(|c: char| c.is_ascii_digit()) { format!("_{label}") } else { label }
}
