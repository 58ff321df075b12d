//! One record on its way through the stages: its line as it stands, and its labels. Nothing is copied before somebody
//! looks at it.

use std::borrow::Cow;
use std::sync::Arc;

use parsers::record::{Labels, TENANT, TraceId, lossy};
use parsers::stage::Scope;
use store::read::LogView;

use super::room::{Kind, Room};

/// The label that says what went wrong with a line.
pub(in crate::logql) const ERROR: &str = "__error__";
/// The label that says more about it.
pub(in crate::logql) const DETAILS: &str = "__error_details__";

/// How the tenant is called in queries, whose names have no dots: as attributes of OTLP are.
const TENANT_NAME: &str = "trefoil_tenant";

/// A record's metadata, under names that queries can write.
pub(super) fn metadata<'a>(view: &LogView<'a>) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    view.metadata().map(|(name, value)| (if name == TENANT { TENANT_NAME } else { name }, value))
}

/// One record on its way.
#[derive(Debug)]
pub(in crate::logql) struct Row<'a> {
    view: &'a LogView<'a>,
    /// The line, once it is text; before, it is the record's bytes.
    line: Option<Cow<'a, str>>,
    room: Room,
    /// Whether ids have been written into the room.
    has_ids: bool,
    /// Nanoseconds, for templates.
    now: u64,
}

impl<'a> Row<'a> {
    pub(super) fn new(view: &'a LogView<'a>, mut room: Room, needs_ids: bool, now: u64) -> Self {
        room.clear();
        let mut row = Self { view, line: None, room, has_ids: false, now };
        if needs_ids {
            row.write_ids();
        }
        row
    }

    pub(super) fn into_room(self) -> Room {
        self.room
    }

    /// Ids are bits in the record; as labels they are texts.
    fn write_ids(&mut self) {
        if std::mem::replace(&mut self.has_ids, true) {
            return;
        }
        let trace = self.view.trace_id.map(|id| id.to_string());
        let span = self.view.span_id.map(|id| id.to_string());
        for (name, id) in [("trace_id", trace), ("span_id", span)] {
            if let Some(id) = id.filter(|_| !self.room.hides(name)) {
                self.room.set(Kind::Structured, name, &id);
            }
        }
    }

    pub(in crate::logql) fn time(&self) -> u64 {
        self.view.time
    }

    pub(super) fn view(&self) -> &'a LogView<'a> {
        self.view
    }

    pub(super) fn room(&mut self) -> &mut Room {
        &mut self.room
    }

    /// The line's bytes.
    pub(in crate::logql) fn bytes(&self) -> &[u8] {
        self.line.as_ref().map_or(self.view.line, |line| line.as_bytes())
    }

    /// The line as text, and the room for what is found in it. Bytes that are not UTF-8 are replaced.
    pub(super) fn text(&mut self) -> (&str, &mut Room) {
        let line = self.line.get_or_insert_with(|| lossy(self.view.line));
        (line, &mut self.room)
    }

    pub(super) fn set_line(&mut self, line: String) {
        self.line = Some(Cow::Owned(line));
    }

    fn metadata(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        metadata(self.view)
    }

    /// A label's value, if there is such a label: what stages set before metadata before the stream's.
    pub(in crate::logql) fn get(&self, name: &str) -> Option<&str> {
        self.get_with_kind(name).map(|(value, _)| value)
    }

    pub(super) fn get_with_kind(&self, name: &str) -> Option<(&str, Kind)> {
        match name {
            ERROR => return self.room.error.map(|error| (error, Kind::Parsed)),
            DETAILS => return self.room.error.map(|_| (self.room.details.as_str(), Kind::Parsed)),
            _ => {}
        }
        if !self.room.is_untouched() {
            if let Some(found) = self.room.get(name) {
                return Some(found);
            }
            if self.room.hides(name) {
                return None;
            }
        }
        if name == "detected_level" {
            return Some((self.view.severity.as_str(), Kind::Structured));
        }
        if let Some(value) = self.view.labels.get(name) {
            // Metadata of the same name goes before it.
            let metadata = self.metadata().find(|(key, _)| *key == name);
            return Some(metadata.map_or((value, Kind::Stream), |(_, value)| (value, Kind::Structured)));
        }
        self.metadata().find(|(key, _)| *key == name).map(|(_, value)| (value, Kind::Structured))
    }

