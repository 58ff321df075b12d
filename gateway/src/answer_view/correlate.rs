//! The other signals of anything: surest and most telling first, as the gateway has them.

use serde_json::Value;

use super::exemplars::origin;
use super::parts::{left_out, moment, number, over, selector, time};
use crate::terminal::{
    Cell, Page, Style, Table, at, first, float, list, nanos, range, short, sparkline, text,
};

pub(super) fn draw(answer: &Value, most: usize, page: &mut Page) {
    let from = at(answer, "from");
    let name = format!("What belongs to {} {}", text(from, "kind"), text(from, "value"));
    page.line(&[(Style::Heading, &name), (Style::Faint, &over(at(answer, "window")))]);
    let tenant = text(answer, "tenant");
    if !tenant.is_empty() {
        page.line(&[(Style::Plain, &format!("  of tenant {tenant} only"))]);
    }
    workloads(answer, most, page);
    traces(answer, most, page);
    logs(answer, most, page);
    exemplars(answer, most, page);
    metrics(answer, most, page);
    links(answer, page);
}

/// Which rule, and how sure it is.
fn rule(entry: &Value) -> Cell {
    let confidence = number(entry, "confidence");
    let style = if confidence >= 0.8 { Style::Good } else { Style::Doubtful };
    Cell::new(style, format!("{} {confidence:.2}", text(entry, "rule")))
}

fn workloads(answer: &Value, most: usize, page: &mut Page) {
    let workloads = list(answer, "workloads");
    if workloads.is_empty() {
        return;
    }
    page.heading("Who took part");
    let mut table = Table::new(&["service", "version", "pod", "node", "rule"]);
    for workload in workloads.iter().take(most) {
        let service = first(&[text(workload, "service"), text(workload, "container"), "(no name)"]);
        let pod = [text(workload, "namespace"), text(workload, "pod")];
        let pod: Vec<&str> = pod.into_iter().filter(|part| !part.is_empty()).collect();
        table.row(vec![
            Cell::new(Style::Name, service),
            Cell::plain(text(workload, "version")),
            Cell::plain(pod.join("/")),
            Cell::plain(first(&[text(workload, "node"), text(workload, "host")])),
            rule(workload),
        ]);
    }
    table.draw(page);
    left_out(workloads.len().min(most), workloads.len(), 0, "workload", page);
}

fn traces(answer: &Value, most: usize, page: &mut Page) {
    let traces = list(answer, "traces");
    if traces.is_empty() {
        return;
    }
    page.heading("Traces");
    // Ids stand among the numbers: half an id is of no use.
    let mut table = Table::new(&[">trace", "root", ">takes", ">failed", ">began", "rule", "why"]);
    for trace in traces.iter().take(most) {
        let errors = nanos(trace, "errors").unwrap_or(0);
        let failed = if errors > 0 { format!("{errors} spans") } else { "-".to_owned() };
        let root = format!("{}  {}", text(trace, "root_service"), text(trace, "root_name"));
        table.row(vec![
            Cell::plain(text(trace, "trace_id")),
            Cell::new(if errors > 0 { Style::Bad } else { Style::Name }, root.trim()),
            Cell::plain(time(trace, "duration_nano")),
            Cell::new(if errors > 0 { Style::Bad } else { Style::Faint }, failed),
            Cell::plain(moment(trace, "start_unix_nano")),
            rule(trace),
            Cell::new(Style::Faint, text(trace, "why")),
        ]);
    }
    table.draw(page);
    left_out(traces.len().min(most), traces.len(), 0, "trace", page);
}

fn logs(answer: &Value, most: usize, page: &mut Page) {
    let logs = list(answer, "logs");
    if logs.is_empty() {
        return;
    }
    page.heading("Log lines");
    let mut table = Table::new(&[">time", "level", "rule", "line"]);
    for log in logs.iter().take(most) {
        let level = first(&[text(log, "severity"), "unknown"]);
        let style = match level {
            "error" | "fatal" => Style::Bad,
            "warn" => Style::Doubtful,
            _ => Style::Plain,
        };
        table.row(vec![
            Cell::new(Style::Faint, moment(log, "time_unix_nano")),
            Cell::new(style, level),
            rule(log),
            Cell::plain(text(log, "line")),
        ]);
    }
    table.draw(page);
    left_out(logs.len().min(most), logs.len(), 0, "line", page);
}

fn exemplars(answer: &Value, most: usize, page: &mut Page) {
    let exemplars = list(answer, "exemplars");
    if exemplars.is_empty() {
        return;
    }
    page.heading("Exemplars");
    let mut table = Table::new(&[">value", ">trace", "", "series"]);
    for entry in exemplars.iter().take(most) {
        let exemplar = at(entry, "exemplar");
        table.row(vec![
            Cell::new(Style::Heading, short(float(at(exemplar, "value")))),
            Cell::plain(first(&[text(exemplar, "trace_id"), "(none)"])),
            Cell::new(Style::Faint, origin(exemplar)),
            Cell::new(
                Style::Name,
                format!("{}{}", text(exemplar, "metric"), selector(at(exemplar, "labels"))),
            ),
        ]);
    }
    table.draw(page);
    left_out(exemplars.len().min(most), exemplars.len(), 0, "exemplar", page);
}

fn metrics(answer: &Value, most: usize, page: &mut Page) {
    let metrics = list(answer, "metrics");
    if metrics.is_empty() {
        return;
    }
    page.heading("Metrics");
    let mut table = Table::new(&["metric", ">", ">range", "rule", "labels"]);
    for metric in metrics.iter().take(most) {
        let values = list(metric, "values").iter().map(|sample| float(sample.get(1).unwrap_or(&Value::Null)));
        let values: Vec<f64> = values.collect();
        let between = match range(&values) {
            Some((low, high)) if low == high => short(low),
            Some((low, high)) => format!("{}..{}", short(low), short(high)),
            None => "no samples".to_owned(),
        };
        table.row(vec![
            Cell::new(Style::Name, text(metric, "metric")),
            Cell::new(Style::Good, sparkline(&values)),
            Cell::plain(format!("{between} {}", text(metric, "unit")).trim_end()),
            rule(metric),
            Cell::new(Style::Faint, selector(at(metric, "labels"))),
        ]);
    }
    table.draw(page);
    left_out(metrics.len().min(most), metrics.len(), 0, "series", page);
}

fn links(answer: &Value, page: &mut Page) {
    let links = list(answer, "links");
    if !links.is_empty() {
        page.heading("The same elsewhere");
    }
    for link in links {
        let surface = first(&[text(link, "language"), text(link, "surface")]);
        page.wrapped(Style::Faint, &format!("  {surface:<8}  "), text(link, "query"));
    }
}
