//! Objects as an API server sends them, and what is kept of them.

use parsers::stage::{FirstLine, MultilineConfig, Pipeline, StageConfig};
use serde_json::{Value, json};

use crate::pod::{Pod, PodObject, Selection, matches};
use crate::{Exclude, Owner};

fn kept(change: impl FnOnce(&mut Value)) -> Pod {
    let mut pod = json!({
        "metadata": {
            "name": "cart-6d5f8c9b7d-x2x4z", "namespace": "shop", "uid": "u1", "resourceVersion": "7",
            "labels": {"pod-template-hash": "6d5f8c9b7d", "app": "cart"},
            "annotations": {},
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Other", "name": "other", "uid": "o"},
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart-6d5f8c9b7d", "uid": "r", "controller": true}
            ],
            "managedFields": [{"manager": "kubelet"}]
        },
        "spec": {"nodeName": "n1", "containers": [{"name": "web"}], "initContainers": [{"name": "init"}]},
        "status": {"phase": "Running"}
    });
    change(&mut pod);
    let selection = Selection {
        labels: vec!["app".into(), "app.kubernetes.io/*".into()],
        annotations: vec!["*/owner".into()],
    };
    serde_json::from_value::<PodObject>(pod).unwrap().kept(&selection)
}

fn owned(kind: &str, name: &str, labels: Value) -> String {
    let pod = kept(|pod| {
        pod["metadata"]["labels"] = labels;
        pod["metadata"]["ownerReferences"] = json!([{"kind": kind, "name": name, "controller": true}]);
    });
    let text = |owner: Owner| {
        let job = owner.job.map(|job| format!(" by {job}"));
        format!("{} {}{}", owner.kind, owner.name, job.unwrap_or_default())
    };
    pod.owner.map(text).unwrap_or_default()
}

#[test]
fn owners_are_the_workloads_that_people_know() {
    let none = json!({});
    let hash = json!({"pod-template-hash": "6d5f8c9b7d"});
    let rollout = json!({"rollouts-pod-template-hash": "55d"});
    let cases = [
        ("ReplicaSet", "cart-6d5f8c9b7d", &hash, "Deployment cart"),
        ("ReplicaSet", "cart-6d5f8c9b7d-6d5f8c9b7d", &hash, "Deployment cart-6d5f8c9b7d"),
        ("ReplicaSet", "cart-v2-55d", &rollout, "Rollout cart-v2"),
        ("ReplicaSet", "cart-other", &hash, "ReplicaSet cart-other"),
        ("ReplicaSet", "cart-6d5f8c9b7d", &none, "ReplicaSet cart-6d5f8c9b7d"),
        ("ReplicaSet", "-6d5f8c9b7d", &hash, "ReplicaSet -6d5f8c9b7d"),
        ("ReplicaSet", "6d5f8c9b7d", &hash, "ReplicaSet 6d5f8c9b7d"),
        ("StatefulSet", "db", &none, "StatefulSet db"),
        ("DaemonSet", "trefoil-agent", &none, "DaemonSet trefoil-agent"),
        ("Job", "migrate", &none, "Job migrate"),
        ("Job", "migrate-7", &none, "Job migrate-7"),
        ("Job", "report-29384756", &none, "CronJob report by report-29384756"),
        ("Job", "report-1700000000", &none, "CronJob report by report-1700000000"),
        ("Job", "-29384756", &none, "Job -29384756"),
        ("SparkApplication", "pi", &none, "SparkApplication pi"),
        ("Node", "n1", &none, ""),
    ];
    for (kind, name, labels, expected) in cases {
        assert_eq!(owned(kind, name, labels.clone()), expected, "{kind} {name}");
    }
    assert_eq!(kept(|pod| pod["metadata"]["ownerReferences"] = Value::Null).owner, None);
    assert_eq!(kept(|_| {}).owner.unwrap().name, "cart");
}

#[test]
fn services_and_versions_are_named_by_the_first_label_that_does() {
    let named = |labels: Value, annotations: Value| {
        let pod = kept(|pod| {
            pod["metadata"]["labels"] = labels;
            pod["metadata"]["annotations"] = annotations;
        });
        [pod.service, pod.app, pod.version].map(Option::unwrap_or_default).join("/")
    };
    let none = || Value::Null;
    assert_eq!(named(none(), none()), "//");
    assert_eq!(named(json!({"app": "a", "version": "v2"}), none()), "a/a/v2");
    assert_eq!(named(json!({"app": "a", "app.kubernetes.io/instance": "i"}), none()), "i/a/");
    let all = json!({
        "app": "a", "app.kubernetes.io/instance": "i", "app.kubernetes.io/name": "n",
        "version": "v2", "app.kubernetes.io/version": "1.4.0"
    });
    assert_eq!(named(all.clone(), none()), "n/a/1.4.0");
    assert_eq!(named(all, json!({"resource.opentelemetry.io/service.name": "s"})), "s/a/1.4.0");
    assert_eq!(named(json!({"app": "", "app.kubernetes.io/name": "n"}), none()), "n/n/");
}

