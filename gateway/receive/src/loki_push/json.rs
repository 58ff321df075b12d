//! Push requests in JSON: `{"streams":[{"stream":{},"values":[["<ns>","<line>",{}]]}]}`, and the shape of Loki's first
//! versions, `{"streams":[{"labels":"{}","entries":[{"ts":"","line":""}]}]}`, on either path: python-logging-loki sends
//! the old one to the new path. Read in one pass, without a tree.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::labels::{self, MAX_READ};
use super::line::LineSeed;
use super::pushed::Pushed;
use crate::line_times;
use crate::log_rows::Stream;
use crate::trouble::Trouble;

const BAD_LABELS: &str = "labels of its stream cannot be read";
const BAD_ENTRY: &str =
    "an entry is neither a list of timestamp, line and metadata nor an object with ts and line";

/// Reads a request. Only text that is not JSON fails it; an entry that cannot be read is left out alone.
pub(super) fn read(body: &[u8], into: &mut Pushed<'_>) -> Result<(), Trouble> {
    let bad = |error: serde_json::Error| Trouble::Malformed(format!("bad JSON: {error}"));
    // Looked at as a whole, which is quicker than string by string.
    let text = std::str::from_utf8(body)
        .map_err(|error| Trouble::Malformed(format!("bad JSON: {error}, expected UTF-8")))?;
    let mut json = serde_json::Deserializer::from_str(text);
    Part::Request.seed(into).deserialize(&mut json).map_err(bad)?;
    json.end().map_err(bad)
}

/// Where in a request a value stands.
#[derive(Clone, Copy)]
enum Part<'s> {
    Request,
    Streams,
    Stream,
    /// Of a stream, or of one whose labels cannot be read.
    Entries(Option<&'s Stream>),
    Entry(Option<&'s Stream>),
}

impl<'s> Part<'s> {
    fn seed<'p, 'd>(self, into: &'p mut Pushed<'d>) -> Seed<'p, 'd, 's> {
        Seed { part: self, into }
    }
}

struct Seed<'p, 'd, 's> {
    part: Part<'s>,
    into: &'p mut Pushed<'d>,
}

