//! What Grafana demands of provisioning, checked on what is generated; and that the checked-in files are fresh.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::Value;

use crate::dashboard::{COLUMNS, SCHEMA_VERSION};
use crate::metric_names::{MetricKind, MetricName};
use crate::node::Node;
use crate::{GeneratedFile, Misfit, Neighbour, Source, Target, TargetKind, Token, dashboards};

/// Grafana cuts or refuses longer uids.
const MAX_UID: usize = 40;
/// What a ConfigMap may hold.
const MAX_CONFIG_MAP: usize = 1 << 20;

fn target(kind: TargetKind) -> Target {
    Target::new(kind, "http://localhost:8080")
}

fn in_cluster() -> Target {
    let kind = TargetKind::ConfigMap { namespace: "trefoil".to_owned() };
    Target::new(kind, "http://trefoil.trefoil.svc:8080")
}

/// The chart puts in its own address and the name of the variable.
fn of_chart(token: Option<Token>) -> Target {
    Target { token, ..Target::new(TargetKind::File, "http://trefoil.invalid") }
}

fn operated() -> TargetKind {
    TargetKind::Operator {
        namespace: "trefoil".to_owned(),
        instances: ("dashboards".to_owned(), "grafana".to_owned()),
    }
}

fn datasources(target: &Target) -> String {
    crate::datasources(target).unwrap()
}

/// A Loki, a Jaeger and a Prometheus that were there before.
fn neighbours() -> Vec<Neighbour> {
    [(Source::Loki, "loki"), (Source::Jaeger, "jaeger"), (Source::Prometheus, "prom")]
        .map(|(source, uid)| Neighbour {
            source,
            name: format!("Our {uid}"),
            uid: uid.to_owned(),
            url: format!("http://{uid}.monitoring.svc"),
        })
        .to_vec()
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Every text value below here with the path that leads to it.
fn texts(value: &Value, path: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => found.push((path.to_owned(), text.clone())),
        Value::Array(items) => items.iter().for_each(|item| texts(item, path, found)),
        Value::Object(entries) => {
            entries.iter().for_each(|(key, item)| texts(item, &format!("{path}.{key}"), found));
        }
        _ => {}
    }
}

fn all_texts(value: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    texts(value, "", &mut found);
    found
}

fn assert_uid(uid: &str) {
    assert!(!uid.is_empty() && uid.len() <= MAX_UID, "{uid}");
    assert!(uid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{uid}");
}

fn generated() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![(root.join("generated/datasources.yaml"), datasources(&target(TargetKind::File)))];
    for file in dashboards(&target(TargetKind::File)) {
        files.push((root.join("generated/dashboards").join(file.name), file.contents));
    }
    let chart = root.join("../k8s/chart/grafana");
    files.push((chart.join("datasources.yaml"), datasources(&of_chart(None))));
    let token = Token::Environment("TREFOIL_GRAFANA_TOKEN".to_owned());
    files.push((chart.join("datasources-token.yaml"), datasources(&of_chart(Some(token)))));
    for file in dashboards(&of_chart(None)) {
        files.push((chart.join("dashboards").join(file.name), file.contents));
    }
    files
}

#[test]
fn checked_in_files_are_what_the_source_generates() {
    for (path, expected) in generated() {
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &expected).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == expected, "{} is stale: UPDATE=1 cargo test -p dashboards", path.display());
    }
}

#[test]
fn data_source_files_read_back_as_what_was_meant_with_each_dollar_doubled() {
    let from_file = yaml(&datasources(&target(TargetKind::File)));
    let meant = json(&datasources(&target(TargetKind::HttpApi)));
    let (file_texts, meant_texts) = (all_texts(&from_file["datasources"]), all_texts(&meant));
    let mut dollars = 0;
    assert_eq!(file_texts.len(), meant_texts.len());
    for ((path, in_file), (_, meant)) in file_texts.iter().zip(&meant_texts) {
        assert_eq!(in_file, &meant.replace('$', "$$"), "{path}");
        dollars += meant.matches('$').count();
    }
    assert!(dollars > 0, "the links are made of variables");
}

#[test]
fn data_sources_keep_grafanas_rules() {
    let sources = json(&datasources(&target(TargetKind::HttpApi)));
    let sources = sources.as_array().unwrap();
    let uids: BTreeSet<&str> = sources.iter().map(|s| s["uid"].as_str().unwrap()).collect();
    let names: BTreeSet<&str> = sources.iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(
        (uids.len(), names.len()),
        (sources.len(), sources.len()),
        "Grafana matches by name, links by uid"
    );
    for uid in &uids {
        assert_uid(uid);
    }
    assert!(sources.iter().filter(|s| s["isDefault"] == true).count() <= 1);
    for source in sources {
        assert_eq!(source["access"], "proxy");
        assert!(source["url"].as_str().unwrap().starts_with("http://localhost:8080"));
        for (path, text) in all_texts(source) {
            if path.to_ascii_lowercase().ends_with("datasourceuid") {
                assert!(uids.contains(text.as_str()), "{path} leads to {text}, which is not generated");
            }
        }
    }
}

