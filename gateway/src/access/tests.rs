use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;
use crate::config::load;

fn headers(value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
    headers
}

#[test]
fn a_token_is_shown_as_bearer_or_as_the_password_of_anybody() {
    let basic = |pair: &str| shown(&headers(&format!("Basic {}", STANDARD.encode(pair))));
    for value in ["Bearer abc", "bearer  abc ", "BEARER abc"] {
        assert_eq!(shown(&headers(value)).as_deref(), Some(&b"abc"[..]), "{value}");
    }
    assert_eq!(basic("grafana:abc").as_deref(), Some(&b"abc"[..]));
    assert_eq!(basic(":a:b").as_deref(), Some(&b"a:b"[..]));
    assert_eq!(basic("abc"), None);
    for value in ["abc", "ApiKey abc", "Basic %%%", "Bearer"] {
        assert_eq!(shown(&headers(value)), None, "{value}");
    }
    assert_eq!(shown(&HeaderMap::new()), None);
}

#[test]
fn a_made_token_is_known_by_its_hash_and_no_two_are_alike() {
    let ((token, hash), (other, _)) = (make().unwrap(), make().unwrap());
    assert!(token != other && token.len() > 40, "{token}");
    let text = format!("access: {{tokens: [{{name: a, role: read, sha256: {hash}}}]}}");
    let table = Table::load(load(&text, "t.yaml", []).unwrap().access.as_ref().unwrap()).unwrap();
    let found = table.find(token.as_bytes()).unwrap();
    assert!(found.may(Role::Read) && !found.may(Role::Ingest) && !found.may(Role::Admin));
    assert!(table.find(other.as_bytes()).is_none() && table.find(b"").is_none());
    assert!(table.find(hash.as_bytes()).is_none(), "the hash is not the token");
}

#[test]
fn tokens_in_files_are_renewed_and_a_file_that_is_spoilt_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "first-0123456789abcdef\n").unwrap();
    let text =
        format!("access: {{tokens: [{{name: a, roles: [ingest, read], token_file: '{}'}}]}}", file.display());
    let access = Access::load(load(&text, "t.yaml", []).unwrap().access.as_ref()).unwrap();
    let knows = |token: &str| access.table().unwrap().find(token.as_bytes()).is_some();
    assert!(knows("first-0123456789abcdef"));
    assert_eq!(access.renew(), None, "nothing has changed");
    std::fs::write(&file, "short").unwrap();
    let error = access.renew().unwrap().unwrap_err();
    assert!(error.starts_with("access.tokens: a: ") && !error.contains("short"), "{error}");
    assert_eq!(access.renew(), None, "it is told once");
    assert!(knows("first-0123456789abcdef"));
    std::fs::remove_file(&file).unwrap();
    assert!(access.renew().unwrap().is_err() && knows("first-0123456789abcdef"));
    std::fs::write(&file, "second-0123456789abcdef").unwrap();
    assert_eq!(access.renew(), Some(Ok(())));
    assert!(knows("second-0123456789abcdef") && !knows("first-0123456789abcdef"));
}

proptest! {
    #[test]
    fn no_header_is_too_odd(value in "[ -~]{0,60}") {
        let _ = shown(&headers(&value));
    }
}
