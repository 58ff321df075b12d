//! The data sources whose links are followed, as Grafana holds them in the end.

use serde_json::Value;

use super::ask::Doorway;

/// One data source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSource {
    /// By which links name it.
    pub uid: String,
    /// By which people name it.
    pub name: String,
    /// The id of its plugin.
    pub kind: String,
    /// Its server, no slash at the end.
    pub url: String,
    /// Its settings.
    pub settings: Value,
}

/// What keeps data sources from being read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourcesError {
    /// Not YAML, or not of this shape.
    #[error("no provisioning file: {0}; expected `datasources:`, a list")]
    NotProvisioning(String),
    /// Grafana cannot be asked, or refuses.
    #[error("{0}")]
    Grafana(String),
}

fn source(entry: &Value) -> DataSource {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    DataSource {
        uid: text("uid"),
        name: text("name"),
        kind: text("type"),
        url: text("url").trim_end_matches('/').to_owned(),
        settings: entry.get("jsonData").cloned().unwrap_or_default(),
    }
}

/// Reads a provisioning file; what Grafana would take for a doubled `$` is one.
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
    Ok(entries.iter().map(|entry| source(&single_dollars(entry.clone()))).collect())
}

fn single_dollars(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace("$$", "$")),
        Value::Array(items) => items.into_iter().map(single_dollars).collect(),
        Value::Object(entries) => {
            entries.into_iter().map(|(key, value)| (key, single_dollars(value))).collect()
        }
        other => other,
    }
}

/// Asks a Grafana for the data sources that it has.
///
/// # Errors
///
/// When it does not tell.
pub async fn of_grafana(url: &str, doorway: &Doorway) -> Result<Vec<DataSource>, SourcesError> {
    let url = format!("{}/api/datasources", url.trim_end_matches('/'));
    let answer = doorway.get(&url, &[]).await.map_err(SourcesError::Grafana)?;
    match answer.as_array() {
        Some(entries) => Ok(entries.iter().map(source).collect()),
        None => Err(SourcesError::Grafana(format!("{url} answered no list of data sources"))),
    }
}
