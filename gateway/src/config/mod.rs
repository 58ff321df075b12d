//! The configuration: YAML and environment in, a checked [`Config`] out, all mistakes at once.
//!
//! Raw text becomes a located tree ([`node`]), which is read key by key ([`reader`]); nothing is silently ignored. What the
//! settings do lives in the crates that have them.

mod access;
mod feeds;
mod known;
mod kubernetes;
mod metrics_from_spans;
mod node;
mod promtail;
mod reader;
mod receive;
mod render;
mod sampling;
mod scrape;
mod server;
mod ship;
pub mod stages;
#[cfg(test)]
mod tests;
pub(crate) mod values;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use correlate::{LabelMapping, WorkloadField};
use parsers::derived::{Deriver, RuleSpec};
use parsers::stage::relabel::RelabelConfig;
use parsers::stage::{RedactConfig, StageConfig};
use peers::{Certificates, Credentials};
use store::{MAX_SERIES, OUT_OF_ORDER, SampleOptions, SamplingOptions};
use upstream::ship::ShipOptions;

pub(crate) use access::hex;
pub use access::{Access, AccessToken, Limits, Proof, Role};
pub use feeds::{Feed, Journal, Listen, Syslog};
pub use kubernetes::Kubernetes;
pub use metrics_from_spans::MetricsFromSpans;
pub use node::Place;
pub use promtail::{Converted, from_promtail};
pub use reader::Mistake;
pub(crate) use receive::api_key;
pub use receive::{ElasticApm, Jaeger, MainPort, Otlp, Receive, Zipkin};
pub use render::render;
pub use scrape::Scrape;
pub use server::{Server, ServerTls};

use node::{Kind, Node};
use reader::{Mistakes, Section, scalar};

/// A checked configuration. Every field has its default filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `server`
    pub server: Server,
    /// `access`: `None` protects nothing
    pub access: Option<Access>,
    /// `store`
    pub store: Store,
    /// `collect`
    pub collect: Collect,
    /// `derive.rules`, in file order
    pub rules: Vec<RuleSpec>,
    /// `ship`
    pub ship: Option<ShipOptions>,
    /// `receive`
    pub receive: Receive,
    /// `sampling`: `None` keeps every trace
    pub sampling: Option<SamplingOptions>,
    /// `metrics_from_spans`
    pub metrics_from_spans: MetricsFromSpans,
    /// `scrape`
    pub scrape: Scrape,
    /// `upstream.prometheus`
    pub prometheus: Option<Prometheus>,
}

/// The embedded store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// `store.dir`
    pub dir: PathBuf,
    /// `store.retention.logs`
    pub logs: Duration,
    /// `store.retention.traces`
    pub traces: Duration,
    /// `store.retention.metrics`
    pub metrics: Duration,
    /// `store.max_bytes`
    pub max_bytes: u64,
    /// `store.max_series` and `store.out_of_order`
    pub samples: SampleOptions,
    /// `store.head_bytes`: bytes held in memory before they are sealed into a segment
    pub head_bytes: u64,
    /// `store.sync`: `None` is `batch` (fsync before each answer), otherwise the interval
    pub sync: Option<Duration>,
}

/// What is tailed.
#[derive(Debug, Clone, PartialEq)]
pub struct Collect {
    /// `collect.files`
    pub files: Vec<Files>,
    /// `collect.redact`: secrets and personal data are taken out of all lines, whatever their stages; those have it as
    /// their last
    pub redact: bool,
    /// `collect.exclude`
    pub exclude: Vec<String>,
    /// `collect.stdin`: what `trefoil agent --stdin` does with the lines
    pub stdin: Feed,
    /// `collect.journal`
    pub journal: Option<Journal>,
    /// `collect.syslog`
    pub syslog: Vec<Syslog>,
    /// `collect.positions_dir`: where `trefoil agent` keeps its positions (`serve` keeps them in the store)
    pub positions_dir: PathBuf,
    /// `collect.import_positions`: a Promtail's positions file, read when there are no positions of our own yet
    pub import_positions: Option<PathBuf>,
    /// `collect.node`: label `node` of every stream
    pub node: Option<String>,
    /// `collect.kubernetes`
    pub kubernetes: Kubernetes,
}

/// Files that are read alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Files {
    /// `path`: a glob
    pub path: String,
    /// `pipeline_stages`
    pub stages: Vec<StageConfig>,
    /// `relabel_configs`
    pub relabel: Vec<RelabelConfig>,
    /// Both lists as they were written, in one line each.
    written: Vec<(&'static str, String)>,
}

