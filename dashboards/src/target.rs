//! Where generated provisioning goes, and what changes with it: the envelope, the doubling of `$`, and how a token gets in.

use crate::boards;
use crate::dashboard::Dashboard;
use crate::datasources::{Entry, Neighbour, entries};
use crate::node::Node;

/// What to generate for.
#[derive(Debug, Clone)]
pub struct Target {
    /// The shape wanted.
    pub kind: TargetKind,
    /// Where Grafana finds Trefoil's main port, `http://trefoil:8080`; a path prefix is kept, a slash at the end is not.
    pub base_url: String,
    /// Data sources of the user's own that shall lead to each other and to Trefoil.
    pub neighbours: Vec<Neighbour>,
    /// What Grafana shows Trefoil to be let in.
    pub token: Option<Token>,
    /// Whether to write Grafana's correlations too, into those shapes that can have them.
    pub correlations: bool,
}

impl Target {
    /// Trefoil's own data sources, without a token.
    pub fn new(kind: TargetKind, base_url: impl Into<String>) -> Self {
        Self { kind, base_url: base_url.into(), neighbours: Vec::new(), token: None, correlations: false }
    }
}

/// The ways into Grafana.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetKind {
    /// Files in Grafana's provisioning directories. Grafana expands `$` in the data sources, so each is doubled.
    File,
    /// Kubernetes ConfigMaps that Grafana's sidecar turns into such files; a Secret where there is a token.
    ConfigMap {
        /// Where the sidecar looks.
        namespace: String,
    },
    /// Resources of the Grafana operator, which posts them: nothing is expanded.
    Operator {
        /// Where the operator looks.
        namespace: String,
        /// The label, name and value, of the Grafana instances that are meant.
        instances: (String, String),
    },
    /// Bodies of `POST /api/datasources` and `POST /api/dashboards/db`; nothing is expanded there.
    HttpApi,
}

/// A bearer token, or where Grafana finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// In a file that Grafana can read; provisioning files only.
    File(String),
    /// In an environment variable of Grafana's; provisioning files only.
    Environment(String),
    /// In a Secret next to the operator's resources: its name and the key in it.
    Secret {
        /// Its name.
        name: String,
        /// The key.
        key: String,
    },
    /// The token itself.
    Value(String),
}

impl Token {
    /// Where a plugin keeps the name of the header.
    pub(crate) const HEADER_KEY: &str = "httpHeaderName1";
    /// Where it keeps what the header says.
    const VALUE_KEY: &str = "httpHeaderValue1";

    /// What the header says, as this way into Grafana wants it.
    fn header(&self, kind: &TargetKind) -> Result<String, Misfit> {
        let expands = matches!(kind, TargetKind::File | TargetKind::ConfigMap { .. });
        match self {
            Self::File(path) if expands => Ok(format!("Bearer $__file{{{path}}}")),
            Self::Environment(name) if expands => Ok(format!("Bearer $__env{{{name}}}")),
            Self::Value(token) if expands => Ok(format!("Bearer {}", token.replace('$', "$$"))),
            Self::Value(token) => Ok(format!("Bearer {token}")),
            Self::Secret { key, .. } if matches!(kind, TargetKind::Operator { .. }) => {
                Ok(format!("Bearer ${{{key}}}"))
            }
            Self::File(_) | Self::Environment(_) => Err(Misfit::NeedsFiles),
            Self::Secret { .. } => Err(Misfit::NeedsOperator),
        }
    }
}

/// What was asked for does not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// A token in a file or an environment variable, for Grafana to read, where Grafana reads none.
    NeedsFiles,
    /// A token in a Secret, without the operator that would read it.
    NeedsOperator,
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NeedsFiles => {
                "only provisioning files (as files or ConfigMaps) can name a file or environment variable of Grafana's for the \
                 token; give the token itself, or for the operator a Secret"
            }
            Self::NeedsOperator => {
                "only the operator's resources can name a Secret for the token; give a file or environment variable of Grafana's, \
                 or the token itself"
            }
        })
    }
}

impl std::error::Error for Misfit {}

/// One generated file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedFile {
    /// Its name, without folders.
    pub name: String,
    /// Its text, ending in a newline.
    pub contents: String,
}

/// The data sources: a provisioning file (YAML), a ConfigMap or Secret that holds it (YAML), the operator's resources (YAML), or
/// the list of bodies to post (JSON).
///
/// # Errors
///
/// When the token cannot reach Grafana on this way.
pub fn datasources(target: &Target) -> Result<String, Misfit> {
    let header = target.token.as_ref().map(|token| token.header(&target.kind)).transpose()?;
    let entries = entries(target);
    Ok(match &target.kind {
        TargetKind::File => provisioning(entries, header.as_deref()).to_yaml(),
        TargetKind::ConfigMap { namespace } => {
            let contents = provisioning(entries, header.as_deref()).to_yaml();
            let file = GeneratedFile { name: "trefoil.yaml".to_owned(), contents };
            let kind = if header.is_some() { Holder::Secret } else { Holder::ConfigMap };
            held(kind, "trefoil-grafana-datasources", namespace, "grafana_datasource", file).to_yaml()
        }
        TargetKind::Operator { namespace, instances } => {
            let secret = match &target.token {
                Some(Token::Secret { name, key }) => Some((name.as_str(), key.as_str())),
                _ => None,
            };
            let resource = |entry| operated(entry, namespace, instances, header.as_deref(), secret).to_yaml();
            entries.into_iter().map(resource).collect::<Vec<_>>().join("---\n")
        }
        TargetKind::HttpApi => {
            let bodies = entries.into_iter().map(|entry| body(entry, header.as_deref(), false));
            Node::List(bodies.collect()).to_json()
        }
    })
}

