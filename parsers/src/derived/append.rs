//! A container line and what was derived from it, as a row of a batch: the one place where lines become records.

use std::sync::Arc;

use crate::container::ContainerLine;
use crate::record::{ByteRange, LogBatch, LogRow, push_pair};

use super::{Derived, Deriver};

/// Where a line comes from, in the terms of its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineSource {
    /// Index into [`LogBatch::streams`].
    pub stream: u32,
    /// Index into [`LogBatch::files`] plus one; 0 is none.
    pub file: u32,
    /// When it was read: nanoseconds since the epoch. Stands in for the line's own time where it has none.
    pub observed: u64,
}

impl Deriver {
    /// Appends a line with what [`Deriver::derive`] found in it. Structured metadata gets `service_name` where the line
    /// names a service and its stream does not name the same, the groups of configured rules, `trace_sampled` = `false`
    /// where the line says so, and `truncated_bytes`. An id that a cut line ends with is left out: it may have been cut
    /// too, and would name another trace. Returns the row, so that a receiver which knows better (an OTLP
    /// record has its ids in fields of its own) can say so.
    pub fn append<'b>(
        &self,
        batch: &'b mut LogBatch,
        line: &ContainerLine<'_>,
        derived: &Derived,
        source: LineSource,
    ) -> &'b mut LogRow {
        let cut = line.truncated > 0;
        let trace = derived.trace.filter(|_| !(cut && derived.trace_ends_line));
        let span = derived.span.filter(|_| !(cut && derived.span_ends_line));
        let rule = derived.rule.filter(|_| trace.is_some());
        let rule = rule.and_then(|rule| self.rule_name(rule)).map_or(0, |name| rule_in(batch, name));
        let text = batch.push_text(line.text);
        let start = batch.meta.len() as u32;
        if let Some(service) = derived.service.and_then(|at| std::str::from_utf8(at.of(line.text)).ok()) {
            let labelled = batch.streams.get(source.stream as usize).and_then(|l| l.get("service_name"));
            if labelled != Some(service) {
                push_pair(&mut batch.meta, "service_name", service);
            }
        }
        for (name, at) in &derived.extra {
            push_pair(&mut batch.meta, name, &String::from_utf8_lossy(at.of(line.text)));
        }
        if derived.sampled == Some(false) {
            push_pair(&mut batch.meta, "trace_sampled", "false");
        }
        if line.truncated > 0 {
            push_pair(&mut batch.meta, "truncated_bytes", &line.truncated.to_string());
        }
        let meta = ByteRange { start, end: batch.meta.len() as u32 };
        batch.rows.push_mut(LogRow {
            time: line.time.unwrap_or(source.observed),
            observed: source.observed,
            trace: trace.map_or(0, |id| id.bits()),
            span: span.map_or(0, |id| id.bits()),
            offset: line.offset,
            stream: source.stream,
            file: source.file,
            line: text,
            meta,
            rule,
            spelling: trace.map(|id| id.spelling()).unwrap_or_default(),
            severity: derived.severity,
        })
    }
}

/// The index plus one of a rule's name in the batch; a batch sees few rules, so looking through them is quickest.
fn rule_in(batch: &mut LogBatch, name: &Arc<str>) -> u16 {
    let found = batch.rules.iter().position(|known| Arc::ptr_eq(known, name) || known == name);
    let at = found.unwrap_or_else(|| {
        batch.rules.push(Arc::clone(name));
        batch.rules.len() - 1
    });
    (at + 1) as u16
}
