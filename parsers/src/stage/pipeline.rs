//! The stages in their order: compiling, running, and what they hold back.

use std::sync::Arc;

use crate::container::Carried;

use super::config::{MatchAction, StageConfig};
use super::decolorize::Decolorize;
use super::drop::Drop;
use super::entry::Entry;
use super::error::StageError;
use super::field_stages::{LabelAllow, LabelDrop, Labels, OutputStage, StaticLabels, StructuredMetadata};
use super::json::Json;
use super::limit::Limit;
use super::logfmt::Logfmt;
use super::matching::Selector;
use super::metrics::{Metric, Metrics};
use super::multiline::Multiline;
use super::pattern::PatternStage;
use super::redact::Redact;
use super::regex_stage::RegexStage;
use super::replace::Replace;
use super::sampling::Sampling;
use super::template::TemplateStage;
use super::tenant::Tenant;
use super::timestamp::Timestamp;
use super::truncate::Truncate;
use super::unwrap::Unwrap;

/// Stages of a pipeline at most, those in `match` among them: bounds the stack that running takes.
pub const MAX_STAGES: usize = 256;

/// Takes what a pipeline makes of lines.
pub trait Output {
    /// A line has passed all stages.
    fn entry(&mut self, entry: Entry);

    /// A stage dropped a line on purpose; the reason is the one to count it under.
    fn dropped(&mut self, reason: &str, entry: &Entry);

    /// A line counts for a metric: what the metric does with `value` is its [`super::MetricShape`].
    fn metric(&mut self, metric: &Metric, value: f64, entry: &Entry);

    /// The reader should not go on for this many nanoseconds.
    fn wait(&mut self, nanos: u64);

    /// Whether [`Output::step`] wants to be called: costs a copy of the entry for each stage.
    fn wants_steps(&self) -> bool {
        false
    }

    /// What one stage did.
    fn step(&mut self, step: Step<'_>) {
        let _ = step;
    }
}

/// What one stage did to one line.
#[derive(Debug)]
pub struct Step<'a> {
    /// How many `match` stages it is in.
    pub depth: usize,
    /// Which in its list.
    pub index: usize,
    /// Its name.
    pub stage: &'static str,
    /// As it came.
    pub before: &'a Entry,
    /// As it left; `None` if it was dropped or is held back.
    pub after: Option<&'a Entry>,
}

/// What a stage says of a line.
pub(super) enum Flow {
    /// It goes on.
    Next,
    /// It does not, and is counted under this.
    Drop(Arc<str>),
}

/// What stages need and do not own.
pub(super) struct Context<'a> {
    /// Nanoseconds since the epoch.
    pub now: u64,
    pub out: &'a mut dyn Output,
    pub steps: bool,
}

/// When held lines are let go.
#[derive(Debug, Clone, Copy)]
enum Release {
    /// Those that have waited long enough, the reader having nothing more.
    Waited,
    /// All.
    All,
}

#[derive(Debug, Clone)]
enum Stage {
    Unwrap(Box<Unwrap>),
    Regex(RegexStage),
    Json(Json),
    Logfmt(Logfmt),
    Pattern(PatternStage),
    Replace(Replace),
    Template(TemplateStage),
    Timestamp(Timestamp),
    Output(OutputStage),
    Labels(Labels),
    LabelDrop(LabelDrop),
    LabelAllow(LabelAllow),
    StaticLabels(StaticLabels),
    StructuredMetadata(StructuredMetadata),
    Tenant(Tenant),
    Match { selector: Selector, reason: Arc<str>, stages: Option<Vec<Named>> },
    Drop(Drop),
    Sampling(Sampling),
    Limit(Limit),
    Multiline(Multiline),
    Decolorize(Decolorize),
    Truncate(Truncate),
    Metrics(Metrics),
    Redact(Redact),
}

#[derive(Debug, Clone)]
struct Named {
    index: usize,
    name: &'static str,
    stage: Stage,
}

/// Compiled stages with what they remember of one container.
#[derive(Debug, Clone, Default)]
pub struct Pipeline {
    stages: Vec<Named>,
    /// What they were compiled from.
    configs: Arc<[StageConfig]>,
}

impl Pipeline {
    /// Compiles the stages. All mistakes are reported at once.
    pub fn new(configs: &[StageConfig]) -> Result<Self, Vec<StageError>> {
        let mut compiler = Compiler { at: Vec::new(), count: 0, errors: Vec::new() };
        let stages = compiler.stages(configs);
        if compiler.errors.is_empty() {
            Ok(Self { stages, configs: configs.into() })
        } else {
            Err(compiler.errors)
        }
    }