    /// The trace of the record, unless a stage set another.
    pub(super) fn trace(&self) -> Option<TraceId> {
        match self.room.get("trace_id") {
            Some((value, _)) => TraceId::from_spelling(value.as_bytes()).ok(),
            None if self.room.hides("trace_id") => None,
            None => self.view.trace_id,
        }
    }

    /// Takes a label away.
    pub(super) fn remove(&mut self, name: &str) {
        match name {
            ERROR => self.room.error = None,
            DETAILS => self.room.details.clear(),
            _ => self.room.remove(name),
        }
    }

    /// Takes all labels away but those for which this is true.
    pub(super) fn retain(&mut self, keep: impl Fn(&str, &str) -> bool) {
        self.write_ids();
        let mut gone = Vec::new();
        self.each(|_, name, value| {
            if name != ERROR && name != DETAILS && !keep(name, value) {
                gone.push(name.to_owned());
            }
        });
        for name in &gone {
            self.remove(name);
        }
    }

    /// The error and its details.
    pub(in crate::logql) fn error(&self) -> Option<(&'static str, &str)> {
        self.room.error.map(|error| (error, self.room.details.as_str()))
    }

    /// All labels but the ids that nobody looked at.
    pub(in crate::logql) fn each<'s>(&'s self, mut visit: impl FnMut(Kind, &'s str, &'s str)) {
        let room = &self.room;
        room.iter().for_each(|(kind, name, value)| visit(kind, name, value));
        let untouched = room.is_untouched();
        let stands = |name: &str| untouched || !room.hides(name);
        for (name, value) in self.metadata().filter(|(name, _)| stands(name)) {
            visit(Kind::Structured, name, value);
        }
        if stands("detected_level") {
            visit(Kind::Structured, "detected_level", self.view.severity.as_str());
        }
        let labels: &'s Labels = self.view.labels;
        for (name, value) in labels.iter().filter(|(name, _)| stands(name)) {
            visit(Kind::Stream, name, value);
        }
        if let Some(error) = room.error {
            visit(Kind::Parsed, ERROR, error);
            visit(Kind::Parsed, DETAILS, &room.details);
        }
    }

    /// The stream's labels as the stages left them.
    pub(in crate::logql) fn stream_labels(&self) -> Arc<Labels> {
        let of_stream = |name: &str| self.view.labels.get(name).is_some();
        let changed = self.room.iter().any(|(kind, name, _)| kind == Kind::Stream || of_stream(name))
            || self.room.removed().any(of_stream);
        if changed { Arc::new(Labels::new(self.of_kind(Kind::Stream))) } else { Arc::clone(self.view.labels) }
    }

    /// Structured metadata with the ids and the level, in no order.
    pub(in crate::logql) fn structured(&mut self) -> Vec<(String, String)> {
        self.write_ids();
        self.of_kind(Kind::Structured)
    }

    /// Labels that parsers and formats made.
    pub(in crate::logql) fn parsed(&self) -> Vec<(String, String)> {
        self.of_kind(Kind::Parsed)
    }

    fn of_kind(&self, wanted: Kind) -> Vec<(String, String)> {
        let mut found = Vec::new();
        // What a parser or a format made is there even if it is empty, as in Loki.
        self.each(|kind, name, value| {
            if kind == wanted && (kind == Kind::Parsed || !value.is_empty()) {
                found.push((name.to_owned(), value.to_owned()));
            }
        });
        found
    }
}

impl Scope for Row<'_> {
    fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(Cow::Borrowed)
    }

    fn line(&self) -> Option<Cow<'_, str>> {
        Some(match &self.line {
            Some(line) => Cow::Borrowed(line),
            None => lossy(self.view.line),
        })
    }

    fn time(&self) -> Option<u64> {
        Some(self.view.time)
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn fields(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        self.each(|_, name, value| all.push((name.to_owned(), value.to_owned())));
        all
    }

    fn absent_is_empty(&self) -> bool {
        true
    }
}
