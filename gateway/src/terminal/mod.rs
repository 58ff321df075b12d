//! Text for a terminal: lines of a bounded width, tables, numbers in units, and tolerant reading of the answers that are shown.

mod page;
mod reading;
mod spark;
mod table;

pub(crate) use page::{Page, Style, columns, escape, fit};
pub(crate) use reading::{at, counted, duration, first, float, list, nanos, text, whole};
pub(crate) use spark::{range, short, sparkline};
pub(crate) use table::{Cell, Table};

/// Narrower terminals are written to as if they were this wide: ids would not fit.
pub const MIN_WIDTH: usize = 40;

/// How to write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RenderOptions {
    /// Columns; no line is longer. Less than [`MIN_WIDTH`] counts as that.
    pub width: usize,
    /// Whether colours may be used. Nothing is told by colour alone.
    pub color: bool,
    /// The gateway that was asked, where commands that are shown must name it.
    pub url: Option<String>,
}
