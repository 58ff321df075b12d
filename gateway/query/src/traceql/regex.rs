//! Regular expressions of queries: of the whole value, in linear time, of bounded size.

use regex::{Regex, RegexBuilder};

use crate::expressions::shown;

/// Compiles, to a program of at most so many bytes; the error says what is wrong.
pub(super) fn compile(pattern: &str, program: usize) -> Result<Regex, String> {
    let build =
        |pattern: &str| RegexBuilder::new(pattern).size_limit(program).dfa_size_limit(program).build();
    // Complete by itself first: `a)|(b` must not become so by what is put round it.
    let alone = if pattern.contains(')') { build(pattern).map(drop) } else { Ok(()) };
    alone.and_then(|()| build(&format!("^(?s:{pattern})$"))).map_err(|error| {
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
