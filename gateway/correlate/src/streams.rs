//! Which log streams are of a service: those whose labels say so by any name of the mapping, those of its container, and those of
//! its pods.

use std::collections::BTreeSet;

use parsers::record::{Labels, TENANT};
use regex::Regex;
use store::read::{LogRead, LogView, MatchOp, Matcher, ReadError, Window};

use crate::{LabelMapping, WorkloadField};

/// The label that an agent derives a service's name from where nothing else says it.
const CONTAINER: &str = "container";
const POD: &str = "pod";
/// Pods that are looked for by name.
const MAX_PODS: usize = 200;

/// Streams that one selector takes.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    /// All must hold. No stream meets those of two selections of one service.
    pub(crate) matchers: Vec<Matcher>,
    /// The label that names it, with its value: why these streams are of the service.
    pub(crate) by: (String, String),
}

impl Selection {
    /// As LogQL: with the namespace, where one is asked about.
    pub(crate) fn text(&self) -> String {
        let (name, value) = &self.by;
        let own = if name == POD {
            format!("{name}=~{}", quoted(value))
        } else if name == "job" {
            format!("{name}=~{}", quoted(&format!("(.*/)?{}", regex::escape(value))))
        } else {
            format!("{name}={}", quoted(value))
        };
        let place = self.matchers.iter().filter_map(|matcher| match &matcher.op {
            MatchOp::Equal(place) if matcher.name != *name && !place.is_empty() => {
                Some(format!("{}={}", matcher.name, quoted(place)))
            }
            _ => None,
        });
        let all: Vec<String> = place.chain([own]).collect();
        format!("{{{}}}", all.join(", "))
    }
}

/// Selections of the streams of a service that have lines in the window; `pods` are those that its spans name. All of them meet `place`,
/// too.
pub(crate) fn of_service(
    logs: &dyn LogRead,
    mapping: &LabelMapping,
    service: &str,
    pods: &BTreeSet<String>,
    place: &[Matcher],
    window: Window,
) -> Result<Vec<Selection>, ReadError> {
    let mut names: Vec<&str> = mapping.names(WorkloadField::Service).iter().map(String::as_str).collect();
    if !names.contains(&CONTAINER) {
        names.push(CONTAINER);
    }
    let mut selections = Vec::new();
    let mut before: Vec<Matcher> = place.to_vec();
    let mut add = |by: (String, String), op: MatchOp, not: MatchOp| -> Result<(), ReadError> {
        let own = Matcher { name: by.0.clone(), op };
        let matchers: Vec<Matcher> = std::iter::once(own).chain(before.iter().cloned()).collect();
        let some = !logs.streams(&matchers, window)?.is_empty();
        before.push(Matcher { name: by.0.clone(), op: not });
        if some {
            selections.push(Selection { matchers, by });
        }
        Ok(())
    };
    for name in names {
        let by = (name.to_owned(), service.to_owned());
        // Prometheus Operator and OpenTelemetry write `namespace/name`.
        match Regex::new(&format!("^(?s:(.*/)?{})$", regex::escape(service))) {
            Ok(job) if name == "job" => add(by, MatchOp::Regex(job.clone()), MatchOp::NotRegex(job))?,
            _ => add(by, MatchOp::Equal(service.to_owned()), MatchOp::NotEqual(service.to_owned()))?,
        }
    }
    let named: Vec<String> = pods.iter().take(MAX_PODS).map(|pod| regex::escape(pod)).collect();
    let pods = Regex::new(&format!("^(?s:{})$", named.join("|"))).ok().filter(|_| !named.is_empty());
    if let Some(pods) = pods {
        add((POD.to_owned(), named.join("|")), MatchOp::Regex(pods.clone()), MatchOp::NotRegex(pods))?;
    }
    Ok(selections)
}

/// Which tenant a line is of.
pub(crate) fn tenant_of<'a>(view: &LogView<'a>) -> Option<&'a str> {
    view.metadata().find(|(name, _)| *name == TENANT).map(|(_, value)| value)
}

/// The service that a stream's labels name, or its container.
pub(crate) fn service_of<'a>(mapping: &LabelMapping, labels: &'a Labels) -> Option<&'a str> {
    let mut names = mapping.names(WorkloadField::Service).iter().map(String::as_str).chain([CONTAINER]);
    names.find_map(|name| labels.get(name))
}

/// A text of LogQL, TraceQL or PromQL.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
