//! YAML as a tree that knows where each value stands, and the environment's overrides laid over it.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A line of the file, counted from 1.
    Line(u64),
    /// An environment variable.
    Variable(String),
}

/// A value of the tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub kind: Kind,
}

/// The kinds of YAML values. Scalars keep their text; what they mean is decided by the key that they stand under.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Empty or `null`.
    Null,
    /// Any scalar.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping in file order: key, line of the key, value.
    Map(Vec<(String, Place, Node)>),
}

impl Kind {
    /// What came, for error texts.
    pub fn describe(&self) -> String {
        match self {
            Self::Null => "nothing".into(),
            Self::Scalar(text) => format!("`{text}`"),
            Self::List(_) => "a list".into(),
            Self::Map(_) => "a mapping".into(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self { place: Place::Line(spanned.referenced.line()), kind: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a YAML value")
    }
    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }
    fn visit_none<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        Kind::deserialize(deserializer)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Scalar(value.to_string()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Scalar(value.to_string()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Scalar(value.to_string()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::Scalar(value.to_string()))
    }
    fn visit_str<E>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Scalar(value.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Kind, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = seq.next_element()? {
            list.push(node);
        }
        Ok(Kind::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let value: Node = map.next_value()?;
            entries.push((key.value, Place::Line(key.referenced.line()), value));
        }
        Ok(Kind::Map(entries))
    }
}

/// Lays `TREFOIL__SECTION__KEY=value` over the tree. Values are scalars, or YAML where they begin with `[` or `{`.
pub fn overlay(root: &mut Node, variables: impl IntoIterator<Item = (String, String)>) {
    let mut variables: Vec<(String, String)> =
        variables.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    variables.sort();
    for (name, value) in variables {
        let path: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_ascii_lowercase).collect();
        let place = Place::Variable(name);
        let parsed =
            if value.starts_with(['[', '{']) { serde_saphyr::from_str::<Node>(&value).ok() } else { None };
        let mut leaf = parsed.unwrap_or(Node { place: place.clone(), kind: Kind::Scalar(value) });
        leaf.relocate(&place);
        root.set(&path, &place, leaf);
    }
}

/// Prefix of the variables that override the file.
const PREFIX: &str = "TREFOIL__";

impl Node {
    fn relocate(&mut self, place: &Place) {
        self.place = place.clone();
        match &mut self.kind {
            Kind::List(list) => list.iter_mut().for_each(|node| node.relocate(place)),
            Kind::Map(entries) => entries.iter_mut().for_each(|(_, key, node)| {
                *key = place.clone();
                node.relocate(place);
            }),
            Kind::Null | Kind::Scalar(_) => {}
        }
    }

    fn set(&mut self, path: &[String], place: &Place, leaf: Node) {
        let Some((first, rest)) = path.split_first() else {
            *self = leaf;
            return;
        };
        if !matches!(self.kind, Kind::Map(_)) {
            *self = Self { place: place.clone(), kind: Kind::Map(Vec::new()) };
        }
        let Kind::Map(entries) = &mut self.kind else { return };
        if let Some((_, _, node)) = entries.iter_mut().find(|(key, _, _)| key == first) {
            node.set(rest, place, leaf);
        } else {
            let mut node = Self { place: place.clone(), kind: Kind::Null };
            node.set(rest, place, leaf);
            entries.push((first.clone(), place.clone(), node));
        }
    }
}
