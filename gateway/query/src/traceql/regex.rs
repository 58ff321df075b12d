//! Regular expressions of queries: of the whole value, in linear time, of bounded size.

use regex::Regex;

use crate::expressions::{anchored, shown};

/// Compiles, to a program of at most so many bytes; the error says what is wrong.
pub(super) fn compile(pattern: &str, program: usize) -> Result<Regex, String> {
    anchored(pattern, program).map_err(|error| {
        let why = match error {
            regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
            // The last line says it; those before draw where.
            other => {
                other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
            }
        };
        format!("the regular expression {:?} cannot be read: {why}", shown(pattern))
    })
}
