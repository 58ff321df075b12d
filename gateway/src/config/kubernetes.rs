//! `collect.kubernetes`: what is asked of the cluster's API about the pods whose logs are read.

use std::fmt::Write as _;
use std::path::PathBuf;

use kubernetes::{Access, Selection, Watch};

use super::node::{Kind, Node};
use super::reader::{Mistakes, Section, scalar};
use super::render::{list, quoted, shown};
use super::values;

/// `collect.kubernetes`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kubernetes {
    /// `enabled`: `None` is `auto`, which asks where there is somebody to ask and the node is known
    pub enabled: Option<bool>,
    /// `labels` and `annotations`: keys that become metadata, `*` for anything
    pub selection: Selection,
    /// `api`: `in-cluster`, or `url`, `token_file`, `ca_file`
    pub access: Access,
}

impl Kubernetes {
    /// What to watch on this node, if anything.
    pub fn watch(&self, node: Option<&str>) -> Option<Watch> {
        let node = node?.to_owned();
        self.enabled.unwrap_or_else(|| self.access.is_there()).then(|| self.pods(Some(node)))
    }

    /// What to watch of the whole cluster for what pods send, if anything: as `receive.pods` says, or wherever there is somebody
    /// to ask and pods may be asked for at all.
    pub fn watch_senders(&self, wanted: Option<bool>) -> Option<Watch> {
        let wanted = wanted.unwrap_or_else(|| self.enabled != Some(false) && self.access.is_there());
        wanted.then(|| self.pods(None))
    }

    fn pods(&self, node: Option<String>) -> Watch {
        Watch { access: self.access.clone(), node, selection: self.selection.clone() }
    }

    pub(super) fn render(&self, out: &mut String) {
        let enabled = self.enabled.map_or("auto".to_owned(), |enabled| enabled.to_string());
        let _ = writeln!(out, "  kubernetes:\n    enabled: {enabled}");
        let _ = writeln!(out, "    labels: {}", list(&self.selection.labels));
        let _ = writeln!(out, "    annotations: {}", list(&self.selection.annotations));
        let file = |file: &Option<PathBuf>| file.as_ref().map(|file| file.display().to_string());
        let given = [
            ("url", self.access.url.as_ref().map(|url| shown(url))),
            ("token_file", file(&self.access.token_file)),
            ("ca_file", file(&self.access.ca_file)),
        ];
        let given: Vec<String> = given
            .into_iter()
            .filter_map(|(key, value)| value.map(|value| format!("{key}: {}", quoted(&value))))
            .collect();
        let api = if given.is_empty() { IN_CLUSTER.to_owned() } else { format!("{{{}}}", given.join(", ")) };
        let _ = writeln!(out, "    api: {api}");
    }
}

/// The API of the cluster in which we run, as its service account.
const IN_CLUSTER: &str = "in-cluster";

/// `kubernetes` of `collect`, whose `node` this is.
pub(super) fn read(collect: &mut Section, node: Option<&str>, mistakes: &mut Mistakes) -> Kubernetes {
    let place = collect.peek("kubernetes").map(|node| node.place.clone());
    let mut section = collect.section("kubernetes", mistakes);
    let enabled = section.value("enabled", enabled, mistakes).flatten();
    let api = section.path("api");
    let kubernetes = Kubernetes {
        enabled,
        selection: Selection {
            labels: keys(&mut section, "labels", mistakes),
            annotations: keys(&mut section, "annotations", mistakes),
        },
        access: section.take("api").map(|node| access(node, &api, mistakes)).unwrap_or_default(),
    };
    if let Some(place) = place.filter(|_| enabled == Some(true) && node.is_none()) {
        let path = section.path("enabled");
        mistakes.push(&place, &path, "expected `collect.node` beside it: only pods of one node are watched");
    }
    section.end(mistakes);
    kubernetes
}

pub(super) fn enabled(text: &str) -> Result<Option<bool>, String> {
    match text {
        "auto" => Ok(None),
        _ => values::boolean(text).map(Some).map_err(|expected| format!("`auto`, {expected}")),
    }
}

fn keys(section: &mut Section, key: &'static str, mistakes: &mut Mistakes) -> Vec<String> {
    let keys = section.list(key, mistakes).unwrap_or_default();
    keys.iter().filter_map(|(path, node)| scalar(node, path, a_key, mistakes)).collect()
}

/// A key of a label or an annotation, or several by `*`.
fn a_key(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./*".contains(c);
    if !text.is_empty() && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("a key such as `app` or `app.kubernetes.io/*`".into())
    }
}

fn access(node: Node, path: &str, mistakes: &mut Mistakes) -> Access {
    if matches!(&node.kind, Kind::Scalar(text) if text == IN_CLUSTER) {
        return Access::default();
    }
    if let Kind::Scalar(text) = &node.kind {
        let message = format!("expected `{IN_CLUSTER}` or `{{url, token_file, ca_file}}`, came `{text}`");
        mistakes.push(&node.place, path, message);
        return Access::default();
    }
    let mut section = Section::new(Some(node), path, mistakes);
    let access = Access {
        url: section.value("url", values::url, mistakes),
        token_file: section.value("token_file", values::text, mistakes).map(PathBuf::from),
        ca_file: section.value("ca_file", values::text, mistakes).map(PathBuf::from),
        insecure_skip_verify: false,
    };
    section.end(mistakes);
    access
}
