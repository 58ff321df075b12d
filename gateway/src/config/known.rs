//! Keys that every section has which names another server: how it knows us, and whom we trust.

use std::fmt::Write as _;
use std::path::PathBuf;

use peers::{Certificates, Credentials, Secret};

use super::reader::{Mistakes, Section};
use super::render::{HIDDEN, quoted};
use super::values;

/// `ca_file`, `cert_file`, `key_file`
pub(super) fn certificates(section: &mut Section, mistakes: &mut Mistakes) -> Certificates {
    let ca_file = section.value("ca_file", values::text, mistakes).map(PathBuf::from);
    let place = section.given("cert_file").or(section.given("key_file"));
    let certificate = section.value("cert_file", values::text, mistakes).map(PathBuf::from);
    let key = section.value("key_file", values::text, mistakes).map(PathBuf::from);
    if let Some(place) = place.filter(|_| certificate.is_some() != key.is_some()) {
        mistakes.push(&place, &section.path("cert_file"), "expected a `cert_file` and a `key_file`");
    }
    Certificates { ca_file, own: certificate.zip(key) }
}

/// `bearer_token`, `bearer_token_file`, `basic_auth`
pub(super) fn credentials(section: &mut Section, mistakes: &mut Mistakes) -> Option<Credentials> {
    one_of(section, &["bearer_token", "bearer_token_file", "basic_auth"], mistakes);
    let bearer = secret(section, "bearer_token", "bearer_token_file", mistakes);
    let path = section.path("basic_auth");
    let place = section.peek("basic_auth").map(|node| node.place.clone());
    let basic = place.zip(section.optional_section("basic_auth", mistakes)).and_then(|(place, mut basic)| {
        one_of(&basic, &["password", "password_file"], mistakes);
        let username = basic.value("username", values::text, mistakes);
        let password = secret(&mut basic, "password", "password_file", mistakes);
        basic.end(mistakes);
        if username.is_none() || password.is_none() {
            mistakes.push(&place, &path, "expected a `username` and a `password` or `password_file`");
        }
        Some(Credentials::Basic { username: username?, password: password? })
    });
    basic.or(bearer.map(Credentials::Bearer))
}

fn secret(
    section: &mut Section,
    text: &'static str,
    file: &'static str,
    mistakes: &mut Mistakes,
) -> Option<Secret> {
    let text = section.value(text, values::text, mistakes).map(Secret::Text);
    let file = section.value(file, values::text, mistakes).map(|path| Secret::File(path.into()));
    file.or(text)
}

/// Only one of these may be given: none is passed over in silence.
pub(super) fn one_of(section: &Section, keys: &[&str], mistakes: &mut Mistakes) {
    let given = keys.iter().filter_map(|key| Some((key, section.peek(key)?)));
    for (key, node) in given.skip(1) {
        let expected = keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        let detail = format!("expected only one of {expected}; another one is given, too");
        mistakes.push(&node.place, &section.path(key), detail);
    }
}

/// The certificates as they would be written, each key after the indent.
pub(super) fn render_certificates(out: &mut String, indent: &str, certificates: &Certificates) {
    let own = certificates.own.as_ref();
    let files = [
        ("ca_file", certificates.ca_file.as_ref()),
        ("cert_file", own.map(|(certificate, _)| certificate)),
        ("key_file", own.map(|(_, key)| key)),
    ];
    for (key, file) in files {
        if let Some(file) = file {
            let _ = writeln!(out, "{indent}{key}: {}", quoted(&file.display().to_string()));
        }
    }
}

/// The credentials as they would be written, secrets hidden.
pub(super) fn render_credentials(out: &mut String, indent: &str, credentials: Option<&Credentials>) {
    let shown = |secret: &Secret| match secret {
        Secret::Text(_) => (String::new(), quoted(HIDDEN)),
        Secret::File(file) => ("_file".to_owned(), quoted(&file.display().to_string())),
    };
    match credentials {
        None => {}
        Some(Credentials::Bearer(token)) => {
            let (end, value) = shown(token);
            let _ = writeln!(out, "{indent}bearer_token{end}: {value}");
        }
        Some(Credentials::Basic { username, password }) => {
            let (end, value) = shown(password);
            let username = quoted(username);
            let _ = writeln!(out, "{indent}basic_auth: {{username: {username}, password{end}: {value}}}");
        }
    }
}
