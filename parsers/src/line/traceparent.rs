//! A traceparent without any key: its shape alone is enough, wherever it stands.

use crate::record::normalise::{KeyClass, keyed};

use super::{Fact, Form, Hit, Rank, access_log};

/// `00-`, before the trace id.
const VERSION: usize = 3;
/// `-<16>-<2>`, behind it.
const REST: usize = 20;

/// Whether the run of hex digits from `start` to `end` is the trace id of one.
pub(super) fn at(line: &[u8], start: usize, end: usize, take: &mut impl FnMut(Hit)) -> bool {
    let Some(from) = start.checked_sub(VERSION) else { return false };
    let to = end + REST;
    let glued =
        |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if end - start != 32 || glued(line.get(from.wrapping_sub(1))) || glued(line.get(to)) {
        return false;
    }
    let Ok(context) = keyed(KeyClass::Traceparent, line.get(from..to).unwrap_or_default()) else {
        return false;
    };
    let form = if access_log::is_envoy_text(line) { Form::Envoy } else { Form::Traceparent };
    take(Hit { form, rank: Rank::Bare, fact: Fact::Id(Ok(context)), start: from, end: to, of_span: false });
    true
}
