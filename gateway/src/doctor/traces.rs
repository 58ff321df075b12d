//! The request that is followed: finding one, and opening it in a data source that shows traces.

use serde_json::Value;

use super::report::Finding;
use super::sources::DataSource;
use super::{Patient, lines, links};

/// Traces that are looked at for one that has log lines.
const CANDIDATES: &str = "20";
/// The service whose requests are those that the doctor itself and Grafana make: it writes no lines of them.
const OWN: &str = "trefoil";
/// Requests of others.
const OF_OTHERS: &str = "{ kind = server && resource.service.name != \"trefoil\" }";
/// ns
const MINUTE: u64 = 60_000_000_000;

/// One request.
pub(super) struct Request {
    /// Its trace id.
    pub(super) id: String,
    /// Attributes of the resource of one of its spans, text ones.
    pub(super) tags: Vec<(String, String)>,
    /// When the span ran whose attributes these are: ns since 1970.
    pub(super) span: (u64, u64),
}

impl Request {
    /// Round it: a minute before, for clocks that disagree; an hour after, since few requests are longer. ns since 1970.
    pub(super) fn window(&self) -> (u64, u64) {
        (self.span.0.saturating_sub(MINUTE), self.span.0.saturating_add(60 * MINUTE))
    }

    /// The tag's value.
    pub(super) fn tag(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }
}

/// Finds the request to follow: the one that was asked for, or the newest of the first data source that shows any. One without
/// log lines of its own service is taken where no other has any, and one of Trefoil's own where there is no other at all.
pub(super) async fn find(patient: &Patient<'_>, asked: Option<&str>) -> Result<Request, Finding> {
    let (mut tried, mut silent, mut own) = (Vec::new(), None, None);
    let logs: Vec<&DataSource> =
        patient.sources.iter().filter(|source| source.kind == "loki" && patient.answers(source)).collect();
    for source in patient.sources.iter().filter(|source| patient.answers(source)) {
        let ids = match asked {
            Some(id) => vec![id.to_owned()],
            None => newest(patient, source).await,
        };
        for id in ids {
            let Some(request) = read(patient, source, &id).await else {
                tried.push(format!("{id} in {}", source.uid));
                continue;
            };
            if asked.is_none() && request.tag("service.name") == Some(OWN) {
                own.get_or_insert(request);
                continue;
            }
            for loki in &logs {
                if lines::has_lines(patient, loki, &request).await {
                    return Ok(request);
                }
            }
            silent.get_or_insert(request);
        }
    }
    if let Some(request) = silent.or(own) {
        return Ok(request);
    }
    let shows = |source: &DataSource| links::TRACES.contains(&source.kind.as_str());
    if !patient.sources.iter().any(|source| shows(source) && patient.answers(source)) {
        return Err(Finding::nothing(
            "no data source that shows traces answers".to_owned(),
            "mend their servers first, then ask again",
        ));
    }
    let detail = match tried.as_slice() {
        [] => "no data source that shows traces has one".to_owned(),
        tried => format!("not found: {}", tried.join(", ")),
    };
    Err(Finding::nothing(detail, "send a request through an instrumented service, or name a trace with --id"))
}

