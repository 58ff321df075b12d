//! An AWS X-Ray header without its name: `Root=1-<8>-<24>`, as load balancers write it into their access logs.

use crate::record::normalise::{KeyClass, keyed};

use super::{Fact, Form, Hit, Rank, value};

/// What stands before the last 24 digits: the key, the version, the time.
const KEY: &[u8] = b"Root=";
const BEFORE: usize = KEY.len() + 2 + 9;

/// Whether the run of hex digits from `start` to `end` ends the id of one.
pub(super) fn at(line: &[u8], start: usize, end: usize, take: &mut impl FnMut(Hit)) -> bool {
    let Some(from) = start.checked_sub(BEFORE).filter(|_| end - start == 24) else { return false };
    let glued =
        |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let rest = line.get(from..).unwrap_or_default();
    if !rest.starts_with(KEY) || glued(line.get(from.wrapping_sub(1))) || glued(line.get(end)) {
        return false;
    }
    // `;Parent=..;Sampled=..` may follow; what cannot be read does not take the root away.
    let whole = value::id(line, from, KeyClass::XRay);
    let root = line.get(from..end).unwrap_or_default();
    let read = |text: &[u8]| keyed(KeyClass::XRay, text).ok();
    let Some((context, len)) =
        read(whole).map(|context| (context, whole.len())).or_else(|| Some((read(root)?, root.len())))
    else {
        return false;
    };
    let end = from + len;
    take(Hit {
        form: Form::XRay,
        rank: Rank::Bare,
        fact: Fact::Id(Ok(context)),
        start: from,
        end,
        of_span: false,
    });
    true
}
