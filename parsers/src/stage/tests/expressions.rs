//! Expressions mean what RE2 means by them.

use crate::stage::error::compile;
use proptest::prelude::*;

/// What the expression finds in the text.
fn found<'t>(expression: &str, text: &'t str) -> Option<&'t str> {
    let regex = compile(expression).unwrap_or_else(|error| panic!("{error}"));
    regex.find(text).map(|found| found.as_str())
}

#[test]
fn what_the_crate_spells_otherwise_means_the_same() {
    for (expression, text, expected) in [
        (r#"^{"level":"\w+""#, r#"{"level":"info"}"#, Some(r#"{"level":"info""#)),
        (r"a{2} b{1,} c{,2} d{x}", "aa bb c{,2} d{x}", Some("aa bb c{,2} d{x}")),
        (r"^\<\d+\>", "<34>1 x", Some("<34>")),
        (r"[^[]+", "ab[c", Some("ab")),
        (r"[^]]+", "ab]c", Some("ab")),
        (r"[[:alpha:]_[]+", "1ab_[2", Some("ab_[")),
        (r"[[:^alpha:]]+", "ab12", Some("12")),
        (r"[a&&b]+", "x&b&", Some("&b&")),
        (r"[\w.-]+", "a.b-c d", Some("a.b-c")),
        (r"[\w-.]+", "a.b-c d", Some("a.b-c")),
        (r"[^\S]+", "a \tb", Some(" \t")),
        (r"\Qa.b(\E+", "a.b((", Some("a.b((")),
        (r"\p{Greek}\x{3B2}", "αβ", Some("αβ")),
        (r"\d", "٣", None),
        (r"\w+", "größe", Some("gr")),
        (r"\bfe\b", "cafe fe", Some("fe")),
        (r"\[\{\}\]", "[{}]", Some("[{}]")),
    ] {
        assert_eq!(found(expression, text), expected, "{expression}");
    }
}

#[test]
fn mistakes_are_told_in_the_words_that_were_written() {
    for expression in ["(", "[a", r"\", "*"] {
        let error = compile(expression).expect_err(expression);
        assert!(
            error.starts_with(&format!("the regular expression `{expression}` cannot be read: ")),
            "{error}"
        );
    }
}

proptest! {
    #[test]
    fn no_expression_panics(expression in r"(\PC|[\\\[\]{}^&~:,0-9QEpx<>]){0,40}") {
        let _ = compile(&expression);
    }

    #[test]
    fn quoted_texts_find_themselves(wanted in r"\PC{0,20}") {
        prop_assert_eq!(found(&regex::escape(&wanted), &wanted), Some(wanted.as_str()));
    }
}
