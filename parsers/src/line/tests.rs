use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn every_long_run_of_hex_digits_is_found(line in "([0-9a-f]{0,40}[ x-]){0,12}") {
        let bytes = line.as_bytes();
        let (mut found, mut from) = (Vec::new(), 0);
        while let Some((start, end)) = hex_run::next(bytes, from) {
            found.push((start, end));
            from = end + 1;
        }
        let (mut want, mut start) = (Vec::new(), 0);
        for word in line.split([' ', 'x', '-']) {
            if word.len() >= 16 {
                want.push((start, start + word.len()));
            }
            start += word.len() + 1;
        }
        prop_assert_eq!(found, want);
    }

    #[test]
    fn the_quick_look_at_a_key_never_misses_a_known_one(
        key in "((trace|span|dd|otel|x-b3|service|resource.service|log|response)[._-]?)?(trace|id|name|level|lvl|parent|sampled|@tr|@sp|@l|service|severity|code)",
        quote in "(\"|')?",
    ) {
        let line = format!("{{{quote}{key}{quote}:");
        let end = line.len() - 1;
        let known = key::Name::read(line.as_bytes(), key::end(line.as_bytes(), end)).and_then(|n| n.key());
        prop_assert!(known.is_none() || key::candidate(line.as_bytes(), end), "{}", line);
    }
}
