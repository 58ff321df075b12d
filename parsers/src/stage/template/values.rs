//! Values inside a template, and how they compare, convert and print.

use crate::stage::entry::{MAX_VALUE, cut};

/// A template stops where Go's would with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::stage) struct Failed;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A field that is not there.
    Missing,
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
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
            Self::Float(float) => float.to_string(),
            Self::Bool(bool) => bool.to_string(),
        }
    }

    pub fn is_true(&self) -> bool {
        match self {
            Self::Missing => false,
            Self::Text(text) => !text.is_empty(),
            Self::Int(int) => *int != 0,
            Self::Float(float) => *float != 0.0,
            Self::Bool(bool) => *bool,
        }
    }

    /// For functions of texts: Go passes them nothing else.
    pub fn as_text(&self) -> Result<&str, Failed> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err(Failed),
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
                self.to_float().partial_cmp(&other.to_float()).ok_or(Failed)
            }
            _ => Err(Failed),
        }
    }

    /// Not longer than values may be.
    pub fn bounded(mut self) -> Self {
        if let Self::Text(text) = &mut self {
            cut(text, MAX_VALUE);
        }
        self
    }
}