    /// Whether it does the same, whatever either remembers.
    pub fn is_like(&self, other: &Self) -> bool {
        self.configs == other.configs
    }

    /// The same stages for another container: they remember nothing yet. Rate limits and the chance of
    /// sampling are shared by all forks.
    #[must_use]
    pub fn fork(&self) -> Self {
        let mut fork = self.clone();
        reset(&mut fork.stages);
        fork
    }

    /// These stages, and then those of another, which share among forks what they share.
    #[must_use]
    pub fn followed_by(&self, rest: &Self) -> Self {
        let stages = self.stages.iter().chain(&rest.stages).cloned().collect();
        let configs = self.configs.iter().chain(&*rest.configs).cloned().collect();
        Self { stages, configs }.fork()
    }

    /// Only those of these stages that take secrets out.
    #[must_use]
    pub fn only_redaction(&self) -> Self {
        let redacts = |config: &StageConfig| matches!(config, StageConfig::Redact(_));
        let stages = self.stages.iter().filter(|named| matches!(named.stage, Stage::Redact(_)));
        let configs = self.configs.iter().filter(|config| redacts(config)).cloned().collect();
        Self { stages: stages.cloned().collect(), configs }.fork()
    }

    /// Whether there is no stage: lines need not be made entries at all.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Whether a stage may hold lines back until others come.
    pub fn may_hold(&self) -> bool {
        fn any(stages: &[Named]) -> bool {
            stages.iter().any(|named| match &named.stage {
                Stage::Multiline(_) | Stage::Unwrap(_) => true,
                Stage::Match { stages: Some(stages), .. } => any(stages),
                _ => false,
            })
        }
        any(&self.stages)
    }

    /// Runs a line through. `now` is nanoseconds since the epoch.
    pub fn run(&mut self, mut entry: Entry, now: u64, out: &mut dyn Output) {
        let steps = out.wants_steps();
        entry.extract_labels();
        let mut context = Context { now, out, steps };
        drive(&mut self.stages, 0, entry, &mut context, &mut |entry, context| context.out.entry(entry));
    }

    /// The reader is at the end of what is there: records that wait for another line longer than they may are let go, as
    /// of this offset. Not to be called while there is a backlog.
    pub fn idle(&mut self, now: u64, offset: u64, out: &mut dyn Output) {
        self.release(Release::Waited, now, offset, out);
    }

    /// Nothing more will come: all that is held is let go, as of this offset.
    pub fn flush(&mut self, now: u64, offset: u64, out: &mut dyn Output) {
        self.release(Release::All, now, offset, out);
    }

    fn release(&mut self, release: Release, now: u64, offset: u64, out: &mut dyn Output) {
        let steps = out.wants_steps();
        let mut context = Context { now, out, steps };
        let done: &mut Done<'_> = &mut |entry, context| context.out.entry(entry);
        let_go(&mut self.stages, release, 0, offset, &mut context, done);
    }

    /// Where the oldest line began that is held, of standard error or of any other output. Reading has to start again there to get
    /// all of it.
    pub fn held(&self, stderr: bool) -> Option<Carried> {
        let of_output = held(&self.stages).filter(|(output, _)| (*output == "stderr") == stderr);
        of_output.map(|(_, from)| from).max_by_key(|from| (from.files_back, std::cmp::Reverse(from.offset)))
    }

    /// The file was rotated: offsets start again.
    pub fn carry_over(&mut self) {
        for_held(&mut self.stages, &mut |from| from.files_back = from.files_back.saturating_add(1));
    }
}

type Done<'d> = dyn FnMut(Entry, &mut Context<'_>) + 'd;

