use proptest::prelude::*;

use super::*;

/// Patterns of these lines, most frequent first.
fn mined(lines: &[&str]) -> Vec<(String, usize)> {
    let mut miner = Miner::new(100);
    let mut counts: FxHashMap<u64, usize> = FxHashMap::default();
    for line in lines {
        if let Some(mined) = miner.add(line.as_bytes()) {
            *counts.entry(mined.pattern).or_default() += 1;
        }
    }
    let mut found: Vec<_> =
        counts.into_iter().filter_map(|(number, count)| Some((miner.text(number)?, count))).collect();
    found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    found
}

#[test]
fn lines_of_one_shape_are_one_pattern_with_holes() {
    for (lines, expected) in [
        (
            &["GET /orders 200 in 12ms", "GET /orders 404 in 3ms", "GET /carts 200 in 1ms"][..],
            &[("GET <_> <_> in <_>", 3)][..],
        ),
        (
            &["level=info msg=\"order placed\" user=ann", "level=info msg=\"order placed\" user=bob"],
            &[("level=info msg=\"order placed\" user=<_>", 2)],
        ),
        (
            &[r#"{"level":"info","took":1.5,"msg":"paid"}"#, r#"{"level":"info","took":77,"msg":"paid"}"#],
            &[(r#"{"level":"info","took":<_>,"msg":"paid"}"#, 2)],
        ),
        (
            &["connection refused by peer", "disk is nearly full", "connection reset by peer"],
            &[("connection <_> by peer", 2), ("disk is nearly full", 1)],
        ),
        (&["ready", "ready", "stopped"], &[("ready", 2), ("stopped", 1)]),
        (&["", "   ", "==="], &[]),
        (&["12", "7"], &[("<_>", 2)]),
    ] {
        let expected: Vec<_> = expected.iter().map(|(text, count)| ((*text).to_owned(), *count)).collect();
        assert_eq!(mined(lines), expected);
    }
}

#[test]
fn long_lines_end_in_a_hole() {
    let line = format!("start {}", "word ".repeat(500));
    let found = mined(&[&line]);
    assert!(found[0].0.starts_with("start word word") && found[0].0.ends_with("<_>"), "{found:?}");
    assert!(found[0].0.len() < MAX_LINE);
}

#[test]
fn the_number_of_patterns_is_bounded_and_the_oldest_go() {
    let mut miner = Miner::new(10);
    let first = miner.add(b"alpha beta").unwrap().pattern;
    for number in 0..1_000u32 {
        let shape = ",".repeat(number as usize % 50 + 1);
        let word: String = format!("{number:x}").bytes().map(|b| (b'g' + b % 16) as char).collect();
        miner.add(format!("{word}{shape}end{word}").as_bytes());
        assert!(miner.len() <= 10);
    }
    assert_eq!(miner.text(first), None);
}

/// Whether a pattern's fixed parts stand in a line in their order, from its beginning.
fn matches(pattern: &str, line: &str) -> bool {
    let mut rest = line;
    for (number, part) in pattern.split(VARIABLE).enumerate() {
        let Some(at) = rest.find(part) else { return false };
        if number == 0 && at != 0 {
            return false;
        }
        rest = &rest[at + part.len()..];
    }
    true
}

proptest! {
    #[test]
    fn any_bytes_are_taken(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..50)) {
        let mut miner = Miner::new(5);
        for line in &lines {
            if let Some(mined) = miner.add(line) {
                prop_assert!(miner.text(mined.pattern).is_some());
            }
            prop_assert!(miner.len() <= 5);
        }
    }

    #[test]
    fn a_pattern_matches_the_lines_that_it_is_of(lines in prop::collection::vec("[a-c1=: ]{1,12}", 1..40)) {
        let mut miner = Miner::new(1_000);
        let of: Vec<_> = lines.iter().map(|line| miner.add(line.as_bytes())).collect();
        for (line, mined) in lines.iter().zip(of) {
            if let Some(text) = mined.and_then(|mined| miner.text(mined.pattern)) {
                prop_assert!(matches(&text, line.trim_end()), "{text:?} {line:?}");
            }
        }
    }
}
