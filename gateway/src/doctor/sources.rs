//! The data sources whose links are followed, as Grafana holds them in the end.

use serde_json::Value;

use super::ask::{Doorway, Trouble};
use super::dollars;

/// One data source.
#[derive(Clone, PartialEq, Eq)]
pub struct DataSource {
    /// By which links name it.
    pub uid: String,
    /// By which people name it.
    pub name: String,
    /// The id of its plugin.
    pub kind: String,
    /// Its server, no slash at the end.
    pub url: String,
    /// The one that Grafana takes where none is named.
    pub is_default: bool,
    /// Its settings.
    pub settings: Value,
    /// With what Grafana shows its server who asks.
    pub shown: Shown,
    /// Where a variable of a link got lost in reading, and which: its `$` is not doubled.
    pub lost: Vec<(String, String)>,
}

/// What a data source shows its server.
#[derive(Clone, PartialEq, Eq)]
pub enum Shown {
    /// What the one who asks here has: what it would be in Grafana cannot be known here.
    Ours,
    /// These headers; may be none.
    Headers(Vec<(String, String)>),
}

// Headers hold tokens.
impl std::fmt::Debug for DataSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataSource").field("uid", &self.uid).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What keeps data sources from being read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourcesError {
    /// Not YAML, or not of this shape.
    #[error("no provisioning file: {0}; expected `datasources:`, a list")]
    NotProvisioning(String),
    /// Nothing can be generated for this address.
    #[error("{0}")]
    Generated(#[from] dashboards::Misfit),
    /// Grafana cannot be asked, or refuses.
    #[error("{0}")]
    Grafana(#[from] Trouble),
    /// Grafana says something else.
    #[error("{0} answered no list of data sources")]
    NoList(String),
}

fn source(entry: &Value) -> DataSource {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    DataSource {
        uid: text("uid"),
        name: text("name"),
        kind: text("type"),
        url: text("url").trim_end_matches('/').to_owned(),
        is_default: entry.get("isDefault") == Some(&Value::Bool(true)),
        settings: entry.get("jsonData").cloned().unwrap_or_default(),
        shown: Shown::Ours,
        lost: Vec::new(),
    }
}

/// The data sources that are generated for the gateway at this address.
///
/// # Errors
///
/// When they cannot be.
pub fn of_gateway(url: &str) -> Result<Vec<DataSource>, SourcesError> {
    let target = dashboards::Target::new(dashboards::TargetKind::File, url);
    let mut sources = of_provisioning(&dashboards::datasources(&target)?)?;
    for source in &mut sources {
        source.shown = Shown::Ours;
    }
    Ok(sources)
}

/// Reads a provisioning file as Grafana does, `$` and all.
///
/// # Errors
///
/// When it is none.
pub fn of_provisioning(text: &str) -> Result<Vec<DataSource>, SourcesError> {
    let root: Value = serde_saphyr::from_str(text).map_err(|error| {
        SourcesError::NotProvisioning(error.to_string().lines().next().unwrap_or_default().to_owned())
    })?;
    let Some(entries) = root.get("datasources").and_then(Value::as_array) else {
        return Err(SourcesError::NotProvisioning("there is no list `datasources`".to_owned()));
    };
    let of_file = |entry: &Value| {
        let mut lost = Vec::new();
        let read = read(entry.clone(), "", &mut lost);
        DataSource { shown: shown(&read), lost, ..source(&read) }
    };
    Ok(entries.iter().map(of_file).collect())
}

/// Every text of a tree as it is after reading; `lost` gets what is not, with its path.
fn read(value: Value, path: &str, lost: &mut Vec<(String, String)>) -> Value {
    match value {
        Value::String(text) => {
            let (read, variable) = dollars::read(&text);
            lost.extend(variable.map(|variable| (path.to_owned(), variable)));
            Value::String(read)
        }
        Value::Array(items) => {
            let items = items.into_iter().enumerate();
            Value::Array(items.map(|(n, item)| read(item, &format!("{path}[{n}]"), lost)).collect())
        }
        Value::Object(entries) => {
            let dot = if path.is_empty() { "" } else { "." };
            let entries = entries.into_iter();
            entries
                .map(|(key, value)| (key.clone(), read(value, &format!("{path}{dot}{key}"), lost)))
                .collect()
        }
        other => other,
    }
}

/// The headers of a file's entry. A value from Grafana's environment or files stands for what we have ourselves.
fn shown(entry: &Value) -> Shown {
    let mut headers = Vec::new();
    let named = (1..).map_while(|n| Some((n, entry["jsonData"][format!("httpHeaderName{n}")].as_str()?)));
    for (number, name) in named {
        let value = entry["secureJsonData"][format!("httpHeaderValue{number}")].as_str().unwrap_or_default();
        if value.contains('$') {
            return Shown::Ours;
        }
        headers.push((name.to_owned(), value.to_owned()));
    }
    if entry["basicAuth"] == true {
        return Shown::Ours;
    }
    Shown::Headers(headers)
}

/// Asks a Grafana for the data sources that it has.
///
/// # Errors
///
/// When it does not tell.
pub async fn of_grafana(url: &str, doorway: &Doorway) -> Result<Vec<DataSource>, SourcesError> {
    let url = format!("{}/api/datasources", url.trim_end_matches('/'));
    let answer = doorway.get(&url, &[]).await?;
    match answer.json.as_array() {
        Some(entries) => Ok(entries.iter().map(source).collect()),
        None => Err(SourcesError::NoList(url)),
    }
}
