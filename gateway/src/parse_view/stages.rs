//! What the stages of a pipeline do to a line, one row a stage that changes something.

use std::fmt::Write as _;

use parsers::record::format_rfc3339;
use parsers::stage::{Entry, Fields, Metric, Output, Step};

use crate::terminal::escape;

/// Collects what the stages say and the lines that come out.
pub(super) struct Watching<'a> {
    pub out: &'a mut String,
    pub entries: Vec<Entry>,
}

impl Output for Watching<'_> {
    fn entry(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    fn dropped(&mut self, reason: &str, _: &Entry) {
        let _ = writeln!(self.out, "   => dropped: {}", escape(reason));
    }

    fn metric(&mut self, metric: &Metric, value: f64, _: &Entry) {
        let _ = writeln!(self.out, "   metric    {} {value}", escape(&metric.name));
    }

    fn wait(&mut self, nanos: u64) {
        let _ = writeln!(self.out, "   limit     the reader would wait {} ms", nanos / 1_000_000);
    }

    fn wants_steps(&self) -> bool {
        true
    }

    fn step(&mut self, step: Step<'_>) {
        let indent = "  ".repeat(step.depth);
        let mut row = |what: &str| {
            let _ = writeln!(self.out, "   stage     {indent}[{}] {:<12} {what}", step.index, step.stage);
        };
        let Some(after) = step.after else {
            return row("nothing goes on");
        };
        let before = step.before;
        if before.line != after.line {
            row(&format!("line = {}", escape(&after.line)));
        }
        if before.time != after.time {
            row(&format!("time = {}", format_rfc3339(after.time)));
        }
        if before.tenant != after.tenant {
            row(&format!("tenant = {}", escape(after.tenant.as_deref().unwrap_or_default())));
        }
        for (kind, before, after) in [
            ("label", &before.labels, &after.labels),
            ("metadata", &before.metadata, &after.metadata),
            ("extracted", &before.extracted, &after.extracted),
        ] {
            changes(kind, before, after, &mut row);
        }
    }
}

fn changes(kind: &str, before: &Fields, after: &Fields, row: &mut dyn FnMut(&str)) {
    for (name, value) in after.iter().filter(|(name, value)| before.get(name) != Some(value)) {
        row(&format!("{kind} {} = {}", escape(name), escape(value)));
    }
    for (name, _) in before.iter().filter(|(name, _)| after.get(name).is_none()) {
        row(&format!("{kind} {} removed", escape(name)));
    }
}
