//! The text of an entry in JSON, of which there are many, without an allocation for each.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Reads a line: where it has escapes, into a buffer that is there for all lines.
pub(super) struct LineSeed<'b>(pub &'b mut String);

/// What a [`LineSeed`] found.
pub(super) enum Line<'de> {
    Borrowed(&'de str),
    Buffered,
    NoText,
}

impl<'de> Line<'de> {
    /// The line, if it is one.
    pub(super) fn text<'t>(self, buffer: &'t str) -> Option<&'t str>
    where
        'de: 't,
    {
        match self {
            Self::Borrowed(text) => Some(text),
            Self::Buffered => Some(buffer),
            Self::NoText => None,
        }
    }
}

impl<'de> DeserializeSeed<'de> for LineSeed<'_> {
    type Value = Line<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Line<'de>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for LineSeed<'_> {
    type Value = Line<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a line")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Line<'de>, E> {
        Ok(Line::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Line<'de>, E> {
        self.0.clear();
        self.0.push_str(text);
        Ok(Line::Buffered)
    }

    fn visit_unit<E>(self) -> Result<Line<'de>, E> {
        Ok(Line::NoText)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Line<'de>, E> {
        Ok(Line::NoText)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Line<'de>, E> {
        Ok(Line::NoText)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Line<'de>, E> {
        Ok(Line::NoText)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Line<'de>, E> {
        Ok(Line::NoText)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Line<'de>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Line::NoText)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Line::NoText)
    }
}
