//! The samples that both sides are given: counters with resets, gauges with gaps, series that end and come back, classic and
//! native histograms, values that are no numbers, labels of many shapes.

use std::sync::Arc;

use parsers::otlp::Writer;
use parsers::record::{Batch, ByteRange, Labels, MetricBatch, NativeHistogram, SampleRow};

/// Samples of one series at one interval for an hour and a half.
const COUNT: u64 = 360;
const INTERVAL: u64 = 15_000;
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
/// How many writes the samples come in.
const PARTS: u64 = 6;

pub enum What {
    Float(f64),
    Native(NativeHistogram),
}

/// A series and its samples by time in milliseconds.
pub struct Written {
    pub labels: Labels,
    pub samples: Vec<(u64, What)>,
}

/// Deterministic noise in `0..1`.
fn noise(seed: u64, number: u64) -> f64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 31;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^= x >> 29;
    (x >> 11) as f64 / (1u64 << 53) as f64
}

struct Corpus {
    base: u64,
    series: Vec<Written>,
}

impl Corpus {
    /// A series whose value at each interval is given; the odd milliseconds keep it off every range's ends.
    fn add(&mut self, labels: &[(&str, &str)], value: impl Fn(u64) -> Option<f64>) {
        self.add_with(labels, |number| value(number).map(What::Float));
    }

    fn add_with(&mut self, labels: &[(&str, &str)], value: impl Fn(u64) -> Option<What>) {
        let offset = [137, 3_211, 7_389, 11_611][self.series.len() % 4];
        let at = |number: u64| self.base + number * INTERVAL + offset;
        let samples = (0..COUNT).filter_map(|number| Some((at(number), value(number)?))).collect();
        self.series.push(Written { labels: Labels::new(labels.iter().copied()), samples });
    }

    fn counters(&mut self) {
        for (j, job) in ["api", "web"].iter().enumerate() {
            for instance in ["0", "1", "2"] {
                for (c, code) in ["200", "404", "500"].iter().enumerate() {
                    let seed = self.series.len() as u64;
                    let slope = 10.0 / (c + 1) as f64 + j as f64;
                    let labels = [
                        ("__name__", "http_requests_total"),
                        ("job", job),
                        ("instance", instance),
                        ("code", code),
                    ];
                    // Some begin anew once or twice, never right after a gap.
                    let reset = if seed.is_multiple_of(3) { 110 + seed } else { COUNT };
                    self.add(&labels, |n| {
                        let since = if n < reset { n + 40 } else { n - reset };
                        let gap = seed.is_multiple_of(5) && (200..230).contains(&n);
                        (!gap).then(|| since as f64 * slope + noise(seed, n) * slope)
                    });
                }
            }
        }
        self.add(&[("__name__", "idle_total"), ("job", "api")], |_| Some(17.0));
        self.add(&[("__name__", "young_total"), ("job", "api")], |n| {
            (n > 180).then(|| (n - 181) as f64 * 3.0)
        });
        self.add(&[("__name__", "old_total"), ("job", "api")], |n| (n < 150).then_some(n as f64 * 2.5));
    }

    fn gauges(&mut self) {
        for (r, room) in ["attic", "cellar", "kitchen", "hall"].iter().enumerate() {
            let labels = [("__name__", "temperature"), ("room", room), ("floor", ["2", "0", "1", "1"][r])];
            self.add(&labels, |n| {
                let gap = r == 1 && n % 50 > 35;
                (!gap).then(|| 20.0 - 9.0 * r as f64 + 5.0 * (n as f64 / 20.0).sin() + noise(r as u64 + 7, n))
            });
            let labels = [("__name__", "humidity"), ("room", room)];
            self.add(&labels, |n| Some(50.0 + r as f64 + (n % 17) as f64 * 0.25));
        }
        for (v, version) in ["1.0", "1.1", "2.0"].iter().enumerate() {
            let instance = v.to_string();
            let labels = [
                ("__name__", "build_info"),
                ("job", "api"),
                ("instance", instance.as_str()),
                ("version", version),
            ];
            self.add(&labels, |_| Some(1.0));
            let labels = [("__name__", "replicas"), ("job", "api"), ("instance", instance.as_str())];
            self.add(&labels, |n| Some(((n / 40 + v as u64) % 3) as f64));
            let labels = [("__name__", "started_seconds"), ("instance", instance.as_str())];
            self.add(&labels, |n| Some(1_582_934_400.5 + 86_400.0 * (n * 37 * (v as u64 + 1)) as f64));
        }
        let labels = [("__name__", "build_info"), ("job", "web"), ("instance", "0"), ("version", "2.0")];
        self.add(&labels, |_| Some(1.0));
    }

