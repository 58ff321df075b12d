//! What is wrong with a pipeline's configuration, and in which of its stages.

use std::fmt;

use super::re2::translate;

/// A stage that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageError {
    /// Which stage: its index, and for one in a `match` that stage's index before it.
    pub at: Vec<usize>,
    /// Its name.
    pub stage: &'static str,
    /// What is wrong and what was expected.
    pub message: String,
}

impl std::error::Error for StageError {}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stage ")?;
        for index in &self.at {
            write!(f, "[{index}]")?;
        }
        write!(f, " {}: {}", self.stage, self.message)
    }
}

/// An expression in RE2's spelling, compiled; the error is for people.
pub fn compile(expression: &str) -> Result<regex::Regex, String> {
    compile_within(expression, MAX_PROGRAM)
}

/// As [`compile`], to a program of at most so many bytes.
pub fn compile_within(expression: &str, program: usize) -> Result<regex::Regex, String> {
    regex::RegexBuilder::new(&translate(expression)).size_limit(program).build().map_err(|error| {
        let text = error.to_string();
        let detail = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("unreadable");
        let mut shown: String = expression.chars().take(MAX_SHOWN).collect();
        if shown.len() < expression.len() {
            shown.push('…');
        }
        format!("the regular expression `{shown}` cannot be read: {}", detail.trim_start_matches("error: "))
    })
}

/// Characters of an expression in a message: enough to find it by.
const MAX_SHOWN: usize = 80;

/// Bytes of a compiled expression: what counted repetitions of Unicode classes need, and far below what hurts.
const MAX_PROGRAM: usize = 10 << 20;

/// Whether a text can name a label.
pub(super) fn is_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