impl Files {
    /// With nothing done to the lines.
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), stages: Vec::new(), relabel: Vec::new(), written: Vec::new() }
    }
}

/// The Prometheus (or Mimir, Thanos, VictoriaMetrics) that is asked.
#[derive(Clone, PartialEq, Eq)]
pub struct Prometheus {
    /// `upstream.prometheus.url`, with its path prefix
    pub url: String,
    /// `upstream.prometheus.timeout`: deadline of one answer's queries in all
    pub timeout: Duration,
    /// `upstream.prometheus.headers`
    pub headers: Vec<(String, String)>,
    /// `upstream.prometheus.bearer_token`, `bearer_token_file`, `basic_auth`
    pub credentials: Option<Credentials>,
    /// `upstream.prometheus.ca_file`, `cert_file`, `key_file`
    pub certificates: Certificates,
    /// `upstream.prometheus.labels`: for each workload field, the series labels that may carry it; a field that is given
    /// replaces the default row
    pub labels: LabelMapping,
}

impl fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prometheus").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// The data directory of a system service.
const DATA_DIR: &str = "/var/lib/trefoil";
/// Where the kubelet keeps container logs.
const POD_LOGS: &str = "/var/log/pods/*/*/*.log";
/// A week: what on-call engineers look back to.
const RETENTION: Duration = Duration::from_hours(168);
/// Metrics are small; Prometheus keeps as long by default.
const METRICS_RETENTION: Duration = Duration::from_hours(360);
/// Fits a small volume; oldest days go first.
const MAX_BYTES: u64 = 50 << 30;
/// Two heads of this size and their sealing fit the memory budget of 250 MB.
const HEAD_BYTES: u64 = 32 << 20;
/// A power loss costs at most this much of what was acknowledged; a killed process costs nothing.
const SYNC: Duration = Duration::from_secs(1);
/// An answer must come while a person waits for it.
const PROMETHEUS_TIMEOUT: Duration = Duration::from_secs(2);

/// The keys of `upstream.prometheus.labels`.
pub(crate) const WORKLOAD_FIELDS: [(&str, WorkloadField); 8] = [
    ("service", WorkloadField::Service),
    ("namespace", WorkloadField::Namespace),
    ("pod", WorkloadField::Pod),
    ("container", WorkloadField::Container),
    ("node", WorkloadField::Node),
    ("version", WorkloadField::Version),
    ("instance", WorkloadField::Instance),
    ("cluster", WorkloadField::Cluster),
];

/// Reads a configuration from its text; `file` names it in mistakes. `variables` are the process's environment.
pub fn load(
    text: &str,
    file: &str,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, Vec<Mistake>> {
    let mut mistakes = Mistakes::new(file);
    let mut root = if text.trim().is_empty() {
        Node { place: Place::Line(1), kind: Kind::Null }
    } else {
        match serde_saphyr::from_str::<Node>(text) {
            Ok(node) => node,
            Err(error) => {
                let line = error.location().map_or(1, |at| at.line());
                mistakes.push(
                    &Place::Line(line),
                    "",
                    format!("not YAML: {}", first_line(&error.to_string())),
                );
                return Err(mistakes.into_sorted());
            }
        }
    };
    node::overlay(&mut root, variables);
    let mut top = Section::new(Some(root), "", &mut mistakes);
    let config = Config {
        server: server::read(top.section("server", &mut mistakes), &mut mistakes),
        access: access::read(&mut top, &mut mistakes),
        store: store(top.section("store", &mut mistakes), &mut mistakes),
        collect: collect(top.section("collect", &mut mistakes), &mut mistakes),
        rules: rules(top.section("derive", &mut mistakes), &mut mistakes),
        ship: ship::read(top.optional_section("ship", &mut mistakes), &mut mistakes),
        receive: receive::read(top.section("receive", &mut mistakes), &mut mistakes),
        sampling: sampling::read(top.take("sampling"), &mut mistakes),
        metrics_from_spans: metrics_from_spans::read(
            top.section("metrics_from_spans", &mut mistakes),
            &mut mistakes,
        ),
        scrape: scrape::read(top.section("scrape", &mut mistakes), &mut mistakes),
        prometheus: upstream(top.section("upstream", &mut mistakes), &mut mistakes),
    };
    top.end(&mut mistakes);
    mistakes.into_result(config)
}

fn is_label_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The first line of a YAML library's multi-line message.
fn first_line(text: &str) -> &str {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or("unreadable")
}

fn default_address(text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 0)))
}

