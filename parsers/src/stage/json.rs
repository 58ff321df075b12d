//! `json`: values of a JSON object become extracted values.

use std::sync::Arc;

use serde_json::Value;

use super::config::JsonConfig;
use super::entry::Entry;
use super::jmespath::Path;
use super::pipeline::Flow;

#[derive(Debug, Clone)]
pub(super) struct Json {
    paths: Vec<(String, Path)>,
    source: Option<String>,
    malformed: Option<Arc<str>>,
}

impl Json {
    pub fn new(config: &JsonConfig) -> Result<Self, String> {
        if config.expressions.is_empty() {
            return Err("expected `expressions`, at least one".into());
        }
        let mut paths = Vec::new();
        let mut faults = Vec::new();
        for (name, path) in &config.expressions {
            let path = path.as_deref().filter(|path| !path.is_empty()).unwrap_or(name);
            match Path::new(path) {
                Ok(path) => paths.push((name.clone(), path)),
                Err(fault) => faults.push(fault),
            }
        }
        if !faults.is_empty() {
            return Err(faults.join("; "));
        }
        let malformed = config.drop_malformed.then(|| "malformed_json".into());
        Ok(Self { paths, source: config.source.clone(), malformed })
    }

    pub fn apply(&self, entry: &mut Entry) -> Flow {
        let text = match &self.source {
            Some(source) => match entry.extracted.get(source) {
                Some(text) => text,
                None => return Flow::Next,
            },
            None => &entry.line,
        };
        // Told by its first character: most lines that are not JSON cost nothing here.
        let object = text.trim_start().starts_with('{').then(|| serde_json::from_str::<Value>(text).ok());
        let Some(value) = object.flatten() else {
            return self.malformed.as_ref().map_or(Flow::Next, |reason| Flow::Drop(Arc::clone(reason)));
        };
        for (name, path) in &self.paths {
            if let Some(found) = path.of(&value) {
                entry.extracted.set(name, text_of(found));
            }
        }
        Flow::Next
    }
}

/// Texts as they are, numbers without an exponent, lists and objects as JSON.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => number.as_f64().unwrap_or_default().to_string(),
        other => other.to_string(),
    }
}