impl Seed<'_, '_, '_> {
    /// A value of a kind that does not belong here.
    fn misplaced(self) {
        match self.part {
            Part::Entries(Some(_)) | Part::Entry(Some(_)) => self.into.reject(BAD_ENTRY),
            Part::Entries(None) | Part::Entry(None) => self.into.reject(BAD_LABELS),
            Part::Request | Part::Streams | Part::Stream => self.into.reject("a stream that is no object"),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        match self.part {
            Part::Request => from.deserialize_map(self),
            _ => from.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Seed<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with streams")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        if matches!(self.part, Part::Entry(_)) {
            self.misplaced();
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.misplaced();
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.misplaced();
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.misplaced();
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.misplaced();
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.misplaced();
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        match self.part {
            Part::Streams => while list.next_element_seed(Part::Stream.seed(self.into))?.is_some() {},
            Part::Entries(stream) => {
                while list.next_element_seed(Part::Entry(stream).seed(self.into))?.is_some() {}
            }
            Part::Entry(Some(stream)) => {
                let time = list.next_element::<Item<'_>>()?;
                let mut unescaped = self.into.take_buffer();
                let line = list.next_element_seed(LineSeed(&mut unescaped))?;
                let fields = list.next_element::<Item<'_>>()?;
                while list.next_element::<IgnoredAny>()?.is_some() {}
                let fields = match fields {
                    None | Some(Item::Null) => Vec::new(),
                    Some(Item::Pairs(pairs)) => pairs,
                    Some(_) => {
                        self.into.reject("structured metadata is no object");
                        return Ok(());
                    }
                };
                let line = line.and_then(|line| line.text(&unescaped));
                entry(stream, time, line, &fields, self.into);
                self.into.give_back(unescaped);
            }
            _ => {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                self.misplaced();
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        match self.part {
            Part::Request => {
                while let Some(Text(key)) = map.next_key()? {
                    if key == "streams" {
                        map.next_value_seed(Part::Streams.seed(self.into))?;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
            }
            Part::Stream => stream(map, self.into)?,
            Part::Entry(Some(stream)) => {
                let (mut time, mut line, mut fields) = (None, None, Vec::new());
                let mut unescaped = self.into.take_buffer();
                while let Some(Text(key)) = map.next_key()? {
                    match &*key {
                        "ts" | "timestamp" => time = Some(map.next_value::<Item<'_>>()?),
                        "line" => line = Some(map.next_value_seed(LineSeed(&mut unescaped))?),
                        "structuredMetadata" => {
                            if let Item::Pairs(pairs) = map.next_value::<Item<'_>>()? {
                                fields = pairs;
                            }
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                let line = line.and_then(|line| line.text(&unescaped));
                entry(stream, time, line, &fields, self.into);
                self.into.give_back(unescaped);
            }
            _ => {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                self.misplaced();
            }
        }
        Ok(())
    }
}

fn entry(
    stream: &Stream,
    time: Option<Item<'_>>,
    line: Option<&str>,
    fields: &[(Cow<'_, str>, Cow<'_, str>)],
    into: &mut Pushed<'_>,
) {
    let Some(line) = line else { return into.reject("the line is no string") };
    let time = match time {
        Some(Item::Text(text)) => line_times::read(&text),
        _ => None,
    };
    into.entry(stream, time, line, fields.iter().map(|(name, value)| (&**name, &**value)));
}

/// A stream's object. Its entries are read as they come if its labels came before them, else at the end.
fn stream<'de, A: MapAccess<'de>>(mut map: A, into: &mut Pushed<'_>) -> Result<(), A::Error> {
    let mut labelled: Option<Option<Stream>> = None;
    let mut waiting: Option<&RawValue> = None;
    while let Some(Text(key)) = map.next_key()? {
        match &*key {
            "stream" | "labels" => labelled = Some(read_labels(map.next_value()?, into)),
            "values" | "entries" => match &labelled {
                Some(stream) => map.next_value_seed(Part::Entries(stream.as_ref()).seed(into))?,
                None => waiting = Some(map.next_value()?),
            },
            _ => {
                map.next_value::<IgnoredAny>()?;
            }
        }
    }
    if let Some(entries) = waiting {
        let stream = labelled.unwrap_or_else(|| Some(into.stream([])));
        let mut json = serde_json::Deserializer::from_str(entries.get());
        // It was read once already, as what it is.
        if Part::Entries(stream.as_ref()).seed(into).deserialize(&mut json).is_err() {
            into.reject("entries that cannot be read");
        }
    }
    Ok(())
}

fn read_labels(labels: Item<'_>, into: &mut Pushed<'_>) -> Option<Stream> {
    match labels {
        Item::Pairs(pairs) => Some(into.stream(pairs.iter().map(|(name, value)| (&**name, &**value)))),
        Item::Text(text) => {
            let labels = labels::parse(&text)?;
            Some(into.stream(labels.iter().map(|(name, value)| (*name, value.as_ref()))))
        }
        Item::Null => Some(into.stream([])),
        Item::Other => None,
    }
}

/// A string, borrowed where it has no escapes.
struct Text<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Item::deserialize(from)? {
            Item::Text(text) => Ok(Self(text)),
            _ => Ok(Self(Cow::Borrowed(""))),
        }
    }
}

/// A value as far as a push cares.
enum Item<'de> {
    Null,
    Text(Cow<'de, str>),
    Pairs(Vec<(Cow<'de, str>, Cow<'de, str>)>),
    Other,
}

impl<'de> Deserialize<'de> for Item<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Item<'de>, E> {
        Ok(Item::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Item<'de>, E> {
        Ok(Item::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Item<'de>, E> {
        Ok(Item::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Item<'de>, E> {
        Ok(Item::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Item<'de>, E> {
        Ok(Item::Other)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Item<'de>, E> {
        Ok(Item::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Item<'de>, E> {
        Ok(Item::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Item<'de>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Item::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item<'de>, A::Error> {
        let mut pairs = Vec::new();
        while let Some(Text(name)) = map.next_key()? {
            if pairs.len() < MAX_READ {
                if let Value(Some(value)) = map.next_value()? {
                    pairs.push((name, value));
                }
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Item::Pairs(pairs))
    }
}

/// The value of a label or of metadata: text; what is none is written as text, as Loki does. Nothing for null.
struct Value<'de>(Option<Cow<'de, str>>);

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(from)?.get();
        Ok(Self(match raw.as_bytes().first() {
            Some(b'"') => serde_json::from_str::<Text<'_>>(raw).ok().map(|Text(text)| text),
            Some(b'n') => None,
            _ => Some(Cow::Borrowed(raw)),
        }))
    }
}
