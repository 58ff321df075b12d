//! The section `ship`: one server, in one of three protocols.

use std::path::PathBuf;

use upstream::ship::{Credentials, Protocol, Secret, ShipOptions};

use super::reader::{Mistakes, Section};
use super::values;

/// The keys of the section, each a protocol.
pub(super) const PROTOCOLS: [(&str, Protocol); 3] =
    [("trefoil", Protocol::Trefoil), ("loki", Protocol::Loki), ("otlp", Protocol::Otlp)];

/// Header by which Loki and its kin tell tenants apart.
const TENANT: &str = "X-Scope-OrgID";

/// Reads the section.
pub(super) fn read(section: Option<Section>, mistakes: &mut Mistakes) -> Option<ShipOptions> {
    let mut section = section?;
    let mut given = Vec::new();
    for (key, protocol) in PROTOCOLS {
        let Some(node) = section.take(key) else { continue };
        let (place, path) = (node.place.clone(), section.path(key));
        let server = server(Section::new(Some(node), &path, mistakes), protocol, mistakes);
        given.push((place, path, server));
    }
    section.end(mistakes);
    for (place, path, _) in given.iter().skip(1) {
        mistakes.push(
            place,
            path,
            "expected one of `trefoil`, `loki` and `otlp`; another one is given above",
        );
    }
    given.into_iter().next()?.2
}

fn server(mut section: Section, protocol: Protocol, mistakes: &mut Mistakes) -> Option<ShipOptions> {
    let url = section.value("url", values::url, mistakes);
    let mut options = ShipOptions::new(protocol, url.clone().unwrap_or_default());
    options.headers = section.pairs("headers", mistakes);
    if let Some(tenant) = section.value("tenant", values::text, mistakes) {
        options.headers.push((TENANT.to_owned(), tenant));
    }
    options.ca_file = section.value("ca_file", values::text, mistakes).map(PathBuf::from);
    let place = section.given("cert_file").or(section.given("key_file"));
    let certificate = section.value("cert_file", values::text, mistakes).map(PathBuf::from);
    let key = section.value("key_file", values::text, mistakes).map(PathBuf::from);
    if let Some(place) = place.filter(|_| certificate.is_some() != key.is_some()) {
        mistakes.push(&place, &section.path("cert_file"), "expected a `cert_file` and a `key_file`");
    }
    options.certificate = certificate.zip(key);
    if let Some(timeout) = section.value("timeout", values::duration, mistakes) {
        options.timeout = timeout;
    }
    if let Some(bytes) = section.value("request_bytes", request_bytes, mistakes) {
        options.request_bytes = bytes as usize;
    }
    if let Some(bytes) = section.value("in_flight_bytes", in_flight_bytes, mistakes) {
        options.in_flight_bytes = bytes;
    }
    one_of(&section, &["bearer_token", "bearer_token_file", "basic_auth"], mistakes);
    let bearer = secret(&mut section, "bearer_token", "bearer_token_file", mistakes);
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
    options.credentials = basic.or(bearer.map(Credentials::Bearer));
    section.end(mistakes);
    url.map(|_| options)
}

/// Less than this is a request for every few lines; more is refused by most servers.
fn request_bytes(text: &str) -> Result<u64, String> {
    let expected = || "a size from `16KiB` to `64MiB`".to_owned();
    values::bytes(text).ok().filter(|bytes| (16 << 10..=64 << 20).contains(bytes)).ok_or_else(expected)
}

/// A batch has a mebibyte.
fn in_flight_bytes(text: &str) -> Result<u32, String> {
    let bytes = values::bytes(text).ok().filter(|bytes| (1 << 20..=256 << 20).contains(bytes));
    bytes
        .and_then(|bytes| u32::try_from(bytes).ok())
        .ok_or_else(|| "a size from `1MiB` to `256MiB`".to_owned())
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
