//! Columns that line up: numbers to the right, text to the left, and what is too long for the terminal is cut where text is.

use super::page::{Page, Style, columns, escape, fit};

/// Blanks between two columns.
const GAP: usize = 2;
/// A column of text is not cut below this; if that is not enough, lines are cut at their end.
const LEAST: usize = 12;

/// One piece of a row.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    style: Style,
    text: String,
}

impl Cell {
    /// In a style.
    pub(crate) fn new(style: Style, text: impl AsRef<str>) -> Self {
        Self { style, text: escape(text.as_ref()) }
    }

    /// As it is.
    pub(crate) fn plain(text: impl AsRef<str>) -> Self {
        Self::new(Style::Plain, text)
    }
}

/// Rows under titles.
#[derive(Debug)]
pub(crate) struct Table {
    /// Title, and whether it is a column of numbers.
    titles: Vec<(&'static str, bool)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Titles of columns; those of numbers begin with `>`.
    pub(crate) fn new(titles: &[&'static str]) -> Self {
        let title = |title: &&'static str| match title.strip_prefix('>') {
            Some(number) => (number, true),
            None => (*title, false),
        };
        Self { titles: titles.iter().map(title).collect(), rows: Vec::new() }
    }

    /// One more row, a cell a column.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Writes it, indented by two.
    pub(crate) fn draw(&self, page: &mut Page) {
        let widths = self.widths(page.width.saturating_sub(GAP));
        let titles = self.titles.iter().zip(&widths).map(|((title, number), width)| {
            (Style::Faint, format!("{}{}", " ".repeat(GAP), placed(title, *number, *width)))
        });
        write(page, &titles.collect::<Vec<_>>());
        for row in &self.rows {
            let cells = row.iter().zip(&self.titles).zip(&widths).map(|((cell, (_, number)), width)| {
                (cell.style, format!("{}{}", " ".repeat(GAP), placed(&cell.text, *number, *width)))
            });
            write(page, &cells.collect::<Vec<_>>());
        }
    }

    /// As wide as the widest of each column; the widest columns of text give way until all fit.
    fn widths(&self, room: usize) -> Vec<usize> {
        let widest = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|cell| columns(&cell.text));
            cells.max().unwrap_or(0)
        };
        let mut widths: Vec<usize> =
            self.titles.iter().enumerate().map(|(at, (title, _))| columns(title).max(widest(at))).collect();
        loop {
            let taken: usize = widths.iter().map(|width| width + GAP).sum();
            let over = taken.saturating_sub(room + GAP);
            let texts = widths.iter_mut().zip(&self.titles).filter(|(_, (_, number))| !number);
            let Some((widest, _)) = texts.max_by_key(|(width, _)| **width) else { return widths };
            if over == 0 || *widest <= LEAST {
                return widths;
            }
            // By one at a time, so that several wide ones give way alike.
            *widest -= 1;
        }
    }
}

fn placed(text: &str, number: bool, width: usize) -> String {
    let blanks = width.saturating_sub(columns(text));
    if number { format!("{}{text}", " ".repeat(blanks)) } else { fit(text, width) }
}

fn write(page: &mut Page, cells: &[(Style, String)]) {
    // What is escaped already stays as it is: escapes hold nothing that is escaped again.
    let pieces: Vec<(Style, &str)> = cells.iter().map(|(style, text)| (*style, text.as_str())).collect();
    page.line(&pieces);
}

#[cfg(test)]
mod tests;
