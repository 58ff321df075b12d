//! Lines of text of a bounded width: escaping, cutting, wrapping, colour.

use std::fmt::Write as _;

use super::{MIN_WIDTH, RenderOptions};

/// How a piece of a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Heading,
    Faint,
    Good,
    Doubtful,
    Bad,
    Name,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Heading => "1",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Doubtful => "33",
            Self::Bad => "31",
            Self::Name => "36",
        }
    }
}

/// What is written so far.
pub(crate) struct Page {
    text: String,
    /// Columns, at least one.
    pub(crate) width: usize,
    color: bool,
    /// The gateway that was asked, if a command must name it.
    url: Option<String>,
}

impl Page {
    pub(crate) fn new(width: usize, color: bool) -> Self {
        Self { text: String::new(), width, color, url: None }
    }

    /// One for an answer.
    pub(crate) fn of(options: &RenderOptions) -> Self {
        let width = options.width.max(MIN_WIDTH);
        Self { url: options.url.clone(), ..Self::new(width, options.color) }
    }

    /// What to type to go on.
    pub(crate) fn command(&self, what: &str) -> String {
        match &self.url {
            Some(url) => format!("trefoil {what} --url {url}"),
            None => format!("trefoil {what}"),
        }
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// How many lines there are.
    pub(crate) fn lines(&self) -> usize {
        self.text.matches('\n').count()
    }

    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A blank line and the name of what follows.
    pub(crate) fn heading(&mut self, name: &str) {
        self.blank();
        self.line(&[(Style::Heading, name)]);
    }

    /// One line of these pieces; what does not fit is cut and marked with `…`.
    pub(crate) fn line(&mut self, pieces: &[(Style, &str)]) {
        let escaped: Vec<(Style, String)> =
            pieces.iter().map(|(style, text)| (*style, escape(text))).collect();
        let last = escaped.iter().rposition(|(_, text)| !text.trim_end().is_empty());
        let mut left = self.width;
        for (at, (style, text)) in escaped.iter().enumerate() {
            let text = match last {
                Some(last) if at < last => text.as_str(),
                Some(last) if at == last => text.trim_end(),
                _ => break,
            };
            let follows: usize =
                escaped.get(at + 1..).unwrap_or_default().iter().map(|(_, t)| columns(t.trim_end())).sum();
            let whole = columns(text);
            if whole <= left && (whole < left || follows == 0) {
                self.piece(*style, text);
                left -= whole;
            } else {
                let mut cut = cut(text, left.saturating_sub(1));
                cut.push('…');
                self.piece(*style, &cut);
                break;
            }
        }
        self.text.push('\n');
    }

    /// A text that may need several lines; all but the first begin with blanks as wide as `label`.
    pub(crate) fn wrapped(&mut self, style: Style, label: &str, text: &str) {
        let label = fit(&escape(label), columns(&escape(label)).min(self.width / 2));
        let indent = columns(&label);
        let room = self.width.saturating_sub(indent).max(1);
        let mut rows: Vec<String> = vec![String::new()];
        for word in escape(text).split_whitespace() {
            let mut word = word.to_owned();
            loop {
                let row = rows.last().map_or(0, |row| columns(row));
                let gap = usize::from(row > 0);
                if row + gap + columns(&word) <= room {
                    if let Some(last) = rows.last_mut() {
                        last.push_str(if gap > 0 { " " } else { "" });
                        last.push_str(&word);
                    }
                    break;
                }
                if row == 0 {
                    let head = cut(&word, room);
                    let rest = word.split_off(head.len());
                    if head.is_empty() {
                        break;
                    }
                    if let Some(last) = rows.last_mut() {
                        *last = head;
                    }
                    word = rest;
                }
                rows.push(String::new());
            }
        }
        let blanks = " ".repeat(indent);
        for (at, row) in rows.iter().enumerate() {
            self.line(&[(style, if at == 0 { &label } else { &blanks }), (Style::Plain, row)]);
        }
    }

    fn piece(&mut self, style: Style, text: &str) {
        if self.color && style != Style::Plain {
            let _ = write!(self.text, "\x1b[{}m{text}\x1b[0m", style.code());
        } else {
            self.text.push_str(text);
        }
    }
}

/// Text in exactly this many columns: cut and marked with `…`, or filled with blanks. It must be escaped already.
pub(crate) fn fit(text: &str, width: usize) -> String {
    let whole = columns(text);
    let mut fitted = if whole <= width {
        text.to_owned()
    } else {
        let mut head = cut(text, width.saturating_sub(1));
        head.push_str(if width > 0 { "…" } else { "" });
        head
    };
    let missing = width.saturating_sub(columns(&fitted));
    fitted.extend(std::iter::repeat_n(' ', missing));
    fitted
}

/// The longest head in at most this many columns.
fn cut(text: &str, width: usize) -> String {
    let mut left = width;
    text.chars()
        .take_while(|&c| match left.checked_sub(wide(c)) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        })
        .collect()
}

/// Columns that a text takes.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(wide).sum()
}

/// Columns of one character: an approximation that knows combining marks, East Asian scripts and pictures.
fn wide(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// Text that cannot steer a terminal: control characters, and those that change the direction of writing or hide, are
/// written as escapes.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(safe, "\\x{:02x}", u32::from(c));
            }
            '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}' => {
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(c));
            }
            c => safe.push(c),
        }
    }
    safe
}