/// Ids of the newest traces.
async fn newest(patient: &Patient<'_>, source: &DataSource) -> Vec<String> {
    let ask = async |path: &str, parameters: &[(&str, &str)]| {
        patient.doorway.ask(source, path, parameters).await.unwrap_or_default()
    };
    let ids = |list: &Value, key: &str| -> Vec<String> {
        let items = list.as_array().into_iter().flatten();
        items.filter_map(|item| item.get(key)?.as_str().map(str::to_owned)).collect()
    };
    match source.kind.as_str() {
        "tempo" => {
            let found = ask("/api/search", &[("q", OF_OTHERS), ("limit", CANDIDATES)]).await;
            ids(&found["traces"], "traceID")
        }
        "jaeger" => {
            let services = ask("/api/services", &[]).await;
            let mut names = services["data"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let first = names.clone().next();
            let Some(service) = names.find(|name| *name != OWN).or(first) else { return Vec::new() };
            let found = ask("/api/traces", &[("service", service), ("limit", CANDIDATES)]).await;
            ids(&found["data"], "traceID")
        }
        "zipkin" => {
            let found = ask("/api/v2/traces", &[("limit", CANDIDATES)]).await;
            let traces = found.as_array().into_iter().flatten();
            traces.filter_map(|spans| spans[0]["traceId"].as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    }
}

/// Reads a trace from a data source that shows traces.
async fn read(patient: &Patient<'_>, source: &DataSource, id: &str) -> Option<Request> {
    let path = match source.kind.as_str() {
        "tempo" => format!("/api/v2/traces/{id}"),
        "jaeger" => format!("/api/traces/{id}"),
        "zipkin" => format!("/api/v2/trace/{id}"),
        _ => return None,
    };
    let answer = patient.doorway.ask(source, &path, &[]).await.ok()?;
    let (tags, span) = match source.kind.as_str() {
        "tempo" => of_tempo(&answer),
        "jaeger" => of_jaeger(&answer),
        _ => of_zipkin(&answer),
    }?;
    Some(Request { id: id.to_owned(), tags, span })
}

type Read = Option<(Vec<(String, String)>, (u64, u64))>;

fn of_tempo(answer: &Value) -> Read {
    let trace = answer.get("trace").unwrap_or(answer);
    let groups = trace.get("resourceSpans").or_else(|| trace.get("batches"))?.as_array()?;
    let group = groups.first()?;
    let tags = group["resource"]["attributes"].as_array().into_iter().flatten();
    let tags = tags.filter_map(|tag| {
        Some((tag["key"].as_str()?.to_owned(), tag["value"]["stringValue"].as_str()?.to_owned()))
    });
    let span = &group["scopeSpans"][0]["spans"][0];
    let time = |key: &str| span[key].as_str()?.parse::<u64>().ok();
    let start = time("startTimeUnixNano")?;
    Some((tags.collect(), (start, time("endTimeUnixNano").unwrap_or(start))))
}

fn of_jaeger(answer: &Value) -> Read {
    let trace = answer["data"].as_array()?.first()?;
    let span = trace["spans"].as_array()?.first()?;
    let process = &trace["processes"][span["processID"].as_str()?];
    let tags = process["tags"].as_array().into_iter().flatten();
    let mut tags: Vec<(String, String)> = tags
        .filter_map(|tag| Some((tag["key"].as_str()?.to_owned(), tag["value"].as_str()?.to_owned())))
        .collect();
    tags.push(("service.name".to_owned(), process["serviceName"].as_str()?.to_owned()));
    Some((tags, of_micros(&span["startTime"], &span["duration"])?))
}

fn of_zipkin(answer: &Value) -> Read {
    let span = answer.as_array()?.first()?;
    let service = span["localEndpoint"]["serviceName"].as_str()?;
    let tags = vec![("service.name".to_owned(), service.to_owned())];
    Some((tags, of_micros(&span["timestamp"], &span["duration"])?))
}

/// Start and end, ns, of a start and a duration in microseconds.
fn of_micros(start: &Value, duration: &Value) -> Option<(u64, u64)> {
    let start = start.as_u64()?.checked_mul(1000)?;
    Some((start, start.saturating_add(duration.as_u64().unwrap_or_default().saturating_mul(1000))))
}

/// Whether a data source shows the trace with this id.
pub(super) async fn opens(patient: &Patient<'_>, source: &DataSource, id: &str) -> Finding {
    match read(patient, source, id).await {
        Some(_) => Finding::alive(source, "trace by id", format!("shows {id}")),
        None => Finding::dead(
            source,
            "trace by id",
            format!("{id} is not found there"),
            "send this application's spans to that server too, or lead links to the data source that has them",
        ),
    }
}
