//! What is different between two sets, two traces, or versions of a service.

use serde_json::Value;

use super::parts::{chance, left_out, moment, number, over, percent, reason, time, warnings};
use crate::terminal::{Cell, Page, Style, Table, at, counted, duration, list, nanos, text};

pub(super) fn draw(answer: &Value, most: usize, page: &mut Page) {
    page.line(&[(Style::Heading, "What is different")]);
    sides(answer, page);
    findings(answer, most, page);
    spans(answer, most, page);
}

/// Both sides, one below the other.
fn sides(answer: &Value, page: &mut Page) {
    let mut table = Table::new(&["", "traces of", ">traces", ">failed", ">p50", ">p95", ">p99"]);
    for name in ["a", "b"] {
        let (side, times) = (at(answer, name), at(at(answer, name), "times"));
        let (matched, traces) = (nanos(side, "matched").unwrap_or(0), nanos(side, "traces").unwrap_or(0));
        let count = if matched > traces { format!("{traces} of {matched}") } else { traces.to_string() };
        let mut row = vec![Cell::new(Style::Heading, name), Cell::plain(text(side, "selection"))];
        row.push(Cell::plain(count));
        row.push(Cell::plain(nanos(side, "failed").unwrap_or(0).to_string()));
        row.extend(["p50_nano", "p95_nano", "p99_nano"].map(|key| Cell::plain(time(times, key))));
        table.row(row);
    }
    table.draw(page);
    let overall = at(answer, "overall");
    if !overall.is_null() {
        let (p, effect) = (number(overall, "significance"), number(overall, "effect"));
        let said = if p > 0.01 {
            "  their times as a whole do not surely differ".to_owned()
        } else {
            let which = if effect > 0.0 { "longer" } else { "shorter" };
            format!(
                "  traces of a take {which} in {} of all pairs",
                percent(f64::midpoint(effect.abs(), 1.0))
            )
        };
        page.line(&[(Style::Plain, &said), (Style::Faint, &format!(" ({})", chance(p)))]);
    }
}

/// What matters most first.
fn findings(answer: &Value, most: usize, page: &mut Page) {
    let findings = list(answer, "findings");
    if !findings.is_empty() {
        page.heading("Findings, what matters most first");
    }
    for (number_of, finding) in findings.iter().take(most).enumerate() {
        let label = format!("  {:>2}. {:<10}", number_of + 1, text(finding, "kind"));
        page.wrapped(Style::Name, &label, &in_words(finding));
        for same in list(finding, "also").iter().filter_map(Value::as_str) {
            page.wrapped(Style::Faint, "                as ", same);
        }
        let mut told = Vec::new();
        if let Some(p) = at(finding, "significance").as_f64() {
            told.push(chance(p));
        }
        if let Some(effect) = at(finding, "effect").as_f64() {
            told.push(format!("effect {effect:+.2}"));
        }
        if let Some(trace) = list(finding, "example_trace_ids").first().and_then(Value::as_str) {
            told.push(page.command(&format!("trace {trace}")));
        }
        if !told.is_empty() {
            page.line(&[(Style::Faint, &format!("{}{}", " ".repeat(16), told.join(", ")))]);
        }
    }
    let omitted = nanos(answer, "omitted").unwrap_or(0);
    left_out(findings.len().min(most), findings.len(), omitted, "finding", page);
    if let Some(tested) = nanos(answer, "tested").filter(|tested| *tested > 0 && findings.is_empty()) {
        page.line(&[(
            Style::Good,
            &format!("  nothing: none of {tested} differences that were tested is sure and large enough"),
        )]);
    }
}

