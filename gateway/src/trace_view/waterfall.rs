//! The spans as bars on one time line, each with what happened in it: oddities, events, log lines.

use std::collections::HashSet;

use serde_json::Value;

use super::body::{Body, is_offered, join_note, span_end, span_start};
use crate::terminal::{Page, Style, at, duration, escape, first, fit, list, nanos, text};

/// Columns of a duration: `1000.0ms` never occurs, `-59m59s` and `999.9µs` do.
const DURATION: usize = 8;
/// Columns left of the names: error mark, critical path mark, a blank.
const MARKS: usize = 3;
/// From this width on there is room for bars and self times.
const ROOM_FOR_BARS: usize = 64;

/// Widths of the columns that depend on the terminal.
struct Columns {
    label: usize,
    /// 0: no bars and no self times.
    bar: usize,
}

impl Columns {
    fn of(width: usize) -> Self {
        if width < ROOM_FOR_BARS {
            return Self { label: width.saturating_sub(MARKS + 1 + DURATION), bar: 0 };
        }
        // Three blanks between four columns.
        let shared = width - MARKS - 2 * DURATION - 3;
        let label = shared * 11 / 20;
        Self { label, bar: shared - label }
    }

    /// Blanks before a name: two a level, but never more than half of the column.
    fn indent(&self, span: &Value) -> usize {
        let depth = at(span, "depth").as_u64().and_then(|depth| usize::try_from(depth).ok()).unwrap_or(0);
        depth.saturating_mul(2).min(self.label / 2)
    }
}

/// The block of spans; nothing if there are none.
pub(super) fn draw(body: &Body<'_>, page: &mut Page) {
    let spans = body.list("spans");
    if spans.is_empty() {
        return;
    }
    let columns = Columns::of(page.width);
    page.heading("Spans");
    titles(&columns, page);
    let critical: HashSet<(&str, &str, &str)> = body.list("critical_path").iter().map(identity).collect();
    let mut shown = HashSet::new();
    for span in spans {
        let on_path = critical.contains(&identity(span));
        row(body, span, on_path, &columns, page);
        let indent = " ".repeat(MARKS + columns.indent(span) + 2);
        notes(body, span, &indent, page);
        let id = text(span, "span_id");
        // Two spans may share an id (client and server half); the lines stand under the first.
        if !id.is_empty() && shown.insert(id) {
            for log in body.logs_of(id) {
                log_line(body, log, &indent, page);
            }
        }
    }
    let any_error = spans.iter().any(is_error);
    let legend: Vec<&str> = [
        (any_error, "! error"),
        (!critical.is_empty(), "* on the critical path"),
        (body.list("logs").iter().any(is_offered), "? has no id, but probably belongs here"),
    ]
    .into_iter()
    .filter_map(|(is_shown, mark)| is_shown.then_some(mark))
    .collect();
    if !legend.is_empty() {
        page.line(&[(Style::Faint, &legend.join("   "))]);
    }
}

/// What tells a span from others, also from those with the same id.
fn identity(entry: &Value) -> (&str, &str, &str) {
    (text(entry, "span_id"), text(entry, "service"), text(entry, "name"))
}

fn is_error(span: &Value) -> bool {
    text(at(span, "status"), "code").eq_ignore_ascii_case("error")
}

fn titles(columns: &Columns, page: &mut Page) {
    let name = fit("   service  span", MARKS + columns.label);
    let title = if columns.bar == 0 {
        format!("{name} {:>DURATION$}", "duration")
    } else {
        format!("{name} {} {:>DURATION$} {:>DURATION$}", " ".repeat(columns.bar), "duration", "self")
    };
    page.line(&[(Style::Faint, &title)]);
}

