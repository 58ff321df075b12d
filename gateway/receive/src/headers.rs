//! Request headers as all protocols read them.

use axum::http::{HeaderMap, header};

/// A header's value, trimmed and in lower case; empty if it is not there.
pub(crate) fn value(headers: &HeaderMap, name: impl header::AsHeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim().to_ascii_lowercase()
}

/// `Content-Type` without its parameters, in lower case; empty if it is not there.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let mut media = value(headers, header::CONTENT_TYPE);
    let end = media.find(';').unwrap_or(media.len());
    media.truncate(end);
    media.truncate(media.trim_end().len());
    media
}