fn store(mut section: Section, mistakes: &mut Mistakes) -> Store {
    let dir = section.value("dir", values::text, mistakes).unwrap_or_else(|| DATA_DIR.into());
    let max_bytes = section.value("max_bytes", values::bytes, mistakes).unwrap_or(MAX_BYTES);
    let head_bytes = section.value("head_bytes", head_bytes, mistakes).unwrap_or(HEAD_BYTES);
    let sync = section.value(
        "sync",
        |text| match text {
            "batch" => Ok(None),
            _ => values::duration(text).map(Some).map_err(|expected| format!("`batch` or {expected}")),
        },
        mistakes,
    );
    let max_series = section.value("max_series", max_series, mistakes).unwrap_or(MAX_SERIES);
    let out_of_order = section.value("out_of_order", values::duration, mistakes).unwrap_or(OUT_OF_ORDER);
    let mut retention = section.section("retention", mistakes);
    let store = Store {
        samples: SampleOptions { max_series, reserved: 0, out_of_order },
        dir: dir.into(),
        logs: retention.value("logs", values::duration, mistakes).unwrap_or(RETENTION),
        traces: retention.value("traces", values::duration, mistakes).unwrap_or(RETENTION),
        metrics: retention.value("metrics", values::duration, mistakes).unwrap_or(METRICS_RETENTION),
        max_bytes,
        head_bytes,
        sync: sync.unwrap_or(Some(SYNC)),
    };
    retention.end(mistakes);
    section.end(mistakes);
    store
}

/// A head smaller than this would make a file of every few batches; a larger one would fill a node's memory.
fn head_bytes(text: &str) -> Result<u64, String> {
    let expected = || "a size from `1MiB` to `1GiB`".to_owned();
    values::bytes(text).ok().filter(|bytes| (1 << 20..=1 << 30).contains(bytes)).ok_or_else(expected)
}

/// Series are numbered in 32 bits, and each takes up to a kilobyte.
fn max_series(text: &str) -> Result<usize, String> {
    let expected = || "a number from 1000 to 100000000".to_owned();
    text.parse().ok().filter(|series| (1_000..=100_000_000).contains(series)).ok_or_else(expected)
}

fn absolute(glob: &str) -> Result<String, String> {
    glob.starts_with('/').then(|| glob.to_owned()).ok_or_else(|| "an absolute path or glob".to_owned())
}

/// What is done to the lines of some files.
fn pipeline(path: String, entry: &mut Section, mistakes: &mut Mistakes) -> Files {
    let mut files = Files::new(path);
    for key in ["pipeline_stages", "relabel_configs"] {
        files.written.extend(entry.peek(key).map(|node| (key, render::flow(node))));
    }
    files.stages = stages::stages(&entry.list("pipeline_stages", mistakes).unwrap_or_default(), mistakes);
    files.relabel = stages::relabel(&entry.list("relabel_configs", mistakes).unwrap_or_default(), mistakes);
    files
}

fn collect(mut section: Section, mistakes: &mut Mistakes) -> Collect {
    let mut files = Vec::new();
    let listed = section.list("files", mistakes);
    let by_default = listed.is_none();
    for (path, node) in listed.unwrap_or_default() {
        let mut entry = Section::new(Some(node.clone()), &path, mistakes);
        let given = entry.peek("path").is_some();
        let glob = entry.value("path", absolute, mistakes);
        let lines = pipeline(glob.clone().unwrap_or_default(), &mut entry, mistakes);
        if glob.is_some() {
            files.push(lines);
        } else if !given && matches!(node.kind, Kind::Map(_)) {
            mistakes.push(
                &node.place,
                &entry.path("path"),
                "expected a path or glob, such as `/var/log/pods/*/*/*.log`",
            );
        }
        entry.end(mistakes);
    }
    if by_default {
        files.push(Files::new(POD_LOGS));
    }
    let mut exclude = Vec::new();
    for (path, node) in section.list("exclude", mistakes).unwrap_or_default() {
        exclude.extend(scalar(&node, &path, values::text, mistakes));
    }
    let stdin = section.optional_section("stdin", mistakes);
    let journal = section.optional_section("journal", mistakes);
    let redact = section.value("redact", values::boolean, mistakes).unwrap_or(false);
    let mut collect = Collect {
        files,
        redact,
        exclude,
        journal: journal.map(|section| feeds::journal(section, mistakes)),
        syslog: feeds::syslog(&section.list("syslog", mistakes).unwrap_or_default(), mistakes),
        stdin: stdin.map(|section| feeds::stdin(section, mistakes)).unwrap_or_default(),
        import_positions: section.value("import_positions", values::text, mistakes).map(PathBuf::from),
        positions_dir: section
            .value("positions_dir", values::text, mistakes)
            .unwrap_or_else(|| DATA_DIR.into())
            .into(),
        node: section.value("node", values::text, mistakes),
        kubernetes: Kubernetes::default(),
    };
    collect.kubernetes = kubernetes::read(&mut section, collect.node.as_deref(), mistakes);
    section.end(mistakes);
    if redact {
        // Last, so that no stage brings back what was taken out.
        let syslog = collect.syslog.iter_mut().map(|source| &mut source.feed);
        let feeds = syslog.chain([&mut collect.stdin]);
        let feeds = feeds.chain(collect.journal.as_mut().map(|journal| &mut journal.feed));
        let lines = collect.files.iter_mut().chain(feeds.map(Feed::lines_mut));
        lines.for_each(|lines| lines.stages.push(StageConfig::Redact(RedactConfig::ALL)));
    }
    collect
}

