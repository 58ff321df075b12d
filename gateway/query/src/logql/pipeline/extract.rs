//! Parsers: what they find in a line becomes labels. Only what somebody looks at is taken out.

use std::ops::ControlFlow;

use parsers::stage::{CapturePattern, LogfmtPairs};
use regex::Regex;
use store::read::LogView;

use super::json::{self, Value, clean};
use super::room::{Kind, Room};
use super::row::{Row, metadata};
use crate::logql::plan::{EXTRACTED, Needed};
use crate::logql::syntax::JsonPath;

const JSON_ERROR: &str = "JSONParserErr";
const LOGFMT_ERROR: &str = "LogfmtParserErr";
/// The key under which Promtail's `pack` puts the line.
const PACKED: &str = "_entry";

/// Takes labels out of lines.
#[derive(Debug)]
pub(super) struct Extractor {
    needed: Needed,
    stops_at: usize,
    name: String,
    extracted: String,
}

/// Where labels go.
struct Sink<'s> {
    needed: &'s Needed,
    view: &'s LogView<'s>,
    room: &'s mut Room,
    /// Room for names that say that they were extracted.
    extracted: &'s mut String,
    found: usize,
}

impl Sink<'_> {
    /// Sets a label; beside one that the line came with, under a name that says that it was extracted.
    fn put(&mut self, name: &str, write: impl FnOnce(&mut String)) {
        if !self.needed.may_want(name) {
            return;
        }
        if !is_given(self.view, self.room, name) {
            if self.needed.contains(name) {
                self.set(name, write);
            }
            return;
        }
        let mut extracted = std::mem::take(self.extracted);
        extracted.clear();
        extracted.push_str(name);
        extracted.push_str(EXTRACTED);
        if self.needed.contains(&extracted) {
            self.set(&extracted, write);
        }
        *self.extracted = extracted;
    }

    fn set(&mut self, name: &str, write: impl FnOnce(&mut String)) {
        // A key that comes twice is one of those that are looked for.
        self.found += usize::from(self.room.set_with(Kind::Parsed, name, write));
    }

    fn text(&mut self, name: &str, value: &str) {
        self.put(name, |out| out.push_str(value));
    }

    /// What was asked for by name is there, be it empty.
    fn complete<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        for name in names {
            if self.room.get(name).is_none() && !is_given(self.view, self.room, name) {
                self.text(name, "");
            }
        }
    }
}

/// Whether a line came with a label of this name. One of its stream counts even where a stage took it away, as in Loki.
fn is_given(view: &LogView<'_>, room: &Room, name: &str) -> bool {
    if view.labels.get(name).is_some() {
        return true;
    }
    if !room.is_untouched() {
        if let Some((_, kind)) = room.get(name) {
            return kind == Kind::Structured;
        }
        if room.hides(name) {
            return false;
        }
    }
    match name {
        "trace_id" => view.trace_id.is_some(),
        "span_id" => view.span_id.is_some(),
        "detected_level" => true,
        _ => metadata(view).any(|(given, _)| given == name),
    }
}

impl Extractor {
    pub(super) fn new(needed: Needed) -> Self {
        Self { stops_at: needed.stops_at(), needed, name: String::new(), extracted: String::new() }
    }

    pub(super) fn json(&mut self, paths: &[(String, JsonPath)], row: &mut Row<'_>) {
        let view = row.view();
        let (text, room) = row.text();
        let extracted = &mut self.extracted;
        let mut sink = Sink { needed: &self.needed, view, room, extracted, found: 0 };
        let stops_at = self.stops_at;
        let read = if paths.is_empty() {
            json::flatten(text, &mut self.name, &mut |name, value| {
                sink.put(name, |out| value.write(out));
                if sink.found >= stops_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
        } else {
            let read = paths.iter().try_for_each(|(name, path)| {
                if sink.needed.may_want(name)
                    && let Some(value) = json::find(text, &path.steps)?
                {
                    sink.put(name, |out| value.write(out));
                }
                Ok(())
            });
            if read.is_ok() {
                sink.complete(paths.iter().map(|(name, _)| name.as_str()));
            }
            read
        };
        if let Err(fault) = read {
            room.fail(JSON_ERROR, fault);
        }
    }

    pub(super) fn unpack(&mut self, row: &mut Row<'_>) {
        let view = row.view();
        let (text, room) = row.text();
        let extracted = &mut self.extracted;
        let mut sink = Sink { needed: &self.needed, view, room, extracted, found: 0 };
        let mut entry = None;
        let read = json::top(text, &mut |name, value| match value {
            Value::Text(..) if name == PACKED => {
                let mut line = String::new();
                value.write(&mut line);
                entry = Some(line);
            }
            Value::Text(..) => {
                let mut cleaned = String::new();
                clean(name, true, &mut cleaned);
                sink.put(&cleaned, |out| value.write(out));
            }
            _ => {}
        });
        match read {
            Err(fault) => room.fail(JSON_ERROR, fault),
            Ok(()) => entry.into_iter().for_each(|line| row.set_line(line)),
        }
    }

    pub(super) fn logfmt(
        &mut self,
        strict: bool,
        keep_empty: bool,
        keys: &[(String, String)],
        row: &mut Row<'_>,
    ) {
        let view = row.view();
        let (text, room) = row.text();
        let extracted = &mut self.extracted;
        let mut sink = Sink { needed: &self.needed, view, room, extracted, found: 0 };
        let mut fault = None;
        for pair in LogfmtPairs::new(text) {
            if !pair.sound {
                if strict {
                    fault = Some(format!("unexpected character near the key {:?}", pair.key));
                    break;
                }
                if pair.key.is_empty() || pair.key.contains('"') {
                    continue;
                }
            }
            let value = pair.value.as_deref().unwrap_or_default();
            if value.is_empty() && !keep_empty {
                continue;
            }
            if keys.is_empty() {
                self.name.clear();
                clean(pair.key, true, &mut self.name);
                sink.text(&self.name, value);
                if sink.found >= self.stops_at && !strict {
                    break;
                }
            } else {
                keys.iter().filter(|(_, key)| key == pair.key).for_each(|(name, _)| sink.text(name, value));
            }
        }
        sink.complete(keys.iter().map(|(name, _)| name.as_str()));
        if let Some(fault) = fault {
            room.fail(LOGFMT_ERROR, fault);
        }
    }

    pub(super) fn regexp(&mut self, regex: &Regex, row: &mut Row<'_>) {
        let view = row.view();
        let (text, room) = row.text();
        let extracted = &mut self.extracted;
        let mut sink = Sink { needed: &self.needed, view, room, extracted, found: 0 };
        let Some(found) = regex.captures(text) else { return };
        for name in regex.capture_names().flatten() {
            sink.text(name, found.name(name).map_or("", |group| group.as_str()));
        }
    }

    pub(super) fn pattern(&mut self, pattern: &CapturePattern, row: &mut Row<'_>) {
        let view = row.view();
        let (text, room) = row.text();
        let extracted = &mut self.extracted;
        let mut sink = Sink { needed: &self.needed, view, room, extracted, found: 0 };
        pattern.find(text).into_iter().for_each(|(name, value)| sink.text(name, value));
    }
}
