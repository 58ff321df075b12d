//! `pipeline_stages` and `relabel_configs` in Promtail's own YAML shape: a tree of nodes in, the stages of
//! [`parsers::stage`] out, each mistake at its line. What stages do lives there.

use parsers::stage::relabel::{Relabel, RelabelAction, RelabelConfig};
use parsers::stage::*;

use super::node::{Kind, Node, Place};
use super::reader::{Mistakes, Section, scalar};
use super::values;

/// Reads a list of stages and compiles it, so that what can never run is a mistake at the line of its stage.
pub fn stages(list: &[(String, Node)], mistakes: &mut Mistakes) -> Vec<StageConfig> {
    let mut places = Vec::new();
    let read = read_list(list, &mut Vec::new(), &mut places, mistakes);
    for error in Pipeline::new(&read).err().unwrap_or_default() {
        if let Some((_, path, place)) = places.iter().find(|(at, ..)| *at == error.at) {
            mistakes.push(place, path, error.message);
        }
    }
    read
}

/// Reads a list of relabelling rules and compiles it.
pub fn relabel(list: &[(String, Node)], mistakes: &mut Mistakes) -> Vec<RelabelConfig> {
    let mut rules = Vec::new();
    let mut places = Vec::new();
    for (path, node) in list {
        let mut rule = Section::new(Some(node.clone()), path, mistakes);
        let base = RelabelConfig::default();
        rules.push(RelabelConfig {
            source_labels: texts(&mut rule, "source_labels", mistakes),
            separator: any(&mut rule, "separator", mistakes).unwrap_or(base.separator),
            regex: any(&mut rule, "regex", mistakes).unwrap_or(base.regex),
            modulus: rule.value("modulus", number, mistakes).unwrap_or_default(),
            target_label: any(&mut rule, "target_label", mistakes).unwrap_or_default(),
            replacement: any(&mut rule, "replacement", mistakes).unwrap_or(base.replacement),
            action: rule.value("action", action, mistakes).unwrap_or_default(),
        });
        rule.end(mistakes);
        places.push((path, &node.place));
    }
    for error in Relabel::new(&rules).err().unwrap_or_default() {
        if let Some((path, place)) = places.get(error.index) {
            mistakes.push(place, path, error.message);
        }
    }
    rules
}

/// The stages that there are.
pub(super) const STAGES: [&str; 25] = [
    "cri",
    "docker",
    "regex",
    "json",
    "logfmt",
    "pattern",
    "replace",
    "template",
    "timestamp",
    "output",
    "labels",
    "labeldrop",
    "labelallow",
    "static_labels",
    "structured_metadata",
    "tenant",
    "match",
    "drop",
    "sampling",
    "limit",
    "multiline",
    "decolorize",
    "truncate",
    "metrics",
    "redact",
];

type Placed = (Vec<usize>, String, Place);

fn read_list(
    list: &[(String, Node)],
    at: &mut Vec<usize>,
    places: &mut Vec<Placed>,
    mistakes: &mut Mistakes,
) -> Vec<StageConfig> {
    let mut stages = Vec::new();
    for (path, node) in list {
        let Kind::Map(entries) = &node.kind else {
            mistakes.push(
                &node.place,
                path,
                format!("expected a stage such as `cri: {{}}`, came {}", node.kind.describe()),
            );
            continue;
        };
        for (name, place, body) in entries {
            let path = format!("{path}.{name}");
            at.push(stages.len());
            let known = places.len();
            places.push((at.clone(), path.clone(), place.clone()));
            match stage(name, &path, place, body, at, places, mistakes) {
                Some(stage) => stages.push(stage),
                // The next stage has its number.
                None => places.truncate(known),
            }
            at.pop();
        }
    }
    stages
}

