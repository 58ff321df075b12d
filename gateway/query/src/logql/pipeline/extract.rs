//! Parsers: what they find in a line becomes labels. Only what somebody looks at is taken out.

use std::ops::ControlFlow;

use parsers::stage::{CapturePattern, LogfmtPairs};
use regex::Regex;

use super::json::{self, Value, clean};
use super::room::{Kind, Room};
use super::row::Row;
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
}

/// Where labels go.
struct Sink<'s> {
    needed: &'s Needed,
    stream: &'s parsers::record::Labels,
    room: &'s mut Room,
    found: usize,
}

impl Sink<'_> {
    fn put(&mut self, name: &str, write: impl FnOnce(&mut String)) {
        if !self.needed.may_want(name) {
            return;
        }
        if self.stream.get(name).is_none() {
            if self.needed.contains(name) {
                self.room.set_with(Kind::Parsed, name, write);
                self.found += 1;
            }
            return;
        }
        let name = format!("{name}{EXTRACTED}");
        if self.needed.contains(&name) {
            self.room.set_with(Kind::Parsed, &name, write);
            self.found += 1;
        }
    }

    fn text(&mut self, name: &str, value: &str) {
        self.put(name, |out| out.push_str(value));
    }
}

impl Extractor {
    pub(super) fn new(needed: Needed) -> Self {
        Self { stops_at: needed.stops_at(), needed, name: String::new() }
    }

    pub(super) fn json(&mut self, paths: &[(String, JsonPath)], row: &mut Row<'_>) {
        let stream = row.view().labels;
        let (text, room) = row.text();
        let mut sink = Sink { needed: &self.needed, stream, room, found: 0 };
        let stops_at = self.stops_at;
        let read = if paths.is_empty() {
            json::flatten(text, &mut self.name, &mut |name, value| {
                sink.put(name, |out| value.write(out));
                if sink.found >= stops_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
        } else {
            paths.iter().try_for_each(|(name, path)| {
                if sink.needed.may_want(name) {
                    let value = json::find(text, &path.steps)?.unwrap_or(Value::Null);
                    sink.put(name, |out| value.write(out));
                }
                Ok(())
            })
        };
        if let Err(fault) = read {
            room.fail(JSON_ERROR, fault);
        }
    }

    pub(super) fn unpack(&mut self, row: &mut Row<'_>) {
        let stream = row.view().labels;
        let (text, room) = row.text();
        let mut sink = Sink { needed: &self.needed, stream, room, found: 0 };
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
        let stream = row.view().labels;
        let (text, room) = row.text();
        let mut sink = Sink { needed: &self.needed, stream, room, found: 0 };
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
        // What was asked for by name is there, be it empty.
        for (name, _) in keys {
            if sink.room.get(name).is_none() && sink.stream.get(name).is_none() {
                sink.text(name, "");
            }
        }
        if let Some(fault) = fault {
            room.fail(LOGFMT_ERROR, fault);
        }
    }

    pub(super) fn regexp(&mut self, regex: &Regex, row: &mut Row<'_>) {
        let stream = row.view().labels;
        let (text, room) = row.text();
        let mut sink = Sink { needed: &self.needed, stream, room, found: 0 };
        let Some(found) = regex.captures(text) else { return };
        for name in regex.capture_names().flatten() {
            sink.text(name, found.name(name).map_or("", |group| group.as_str()));
        }
    }

    pub(super) fn pattern(&mut self, pattern: &CapturePattern, row: &mut Row<'_>) {
        let stream = row.view().labels;
        let (text, room) = row.text();
        let mut sink = Sink { needed: &self.needed, stream, room, found: 0 };
        pattern.find(text).into_iter().for_each(|(name, value)| sink.text(name, value));
    }
}
