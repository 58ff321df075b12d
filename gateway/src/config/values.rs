//! Readers of single values: durations, sizes, addresses, URLs. An error is what was expected, to be put after "expected".

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

/// `500ms`, `30s`, `15m`, `12h`, `7d`, `2w`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "a duration such as `30s`, `15m`, `12h` or `7d`".to_owned();
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(expected)?;
    let number: u64 = text[..split].parse().map_err(|_| expected())?;
    let millis: u64 = match &text[split..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return Err(expected()),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(expected)
}

/// Bytes: `1048576`, `512KiB`, `64MiB`, `50GiB`, `1TiB`, or decimal `KB`, `MB`, `GB`, `TB`.
pub fn bytes(text: &str) -> Result<u64, String> {
    let expected = || "a size such as `64MiB` or `50GiB`".to_owned();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..split].parse().map_err(|_| expected())?;
    let unit: u64 = match text[split..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return Err(expected()),
    };
    number.checked_mul(unit).ok_or_else(expected)
}

/// `0.0.0.0:8080`, `[::]:8080`, `localhost:8080`, `:8080` (all interfaces).
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let expected = || "an address to listen on, such as `127.0.0.1:8080` or `0.0.0.0:8080`".to_owned();
    let full = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
    full.parse()
        .ok()
        .or_else(|| full.to_socket_addrs().ok().and_then(|mut found| found.next()))
        .ok_or_else(expected)
}

/// An absolute `http` or `https` URL, without a slash at its end.
pub fn url(text: &str) -> Result<String, String> {
    match reqwest::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err("an http or https URL such as `http://prometheus:9090`".into()),
    }
}

/// Any text that is not empty.
pub fn text(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("some text".into()) } else { Ok(text.to_owned()) }
}

/// `true` or `false`.
pub fn boolean(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "`true` or `false`".into())
}