fn stage(
    name: &str,
    path: &str,
    place: &Place,
    body: &Node,
    at: &mut Vec<usize>,
    places: &mut Vec<Placed>,
    mistakes: &mut Mistakes,
) -> Option<StageConfig> {
    match name {
        "labels" => return Some(StageConfig::Labels(sources(body, path, mistakes))),
        "structured_metadata" => return Some(StageConfig::StructuredMetadata(sources(body, path, mistakes))),
        "static_labels" => {
            let pairs = sources(body, path, mistakes).into_iter();
            return Some(StageConfig::StaticLabels(pairs.map(|(k, v)| (k, v.unwrap_or_default())).collect()));
        }
        "labeldrop" => return Some(StageConfig::LabelDrop(list_of(body, path, mistakes))),
        "labelallow" => return Some(StageConfig::LabelAllow(list_of(body, path, mistakes))),
        "metrics" => return Some(StageConfig::Metrics(metrics(body, path, mistakes))),
        _ => {}
    }
    let mut s = Section::new(Some(body.clone()), path, mistakes);
    let m = mistakes;
    let config = match name {
        "cri" => StageConfig::Cri,
        "docker" => StageConfig::Docker,
        "decolorize" => StageConfig::Decolorize,
        "regex" => StageConfig::Regex(RegexConfig {
            expression: any(&mut s, "expression", m).unwrap_or_default(),
            source: any(&mut s, "source", m),
            labels_from_groups: flag(&mut s, "labels_from_groups", m),
        }),
        "json" => StageConfig::Json(JsonConfig {
            expressions: s.take("expressions").map(|n| sources(&n, path, m)).unwrap_or_default(),
            source: any(&mut s, "source", m),
            drop_malformed: flag(&mut s, "drop_malformed", m),
        }),
        "logfmt" => StageConfig::Logfmt(LogfmtConfig {
            mapping: s.take("mapping").map(|n| sources(&n, path, m)).unwrap_or_default(),
            source: any(&mut s, "source", m),
        }),
        "pattern" => StageConfig::Pattern(PatternConfig {
            pattern: any(&mut s, "pattern", m).unwrap_or_default(),
            source: any(&mut s, "source", m),
            labels_from_groups: flag(&mut s, "labels_from_groups", m),
        }),
        "replace" => StageConfig::Replace(ReplaceConfig {
            expression: any(&mut s, "expression", m).unwrap_or_default(),
            source: any(&mut s, "source", m),
            replace: any(&mut s, "replace", m).unwrap_or_default(),
        }),
        "template" => StageConfig::Template(TemplateConfig {
            source: any(&mut s, "source", m).unwrap_or_default(),
            template: any(&mut s, "template", m).unwrap_or_default(),
        }),
        "timestamp" => StageConfig::Timestamp(TimestampConfig {
            source: any(&mut s, "source", m).unwrap_or_default(),
            format: any(&mut s, "format", m).unwrap_or_default(),
            fallback_formats: texts(&mut s, "fallback_formats", m),
            location: any(&mut s, "location", m),
            on_failure: s.value("action_on_failure", on_failure, m).unwrap_or_default(),
        }),
        "output" => StageConfig::Output(any(&mut s, "source", m).unwrap_or_default()),
        "drop" => StageConfig::Drop(DropConfig {
            source: s.take("source").map(|n| list_of(&n, path, m)).unwrap_or_default(),
            separator: any(&mut s, "separator", m),
            expression: any(&mut s, "expression", m),
            value: any(&mut s, "value", m),
            older_than: s.value("older_than", duration, m),
            longer_than: s.value("longer_than", size, m),
            drop_counter_reason: any(&mut s, "drop_counter_reason", m),
        }),
        "sampling" => StageConfig::Sampling(s.value("rate", float, m).unwrap_or(-1.0)),
        "limit" => StageConfig::Limit(LimitConfig {
            rate: s.value("rate", float, m).unwrap_or_default(),
            burst: s.value("burst", number, m).unwrap_or_default(),
            by_label_name: any(&mut s, "by_label_name", m),
            max_distinct_labels: s.value("max_distinct_labels", number, m),
            drop: flag(&mut s, "drop", m),
        }),
        "multiline" => StageConfig::Multiline(MultilineConfig {
            firstline: match any(&mut s, "firstline", m).unwrap_or_default() {
                word if word == "stack_traces" => FirstLine::StackTraces,
                expression => FirstLine::Expression(expression),
            },
            max_wait_time: s.value("max_wait_time", duration, m),
            max_lines: s.value("max_lines", number, m),
        }),
        "redact" => {
            let mut on = |key| {
                s.value(key, |text| text.parse().map_err(|_| "true or false".into()), m).unwrap_or(true)
            };
            let (email, card) = (on("email"), on("card"));
            StageConfig::Redact(RedactConfig { email, card, bearer: on("bearer"), keys: on("keys") })
        }
        "match" => {
            let inner = s.list("stages", m).unwrap_or_default();
            let drop = s.value("action", keep_or_drop, m).unwrap_or_default();
            if drop && !inner.is_empty() {
                m.push(place, path, "`action: drop` drops the line: it cannot have `stages` too");
            }
            StageConfig::Match(MatchConfig {
                selector: any(&mut s, "selector", m).unwrap_or_default(),
                action: if drop {
                    MatchAction::Drop
                } else {
                    MatchAction::Keep(read_list(&inner, at, places, m))
                },
                drop_counter_reason: any(&mut s, "drop_counter_reason", m),
            })
        }
        "tenant" => {
            let given = [any(&mut s, "label", m), any(&mut s, "source", m), any(&mut s, "value", m)];
            match given {
                [Some(label), None, None] => StageConfig::Tenant(TenantConfig::Label(label)),
                [None, Some(source), None] => StageConfig::Tenant(TenantConfig::Source(source)),
                [None, None, Some(value)] => StageConfig::Tenant(TenantConfig::Value(value)),
                _ => {
                    m.push(place, path, "expected one of `label`, `source` and `value`");
                    return None;
                }
            }
        }
        "truncate" => StageConfig::Truncate(TruncateConfig { rules: rules(&mut s, m) }),
        _ => {
            m.push(place, path, format!("expected a stage; known here: {}", STAGES.join(", ")));
            return None;
        }
    };
    s.end(m);
    Some(config)
}

