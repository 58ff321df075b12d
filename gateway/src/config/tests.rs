mod secrets;

use peers::Credentials;
use upstream::ship::Protocol;

use super::*;

fn mistakes(text: &str) -> Vec<String> {
    load(text, "t.yaml", [])
        .map(|_| Vec::new())
        .unwrap_or_else(|found| found.iter().map(Mistake::to_string).collect())
}

#[test]
fn an_empty_file_is_the_defaults() {
    let config = load("", "t.yaml", []).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.collect.files, [Files::new("/var/log/pods/*/*/*.log")]);
    assert_eq!(config.store.logs, Duration::from_hours(168));
    assert!(config.prometheus.is_none());
}

#[test]
fn every_mistake_is_reported_with_its_line_and_the_nearest_key() {
    let text = "stroe: {}\nserver:\n  listne: 0.0.0.0:80\nstore:\n  retention: {logs: 7x}\n  max_bytes: lots\n  head_bytes: 4KiB\nfoo: 1\n";
    assert_eq!(
        mistakes(text),
        [
            "t.yaml:1: stroe: unknown key; did you mean `store`?",
            "t.yaml:3: server.listne: unknown key; did you mean `listen`?",
            "t.yaml:5: store.retention.logs: expected a duration such as `30s`, `15m`, `12h` or `7d`, came `7x`",
            "t.yaml:6: store.max_bytes: expected a size such as `64MiB` or `50GiB`, came `lots`",
            "t.yaml:7: store.head_bytes: expected a size from `1MiB` to `1GiB`, came `4KiB`",
            "t.yaml:8: foo: unknown key; known here: server, access, store, collect, derive, ship, receive, sampling, metrics_from_spans, scrape, upstream",
        ]
    );
}

#[test]
fn a_rule_that_names_no_id_is_a_mistake_at_its_line() {
    let found = mistakes(
        "derive:\n  rules:\n    - {name: a, regex: 'tid=(?P<trace_id>\\w+)'}\n    - {name: b, regex: '(['}\n",
    );
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("t.yaml:4: derive.rules[1]: "), "{found:?}");
}

#[test]
fn the_environment_overrides_the_file() {
    let variables = [("TREFOIL__SERVER__LISTEN".to_owned(), "0.0.0.0:9999".to_owned())];
    let config = load("server: {listen: 127.0.0.1:1}", "t.yaml", variables).unwrap();
    assert_eq!(config.server.listen.port(), 9999);
    let variables = [("TREFOIL__SERVER__LISTNE".to_owned(), "x".to_owned())];
    let found = load("", "t.yaml", variables).unwrap_err();
    assert_eq!(
        found[0].to_string(),
        "TREFOIL__SERVER__LISTNE: server.listne: unknown key; did you mean `listen`?"
    );
}

