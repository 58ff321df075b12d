//! Questions of analysis: reads the store and puts answers together.

use std::sync::Arc;

use query::QueryError;
use query::traceql::{self, Limits, Query};
use store::read::{LogRead, TraceRead, Window};

use super::answer::{Others, Times, Variance};
use super::compare::Metrics;
use super::lines::Lines;
use super::options::AnalysisOptions;
use super::sample::{Sample, Wanted, collect};
use super::variance::{self, Population};
use super::vocabulary::Vocabulary;
use crate::LabelMapping;

/// Says why times vary and what is different between traces. A cheap clone. Reads what is stored: callers on an async runtime
/// use a blocking thread.
#[derive(Clone)]
pub struct Analyst {
    pub(super) traces: Arc<dyn TraceRead>,
    pub(super) options: AnalysisOptions,
    logs: Option<Arc<dyn LogRead>>,
    metrics: Option<(Metrics, LabelMapping)>,
}

/// Why does the time of an operation vary?
#[derive(Debug, Clone)]
pub struct VarianceQuestion {
    /// `service.name`.
    pub service: String,
    /// Name of a span; `None` for any that enters the service.
    pub operation: Option<String>,
    /// In which the span starts.
    pub window: Window,
    /// Contributors that are listed.
    pub limit: usize,
}

impl Analyst {
    /// Over what is stored.
    pub fn new(traces: Arc<dyn TraceRead>, options: AnalysisOptions) -> Self {
        Self { traces, options, logs: None, metrics: None }
    }

    /// With lines that name no trace.
    pub fn with_logs(self, logs: Arc<dyn LogRead>) -> Self {
        Self { logs: Some(logs), ..self }
    }

    /// With metrics to compare too, of which the table says which are whose.
    pub fn with_metrics(self, metrics: Metrics, mapping: LabelMapping) -> Self {
        Self { metrics: Some((metrics, mapping)), ..self }
    }

    pub(super) fn metrics(&self) -> Option<(&Metrics, &LabelMapping)> {
        self.metrics.as_ref().map(|(metrics, mapping)| (metrics, mapping))
    }

    /// Splits the variance of an operation's time.
    pub fn variance(&self, asked: &VarianceQuestion) -> Result<Variance, QueryError> {
        let query = selects(&asked.service, asked.operation.as_deref())?;
        let mut vocabulary = Vocabulary::default();
        let wanted = Wanted {
            query: &query,
            window: asked.window,
            below: true,
            by: None,
            traces: self.options.trace_limit,
            spans: self.options.span_limit,
            limits: self.limits(),
        };
        let Sample { mut digests, warnings, oversize, .. } =
            collect(&*self.traces, &wanted, &mut vocabulary)?;
        let mut lines = self.lines(1);
        let mut population = Population { digests: &mut digests, vocabulary: &mut vocabulary };
        let line_traces = population.read_lines(&mut lines, self.options.log_trace_limit)?;
        let mut answer = Variance {
            service: asked.service.clone(),
            operation: asked.operation.clone(),
            window: asked.window,
            times: Times::default(),
            traces: 0,
            oversize,
            contributors: Vec::new(),
            others: Others::default(),
            slowest: Vec::new(),
            line_traces,
            warnings,
            reason: None,
        };
        if lines.cut {
            let what = variance::what(&digests);
            answer.warnings.push(format!("log lines of {line_traces} {what} were read in the time there is"));
        }
        answer.warnings.extend(lines.warning());
        variance::split(&mut answer, &digests, &lines, &vocabulary, (asked.limit, self.options.span_limit));
        let crowded = vocabulary.crowded();
        if !crowded.is_empty() {
            let names = crowded.join(", ");
            answer.warnings.push(format!("not all values of these attributes were looked at: {names}"));
        }
        Ok(answer)
    }

    /// Lines of traces that come in so many parts.
    pub(super) fn lines(&self, parts: usize) -> Lines<'_> {
        Lines::new(&*self.traces, self.logs.as_deref(), self.options.record_limit, self.options.time, parts)
    }

    pub(super) fn limits(&self) -> Limits {
        Limits { time: self.options.time, ..Limits::default() }
    }
}

/// Spans of an operation, or those that enter a service.
pub(super) fn selects(service: &str, operation: Option<&str>) -> Result<Query, QueryError> {
    let of = format!("resource.service.name = {}", quoted(service));
    Ok(match operation {
        Some(name) => traceql::parse(&format!("{{ {of} && name = {} }}", quoted(name)))?,
        // Of a service's spans those enter it that no other of its own stands above.
        None => traceql::parse(&format!("{{ {of} }}"))?,
    })
}

/// A text as TraceQL reads it.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
