//! Shapes of log lines and exceptions: what is new and risen first, as the gateway has them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::parts::{left_out, over};
use crate::terminal::{Cell, Page, Style, Table, at, counted, first, list, nanos, text};

/// Frames of a stack that are shown, innermost first.
const FRAMES: usize = 4;
/// Patterns that are named with a trace to look at.
const TRACES: usize = 5;

pub(super) fn draw(answer: &Value, most: usize, page: &mut Page) {
    let of = first(&[text(answer, "service"), "all services"]);
    let (window, against) = (at(answer, "window"), at(answer, "against"));
    page.line(&[(Style::Heading, &format!("Log lines of {of}")), (Style::Faint, &over(window))]);
    let lines = |side: &Value| counted(nanos(side, "lines").unwrap_or(0), "line");
    page.line(&[
        (Style::Plain, &format!("  {}, compared with {}", lines(window), lines(against))),
        (Style::Faint, &over(against)),
    ]);
    exceptions(answer, most, page);
    let patterns = list(answer, "patterns");
    if patterns.is_empty() {
        return;
    }
    page.heading("Patterns, what is news first");
    let mut table = Table::new(&[">#", "", "level", ">now", ">before", "pattern"]);
    for (place, pattern) in patterns.iter().take(most).enumerate() {
        let level = text(pattern, "level");
        let style = match level {
            "error" | "fatal" => Style::Bad,
            "warn" => Style::Doubtful,
            _ => Style::Plain,
        };
        table.row(vec![
            Cell::new(Style::Faint, (place + 1).to_string()),
            novelty(pattern),
            Cell::new(style, level),
            Cell::plain(count(pattern, "count")),
            Cell::plain(before(pattern)),
            Cell::plain(text(pattern, "pattern")),
        ]);
    }
    table.draw(page);
    left_out(patterns.len().min(most), patterns.len(), 0, "pattern", page);
    let traced = patterns.iter().take(most).enumerate().filter_map(|(place, pattern)| {
        Some((place + 1, list(pattern, "traces").first().map(|trace| text(trace, "trace_id"))?))
    });
    let mut seen = BTreeSet::new();
    let traced: Vec<_> = traced.filter(|(_, trace)| seen.insert(*trace)).take(TRACES).collect();
    if !traced.is_empty() {
        page.heading("To look at");
    }
    for (place, trace) in traced {
        page.line(&[
            (Style::Faint, &format!("  {place:>2}  ")),
            (Style::Plain, &page.command(&format!("trace {trace}"))),
        ]);
    }
}

fn count(entry: &Value, key: &str) -> String {
    nanos(entry, key).unwrap_or(0).to_string()
}

/// Of the time before; nothing where nothing is known of it.
fn before(entry: &Value) -> String {
    if text(entry, "novelty") == "unknown" { "-".to_owned() } else { count(entry, "count_against") }
}

fn novelty(entry: &Value) -> Cell {
    let style = match text(entry, "novelty") {
        "new" | "rising" if at(entry, "significant").as_bool() == Some(true) => Style::Bad,
        "new" | "rising" => Style::Doubtful,
        _ => Style::Faint,
    };
    // With nothing to compare with there is no news.
    let word = Some(text(entry, "novelty")).filter(|word| *word != "unknown");
    Cell::new(style, word.unwrap_or("-"))
}

fn exceptions(answer: &Value, most: usize, page: &mut Page) {
    let exceptions = list(answer, "exceptions");
    if !exceptions.is_empty() {
        page.heading("Exceptions, what is news first");
    }
    for exception in exceptions.iter().take(most) {
        let services: Vec<&str> = list(exception, "services").iter().filter_map(Value::as_str).collect();
        let times = format!(
            "  {:<7} {:>5} now, {:>5} before  ",
            text(exception, "novelty"),
            count(exception, "count"),
            before(exception)
        );
        let cause = text(exception, "cause");
        let cause = if cause.is_empty() { String::new() } else { format!(" <- {cause}") };
        let said = format!("{}{cause}: {}", text(exception, "type"), text(exception, "message"));
        page.wrapped(Style::Bad, &times, &said);
        let stack = list(exception, "stack");
        for frame in stack.iter().take(FRAMES).filter_map(Value::as_str) {
            page.line(&[(Style::Faint, &format!("          at {frame}"))]);
        }
        if stack.len() > FRAMES {
            page.line(&[(
                Style::Faint,
                &format!("          ... {}", counted((stack.len() - FRAMES) as i128, "more frame")),
            )]);
        }
        let trace = list(exception, "traces")
            .first()
            .map(|trace| page.command(&format!("trace {}", text(trace, "trace_id"))));
        let seen = if services.is_empty() { String::new() } else { format!("in {}", services.join(", ")) };
        let next: Vec<String> =
            [Some(seen).filter(|seen| !seen.is_empty()), trace].into_iter().flatten().collect();
        page.line(&[(Style::Plain, &format!("          {}", next.join("; ")))]);
    }
    left_out(exceptions.len().min(most), exceptions.len(), 0, "exception", page);
}
