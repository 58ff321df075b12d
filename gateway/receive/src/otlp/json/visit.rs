//! The walk over the JSON text: each value is written where the tables say, and consumed whatever it is.

use std::borrow::Cow;
use std::fmt;

use parsers::otlp::{Rejections, Writer};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::scalar::{self, Scalar};
use super::schema::{FieldOf, Kind, Message};

/// What has been written so far.
#[derive(Default)]
pub(super) struct State {
    pub out: Vec<u8>,
    pub rejections: Rejections,
    /// Something in the innermost record (or outside any) cannot be read.
    pub spoilt: bool,
}

/// The request itself.
pub(super) struct Root<'s> {
    pub message: &'static Message,
    pub state: &'s mut State,
}

impl<'de> DeserializeSeed<'de> for Root<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Root<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        members(self.message, self.state, map)
    }
}

fn members<'de, A: MapAccess<'de>>(
    message: &'static Message,
    state: &mut State,
    mut map: A,
) -> Result<(), A::Error> {
    while let Some(key) = map.next_key::<Cow<'de, str>>()? {
        match message.fields.iter().find(|field| field.key == key) {
            Some(field) => map.next_value_seed(Member { field, state: &mut *state, item: false })?,
            None => {
                map.next_value::<IgnoredAny>()?;
            }
        }
    }
    Ok(())
}

/// The value of a field, or one item of its list.
struct Member<'s> {
    field: &'static FieldOf,
    state: &'s mut State,
    item: bool,
}

impl Member<'_> {
    fn scalar(self, scalar: Scalar<'_>) {
        let listed = self.field.repeated && !self.item;
        if listed || scalar::write(self.field, scalar, &mut self.state.out).is_none() {
            self.state.spoilt = true;
        }
    }
}

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, truth: bool) -> Result<(), E> {
        self.scalar(Scalar::Truth(truth));
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.scalar(Scalar::Unsigned(number));
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.scalar(Scalar::Signed(number));
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.scalar(Scalar::Float(number));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.scalar(Scalar::Text(text));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if !self.field.repeated || self.item {
            self.state.spoilt = true;
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        while list
            .next_element_seed(Member { field: self.field, state: &mut *self.state, item: true })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { field, state, item } = self;
        let Kind::Message(message) = field.kind else {
            state.spoilt = true;
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        };
        if field.repeated && !item {
            state.spoilt = true;
        }
        let start = state.out.len();
        let outside = message.record.map(|_| std::mem::take(&mut state.spoilt));
        let mut out = std::mem::take(&mut state.out);
        let result = Writer::new(&mut out).message(field.number, |out| {
            std::mem::swap(out, &mut state.out);
            let result = members(message, state, map);
            std::mem::swap(out, &mut state.out);
            result
        });
        state.out = out;
        if let (Some(reason), Some(outside)) = (message.record, outside)
            && std::mem::replace(&mut state.spoilt, outside)
        {
            state.out.truncate(start);
            state.rejections.add(reason);
        }
        result
    }
}
