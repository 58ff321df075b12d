//! Values inside a template, and how they compare, convert and print.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::stage::entry::MAX_VALUE;
use crate::stage::go_time::Layout;

/// A template stops where Go's would with an error. Written out it says in which function and where, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    reason: String,
    /// `function at column 3`
    place: Option<String>,
}

impl Failed {
    pub(super) fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), place: None }
    }

    pub(super) fn because_of(error: impl std::fmt::Display) -> Self {
        Self::because(error.to_string())
    }

    /// Values grow in templates; what is over the bound is not cut in silence.
    pub(super) fn too_long() -> Self {
        Self::because(format!("the text would be longer than {MAX_VALUE} bytes"))
    }

    /// With the place, unless a part of it failed already.
    pub(super) fn at(mut self, what: &str, column: usize) -> Self {
        self.place.get_or_insert_with(|| format!("{what} at column {column}"));
        self
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the template cannot be filled in from this line: ")?;
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.reason)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A field that is not there.
    Missing,
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
    Time(Box<Zoned>),
}

impl Value {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub fn print(&self) -> String {
        match self {
            Self::Missing => "<no value>".into(),
            Self::Text(text) => text.clone(),
            Self::Int(int) => int.to_string(),
            Self::Float(float) => spell(*float),
            Self::Bool(bool) => bool.to_string(),
            Self::List(items) => format!("[{}]", items.iter().map(Self::print).collect::<Vec<_>>().join(" ")),
            Self::Map(map) => {
                let pairs: Vec<String> =
                    map.iter().map(|(key, value)| format!("{key}:{}", value.print())).collect();
                format!("map[{}]", pairs.join(" "))
            }
            Self::Time(time) => Layout::any("2006-01-02 15:04:05.999999999 -0700 MST").write(time),
        }
    }

    /// A time in UTC.
    pub fn time(nanos: u64) -> Option<Self> {
        let time = Timestamp::from_nanosecond(i128::from(nanos)).ok()?;
        Some(Self::Time(Box::new(time.to_zoned(TimeZone::UTC))))
    }

    /// A JSON value; its numbers are fractions, as in Go.
    pub fn from_json(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Missing,
            serde_json::Value::Bool(bool) => Self::Bool(bool),
            serde_json::Value::Number(number) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            serde_json::Value::String(text) => Self::Text(text),
            serde_json::Value::Array(items) => Self::List(items.into_iter().map(Self::from_json).collect()),
            serde_json::Value::Object(map) => {
                Self::Map(map.into_iter().map(|(key, value)| (key, Self::from_json(value))).collect())
            }
        }
    }

    pub fn is_true(&self) -> bool {
        match self {
            Self::Missing => false,
            Self::Text(text) => !text.is_empty(),
            Self::Int(int) => *int != 0,
            Self::Float(float) => *float != 0.0,
            Self::Bool(bool) => *bool,
            Self::List(items) => !items.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Time(_) => true,
        }
    }

    /// For functions of texts: Go passes them nothing else.
    pub fn as_text(&self) -> Result<&str, Failed> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(Failed::because(format!("expected a text, came {}", other.shown()))),
        }
    }

    /// A number, as sprig converts: texts that are none are 0.
    pub fn to_int(&self) -> i64 {
        match self {
            Self::Missing => 0,
            Self::Text(text) => {
                let text = text.trim();
                text.parse().unwrap_or_else(|_| text.parse::<f64>().unwrap_or_default() as i64)
            }
            Self::Int(int) => *int,
            Self::Float(float) => *float as i64,
            Self::Bool(bool) => i64::from(*bool),
            Self::List(_) | Self::Map(_) | Self::Time(_) => 0,
        }
    }

    pub fn to_float(&self) -> f64 {
        match self {
            Self::Text(text) => text.trim().parse().unwrap_or_default(),
            Self::Float(float) => *float,
            other => other.to_int() as f64,
        }
    }

    pub fn equals(&self, other: &Self) -> Result<bool, Failed> {
        match (self, other) {
            (Self::Missing, Self::Missing) => Ok(true),
            (Self::Missing, _) | (_, Self::Missing) => Ok(false),
            _ => Ok(self.order(other)? == std::cmp::Ordering::Equal),
        }
    }

    pub fn order(&self, other: &Self) -> Result<std::cmp::Ordering, Failed> {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => Ok(a.cmp(b)),
            (Self::Int(a), Self::Int(b)) => Ok(a.cmp(b)),
            (Self::Bool(a), Self::Bool(b)) => Ok(a.cmp(b)),
            (Self::Int(_) | Self::Float(_), Self::Int(_) | Self::Float(_)) => {
                let order = self.to_float().partial_cmp(&other.to_float());
                order.ok_or_else(|| Failed::because("NaN cannot be compared"))
            }
            _ => {
                let (a, b) = (self.shown(), other.shown());
                Err(Failed::because(format!("incompatible types for comparison: {a} and {b}")))
            }
        }
    }

    /// The name of its type in Go.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "nil",
            Self::Text(_) => "string",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Bool(_) => "bool",
            Self::List(_) => "[]interface {}",
            Self::Map(_) => "map[string]interface {}",
            Self::Time(_) => "time.Time",
        }
    }

    /// For people: the type, and the beginning of the value.
    pub fn shown(&self) -> String {
        const MOST: usize = 64;
        let text = self.print();
        let head: String = text.chars().take(MOST).collect();
        let more = if head.len() < text.len() { "…" } else { "" };
        format!("{} {head:?}{more}", self.kind())
    }

    /// Not longer than values may be.
    pub fn bounded(self) -> Result<Self, Failed> {
        match &self {
            Self::Text(text) if text.len() > MAX_VALUE => Err(Failed::too_long()),
            _ => Ok(self),
        }
    }
}

/// As Go prints a fraction: with an exponent from a million on, and below a ten-thousandth.
pub(super) fn spell(float: f64) -> String {
    if float.is_nan() {
        return "NaN".into();
    }
    if float.is_infinite() {
        return if float > 0.0 { "+Inf" } else { "-Inf" }.into();
    }
    let with_exponent = format!("{float:e}");
    let Some((digits, exponent)) = with_exponent.split_once('e') else { return float.to_string() };
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
        _ => float.to_string(),
    }
}
