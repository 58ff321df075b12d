//! The blocks around the waterfall: header, lines without a span, exemplars, metrics, links, absences, warnings.

use serde_json::Value;

use super::body::{Body, is_offered, join_note};
use super::waterfall::log_line;
use crate::terminal::{
    Page, Style, at, columns, counted, duration, escape, first, fit, float, list, nanos, range, short,
    sparkline, text, whole,
};

/// Columns of a label in the header: the longest one and two blanks.
const LABEL: usize = 10;

/// The id, when, how long, how else the id was written, and who took part.
pub(super) fn header(body: &Body<'_>, page: &mut Page) {
    let id = first(&[body.text("trace_id"), "(no id)"]);
    page.line(&[(Style::Heading, "Trace "), (Style::Heading, id)]);
    if body.is_empty() {
        page.line(&[(Style::Bad, "Nothing was found for this id in any signal.")]);
        return;
    }
    if let Some(began) = body.start.and_then(|start| jiff::Timestamp::from_nanosecond(start).ok()) {
        field("began", &began.to_string(), page);
    }
    // Of a trace of one line nothing lasts.
    if let (Some(start), Some(end)) = (body.start, body.end)
        && (!body.list("spans").is_empty() || end.saturating_sub(start) > 1)
    {
        field("duration", &duration(end.saturating_sub(start)), page);
    }
    let count = |key: &str, what: &str| counted(body.list(key).len() as i128, what);
    let offered = body.list("logs").iter().filter(|log| is_offered(log)).count();
    let mut logs = count("logs", "log line");
    if offered > 0 {
        logs.push_str(&format!(" ({offered} without an id)"));
    }
    let shown = body.list("spans").len() as i128;
    let spans = match body.number("total_spans").filter(|all| *all > shown) {
        Some(all) => format!("{shown} of {all} spans"),
        None => count("spans", "span"),
    };
    field("found", &[spans, logs, count("exemplars", "exemplar")].join(", "), page);
    let others = body.list("spellings").iter().filter(|spelling| text(spelling, "written") != id);
    for (at, spelling) in others.enumerate() {
        field(if at == 0 { "also as" } else { "" }, &written(spelling), page);
    }
    for (at, service) in body.list("services").iter().enumerate() {
        field(if at == 0 { "services" } else { "" }, &took_part(service), page);
    }
}

fn field(label: &str, value: &str, page: &mut Page) {
    page.line(&[(Style::Faint, &format!("  {label:<LABEL$}")), (Style::Plain, value)]);
}

/// A spelling and where it was met: `00f067aa0ba902b7 (3 times: logs)`.
fn written(spelling: &Value) -> String {
    let mut places: Vec<&str> = list(spelling, "signals").iter().filter_map(Value::as_str).collect();
    for (key, name) in [("in_spans", "spans"), ("in_logs", "logs"), ("in_exemplars", "exemplars")] {
        let met = at(spelling, key);
        if met.as_bool() == Some(true) || whole(met).is_some_and(|count| count > 0) {
            places.push(name);
        }
    }
    let count = nanos(spelling, "count").map(|count| counted(count, "time"));
    let places = (!places.is_empty()).then(|| places.join(", "));
    let details: Vec<String> = [count, places].into_iter().flatten().collect();
    let spelt = text(spelling, "written");
    if details.is_empty() { spelt.to_owned() } else { format!("{spelt} ({})", details.join(": ")) }
}

