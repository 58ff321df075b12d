//! Prometheus' relabelling: rules over the labels of a file, which also say whether it is read at all.

use md5::{Digest, Md5};
use regex::Regex;

use super::entry::Fields;
use super::error::{compile, is_label_name};
use crate::container::PodPath;

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RelabelAction {
    /// Sets the target to the replacement, if the expression matches.
    #[default]
    Replace,
    /// Reads only what matches.
    Keep,
    /// Reads only what does not.
    Drop,
    /// Reads only what has the same value in source and target.
    KeepEqual,
    /// Reads only what has not.
    DropEqual,
    /// Sets the target to a hash of the source, modulo.
    HashMod,
    /// Copies labels whose names match to names made by the replacement.
    LabelMap,
    /// Takes labels out whose names match.
    LabelDrop,
    /// Takes all others out.
    LabelKeep,
    /// Sets the target to the source in small letters.
    Lowercase,
    /// Sets the target to the source in capitals.
    Uppercase,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelabelConfig {
    /// Labels whose values are looked at, joined by `separator`.
    pub source_labels: Vec<String>,
    /// Between them.
    pub separator: String,
    /// Matches whole values.
    pub regex: String,
    /// For `hashmod`.
    pub modulus: u64,
    /// Label that is set.
    pub target_label: String,
    /// What it is set to; `$1` and `${name}` stand for groups.
    pub replacement: String,
    /// What to do.
    pub action: RelabelAction,
}

impl Default for RelabelConfig {
    /// As Prometheus documents.
    fn default() -> Self {
        Self {
            source_labels: Vec::new(),
            separator: ";".into(),
            regex: "(.*)".into(),
            modulus: 0,
            target_label: String::new(),
            replacement: "$1".into(),
            action: RelabelAction::Replace,
        }
    }
}

/// A rule that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("relabel rule [{index}]: {message}")]
pub struct RelabelError {
    /// Which, among those given.
    pub index: usize,
    /// What is wrong and what was expected.
    pub message: String,
}

/// Rules, compiled.
#[derive(Debug, Clone, Default)]
pub struct Relabel(Vec<(RelabelConfig, Regex)>);

impl Relabel {
    /// Compiles the rules. All mistakes are reported at once.
    pub fn new(configs: &[RelabelConfig]) -> Result<Self, Vec<RelabelError>> {
        let (mut rules, mut errors) = (Vec::new(), Vec::new());
        for (index, config) in configs.iter().enumerate() {
            match check(config) {
                Ok(regex) => rules.push((config.clone(), regex)),
                Err(message) => errors.push(RelabelError { index, message }),
            }
        }
        if errors.is_empty() { Ok(Self(rules)) } else { Err(errors) }
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Changes the labels; false if what has them is not to be read.
    pub fn apply(&self, labels: &mut Fields) -> bool {
        self.0.iter().all(|(config, regex)| apply(config, regex, labels))
    }
}

/// Takes out the labels that begin with `__`, which are for rules only, and empty ones.
pub fn strip(labels: &mut Fields) {
    labels.retain(|name, value| !name.starts_with("__") && !value.is_empty());
}

/// What rules may look at beside a file's own labels, under Prometheus' names: the path, and what a container's path says
/// of its pod.
pub fn discovered(path: &str, node: Option<&str>) -> Fields {
    let mut labels = Fields::default();
    labels.set("__path__", path);
    if let Some(node) = node {
        labels.set("__meta_kubernetes_pod_node_name", node);
    }
    let Some(pod) = PodPath::parse(path) else { return labels };
    labels.set("__meta_kubernetes_namespace", pod.namespace);
    labels.set("__meta_kubernetes_pod_name", pod.pod);
    labels.set("__meta_kubernetes_pod_container_name", pod.container);
    if let Some(uid) = pod.uid {
        labels.set("__meta_kubernetes_pod_uid", uid);
    }
    labels
}

fn check(config: &RelabelConfig) -> Result<Regex, String> {
    use RelabelAction::{Drop, DropEqual, HashMod, Keep, KeepEqual, Lowercase, Replace, Uppercase};
    let regex = compile(&format!("^(?s:{})$", config.regex))?;
    let target = &config.target_label;
    match config.action {
        Replace | HashMod | Lowercase | Uppercase | KeepEqual | DropEqual if target.is_empty() => {
            return Err("expected a `target_label`".into());
        }
        HashMod if config.modulus == 0 => return Err("`hashmod` needs a `modulus` above 0".into()),
        HashMod | Lowercase | Uppercase if !is_label_name(target) => {
            return Err(format!("`{target}` cannot name a label"));
        }
        Replace if !target.contains('$') && !is_label_name(target) => {
            return Err(format!("`{target}` cannot name a label"));
        }
        Keep | Drop if config.source_labels.is_empty() => {
            return Err("expected `source_labels`: nothing would ever match".into());
        }
        _ => {}
    }
    Ok(regex)
}

fn apply(config: &RelabelConfig, regex: &Regex, labels: &mut Fields) -> bool {
    let values: Vec<&str> =
        config.source_labels.iter().map(|name| labels.get(name).unwrap_or_default()).collect();
    let value = values.join(&config.separator);
    let target = &config.target_label;
    match config.action {
        RelabelAction::Keep => return regex.is_match(&value),
        RelabelAction::Drop => return !regex.is_match(&value),
        RelabelAction::KeepEqual => return labels.get(target).unwrap_or_default() == value,
        RelabelAction::DropEqual => return labels.get(target).unwrap_or_default() != value,
        RelabelAction::Replace => {
            let Some(captures) = regex.captures(&value) else { return true };
            let (mut name, mut filled) = (String::new(), String::new());
            captures.expand(target, &mut name);
            captures.expand(&config.replacement, &mut filled);
            if !is_label_name(&name) {
                return true;
            }
            if filled.is_empty() {
                labels.remove(&name);
            } else {
                labels.set(&name, filled);
            }
        }
        RelabelAction::HashMod => {
            let digest = Md5::digest(value.as_bytes());
            let tail = digest.iter().skip(8).fold(0u64, |n, byte| n << 8 | u64::from(*byte));
            labels.set(target, (tail % config.modulus.max(1)).to_string());
        }
        RelabelAction::LabelMap => {
            let mapped: Vec<(String, String)> = labels
                .iter()
                .filter_map(|(name, value)| {
                    let mut mapped = String::new();
                    regex.captures(name)?.expand(&config.replacement, &mut mapped);
                    is_label_name(&mapped).then(|| (mapped, value.to_owned()))
                })
                .collect();
            for (name, value) in mapped {
                labels.set(&name, value);
            }
        }
        RelabelAction::LabelDrop => labels.retain(|name, _| !regex.is_match(name)),
        RelabelAction::LabelKeep => labels.retain(|name, _| regex.is_match(name)),
        RelabelAction::Lowercase => labels.set(target, value.to_lowercase()),
        RelabelAction::Uppercase => labels.set(target, value.to_uppercase()),
    }
    true
}
