//! Tokens and certificates, and that no secret is told.

use super::*;

#[test]
fn tokens_certificates_and_origins_are_checked_key_by_key() {
    let hash = "a".repeat(64);
    let text = format!(
        "server:\n  tls: {{cert_file: /c}}\n  cors: {{origins: ['https://g/', 'g']}}\naccess:\n  tokens:\n    - {{name: a, role: raed, sha256: {hash}}}\n    - {{name: a, role: read, sha256: abc}}\n    - {{role: read}}\n    - {{name: b, role: read, roles: [read], sha256: {hash}, token_file: /t}}\n    - {{name: c, role: read, sha256: {hash}, tenant: 'a|b', limits: {{requests_per_second: 0, max_body_byte: 1}}}}\n    - {{name: c, role: read, sha256: {hash}}}\n"
    );
    let found = mistakes(&text);
    let expected = [
        "t.yaml:2: server.tls: expected a `cert_file` and a `key_file`",
        "t.yaml:3: server.cors.origins[0]: expected an origin",
        "t.yaml:3: server.cors.origins[1]: expected an origin",
        "t.yaml:6: access.tokens[0].role: expected `ingest`, `read` or `admin`, came `raed`",
        "t.yaml:7: access.tokens[1].sha256: expected the SHA-256 of a token in 64 hex digits",
        "t.yaml:8: access.tokens[2]: expected a `sha256` or a `token_file`",
        "t.yaml:8: access.tokens[2]: expected a `name`",
        "t.yaml:9: access.tokens[3].roles: expected only one of `role`, `roles`",
        "t.yaml:9: access.tokens[3].token_file: expected only one of `sha256`, `token_file`",
        "t.yaml:10: access.tokens[4].tenant: expected one name",
        "t.yaml:10: access.tokens[4].limits.requests_per_second: expected a number above 0",
        "t.yaml:10: access.tokens[4].limits.max_body_byte: unknown key; did you mean `max_body_bytes`?",
        "t.yaml:11: access.tokens[5]: another token is named `c`",
    ];
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found} and not {expected}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    assert_eq!(mistakes("access: {}").len(), 1, "a section that lets nobody in is a mistake");
    assert!(load("access: null", "t.yaml", []).unwrap().access.is_none());
}

/// Every key that holds a secret, with `SECRET` in its place.
const SECRETIVE: [&str; 13] = [
    "receive: {elastic_apm: {secret_token: SECRET}}",
    "receive: {elastic_apm: {api_keys: ['id:SECRET']}}",
    "ship: {loki: {url: 'http://l', bearer_token: SECRET}}",
    "ship: {loki: {url: 'http://l', basic_auth: {username: u, password: SECRET}}}",
    "ship: {otlp: {url: 'http://u:SECRET@l'}}",
    "ship: {otlp: {url: 'http://l', headers: {Authorization: SECRET}}}",
    "upstream: {prometheus: {url: 'http://u:SECRET@p'}}",
    "upstream: {prometheus: {url: 'http://p', headers: {X-Key: SECRET}}}",
    "upstream: {prometheus: {url: 'http://p', bearer_token: SECRET}}",
    "upstream: {prometheus: {url: 'http://p', basic_auth: {username: u, password: SECRET}}}",
    "scrape: {jobs: [{job: a, targets: ['a:1'], bearer_token: SECRET}]}",
    "scrape: {jobs: [{job: a, targets: ['a:1'], basic_auth: {username: u, password: SECRET}}]}",
    "scrape: {jobs: [{job: a, kubernetes: {api: 'http://u:SECRET@k'}}]}",
];

#[test]
fn no_secret_is_in_the_effective_configuration_nor_where_it_is_written_for_debugging() {
    for text in SECRETIVE {
        let config = load(&text.replace("SECRET", "hush"), "t.yaml", []).unwrap();
        let (shown, debugged) = (render(&config), format!("{config:?}"));
        assert!(!shown.contains("hush"), "{text}: {shown}");
        assert!(!debugged.contains("hush"), "{text}: {debugged}");
    }
}

#[test]
fn no_mistake_repeats_a_secret() {
    let wrong = [
        "access: {tokens: [{name: a, role: read, sha256: hush}]}",
        "access: {tokens: [{name: a, role: read, token_file: [hush]}]}",
        "receive: {elastic_apm: {api_keys: [hush]}}",
        "receive: {elastic_apm: {api_keys: hush}}",
        "receive: {elastic_apm: {secret_token: {a: hush}}}",
        "ship: {loki: {url: 'ftp://u:hush@l'}}",
        "ship: {loki: {url: 'http://l', basic_auth: hush}}",
        "ship: {loki: {url: 'http://l', headers: hush}}",
        "scrape: {jobs: [{job: a, targets: ['http://u:hush@a:1']}]}",
        "upstream: {prometheus: {url: 'ftp://u:hush@p'}}",
        "upstream: {prometheus: 'http://u:hush@p'}",
        "upstream: {prometheus: {url: 'http://p', basic_auth: {username: u, password: hush, password_file: /p}}}",
    ];
    for text in wrong {
        let found = mistakes(text);
        assert!(!found.is_empty() && !format!("{found:?}").contains("hush"), "{text}: {found:?}");
    }
}
