//! From what was discovered to what is scraped: labels laid over each other, relabelled, and a URL made of them, as Prometheus
//! does it.

use std::sync::Arc;

use parsers::record::Labels;
use parsers::stage::Fields;
use parsers::stage::relabel::{Relabel, strip};
use reqwest::Url;

use super::options::Job;

/// Something to scrape. Two are the same if URL and labels are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Target {
    /// Where its page is.
    pub url: Url,
    /// Of all its series, `job` and `instance` among them.
    pub labels: Arc<Labels>,
}

/// Something that was discovered and is not scraped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedTarget {
    /// Whose it would be.
    pub job: String,
    /// As they were before relabelling.
    pub labels: Vec<(String, String)>,
    /// Why.
    pub reason: String,
}

/// Makes a target of what was discovered.
pub(super) fn target(
    job: &Job,
    relabel: &Relabel,
    address: &str,
    labels: &[(String, String)],
) -> Result<Target, DroppedTarget> {
    let mut fields = Fields::default();
    fields.set("job", job.name.as_str());
    fields.set("__scheme__", job.scheme.as_str());
    fields.set("__metrics_path__", job.metrics_path.as_str());
    for (name, value) in job.params.iter().rev() {
        // Of several values of one name rules see the first.
        fields.set(&format!("__param_{name}"), value.as_str());
    }
    for (name, value) in labels {
        fields.set(name, value.as_str());
    }
    fields.set("__address__", address);
    let discovered: Vec<(String, String)> =
        fields.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let dropped =
        |reason: String| DroppedTarget { job: job.name.clone(), labels: discovered.clone(), reason };
    if !relabel.apply(&mut fields) {
        return Err(dropped("relabelling drops it".to_owned()));
    }
    let url = url(job, &fields).map_err(dropped)?;
    if fields.get("instance").is_none_or(str::is_empty) {
        let address = fields.get("__address__").unwrap_or_default().to_owned();
        fields.set("instance", address);
    }
    strip(&mut fields);
    Ok(Target { url, labels: Arc::new(Labels::new(fields.iter())) })
}

fn url(job: &Job, fields: &Fields) -> Result<Url, String> {
    let get = |name| fields.get(name).unwrap_or_default();
    let address = get("__address__");
    if address.is_empty() {
        return Err("it has no `__address__`".to_owned());
    }
    if address.contains(['/', '@', '?', '#']) {
        return Err(format!("`{address}` is no address: expected `host:port`"));
    }
    let scheme = get("__scheme__");
    if !matches!(scheme, "http" | "https") {
        return Err(format!("`{scheme}` is no scheme: expected `http` or `https`"));
    }
    let path = get("__metrics_path__");
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut url = Url::parse(&format!("{scheme}://{address}{slash}{path}"))
        .map_err(|error| format!("`{address}` is no address: {error}"))?;
    let mut query: Vec<(&str, &str)> = Vec::new();
    for (name, value) in fields.iter() {
        query.extend(name.strip_prefix("__param_").map(|name| (name, value)));
    }
    for (index, (name, value)) in job.params.iter().enumerate() {
        if job.params.iter().take(index).any(|(earlier, _)| earlier == name) {
            query.push((name, value));
        }
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}
