//! `redact`.

use super::*;

fn redacted(line: &str) -> String {
    one(&[StageConfig::Redact(RedactConfig::ALL)], line).line
}

#[test]
fn secrets_and_personal_data_are_replaced() {
    for (line, expected) in [
        ("mail to a.b+c@mail.example.org now", "mail to <redacted:email> now"),
        ("card 4111 1111 1111 1111 ok", "card <redacted:card> ok"),
        ("card 4111-1111-1111-1111,5500000000000004", "card <redacted:card>,<redacted:card>"),
        ("Authorization: Bearer abcdefgh.12345", "Authorization: Bearer <redacted:token>"),
        ("t=eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl x", "t=<redacted:token> x"),
        ("key AKIAIOSFODNN7EXAMPLE used", "key <redacted:key> used"),
        ("password=hunter2 user=x", "password=<redacted:secret> user=x"),
        ("DB_PASSWORD=hunter2 x", "DB_PASSWORD=<redacted:secret> x"),
        ("AWS_SECRET_ACCESS_KEY: wJalrXUtnFEMI", "AWS_SECRET_ACCESS_KEY: <redacted:secret>"),
        ("secret_key_base=0123abcd", "secret_key_base=<redacted:secret>"),
        (r#"{"password": "a \" b","n":1}"#, r#"{"password": "<redacted:secret>","n":1}"#),
        ("api_key: 'abc def'", "api_key: '<redacted:secret>'"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- end",
            "<redacted:private-key> end",
        ),
    ] {
        assert_eq!(redacted(line), expected);
    }
}

#[test]
fn what_is_neither_stays() {
    for line in [
        "card 4111 1111 1111 1112 has a wrong check digit",
        "trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7",
        "id 0000000000000000 at 1562708916414123456",
        "user@host and @name",
        "the bearer of news",
        "passwords are fine",
    ] {
        assert_eq!(redacted(line), line);
    }
}

#[test]
fn only_the_kinds_that_are_on_are_looked_for() {
    let only = RedactConfig { email: true, card: false, bearer: false, keys: false };
    let entry = one(&[StageConfig::Redact(only)], "a@b.org password=x");
    assert_eq!(entry.line, "<redacted:email> password=x");
}

#[test]
fn metadata_is_redacted_too() {
    let stages = [
        json(&["user"]),
        StageConfig::StructuredMetadata(vec![(text("user"), None)]),
        StageConfig::Redact(RedactConfig::ALL),
    ];
    assert_eq!(pairs(&one(&stages, r#"{"user":"a@b.org"}"#).metadata), ["user=<redacted:email>"]);
}

#[test]
fn a_card_is_found_among_other_numbers() {
    for (line, expected) in [
        ("status 200 4111111111111111", "status 200 <redacted:card>"),
        ("4111 1111 1111 1111 123", "<redacted:card> 123"),
        ("25 4111 1111 1111 1111 12-27 5500000000000004 9", "25 <redacted:card> 12-27 <redacted:card> 9"),
        ("378282246310005 3782 822463 10005", "<redacted:card> <redacted:card>"),
    ] {
        assert_eq!(redacted(line), expected);
    }
}
