//! Trefoil's own metrics: each part counts plainly, this reads the counts at a scrape and gives them their names.
//!
//! Names, kinds and help come from [`MetricName`], the one list; the request metrics with their exemplars are registered by
//! `serve` itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use dashboards::metric_names::{MetricKind, MetricName, MetricUnit};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

/// One value at the moment of a scrape.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    name: MetricName,
    labels: Vec<(&'static str, String)>,
    value: f64,
}

/// What a scrape collects into.
#[derive(Debug, Default)]
pub struct Readings(Vec<Reading>);

impl Readings {
    /// A series without labels.
    pub fn put(&mut self, name: MetricName, value: u64) {
        self.with(name, Vec::new(), value as f64);
    }

    /// A series with labels.
    pub fn with(&mut self, name: MetricName, labels: Vec<(&'static str, String)>, value: f64) {
        self.0.push(Reading { name, labels, value });
    }
}

/// A part that is asked at each scrape.
pub type Source = Box<dyn Fn(&mut Readings) + Send + Sync>;

struct Parts {
    sources: Vec<Source>,
    started: Instant,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parts({})", self.sources.len())
    }
}

/// What `/metrics` says: our own metrics, and those that `metrics` stages count of lines.
#[derive(Debug)]
pub struct Exposition {
    /// Our own.
    pub registry: Registry,
    /// Of the lines.
    pub tailed: Arc<tail::Counters>,
}

impl serve::Metrics for Exposition {
    fn text(&self) -> Option<String> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).ok()?;
        let end = text.strip_suffix(EOF)?.len();
        text.truncate(end);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        self.tailed.line_metrics.render(now, &mut text);
        text.push_str(EOF);
        Some(text)
    }
}

/// The last line of the format.
const EOF: &str = "# EOF\n";

/// Registers the parts' counts.
pub fn register(registry: &mut Registry, sources: Vec<Source>) {
    registry.register_collector(Box::new(Parts { sources, started: Instant::now() }));
}

impl Collector for Parts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut readings = Readings::default();
        readings.with(MetricName::Uptime, Vec::new(), self.started.elapsed().as_secs_f64());
        readings.with(MetricName::Build, vec![("version", env!("CARGO_PKG_VERSION").to_owned())], 1.0);
        for source in &self.sources {
            source(&mut readings);
        }
        let mut families: BTreeMap<MetricName, Vec<Reading>> = BTreeMap::new();
        for reading in readings.0 {
            families.entry(reading.name).or_default().push(reading);
        }
        for (name, readings) in families {
            let unit = name.unit().map(|unit| match unit {
                MetricUnit::Seconds => Unit::Seconds,
                MetricUnit::Bytes => Unit::Bytes,
            });
            let kind = match name.kind() {
                MetricKind::Counter => MetricType::Counter,
                MetricKind::Histogram => MetricType::Histogram,
                MetricKind::Info => MetricType::Info,
                MetricKind::Gauge => MetricType::Gauge,
            };
            // The library adds the full stop that OpenMetrics help texts end in only for its own registrations.
            let help = format!("{}.", name.help());
            let stem = name.stem();
            let mut family = encoder.encode_descriptor(&stem, &help, unit.as_ref(), kind)?;
            for reading in readings {
                if reading.labels.is_empty() {
                    match name.kind() {
                        MetricKind::Counter => {
                            family.encode_counter::<NoLabelSet, f64, f64>(&reading.value, None)?;
                        }
                        _ => family.encode_gauge(&reading.value)?,
                    }
                    continue;
                }
                match name.kind() {
                    MetricKind::Counter => {
                        family
                            .encode_family(&reading.labels)?
                            .encode_counter::<NoLabelSet, f64, f64>(&reading.value, None)?;
                    }
                    MetricKind::Info => family.encode_info(&reading.labels)?,
                    MetricKind::Gauge | MetricKind::Histogram => {
                        family.encode_family(&reading.labels)?.encode_gauge(&reading.value)?;
                    }
                }
            }
        }
        Ok(())
    }
}
