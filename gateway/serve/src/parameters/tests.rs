use super::*;

#[test]
fn every_spelling_of_one_instant_is_the_same() {
    for text in [
        "1760000000000000000",
        "1760000000",
        "1760000000000",
        "1760000000000000",
        "1760000000000.0",
        "1760000000.000",
        "1.76e9",
        "1.76e18",
        "2025-10-09T08:53:20Z",
        "2025-10-09T10:53:20.000+02:00",
    ] {
        assert_eq!(instant(text), Some(1_760_000_000_000_000_000), "{text}");
    }
    assert_eq!(instant("-5"), Some(0));
    for text in ["", "now", "NaN", "1e300", "99999999999999999999"] {
        let got = instant(text);
        assert!(got.is_none(), "{text}: {got:?}");
    }
}

#[test]
fn durations_are_seconds_or_sums_of_units() {
    for (text, nanos) in
        [("1000ms", SECOND), ("1m30s", 90 * SECOND), ("1.5s", SECOND * 3 / 2), ("15", 15 * SECOND)]
    {
        assert_eq!(seconds(text).or_else(|| sum(text)), Some(nanos), "{text}");
    }
    for text in ["5x", "m", "1m30", "-"] {
        assert_eq!(seconds(text).or_else(|| sum(text)), None, "{text}");
    }
}

#[test]
fn a_parameter_that_cannot_be_read_says_what_was_expected() {
    let error = Parameters::from([("start", "soon")]).time("start").unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"invalid start "soon": expected RFC 3339, or seconds, milliseconds, microseconds or nanoseconds"#
    );
}
