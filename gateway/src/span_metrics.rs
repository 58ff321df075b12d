//! Series made of spans: counted as those are stored, written into the store as samples, and shown to whoever scrapes.
//!
//! What is counted and how is `correlate`'s; here are the clock and the text. Spans are counted by a thread that has stored some: to hand
//! each batch to another costs nearly as much again. Several batches are counted at once, since what is counted is far from a
//! thread that has done something else meanwhile. The text is not written by the metrics library, which gives no way to show exemplars
//! of a histogram that it does not keep itself.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use correlate::red::{Example, RedOptions, RedStats, SpanMetrics, Track, bound};
use parsers::record::{Batch, Labels, SpanId, TraceId};
use store::Store;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Bytes of batches that wait to be counted: some 16,000 spans, which take some milliseconds.
const MAX_STORED: usize = 8 << 20;

/// What was counted of spans; shared by those who count and those who look.
#[derive(Debug)]
pub struct Counted {
    metrics: Mutex<SpanMetrics>,
    stored: Mutex<Stored>,
}

/// What was stored and is not yet counted.
#[derive(Debug, Default)]
struct Stored {
    /// Each with the time at which it came.
    batches: Vec<(Arc<Batch>, u64)>,
    /// Of all of them.
    bytes: usize,
}

impl Counted {
    /// Nothing yet, with these settings.
    pub fn new(options: &RedOptions) -> Self {
        Self { metrics: Mutex::new(SpanMetrics::new(options, now())), stored: Mutex::default() }
    }

    /// Counts the spans of a batch that was stored, or lets them wait for more; it takes a third of a microsecond for each.
    pub fn count(&self, batch: Arc<Batch>) {
        let bytes = {
            let mut stored = lock(&self.stored);
            stored.bytes += batch.size();
            stored.batches.push((batch, now()));
            stored.bytes
        };
        if bytes >= MAX_STORED {
            drop(self.all());
        }
    }

    /// What was counted, all that was stored included.
    fn all(&self) -> MutexGuard<'_, SpanMetrics> {
        let mut metrics = lock(&self.metrics);
        // Not before: nobody may see what is neither here nor there.
        let stored = std::mem::take(&mut *lock(&self.stored));
        for (batch, came) in stored.batches {
            metrics.add(&batch.spans, came);
        }
        metrics
    }

    /// What became of spans.
    pub fn stats(&self) -> RedStats {
        self.all().stats()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes samples of what is counted into the store until shutdown, and once more then.
pub async fn run(counted: Arc<Counted>, every: Duration, store: Store, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let stopping = tokio::select! {
            _ = ticks.tick() => false,
            () = shutdown.cancelled() => true,
        };
        let (counted, store) = (Arc::clone(&counted), store.clone());
        // It cannot fail but by a defect, which the log tells.
        let _ = tokio::task::spawn_blocking(move || write(&counted, &store)).await;
        if stopping {
            return;
        }
    }
}

fn write(counted: &Counted, store: &Store) {
    let metrics = counted.all().collect(now());
    if metrics.samples.is_empty() {
        return;
    }
    if let Err(refused) = store.append(Arc::new(Batch { metrics, ..Batch::default() })) {
        tracing::warn!(%refused, "samples of spans were not stored; counters go on, and the next have all");
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

impl serve::SpanMetrics for Counted {
    fn text(&self, shown: &dyn Fn(&Labels) -> bool) -> Option<String> {
        let metrics = self.all();
        let bounds: Vec<String> = metrics.bounds().iter().map(|nanos| bound(*nanos)).collect();
        let mut tracks: Vec<&Track> = metrics.tracks().filter(|track| shown(&track.labels)).collect();
        tracks.sort_by_key(|track| (track.shape.counters.first().map(|(name, _)| *name), &track.labels));
        let mut out = String::new();
        for of_shape in tracks.chunk_by(|a, b| a.shape == b.shape) {
            let Some(shape) = of_shape.first().map(|track| track.shape) else { continue };
            for (at, (name, help)) in shape.counters.iter().enumerate() {
                let family = name.strip_suffix("_total").unwrap_or(name);
                writeln!(out, "# HELP {family} {help}.\n# TYPE {family} counter").ok()?;
                for track in of_shape {
                    let count = track.counters.get(at).copied().unwrap_or_default();
                    write_labels(&mut out, name, &track.labels, None)?;
                    writeln!(out, " {count}").ok()?;
                }
            }
            for (at, (name, help)) in shape.histograms.iter().enumerate() {
                writeln!(out, "# HELP {name} {help}.\n# TYPE {name} histogram").ok()?;
                of_shape.iter().try_for_each(|track| histogram(&mut out, name, track, at, &bounds))?;
            }
        }
        out.push_str("# EOF\n");
        Some(out)
    }
}

fn histogram(out: &mut String, name: &str, track: &Track, at: usize, bounds: &[String]) -> Option<()> {
    let histogram = track.histograms.get(at)?;
    let mut sum = 0;
    let bounds = bounds.iter().map(String::as_str).chain(["+Inf"]);
    for ((bound, count), examples) in bounds.zip(histogram.counts()).zip(&histogram.examples) {
        sum += count;
        write_labels(out, &format!("{name}_bucket"), &track.labels, Some(bound))?;
        write!(out, " {sum}").ok()?;
        if let Some(example) = examples.shown() {
            exemplar(out, &example)?;
        }
        out.push('\n');
    }
    write_labels(out, &format!("{name}_sum"), &track.labels, None)?;
    writeln!(out, " {}", histogram.sum as f64 / 1e9).ok()?;
    write_labels(out, &format!("{name}_count"), &track.labels, None)?;
    writeln!(out, " {sum}").ok()
}

fn exemplar(out: &mut String, example: &Example) -> Option<()> {
    let Some(trace) = TraceId::new(example.trace, example.spelling) else { return Some(()) };
    write!(out, " # {{trace_id=\"{trace}\"").ok()?;
    if let Some(span) = SpanId::new(example.span) {
        write!(out, ",span_id=\"{span}\"").ok()?;
    }
    let (seconds, millis) = (example.time / 1_000_000_000, example.time / 1_000_000 % 1000);
    write!(out, "}} {} {seconds}.{millis:03}", example.nanos as f64 / 1e9).ok()
}

fn write_labels(out: &mut String, name: &str, labels: &Labels, le: Option<&str>) -> Option<()> {
    out.push_str(name);
    let mut before = '{';
    for (label, value) in labels.iter().chain(le.map(|le| ("le", le))) {
        write!(out, "{before}{label}=\"").ok()?;
        for c in value.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                c => out.push(c),
            }
        }
        out.push('"');
        before = ',';
    }
    if before == ',' {
        out.push('}');
    }
    Some(())
}