#[test]
fn only_what_is_allowed_is_kept_and_never_much() {
    let pod = kept(|pod| {
        pod["metadata"]["labels"] =
            json!({"app": "cart", "app.kubernetes.io/part-of": "shop", "secret": "x", "tier": ""});
        pod["metadata"]["annotations"] =
            json!({"shop.example/owner": "é".repeat(4000), "kubectl.kubernetes.io/last-applied": "{}"});
    });
    let names = |pairs: &[(String, String)]| pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&pod.labels), ["app", "app.kubernetes.io/part-of"]);
    assert_eq!(names(&pod.annotations), ["shop.example/owner"]);
    assert_eq!(pod.annotations[0].1, "é".repeat(512));
    for (pattern, key, expected) in [
        ("app", "app", true),
        ("app", "apps", false),
        ("app*", "apps", true),
        ("*", "anything", true),
        ("a*b*c", "a-b-c", true),
        ("a*b*c", "a-c-b", false),
        ("a*a", "a", false),
        ("*/name", "app.kubernetes.io/name", true),
        ("a**b", "ab", true),
    ] {
        assert_eq!(matches(pattern, key), expected, "{pattern} {key}");
    }
}

#[test]
fn annotations_say_how_lines_are_read_and_wrong_ones_change_nothing() {
    let wishes = |annotations: Value| kept(|pod| pod["metadata"]["annotations"] = annotations).wishes;
    let exclude = |text: &str| wishes(json!({"trefoil.io/exclude": text}));
    assert_eq!(exclude("true").exclude, Exclude::All);
    assert_eq!((exclude("false").exclude, exclude("false").problems), (Exclude::None, vec![]));
    assert_eq!(exclude("init, web").exclude, Exclude::Containers(vec!["init".into(), "web".into()]));
    assert!(exclude("init").exclude.covers("init") && !exclude("init").exclude.covers("web"));
    let wrong = exclude("web, yes");
    assert_eq!(wrong.exclude, Exclude::Containers(vec!["web".into()]));
    assert_eq!(
        wrong.problems,
        ["trefoil.io/exclude: expected `true`, `false` or names of its containers (web, init), came `yes`"]
    );

    let stages = |annotations: Value| {
        let wishes = wishes(annotations);
        assert_eq!(wishes.problems, [""; 0]);
        assert!(Pipeline::new(&wishes.stages).is_ok());
        wishes.stages.iter().map(StageConfig::name).collect::<Vec<_>>().join(" ")
    };
    let parser = |name: &str| stages(json!({"trefoil.io/parser": name}));
    assert_eq!(parser("json"), "json structured_metadata");
    assert_eq!(parser("logfmt"), "logfmt structured_metadata");
    assert_eq!(
        (parser("cri"), parser("docker"), parser("auto")),
        ("cri".into(), "docker".into(), String::new())
    );
    assert!(wishes(json!({"trefoil.io/parser": "raw"})).raw);
    assert_eq!(
        stages(json!({"trefoil.io/parser": "json", "trefoil.io/multiline": "^\\{"})),
        "multiline json structured_metadata"
    );
    let traces = wishes(json!({"trefoil.io/multiline": " stack_traces "})).stages;
    assert!(matches!(
        &traces[..],
        [StageConfig::Multiline(MultilineConfig { firstline: FirstLine::StackTraces, .. })]
    ));
    let wrong = wishes(json!({"trefoil.io/multiline": "^(", "trefoil.io/parser": "x".repeat(500)}));
    assert!(wrong.stages.is_empty() && !wrong.raw);
    assert_eq!(wrong.problems.len(), 2);
    assert!(wrong.problems[0].starts_with("trefoil.io/multiline: expected `stack_traces` or"), "{wrong:?}");
    let expected = "trefoil.io/parser: expected one of auto, json, logfmt, docker, cri, raw, came `xxx";
    assert!(wrong.problems[1].starts_with(expected) && wrong.problems[1].len() < 200, "{wrong:?}");
}
