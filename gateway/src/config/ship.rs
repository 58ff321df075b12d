//! The section `ship`: one server, in one of three protocols.

use upstream::ship::{Protocol, ShipOptions};

use super::known;
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
    options.certificates = known::certificates(&mut section, mistakes);
    if let Some(timeout) = section.value("timeout", values::duration, mistakes) {
        options.timeout = timeout;
    }
    if let Some(bytes) = section.value("request_bytes", request_bytes, mistakes) {
        options.request_bytes = bytes as usize;
    }
    if let Some(bytes) = section.value("in_flight_bytes", in_flight_bytes, mistakes) {
        options.in_flight_bytes = bytes;
    }
    options.credentials = known::credentials(&mut section, mistakes);
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
