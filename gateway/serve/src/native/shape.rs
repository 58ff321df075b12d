//! Pieces that bodies of this surface share.

use std::fmt::Display;

use correlate::Absence;
use parsers::record::Labels;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use store::read::Window;
use utoipa::ToSchema;

/// Something missing, and why.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AbsenceBody {
    /// `spans`, `logs`, `exemplars` or `metrics`.
    pub(super) signal: &'static str,
    /// As in the look-up by trace id: `never_seen`, `sampled_out`, `no_match`, `source_down`, `truncated`, ...
    pub(super) reason: &'static str,
    /// For people: which source, until when.
    pub(super) detail: String,
    /// For people: what to try next.
    pub(super) hint: String,
}

impl From<&Absence> for AbsenceBody {
    fn from(absence: &Absence) -> Self {
        let (signal, reason) = (absence.signal.as_str(), absence.reason.as_str());
        Self { signal, reason, detail: absence.detail.clone(), hint: absence.hint.clone() }
    }
}

/// A window of time: half open.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WindowBody {
    start_unix_nano: String,
    end_unix_nano: String,
}

impl From<Window> for WindowBody {
    fn from(window: Window) -> Self {
        Self { start_unix_nano: window.start.to_string(), end_unix_nano: window.end.to_string() }
    }
}

/// What is shown as a string; nothing is allocated for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<T>(pub(super) T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Labels as an object.
#[derive(Debug)]
pub(super) struct LabelSet<'a>(pub(super) &'a Labels);

impl Serialize for LabelSet<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter())
    }
}

/// The same, for what is kept.
pub(super) fn labels(labels: &Labels) -> Map<String, Value> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// A text inside a query string.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len() * 3), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}