/// The dashboards, a file each: the dashboard itself (JSON), a ConfigMap or resource that holds it (YAML), or the body to post
/// (JSON).
pub fn dashboards(target: &Target) -> Vec<GeneratedFile> {
    boards::all().iter().map(|dashboard| dashboard_file(dashboard, target)).collect()
}

fn dashboard_file(dashboard: &Dashboard, target: &Target) -> GeneratedFile {
    let name = format!("{}.json", dashboard.uid);
    let resource = format!("{}-dashboard", dashboard.uid);
    let node = dashboard.node();
    match &target.kind {
        TargetKind::File => GeneratedFile { name, contents: node.to_json() },
        TargetKind::ConfigMap { namespace } => {
            let file = GeneratedFile { name, contents: node.to_json() };
            let contents = held(Holder::ConfigMap, &resource, namespace, "grafana_dashboard", file).to_yaml();
            GeneratedFile { name: format!("{resource}.yaml"), contents }
        }
        TargetKind::Operator { namespace, instances } => {
            let spec = Node::map([
                ("instanceSelector", selector(instances)),
                ("folder", FOLDER.into()),
                ("json", node.to_json().into()),
            ]);
            let contents = operator_resource("GrafanaDashboard", dashboard.uid, namespace, spec).to_yaml();
            GeneratedFile { name: format!("{resource}.yaml"), contents }
        }
        TargetKind::HttpApi => {
            let body = Node::map([("dashboard", node), ("overwrite", true.into())]);
            GeneratedFile { name, contents: body.to_json() }
        }
    }
}

/// Grafana's folder of our dashboards, for those ways into it that can say so.
const FOLDER: &str = "Trefoil";

/// The keys of one entry, with the token where it belongs.
fn body(entry: Entry, header: Option<&str>, with_correlations: bool) -> Node {
    let mut keys = entry.keys;
    if let Some(header) = header.filter(|_| entry.takes_token) {
        keys.push(("secureJsonData", Node::map([(Token::VALUE_KEY, header.into())])));
    }
    if let Some(correlations) = entry.correlations.filter(|_| with_correlations) {
        keys.push(("correlations", correlations));
    }
    Node::of(keys)
}

/// The root of a provisioning file. With `prune`, what a later version no longer lists is removed. Everything but the token is
/// meant literally.
fn provisioning(entries: Vec<Entry>, header: Option<&str>) -> Node {
    let literal = |entry| body(entry, None, true).map_text(&|text| text.replace('$', "$$"));
    let entries = entries.into_iter().map(|entry| {
        let takes_token = entry.takes_token;
        match (literal(entry), header.filter(|_| takes_token)) {
            (Node::Map(mut keys), Some(header)) => {
                let secret = Node::map([(Token::VALUE_KEY, header.into())]);
                keys.push(("secureJsonData".to_owned(), secret));
                Node::Map(keys)
            }
            (node, _) => node,
        }
    });
    let entries = Node::List(entries.collect());
    Node::map([("apiVersion", 1.into()), ("prune", true.into()), ("datasources", entries)])
}

/// What holds a file in Kubernetes.
#[derive(Clone, Copy)]
enum Holder {
    ConfigMap,
    Secret,
}

fn held(kind: Holder, name: &str, namespace: &str, label: &str, file: GeneratedFile) -> Node {
    let (kind, data) = match kind {
        Holder::ConfigMap => ("ConfigMap", "data"),
        Holder::Secret => ("Secret", "stringData"),
    };
    let labels = Node::map([
        ("app.kubernetes.io/name", "trefoil".into()),
        // Fits both a sidecar that wants any value and one that wants "1".
        (label, "1".into()),
    ]);
    let metadata = Node::map([
        ("name", name.into()),
        ("namespace", namespace.into()),
        ("labels", labels),
        // Heeded where the sidecar is told to; a mere note elsewhere.
        ("annotations", Node::map([("grafana_folder", FOLDER.into())])),
    ]);
    Node::map([
        ("apiVersion", "v1".into()),
        ("kind", kind.into()),
        ("metadata", metadata),
        (data, Node::Map(vec![(file.name, file.contents.into())])),
    ])
}

/// A data source of the operator's.
fn operated(
    entry: Entry,
    namespace: &str,
    instances: &(String, String),
    header: Option<&str>,
    secret: Option<(&str, &str)>,
) -> Node {
    let (uid, takes_token) = (entry.uid.clone(), entry.takes_token);
    let mut entry = entry;
    // The resource says it itself.
    entry.keys.retain(|(key, _)| *key != "uid");
    let mut spec = vec![("instanceSelector", selector(instances)), ("uid", uid.as_str().into())];
    if let Some((name, key)) = secret.filter(|_| takes_token) {
        let reference = Node::map([("name", name.into()), ("key", key.into())]);
        let from = Node::map([
            ("targetPath", format!("secureJsonData.{}", Token::VALUE_KEY).into()),
            ("valueFrom", Node::map([("secretKeyRef", reference)])),
        ]);
        spec.push(("valuesFrom", Node::list([from])));
    }
    spec.push(("datasource", body(entry, header, false)));
    operator_resource("GrafanaDatasource", &uid, namespace, Node::of(spec))
}

fn operator_resource(kind: &str, name: &str, namespace: &str, spec: Node) -> Node {
    let labels = Node::map([("app.kubernetes.io/name", "trefoil".into())]);
    Node::map([
        ("apiVersion", "grafana.integreatly.org/v1beta1".into()),
        ("kind", kind.into()),
        ("metadata", Node::map([("name", name.into()), ("namespace", namespace.into()), ("labels", labels)])),
        ("spec", spec),
    ])
}

fn selector((label, value): &(String, String)) -> Node {
    Node::map([("matchLabels", Node::Map(vec![(label.clone(), value.as_str().into())]))])
}