/// A service and its share: `cart 1.4.0 in shop: 2 spans, 1 error, 3 logs`.
fn took_part(service: &Value) -> String {
    let mut line = first(&[text(service, "name"), "(no service)"]).to_owned();
    for (before, key) in [(" ", "version"), (" in ", "namespace")] {
        if !text(service, key).is_empty() {
            line.push_str(before);
            line.push_str(text(service, key));
        }
    }
    let counts: Vec<String> = [("spans", "span"), ("errors", "error"), ("logs", "log")]
        .into_iter()
        .filter_map(|(key, what)| Some(counted(nanos(service, key).filter(|count| *count > 0)?, what)))
        .collect();
    if !counts.is_empty() {
        line.push_str(": ");
        line.push_str(&counts.join(", "));
    }
    let pods: Vec<&str> = list(service, "pods").iter().filter_map(Value::as_str).collect();
    if !pods.is_empty() {
        line.push_str("; on ");
        line.push_str(&pods.join(", "));
    }
    line
}

/// Log lines that name no span, or one that the answer does not have.
pub(super) fn loose_logs(body: &Body<'_>, page: &mut Page) {
    let mut loose = body.list("logs").iter().filter(|log| !body.has_span(text(log, "span_id"))).peekable();
    if loose.peek().is_some() {
        page.heading("Log lines of the trace that name none of its spans");
    }
    for log in loose {
        log_line(body, log, "  ", page);
    }
}

/// Log lines that only speak of the trace.
pub(super) fn mentions(body: &Body<'_>, page: &mut Page) {
    let mentions = body.list("mentions");
    if !mentions.is_empty() {
        page.heading("Log lines that mention the id in their text");
    }
    for log in mentions {
        log_line(body, log, "  ", page);
    }
}

/// Samples that name the trace.
pub(super) fn exemplars(body: &Body<'_>, page: &mut Page) {
    let exemplars = body.list("exemplars");
    if !exemplars.is_empty() {
        page.heading("Exemplars");
    }
    for exemplar in exemplars {
        let (series, labels) = (at(exemplar, "series"), at(exemplar, "labels"));
        let metric = first(&[text(exemplar, "metric"), text(series, "__name__"), text(labels, "__name__")]);
        let value = short(float(at(exemplar, "value")));
        let span = text(exemplar, "span_id");
        let span = if span.is_empty() { String::new() } else { format!("span {span}") };
        let source = text(exemplar, "source");
        let source = if source.is_empty() { String::new() } else { format!("from {source}") };
        row(
            &[
                (Style::Name, first(&[metric, "(no name)"])),
                (Style::Plain, &service_of(exemplar)),
                (Style::Heading, &value),
                (Style::Plain, &body.offset(nanos(exemplar, "time_unix_nano"))),
                (Style::Faint, &span),
                (Style::Faint, &source),
            ],
            page,
        );
    }
}

/// The service that an entry belongs to, by its own word or by its labels.
fn service_of(entry: &Value) -> String {
    let keys = ["service_name", "service", "service.name", "job"];
    let found = [at(entry, "series"), at(entry, "labels")]
        .into_iter()
        .flat_map(|labels| keys.map(|key| text(labels, key)))
        .find(|name| !name.is_empty());
    first(&[text(entry, "service"), found.unwrap_or_default()]).to_owned()
}

/// Series of the services that took part, around the time of the trace.
pub(super) fn metrics(body: &Body<'_>, page: &mut Page) {
    let metrics = body.list("metrics");
    if !metrics.is_empty() {
        page.heading("Metrics");
    }
    let names = metrics.iter().map(|metric| columns(&escape(text(metric, "metric")))).max();
    let names = names.unwrap_or(0).min(page.width * 2 / 5);
    for metric in metrics {
        let apart = told_apart(metric, metrics);
        let values: Vec<f64> = list(metric, "values").iter().map(sample).collect();
        let range = match range(&values) {
            Some((low, high)) if low == high => format!("{} {}", short(low), text(metric, "unit")),
            Some((low, high)) => {
                format!("{}..{} {}", short(low), short(high), text(metric, "unit"))
            }
            None => "no samples".to_owned(),
        };
        row(
            &[
                (Style::Name, &fit(&escape(first(&[text(metric, "metric"), "(no name)"])), names)),
                (Style::Plain, &service_of(metric)),
                (Style::Good, &sparkline(&values)),
                (Style::Plain, range.trim_end()),
                (Style::Faint, &apart),
                (Style::Doubtful, &join_note(metric)),
            ],
            page,
        );
    }
}

