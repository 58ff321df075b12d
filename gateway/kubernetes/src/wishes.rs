//! What a pod's annotations wish of how its lines are read. One that cannot be is said, and changes nothing.

use parsers::stage::{FirstLine, JsonConfig, LogfmtConfig, MultilineConfig, Pipeline, StageConfig};

/// `"true"`, or names of containers with commas between.
const EXCLUDE: &str = "trefoil.io/exclude";
/// One of [`PARSERS`].
const PARSER: &str = "trefoil.io/parser";
/// An expression for the first line of a record, or [`STACK_TRACES`].
const MULTILINE: &str = "trefoil.io/multiline";
/// As in `pipeline_stages`.
const STACK_TRACES: &str = "stack_traces";
/// What lines can be read as.
const PARSERS: [&str; 6] = ["auto", "json", "logfmt", "docker", "cri", "raw"];
/// What loggers write into lines of JSON and logfmt beside the message, and what ids and levels are found in without being asked.
const FIELDS: [&str; 6] = ["logger", "logger_name", "caller", "thread", "thread_name", "error"];
/// Bytes of a wrong value that are repeated.
const SHOWN: usize = 80;

/// Which of a pod's containers are not read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Exclude {
    /// None: all are read.
    #[default]
    None,
    /// All.
    All,
    /// These.
    Containers(Vec<String>),
}

impl Exclude {
    /// Whether this container is not read.
    pub fn covers(&self, container: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Containers(names) => names.iter().any(|name| name == container),
        }
    }
}

/// How a pod wants its lines to be read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Wishes {
    /// What is left out.
    pub exclude: Exclude,
    /// Stages before those of the configuration.
    pub stages: Vec<StageConfig>,
    /// Without those of the configuration, but what takes secrets out.
    pub raw: bool,
    /// Wishes that cannot be met, with what was expected.
    pub problems: Vec<String>,
}

impl Eq for Wishes {}

/// Of a pod with these containers.
pub(crate) fn read<'a>(containers: &[String], annotation: impl Fn(&str) -> Option<&'a str>) -> Wishes {
    let mut wishes = Wishes::default();
    if let Some(text) = annotation(EXCLUDE) {
        wishes.exclude(text.trim(), containers);
    }
    // What wraps lines is taken off before they are joined, what they say is read after that.
    let parser = annotation(PARSER).map(str::trim).unwrap_or("auto");
    match parser {
        "docker" => wishes.stages.push(StageConfig::Docker),
        "cri" => wishes.stages.push(StageConfig::Cri),
        _ => {}
    }
    if let Some(text) = annotation(MULTILINE) {
        wishes.multiline(text);
    }
    match parser {
        "json" => {
            let expressions = fields();
            wishes.stages.push(StageConfig::Json(JsonConfig { expressions, ..JsonConfig::default() }));
            wishes.stages.push(StageConfig::StructuredMetadata(fields()));
        }
        "logfmt" => {
            let mapping = fields();
            wishes.stages.push(StageConfig::Logfmt(LogfmtConfig { mapping, source: None }));
            wishes.stages.push(StageConfig::StructuredMetadata(fields()));
        }
        "raw" => wishes.raw = true,
        "auto" | "docker" | "cri" => {}
        other => wishes.refuse(PARSER, other, &format!("one of {}", PARSERS.join(", "))),
    }
    wishes
}

impl Wishes {
    fn refuse(&mut self, annotation: &str, value: &str, expected: &str) {
        let shown = value.get(..value.floor_char_boundary(SHOWN)).unwrap_or_default();
        self.problems.push(format!("{annotation}: expected {expected}, came `{shown}`"));
    }

    fn exclude(&mut self, text: &str, containers: &[String]) {
        match text {
            "true" => self.exclude = Exclude::All,
            "false" => {}
            _ => {
                let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
                let (there, others): (Vec<&str>, Vec<&str>) =
                    names.partition(|name| containers.iter().any(|container| container == name));
                if let Some(other) = others.first() {
                    let expected =
                        format!("`true`, `false` or names of its containers ({})", containers.join(", "));
                    self.refuse(EXCLUDE, other, &expected);
                }
                if !there.is_empty() {
                    self.exclude = Exclude::Containers(there.into_iter().map(str::to_owned).collect());
                }
            }
        }
    }

    fn multiline(&mut self, text: &str) {
        let firstline = match text.trim() {
            STACK_TRACES => FirstLine::StackTraces,
            _ => FirstLine::Expression(text.to_owned()),
        };
        let stage =
            StageConfig::Multiline(MultilineConfig { firstline, max_wait_time: None, max_lines: None });
        match Pipeline::new(std::slice::from_ref(&stage)) {
            Ok(_) => self.stages.push(stage),
            Err(errors) => {
                let why = errors.first().map(|error| error.message.clone()).unwrap_or_default();
                let expected = format!("`{STACK_TRACES}` or an expression for a record's first line ({why})");
                self.refuse(MULTILINE, text, &expected);
            }
        }
    }
}

fn fields() -> Vec<(String, Option<String>)> {
    FIELDS.map(|name| (name.to_owned(), None)).to_vec()
}
