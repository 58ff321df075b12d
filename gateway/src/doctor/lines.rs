//! Log lines of a Loki, as Grafana shows them.

use serde_json::Value;

use super::Patient;
use super::ask::Trouble;
use super::sources::DataSource;
use super::traces::Request;

/// A line with the labels and metadata that Grafana shows beside it.
pub(super) struct Line {
    /// ns since 1970.
    pub(super) time: u64,
    pub(super) text: String,
    pub(super) fields: Vec<(String, String)>,
}

/// Lines that a query finds in a window, ns since 1970.
pub(super) async fn lines(
    patient: &Patient<'_>,
    source: &DataSource,
    query: &str,
    window: (u64, u64),
) -> Result<Vec<Line>, Trouble> {
    let (start, end) = (window.0.to_string(), window.1.to_string());
    let parameters = [("query", query), ("start", &start), ("end", &end), ("limit", "20")];
    let answer = patient.doorway.ask(source, "/loki/api/v1/query_range", &parameters).await?;
    let mut found = Vec::new();
    for stream in answer["data"]["result"].as_array().into_iter().flatten() {
        let fields = stream["stream"].as_object().into_iter().flatten();
        let fields: Vec<(String, String)> =
            fields.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
        for value in stream["values"].as_array().into_iter().flatten() {
            let time = value[0].as_str().and_then(|time| time.parse().ok()).unwrap_or_default();
            let text = value[1].as_str().unwrap_or_default().to_owned();
            found.push(Line { time, text, fields: fields.clone() });
        }
    }
    Ok(found)
}

/// A selector of every stream that this Loki would accept.
pub(super) async fn everything(patient: &Patient<'_>, source: &DataSource) -> Option<String> {
    let labels = patient.doorway.ask(source, "/loki/api/v1/labels", &[]).await.ok()?;
    let names: Vec<&str> = labels["data"].as_array()?.iter().filter_map(Value::as_str).collect();
    let known = ["service_name", "namespace", "job", "container", "app"];
    let name = known.into_iter().find(|name| names.contains(name)).or_else(|| names.first().copied())?;
    Some(format!("{{{name}=~\".+\"}}"))
}

/// Whether a Loki has lines of the request that its own service wrote: those of another would say nothing of the links beside it.
pub(super) async fn has_lines(patient: &Patient<'_>, source: &DataSource, request: &Request) -> bool {
    let Some(streams) = everything(patient, source).await else { return false };
    let Some(service) = request.tag("service.name") else { return false };
    let own = |line: &Line| line.fields.iter().any(|(_, value)| value == service);
    of_request(patient, source, &streams, request).await.is_ok_and(|found| found.iter().any(own))
}

/// Lines of the request: those that have its id as a field, else those that have it in their text.
pub(super) async fn of_request(
    patient: &Patient<'_>,
    source: &DataSource,
    streams: &str,
    request: &Request,
) -> Result<Vec<Line>, Trouble> {
    let id = &request.id;
    match lines(patient, source, &format!("{streams} | trace_id=\"{id}\""), request.window()).await {
        Ok(found) if found.is_empty() => {
            lines(patient, source, &format!("{streams} |= \"{id}\""), request.window()).await
        }
        other => other,
    }
}

/// Under which name the line has this value beside its text.
pub(super) fn key_of<'a>(line: &'a Line, id: &str) -> Option<&'a str> {
    line.fields.iter().find(|(_, value)| value == id).map(|(key, _)| key.as_str())
}
