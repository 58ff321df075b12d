//! The stages that move a value from one place to another: `output`, `labels`, `labeldrop`, `labelallow`, `static_labels`,
//! `structured_metadata`.

use super::entry::Entry;
use super::error::is_label_name;

/// `output`: an extracted value becomes the line.
#[derive(Debug, Clone)]
pub(super) struct OutputStage(String);

impl OutputStage {
    pub fn new(source: &str) -> Result<Self, String> {
        if source.is_empty() { Err("expected a `source`".into()) } else { Ok(Self(source.to_owned())) }
    }

    pub fn apply(&self, entry: &mut Entry) {
        if let Some(value) = entry.extracted.get(&self.0) {
            value.clone_into(&mut entry.line);
        }
    }
}

/// Pairs of a name to set and the name of the value, checked.
fn sources(pairs: &[(String, Option<String>)]) -> Result<Vec<(String, String)>, String> {
    if pairs.is_empty() {
        return Err("expected at least one name".into());
    }
    names(pairs.iter().map(|(name, _)| name))?;
    let source = |(name, source): &(String, Option<String>)| {
        let source = source.as_ref().filter(|source| !source.is_empty()).unwrap_or(name);
        (name.clone(), source.clone())
    };
    Ok(pairs.iter().map(source).collect())
}

fn names<'n>(mut names: impl Iterator<Item = &'n String>) -> Result<(), String> {
    match names.find(|name| !is_label_name(name)) {
        Some(bad) => Err(format!("`{bad}` cannot name a label: letters, digits and `_` can")),
        None => Ok(()),
    }
}

/// `labels`: extracted values become labels.
#[derive(Debug, Clone)]
pub(super) struct Labels(Vec<(String, String)>);

impl Labels {
    pub fn new(pairs: &[(String, Option<String>)]) -> Result<Self, String> {
        let ids = ["trace_id", "traceID", "traceid", "span_id", "spanID", "spanid"];
        if let Some((id, _)) = pairs.iter().find(|(name, _)| ids.contains(&name.as_str())) {
            return Err(format!(
                "`{id}` as a label makes a stream of each trace; leave it out (ids are found and indexed by themselves) or \
                 use `structured_metadata`"
            ));
        }
        sources(pairs).map(Self)
    }

    pub fn apply(&self, entry: &mut Entry) {
        for (name, source) in &self.0 {
            if let Some(value) = entry.extracted.get(source) {
                entry.labels.set(name, value);
            }
        }
    }
}

/// `structured_metadata`: extracted values and labels become metadata; labels that did are labels no more.
#[derive(Debug, Clone)]
pub(super) struct StructuredMetadata(Vec<(String, String)>);

impl StructuredMetadata {
    pub fn new(pairs: &[(String, Option<String>)]) -> Result<Self, String> {
        sources(pairs).map(Self)
    }

    pub fn apply(&self, entry: &mut Entry) {
        for (name, source) in &self.0 {
            let label = entry.labels.remove(source);
            if let Some(value) = label.as_deref().or_else(|| entry.extracted.get(source)) {
                entry.metadata.set(name, value);
            }
        }
    }
}

/// `labeldrop`
#[derive(Debug, Clone)]
pub(super) struct LabelDrop(Vec<String>);

impl LabelDrop {
    pub fn new(names: &[String]) -> Result<Self, String> {
        if names.is_empty() { Err("expected a list of labels".into()) } else { Ok(Self(names.to_vec())) }
    }

    pub fn apply(&self, entry: &mut Entry) {
        entry.labels.retain(|name, _| !self.0.iter().any(|dropped| dropped == name));
    }
}

/// `labelallow`
#[derive(Debug, Clone)]
pub(super) struct LabelAllow(Vec<String>);

impl LabelAllow {
    pub fn new(names: &[String]) -> Result<Self, String> {
        if names.is_empty() { Err("expected a list of labels".into()) } else { Ok(Self(names.to_vec())) }
    }

    pub fn apply(&self, entry: &mut Entry) {
        entry.labels.retain(|name, _| self.0.iter().any(|kept| kept == name));
    }
}

/// `static_labels`
#[derive(Debug, Clone)]
pub(super) struct StaticLabels(Vec<(String, String)>);

impl StaticLabels {
    pub fn new(pairs: &[(String, String)]) -> Result<Self, String> {
        if pairs.is_empty() {
            return Err("expected at least one label".into());
        }
        names(pairs.iter().map(|(name, _)| name))?;
        Ok(Self(pairs.to_vec()))
    }

    pub fn apply(&self, entry: &mut Entry) {
        for (name, value) in &self.0 {
            entry.labels.set(name, value.as_str());
        }
    }
}
