//! Stack traces in lines and in attributes of spans: which exception it was and through which functions it came, so that two
//! occurrences of one fault read alike. What differs between them is taken out: numbers of lines, addresses, numbers of lambdas
//! and of classes made at run time.
//!
//! Java, Python, Go, Node, .NET, Ruby, PHP and Rust are known, each as its runtime writes it, and as agents do that write all of
//! them alike (`at function (file:line)`), by the names of their files. Which lines belong to one record is decided elsewhere.

mod frame;
mod php;
mod ruby;
mod rust;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use memchr::memmem;

/// Bytes of a text that are looked at: deeper stacks are cut by runtimes too.
const MAX_TEXT: usize = 1 << 16;
/// Frames that are kept, the innermost: below them lie frameworks.
const MAX_FRAMES: usize = 32;
/// Lines above the first frame among which the exception is looked for: messages may have several lines.
const MAX_HEADER: usize = 12;
/// Bytes of a message and of a name that are kept.
const MAX_WORDS: usize = 300;

const TRACEBACK: &str = "Traceback (most recent call last):";

/// Who wrote a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Language {
    /// Java and what else runs on its machine.
    Java,
    /// Python.
    Python,
    /// Go.
    Go,
    /// JavaScript.
    Node,
    /// .NET.
    DotNet,
    /// Ruby.
    Ruby,
    /// PHP.
    Php,
    /// Rust.
    Rust,
}

impl Language {
    /// As answers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Java => "java",
            Self::Python => "python",
            Self::Go => "go",
            Self::Node => "node",
            Self::DotNet => "dotnet",
            Self::Ruby => "ruby",
            Self::Php => "php",
            Self::Rust => "rust",
        }
    }
}

/// A stack trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// Who wrote it.
    pub language: Language,
    /// The exception's class; of Go and Rust `panic`, of Go also `runtime error`. Empty where the text holds frames alone.
    pub kind: String,
    /// What was said, shortened.
    pub message: String,
    /// The class of the innermost cause, if another exception was wrapped.
    pub cause: Option<String>,
    /// Functions, innermost first, without what differs from run to run. At most 32.
    pub frames: Vec<String>,
}

/// The stack trace in a log line: over several lines, or escaped in a text in quotes (JSON, logfmt).
pub fn find(line: &[u8]) -> Option<Stack> {
    let line = line.get(..MAX_TEXT).unwrap_or(line);
    if memchr::memchr(b'\n', line).is_some() {
        let stack = holds_frames(line).then(|| parse(&String::from_utf8_lossy(line))).flatten();
        return stack.filter(|stack| !stack.kind.is_empty());
    }
    if memmem::find(line, br"\n").is_none() || !holds_frames(line) {
        return None;
    }
    quoted(line).find_map(|text| parse(&text).filter(|stack| !stack.kind.is_empty()))
}

/// A cheap look before a close one.
fn holds_frames(text: &[u8]) -> bool {
    ["at ", "Traceback (", "goroutine ", ruby::MARK, php::MARK]
        .iter()
        .any(|words| memmem::find(text, words.as_bytes()).is_some())
}

/// Texts in quotes that have line breaks in them.
fn quoted(line: &[u8]) -> impl Iterator<Item = String> {
    let mut rest = line;
    std::iter::from_fn(move || {
        loop {
            let start = memchr::memchr(b'"', rest)?;
            let inside = rest.get(start + 1..)?;
            let (mut at, mut breaks) = (0, false);
            while let Some(byte) = inside.get(at) {
                match byte {
                    b'"' => break,
                    b'\\' => {
                        breaks |= inside.get(at + 1) == Some(&b'n');
                        at += 2;
                    }
                    _ => at += 1,
                }
            }
            let at = at.min(inside.len());
            rest = inside.get(at + 1..).unwrap_or_default();
            if breaks {
                return inside.get(..at).map(unescaped);
            }
        }
    })
}

fn unescaped(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        let byte = match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'r') => continue,
                // `\u003c` and `\u003e` stand for brackets in Go's JSON; others do not matter here.
                Some(b'u') => match bytes.as_slice().get(..4) {
                    Some(code) => {
                        let code = std::str::from_utf8(code).ok();
                        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok()).unwrap_or(b'?');
                        bytes.nth(3);
                        code
                    }
                    None => b'?',
                },
                Some(&other) => other,
                None => b'\\',
            },
            byte => byte,
        };
        out.push(byte);
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Reads a whole stack trace, as `exception.stacktrace` holds it.
pub fn parse(text: &str) -> Option<Stack> {
    let text = text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or(text);
    if let Some(at) = text.rfind(TRACEBACK) {
        return text.get(at + TRACEBACK.len()..).and_then(python);
    }
    let holds = |words: &str| memmem::find(text.as_bytes(), words.as_bytes());
    let of_go = holds("goroutine ").and_then(|at| go(text, at));
    let of_rust = || holds(rust::MARK).and_then(|_| rust::parse(text));
    let of_php = || holds(php::MARK).and_then(|_| php::parse(text));
    let of_ruby = || holds(ruby::MARK).and_then(|_| ruby::parse(text));
    of_go.or_else(of_rust).or_else(of_php).or_else(|| at_frames(text)).or_else(of_ruby)
}

/// Frames, then the line that names the exception.
fn python(text: &str) -> Option<Stack> {
    let mut frames: Vec<String> = Vec::new();
    let (mut kind, mut message) = (String::new(), String::new());
    for line in text.lines().skip(1) {
        let inner = line.trim_start();
        if let Some(frame) = frame::python(inner) {
            frames.push(frame);
        } else if inner.len() == line.len() && !line.is_empty() {
            let (name, said) = line.split_once(": ").unwrap_or((line.trim_end_matches(':'), ""));
            if is_name(name) {
                (kind, message) = (shortened(name), shortened(said));
            }
            break;
        }
    }
    // Python writes the innermost last.
    frames.reverse();
    frames.truncate(MAX_FRAMES);
    let some = !frames.is_empty() || !kind.is_empty();
    some.then_some(Stack { language: Language::Python, kind, message, cause: None, frames })
}

