mod pages;
mod targets;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use parsers::exposition::Format;
use parsers::record::{Labels, MetricBatch, Pairs};
use parsers::stage::relabel::{Relabel, RelabelAction, RelabelConfig};

use super::memory::Memory;
use super::page::{Outcome, Page, Reading, STALE};

/// A target's pages, one after the other.
struct Pages {
    reading: Reading,
    memory: Memory,
    time: u64,
}

impl Pages {
    fn new() -> Self {
        let labels = Arc::new(Labels::new([("job", "shop"), ("instance", "a:1")]));
        Self {
            reading: Reading {
                labels,
                metric_relabel: Relabel::default(),
                honor_labels: false,
                honor_timestamps: true,
                sample_limit: None,
            },
            memory: Memory::new(Arc::new(AtomicUsize::new(0)), Vec::new()),
            time: 1_000_000_000_000_000_000,
        }
    }

    /// Reads a page in OpenMetrics, which the sink takes.
    fn take(&mut self, page: &str) -> (MetricBatch, Outcome) {
        let taken = self.refuse(&format!("{page}# EOF\n"), Format::OpenMetrics);
        self.memory.commit(taken.1.whole);
        taken
    }

    /// Reads a page that the sink does not take.
    fn refuse(&mut self, page: &str, format: Format) -> (MetricBatch, Outcome) {
        self.time += 15_000_000_000;
        let mut reading = Page::new(&self.reading, &mut self.memory, self.time);
        reading.read(page.as_bytes(), format);
        reading.finish(0.5)
    }
}

/// The samples, one a line, less what is noted of the scrape itself.
fn samples(batch: &MetricBatch) -> Vec<String> {
    let lines = batch.samples.iter().filter_map(|row| {
        let labels = &batch.series[row.series as usize];
        let name = labels.get("__name__").unwrap();
        let pairs = labels.iter().filter(|(name, value)| {
            *name != "__name__"
                && (*name, *value) != ("job", "shop")
                && (*name, *value) != ("instance", "a:1")
        });
        let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
        let value =
            if row.value.to_bits() == STALE.to_bits() { "stale".to_owned() } else { row.value.to_string() };
        let noted = name == "up" || name.starts_with("scrape_");
        (!noted).then(|| format!("{name}{{{}}} {value}", pairs.join(",")))
    });
    lines.collect()
}

/// A series that is noted of the scrape itself.
fn noted(batch: &MetricBatch, name: &str) -> f64 {
    let row =
        batch.samples.iter().find(|row| batch.series[row.series as usize].get("__name__") == Some(name));
    row.unwrap().value
}

/// Trace, span, value and labels of the exemplars.
fn exemplars(batch: &MetricBatch) -> Vec<String> {
    let lines = batch.exemplars.iter().map(|row| {
        let name = batch.series[row.series as usize].get("__name__").unwrap();
        let pairs = Pairs::new(row.labels.of(&batch.meta)).map(|(name, value)| format!("{name}={value}"));
        let pairs = pairs.collect::<Vec<_>>().join(",");
        format!("{name} {:x} {:x} {{{pairs}}} {} @{}", row.trace, row.span, row.value, row.time)
    });
    lines.collect()
}

fn relabel(rules: &[(RelabelAction, &str, &str)]) -> Relabel {
    let rules = rules.iter().map(|(action, source, regex)| RelabelConfig {
        action: *action,
        source_labels: if source.is_empty() { Vec::new() } else { vec![(*source).to_owned()] },
        regex: (*regex).to_owned(),
        ..RelabelConfig::default()
    });
    Relabel::new(&rules.collect::<Vec<_>>()).unwrap()
}
