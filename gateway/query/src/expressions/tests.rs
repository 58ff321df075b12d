use super::*;

fn parsed(pattern: &str) -> Result<Regex, Error> {
    anchored(pattern, LARGE_PROGRAM)
}

#[test]
fn what_others_asked_with_changes_no_expression() {
    // Written out, the second is what the first becomes by what is put round it.
    assert!(parsed("^(?s:a)(b)$").is_ok());
    assert!(parsed("a)(b").is_err());
    let loki = || kept(Reading::LokiAnchored, "kept.+", PROGRAM, |_| Regex::new("^of loki$"));
    assert!(loki().is_ok_and(|regex| regex.is_match("of loki")));
    assert!(parsed("kept.+").is_ok_and(|regex| regex.is_match("kept\n") && !regex.is_match("of loki")));
    // The second time it is the one that was kept.
    assert!(loki().is_ok_and(|regex| regex.is_match("of loki")));
}

#[test]
fn a_program_past_its_bound_is_refused_however_often_it_is_asked_for() {
    for _ in 0..2 {
        assert!(anchored(r"\w{500}", PROGRAM).is_err());
        assert!(anchored(r"\w{50}", LARGE_PROGRAM).is_ok());
    }
}