/// Runs a line through these stages; `done` takes what comes out behind the last.
fn drive(
    stages: &mut [Named],
    depth: usize,
    mut entry: Entry,
    context: &mut Context<'_>,
    done: &mut Done<'_>,
) {
    let mut rest = stages;
    while let Some((named, after)) = rest.split_first_mut() {
        let before = context.steps.then(|| entry.clone());
        let Named { index, name, stage } = named;
        let note = |after: Option<&Entry>, context: &mut Context<'_>| {
            if let Some(before) = &before {
                context.out.step(Step { depth, index: *index, stage: name, before, after });
            }
        };
        let flow = match stage {
            Stage::Match { selector, reason, stages } => match stages {
                _ if !selector.matches(&entry) => Flow::Next,
                None => Flow::Drop(Arc::clone(reason)),
                Some(stages) => {
                    entry.extract_labels();
                    return drive(stages, depth + 1, entry, context, &mut |entry, context| {
                        drive(after, depth, entry, context, done);
                    });
                }
            },
            Stage::Multiline(multiline) => {
                note(None, context);
                let now = context.now;
                return multiline.push(entry, now, &mut |entry| drive(after, depth, entry, context, done));
            }
            Stage::Unwrap(unwrap) => {
                let Some(whole) = unwrap.push(entry) else { return note(None, context) };
                entry = whole;
                Flow::Next
            }
            stage => simple(stage, &mut entry, context),
        };
        match flow {
            Flow::Next => note(Some(&entry), context),
            Flow::Drop(reason) => {
                note(None, context);
                return context.out.dropped(&reason, &entry);
            }
        }
        rest = after;
    }
    done(entry, context);
}

/// The stages that neither hold lines back nor have stages in them.
fn simple(stage: &mut Stage, entry: &mut Entry, context: &mut Context<'_>) -> Flow {
    match stage {
        Stage::Regex(stage) => stage.apply(entry),
        Stage::Json(stage) => return stage.apply(entry),
        Stage::Logfmt(stage) => stage.apply(entry),
        Stage::Pattern(stage) => stage.apply(entry),
        Stage::Replace(stage) => stage.apply(entry),
        Stage::Template(stage) => stage.apply(entry),
        Stage::Timestamp(stage) => stage.apply(entry, context.now),
        Stage::Output(stage) => stage.apply(entry),
        Stage::Labels(stage) => stage.apply(entry),
        Stage::LabelDrop(stage) => stage.apply(entry),
        Stage::LabelAllow(stage) => stage.apply(entry),
        Stage::StaticLabels(stage) => stage.apply(entry),
        Stage::StructuredMetadata(stage) => stage.apply(entry),
        Stage::Tenant(stage) => stage.apply(entry),
        Stage::Drop(stage) => return stage.apply(entry, context.now),
        Stage::Sampling(stage) => return stage.apply(),
        Stage::Limit(stage) => return stage.apply(entry, context),
        Stage::Decolorize(stage) => stage.apply(entry),
        Stage::Truncate(stage) => stage.apply(entry),
        Stage::Metrics(stage) => stage.apply(entry, context),
        Stage::Redact(stage) => stage.apply(entry),
        Stage::Match { .. } | Stage::Multiline(_) | Stage::Unwrap(_) => {}
    }
    Flow::Next
}

/// Lets held lines go, through the stages behind the one that holds them.
fn let_go(
    stages: &mut [Named],
    release: Release,
    depth: usize,
    offset: u64,
    context: &mut Context<'_>,
    done: &mut Done<'_>,
) {
    let mut rest = stages;
    while let Some((named, after)) = rest.split_first_mut() {
        match &mut named.stage {
            Stage::Match { stages: Some(stages), .. } => {
                let_go(stages, release, depth + 1, offset, context, &mut |entry, context| {
                    drive(after, depth, entry, context, done);
                });
            }
            Stage::Multiline(multiline) => {
                let now = context.now;
                let emit = &mut |entry| drive(after, depth, entry, context, done);
                match release {
                    Release::Waited => multiline.idle(now, offset, emit),
                    Release::All => multiline.flush(offset, emit),
                }
            }
            Stage::Unwrap(unwrap) if matches!(release, Release::All) => {
                for entry in unwrap.flush(offset) {
                    drive(after, depth, entry, context, done);
                }
            }
            _ => {}
        }
        rest = after;
    }
}

/// Outputs with where the lines began that are held of them.
fn held(stages: &[Named]) -> Box<dyn Iterator<Item = (&str, Carried)> + '_> {
    Box::new(stages.iter().flat_map(|named| -> Box<dyn Iterator<Item = (&str, Carried)> + '_> {
        match &named.stage {
            Stage::Multiline(multiline) => Box::new(multiline.held()),
            Stage::Unwrap(unwrap) => Box::new(unwrap.held()),
            Stage::Match { stages: Some(stages), .. } => held(stages),
            _ => Box::new(std::iter::empty()),
        }
    }))
}

fn for_held(stages: &mut [Named], change: &mut dyn FnMut(&mut Carried)) {
    for named in stages {
        match &mut named.stage {
            Stage::Multiline(multiline) => multiline.for_held(change),
            Stage::Unwrap(unwrap) => unwrap.for_held(change),
            Stage::Match { stages: Some(stages), .. } => for_held(stages, change),
            _ => {}
        }
    }
}