/// With where it was seen, unless the words name it.
fn in_words(finding: &Value) -> String {
    let mut words = text(finding, "what").to_owned();
    let place = [text(finding, "operation"), text(finding, "service")];
    let named = place.iter().all(|part| words.contains(part));
    if !named {
        let place: Vec<&str> = place.into_iter().filter(|part| !part.is_empty()).collect();
        words = format!("{words}, in {}", place.join(" of "));
    }
    let labels = super::parts::selector(at(finding, "labels"));
    if labels.is_empty() { words } else { format!("{words} {labels}") }
}

/// Two traces side by side.
fn spans(answer: &Value, most: usize, page: &mut Page) {
    let spans = list(answer, "spans");
    if spans.is_empty() {
        return;
    }
    page.heading("Span by span");
    let mut table = Table::new(&["service  span", ">a", ">b", ">a - b", "only in"]);
    for pair in spans.iter().take(most) {
        let depth = nanos(pair, "depth").unwrap_or(0).clamp(0, 12) as usize;
        let (a, b) = (at(pair, "a"), at(pair, "b"));
        let long = |side: &Value| nanos(side, "duration_nano");
        let difference = long(a).zip(long(b)).map(|(a, b)| a - b);
        let failed = [a, b].iter().any(|side| text(side, "status") == "error");
        let only = if a.is_null() {
            "b"
        } else if b.is_null() {
            "a"
        } else {
            ""
        };
        let name = format!("{}{}  {}", "  ".repeat(depth), text(pair, "service"), text(pair, "operation"));
        table.row(vec![
            Cell::new(if failed { Style::Bad } else { Style::Name }, name),
            Cell::plain(time(a, "duration_nano")),
            Cell::plain(time(b, "duration_nano")),
            Cell::plain(difference.map(duration).unwrap_or_default()),
            Cell::new(Style::Doubtful, only),
        ]);
    }
    table.draw(page);
    let omitted = nanos(answer, "spans_omitted").unwrap_or(0);
    left_out(spans.len().min(most), spans.len(), omitted, "span", page);
}

pub(super) fn versions(answer: &Value, most: usize, page: &mut Page) {
    let name = format!("Versions of {} by {}", text(answer, "service"), text(answer, "by"));
    page.line(&[(Style::Heading, &name), (Style::Faint, &over(at(answer, "window")))]);
    let versions = list(answer, "versions");
    if !versions.is_empty() {
        let mut table = Table::new(&[
            "version",
            ">traffic",
            ">calls",
            ">failed",
            ">p50",
            ">p95",
            ">p99",
            "first seen",
            "",
        ]);
        for version in versions.iter().take(most) {
            let usual = text(version, "version") == text(answer, "baseline");
            let (times, failed) = (at(version, "times"), nanos(version, "failed").unwrap_or(0));
            let calls = nanos(version, "calls").unwrap_or(0);
            let mut row = vec![
                Cell::new(Style::Name, text(version, "version")),
                Cell::plain(percent(number(version, "share"))),
                Cell::plain(calls.to_string()),
                Cell::new(
                    if failed > 0 { Style::Bad } else { Style::Faint },
                    super::parts::failures(failed, calls),
                ),
            ];
            row.extend(["p50_nano", "p95_nano", "p99_nano"].map(|key| Cell::plain(time(times, key))));
            row.push(Cell::plain(moment(version, "first_seen_unix_nano")));
            row.push(Cell::new(Style::Faint, if usual { "compared with" } else { "" }));
            table.row(row);
        }
        table.draw(page);
        let omitted = nanos(answer, "omitted").unwrap_or(0);
        left_out(versions.len().min(most), versions.len(), omitted, "version", page);
    }
    for compared in list(answer, "compared") {
        let age = if at(compared, "newer").as_bool() == Some(true) { "newer" } else { "older" };
        let count = counted(nanos(at(compared, "a"), "traces").unwrap_or(0), "trace");
        page.heading(&format!(
            "{} ({age}, {count}; a) against {} (b)",
            text(compared, "version"),
            text(answer, "baseline")
        ));
        findings(compared, most, page);
        reason(compared, page);
        warnings(compared, page);
    }
}