fn rules(mut section: Section, mistakes: &mut Mistakes) -> Vec<RuleSpec> {
    let mut rules = Vec::new();
    let mut places = Vec::new();
    for (path, node) in section.list("rules", mistakes).unwrap_or_default() {
        let place = node.place.clone();
        let mut entry = Section::new(Some(node), &path, mistakes);
        let name = entry.value("name", values::text, mistakes);
        let regex = entry.value("regex", values::text, mistakes);
        match (name, regex) {
            (Some(name), Some(regex)) => {
                rules.push(RuleSpec { name, regex });
                places.push((path, place));
            }
            _ => mistakes.push(&place, &path, "expected a rule with `name` and `regex`"),
        }
        entry.end(mistakes);
    }
    section.end(mistakes);
    for error in Deriver::new(&rules).err().unwrap_or_default() {
        if let Some((path, place)) = places.get(error.index).or(places.last()) {
            mistakes.push(place, path, error.fault.to_string());
        }
    }
    rules
}

fn upstream(mut section: Section, mistakes: &mut Mistakes) -> Option<Prometheus> {
    let prometheus = section.take("prometheus").and_then(|node| {
        let place = node.place.clone();
        let mut inner = Section::new(Some(node), "upstream.prometheus", mistakes);
        let given = inner.peek("url").is_some();
        let url = inner.value("url", values::url, mistakes);
        let timeout = inner.value("timeout", values::duration, mistakes).unwrap_or(PROMETHEUS_TIMEOUT);
        let headers = inner.pairs("headers", mistakes);
        let certificates = known::certificates(&mut inner, mistakes);
        let credentials = known::credentials(&mut inner, mistakes);
        let labels = label_mapping(inner.section("labels", mistakes), mistakes);
        inner.end(mistakes);
        if url.is_none() && !given {
            mistakes.push(
                &place,
                "upstream.prometheus.url",
                "expected an http or https URL such as `http://prometheus:9090`",
            );
        }
        Some(Prometheus { url: url?, timeout, headers, credentials, certificates, labels })
    });
    section.end(mistakes);
    prometheus
}

/// `service: [service_name, app]`: for each workload field, the series labels that may carry it.
fn label_mapping(mut section: Section, mistakes: &mut Mistakes) -> LabelMapping {
    let mut mapping = LabelMapping::default();
    for (key, field) in WORKLOAD_FIELDS {
        if let Some(list) = section.list(key, mistakes) {
            let names =
                list.iter().filter_map(|(path, node)| scalar(node, path, values::text, mistakes)).collect();
            mapping.rows.retain(|(row, _)| *row != field);
            mapping.rows.push((field, names));
        }
    }
    section.end(mistakes);
    mapping
}

/// Reads a configuration file, or the defaults when there is none, with the process's environment laid over it.
pub fn load_file(path: Option<&Path>) -> Result<Config, LoadError> {
    let (text, name) = match path {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| LoadError::Unreadable { path: path.to_owned(), error })?;
            (text, path.display().to_string())
        }
        None => (String::new(), "(defaults)".to_owned()),
    };
    load(&text, &name, std::env::vars()).map_err(LoadError::Mistakes)
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// What it says.
    #[error("{} in the configuration:\n{}", count(.0), .0.iter().map(|m| format!("  {m}")).collect::<Vec<_>>().join("\n"))]
    Mistakes(Vec<Mistake>),
}

fn count(mistakes: &[Mistake]) -> String {
    if mistakes.len() == 1 { "1 mistake".into() } else { format!("{} mistakes", mistakes.len()) }
}
