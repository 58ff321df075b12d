use super::super::{Mistake, load, render as render_all};
use super::*;

fn mistakes(rules: &str) -> Vec<String> {
    let text = format!("sampling:\n  rules:\n{rules}");
    let found = load(&text, "t", []).err().unwrap_or_default();
    found.iter().map(Mistake::to_string).collect()
}

#[test]
fn all_that_a_rule_can_say_is_read_and_rendered_again() {
    let text = "sampling:\n  wait: 5s\n  rules:\n\
        \x20   - {name: errors, when: {error: true}}\n\
        \x20   - {name: slow, when: {slower_than: 500ms, service: {regex: 'shop-.*'}}}\n\
        \x20   - {name: health, when: {attribute: {http.route: /healthz, 'user agent': {regex: \"it's.*\"}}}, keep: 0}\n\
        \x20   - {name: fine, when: {error: false, attribute: {http.status_code: 200}}, keep_per_second: 2.5}\n\
        \x20   - {name: rest, keep: 0.1}\n";
    let config = load(text, "t", []).unwrap();
    let options = config.sampling.clone().unwrap();
    assert_eq!(options.wait, Duration::from_secs(5));
    let rule = |number: usize| &options.rules[number];
    assert_eq!(rule(0).when, When { error: Some(true), ..When::default() });
    assert_eq!(rule(0).keep, KeepTraces::Share(1.0));
    assert_eq!(rule(1).when.slower_than, Some(Duration::from_millis(500)));
    assert!(
        matches!(&rule(1).when.service, Some(ValueMatch::Regex(pattern)) if pattern.as_str() == "shop-.*")
    );
    assert_eq!(rule(2).when.attributes[0], ("http.route".to_owned(), ValueMatch::Equal("/healthz".into())));
    assert_eq!(rule(2).keep, KeepTraces::Share(0.0));
    assert_eq!(rule(3).when.attributes[0].1, ValueMatch::Equal("200".into()));
    assert_eq!(rule(3).keep, KeepTraces::PerSecond(2.5));
    assert!(rule(4).when.is_always());
    assert_eq!(load(&render_all(&config), "again", []).unwrap().sampling, config.sampling);
    assert_eq!(load("", "t", []).unwrap().sampling, None);
}

#[test]
fn every_mistake_in_a_rule_is_told_at_its_line() {
    let found = mistakes(
        "    - {name: a, when: {eror: true}}\n\
        \x20   - {name: b, keep: 1.5}\n\
        \x20   - {name: c, keep: 0.1, keep_per_second: 3}\n\
        \x20   - {when: {slower_than: fast}}\n\
        \x20   - {name: d, when: {attribute: {http.route: {regex: '('}}}}\n\
        \x20   - {name: e, when: {service: {like: x}}}\n\
        \x20   - {name: f, keep_per_second: 0}\n\
        \x20   - {name: g, when: {attribute: http.route}}\n",
    );
    let expected = [
        "t:3: sampling.rules[0].when: expected `error`",
        "t:3: sampling.rules[0].when.eror: unknown key; did you mean `error`?",
        "t:4: sampling.rules[1].keep: expected a share from 0 to 1",
        "t:5: sampling.rules[2].keep_per_second: expected only one of",
        "t:6: sampling.rules[3]: expected a rule with a `name`",
        "t:6: sampling.rules[3].when.slower_than: expected a duration",
        "t:7: sampling.rules[4].when.attribute.http.route.regex: expected a regular expression",
        "t:8: sampling.rules[5].when.service: expected a value or `{regex: ...}`",
        "t:8: sampling.rules[5].when.service.like: unknown key",
        "t:9: sampling.rules[6].keep_per_second: expected a number of traces a second above 0",
        "t:10: sampling.rules[7].when.attribute: expected a mapping of attributes to values",
    ];
    for expected in expected {
        assert_eq!(found.iter().filter(|f| f.starts_with(expected)).count(), 1, "{expected}: {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn a_rule_that_no_trace_can_reach_is_a_mistake_and_so_are_rules_that_drop_nothing() {
    let never = mistakes(
        "    - {name: slow, when: {slower_than: 1s}}\n\
        \x20   - {name: slower, when: {slower_than: 1s}, keep: 0.5}\n\
        \x20   - {name: rest, keep: 0.1}\n\
        \x20   - {name: rest, when: {error: true}}\n",
    );
    assert_eq!(
        never,
        [
            "t:4: sampling.rules[1]: never met: `slow` above has the same `when`",
            "t:6: sampling.rules[3].name: there is another rule `rest` above",
            "t:6: sampling.rules[3]: never met: `rest` above has no `when` and decides every trace",
        ]
    );
    let all = mistakes("    - {name: errors, when: {error: true}}\n");
    assert!(all.len() == 1 && all[0].contains("every rule keeps all"), "{all:?}");
    let found = load("sampling: {wait: 30s}", "t", []).unwrap_err();
    assert_eq!(
        found[0].to_string(),
        "t:1: sampling.rules: expected at least one rule, such as `{name: rest, keep: 0.1}`"
    );
    let many: Vec<String> =
        (0..40).map(|n| format!("    - {{name: r{n}, when: {{service: s{n}}}, keep: 0}}\n")).collect();
    let many = many.concat();
    assert_eq!(mistakes(&many), ["t:3: sampling.rules: expected at most 32 rules, came 40"]);
}
