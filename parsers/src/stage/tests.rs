use super::*;
use crate::container::Carried;

mod expressions;
mod fields;
mod finding;
mod joining;
mod mistakes;
mod relabelling;
mod secrets;
mod templates;
mod times;
mod totality;

/// 2026-01-15T12:00:00Z.
const NOW: u64 = 1_768_478_400_000_000_000;
const SECOND: u64 = 1_000_000_000;

/// What came out, in words where that is enough.
#[derive(Default)]
struct Taken {
    entries: Vec<Entry>,
    dropped: Vec<(String, String)>,
    metrics: Vec<(String, f64)>,
    waits: Vec<u64>,
    steps: Option<Vec<String>>,
}

impl Output for Taken {
    fn entry(&mut self, entry: Entry) {
        self.entries.push(entry);
    }
    fn dropped(&mut self, reason: &str, entry: &Entry) {
        self.dropped.push((reason.to_owned(), entry.line.clone()));
    }
    fn metric(&mut self, metric: &Metric, value: f64, _: &Entry) {
        self.metrics.push((metric.name.to_string(), value));
    }
    fn wait(&mut self, nanos: u64) {
        self.waits.push(nanos);
    }
    fn wants_steps(&self) -> bool {
        self.steps.is_some()
    }
    fn step(&mut self, step: Step<'_>) {
        let text =
            format!("{}.{} {} {}", step.depth, step.index, step.stage, step.after.map_or("-", |e| &e.line));
        self.steps.get_or_insert_default().push(text);
    }
}

impl Taken {
    fn lines(&self) -> Vec<&str> {
        self.entries.iter().map(|entry| entry.line.as_str()).collect()
    }
}

fn pipeline(stages: &[StageConfig]) -> Pipeline {
    Pipeline::new(stages).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// Lines through stages, a second apart, and then the end.
fn run(stages: &[StageConfig], lines: &[&str]) -> Taken {
    let mut taken = Taken::default();
    let mut pipeline = pipeline(stages);
    let mut offset = 0;
    for (at, line) in lines.iter().enumerate() {
        let time = NOW + at as u64 * SECOND;
        let entry = Entry { offset, ..Entry::new(time, line.as_bytes()) };
        pipeline.run(entry, time, &mut taken);
        offset += line.len() as u64 + 1;
    }
    pipeline.flush(NOW, offset, &mut taken);
    assert_eq!(held_here(&pipeline), None, "nothing is held after the end");
    taken
}

fn one(stages: &[StageConfig], line: &str) -> Entry {
    let mut taken = run(stages, &[line]);
    assert_eq!(taken.entries.len(), 1, "dropped: {:?}", taken.dropped);
    taken.entries.remove(0)
}

fn refused(stage: StageConfig) -> String {
    let errors = Pipeline::new(&[stage]).expect_err("it compiles");
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn text(text: &str) -> String {
    text.to_owned()
}

#[allow(clippy::unnecessary_wraps, reason = "what many options are written as")]
fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn regex(expression: &str) -> StageConfig {
    StageConfig::Regex(RegexConfig { expression: text(expression), ..RegexConfig::default() })
}

fn json(names: &[&str]) -> StageConfig {
    let expressions = names.iter().map(|name| match name.split_once('=') {
        Some((name, path)) => (text(name), some(path)),
        None => (text(name), None),
    });
    StageConfig::Json(JsonConfig { expressions: expressions.collect(), ..JsonConfig::default() })
}

fn template(source: &str, body: &str) -> StageConfig {
    StageConfig::Template(TemplateConfig { source: text(source), template: text(body) })
}

fn pairs(fields: &Fields) -> Vec<String> {
    fields.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// Where the oldest held line began.
fn held(pipeline: &Pipeline) -> Option<Carried> {
    let outputs = [false, true].into_iter().filter_map(|stderr| pipeline.held(stderr));
    outputs.max_by_key(|from| (from.files_back, std::cmp::Reverse(from.offset)))
}

/// The same, if that was in the current file.
fn held_here(pipeline: &Pipeline) -> Option<u64> {
    held(pipeline).filter(|from| from.files_back == 0).map(|from| from.offset)
}
