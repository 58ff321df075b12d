//! What the views have in common: windows, numbers in units, what is left out, what is absent and what to keep in mind.

use serde_json::Value;

use crate::terminal::{Page, Style, at, counted, duration, first, list, nanos, text};

/// A time as people read it, to the millisecond; empty if there is none.
pub(super) fn moment(entry: &Value, key: &str) -> String {
    let time = nanos(entry, key).and_then(|time| jiff::Timestamp::from_nanosecond(time).ok());
    time.map(|time| time.strftime("%Y-%m-%d %H:%M:%S%.3fZ").to_string()).unwrap_or_default()
}

/// The title of a page with its window: `Services, 2026-11-21 20:00:00Z to 21:00:00Z (1h00m)`.
pub(super) fn title(name: &str, window: &Value, page: &mut Page) {
    page.line(&[(Style::Heading, name), (Style::Faint, &over(window))]);
}

/// A window after a comma; nothing if there is none.
pub(super) fn over(window: &Value) -> String {
    let (start, end) = (nanos(window, "start_unix_nano"), nanos(window, "end_unix_nano"));
    let (Some(start), Some(end)) = (start, end) else { return String::new() };
    let time = |time: i128| jiff::Timestamp::from_nanosecond(time).ok();
    let (Some(from), Some(to)) = (time(start), time(end)) else { return String::new() };
    let day = |time: jiff::Timestamp| time.strftime("%Y-%m-%d").to_string();
    let clock = |time: jiff::Timestamp| time.strftime("%H:%M:%SZ").to_string();
    let until = if day(from) == day(to) { clock(to) } else { format!("{} {}", day(to), clock(to)) };
    let long = duration(end.saturating_sub(start));
    format!(", {} {} to {until} ({long})", day(from), clock(from))
}

/// So many a second, in the unit that fits.
pub(super) fn rate(a_second: f64) -> String {
    match a_second {
        none if none <= 0.0 || !none.is_finite() => "0".to_owned(),
        some if some >= 1.0 => format!("{some:.1}/s"),
        some if some * 60.0 >= 1.0 => format!("{:.1}/min", some * 60.0),
        some => format!("{:.1}/h", some * 3600.0),
    }
}

/// A share: `12.5%`, and what is more than nothing never as nothing.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent.abs() {
        size if size >= 10.0 || size == 0.0 => format!("{percent:.0}%"),
        size if size >= 0.1 => format!("{percent:.1}%"),
        _ => format!("{percent:.2}%"),
    }
}

/// How probable chance is: `p 0.004`, `p < 0.0001`.
pub(super) fn chance(p: f64) -> String {
    if p < 1e-4 { "p < 0.0001".to_owned() } else { format!("p {p:.4}") }
}

/// A number with a fraction; 0 if there is none.
pub(super) fn number(entry: &Value, key: &str) -> f64 {
    at(entry, key).as_f64().unwrap_or_default()
}

/// Nanoseconds under a key in the unit that fits; `-` if there are none.
pub(super) fn time(entry: &Value, key: &str) -> String {
    nanos(entry, key).map_or_else(|| "-".to_owned(), duration)
}

/// How many failed, with their share; `-` for none.
pub(super) fn failures(failed: i128, calls: i128) -> String {
    if failed <= 0 {
        return "-".to_owned();
    }
    format!("{failed} ({})", percent(failed as f64 / calls.max(1) as f64))
}

/// Says what a list does not show: of what was answered, and of what the gateway left out itself.
pub(super) fn left_out(shown: usize, answered: usize, omitted: i128, what: &str, page: &mut Page) {
    let more = answered.saturating_sub(shown) as i128 + omitted;
    if more > 0 {
        let text = format!("  ... {}; --limit shows more", counted(more, &format!("more {what}")));
        page.line(&[(Style::Faint, &text)]);
    }
}

/// What is not there, and why; also why nothing is told.
pub(super) fn absent(answer: &Value, page: &mut Page) {
    let absent = list(answer, "absent");
    if !absent.is_empty() {
        page.heading("Absent");
    }
    for absence in absent {
        let (reason, detail) = (text(absence, "reason"), text(absence, "detail"));
        let mut why = first(&[detail, reason, "no reason given"]).to_owned();
        if !text(absence, "hint").is_empty() {
            why = format!("{why} -> {}", text(absence, "hint"));
        }
        let label = first(&[text(absence, "signal"), reason]);
        page.wrapped(Style::Name, &format!("  {label:<10}  "), &why);
    }
    reason(answer, page);
}

/// Why nothing is told, in words.
pub(super) fn reason(answer: &Value, page: &mut Page) {
    let reason = text(answer, "reason");
    if !reason.is_empty() {
        page.blank();
        page.wrapped(Style::Doubtful, "  ", reason);
    }
}

/// What to keep in mind when reading the rest.
pub(super) fn warnings(answer: &Value, page: &mut Page) {
    let mut warnings = list(answer, "warnings").iter().filter_map(Value::as_str).peekable();
    if warnings.peek().is_some() {
        page.heading("Warnings");
    }
    for warning in warnings {
        page.wrapped(Style::Doubtful, "  - ", warning);
    }
}

/// Labels as a selector has them: `{pod="cart-1", le="0.5"}`.
pub(super) fn selector(labels: &Value) -> String {
    let Some(labels) = labels.as_object() else { return String::new() };
    let pairs = labels.iter().filter(|(name, _)| *name != "__name__");
    let pairs: Vec<String> =
        pairs.map(|(name, value)| format!("{name}={:?}", value.as_str().unwrap_or_default())).collect();
    if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(", ")) }
}