/// The labels by which a series differs from the others of its metric and service: `route=/orders status=500`.
fn told_apart(metric: &Value, metrics: &[Value]) -> String {
    let labels = |metric: &Value| at(metric, "labels").as_object().cloned().unwrap_or_default();
    let alike = |other: &&Value| {
        text(other, "metric") == text(metric, "metric") && service_of(other) == service_of(metric)
    };
    let others: Vec<_> = metrics.iter().filter(alike).map(labels).collect();
    let told: Vec<String> = labels(metric)
        .iter()
        .filter(|(name, value)| others.iter().any(|other| other.get(*name) != Some(*value)))
        .map(|(name, value)| format!("{name}={}", escape(value.as_str().unwrap_or_default())))
        .collect();
    told.join(" ")
}

/// A sample, as a pair or as an object.
fn sample(sample: &Value) -> f64 {
    float(sample.get(1).or_else(|| sample.get("value")).unwrap_or(&Value::Null))
}

/// Where to go from here.
pub(super) fn links(body: &Body<'_>, page: &mut Page) {
    let links = body.list("links");
    // Of nothing they lead nowhere.
    if links.is_empty() || body.is_empty() {
        return;
    }
    page.heading("Links");
    for link in links {
        let (trace, span) = (text(link, "trace_id"), text(link, "span_id"));
        let from = first(&[text(link, "from_span_id"), text(link, "from")]);
        let mut target = text(link, "path").to_owned();
        if !trace.is_empty() {
            target = format!("trace {trace}");
        }
        for (word, id) in [(" span ", span), (" from span ", from)] {
            if !id.is_empty() {
                target.push_str(word);
                target.push_str(id);
            }
        }
        row(&[(Style::Name, text(link, "rel")), (Style::Plain, &target)], page);
    }
}

/// Pieces with two blanks before each; empty ones are left out.
fn row(pieces: &[(Style, &str)], page: &mut Page) {
    let filled = pieces.iter().filter(|(_, text)| !text.is_empty());
    let spaced: Vec<(Style, String)> = filled.map(|(style, text)| (*style, format!("  {text}"))).collect();
    let spaced: Vec<(Style, &str)> = spaced.iter().map(|(style, text)| (*style, text.as_str())).collect();
    page.line(&spaced);
}

/// Which signals say nothing, and why.
pub(super) fn absent(body: &Body<'_>, page: &mut Page) {
    let absent = body.list("absent");
    if !absent.is_empty() {
        page.heading("Absent");
    }
    for absence in absent {
        let (reason, detail) = (text(absence, "reason"), text(absence, "detail"));
        let why = if reason.is_empty() || detail.is_empty() {
            first(&[reason, detail, "no reason given"]).to_owned()
        } else {
            format!("{reason}: {detail}")
        };
        let hint = text(absence, "hint");
        let why = if hint.is_empty() { why } else { format!("{why} -> {hint}") };
        page.wrapped(Style::Name, &format!("  {:<LABEL$}", text(absence, "signal")), &why);
    }
}

/// How to go on where this is a part.
pub(super) fn next(body: &Body<'_>, page: &mut Page) {
    let (next, id) = (body.text("next"), body.text("trace_id"));
    if !next.is_empty() {
        page.heading("Next part");
        page.wrapped(Style::Plain, "  ", &page.command(&format!("trace {id} --cursor {next}")));
    }
}

/// What to keep in mind when reading the rest.
pub(super) fn warnings(body: &Body<'_>, page: &mut Page) {
    let mut warnings = body.list("warnings").iter().filter_map(Value::as_str).peekable();
    if warnings.peek().is_some() {
        page.heading("Warnings");
    }
    for warning in warnings {
        page.wrapped(Style::Doubtful, "  - ", warning);
    }
}