/// The rules of `truncate`, as Alloy has them.
fn rules(section: &mut Section, mistakes: &mut Mistakes) -> Vec<TruncateRule> {
    let list = section.list("rules", mistakes).unwrap_or_default();
    let read = list.iter().map(|(path, node)| {
        let mut rule = Section::new(Some(node.clone()), path, mistakes);
        let source = any(&mut rule, "source", mistakes);
        let target: fn(Option<String>) -> TruncateTarget =
            rule.value("source_type", target, mistakes).unwrap_or(|_| TruncateTarget::Line);
        let read = TruncateRule {
            target: target(source),
            limit: rule.value("limit", size, mistakes).unwrap_or_default(),
            suffix: any(&mut rule, "suffix", mistakes).unwrap_or_default(),
        };
        rule.end(mistakes);
        read
    });
    read.collect()
}

fn target(text: &str) -> Result<fn(Option<String>) -> TruncateTarget, String> {
    Ok(match text {
        "line" => |_| TruncateTarget::Line,
        "label" => TruncateTarget::Label,
        "structured_metadata" => TruncateTarget::StructuredMetadata,
        "extracted" => TruncateTarget::Extracted,
        _ => return Err("`line`, `label`, `structured_metadata` or `extracted`".into()),
    })
}

/// `metrics`: what each counts, by its name.
fn metrics(body: &Node, path: &str, mistakes: &mut Mistakes) -> Vec<MetricConfig> {
    let Kind::Map(entries) = &body.kind else {
        mistakes.push(&body.place, path, format!("expected a mapping, came {}", body.kind.describe()));
        return Vec::new();
    };
    let entries = entries.iter().filter_map(|(name, place, node)| {
        let path = format!("{path}.{name}");
        let mut s = Section::new(Some(node.clone()), &path, mistakes);
        let kind = any(&mut s, "type", mistakes).unwrap_or_default().to_ascii_lowercase();
        let mut config = s.section("config", mistakes);
        let action = config.value("action", metric_action, mistakes);
        let shape = match kind.as_str() {
            "counter" => MetricShape::Counter {
                match_all: flag(&mut config, "match_all", mistakes),
                count_entry_bytes: flag(&mut config, "count_entry_bytes", mistakes),
                action: action.unwrap_or(MetricAction::Inc),
            },
            "gauge" => MetricShape::Gauge(action.unwrap_or(MetricAction::Set)),
            "histogram" => MetricShape::Histogram(
                texts(&mut config, "buckets", mistakes)
                    .iter()
                    .map(|b| b.parse().unwrap_or(f64::NAN))
                    .collect(),
            ),
            _ => {
                mistakes.push(place, &format!("{path}.type"), "expected `Counter`, `Gauge` or `Histogram`");
                return None;
            }
        };
        let value = any(&mut config, "value", mistakes);
        config.end(mistakes);
        let metric = MetricConfig {
            name: name.clone(),
            shape,
            description: any(&mut s, "description", mistakes).unwrap_or_default(),
            prefix: any(&mut s, "prefix", mistakes),
            source: any(&mut s, "source", mistakes),
            value,
            max_idle: s.value("max_idle_duration", duration, mistakes),
        };
        s.end(mistakes);
        Some(metric)
    });
    entries.collect()
}

