//! Why times vary: who has which share, and what goes with the largest ones.

use serde_json::Value;

use super::parts::{chance, left_out, number, over, percent, time};
use crate::terminal::{Cell, Page, Style, Table, at, counted, first, list, nanos, text};

/// Contributors from this share on are told with what goes with them.
const TOLD_FROM: f64 = 0.1;
/// Values, patterns and places of each that are told.
const TOLD: usize = 5;

pub(super) fn draw(answer: &Value, most: usize, page: &mut Page) {
    let of = first(&[text(answer, "operation"), "all that enters"]);
    let name = format!("Why {of} of {} takes different times", text(answer, "service"));
    page.line(&[(Style::Heading, &name), (Style::Faint, &over(at(answer, "window")))]);
    let traces = nanos(answer, "traces").unwrap_or(0);
    if traces == 0 {
        return;
    }
    let times = ["p50", "p90", "p95", "p99", "max"].map(|which| {
        let key = format!("{which}_nano");
        format!("{which} {}", time(answer, &key))
    });
    let spans = nanos(answer, "spans").unwrap_or(traces);
    let of = if spans > traces {
        format!("{} in {}", counted(spans, "span"), counted(traces, "trace"))
    } else {
        counted(traces, "trace")
    };
    page.line(&[(Style::Plain, &format!("  {of}: {}", times.join(", ")))]);
    let contributors = list(answer, "contributors");
    if !contributors.is_empty() {
        page.heading("Who has which share of the difference");
        let mut table = Table::new(&[
            ">share",
            "service",
            "operation",
            ">mean",
            ">when slow",
            ">when quick",
            ">spans slow/quick",
        ]);
        for one in contributors.iter().take(most) {
            let large = number(one, "share") >= TOLD_FROM;
            let style = if large { Style::Bad } else { Style::Plain };
            table.row(vec![
                Cell::new(style, percent(number(one, "share"))),
                Cell::new(Style::Name, text(one, "service")),
                Cell::new(style, text(one, "operation")),
                Cell::plain(time(one, "mean_nano")),
                Cell::plain(time(one, "slow_mean_nano")),
                Cell::plain(time(one, "fast_mean_nano")),
                Cell::plain(format!("{:.1}/{:.1}", number(one, "slow_spans"), number(one, "fast_spans"))),
            ]);
        }
        table.draw(page);
        let others = at(answer, "others");
        let shown = contributors.len().min(most);
        left_out(shown, contributors.len(), nanos(others, "operations").unwrap_or(0), "operation", page);
        page.line(&[(Style::Faint, "  slow: the slowest tenth of the traces; quick: the quicker half")]);
    }
    for one in contributors.iter().take(most).filter(|one| number(one, "share") >= TOLD_FROM) {
        goes_with(one, page);
    }
    slowest(answer, page);
}

fn goes_with(one: &Value, page: &mut Page) {
    page.heading(&format!(
        "What goes with the time of {} of {}",
        text(one, "operation"),
        text(one, "service")
    ));
    let presence = at(one, "presence");
    if !presence.is_null() {
        called(presence, page);
    }
    let before = page.lines();
    for attribute in list(one, "attributes").iter().take(TOLD) {
        let said = format!("{} = {:?}", text(attribute, "key"), text(attribute, "value"));
        told(attribute, "attribute", &said, page);
    }
    for pattern in list(one, "patterns").iter().take(TOLD) {
        told(pattern, "log lines", text(pattern, "pattern"), page);
    }
    for code in list(one, "code").iter().take(TOLD) {
        let place = format!("{} {}", text(code, "location"), text(code, "function"));
        match at(code, "goes_with") {
            Value::Null => page.wrapped(Style::Faint, "  code       seen here      ", place.trim()),
            strength => told(strength, "code", place.trim(), page),
        }
    }
    if page.lines() == before {
        page.line(&[(Style::Faint, "  no attribute, log line or place in the code does: look at a trace")]);
    }
}

/// In which traces it runs at all.
fn called(presence: &Value, page: &mut Page) {
    let (with, without) = (nanos(presence, "traces_with"), nanos(presence, "traces_without"));
    let (with, all) = (with.unwrap_or(0), with.unwrap_or(0).saturating_add(without.unwrap_or(0)));
    let part = percent(number(presence, "explains"));
    let said =
        format!("  called in {with} of {}: that alone explains {part} of its time", counted(all, "trace"));
    page.line(&[(Style::Plain, &said)]);
    for attribute in list(presence, "attributes").iter().take(TOLD) {
        let said = format!(
            "in {} of traces with {} = {:?}, {} without",
            percent(number(attribute, "share_with")),
            text(attribute, "key"),
            text(attribute, "value"),
            percent(number(attribute, "share_without")),
        );
        page.wrapped(Style::Name, "  called     ", &said);
    }
}

fn told(strength: &Value, what: &str, said: &str, page: &mut Page) {
    let explains = format!("explains {}", percent(number(strength, "explains")));
    page.wrapped(Style::Name, &format!("  {what:<10} {explains:<15}"), said);
    let numbers = format!(
        "             {} with it ({}), {} without ({}); {}",
        time(strength, "mean_with_nano"),
        counted(nanos(strength, "traces_with").unwrap_or(0), "trace"),
        time(strength, "mean_without_nano"),
        nanos(strength, "traces_without").unwrap_or(0),
        chance(number(strength, "significance")),
    );
    page.line(&[(Style::Faint, &numbers)]);
}

fn slowest(answer: &Value, page: &mut Page) {
    let slowest = list(answer, "slowest");
    if !slowest.is_empty() {
        page.heading("Slowest");
    }
    for example in slowest.iter().take(TOLD) {
        let long = time(example, "duration_nano");
        page.line(&[
            (Style::Plain, &format!("  {long:>8}  ")),
            (Style::Plain, &page.command(&format!("trace {}", text(example, "trace_id")))),
        ]);
    }
}
