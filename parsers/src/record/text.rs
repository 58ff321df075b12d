//! Bytes as text.

use std::borrow::Cow;

/// Bytes as text; what is not UTF-8 is replaced. As [`String::from_utf8_lossy`], which looks at each character by itself: here text
/// that is whole, as nearly all is, is told by many bytes at a time.
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}