fn metric_action(text: &str) -> Result<MetricAction, String> {
    Ok(match text {
        "set" => MetricAction::Set,
        "inc" => MetricAction::Inc,
        "dec" => MetricAction::Dec,
        "add" => MetricAction::Add,
        "sub" => MetricAction::Sub,
        _ => return Err("`set`, `inc`, `dec`, `add` or `sub`".into()),
    })
}

/// Whether it says `drop`.
fn keep_or_drop(text: &str) -> Result<bool, String> {
    match text {
        "keep" => Ok(false),
        "drop" => Ok(true),
        _ => Err("`keep` or `drop`".into()),
    }
}

fn any(section: &mut Section, key: &'static str, mistakes: &mut Mistakes) -> Option<String> {
    section.value(key, |text| Ok(text.to_owned()), mistakes)
}

fn flag(section: &mut Section, key: &'static str, mistakes: &mut Mistakes) -> bool {
    section.value(key, |text| text.parse().map_err(|_| "true or false".into()), mistakes).unwrap_or_default()
}

fn texts(section: &mut Section, key: &'static str, mistakes: &mut Mistakes) -> Vec<String> {
    let path = section.path(key);
    section.take(key).map(|node| list_of(&node, &path, mistakes)).unwrap_or_default()
}

/// A list of texts, or a single one.
fn list_of(node: &Node, path: &str, mistakes: &mut Mistakes) -> Vec<String> {
    match &node.kind {
        Kind::List(list) => {
            list.iter().filter_map(|node| scalar(node, path, values::text, mistakes)).collect()
        }
        Kind::Null => Vec::new(),
        _ => scalar(node, path, values::text, mistakes).into_iter().collect(),
    }
}

/// Names with the names of their sources, which may be left out.
fn sources(node: &Node, path: &str, mistakes: &mut Mistakes) -> Vec<(String, Option<String>)> {
    let Kind::Map(entries) = &node.kind else {
        mistakes.push(&node.place, path, format!("expected a mapping, came {}", node.kind.describe()));
        return Vec::new();
    };
    let source = |node: &Node, name: &str, mistakes: &mut Mistakes| match node.kind {
        Kind::Null => None,
        _ => scalar(node, &format!("{path}.{name}"), |text| Ok(text.to_owned()), mistakes),
    };
    entries.iter().map(|(name, _, node)| (name.clone(), source(node, name, mistakes))).collect()
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "a whole number".into())
}

fn float(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "a number".into())
}

fn duration(text: &str) -> Result<u64, String> {
    go_duration(text).ok_or_else(|| "a duration such as `3s`, `1h30m` or `7d`".into())
}

/// `8kb` is 8,192 bytes, as Promtail has it.
fn size(text: &str) -> Result<u64, String> {
    let lower = text.to_ascii_lowercase();
    let (digits, unit) = lower.split_at(lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len()));
    let unit = match unit.trim() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        _ => return Err("a size such as `8192` or `8kb`".into()),
    };
    number(digits)?.checked_mul(unit).ok_or_else(|| "a smaller size".into())
}

fn on_failure(text: &str) -> Result<OnBadTime, String> {
    match text {
        "fudge" => Ok(OnBadTime::Fudge),
        "skip" => Ok(OnBadTime::Skip),
        _ => Err("`fudge` or `skip`".into()),
    }
}

fn action(text: &str) -> Result<RelabelAction, String> {
    use RelabelAction::{
        Drop, DropEqual, HashMod, Keep, KeepEqual, LabelDrop, LabelKeep, LabelMap, Lowercase, Replace,
        Uppercase,
    };
    Ok(match text.to_ascii_lowercase().as_str() {
        "replace" => Replace,
        "keep" => Keep,
        "drop" => Drop,
        "keepequal" => KeepEqual,
        "dropequal" => DropEqual,
        "hashmod" => HashMod,
        "labelmap" => LabelMap,
        "labeldrop" => LabelDrop,
        "labelkeep" => LabelKeep,
        "lowercase" => Lowercase,
        "uppercase" => Uppercase,
        _ => return Err("an action such as `replace`, `keep`, `drop` or `labelmap`".into()),
    })
}
