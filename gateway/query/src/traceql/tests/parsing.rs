//! Reading and writing of queries: cases in `valid.txt` and `invalid.txt`, and bounds.

use super::super::parse;

/// Lines that are no comment.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#'))
}

#[test]
fn what_is_right_reads_and_is_written_so_that_it_reads_the_same() {
    let mut count = 0;
    for line in lines(include_str!("valid.txt")) {
        let (text, expected) = line.split_once(" => ").unwrap_or((line, line.trim_end()));
        let query = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let written = query.to_string();
        assert_eq!(written, expected, "{text}");
        assert_eq!(parse(&written).as_ref(), Ok(&query), "{text}");
        count += 1;
    }
    assert!(count > 200, "{count}");
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_what_could_stand_there() {
    let mut rest = lines(include_str!("invalid.txt"));
    while let (Some(text), Some(expected)) = (rest.next(), rest.next()) {
        match parse(text) {
            Ok(query) => panic!("{text} was read as {query}"),
            Err(error) => assert_eq!(error.to_string(), expected.trim_start(), "{text}"),
        }
    }
}

#[test]
fn places_are_counted_in_lines_and_characters() {
    let error = parse("{ .a = \"ß\" &&\n  .b = }").unwrap_err().to_string();
    assert!(error.starts_with("parse error at line 2, col 8: "), "{error}");
}

#[test]
fn depth_and_length_are_bounded() {
    let nested = |open: &str, close: &str, times| format!("{}.a{}", open.repeat(times), close.repeat(times));
    for text in [
        format!("{{ {} }}", nested("(", ")", 100_000)),
        format!("{{ {} }}", nested("!", "", 100_000)),
        format!("{{ {} }}", nested("-", "", 100_000)),
        format!("{}{{ }}{}", "(".repeat(50_000), ")".repeat(50_000)),
        format!("{{ .a{} }}", " && .a".repeat(10_000)),
        format!("{{ }}{}", " | { }".repeat(20_000)),
        format!("{{ }}{}", " && { }".repeat(10_000)),
        format!("{{ .{} }}", "a".repeat(1 << 20)),
    ] {
        assert!(parse(&text).is_err() || text.len() < 128 << 10, "{:.60}", text);
    }
    let many = format!("{{ .a = 0{} }}", " || .a = 1".repeat(190));
    assert!(parse(&many).is_ok());
}

#[test]
fn what_the_expressions_of_one_query_are_compiled_to_is_bounded() {
    let many = |pattern: &str, times: usize| {
        let condition = format!(".a =~ \"{pattern}\"");
        parse(&format!("{{ {} }}", vec![condition; times].join(" && ")))
    };
    assert!(many("x+", 100).is_ok());
    for (pattern, times, told) in [
        (r"\\p{L}{60}", 30, "it is too large"),
        (r"\\p{L}{600}", 1, "it is too large"),
        ("x+", 200, "more than 128 regular expressions"),
        ("x)|(y", 1, "unopened group"),
    ] {
        let error = many(pattern, times).unwrap_err().to_string();
        assert!(error.contains(told) && error.len() < 300, "{pattern}: {error}");
    }
}
