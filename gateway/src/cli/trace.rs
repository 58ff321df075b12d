//! `trefoil trace`: asks a gateway for one request and shows the answer.

use super::Failure;
use super::ask::Asked;
use crate::trace_view;

pub(super) fn show(id: &str, query: &[(&str, String)], asked: &Asked) -> Result<(), Failure> {
    let path = format!("/api/v1/traces/{}", percent(id));
    let nothing = format!("nothing is stored of {id}");
    asked.show(&path, query, &nothing, trace_view::render, |_| true)
}

/// An id as one path segment: spellings hold `:`, `;`, `=` and `/`.
fn percent(id: &str) -> String {
    let mut out = String::new();
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