#[test]
fn text_that_is_not_yaml_names_its_line() {
    let found = mistakes("server:\n  listen: [1\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("not YAML"), "{found:?}");
}

#[test]
fn wrong_shapes_say_what_came() {
    assert_eq!(mistakes("server: 5"), ["t.yaml:1: server: expected a mapping, came `5`"]);
    assert_eq!(mistakes("collect: {files: x}"), ["t.yaml:1: collect.files: expected a list, came `x`"]);
    assert_eq!(
        mistakes("collect: {files: [{path: relative}]}"),
        ["t.yaml:1: collect.files[0].path: expected an absolute path or glob, came `relative`"]
    );
    assert_eq!(
        mistakes("collect: {files: [{path: relative, pipeline_stages: x}]}"),
        [
            "t.yaml:1: collect.files[0].path: expected an absolute path or glob, came `relative`",
            "t.yaml:1: collect.files[0].pipeline_stages: expected a list, came `x`",
        ]
    );
    assert_eq!(
        mistakes("upstream: {prometheus: {url: 'prometheus:9090'}}").len(),
        1,
        "what is wrong with a URL is said once"
    );
    assert_eq!(
        mistakes("upstream: {prometheus: {}}"),
        ["t.yaml:1: upstream.prometheus.url: expected an http or https URL such as `http://prometheus:9090`"]
    );
}

#[test]
fn a_stage_is_read_as_promtail_has_it_and_its_mistakes_are_at_its_line() {
    let text = "collect:\n  files:\n    - path: /x/*.log\n      pipeline_stages:\n        - cri: {}\n        - regex: {expression: '('}\n        - mulitline: {}\n        - match: {selector: '{a=\"b\"}', action: dorp}\n        - metrics: {n: {type: Sum}}\n      relabel_configs:\n        - {source_labels: [a], action: hashmod}\n";
    let found = mistakes(text);
    let places: Vec<&str> = found.iter().map(|mistake| mistake.split(':').nth(1).unwrap()).collect();
    assert_eq!(places, ["6", "7", "8", "8", "9", "9", "11"], "{found:#?}");
    assert!(found[1].contains("known here: cri, docker"), "{}", found[1]);
}

#[test]
fn an_agent_ships_to_one_server_and_its_secrets_are_not_shown() {
    let config = load(
        "ship: {loki: {url: 'https://l:3100', tenant: t1, basic_auth: {username: u, password: hush}, ca_file: /ca.pem}}",
        "t.yaml",
        [],
    );
    let config = config.unwrap();
    let ship = config.ship.as_ref().unwrap();
    assert_eq!((ship.protocol, &*ship.url), (Protocol::Loki, "https://l:3100"));
    assert_eq!(ship.headers, [("X-Scope-OrgID".to_owned(), "t1".to_owned())]);
    assert!(matches!(&ship.credentials, Some(Credentials::Basic { username, .. }) if username == "u"));
    assert!(!render(&config).contains("hush") && !format!("{config:?}").contains("hush"));
    let in_url = load("ship: {loki: {url: 'https://12345:hush@l:3100/push'}}", "t.yaml", []).unwrap();
    assert!(render(&in_url).contains("https://12345:***@l:3100/push"), "{}", render(&in_url));
    assert_eq!(
        mistakes("ship:\n  loki: {url: 'http://l'}\n  otlp: {url: 'http://o', bearer: x}\n"),
        [
            "t.yaml:3: ship.otlp.bearer: unknown key; known here: url, headers, tenant, ca_file, cert_file, key_file, timeout, request_bytes, in_flight_bytes, bearer_token, bearer_token_file, basic_auth",
            "t.yaml:3: ship.otlp: expected one of `trefoil`, `loki` and `otlp`; another one is given above",
        ]
    );
}

#[test]
fn credentials_that_would_be_passed_over_are_mistakes() {
    let found = |server: &str| mistakes(&format!("ship:\n  loki:\n    url: http://l\n{server}"));
    let both = found("    bearer_token: x\n    basic_auth: {username: u, password: p}\n");
    assert!(
        both.len() == 1 && both[0].starts_with("t.yaml:5: ship.loki.basic_auth: expected only one of"),
        "{both:?}"
    );
    let two = found("    basic_auth: {username: u, password: p, password_file: /p}\n");
    assert!(
        two.len() == 1 && two[0].contains("ship.loki.basic_auth.password_file: expected only one"),
        "{two:?}"
    );
    let half = found("    basic_auth: {password: p}\n");
    assert_eq!(
        half,
        ["t.yaml:4: ship.loki.basic_auth: expected a `username` and a `password` or `password_file`"]
    );
}

#[test]
fn what_check_config_prints_is_read_back_to_the_same() {
    let text = "server: {listen: 0.0.0.0:8080, external_url: 'http://t:1', tls: {cert_file: /c, key_file: /k, client_ca_file: /a}, cors: {origins: ['https://g:1']}, queries: {max_points: 20000, max_memory: 64MiB}, own_traces: true}\n\
                access: {public_metrics: true, tokens: [{name: \"it's\", role: ingest, token_file: /t, tenant: t-1, limits: {requests_per_second: 5, bytes_per_second: 1MiB, max_body_bytes: 9}}, {name: b, roles: [read, admin], sha256: 'ab000000000000000000000000000000000000000000000000000000000000cd'}]}\n\
                receive: {otlp: {tls: false, promote_resource_attributes: [team.name, \"it's\"]}, zipkin: {tls: false}, jaeger: {tls: false}, elastic_apm: {tls: false}}\nstore: {dir: /d, retention: {logs: 90m}, sync: batch}\n\
                collect: {files: [{path: '/x/*.log', pipeline_stages: [{match: {selector: '{a=\"b\"}', stages: [{drop: {expression: \"it's\"}}]}}, {metrics: {n: {type: Counter, config: {match_all: true, action: inc}}}}], relabel_configs: [{source_labels: [pod], target_label: p}]}], exclude: ['/x/y*'], node: n1, stdin: {labels: {job: x}, pipeline_stages: [{docker: {}}]}, journal: {path: /j, max_age: 12h, json: true, matches: [A=b], labels: {x: y}}, syslog: [{listen: 'udp://127.0.0.1:5', use_incoming_timestamp: true, max_message_bytes: 64KiB, idle_timeout: 1h, labels: {y: z}, relabel_configs: [{action: labeldrop, regex: x}]}, {listen: 'tcp://:6'}]}\n\
                derive: {rules: [{name: \"it's\", regex: 'a=(?P<trace_id>\\w+)'}]}\nship: {trefoil: {url: 'http://t:8080', bearer_token_file: /token, timeout: 5s, cert_file: /sc, key_file: /sk}}\n\
                upstream: {prometheus: {url: 'http://p:9090/prefix/', timeout: 500ms, labels: {service: [svc]}, ca_file: /pca, cert_file: /pc, key_file: /pk, basic_auth: {username: \"u'\", password_file: /pp}}}\n\
                scrape: {interval: 1m, jobs: [{job: \"it's\", targets: ['a:1', b], labels: {team: x}, interval: 5s, metrics_path: /m, scheme: https, params: {p: [x, y], q: z}, basic_auth: {username: u, password_file: /p}, tls: {ca_file: /ca, insecure_skip_verify: true}, honor_labels: true, honor_timestamps: false, sample_limit: 9, body_size_limit: 1MiB, relabel: [{source_labels: [__address__], target_label: a}], metric_relabel: [{action: labeldrop, regex: x}]}, {job: two, static: [{targets: ['c:1']}, {targets: ['d:1'], labels: {e: f}}], file_sd: ['/sd/*.json', /sd/x.yml], bearer_token_file: /t, kubernetes: {api: 'http://k:1', token_file: /kt, namespaces: [n], node: n1, selector: 'a=b', tls: {insecure_skip_verify: true}}}, {job: three, kubernetes: {}}]}\n";
    let config = load(text, "t.yaml", []).unwrap();
    let mut again =
        load(&render(&config), "printed", []).unwrap_or_else(|m| panic!("{m:?}\n{}", render(&config)));
    // The order of rows is that of the print; what they say must be the same.
    for (key, field) in WORKLOAD_FIELDS {
        let names = |c: &Config| c.prometheus.as_ref().unwrap().labels.names(field).to_vec();
        assert_eq!(names(&config), names(&again), "{key}");
    }
    again.prometheus.as_mut().unwrap().labels = config.prometheus.as_ref().unwrap().labels.clone();
    assert_eq!(config, again);
}

#[test]
fn targets_are_checked_key_by_key() {
    let text = "scrape:\n  interval: 1ms\n  jobs:\n    - {job: a, targets: ['http://a/metrics']}\n    - {job: b}\n    - {targets: [c]}\n\
                \x20   - {job: d, targets: [d], interval: 5s, timeout: 6s, scheme: ftp, metrics_path: m, params: [x]}\n\
                \x20   - {job: a, targets: [e], bearer_token: x, bearer_token_file: /y, labels: {a-b: c}}\n\
                \x20   - {job: f, file_sd: [x.json, /x.txt, '/*/x.json'], body_size_limit: 1GiB, relabel: [{action: hashmod}]}\n\
                \x20   - {job: g, kubernetes: {api: x, pods: all}, labels: {a: b}}\n";
    let found = mistakes(text);
    let places: Vec<&str> = found.iter().map(|mistake| mistake.split(':').nth(1).unwrap()).collect();
    let expected = "2 4 5 6 7 7 7 7 8 8 8 9 9 9 9 9 10 10 10";
    assert_eq!(places.join(" "), expected, "{found:#?}");
    let said = found.join("\n");
    for part in [
        "scrape.interval: expected a duration from `100ms` to `1d`",
        "such as `shop:9100`; scheme and path have keys of their own",
        "nothing would ever be scraped",
        "scrape.jobs[3].timeout: expected a duration up to the interval, which is `5s`",
        "there is another job `a` above",
    ] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
    let config = load("scrape: {interval: 5s, jobs: [{job: a, targets: [b]}]}", "t.yaml", []).unwrap();
    let job = &config.scrape.options.jobs[0];
    assert_eq!((job.interval.as_secs(), job.timeout.as_secs()), (5, 5), "no longer than the interval");
    let text = "scrape: {jobs: [{job: a, targets: [b], bearer_token: s3cret}, {job: c, targets: [d], basic_auth: {username: u, password: s3cret}}]}";
    let printed = render(&load(text, "t.yaml", []).unwrap());
    assert!(!printed.contains("s3cret") && printed.contains("(not shown)"), "{printed}");
}

#[test]
fn sources_besides_files_are_checked_key_by_key() {
    let text = "collect:\n  stdin: {labels: {a-b: c}}\n  journal: {matches: ['--file=x', A=b], path: ''}\n  syslog:\n\
                \x20   - {listen: 'tls://x:1'}\n    - {max_message_bytes: 1GiB}\n    - {listen: 'tcp://:0', lables: {}}\n";
    let found = mistakes(text);
    let places: Vec<&str> = found.iter().map(|mistake| mistake.split(':').nth(1).unwrap()).collect();
    assert_eq!(places, ["2", "3", "3", "5", "6", "6", "7"], "{found:#?}");
    assert!(found[3].contains("such as `tcp://0.0.0.0:1514`"), "{}", found[3]);
}

/// A list of stages as Promtail's configurations have them, read and compiled; the mistakes.
fn stage_mistakes(text: &str) -> (usize, Vec<String>) {
    let mut found = Mistakes::new("t.yaml");
    let root = serde_saphyr::from_str::<Node>(text).unwrap();
    let list = Section::new(Some(root), "", &mut found).list("pipeline_stages", &mut found).unwrap();
    let read = stages::stages(&list, &mut found).len();
    (read, found.into_sorted().iter().map(Mistake::to_string).collect())
}

#[test]
fn promtails_stages_are_read_in_their_own_shape() {
    let text = "pipeline_stages:\n- cri: {}\n- multiline: {firstline: '^\\[', max_wait_time: 3s}\n\
                - json:\n    expressions:\n      level:\n      msg: message\n- labels:\n    level:\n\
                - timestamp: {source: time, format: RFC3339Nano, action_on_failure: skip}\n\
                - match:\n    selector: '{app=\"x\"} |= \"y\"'\n    stages:\n    - output: {source: msg}\n\
                - drop: {source: [level], longer_than: 8kb, older_than: 24h}\n- limit: {rate: 10, burst: 10, drop: true}\n\
                - tenant: {value: t}\n- labeldrop: [filename]\n- redact: {}\n";
    assert_eq!(stage_mistakes(text), (11, Vec::new()));
}

#[test]
fn a_stage_that_is_not_known_does_not_shift_the_mistakes_of_the_next() {
    let found = stage_mistakes("pipeline_stages:\n- nope: {}\n- regex: {expression: '('}\n").1;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[1].starts_with("t.yaml:3: pipeline_stages[1].regex: "), "{found:?}");
}

