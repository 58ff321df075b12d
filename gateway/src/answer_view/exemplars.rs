//! Traces behind the values of series: the highest value first.

use serde_json::Value;

use super::parts::{left_out, moment, selector, title};
use crate::terminal::{Cell, Page, Style, Table, at, first, float, list, short, text};

pub(super) fn draw(answer: &Value, most: usize, page: &mut Page) {
    title(&format!("Exemplars of {}", text(answer, "query")), at(answer, "window"), page);
    let mut exemplars: Vec<&Value> = list(answer, "exemplars").iter().collect();
    if exemplars.is_empty() {
        return;
    }
    exemplars.sort_by(|a, b| float(at(b, "value")).total_cmp(&float(at(a, "value"))));
    // Trace ids stand among the numbers: half an id is of no use.
    let mut table = Table::new(&[">value", ">trace", "", ">time", "series"]);
    for exemplar in exemplars.iter().take(most) {
        let failed = at(exemplar, "error").as_bool() == Some(true);
        let series = format!("{}{}", text(exemplar, "metric"), selector(at(exemplar, "labels")));
        table.row(vec![
            Cell::new(if failed { Style::Bad } else { Style::Heading }, short(float(at(exemplar, "value")))),
            Cell::plain(first(&[text(exemplar, "trace_id"), "(none)"])),
            Cell::new(Style::Faint, origin(exemplar)),
            Cell::plain(moment(exemplar, "time_unix_nano")),
            Cell::new(Style::Name, series),
        ]);
    }
    table.draw(page);
    left_out(exemplars.len().min(most), exemplars.len(), 0, "exemplar", page);
}

/// Who made it, of which kind it is, and whether there is anything to open.
pub(super) fn origin(exemplar: &Value) -> String {
    let mut words = match text(exemplar, "origin") {
        "trefoil" => format!("{} of its step", first(&[text(exemplar, "representative"), "one"])),
        _ => "received".to_owned(),
    };
    if at(exemplar, "stored").as_bool() == Some(false) {
        words.push_str(", not stored");
    }
    words
}
