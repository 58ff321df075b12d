//! Other ids that someone may have meant by one of which nothing is known: the same digits in another order or reading.

use parsers::record::{Spelling, SpellingKind, TraceId, Width};

/// Each with how it comes from the one that was asked for. The asked id itself, in either width, is not among them.
pub(crate) fn variants(asked: TraceId) -> Vec<(TraceId, &'static str)> {
    let bits = asked.bits();
    let (high, low) = ((bits >> 64) as u64, bits as u64);
    let mut list: Vec<(u128, &'static str)> = Vec::new();
    if asked.width() == Width::Bits128 {
        list.push((bits.swap_bytes(), "the same bytes in reverse order"));
        list.push((bits.rotate_left(64), "its halves in the other order"));
        list.push((u128::from(high), "its first 16 digits alone"));
        list.push((guid(bits), "the bytes in the order of a Microsoft GUID"));
    }
    list.push((u128::from(low.swap_bytes()), "its last eight bytes in reverse order"));
    let written = asked.as_written();
    if written.bytes().all(|b| b.is_ascii_digit()) {
        let decimal = written.parse().unwrap_or(0);
        list.push((decimal, "its digits read as a decimal number"));
        let hex = u128::from_str_radix(&written, 16).unwrap_or(0);
        list.push((hex, "its digits read as hexadecimal"));
    }
    if let (SpellingKind::Hex(32), true) = (asked.spelling().kind(), bits.trailing_zeros() >= 64) {
        list.push((u128::from(high), "less the zeros on its right"));
    }
    let mut known: Vec<u128> = vec![bits];
    let mut variants = Vec::new();
    for (bits, how) in list {
        let spelling = Spelling::new(SpellingKind::Hex(if bits >> 64 == 0 { 16 } else { 32 }));
        if let Some(id) = TraceId::new(bits, spelling).filter(|id| id.matches(asked).is_none())
            && !known.contains(&bits)
        {
            known.push(bits);
            variants.push((id, how));
        }
    }
    variants
}

/// The first three groups of a GUID are written as numbers, whose bytes lie the other way round on most machines.
fn guid(bits: u128) -> u128 {
    let mut bytes = bits.to_be_bytes();
    for group in [0..4, 4..6, 6..8] {
        if let Some(group) = bytes.get_mut(group) {
            group.reverse();
        }
    }
    u128::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(asked: &str, wanted: &str) -> bool {
        let asked = TraceId::from_spelling(asked.as_bytes()).unwrap();
        let wanted = TraceId::from_hex(wanted.as_bytes()).unwrap();
        variants(asked).iter().any(|(id, _)| id.matches(wanted).is_some())
    }

    #[test]
    fn ids_in_other_orders_and_readings_are_thought_of() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert!(found("36470e0e9d92cea3a64db377352ff94b", id), "reversed");
        assert!(found("a3ce929d0e0e47364bf92f3577b34da6", id), "halves");
        assert!(found("352ff94bb377a64da3ce929d0e0e4736", id), "guid");
        assert!(found("4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6"), "first half");
        assert!(found("36470e0e9d92cea3", "a3ce929d0e0e4736"), "reversed short");
        assert!(found("1234567890123456", "462d53c8abac0"), "decimal");
    }

    #[test]
    fn the_id_itself_is_not_among_them() {
        let asked = TraceId::from_hex(b"a3ce929d0e0e4736").unwrap();
        assert!(variants(asked).iter().all(|(id, _)| id.matches(asked).is_none()));
    }
}
