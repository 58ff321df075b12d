//! `metrics`: lines count for metrics of the user's own. What the numbers add up to is kept by whoever shows them.

use std::sync::Arc;

use super::config::{MetricAction, MetricConfig, MetricShape};
use super::duration::go_duration;
use super::entry::Entry;
use super::error::is_label_name;
use super::pipeline::Context;

/// What Promtail puts before names without a prefix of their own.
const PREFIX: &str = "promtail_custom_";

/// Promtail's default of `max_idle_duration`: five minutes.
const MAX_IDLE: u64 = 300_000_000_000;

/// A metric that lines count for.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Whole name, without the `_total` that OpenMetrics puts behind counters.
    pub name: Arc<str>,
    /// What it does.
    pub shape: MetricShape,
    /// Help text.
    pub help: Arc<str>,
    /// Nanoseconds after which a series that is not updated goes.
    pub max_idle: u64,
}

#[derive(Debug, Clone)]
struct Rule {
    metric: Arc<Metric>,
    source: String,
    value: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Metrics(Vec<Rule>);

impl Metrics {
    pub fn new(configs: &[MetricConfig]) -> Result<Self, String> {
        if configs.is_empty() {
            return Err("expected at least one metric".into());
        }
        let (rules, faults): (Vec<_>, Vec<_>) = configs.iter().map(rule).partition(Result::is_ok);
        let faults: Vec<String> = faults.into_iter().filter_map(Result::err).collect();
        if faults.is_empty() {
            Ok(Self(rules.into_iter().flatten().collect()))
        } else {
            Err(faults.join("; "))
        }
    }

    pub fn apply(&self, entry: &Entry, context: &mut Context<'_>) {
        for rule in &self.0 {
            if let Some(value) = rule.value_of(entry) {
                context.out.metric(&rule.metric, value, entry);
            }
        }
    }
}

fn rule(config: &MetricConfig) -> Result<Rule, String> {
    let prefix = config.prefix.as_deref().filter(|prefix| !prefix.is_empty()).unwrap_or(PREFIX);
    let name = format!("{prefix}{}", config.name);
    let bad = |why: &str| Err(format!("metric `{}`: {why}", config.name));
    if !is_label_name(&name.replace(':', "_")) {
        return bad("its name may have letters, digits, `_` and `:`");
    }
    match &config.shape {
        MetricShape::Counter { action, match_all, count_entry_bytes } => {
            if !matches!(action, MetricAction::Inc | MetricAction::Add) {
                return bad("the `action` of a counter is `inc` or `add`");
            }
            if *match_all && config.value.is_some() {
                return bad("`match_all` and `value` cannot both be given");
            }
            if *count_entry_bytes && !(*match_all && *action == MetricAction::Add) {
                return bad("`count_entry_bytes` needs `match_all: true` and `action: add`");
            }
        }
        MetricShape::Gauge(_) => {}
        MetricShape::Histogram(buckets) => {
            if buckets.is_empty() || buckets.iter().any(|bound| bound.is_nan()) {
                return bad("a histogram needs `buckets`, a list of numbers");
            }
            if !buckets.is_sorted_by(|a, b| a < b) {
                return bad("its `buckets` must grow");
            }
        }
    }
    let is_counter = matches!(config.shape, MetricShape::Counter { .. });
    let metric = Metric {
        name: name.strip_suffix("_total").filter(|_| is_counter).unwrap_or(&name).into(),
        shape: config.shape.clone(),
        help: config.description.as_str().into(),
        max_idle: config.max_idle.unwrap_or(MAX_IDLE),
    };
    let source = config.source.clone().unwrap_or_else(|| config.name.clone());
    Ok(Rule { metric: Arc::new(metric), source, value: config.value.clone() })
}

impl Rule {
    /// What the metric is told of this line, if anything.
    fn value_of(&self, entry: &Entry) -> Option<f64> {
        if let MetricShape::Counter { match_all: true, count_entry_bytes, .. } = self.metric.shape {
            return Some(if count_entry_bytes { entry.line.len() as f64 } else { 1.0 });
        }
        let found = entry.extracted.get(&self.source)?;
        if self.value.as_ref().is_some_and(|value| value != found) {
            return None;
        }
        match &self.metric.shape {
            MetricShape::Counter { action: MetricAction::Inc, .. } => Some(1.0),
            MetricShape::Gauge(MetricAction::Inc | MetricAction::Dec) => Some(1.0),
            MetricShape::Counter { .. } => number(found).filter(|value| *value >= 0.0),
            MetricShape::Gauge(_) | MetricShape::Histogram(_) => number(found),
        }
    }
}

/// Numbers as they are, durations in seconds, `true` as 1.
fn number(text: &str) -> Option<f64> {
    match text {
        "true" => Some(1.0),
        "false" => Some(0.0),
        _ => {
            let plain = text.parse::<f64>().ok().filter(|value| value.is_finite());
            plain.or_else(|| go_duration(text).map(|nanos| nanos as f64 / 1e9))
        }
    }
}
