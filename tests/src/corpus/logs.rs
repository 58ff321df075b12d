//! Container log files as a kubelet lays them out, in CRI format, written by a shop of services in seven line shapes.
//!
//! About 57 % of the records carry a trace id. Four in a thousand are split into a `P` and an `F` line, and some errors are
//! followed by a Java stack trace.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;

use super::SAMPLED_IDS;
use super::dice::Dice;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Records: what is left of the lines once split ones are joined.
    pub records: u64,
    /// Physical lines.
    pub lines: u64,
    /// Bytes in all files, with their CRI prefixes and newlines.
    pub bytes: u64,
    /// Records that carry a trace id.
    pub traced_records: u64,
    /// Distinct trace ids.
    pub traces: u64,
    /// Up to 1,000 trace ids in lower-case hex, each with the number of records that carry it.
    pub sample: Vec<(String, u64)>,
    /// Files written.
    pub files: u64,
}

const SEED: u64 = 7;
const PODS: usize = 24;
const SERVICES: [&str; 8] =
    ["frontend", "checkout", "cart", "payment", "shipping", "catalogue", "recommender", "django-app"];
const WORDS: [&str; 32] = [
    "request",
    "answered",
    "cache",
    "missed",
    "retrying",
    "upstream",
    "timed",
    "out",
    "connection",
    "reset",
    "session",
    "renewed",
    "token",
    "checked",
    "order",
    "placed",
    "stock",
    "reserved",
    "query",
    "took",
    "longer",
    "consumer",
    "caught",
    "up",
    "leader",
    "changed",
    "payload",
    "decoded",
    "field",
    "absent",
    "fallback",
    "used",
];
/// Traces in flight at once.
const LIVE_TRACES: usize = 256;

/// Writes `records` records (a stack trace at the end may add five) below `pods`, as
/// `<namespace>_<pod>_<uid>/<container>/0.log`, with times from `start_nanos` on, 21 us apart on average.
pub fn write_logs(pods: &Path, records: u64, start_nanos: u64) -> anyhow::Result<Manifest> {
    let mut corpus = Corpus::create(pods, start_nanos)?;
    while corpus.manifest.records < records {
        corpus.step()?;
    }
    corpus.finish()
}

struct Corpus {
    dice: Dice,
    now: u64,
    pods: Vec<(&'static str, BufWriter<File>)>,
    live: Vec<u128>,
    counts: HashMap<u128, u64>,
    manifest: Manifest,
    line: String,
}

/// What the shapes of a line have in common.
struct Event<'a> {
    service: &'a str,
    level: &'static str,
    /// `2026-01-31T12:00:00.123456789Z`
    time: &'a str,
    message: &'a str,
    path: &'a str,
    millis: f64,
    trace: u128,
    span: u64,
}

impl Corpus {
    fn create(root: &Path, start_nanos: u64) -> anyhow::Result<Self> {
        let mut dice = Dice::new(SEED);
        let mut pods = Vec::with_capacity(PODS);
        for number in 0..PODS {
            let service = SERVICES[number % SERVICES.len()];
            let (pod, uid) = (dice.bits() >> 24, dice.trace_id());
            let (a, b, c) = (uid >> 96, (uid >> 80) & 0xFFFF, (uid >> 64) & 0xFFF);
            let (d, e) = ((uid >> 48) & 0x3FFF | 0x8000, uid & 0xFFFF_FFFF_FFFF);
            let folder = root
                .join(format!(
                    "shop_{service}-{pod:010x}-{number:05}_{a:08x}-{b:04x}-4{c:03x}-{d:04x}-{e:012x}"
                ))
                .join(service);
            std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
            let file = folder.join("0.log");
            let file = File::create(&file).with_context(|| file.display().to_string())?;
            pods.push((service, BufWriter::with_capacity(1 << 18, file)));
        }
        let manifest = Manifest {
            records: 0,
            lines: 0,
            bytes: 0,
            traced_records: 0,
            traces: 0,
            sample: Vec::new(),
            files: PODS as u64,
        };
        Ok(Self {
            dice,
            now: start_nanos,
            pods,
            live: Vec::new(),
            counts: HashMap::new(),
            manifest,
            line: String::new(),
        })
    }

