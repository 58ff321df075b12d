//! The section `sampling`: which traces stay, decided for each as a whole.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use store::{KeepTraces, MAX_CONDITIONS, MAX_RULES, Pattern, Rule, SamplingOptions, ValueMatch, WAIT, When};

use super::node::{Kind, Node, Place};
use super::reader::{Mistakes, Section, scalar};
use super::render::{duration, quoted};
use super::values;

/// Spans come in batches: less than this cuts traces apart, and more holds too many of them.
const WAITS: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(10);
/// Bytes of a rule's name: it is kept with what it drops.
const MAX_NAME: usize = 64;

pub(super) fn read(node: Option<Node>, mistakes: &mut Mistakes) -> Option<SamplingOptions> {
    let whole = node.as_ref()?.place.clone();
    let mut section = Section::new(node, "sampling", mistakes);
    let wait = section.value("wait", wait, mistakes).unwrap_or(WAIT);
    let place = section.peek("rules").map(|node| node.place.clone());
    let list = section.list("rules", mistakes).unwrap_or_default();
    let path = section.path("rules");
    let place = place.unwrap_or(whole);
    let mut read: Vec<(String, Place, Rule)> = Vec::new();
    let mut all_read = true;
    for (path, node) in list {
        let place = node.place.clone();
        match rule(Section::new(Some(node), &path, mistakes), &place, &path, mistakes) {
            Some(rule) => read.push((path, place, rule)),
            None => all_read = false,
        }
    }
    section.end(mistakes);
    if all_read {
        check(&read, &place, &path, mistakes);
    }
    Some(SamplingOptions { wait, rules: read.into_iter().map(|(.., rule)| rule).collect() })
}

/// What can be wrong with rules that are each right by itself.
fn check(rules: &[(String, Place, Rule)], place: &Place, path: &str, mistakes: &mut Mistakes) {
    for (number, (path, place, rule)) in rules.iter().enumerate() {
        let before = rules.get(..number).unwrap_or_default();
        if before.iter().any(|(.., other)| other.name == rule.name) {
            let message = format!("there is another rule `{}` above", rule.name);
            mistakes.push(place, &format!("{path}.name"), message);
        }
        if let Some((.., always)) = before.iter().find(|(.., other)| other.when.is_always()) {
            let message = format!("never met: `{}` above has no `when` and decides every trace", always.name);
            mistakes.push(place, path, message);
        } else if let Some((.., same)) = before.iter().find(|(.., other)| other.when == rule.when) {
            let message = format!("never met: `{}` above has the same `when`", same.name);
            mistakes.push(place, path, message);
        }
    }
    let conditions: usize = rules.iter().map(|(.., rule)| rule.when.span_conditions()).sum();
    if rules.is_empty() {
        mistakes.push(place, path, "expected at least one rule, such as `{name: rest, keep: 0.1}`");
    } else if rules.iter().all(|(.., rule)| rule.keep == KeepTraces::Share(1.0)) {
        let message = "every rule keeps all, and what meets none is kept: give one that drops, such as \
                       `{name: rest, keep: 0.1}` at the end";
        mistakes.push(place, path, message);
    }
    if rules.len() > MAX_RULES {
        mistakes.push(place, path, format!("expected at most {MAX_RULES} rules, came {}", rules.len()));
    }
    if conditions > MAX_CONDITIONS {
        let message =
            format!("expected at most {MAX_CONDITIONS} services and attributes in all, came {conditions}");
        mistakes.push(place, path, message);
    }
}

fn wait(text: &str) -> Result<Duration, String> {
    let wait = values::duration(text).ok().filter(|wait| WAITS.contains(wait));
    wait.ok_or_else(|| "a duration from `100ms` to `10m`".to_owned())
}

fn name(text: &str) -> Result<Arc<str>, String> {
    let name = values::text(text).ok().filter(|name| name.len() <= MAX_NAME);
    name.map(Arc::from).ok_or_else(|| format!("a name of at most {MAX_NAME} bytes"))
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a share from 0 to 1, such as `0.1`".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "a number of traces a second above 0; `keep: 0` keeps none".to_owned())
}

fn rule(mut section: Section, place: &Place, path: &str, mistakes: &mut Mistakes) -> Option<Rule> {
    let named = section.peek("name").is_some();
    let name = section.value("name", name, mistakes);
    if !named {
        mistakes.push(place, path, "expected a rule with a `name`");
    }
    let when = match section.take("when") {
        Some(node) => when(node, &section.path("when"), mistakes),
        None => Some(When::default()),
    };
    if let (Some(_), Some(rate)) = (section.peek("keep"), section.peek("keep_per_second")) {
        let place = rate.place.clone();
        let message = "expected only one of `keep` and `keep_per_second`";
        mistakes.push(&place, &section.path("keep_per_second"), message);
    }
    let given = section.peek("keep").is_some() || section.peek("keep_per_second").is_some();
    let share = section.value("keep", share, mistakes).map(KeepTraces::Share);
    let rate = section.value("keep_per_second", rate, mistakes).map(KeepTraces::PerSecond);
    section.end(mistakes);
    let keep = share.or(rate).or((!given).then_some(KeepTraces::Share(1.0)));
    Some(Rule { name: name?, when: when?, keep: keep? })
}

