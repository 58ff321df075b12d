//! The stages as a configuration has them: what Promtail's YAML says, in types. Compiling them is the business of each
//! stage's own module.

/// One stage of a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub enum StageConfig {
    /// `cri`: unwraps the CRI format.
    Cri,
    /// `docker`: unwraps docker's json-file format.
    Docker,
    /// `regex`
    Regex(RegexConfig),
    /// `json`
    Json(JsonConfig),
    /// `logfmt`
    Logfmt(LogfmtConfig),
    /// `pattern`
    Pattern(PatternConfig),
    /// `replace`
    Replace(ReplaceConfig),
    /// `template`
    Template(TemplateConfig),
    /// `timestamp`
    Timestamp(TimestampConfig),
    /// `output`: the extracted name that becomes the line.
    Output(String),
    /// `labels`: label, and the extracted name that it takes its value from (its own, if none).
    Labels(Vec<(String, Option<String>)>),
    /// `labeldrop`
    LabelDrop(Vec<String>),
    /// `labelallow`
    LabelAllow(Vec<String>),
    /// `static_labels`
    StaticLabels(Vec<(String, String)>),
    /// `structured_metadata`: as [`StageConfig::Labels`].
    StructuredMetadata(Vec<(String, Option<String>)>),
    /// `tenant`
    Tenant(TenantConfig),
    /// `match`
    Match(MatchConfig),
    /// `drop`
    Drop(DropConfig),
    /// `sampling`: the share of lines that is kept, 0 to 1.
    Sampling(f64),
    /// `limit`
    Limit(LimitConfig),
    /// `multiline`
    Multiline(MultilineConfig),
    /// `decolorize`
    Decolorize,
    /// `truncate`
    Truncate(TruncateConfig),
    /// `metrics`
    Metrics(Vec<MetricConfig>),
    /// `redact`: which kinds of secrets.
    Redact(RedactConfig),
}

impl StageConfig {
    /// Its key in the configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Cri => "cri",
            Self::Docker => "docker",
            Self::Regex(_) => "regex",
            Self::Json(_) => "json",
            Self::Logfmt(_) => "logfmt",
            Self::Pattern(_) => "pattern",
            Self::Replace(_) => "replace",
            Self::Template(_) => "template",
            Self::Timestamp(_) => "timestamp",
            Self::Output(_) => "output",
            Self::Labels(_) => "labels",
            Self::LabelDrop(_) => "labeldrop",
            Self::LabelAllow(_) => "labelallow",
            Self::StaticLabels(_) => "static_labels",
            Self::StructuredMetadata(_) => "structured_metadata",
            Self::Tenant(_) => "tenant",
            Self::Match(_) => "match",
            Self::Drop(_) => "drop",
            Self::Sampling(_) => "sampling",
            Self::Limit(_) => "limit",
            Self::Multiline(_) => "multiline",
            Self::Decolorize => "decolorize",
            Self::Truncate(_) => "truncate",
            Self::Metrics(_) => "metrics",
            Self::Redact(_) => "redact",
        }
    }
}

/// `regex`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RegexConfig {
    /// RE2 expression; named groups are extracted.
    pub expression: String,
    /// Extracted name to look at, instead of the line.
    pub source: Option<String>,
    /// Named groups become labels too.
    pub labels_from_groups: bool,
}

/// `json`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JsonConfig {
    /// Name to extract, and its JMESPath (the name itself, if none).
    pub expressions: Vec<(String, Option<String>)>,
    /// Extracted name to look at, instead of the line.
    pub source: Option<String>,
    /// Lines that are not JSON objects are dropped.
    pub drop_malformed: bool,
}

/// `logfmt`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogfmtConfig {
    /// Name to extract, and its key in the line (the name itself, if none).
    pub mapping: Vec<(String, Option<String>)>,
    /// Extracted name to look at, instead of the line.
    pub source: Option<String>,
}

/// `pattern`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PatternConfig {
    /// Text with `<name>` and `<_>` where values stand.
    pub pattern: String,
    /// Extracted name to look at, instead of the line.
    pub source: Option<String>,
    /// Names become labels too.
    pub labels_from_groups: bool,
}

/// `replace`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplaceConfig {
    /// RE2 expression; its groups are what is replaced.
    pub expression: String,
    /// Extracted name to change, instead of the line.
    pub source: Option<String>,
    /// Template with `.Value` as the group's text.
    pub replace: String,
}

/// `template`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TemplateConfig {
    /// Extracted name to set.
    pub source: String,
    /// Go template.
    pub template: String,
}

/// What `timestamp` does with a time that it cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBadTime {
    /// A nanosecond after the last time that it read.
    #[default]
    Fudge,
    /// The time stays as it was.
    Skip,
}

