//! Relabelling of targets.

use super::*;
use crate::stage::relabel::*;

fn rule(
    action: RelabelAction,
    sources: &[&str],
    regex: &str,
    target: &str,
    replacement: &str,
) -> RelabelConfig {
    RelabelConfig {
        source_labels: sources.iter().map(|name| text(name)).collect(),
        regex: text(regex),
        target_label: text(target),
        replacement: text(replacement),
        action,
        ..RelabelConfig::default()
    }
}

/// Labels after the rules, or nothing if they say not to read.
fn relabelled(rules: &[RelabelConfig]) -> Option<Vec<String>> {
    let mut labels: Fields = [("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "Foo")].into_iter().collect();
    Relabel::new(rules).unwrap().apply(&mut labels).then(|| pairs(&labels))
}

#[test]
fn each_action_does_what_prometheus_says() {
    use RelabelAction::*;
    let all = ["a=foo", "b=bar", "c=baz", "d=Foo"];
    let cases: Vec<(RelabelConfig, Option<Vec<&str>>)> = vec![
        (
            rule(Replace, &["a"], "f(.*)", "d", "ch${1}-ch${1}"),
            Some(vec!["a=foo", "b=bar", "c=baz", "d=choo-choo"]),
        ),
        (rule(Replace, &["a", "b"], "foo;(.+)", "e", "$1"), Some([&all[..], &["e=bar"]].concat())),
        (rule(Replace, &["a"], "o", "e", "$1"), Some(all.to_vec())),
        (rule(Replace, &["a"], "(f).*", "a", ""), Some(all[1..].to_vec())),
        (rule(Replace, &["a", "b"], "(.*);(.*)", "${1}_x", "$2"), Some([&all[..], &["foo_x=bar"]].concat())),
        (rule(Keep, &["a"], "foo", "", "$1"), Some(all.to_vec())),
        (rule(Keep, &["a"], "fo", "", "$1"), None),
        (rule(Drop, &["a"], ".*o.*", "", "$1"), None),
        (rule(Drop, &["b"], ".*o.*", "", "$1"), Some(all.to_vec())),
        (rule(KeepEqual, &["a"], "(.*)", "b", "$1"), None),
        (rule(DropEqual, &["a"], "(.*)", "b", "$1"), Some(all.to_vec())),
        (rule(LabelMap, &[], "(b|c)", "", "x_$1"), Some([&all[..], &["x_b=bar", "x_c=baz"]].concat())),
        (rule(LabelDrop, &[], "(a|b)", "", "$1"), Some(all[2..].to_vec())),
        (rule(LabelKeep, &[], "(a|b)", "", "$1"), Some(all[..2].to_vec())),
        (rule(Lowercase, &["d"], "(.*)", "e", "$1"), Some([&all[..], &["e=foo"]].concat())),
        (rule(Uppercase, &["d"], "(.*)", "e", "$1"), Some([&all[..], &["e=FOO"]].concat())),
    ];
    for (rule, expected) in cases {
        let found = relabelled(std::slice::from_ref(&rule));
        assert_eq!(found, expected.map(|list| list.into_iter().map(text).collect()), "{rule:?}");
    }
}

#[test]
fn hashmod_is_the_tail_of_md5() {
    let config = RelabelConfig { modulus: 1000, ..rule(RelabelAction::HashMod, &["c"], "(.*)", "h", "$1") };
    let mut labels: Fields = [("c", "baz")].into_iter().collect();
    Relabel::new(&[config]).unwrap().apply(&mut labels);
    assert_eq!(labels.get("h"), Some("976"));
}

#[test]
fn a_pods_path_gives_the_names_that_charts_use() {
    let labels = discovered("/var/log/pods/shop_web-1_0a1b/app/0.log", Some("n1"));
    assert_eq!(labels.get("__meta_kubernetes_namespace"), Some("shop"));
    assert_eq!(labels.get("__meta_kubernetes_pod_name"), Some("web-1"));
    assert_eq!(labels.get("__meta_kubernetes_pod_uid"), Some("0a1b"));
    assert_eq!(labels.get("__meta_kubernetes_pod_container_name"), Some("app"));
    assert_eq!(labels.get("__meta_kubernetes_pod_node_name"), Some("n1"));
    let mut labels = labels;
    labels.set("app", "x");
    strip(&mut labels);
    assert_eq!(pairs(&labels), ["app=x"]);
}

#[test]
fn all_mistakes_of_rules_are_told_at_once() {
    let errors = Relabel::new(&[
        rule(RelabelAction::Replace, &["a"], "(", "b", "$1"),
        rule(RelabelAction::Replace, &["a"], ".*", "", "$1"),
        rule(RelabelAction::HashMod, &["a"], ".*", "b", "$1"),
        rule(RelabelAction::Keep, &[], ".*", "", "$1"),
        rule(RelabelAction::Replace, &["a"], ".*", "b-c", "$1"),
    ])
    .unwrap_err();
    assert_eq!(errors.iter().map(|e| e.index).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}