#[test]
fn a_misspelt_action_of_match_is_not_taken_for_keep() {
    let text = "pipeline_stages:\n- match:\n    selector: '{a=\"b\"}'\n    action: dorp\n    stages:\n    - cri: {}\n";
    let found = stage_mistakes(text).1;
    assert!(found.len() == 1 && found[0].starts_with("t.yaml:4: "), "{found:?}");
    assert!(found[0].contains("`keep` or `drop`"), "{found:?}");
}

#[test]
fn mistakes_in_stages_are_told_at_their_lines() {
    let text = "pipeline_stages:\n- regex: {expression: '('}\n- match:\n    selector: '{a=\"b\"}'\n    stages:\n\
                \x20   - output: {sorce: x}\n- nope: {}\n";
    let found = stage_mistakes(text).1;
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found[0].starts_with("t.yaml:2: pipeline_stages[0].regex: "), "{found:?}");
    assert!(found.iter().any(|m| m.contains("did you mean `source`?")), "{found:?}");
    assert!(found.iter().any(|m| m.starts_with("t.yaml:7: pipeline_stages[2].nope: ")), "{found:?}");
}

/// In the shape of the chart's defaults: pods through the API, a chain of relabelling, the usual stages.
const PROMTAIL: &str = r#"
server: {http_listen_port: 3101, log_level: info}
positions: {filename: /run/promtail/positions.yaml}
clients:
  - url: http://loki-gateway/loki/api/v1/push
    tenant_id: ops
    backoff_config: {max_retries: 10}
    external_labels: {cluster: c1}
