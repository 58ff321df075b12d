//! Which lines go on a stack trace of Java, Python, Go, Ruby or .NET: told by their first characters and what came before,
//! without regular expressions.

use crate::line;
use crate::record::Severity;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Inside {
    /// No trace that has to be followed line by line.
    #[default]
    Nothing,
    /// After `Traceback`: frames, until the line that names the exception.
    Python,
    /// After that line: another traceback may follow.
    PythonEnd,
    /// After `panic:`.
    Go,
}

/// Follows the lines of one output.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TraceLines(Inside);

const TRACEBACK: &str = "Traceback (most recent call last):";

/// What begins a line of a trace behind its indentation.
const INDENTED: [&str; 13] = [
    "at ",
    "... ",
    "from ",
    "File \"",
    "Caused by: ",
    "Suppressed: ",
    "--- End of ",
    "---> ",
    "- locked <",
    "- waiting ",
    "[CIRCULAR REFERENCE",
    "^",
    "...",
];

/// What begins a line of a trace that is not indented.
const FLUSH_LEFT: [&str; 4] = ["Caused by: ", "Suppressed: ", "--- End of ", "Wrapped by: "];

impl TraceLines {
    /// Whether the line belongs to the record before it: its text so far and how many lines that is.
    pub fn continues(&mut self, before: Option<(&str, u64)>, line: &str) -> bool {
        match self.0 {
            Inside::Python if line.starts_with([' ', '\t']) || line.is_empty() => return before.is_some(),
            Inside::Python => {
                self.0 = Inside::PythonEnd;
                return before.is_some();
            }
            Inside::PythonEnd if line.is_empty() => return before.is_some(),
            Inside::PythonEnd
                if line.starts_with("During handling of the above exception")
                    || line.starts_with("The above exception was the direct cause") =>
            {
                return before.is_some();
            }
            Inside::PythonEnd if line.starts_with(TRACEBACK) => {
                self.0 = Inside::Python;
                return before.is_some();
            }
            Inside::Go if goes_on_panic(line) => return before.is_some(),
            _ => self.0 = Inside::Nothing,
        }
        let failed = |before: Option<(&str, u64)>| {
            before
                .is_some_and(|(text, lines)| lines == 1 && line::severity(text.as_bytes()) >= Severity::Warn)
        };
        if line.starts_with(TRACEBACK) {
            self.0 = Inside::Python;
            // A log line about an error is followed by its trace; one that stands alone begins a record.
            return failed(before);
        }
        if line.starts_with("panic: ") || line.starts_with("fatal error: ") || is_goroutine(line) {
            self.0 = Inside::Go;
            return false;
        }
        let Some((_, _)) = before else { return false };
        if line.starts_with([' ', '\t']) {
            let text = line.trim_start();
            return INDENTED.iter().any(|start| text.starts_with(start)) || is_numbered_frame(text);
        }
        FLUSH_LEFT.iter().any(|start| line.starts_with(start)) || (names_exception(line) && failed(before))
    }
}

fn is_goroutine(line: &str) -> bool {
    line.strip_prefix("goroutine ")
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()) && rest.contains('['))
}

/// The lines of a Go crash: goroutines, their functions and places.
fn goes_on_panic(line: &str) -> bool {
    let starts = ["\t", "[signal ", "created by ", "exit status ", "panic: ", "fatal error: ", "rax ", "..."];
    line.is_empty()
        || starts.iter().any(|start| line.starts_with(start))
        || is_goroutine(line)
        || (line.ends_with(')')
            && line.split('(').next().is_some_and(|name| name.contains('.') && !name.contains(' ')))
}

/// Ruby's newer order: `2: from a.rb:3:in 'b'`.
fn is_numbered_frame(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && text.get(digits..).is_some_and(|rest| rest.starts_with(": from "))
}

/// `java.lang.IllegalStateException: ...`, `System.InvalidOperationException: ...`.
fn names_exception(line: &str) -> bool {
    let name = line.split([':', ' ']).next().unwrap_or_default();
    name.contains('.')
        && ["Exception", "Error", "Throwable"].iter().any(|end| name.ends_with(end))
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'$'))
}
