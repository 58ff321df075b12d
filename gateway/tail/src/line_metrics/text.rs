//! OpenMetrics text, each series with the trace of its last line.

use std::fmt::{self, Write as _};

use parsers::record::Labels;
use parsers::stage::MetricShape;

use super::{Family, LineMetrics, Track, bound, bucket_of};

impl LineMetrics {
    /// Appends the families as OpenMetrics has them. Series that were not updated for too long go. `now` is nanoseconds since
    /// the epoch.
    pub fn render(&self, now: u64, out: &mut String) {
        let mut state = self.lock();
        state.drop_idle(now);
        for (name, family) in &state.families {
            // Writing to a string does not fail.
            let _ = family.render(name, out);
        }
    }
}

impl Family {
    fn render(&self, name: &str, out: &mut String) -> fmt::Result {
        let kind = match self.metric.shape {
            MetricShape::Counter { .. } => "counter",
            MetricShape::Gauge(_) => "gauge",
            MetricShape::Histogram(_) => "histogram",
        };
        writeln!(out, "# HELP {name} {}\n# TYPE {name} {kind}", escaped(&self.metric.help))?;
        for (labels, track) in &self.tracks {
            let labels = text(labels)?;
            match &self.metric.shape {
                MetricShape::Counter { .. } => {
                    write!(out, "{name}_total{{{labels}}} {}", track.value)?;
                    track.end(true, out)?;
                }
                // An exemplar of a gauge is not in the format.
                MetricShape::Gauge(_) => writeln!(out, "{name}{{{labels}}} {}", track.value)?,
                MetricShape::Histogram(bounds) => track.histogram(name, &labels, bounds, out)?,
            }
        }
        Ok(())
    }
}

impl Track {
    fn histogram(&self, name: &str, labels: &str, bounds: &[f64], out: &mut String) -> fmt::Result {
        let comma = if labels.is_empty() { "" } else { "," };
        let last = self.exemplar.map(|example| bucket_of(bounds, example.value));
        let mut below = 0;
        for (at, count) in self.buckets.iter().enumerate() {
            below += count;
            write!(out, "{name}_bucket{{{labels}{comma}le=\"{}\"}} {below}", bound(bounds, at))?;
            self.end(last == Some(at), out)?;
        }
        writeln!(out, "{name}_sum{{{labels}}} {}\n{name}_count{{{labels}}} {}", self.value, self.count)
    }

    /// The end of a sample's line, with the exemplar or without.
    fn end(&self, with: bool, out: &mut String) -> fmt::Result {
        match self.exemplar.filter(|_| with) {
            Some(example) => {
                let (seconds, millis) = (example.time / 1_000_000_000, example.time / 1_000_000 % 1000);
                let (trace, value) = (example.trace, example.value);
                writeln!(out, " # {{trace_id=\"{trace}\"}} {value} {seconds}.{millis:03}")
            }
            None => writeln!(out),
        }
    }
}

fn text(labels: &Labels) -> Result<String, fmt::Error> {
    let mut text = String::new();
    for (name, value) in labels.iter() {
        let comma = if text.is_empty() { "" } else { "," };
        write!(text, "{comma}{name}=\"{}\"", escaped(value))?;
    }
    Ok(text)
}

/// As label values and help texts are written.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}