scrape_configs:
  - job_name: kubernetes-pods
    pipeline_stages:
      - cri: {}
      - json: {expressions: {level: level, traceID: trace.id}}
      - labels: {level: , traceID: }
      - match:
          pipeline_name: x
          selector: '{app="shop"}'
          stages:
            - multiline: {firstline: '^\d{4}', max_wait_time: 3s}
            - geoip: {db: /x}
      - eventlogmessage: {}
      - metrics: {lines: {type: Counter, description: all, config: {match_all: true, action: inc}}}
    kubernetes_sd_configs: [{role: pod}]
    relabel_configs:
      - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
      - {source_labels: [__meta_kubernetes_pod_uid], target_label: __path__, replacement: '/var/log/pods/*$1/*.log'}
  - job_name: system
    static_configs:
      - targets: [localhost]
        labels: {job: varlogs, __path__: /var/log/*.log}
  - job_name: journal
    journal: {path: /var/log/journal, max_age: 12h, matches: _TRANSPORT=kernel PRIORITY=3, labels: {job: j}, odd: 1}
    relabel_configs: [{source_labels: [__journal__systemd_unit], target_label: unit}]
    pipeline_stages: [{drop: {expression: x}}]
  - job_name: sys
    syslog:
      listen_address: 0.0.0.0:1514
      listen_protocol: udp
      label_structured_data: true
      max_message_length: 16384
      labels: {job: syslog}
      use_rfc5424_message: true
    relabel_configs: [{source_labels: [__syslog_message_hostname], target_label: host}]
"#;

#[test]
fn a_promtail_configuration_becomes_one_that_loads_with_notes_on_the_rest() {
    let converted = from_promtail(PROMTAIL, "p.yaml").unwrap();
    let config = load(&converted.yaml, "new", []).unwrap_or_else(|m| panic!("{m:?}\n{}", converted.yaml));
    assert_eq!(config.server.listen.to_string(), "0.0.0.0:3101");
    let ship = config.ship.unwrap();
    assert_eq!((ship.protocol, &*ship.url), (Protocol::Loki, "http://loki-gateway/loki/api/v1/push"));
    assert_eq!(ship.headers, [("X-Scope-OrgID".to_owned(), "ops".to_owned())]);
    let paths: Vec<&str> = config.collect.files.iter().map(|files| &*files.path).collect();
    assert_eq!(paths, ["/var/log/pods/*/*/*.log", "/var/log/*.log"]);
    let pods = &config.collect.files[0];
    assert_eq!((pods.stages.len(), pods.relabel.len()), (5, 2));
    assert_eq!(config.collect.files[1].relabel[1].replacement, "varlogs");
    let journal = config.collect.journal.unwrap();
    assert_eq!(journal.directory.unwrap().to_str(), Some("/var/log/journal"));
    assert_eq!((journal.max_age.as_secs(), journal.matches.len()), (12 * 3600, 2));
    assert_eq!(
        (journal.feed.labels.len(), journal.feed.relabel().len(), journal.feed.stages().len()),
        (1, 2, 1)
    );
    let [syslog] = &config.collect.syslog[..] else { panic!("{:?}", config.collect.syslog) };
    assert_eq!((syslog.listen.to_string(), syslog.max_message_bytes), ("udp://0.0.0.0:1514".into(), 16384));
    assert_eq!(config.collect.import_positions.unwrap().to_str(), Some("/run/promtail/positions.yaml"));
    for (line, what) in [
        (2, "server.log_level"),
        (7, "clients.backoff_config"),
        (14, "labels.traceID"),
        (15, "match.pipeline_name"),
        (21, "eventlogmessage"),
        (26, "__path__"),
        (32, "journal.odd"),
        (42, "syslog.use_rfc5424_message"),
    ] {
        let note = converted
            .notes
            .iter()
            .find(|note| note.starts_with(&format!("p.yaml:{line}: ")) && note.contains(what));
        assert!(note.is_some(), "{line} {what} in {:#?}", converted.notes);
    }
}

#[test]
fn one_switch_takes_secrets_out_of_all_lines() {
    let text = "collect: {redact: true, files: [{path: /a.log, pipeline_stages: [{logfmt: {mapping: {level: ''}}}]}], journal: {}}";
    let config = load(text, "c.yaml", []).unwrap();
    let last = |stages: &[StageConfig]| stages.last() == Some(&StageConfig::Redact(RedactConfig::ALL));
    assert!(last(&config.collect.files[0].stages) && config.collect.files[0].stages.len() == 2);
    assert!(last(config.collect.stdin.stages()));
    assert!(last(config.collect.journal.as_ref().unwrap().feed.stages()));
    assert_eq!(load(&render(&config), "rendered", []).unwrap(), config);
    assert!(load("", "c.yaml", []).unwrap().collect.files[0].stages.is_empty());
}

#[test]
fn the_readmes_configuration_is_one() {
    let readme = include_str!("../../../README.md");
    let block = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(mistakes(block), [""; 0]);
}

#[test]
fn a_receivers_port_is_turned_off_by_null_and_all_of_them_with_their_receiver() {
    let ports = |text: &str, variables: &[(&str, &str)]| {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let receive = load(text, "t.yaml", variables).unwrap().receive;
        let jaeger = receive.jaeger;
        [
            receive.otlp.grpc,
            receive.otlp.http,
            receive.zipkin.http,
            jaeger.http,
            jaeger.grpc,
            jaeger.udp_compact,
            jaeger.udp_binary,
            jaeger.sampling,
        ]
        .map(|address| address.map_or(0, |address| address.port()))
    };
    let defaults = [4317, 4318, 9411, 14268, 14250, 6831, 6832, 5778];
    assert_eq!(ports("", &[]), defaults);
    assert_eq!(ports("receive: {otlp: {}, zipkin: {}, jaeger: {}}", &[]), defaults);
    assert_eq!(ports("receive: {otlp: null, zipkin: null, jaeger: null}", &[]), [0; 8]);
    let text = "receive: {otlp: {grpc: null}, jaeger: {grpc: null, http: ':1'}}";
    assert_eq!(ports(text, &[]), [0, 4318, 9411, 1, 0, 6831, 6832, 5778]);
    let off = [("TREFOIL__RECEIVE__ZIPKIN", "null"), ("TREFOIL__RECEIVE__JAEGER__HTTP", "null")];
    assert_eq!(ports("", &off), [4317, 4318, 0, 0, 14250, 6831, 6832, 5778]);
    for text in ["", "receive: {otlp: {http: null}, zipkin: null, jaeger: {grpc: null, udp_binary: ':1'}}"] {
        let config = load(text, "t.yaml", []).unwrap();
        assert_eq!(load(&render(&config), "printed", []).unwrap().receive, config.receive);
    }
    assert_eq!(
        mistakes("receive:\n  zipkin: {htpp: 1}\n  jaeger:\n    http: nowhere\n    udp: x\n"),
        [
            "t.yaml:2: receive.zipkin.htpp: unknown key; did you mean `http`?",
            "t.yaml:4: receive.jaeger.http: expected an address to listen on, such as `127.0.0.1:8080` or `0.0.0.0:8080`, or `null` for none, came `nowhere`",
            "t.yaml:5: receive.jaeger.udp: unknown key; known here: http, grpc, udp_compact, udp_binary, sampling, tls, max_body_bytes",
        ]
    );
}

#[test]
fn elastic_apms_tokens_keys_and_settings_are_read_and_secrets_are_not_shown() {
    let text = "receive:\n  elastic_apm:\n    secret_token: s3cret\n    api_keys: ['id:k3y']\n    agents:\n      - {service: shop, settings: {transaction_sample_rate: 0.5, recording: false}}\n";
    let apm = load(text, "t.yaml", []).unwrap().receive.elastic_apm;
    assert_eq!(apm.http.map(|address| address.port()), Some(8200));
    assert_eq!((apm.secret_token.as_deref(), apm.api_keys), (Some("s3cret"), vec!["id:k3y".to_owned()]));
    assert_eq!(apm.agents[0].service.as_deref(), Some("shop"));
    assert_eq!(apm.agents[0].settings["transaction_sample_rate"], "0.5");
    let shown = render(&load(text, "t.yaml", []).unwrap());
    assert!(!shown.contains("s3cret") && !shown.contains("k3y"), "{shown}");
    let again = load(&shown, "printed", []).unwrap().receive.elastic_apm;
    assert_eq!((again.agents, again.api_keys.len()), (apm.agents, 1));
    assert_eq!(
        mistakes(
            "receive:\n  elastic_apm:\n    api_keys: [x]\n    agents:\n      - {servce: a}\n  loki_push: {http: ':1'}\n"
        ),
        [
            "t.yaml:3: receive.elastic_apm.api_keys[0]: expected an API key as `id:key`, came something else (not shown)",
            "t.yaml:5: receive.elastic_apm.agents[0].servce: unknown key; did you mean `service`?",
            "t.yaml:6: receive.loki_push.http: unknown key; known here: max_body_bytes",
        ]
    );
}

#[test]
fn senders_are_looked_for_where_there_is_somebody_to_ask_unless_that_is_not_wanted() {
    let watch = |text: &str| {
        let config = load(text, "t.yaml", []).unwrap();
        let read_back = load(&render(&config), "t.yaml", []).unwrap();
        assert_eq!(read_back.receive.pods, config.receive.pods);
        config.collect.kubernetes.watch_senders(config.receive.pods)
    };
    let api = "api: {url: 'https://api:6443'}";
    let given = watch(&format!("collect: {{kubernetes: {{labels: [app], {api}}}}}")).unwrap();
    assert_eq!((given.node, given.selection.labels), (None, vec!["app".to_owned()]));
    assert_eq!(watch(&format!("collect: {{kubernetes: {{enabled: false, {api}}}}}")), None);
    assert_eq!(watch(&format!("{{receive: {{pods: false}}, collect: {{kubernetes: {{{api}}}}}}}")), None);
    assert_eq!(watch("{}"), None);
    assert!(watch("receive: {pods: true}").is_some());
    assert_eq!(
        mistakes("receive: {pods: maybe}\n"),
        ["t.yaml:1: receive.pods: expected `auto`, `true` or `false`, came `maybe`"]
    );
}

#[test]
fn pods_are_watched_where_the_node_is_known_and_there_is_somebody_to_ask() {
    let watch = |collect: &str| {
        let config = load(&format!("collect: {{{collect}}}"), "t.yaml", []).unwrap();
        let read_back = load(&render(&config), "t.yaml", []).unwrap();
        assert_eq!(read_back.collect.kubernetes, config.collect.kubernetes);
        config.collect.kubernetes.watch(config.collect.node.as_deref())
    };
    let api = "api: {url: 'https://api:6443', token_file: /t, ca_file: /c}";
    let given = watch(&format!("node: n1, kubernetes: {{labels: [app, 'a.b/*'], {api}}}")).unwrap();
    assert_eq!((given.node.as_deref(), given.access.url.as_deref()), (Some("n1"), Some("https://api:6443")));
    assert_eq!(given.selection.labels, ["app", "a.b/*"]);
    assert_eq!(watch(&format!("node: n1, kubernetes: {{enabled: false, {api}}}")), None);
    assert_eq!(watch(&format!("kubernetes: {{{api}}}")), None);
    assert!(watch("node: n1, kubernetes: {enabled: true, api: in-cluster}").is_some());
    assert_eq!(
        mistakes("collect:\n  kubernetes:\n    enabled: maybe\n    labels: ['a b']\n    api: there\n"),
        [
            "t.yaml:3: collect.kubernetes.enabled: expected `auto`, `true` or `false`, came `maybe`",
            "t.yaml:4: collect.kubernetes.labels[0]: expected a key such as `app` or `app.kubernetes.io/*`, came `a b`",
            "t.yaml:5: collect.kubernetes.api: expected `in-cluster` or `{url, token_file, ca_file}`, came `there`",
        ]
    );
    let found = mistakes("collect:\n  kubernetes: {enabled: true}\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("collect.kubernetes.enabled: expected `collect.node` beside it"), "{found:?}");
}
