//! Regular expressions of queries: of the whole value, in linear time, of bounded size.

use regex::{Regex, RegexBuilder};

/// Bytes of a compiled expression: `.{1000}` fits, `(.{1000}){1000}` does not.
const MAX_SIZE: usize = 1 << 20;

/// Compiles; the error says what is wrong.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    let anchored = format!("^(?s:{pattern})$");
    RegexBuilder::new(&anchored).size_limit(MAX_SIZE).dfa_size_limit(MAX_SIZE).build().map_err(|error| {
        let why = match error {
            regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
            // The last line says it; those before draw where.
            other => {
                other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
            }
        };
        format!("the regular expression {pattern:?} cannot be read: {why}")
    })
}