    fn odd_values(&mut self) {
        type Kind = (&'static str, fn(u64) -> f64);
        let kinds: [Kind; 8] = [
            ("nan", |_| f64::NAN),
            ("inf", |_| f64::INFINITY),
            ("neginf", |_| f64::NEG_INFINITY),
            ("zero", |n| if n % 2 == 0 { 0.0 } else { -0.0 }),
            ("sometimes_nan", |n| if n % 5 == 0 { f64::NAN } else { n as f64 - 180.0 }),
            ("sometimes_inf", |n| if n % 90 == 0 { f64::INFINITY } else { n as f64 / 7.0 }),
            ("small", |n| 1e-7 * (n + 1) as f64),
            ("large", |n| 1e9 + n as f64 * 1e5),
        ];
        for (kind, value) in kinds {
            self.add(&[("__name__", "odd"), ("kind", kind)], |n| Some(value(n)));
        }
        // Ends, and comes back; one for good.
        self.add(&[("__name__", "coming"), ("which", "back")], |n| match n {
            100 | 300 => Some(STALE),
            101..=160 => None,
            _ => Some(n as f64),
        });
        self.add(&[("__name__", "coming"), ("which", "never")], |n| match n {
            190 => Some(STALE),
            191.. => None,
            _ => Some(-(n as f64)),
        });
        self.add(&[("__name__", "coming"), ("which", "silent")], |n| (n < 200).then_some(1.0));
        // Follow one another under labels that become the same without `part`.
        for (part, range) in [("a", 0..120), ("b", 150..240), ("c", 262..360)] {
            self.add(&[("__name__", "relay"), ("part", part)], |n| range.contains(&n).then_some(n as f64));
        }
    }

    fn shapes(&mut self) {
        for n in 0..12u64 {
            let (a, b, c) = (format!("{}", n % 2), format!("{}", n % 3), format!("{}", n % 4));
            let mut labels = vec![("__name__", if n < 6 { "shape" } else { "form" }), ("a", &a), ("b", &b)];
            if n % 4 > 0 {
                labels.push(("c", &c));
            }
            self.add(&labels, |number| Some((n + 1) as f64 * 10.0 + noise(n, number / 30)));
        }
        let odd = "é \"quoted\" \\ {x=y}\nline";
        self.add(&[("__name__", "shape:rule"), ("text", odd)], |n| Some(n as f64));
        self.add(&[("__name__", "label_only"), ("src", "source-value-10"), ("dst", "old")], |_| Some(1.0));
        self.add(&[("__name__", "label_only"), ("src", "source-value-20"), ("dst", "old")], |_| Some(2.0));
    }

    fn classic(&mut self) {
        let bounds = ["0.005", "0.1", "0.5", "1", "2.5", "10", "+Inf"];
        for job in ["api", "web"] {
            for instance in ["0", "1"] {
                let seed = self.series.len() as u64;
                let mut total = 0.0;
                for (b, bound) in bounds.iter().enumerate() {
                    let share = [0.1, 0.3, 0.6, 0.8, 0.9, 0.97, 1.0][b];
                    let labels = [
                        ("__name__", "request_seconds_bucket"),
                        ("job", job),
                        ("instance", instance),
                        ("le", bound),
                    ];
                    self.add(&labels, |n| Some((share * (n * (seed % 7 + 3)) as f64).floor()));
                    total = share;
                }
                let labels = [("job", job), ("instance", instance)];
                let named = |name| [("__name__", name), labels[0], labels[1]];
                self.add(&named("request_seconds_count"), |n| {
                    Some((total * (n * (seed % 7 + 3)) as f64).floor())
                });
                self.add(&named("request_seconds_sum"), |n| Some(n as f64 * 1.7));
            }
        }
        for (bound, value) in [("1", 10.0), ("2", 8.0), ("1.0", 2.0), ("4", 15.0), ("+Inf", 14.0)] {
            self.add(&[("__name__", "strange_bucket"), ("le", bound)], |_| Some(value));
        }
        for (bound, value) in [("1", 10.0), ("2", 12.0)] {
            self.add(&[("__name__", "open_bucket"), ("le", bound)], |_| Some(value));
        }
        for (bound, value) in [("-5", 3.0), ("-1", 4.0), ("0", 9.0), ("+Inf", 9.0)] {
            self.add(&[("__name__", "negative_bucket"), ("le", bound)], |_| Some(value));
        }
        self.add(&[("__name__", "open_bucket"), ("le", "many")], |_| Some(1.0));
    }

    fn native(&mut self) {
        for (i, instance) in ["0", "1"].iter().enumerate() {
            let labels = [("__name__", "native_seconds"), ("job", "api"), ("instance", instance)];
            self.add_with(&labels, |n| {
                let n = if i == 1 && n > 200 { n - 200 } else { n } as f64;
                let positive: Vec<(i32, f64)> = [(-2, 2.0), (-1, 3.0), (0, 5.0), (3, 1.0)]
                    .map(|(index, per)| (index, n * per))
                    .into_iter()
                    .filter(|_| n > 0.0)
                    .collect();
                let zero_count = n * 4.0;
                let count = zero_count + positive.iter().map(|(_, count)| count).sum::<f64>();
                Some(What::Native(NativeHistogram {
                    schema: i32::from(i == 0),
                    count,
                    sum: n * 12.5,
                    zero_threshold: 0.001,
                    zero_count,
                    positive,
                    ..NativeHistogram::default()
                }))
            });
        }
    }
}

/// All series, with their samples from `base` on.
pub fn samples(base: u64) -> Vec<Written> {
    let mut corpus = Corpus { base, series: Vec::new() };
    corpus.counters();
    corpus.gauges();
    corpus.odd_values();
    corpus.shapes();
    corpus.classic();
    corpus.native();
    corpus.series
}

/// Samples of one series that are written together.
type Part<'a> = (&'a Labels, &'a [(u64, What)]);

/// What is written together: all series for some time, and so on.
pub fn in_parts(all: &[Written]) -> Vec<Vec<Part<'_>>> {
    let first = all.iter().filter_map(|s| s.samples.first()).map(|(time, _)| *time).min().unwrap_or(0);
    let length = (COUNT * INTERVAL).div_ceil(PARTS);
    let mut parts = Vec::new();
    for part in 0..=PARTS {
        let (from, to) = (first + part * length, first + (part + 1) * length);
        let place = |s: &Written, time: u64| s.samples.partition_point(|(at, _)| *at < time);
        let mut within: Vec<Part<'_>> = Vec::new();
        for series in all {
            let samples = &series.samples[place(series, from)..place(series, to)];
            if !samples.is_empty() {
                within.push((&series.labels, samples));
            }
        }
        parts.push(within);
    }
    parts
}