/// `timestamp`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TimestampConfig {
    /// Extracted name to read.
    pub source: String,
    /// Go layout, or one of the names that Promtail knows.
    pub format: String,
    /// Tried in turn where `format` does not fit.
    pub fallback_formats: Vec<String>,
    /// IANA zone of times that name none.
    pub location: Option<String>,
    /// Otherwise.
    pub on_failure: OnBadTime,
}

/// `tenant`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantConfig {
    /// A label's value.
    Label(String),
    /// An extracted value.
    Source(String),
    /// This.
    Value(String),
}

/// What `match` does with lines that are selected.
#[derive(Debug, Clone, PartialEq)]
pub enum MatchAction {
    /// They pass through these stages.
    Keep(Vec<StageConfig>),
    /// They are dropped.
    Drop,
}

/// `match`
#[derive(Debug, Clone, PartialEq)]
pub struct MatchConfig {
    /// LogQL: labels and line filters.
    pub selector: String,
    /// For lines that match.
    pub action: MatchAction,
    /// What dropped lines are counted as.
    pub drop_counter_reason: Option<String>,
}

/// `drop`: all that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DropConfig {
    /// Extracted names. Alone, all of them must be there; with `expression` or `value`, those that are there are looked at.
    pub source: Vec<String>,
    /// Between their values; `;` if none.
    pub separator: Option<String>,
    /// RE2 expression over the source or the line.
    pub expression: Option<String>,
    /// The source's whole value.
    pub value: Option<String>,
    /// Nanoseconds before now.
    pub older_than: Option<u64>,
    /// Bytes of the line.
    pub longer_than: Option<u64>,
    /// What dropped lines are counted as.
    pub drop_counter_reason: Option<String>,
}

/// `limit`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LimitConfig {
    /// Lines a second.
    pub rate: f64,
    /// Lines at once.
    pub burst: u64,
    /// Each value of this label apart.
    pub by_label_name: Option<String>,
    /// Values that are remembered.
    pub max_distinct_labels: Option<u64>,
    /// Lines over the limit are dropped; otherwise the reader is slowed.
    pub drop: bool,
}

/// What begins a record in `multiline`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstLine {
    /// A line that this RE2 expression matches.
    Expression(String),
    /// A line that is not part of a stack trace of Java, Python, Go, Ruby or .NET.
    StackTraces,
}

/// `multiline`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultilineConfig {
    /// What begins a record.
    pub firstline: FirstLine,
    /// Nanoseconds between two lines of a record.
    pub max_wait_time: Option<u64>,
    /// Lines of a record.
    pub max_lines: Option<u64>,
}

/// What `truncate` shortens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TruncateTarget {
    /// The line.
    Line,
    /// A label, or all.
    Label(Option<String>),
    /// A pair of structured metadata, or all.
    StructuredMetadata(Option<String>),
    /// An extracted value, or all.
    Extracted(Option<String>),
}

/// One rule of `truncate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TruncateRule {
    /// What.
    pub target: TruncateTarget,
    /// Bytes that stay, `suffix` among them.
    pub limit: u64,
    /// Put after what was cut.
    pub suffix: String,
}

/// `truncate`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TruncateConfig {
    /// In order.
    pub rules: Vec<TruncateRule>,
}

/// What a metric does with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricAction {
    /// Becomes it.
    Set,
    /// One more.
    Inc,
    /// One less.
    Dec,
    /// That much more.
    Add,
    /// That much less.
    Sub,
}

/// The kinds of metrics.
#[derive(Debug, Clone, PartialEq)]
pub enum MetricShape {
    /// Only grows.
    Counter {
        /// `inc` or `add`.
        action: MetricAction,
        /// Every line counts.
        match_all: bool,
        /// By its bytes.
        count_entry_bytes: bool,
    },
    /// Grows and shrinks.
    Gauge(MetricAction),
    /// Upper bounds of the buckets.
    Histogram(Vec<f64>),
}

/// One metric of `metrics`.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricConfig {
    /// Without its prefix.
    pub name: String,
    /// What it does.
    pub shape: MetricShape,
    /// Help text.
    pub description: String,
    /// Before the name.
    pub prefix: Option<String>,
    /// Extracted name; the metric's own, if none.
    pub source: Option<String>,
    /// Only this value counts.
    pub value: Option<String>,
    /// Nanoseconds after which a series that is not updated goes.
    pub max_idle: Option<u64>,
}

/// Which secrets and personal data are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedactConfig {
    /// E-mail addresses.
    pub email: bool,
    /// Card numbers whose check digit is right.
    pub card: bool,
    /// `Bearer` and JSON web tokens.
    pub bearer: bool,
    /// Cloud access keys, private keys, values of keys such as `password`.
    pub keys: bool,
}

impl RedactConfig {
    /// All kinds: what the one switch turns on.
    pub const ALL: Self = Self { email: true, card: true, bearer: true, keys: true };
}
