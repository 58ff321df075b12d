//! Places in the code: as attributes of spans name them, as metadata of lines do, and as they stand in the text of lines.

use std::fmt;

use store::read::LogView;

/// A place in the code.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CodePlace {
    /// File, as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: Option<u32>,
    /// Function, with what it is part of if that was told.
    pub function: String,
}

/// Stands between file with line and function where both are written as one text.
const BETWEEN: char = '\u{1f}';

impl fmt::Display for CodePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.function.is_empty() {
            write!(f, "{BETWEEN}{}", self.function)?;
        }
        Ok(())
    }
}

impl CodePlace {
    /// What `Display` wrote.
    pub(crate) fn read(text: &str) -> Self {
        let (place, function) = text.split_once(BETWEEN).unwrap_or((text, ""));
        let (file, line) = match place.rsplit_once(':').map(|(file, line)| (file, line.parse())) {
            Some((file, Ok(line))) => (file, Some(line)),
            _ => (place, None),
        };
        Self { file: file.to_owned(), line, function: function.to_owned() }
    }
}

/// `code.*` attributes of a span, in their newer and older names.
#[derive(Debug, Default)]
pub(crate) struct CodeAttributes {
    place: CodePlace,
    namespace: String,
}

impl CodeAttributes {
    pub(crate) fn take(&mut self, name: &str, value: &str) {
        match name {
            "code.file.path" | "code.filepath" => value.clone_into(&mut self.place.file),
            "code.line.number" | "code.lineno" => self.place.line = value.parse().ok(),
            "code.function.name" | "code.function" => value.clone_into(&mut self.place.function),
            "code.namespace" => value.clone_into(&mut self.namespace),
            _ => {}
        }
    }

    pub(crate) fn place(mut self) -> Option<CodePlace> {
        if !self.namespace.is_empty() && !self.place.function.starts_with(&self.namespace) {
            self.place.function = format!("{}.{}", self.namespace, self.place.function);
        }
        (!self.place.file.is_empty() || !self.place.function.is_empty()).then_some(self.place)
    }
}

/// Metadata that loggers write the place of a line into.
const CALLERS: [&str; 7] =
    ["caller", "source", "code_filepath", "code_file_path", "logger_caller", "file", "location"];
/// Metadata with the line's number, where it stands apart.
const NUMBERS: [&str; 4] = ["code_lineno", "code_line_number", "line", "lineno"];
/// Metadata with the function's name.
const FUNCTIONS: [&str; 4] = ["code_function", "code_function_name", "func", "function"];

/// The place that a line says it was written at.
pub(crate) fn of_line<'a>(line: &LogView<'a>) -> Option<CodePlace> {
    let get = |names: &[&str]| -> Option<&'a str> {
        let of = |name: &&str| line.metadata().find(|(key, _)| key == name);
        names.iter().find_map(of).map(|(_, value)| value)
    };
    let function = get(&FUNCTIONS).unwrap_or_default();
    if let Some(caller) = get(&CALLERS) {
        let found = in_text(caller.as_bytes());
        let apart = || {
            let line = get(&NUMBERS)?.parse().ok()?;
            is_file(caller).then(|| CodePlace {
                file: caller.to_owned(),
                line: Some(line),
                ..CodePlace::default()
            })
        };
        if let Some(place) = found.or_else(apart) {
            return Some(CodePlace { function: function.to_owned(), ..place });
        }
    }
    in_text(line.line)
}

/// Bytes of a line in which a place is looked for: it stands near the front.
const LOOKED_AT: usize = 512;
/// What files of code are called.
const ENDINGS: [&str; 31] = [
    "go", "py", "java", "kt", "kts", "scala", "groovy", "clj", "rs", "js", "mjs", "cjs", "jsx", "ts", "tsx",
    "rb", "php", "cs", "fs", "vb", "c", "cc", "cpp", "cxx", "h", "hpp", "swift", "ex", "exs", "erl", "lua",
];

fn is_file(text: &str) -> bool {
    text.rsplit_once('.').is_some_and(|(name, ending)| !name.is_empty() && ENDINGS.contains(&ending))
}

/// The first `file.go:123` of a text.
pub(crate) fn in_text(text: &[u8]) -> Option<CodePlace> {
    let text = text.get(..LOOKED_AT).unwrap_or(text);
    let mut from = 0;
    while let Some(colon) = text.get(from..)?.iter().position(|byte| *byte == b':').map(|at| at + from) {
        from = colon + 1;
        let digits = text.get(from..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=6).contains(&digits) {
            continue;
        }
        let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_./-$@+\\".contains(byte);
        let length = text.get(..colon)?.iter().rev().take_while(|byte| part(byte)).count();
        let Ok(file) = std::str::from_utf8(text.get(colon - length..colon)?) else { continue };
        let number = std::str::from_utf8(text.get(from..from + digits)?).ok().and_then(|n| n.parse().ok());
        if is_file(file) && number.is_some() {
            return Some(CodePlace { file: file.to_owned(), line: number, function: String::new() });
        }
    }
    None
}

#[cfg(test)]
mod tests;