/// As `prometheus.WriteRequest`.
pub fn remote_write(part: &[(&Labels, &[(u64, What)])]) -> Vec<u8> {
    let mut request = Vec::new();
    for (labels, samples) in part {
        Writer::new(&mut request).message(1, |series| {
            for (name, value) in labels.iter() {
                Writer::new(series).message(1, |label| {
                    Writer::new(label).bytes(1, name.as_bytes());
                    Writer::new(label).bytes(2, value.as_bytes());
                });
            }
            for (time, what) in *samples {
                match what {
                    What::Float(value) => Writer::new(series).message(2, |sample| {
                        Writer::new(sample).always_double(1, *value);
                        Writer::new(sample).varint(2, *time);
                    }),
                    What::Native(histogram) => Writer::new(series).message(4, |message| {
                        histogram.encode(message);
                        Writer::new(message).varint(15, *time);
                    }),
                }
            }
        });
    }
    request
}

/// As our receivers make it of that.
pub fn batch(part: &[(&Labels, &[(u64, What)])]) -> Batch {
    let mut metrics = MetricBatch::default();
    for (number, (labels, samples)) in part.iter().enumerate() {
        metrics.series.push(Arc::new((*labels).clone()));
        for (time, what) in *samples {
            let mut row = SampleRow { time: time * 1_000_000, series: number as u32, ..SampleRow::default() };
            match what {
                What::Float(value) => row.value = *value,
                What::Native(histogram) => {
                    let start = metrics.meta.len() as u32;
                    histogram.encode(&mut metrics.meta);
                    row.value = histogram.count;
                    row.histogram = ByteRange { start, end: metrics.meta.len() as u32 };
                }
            }
            metrics.samples.push(row);
        }
    }
    Batch { metrics, ..Batch::default() }
}