#[test]
fn links_lead_from_each_signal_to_the_others() {
    let sources = json(&datasources(&target(TargetKind::HttpApi)));
    let of = |kind: &str| {
        let found = sources.as_array().unwrap().iter().find(|s| s["type"] == kind);
        found.unwrap_or_else(|| panic!("no {kind}")).clone()
    };
    let (loki, tempo, prometheus) = (of("loki"), of("tempo"), of("prometheus"));
    let derived = loki["jsonData"]["derivedFields"].as_array().unwrap();
    assert_eq!(derived[0]["matcherType"], "label");
    assert_eq!(derived[0]["matcherRegex"], "^trace_id$");
    assert!(derived.iter().all(|f| f["datasourceUid"] == tempo["uid"] && f["url"] == "${__value.raw}"));
    let logs = &tempo["jsonData"]["tracesToLogsV2"];
    assert_eq!(logs["datasourceUid"], loki["uid"]);
    assert_eq!(logs["query"], "{${__tags}} | trace_id=\"${__trace.traceId}\"");
    assert_eq!(tempo["jsonData"]["tracesToMetrics"]["datasourceUid"], prometheus["uid"]);
    let exemplars = prometheus["jsonData"]["exemplarTraceIdDestinations"].as_array().unwrap();
    assert_eq!(exemplars[0]["name"], "trace_id", "the exemplar's label key");
    assert_eq!(exemplars[0]["datasourceUid"], tempo["uid"]);
    assert_eq!(loki["url"], "http://localhost:8080");
    assert_eq!(tempo["url"], "http://localhost:8080/tempo");
    assert_eq!(prometheus["url"], "http://localhost:8080/prometheus");
}

#[test]
fn a_path_prefix_of_the_address_is_kept_and_a_slash_at_its_end_is_not_doubled() {
    let target = Target::new(TargetKind::HttpApi, "https://o11y.example/trefoil/");
    let text = datasources(&target);
    assert!(text.contains("\"https://o11y.example/trefoil/tempo\""), "{text}");
    assert!(text.contains("\"https://o11y.example/trefoil\""), "{text}");
}

#[test]
fn dashboards_keep_the_rules_of_the_classic_format() {
    let uids: BTreeSet<String> = all_texts(&json(&datasources(&target(TargetKind::HttpApi))))
        .into_iter()
        .filter(|(path, _)| path == ".uid")
        .map(|(_, uid)| uid)
        .collect();
    for file in dashboards(&target(TargetKind::File)) {
        let dashboard = json(&file.contents);
        assert_uid(dashboard["uid"].as_str().unwrap());
        assert_eq!(file.name, format!("{}.json", dashboard["uid"].as_str().unwrap()));
        assert!(!dashboard["title"].as_str().unwrap().is_empty());
        assert_eq!(dashboard["schemaVersion"], SCHEMA_VERSION);
        assert!(dashboard.get("id").is_none(), "the id is Grafana's to give");
        let mut ids = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            assert!(ids.insert(panel["id"].as_i64().unwrap()), "ids of panels differ");
            assert!(uids.contains(panel["datasource"]["uid"].as_str().unwrap()));
            let (x, w) = (panel["gridPos"]["x"].as_i64().unwrap(), panel["gridPos"]["w"].as_i64().unwrap());
            assert!(x + w <= COLUMNS, "{panel}");
            let targets = panel["targets"].as_array().unwrap();
            assert!(!targets.is_empty());
            for target in targets {
                assert_eq!(target["datasource"], panel["datasource"]);
                assert!(!target["refId"].as_str().unwrap().is_empty());
            }
        }
    }
}

#[test]
fn no_panel_lies_on_another() {
    for file in dashboards(&target(TargetKind::File)) {
        let dashboard = json(&file.contents);
        let mut cells = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            let at = |key: &str| panel["gridPos"][key].as_i64().unwrap();
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(cells.insert((x, y)), "{} at {x},{y}", panel["title"]);
                }
            }
        }
    }
}

#[test]
fn every_variable_that_a_dashboard_uses_is_declared() {
    for file in dashboards(&target(TargetKind::File)) {
        let dashboard = json(&file.contents);
        let declared: BTreeSet<&str> = dashboard["templating"]["list"]
            .as_array()
            .unwrap()
            .iter()
            .map(|variable| variable["name"].as_str().unwrap())
            .collect();
        for (path, text) in all_texts(&dashboard["panels"]) {
            for (at, _) in text.match_indices('$') {
                let name: String = text[at + 1..]
                    .chars()
                    .skip_while(|&c| c == '{')
                    .take_while(|&c| c.is_ascii_alphanumeric() || c == '_')
                    .collect();
                assert!(name.starts_with("__") || declared.contains(name.as_str()), "${name} in {path}");
            }
        }
    }
}