/// `panic: ...`, then the goroutine that it ended.
fn go(text: &str, goroutine: usize) -> Option<Stack> {
    let (before, after) = (text.get(..goroutine)?, text.get(goroutine..)?);
    let head = after.lines().next()?;
    let number = head.strip_prefix("goroutine ")?;
    if !number.starts_with(|c: char| c.is_ascii_digit()) || !head.contains('[') {
        return None;
    }
    let said = before.rfind("panic: ").and_then(|at| before.get(at + "panic: ".len()..));
    let said = said.map(|said| said.lines().next().unwrap_or_default());
    let kind = match said {
        Some(said) if said.contains("runtime error") => "runtime error",
        Some(_) => "panic",
        None if before.contains("fatal error: ") => "fatal error",
        None => "",
    };
    let mut frames = Vec::new();
    for line in after.lines().skip(1) {
        if line.is_empty() || line.starts_with("created by ") || line.starts_with("goroutine ") {
            break;
        }
        frames.extend(frame::go(line));
        if frames.len() == MAX_FRAMES {
            break;
        }
    }
    let (kind, message) = (kind.to_owned(), shortened(said.unwrap_or_default()));
    (!frames.is_empty()).then_some(Stack { language: Language::Go, kind, message, cause: None, frames })
}

/// Java, Node and .NET write `at` before each frame, and so do agents of any language.
fn at_frames(text: &str) -> Option<Stack> {
    let lines: Vec<&str> = text.lines().collect();
    let is_frame = |line: &&str| line.trim_start().starts_with("at ") && line.starts_with([' ', '\t']);
    let first = lines.iter().position(|line| is_frame(line) || line.starts_with("at "))?;
    let mut language = None;
    let mut frames = Vec::new();
    for line in lines.get(first..)?.iter().map(|line| line.trim()) {
        let Some(call) = line.strip_prefix("at ") else {
            // .NET marks where a task goes on; Java says how many frames are the same as above.
            if line.starts_with("--- ") || line.starts_with("... ") {
                continue;
            }
            break;
        };
        match *language.get_or_insert_with(|| frame::language(call)) {
            Language::Java => frames.push(frame::java(call)),
            Language::Node => frames.push(frame::node(call)),
            Language::DotNet => frames.push(frame::dotnet(call)),
            Language::Go => frames.extend(frame::go(call)),
            Language::Python | Language::Ruby | Language::Php | Language::Rust => {
                frames.push(frame::placed(call));
            }
        }
        if frames.len() == MAX_FRAMES {
            break;
        }
    }
    let language = language?;
    let (kind, message, mut cause) = header(lines.get(first.saturating_sub(MAX_HEADER)..first)?);
    if language == Language::Java {
        let mut causes = lines.iter().filter_map(|line| line.trim_start().strip_prefix("Caused by: "));
        cause = causes.next_back().and_then(exception).map(|(kind, _)| kind);
    }
    Some(Stack { language, kind, message, cause, frames })
}

/// The exception above the frames: its class, its message, and the innermost cause as .NET writes it.
fn header(lines: &[&str]) -> (String, String, Option<String>) {
    let mut cause = None;
    for line in lines.iter().rev() {
        let line = line.trim();
        if let Some(inner) = line.strip_prefix("---> ") {
            cause = cause.or_else(|| exception(inner).map(|(kind, _)| kind));
            continue;
        }
        if let Some((kind, message)) = exception(line) {
            return (kind, message, cause);
        }
    }
    // Errors of one's own need no such name: what stands before the colon right above is it.
    let own = lines.last().and_then(|line| line.trim().split_once(": "));
    match own.filter(|(name, _)| is_name(name) && name.starts_with(|c: char| c.is_ascii_uppercase())) {
        Some((name, said)) => (shortened(name), shortened(said), cause),
        None => (String::new(), String::new(), cause),
    }
}

/// The first word of a line that is called as exceptions are, and what follows it.
fn exception(line: &str) -> Option<(String, String)> {
    let mut rest = line;
    while !rest.is_empty() {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let name = word.trim_end_matches(':').trim_start_matches(['"', '\'', '(', '[']);
        let last = name.rsplit(['.', '$', '+']).next().unwrap_or_default();
        let called = ["Exception", "Error", "Throwable", "Failure", "Fault"];
        let fits = is_name(name)
            && last.starts_with(|c: char| c.is_ascii_uppercase())
            && called.iter().any(|end| last.ends_with(end));
        if fits && (word.ends_with(':') || after.trim().is_empty()) {
            return Some((shortened(name), shortened(after.trim())));
        }
        // Node puts a code behind the name: `Error [ERR_STREAM_DESTROYED]: ...`.
        if fits && after.trim_start().starts_with('[') {
            let said = after.split_once("]: ").map_or("", |(_, said)| said);
            return Some((shortened(name), shortened(said)));
        }
        rest = after.trim_start();
    }
    None
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_WORDS
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '$' | '+' | '`' | '<' | '>'))
}

fn shortened(text: &str) -> String {
    let text = text.trim();
    text.get(..text.floor_char_boundary(MAX_WORDS)).unwrap_or(text).to_owned()
}

/// Without digits at its end.
fn unnumbered(name: &str) -> Cow<'_, str> {
    Cow::Borrowed(name.trim_end_matches(|c: char| c.is_ascii_digit()))
}
