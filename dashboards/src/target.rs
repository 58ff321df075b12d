//! Where generated provisioning goes, and what changes with it: the envelope and the doubling of `$`.

use crate::datasources::entries;
use crate::node::Node;
use crate::one_request;
use crate::panel::Dashboard;

/// What to generate for.
#[derive(Debug, Clone)]
pub struct Target {
    /// The shape wanted.
    pub kind: TargetKind,
    /// Where Grafana finds Trefoil's main port, `http://trefoil:8080`; a path prefix is kept, a slash at the end is not.
    pub base_url: String,
}

/// The ways into Grafana.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetKind {
    /// Files in Grafana's provisioning directories. Grafana expands `$` in the data sources, so each is doubled.
    File,
    /// Kubernetes ConfigMaps that Grafana's sidecar turns into such files.
    ConfigMap {
        /// Where the sidecar looks.
        namespace: String,
    },
    /// Bodies of `POST /api/datasources` and `POST /api/dashboards/db`; nothing is expanded there.
    HttpApi,
}

/// One generated file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedFile {
    /// Its name, without folders.
    pub name: String,
    /// Its text, ending in a newline.
    pub contents: String,
}

/// The data sources: a provisioning file (YAML), a ConfigMap that holds it (YAML), or the list of bodies to post (JSON).
pub fn datasources(target: &Target) -> String {
    let entries = entries(target.base_url.trim_end_matches('/'));
    match &target.kind {
        TargetKind::File => provisioning(entries).to_yaml(),
        TargetKind::ConfigMap { namespace } => {
            let file =
                GeneratedFile { name: "trefoil.yaml".to_owned(), contents: provisioning(entries).to_yaml() };
            config_map("trefoil-grafana-datasources", namespace, "grafana_datasource", file).to_yaml()
        }
        TargetKind::HttpApi => Node::List(entries).to_json(),
    }
}

/// The dashboards, a file each: the dashboard itself (JSON), a ConfigMap that holds it (YAML), or the body to post (JSON).
pub fn dashboards(target: &Target) -> Vec<GeneratedFile> {
    [one_request::dashboard()].iter().map(|dashboard| dashboard_file(dashboard, target)).collect()
}

fn dashboard_file(dashboard: &Dashboard, target: &Target) -> GeneratedFile {
    let name = format!("{}.json", dashboard.uid);
    let node = dashboard.node();
    match &target.kind {
        TargetKind::File => GeneratedFile { name, contents: node.to_json() },
        TargetKind::ConfigMap { namespace } => {
            let file = GeneratedFile { name, contents: node.to_json() };
            let map_name = format!("{}-dashboard", dashboard.uid);
            let contents = config_map(&map_name, namespace, "grafana_dashboard", file).to_yaml();
            GeneratedFile { name: format!("{map_name}.yaml"), contents }
        }
        TargetKind::HttpApi => {
            let body = Node::map([("dashboard", node), ("overwrite", true.into())]);
            GeneratedFile { name, contents: body.to_json() }
        }
    }
}

/// The root of a provisioning file. With `prune`, what a later version no longer lists is removed.
fn provisioning(entries: Vec<Node>) -> Node {
    let expanded_by_grafana = Node::List(entries).map_text(&|text| text.replace('$', "$$"));
    Node::map([("apiVersion", 1.into()), ("prune", true.into()), ("datasources", expanded_by_grafana)])
}

fn config_map(name: &str, namespace: &str, label: &str, file: GeneratedFile) -> Node {
    Node::map([
        ("apiVersion", "v1".into()),
        ("kind", "ConfigMap".into()),
        (
            "metadata",
            Node::map([
                ("name", name.into()),
                ("namespace", namespace.into()),
                (
                    "labels",
                    Node::map([
                        ("app.kubernetes.io/name", "trefoil".into()),
                        // Fits both a sidecar that wants any value and one that wants "1".
                        (label, "1".into()),
                    ]),
                ),
            ]),
        ),
        ("data", Node::Map(vec![(file.name, file.contents.into())])),
    ])
}