#[test]
fn config_maps_hold_the_very_files_under_the_sidecars_labels() {
    let of_file = |text: &str| yaml(text);
    let sources = of_file(&datasources(&in_cluster()));
    assert_eq!(sources["kind"], "ConfigMap");
    assert_eq!(sources["metadata"]["labels"]["grafana_datasource"], "1");
    let held = sources["data"]["trefoil.yaml"].as_str().unwrap();
    let plain = Target { kind: TargetKind::File, ..in_cluster() };
    assert_eq!(held, datasources(&plain));
    for (map, file) in dashboards(&in_cluster()).iter().zip(dashboards(&plain)) {
        assert!(map.contents.len() < MAX_CONFIG_MAP);
        let map = of_file(&map.contents);
        assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
        assert_eq!(map["data"][&file.name], file.contents);
    }
}

#[test]
fn bodies_for_the_api_wrap_the_dashboard() {
    for file in dashboards(&target(TargetKind::HttpApi)) {
        let body = json(&file.contents);
        assert_eq!(body["overwrite"], true);
        assert!(body["dashboard"]["panels"].is_array());
    }
}

#[test]
fn what_stands_beside_leads_to_each_other_and_to_trefoil() {
    let target = Target { neighbours: neighbours(), ..target(TargetKind::HttpApi) };
    let sources = json(&datasources(&target));
    let of = |uid: &str| {
        let found = sources.as_array().unwrap().iter().find(|s| s["uid"] == uid);
        found.unwrap_or_else(|| panic!("no {uid}"))["jsonData"].clone()
    };
    let leads = |list: &Value| -> BTreeSet<String> {
        let uids = list.as_array().unwrap().iter().map(|link| link["datasourceUid"].as_str().unwrap());
        uids.map(str::to_owned).collect()
    };
    let both = BTreeSet::from(["jaeger".to_owned(), "trefoil-tempo".to_owned()]);
    assert_eq!(leads(&of("loki")["derivedFields"]), both);
    assert_eq!(leads(&of("prom")["exemplarTraceIdDestinations"]), both);
    assert_eq!(of("jaeger")["tracesToLogsV2"]["datasourceUid"], "loki");
    assert_eq!(of("jaeger")["tracesToMetrics"]["datasourceUid"], "prom");
    assert_eq!(
        of("trefoil-tempo")["tracesToLogsV2"]["datasourceUid"],
        "trefoil-loki",
        "Trefoil's own stay together"
    );
    let fields = of("loki")["derivedFields"].as_array().unwrap().clone();
    let names: BTreeSet<&str> = fields.iter().map(|field| field["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), fields.len(), "fields of one name hide each other");
}

#[test]
fn a_token_reaches_trefoil_and_nobody_else() {
    let with = |kind, token| Target { neighbours: neighbours(), token: Some(token), ..target(kind) };
    let header = |source: &Value| source["secureJsonData"]["httpHeaderValue1"].as_str().map(str::to_owned);
    let of_file = yaml(&datasources(&with(TargetKind::File, Token::File("/etc/token".to_owned()))));
    for source in of_file["datasources"].as_array().unwrap() {
        let ours = source["uid"].as_str().unwrap().starts_with("trefoil-");
        assert_eq!(header(source).as_deref(), ours.then_some("Bearer $__file{/etc/token}"), "{source}");
        assert_eq!(source["jsonData"]["httpHeaderName1"].is_string(), ours);
    }
    let value = Token::Value("a$b".to_owned());
    let in_file = yaml(&datasources(&with(TargetKind::File, value.clone())));
    assert_eq!(header(&in_file["datasources"][0]).unwrap(), "Bearer a$$b", "Grafana expands it");
    let posted = json(&datasources(&with(TargetKind::HttpApi, value.clone())));
    assert_eq!(header(&posted[0]).unwrap(), "Bearer a$b");
    let held = yaml(&datasources(&Target { token: Some(value), ..in_cluster() }));
    assert_eq!((&held["kind"], held["stringData"].is_object()), (&Value::from("Secret"), true));
    let secret = Token::Secret { name: "trefoil-token".to_owned(), key: "TOKEN".to_owned() };
    let first = datasources(&with(operated(), secret.clone()));
    let first = yaml(first.split("---\n").next().unwrap());
    assert_eq!(header(&first["spec"]["datasource"]).unwrap(), "Bearer ${TOKEN}");
    assert_eq!(first["spec"]["valuesFrom"][0]["targetPath"], "secureJsonData.httpHeaderValue1");
    for (kind, token, misfit) in [
        (TargetKind::HttpApi, Token::File("/t".to_owned()), Misfit::NeedsFiles),
        (operated(), Token::Environment("T".to_owned()), Misfit::NeedsFiles),
        (TargetKind::File, secret, Misfit::NeedsOperator),
    ] {
        assert_eq!(crate::datasources(&with(kind, token)), Err(misfit));
    }
}

#[test]
fn the_operators_resources_hold_the_same_with_single_dollars() {
    let meant = json(&datasources(&target(TargetKind::HttpApi)));
    let resources = datasources(&target(operated()));
    let resources: Vec<Value> = resources.split("---\n").map(yaml).collect();
    assert_eq!(resources.len(), meant.as_array().unwrap().len());
    for (resource, meant) in resources.iter().zip(meant.as_array().unwrap()) {
        assert_eq!(resource["kind"], "GrafanaDatasource");
        assert_eq!(resource["spec"]["uid"], meant["uid"]);
        assert_eq!(resource["spec"]["instanceSelector"]["matchLabels"]["dashboards"], "grafana");
        assert_eq!(resource["spec"]["datasource"]["jsonData"], meant["jsonData"]);
    }
    for (GeneratedFile { contents, .. }, plain) in
        dashboards(&target(operated())).iter().zip(dashboards(&target(TargetKind::File)))
    {
        assert_eq!(json(yaml(contents)["spec"]["json"].as_str().unwrap()), json(&plain.contents));
    }
}

#[test]
fn correlations_have_the_one_form_that_every_grafana_takes() {
    let target = Target { correlations: true, neighbours: neighbours(), ..target(TargetKind::File) };
    let sources = yaml(&datasources(&target));
    let uids: BTreeSet<&str> =
        sources["datasources"].as_array().unwrap().iter().map(|s| s["uid"].as_str().unwrap()).collect();
    let mut count = 0;
    for source in sources["datasources"].as_array().unwrap() {
        for correlation in source["correlations"].as_array().into_iter().flatten() {
            assert!(uids.contains(correlation["targetUID"].as_str().unwrap()));
            assert!(
                correlation["label"].is_string() && correlation["description"].is_string(),
                "Grafana panics"
            );
            assert!(correlation.get("type").is_none(), "older ones panic");
            assert_eq!(correlation["config"]["type"], "query");
            assert!(correlation["config"]["transformations"][0]["expression"].is_string());
            assert!(correlation["config"]["target"]["query"].as_str().unwrap().contains("$${traceId}"));
            count += 1;
        }
    }
    assert_eq!(count, 1 + 2, "Trefoil's Loki to its Tempo, the user's to the user's Jaeger and to Trefoil");
}

#[test]
fn metric_names_are_what_openmetrics_wants() {
    let mut seen = BTreeSet::new();
    for name in MetricName::ALL {
        assert!(seen.insert(name.series()), "{name:?} is exposed under another's name");
        let stem = name.stem();
        assert!(stem.starts_with("trefoil_"));
        assert!(stem.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{stem}");
        for suffix in ["_total", "_info", "_bucket", "_count", "_sum", "_created", "_seconds", "_bytes"] {
            assert!(!stem.ends_with(suffix), "{stem}: the client library adds {suffix}");
        }
        assert!(!name.help().is_empty() && !name.help().ends_with('.') && !name.help().contains('\n'));
        if let Some(unit) = name.unit() {
            assert!(name.family().ends_with(unit.as_str()), "the unit is the last word of the name");
        }
        assert!(name.labels().iter().all(|label| label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    }
    assert_eq!(MetricName::HttpRequests.series(), "trefoil_http_requests_total");
    assert_eq!(MetricName::HttpRequestDuration.buckets(), "trefoil_http_request_duration_seconds_bucket");
    assert_eq!(MetricName::TailLostBytes.series(), "trefoil_tail_lost_bytes_total");
    assert_eq!(MetricName::StoreBytes.kind(), MetricKind::Gauge);
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~\\n]{0,24}",
        "\\PC{0,12}",
        prop::sample::select(vec![
            "", "yes", "Null", "1e3", "0x1f", "~", "- a", "a: b", "a #b", "'", "$${x}", "é\n"
        ])
        .prop_map(str::to_owned),
    ]
}

fn any_node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Node::Bool),
        any::<i32>().prop_map(|n| Node::Int(n.into())),
        any_text().prop_map(Node::Text),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Node::List),
            prop::collection::btree_map(any_text(), inner, 0..5)
                .prop_map(|entries| Node::Map(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_as_yaml_reads_back_the_same(node in any_node()) {
        let written = node.to_yaml();
        let read: Value = serde_saphyr::from_str(&written)
            .map_err(|error| TestCaseError::fail(format!("{error}\n{written}")))?;
        prop_assert_eq!(&read, &json(&node.to_json()), "{}", written);
    }
}