fn when(node: Node, path: &str, mistakes: &mut Mistakes) -> Option<When> {
    let place = node.place.clone();
    let is_mapping = matches!(node.kind, Kind::Map(_) | Kind::Null);
    let mut section = Section::new(Some(node), path, mistakes);
    let mut right = is_mapping;
    let keys = ["error", "slower_than", "service", "attribute"];
    let given = keys.iter().any(|key| section.peek(key).is_some());
    let mut read = |given: bool, read: bool| right &= read || !given;
    let has = |section: &Section, key| section.peek(key).is_some();
    let mut when = When::default();

    let is_given = has(&section, "error");
    when.error = section.value("error", values::boolean, mistakes);
    read(is_given, when.error.is_some());
    let is_given = has(&section, "slower_than");
    when.slower_than = section.value("slower_than", values::duration, mistakes);
    read(is_given, when.slower_than.is_some());
    if let Some(node) = section.take("service") {
        when.service = value(&node, &section.path("service"), mistakes);
        read(true, when.service.is_some());
    }
    if let Some(node) = section.take("attribute") {
        let path = section.path("attribute");
        let attributes = attributes(node, &path, mistakes);
        read(true, attributes.is_some());
        when.attributes = attributes.unwrap_or_default();
    }
    section.end(mistakes);
    if !given && is_mapping {
        let message = "expected `error`, `slower_than`, `service` or `attribute`; without `when` a rule decides every trace";
        mistakes.push(&place, path, message);
        return None;
    }
    right.then_some(when)
}

/// `{http.route: /healthz, user_agent.original: {regex: 'kube-probe/.*'}}`
fn attributes(node: Node, path: &str, mistakes: &mut Mistakes) -> Option<Vec<(String, ValueMatch)>> {
    let Kind::Map(entries) = node.kind else {
        let message = format!("expected a mapping of attributes to values, came {}", node.kind.describe());
        mistakes.push(&node.place, path, message);
        return None;
    };
    if entries.is_empty() {
        mistakes.push(&node.place, path, "expected at least one attribute, such as `http.route: /healthz`");
        return None;
    }
    let count = entries.len();
    let read: Vec<_> = entries
        .into_iter()
        .filter_map(|(key, _, node)| {
            let value = value(&node, &format!("{path}.{key}"), mistakes)?;
            Some((key, value))
        })
        .collect();
    (read.len() == count).then_some(read)
}

/// A value as it must be, or `{regex: ...}`.
fn value(node: &Node, path: &str, mistakes: &mut Mistakes) -> Option<ValueMatch> {
    if matches!(node.kind, Kind::Scalar(_)) {
        return scalar(node, path, |text| Ok(ValueMatch::Equal(text.to_owned())), mistakes);
    }
    let Kind::Map(_) = node.kind else {
        let came = node.kind.describe();
        mistakes.push(&node.place, path, format!("expected a value or `{{regex: ...}}`, came {came}"));
        return None;
    };
    let mut section = Section::new(Some(node.clone()), path, mistakes);
    let given = section.peek("regex").is_some();
    let pattern = section.value(
        "regex",
        |text| Pattern::new(text).map_err(|error| format!("a regular expression ({error})")),
        mistakes,
    );
    section.end(mistakes);
    if !given {
        mistakes.push(&node.place, path, "expected a value or `{regex: ...}`");
    }
    pattern.map(ValueMatch::Regex)
}

/// As [`read`] reads it back.
pub(super) fn render(options: &SamplingOptions, out: &mut String) -> std::fmt::Result {
    writeln!(out, "sampling:\n  wait: {}\n  rules:", duration(options.wait))?;
    for rule in &options.rules {
        write!(out, "    - {{name: {}", quoted(&rule.name))?;
        let conditions = conditions(&rule.when);
        if !conditions.is_empty() {
            write!(out, ", when: {{{}}}", conditions.join(", "))?;
        }
        match rule.keep {
            KeepTraces::Share(share) => writeln!(out, ", keep: {share}}}")?,
            KeepTraces::PerSecond(rate) => writeln!(out, ", keep_per_second: {rate}}}")?,
        }
    }
    Ok(())
}

fn conditions(when: &When) -> Vec<String> {
    let value = |value: &ValueMatch| match value {
        ValueMatch::Equal(text) => quoted(text),
        ValueMatch::Regex(pattern) => format!("{{regex: {}}}", quoted(pattern.as_str())),
    };
    let mut written = Vec::new();
    written.extend(when.error.map(|error| format!("error: {error}")));
    written.extend(when.slower_than.map(|limit| format!("slower_than: {}", duration(limit))));
    written.extend(when.service.as_ref().map(|service| format!("service: {}", value(service))));
    if !when.attributes.is_empty() {
        let pairs = when.attributes.iter().map(|(key, wanted)| format!("{}: {}", quoted(key), value(wanted)));
        written.push(format!("attribute: {{{}}}", pairs.collect::<Vec<_>>().join(", ")));
    }
    written
}

#[cfg(test)]
mod tests;