    fn step(&mut self) -> anyhow::Result<()> {
        let dice = &mut self.dice;
        self.now += 2_000 + dice.below(38_000);
        if self.live.len() < 64 || dice.chance(80) {
            self.live.push(dice.trace_id());
            if self.live.len() > LIVE_TRACES {
                self.live.remove(dice.below(64) as usize);
            }
        }
        let pod = dice.below(PODS as u64) as usize;
        let service = self.pods[pod].0;
        let time = format!("{:.9}", Timestamp::from_nanosecond(i128::from(self.now))?);
        let words = 5 + dice.below(9);
        let message = (0..words).map(|_| *dice.pick(&WORDS)).collect::<Vec<_>>().join(" ");
        let level = if dice.chance(30) {
            "ERROR"
        } else if dice.chance(80) {
            "WARN"
        } else {
            "INFO"
        };
        let path = match dice.below(6) {
            0 => format!("/api/v1/users/{}", dice.below(10_000)),
            1 => "/shop/slow".to_owned(),
            2 => "/shop/fast".to_owned(),
            3 => format!("/cart/{}/items", dice.below(10_000)),
            4 => "/hello".to_owned(),
            _ => format!("/api/products?id={}", dice.below(10_000)),
        };
        let event = Event {
            service,
            level,
            time: &time,
            message: &message,
            path: &path,
            millis: dice.waiting(40.0),
            trace: *dice.pick(&self.live),
            span: dice.span_id(),
        };
        self.line.clear();
        let traced = event.write(dice, &mut self.line)?;
        if traced {
            *self.counts.entry(event.trace).or_default() += 1;
            self.manifest.traced_records += 1;
        }
        let stream = if level == "ERROR" { "stderr" } else { "stdout" };
        if dice.chance(4) {
            let (head, tail) = self.line.split_at(self.line.len() / 2);
            let both = format!("{time} {stream} P {head}\n{time} {stream} F {tail}\n");
            self.put(pod, &both, 1)?;
        } else {
            let whole = format!("{time} {stream} F {}\n", self.line);
            self.put(pod, &whole, 1)?;
        }
        if !traced && level == "ERROR" && self.dice.chance(150) {
            let mut stack = format!("{time} stderr F java.lang.IllegalStateException: {message}\n");
            for step in 0..5 {
                let line = self.dice.below(500);
                writeln!(
                    stack,
                    "{time} stderr F \tat shop.{service}.Handler.step{step}(Handler.java:{line})"
                )?;
            }
            self.put(pod, &stack, 6)?;
        }
        Ok(())
    }

    fn put(&mut self, pod: usize, text: &str, records: u64) -> anyhow::Result<()> {
        self.pods[pod].1.write_all(text.as_bytes())?;
        self.manifest.records += records;
        self.manifest.lines += text.bytes().filter(|&b| b == b'\n').count() as u64;
        self.manifest.bytes += text.len() as u64;
        Ok(())
    }

    fn finish(mut self) -> anyhow::Result<Manifest> {
        for (_, file) in &mut self.pods {
            file.flush()?;
        }
        let mut ids: Vec<(u128, u64)> = self.counts.into_iter().collect();
        ids.sort_unstable();
        self.manifest.traces = ids.len() as u64;
        self.dice.shuffle(&mut ids);
        ids.truncate(SAMPLED_IDS);
        self.manifest.sample = ids.into_iter().map(|(id, count)| (format!("{id:032x}"), count)).collect();
        Ok(self.manifest)
    }
}

impl Event<'_> {
    /// Appends one of the shapes to the line; tells whether it carries the trace id.
    fn write(&self, dice: &mut Dice, line: &mut String) -> Result<bool, std::fmt::Error> {
        let Self { service, level, time, message, path, millis, trace, span } = self;
        let (day, clock, fraction) = (&time[..10], &time[11..19], &time[20..23]);
        let shape = dice.below(100);
        match shape {
            0..22 => {
                let number = 20 + dice.below(280);
                write!(
                    line,
                    "{day} {clock},{fraction} {level} [pages.views] [views.py:{number}] [trace_id={trace:032x} \
                     span_id={span:016x} resource.service.name={service}] - {message}"
                )?;
            }
            22..40 => {
                let (level, caller) = (level.to_ascii_lowercase(), dice.below(400));
                write!(
                    line,
                    r#"{{"level":"{level}","ts":"{time}","caller":"server/handler.go:{caller}","msg":"{message}","trace_id":"{trace:032x}","span_id":"{span:016x}","path":"{path}","duration_ms":{millis:.3}}}"#
                )?;
            }
            40..50 => {
                let (level, caller) = (level.to_ascii_lowercase(), dice.below(400));
                write!(
                    line,
                    "ts={time} level={level} caller=handler.go:{caller} msg=\"{message}\" traceID={trace:032x} \
                     spanID={span:016x} path={path} duration={millis:.3}ms"
                )?;
            }
            50..58 => {
                let (sent, status) = (dice.below(9000), if *level == "ERROR" { 503 } else { 200 });
                let (third, fourth) = (dice.below(9), dice.below(250));
                write!(
                    line,
                    r#"{{"authority":"{service}.shop:8080","bytes_sent":{sent},"duration":{millis:.0},"method":"GET","path":"{path}","protocol":"HTTP/1.1","response_code":{status},"response_flags":"-","traceparent":"00-{trace:032x}-{span:016x}-01","upstream_host":"10.244.{third}.{fourth}:8080"}}"#
                )?;
            }
            58..90 => {
                let (third, fourth) = (dice.below(9), dice.below(250));
                let (status, sent) = (if dice.chance(950) { 200 } else { 500 }, dice.below(9000));
                let seconds = millis / 1000.0;
                write!(
                    line,
                    "10.244.{third}.{fourth} - - [{day}:{clock} +0000] \"GET {path} HTTP/1.1\" {status} {sent} \"-\" \
                     \"kube-probe/1.34\" {seconds:.3}"
                )?;
            }
            _ => {
                let thread = dice.below(20);
                write!(
                    line,
                    "{day} {clock}.{fraction} {level} [http-nio-8080-exec-{thread}] s.{service}.Handler : {message}"
                )?;
            }
        }
        Ok(shape < 58)
    }
}
