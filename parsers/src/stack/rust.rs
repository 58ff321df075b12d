//! Rust: `thread 'main' panicked at src/cart.rs:42:9:`, the message, then `   3: shop::cart::total` with its place below.

use super::frame::{bounded, library_path};
use super::{Language, MAX_FRAMES, Stack, shortened};

/// What a panic says first.
pub(super) const MARK: &str = "panicked at ";

pub(super) fn parse(text: &str) -> Option<Stack> {
    let (_, rest) = text.split_once(MARK)?;
    let mut lines = rest.lines();
    let head = lines.next()?.trim_end();
    // Before Rust 1.73 the message stood in quotes before the place.
    let (place, message) = match head.strip_prefix('\'').and_then(|head| head.rsplit_once("', ")) {
        Some((message, place)) => (place, message),
        None => (head.trim_end_matches(':'), lines.clone().next().unwrap_or_default()),
    };
    let file = file(place)?;
    let mut frames: Vec<String> = lines.filter_map(frame).take(MAX_FRAMES).collect();
    if frames.is_empty() {
        // Without a backtrace the place is all there is.
        frames.push(bounded(format!("({file})")));
    }
    Some(Stack {
        language: Language::Rust,
        kind: "panic".to_owned(),
        message: shortened(message),
        cause: None,
        frames,
    })
}

/// `/app/src/cart.rs:42:9` without its numbers.
fn file(place: &str) -> Option<&str> {
    let mut parts = place.rsplitn(3, ':');
    let number = |part: Option<&str>| part?.parse::<u32>().ok();
    number(parts.next())?;
    number(parts.next())?;
    parts.next().map(library_path).filter(|file| !file.is_empty())
}

/// `   3: shop::cart::total::h0123456789abcdef`; what panicking itself calls is none.
fn frame(line: &str) -> Option<String> {
    let (number, function) = line.trim_start().split_once(": ")?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let function = function.trim();
    let function = match function.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => name,
        _ => function,
    };
    // Older ones have the address first.
    let function = match function.split_once(" - ") {
        Some((address, name)) if address.starts_with("0x") => name,
        _ => function,
    };
    let own = ["rust_begin_unwind", "core::panicking::", "std::panicking::", "std::backtrace", "__rust_"];
    let is_own = own.iter().any(|start| function.starts_with(start)) || function == "<unknown>";
    (!function.is_empty() && !is_own).then(|| bounded(function.to_owned()))
}
