//! JSON values with the tolerances that Zipkin's reporters need: null is absent, numbers may be texts, scalars may be tags.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::model::nanos;
use crate::translated::MAX_PARTS;

/// A time or duration in microseconds, kept as nanoseconds. 0 is unknown: null, negative, out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Micros(pub u64);

impl<'de> Deserialize<'de> for Micros {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MicrosVisitor)
    }
}

struct MicrosVisitor;

impl Visitor<'_> for MicrosVisitor {
    type Value = Micros;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("microseconds")
    }
    fn visit_unit<E: Error>(self) -> Result<Micros, E> {
        Ok(Micros(0))
    }
    fn visit_u64<E: Error>(self, micros: u64) -> Result<Micros, E> {
        Ok(Micros(i64::try_from(micros).map_or(0, nanos)))
    }
    fn visit_i64<E: Error>(self, micros: i64) -> Result<Micros, E> {
        Ok(Micros(nanos(micros)))
    }
    /// Some clients do not round; a conversion to an integer saturates, and NaN is 0.
    fn visit_f64<E: Error>(self, micros: f64) -> Result<Micros, E> {
        if micros.fract() == 0.0 && micros.abs() < 9e15 {
            return Ok(Micros(nanos(micros as i64)));
        }
        let nanos = micros * 1000.0;
        Ok(Micros(if nanos < 1.8e19 { nanos as u64 } else { 0 }))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Micros, E> {
        match text.parse::<i64>() {
            Ok(micros) => self.visit_i64(micros),
            Err(_) if text.is_empty() => Ok(Micros(0)),
            Err(_) => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }
}

/// The text of a scalar; `None` for null. A list or a map is an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Text(pub Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, number or truth value")
    }
    fn visit_unit<E: Error>(self) -> Result<Text, E> {
        Ok(Text(None))
    }
    fn visit_bool<E: Error>(self, truth: bool) -> Result<Text, E> {
        Ok(Text(Some(truth.to_string())))
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<Text, E> {
        Ok(Text(Some(number.to_string())))
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<Text, E> {
        Ok(Text(Some(number.to_string())))
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<Text, E> {
        Ok(Text(Some(number.to_string())))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text(Some(text.to_owned())))
    }
    fn visit_string<E: Error>(self, text: String) -> Result<Text, E> {
        Ok(Text(Some(text)))
    }
}

/// A port; 0, which is unknown, for null and for what is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Port(pub u16);

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        Ok(Self(text.and_then(|text| text.parse().ok()).unwrap_or(0)))
    }
}

/// A list of a bounded length, without its nulls. Null is the empty list.
#[derive(Debug)]
pub(super) struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }
    fn visit_unit<E: Error>(self) -> Result<List<T>, E> {
        Ok(List::default())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<List<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = sequence.next_element::<Option<T>>()? {
            list.extend(element);
            if list.len() > MAX_PARTS {
                return Err(A::Error::custom(format_args!("more than {MAX_PARTS} elements in one list")));
            }
        }
        Ok(List(list))
    }
}

/// Tags, a bounded number of them. Those that are null are absent, and null is none at all.
#[derive(Debug, Default)]
pub(super) struct Tags(pub Vec<(String, String)>);

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TagsVisitor)
    }
}

struct TagsVisitor;

impl<'de> Visitor<'de> for TagsVisitor {
    type Value = Tags;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of tags")
    }
    fn visit_unit<E: Error>(self) -> Result<Tags, E> {
        Ok(Tags::default())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tags, A::Error> {
        let mut tags = Vec::new();
        while let Some((key, Text(value))) = map.next_entry::<String, Text>()? {
            tags.extend(value.map(|value| (key, value)));
            if tags.len() > MAX_PARTS {
                return Err(A::Error::custom(format_args!("more than {MAX_PARTS} tags")));
            }
        }
        Ok(Tags(tags))
    }
}
