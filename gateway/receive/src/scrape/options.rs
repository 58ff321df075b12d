//! What to scrape, and how.

use std::path::PathBuf;
use std::time::Duration;

use parsers::stage::relabel::RelabelConfig;
use peers::Credentials;

/// Between two scrapes of a target: four points a minute, what most dashboards are made for.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(15);
/// For one scrape; as Prometheus.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Where programs show their metrics.
pub const DEFAULT_PATH: &str = "/metrics";
/// Of one page, on the wire and decompressed: some 150,000 series.
pub const DEFAULT_BODY_LIMIT: usize = 16 << 20;

/// Everything that is scraped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScrapeOptions {
    /// In the order of the configuration.
    pub jobs: Vec<Job>,
}

/// Targets that are scraped alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Label `job` of all its series.
    pub name: String,
    /// Between two scrapes of one target.
    pub interval: Duration,
    /// For one scrape; no more than the interval.
    pub timeout: Duration,
    /// `http` or `https`.
    pub scheme: String,
    /// With the slash at its beginning.
    pub metrics_path: String,
    /// Of the URL's query.
    pub params: Vec<(String, String)>,
    /// How targets know us.
    pub credentials: Option<Credentials>,
    /// For `https`.
    pub tls: Tls,
    /// A label of a series stays what it is where the target has one of that name, too; otherwise it becomes
    /// `exported_...`.
    pub honor_labels: bool,
    /// The times that a page gives are those of its samples.
    pub honor_timestamps: bool,
    /// Samples of one page after relabelling; one with more is not taken. `None` is any number.
    pub sample_limit: Option<usize>,
    /// Bytes of one page, on the wire and decompressed.
    pub body_size_limit: usize,
    /// Over the labels of targets.
    pub relabel: Vec<RelabelConfig>,
    /// Over the labels of series.
    pub metric_relabel: Vec<RelabelConfig>,
    /// Targets that the configuration names.
    pub groups: Vec<Group>,
    /// Files that name targets: absolute paths, `*` in the last name.
    pub files: Vec<String>,
    /// Pods.
    pub kubernetes: Vec<Kubernetes>,
}

impl Job {
    /// The defaults, without a target.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            interval: DEFAULT_INTERVAL,
            timeout: DEFAULT_TIMEOUT,
            scheme: "http".to_owned(),
            metrics_path: DEFAULT_PATH.to_owned(),
            params: Vec::new(),
            credentials: None,
            tls: Tls::default(),
            honor_labels: false,
            honor_timestamps: true,
            sample_limit: None,
            body_size_limit: DEFAULT_BODY_LIMIT,
            relabel: Vec::new(),
            metric_relabel: Vec::new(),
            groups: Vec::new(),
            files: Vec::new(),
            kubernetes: Vec::new(),
        }
    }
}

/// Targets with the same labels.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// `host:port`
    pub targets: Vec<String>,
    /// Of all of them.
    pub labels: Vec<(String, String)>,
}

/// Whom a connection trusts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Tls {
    /// Certificates to trust instead of the system's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// Any certificate will do.
    pub insecure_skip_verify: bool,
}

/// Pods of Kubernetes that say in their annotations that they want to be scraped.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Kubernetes {
    /// The API's URL; without one, that of the cluster in which we run.
    pub api: Option<String>,
    /// How the API knows us; without it, as the service account, if the URL is the cluster's own.
    pub token_file: Option<PathBuf>,
    /// Whom to trust; without it, the cluster's authority.
    pub tls: Tls,
    /// Only pods of these; none is all.
    pub namespaces: Vec<String>,
    /// Only pods of this node.
    pub node: Option<String>,
    /// Only pods that this label selector covers, such as `app=shop`.
    pub selector: Option<String>,
}

// The URL may hold a password.
impl std::fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kubernetes").field("namespaces", &self.namespaces).finish_non_exhaustive()
    }
}
