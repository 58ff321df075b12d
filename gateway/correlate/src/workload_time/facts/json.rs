//! What a line of JSON says, read as it comes: most of its fields say nothing of a request, and need not be kept.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use smol_str::{SmolStr, ToSmolStr};

use super::{Fact, add, fact};

/// Objects within objects that are read of a line.
const MAX_DEPTH: usize = 3;

/// Adds what the fields of an object say; `false`, with nothing added, of a line that is none.
pub(super) fn of_object(line: &str, facts: &mut Vec<Fact>) -> bool {
    let before = facts.len();
    let mut text = serde_json::Deserializer::from_str(line);
    let whole = Field { key: "", depth: 0, facts }.deserialize(&mut text).and_then(|()| text.end()).is_ok();
    if !whole {
        facts.truncate(before);
    }
    whole
}

/// One field.
struct Field<'f> {
    key: &'f str,
    /// How many objects it is within.
    depth: usize,
    facts: &'f mut Vec<Fact>,
}

impl Field<'_> {
    fn says(self, value: &str) {
        add(self.facts, fact(self.key, value));
    }
}

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.says(text);
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.says(&number.to_smolstr());
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.says(&number.to_smolstr());
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        if let Some(number) = Number::from_f64(number) {
            self.says(&number.to_smolstr());
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        if self.depth > MAX_DEPTH {
            while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        let depth = self.depth + 1;
        // Keys that said something, each with where: of one that comes twice, the last one counts.
        let mut said: Vec<(SmolStr, Range<usize>)> = Vec::new();
        while let Some(key) = fields.next_key::<SmolStr>()? {
            if let Some(again) = said.iter().position(|(known, _)| *known == key) {
                let (_, old) = said.remove(again);
                for (_, later) in said.iter_mut().skip(again) {
                    *later = later.start - old.len()..later.end - old.len();
                }
                self.facts.drain(old);
            }
            let before = self.facts.len();
            fields.next_value_seed(Field { key: &key, depth, facts: &mut *self.facts })?;
            if self.facts.len() > before {
                said.push((key, before..self.facts.len()));
            }
        }
        Ok(())
    }
}