fn row(body: &Body<'_>, span: &Value, critical: bool, columns: &Columns, page: &mut Page) {
    let error = is_error(span);
    let indent = columns.indent(span);
    let service = escape(first(&[text(span, "service"), "(no service)"]));
    let name = escape(first(&[text(span, "name"), "(no name)"]));
    let label = fit(&format!("{}{service}  {name}", " ".repeat(indent)), columns.label);
    let time = |key: &str| nanos(span, key).map(duration).unwrap_or_default();
    let marks = [if error { "!" } else { " " }, if critical { "* " } else { "  " }];
    let style = match (error, critical) {
        (true, _) => Style::Bad,
        (false, true) => Style::Doubtful,
        (false, false) => Style::Good,
    };
    let (bar, own) = if columns.bar == 0 {
        (String::new(), String::new())
    } else {
        (format!(" {}", bar(body, span, columns.bar)), format!(" {:>DURATION$}", time("self_time_nano")))
    };
    let long = format!(" {:>DURATION$}", time("duration_nano"));
    page.line(&[
        (Style::Bad, marks[0]),
        (Style::Doubtful, marks[1]),
        (if error { Style::Bad } else { Style::Name }, &label),
        (style, &bar),
        (Style::Plain, &long),
        (Style::Faint, &own),
    ]);
}

/// The span on the trace's time line; at least one cell.
fn bar(body: &Body<'_>, span: &Value, width: usize) -> String {
    let (Some(start), Some(end), Some(from), Some(to)) =
        (body.start, body.end, span_start(span), span_end(span))
    else {
        return " ".repeat(width);
    };
    let (whole, cells) = (end.saturating_sub(start).max(1), width as i128);
    let cell = |time: i128| time.saturating_sub(start).saturating_mul(cells) / whole;
    let first = cell(from).clamp(0, cells - 1);
    let last = cell(to).clamp(first + 1, cells);
    let (first, last) = (first as usize, last as usize);
    format!("{}{}{}", "·".repeat(first), "━".repeat(last - first), "·".repeat(width - last))
}

/// What is odd about a span, its status message and its events.
fn notes(body: &Body<'_>, span: &Value, indent: &str, page: &mut Page) {
    let oddities: Vec<&str> = list(span, "oddities").iter().filter_map(Value::as_str).collect();
    if !oddities.is_empty() {
        page.line(&[(Style::Plain, indent), (Style::Doubtful, &format!("~ {}", oddities.join(", ")))]);
    }
    let message = text(at(span, "status"), "message");
    if !message.is_empty() {
        page.line(&[(Style::Plain, indent), (Style::Bad, &format!("! {message}"))]);
    }
    for event in list(span, "events") {
        let attributes = at(event, "attributes");
        let detail = first(&[text(attributes, "exception.message"), text(attributes, "message")]);
        let offset = body.offset(nanos(event, "time_unix_nano"));
        let name = first(&[text(event, "name"), "(no name)"]);
        let said = if detail.is_empty() { name.to_owned() } else { format!("{name}: {detail}") };
        page.line(&[
            (Style::Plain, indent),
            (Style::Faint, &format!("@ event {offset:>9} ")),
            (Style::Plain, &said),
        ]);
    }
}

/// A log line: level, offset, join rule where it is not the plain one, text. One without an id has a mark of its own.
pub(super) fn log_line(body: &Body<'_>, log: &Value, indent: &str, page: &mut Page) {
    let level = first(&[text(log, "severity"), text(at(log, "metadata"), "detected_level"), "unknown"]);
    let style = match level {
        "error" | "fatal" => Style::Bad,
        "warn" => Style::Doubtful,
        _ => Style::Good,
    };
    let time = nanos(log, "adjusted_time_unix_nano").or_else(|| nanos(log, "time_unix_nano"));
    let offset = body.offset(time);
    let note = join_note(log);
    let note = if note.is_empty() { note } else { format!("{note} ") };
    let (bar, said) = if is_offered(log) { ("? ", Style::Faint) } else { ("| ", Style::Plain) };
    page.line(&[
        (Style::Plain, indent),
        (Style::Faint, bar),
        (style, &fit(&escape(level), 5)),
        (Style::Faint, &format!(" {offset:>9} ")),
        (Style::Doubtful, &note),
        (said, text(log, "line")),
    ]);
}
