//! What `trefoil parse` shows: for each line what stages do to it and what the rules find in it, and a count at the end.
//!
//! Reading the lines and writing the text happen elsewhere.

mod stages;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use parsers::container::{ContainerLine, JoinLimits, Joiner};
use parsers::derived::{Derived, Deriver, Verdict};
use parsers::record::ProblemKind;
use parsers::stage::{Entry, Pipeline};

use crate::terminal::escape;
use stages::Watching;

/// Characters of a line's text that are shown: enough to know it again.
const SHOWN_TEXT: usize = 160;

/// Describes lines one after the other, and counts.
#[derive(Debug)]
pub struct ParseView<'d> {
    joiner: Joiner,
    /// Bytes read so far.
    offset: u64,
    pipeline: Pipeline,
    /// Time of the last line.
    time: u64,
    records: Records<'d>,
}

impl<'d> ParseView<'d> {
    /// With these rules and stages.
    pub fn new(deriver: &'d Deriver, pipeline: Pipeline) -> Self {
        let records = Records {
            deriver,
            derived: Derived::default(),
            count: 0,
            linked: BTreeMap::new(),
            problems: BTreeMap::new(),
        };
        Self { joiner: Joiner::new(JoinLimits::default()), offset: 0, pipeline, time: 0, records }
    }

    /// Takes one line of input, with or without its newline; the text about the record that it ends. Empty for a partial
    /// line of a container file, whose rest is still to come.
    pub fn line(&mut self, raw: &[u8]) -> String {
        let Self { joiner, offset, pipeline, time, records } = self;
        let mut text = String::new();
        joiner.push(raw, *offset, &mut |line| records.take(&line, pipeline, time, &mut text));
        *offset = offset.saturating_add(raw.len() as u64);
        text
    }

    /// The input has ended: the text about records whose last part never came, or that a stage held. Empty if there are none.
    pub fn finish(&mut self) -> String {
        let Self { joiner, offset, pipeline, time, records } = self;
        let mut text = String::new();
        joiner.flush(&mut |line| records.take(&line, pipeline, time, &mut text));
        let mut watching = Watching { out: &mut text, entries: Vec::new() };
        pipeline.flush(*time, *offset, &mut watching);
        let entries = watching.entries;
        for entry in &entries {
            records.describe(&entry.as_line(), &mut text);
        }
        text
    }

    /// How many records there were, which rule linked how many, and what was wrong.
    pub fn summary(&self) -> String {
        self.records.summary()
    }
}

#[derive(Debug)]
struct Records<'d> {
    deriver: &'d Deriver,
    derived: Derived,
    count: u64,
    /// Records by the rule that found their trace.
    linked: BTreeMap<String, u64>,
    problems: BTreeMap<&'static str, u64>,
}

impl Records<'_> {
    fn take(&mut self, line: &ContainerLine<'_>, pipeline: &mut Pipeline, time: &mut u64, out: &mut String) {
        *time = line.time.unwrap_or(*time);
        if pipeline.is_empty() {
            return self.describe(line, out);
        }
        let mut entry =
            Entry { offset: line.offset, began: Some(line.began), ..Entry::new(*time, line.text) };
        entry.labels.set("stream", line.stream.as_str());
        let mut watching = Watching { out, entries: Vec::new() };
        pipeline.run(entry, *time, &mut watching);
        let entries = watching.entries;
        for entry in &entries {
            self.describe(&entry.as_line(), out);
        }
    }

    fn describe(&mut self, line: &ContainerLine<'_>, out: &mut String) {
        self.count += 1;
        self.deriver.derive(line.text, &mut self.derived);
        let written = escape(&String::from_utf8_lossy(line.text));
        let shown: String = written.chars().take(SHOWN_TEXT).collect();
        let more = if shown.len() < written.len() { "…" } else { "" };
        let _ = writeln!(out, "{}: {shown}{more}", self.count);
        self.result(line.text, out);
        for finding in self.deriver.explain(line.text) {
            let (verdict, why) = match &finding.verdict {
                Verdict::Used => ("used", String::new()),
                Verdict::Shadowed => ("shadowed", String::new()),
                Verdict::Refused(error) => ("refused", format!("  ({error})")),
            };
            let (rule, value) = (escape(&finding.rule), escape(&finding.value));
            let field = escape(&finding.field);
            let _ = writeln!(out, "   {verdict:<8}  {rule:<14}  {field:<8}  {value}{why}");
        }
        for problem in [line.problem, self.derived.problem].into_iter().flatten() {
            let what = problem_text(problem);
            *self.problems.entry(what).or_default() += 1;
            let _ = write!(out, "   problem   {what}");
            let cut = if line.problem == Some(problem) { line.truncated } else { 0 };
            let _ = if cut > 0 { writeln!(out, " ({cut} bytes cut)") } else { writeln!(out) };
        }
    }

    /// The row that says what the record will have.
    fn result(&mut self, text: &[u8], out: &mut String) {
        let derived = &self.derived;
        match derived.trace {
            Some(trace) => {
                let rule = derived.rule.and_then(|rule| self.deriver.rule_name(rule));
                let rule = rule.map(|name| escape(name)).unwrap_or_default();
                let _ = write!(out, "   => trace {trace}");
                if let Some(span) = derived.span {
                    let _ = write!(out, ", span {span}");
                }
                let _ = write!(out, ", by {rule}");
                *self.linked.entry(rule).or_default() += 1;
            }
            None => {
                let _ = write!(out, "   => not linked: no trace id found");
                if let Some(span) = derived.span {
                    let _ = write!(out, ", span {span} alone");
                }
            }
        }
        let _ = write!(out, ", severity {}", derived.severity.as_str());
        if let Some(service) = derived.service {
            let _ = write!(out, ", service {}", escape(&String::from_utf8_lossy(service.of(text))));
        }
        out.push('\n');
    }

    fn summary(&self) -> String {
        let linked: u64 = self.linked.values().sum();
        let mut text = String::new();
        let noun = if self.count == 1 { "line" } else { "lines" };
        let _ = writeln!(text, "{} {noun}, {linked} linked ({})", self.count, self.share(linked));
        let unlinked = self.count - linked;
        let rows = self.linked.iter().map(|(rule, count)| (rule.as_str(), *count));
        for (rule, count) in rows.chain((unlinked > 0).then_some(("not linked", unlinked))) {
            let _ = writeln!(text, "  {rule:<14}  {count:>8}  {:>7}", self.share(count));
        }
        if !self.problems.is_empty() {
            text.push_str("problems\n");
        }
        for (problem, count) in &self.problems {
            let _ = writeln!(text, "  {count:>8}  {problem}");
        }
        text
    }

    fn share(&self, count: u64) -> String {
        format!("{:.1} %", count as f64 * 100.0 / self.count.max(1) as f64)
    }
}

fn problem_text(problem: ProblemKind) -> &'static str {
    match problem {
        ProblemKind::BadLine => "not in the container format that the lines before it have",
        ProblemKind::Truncated => "longer than the limit for lines",
        ProblemKind::InvalidUtf8 => "not UTF-8",
        ProblemKind::BadTime => "its time cannot be read",
        ProblemKind::BadId => "a key for ids has a value that is not an id",
        ProblemKind::Rejected => "rejected",
    }
}