fn reset(stages: &mut [Named]) {
    for named in stages {
        match &mut named.stage {
            Stage::Multiline(multiline) => multiline.reset(),
            Stage::Unwrap(unwrap) => unwrap.reset(),
            Stage::Timestamp(timestamp) => timestamp.reset(),
            Stage::Match { stages: Some(stages), .. } => reset(stages),
            _ => {}
        }
    }
}

struct Compiler {
    at: Vec<usize>,
    count: usize,
    errors: Vec<StageError>,
}

impl Compiler {
    fn stages(&mut self, configs: &[StageConfig]) -> Vec<Named> {
        let mut stages = Vec::with_capacity(configs.len());
        for (index, config) in configs.iter().enumerate() {
            self.at.push(index);
            self.count += 1;
            let name = config.name();
            if self.count == MAX_STAGES + 1 {
                self.refuse(name, format!("a pipeline has at most {MAX_STAGES} stages"));
            }
            if self.count <= MAX_STAGES {
                match self.stage(config) {
                    Ok(stage) => stages.push(Named { index, name, stage }),
                    Err(message) => self.refuse(name, message),
                }
            }
            self.at.pop();
        }
        stages
    }

    fn refuse(&mut self, stage: &'static str, message: String) {
        self.errors.push(StageError { at: self.at.clone(), stage, message });
    }

    fn stage(&mut self, config: &StageConfig) -> Result<Stage, String> {
        Ok(match config {
            StageConfig::Cri => Stage::Unwrap(Box::new(Unwrap::cri())),
            StageConfig::Docker => Stage::Unwrap(Box::new(Unwrap::docker())),
            StageConfig::Regex(config) => Stage::Regex(RegexStage::new(config)?),
            StageConfig::Json(config) => Stage::Json(Json::new(config)?),
            StageConfig::Logfmt(config) => Stage::Logfmt(Logfmt::new(config)?),
            StageConfig::Pattern(config) => Stage::Pattern(PatternStage::new(config)?),
            StageConfig::Replace(config) => Stage::Replace(Replace::new(config)?),
            StageConfig::Template(config) => Stage::Template(TemplateStage::new(config)?),
            StageConfig::Timestamp(config) => Stage::Timestamp(Timestamp::new(config)?),
            StageConfig::Output(source) => Stage::Output(OutputStage::new(source)?),
            StageConfig::Labels(pairs) => Stage::Labels(Labels::new(pairs)?),
            StageConfig::LabelDrop(names) => Stage::LabelDrop(LabelDrop::new(names)?),
            StageConfig::LabelAllow(names) => Stage::LabelAllow(LabelAllow::new(names)?),
            StageConfig::StaticLabels(pairs) => Stage::StaticLabels(StaticLabels::new(pairs)?),
            StageConfig::StructuredMetadata(pairs) => {
                Stage::StructuredMetadata(StructuredMetadata::new(pairs)?)
            }
            StageConfig::Tenant(config) => Stage::Tenant(Tenant::new(config)?),
            StageConfig::Match(config) => {
                let selector = Selector::new(&config.selector);
                // Mistakes of the inner stages are reported whether or not the selector has one.
                let stages = match &config.action {
                    MatchAction::Keep(inner) => {
                        if inner.is_empty() {
                            return Err(
                                "it has no `stages`, so it would do nothing; or write `action: drop`".into(),
                            );
                        }
                        Some(self.stages(inner))
                    }
                    MatchAction::Drop => None,
                };
                let reason = config.drop_counter_reason.as_deref().unwrap_or("match_stage").into();
                Stage::Match { selector: selector?, reason, stages }
            }
            StageConfig::Drop(config) => Stage::Drop(Drop::new(config)?),
            StageConfig::Sampling(rate) => Stage::Sampling(Sampling::new(*rate)?),
            StageConfig::Limit(config) => Stage::Limit(Limit::new(config)?),
            StageConfig::Multiline(config) => Stage::Multiline(Multiline::new(config)?),
            StageConfig::Decolorize => Stage::Decolorize(Decolorize),
            StageConfig::Truncate(config) => Stage::Truncate(Truncate::new(config)?),
            StageConfig::Metrics(configs) => Stage::Metrics(Metrics::new(configs)?),
            StageConfig::Redact(config) => Stage::Redact(Redact::new(*config)?),
        })
    }
}
