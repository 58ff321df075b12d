use proptest::prelude::*;

use super::super::TraceMatch;
use super::*;

fn trace(class: KeyClass, value: &str) -> Result<u128, IdError> {
    keyed(class, value.as_bytes()).and_then(|c| c.trace.map(TraceId::bits).ok_or(IdError::Absent))
}

const ID: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;

#[test]
fn every_spelling_that_the_contract_lists_gives_the_same_id() {
    for (class, value) in [
        (KeyClass::Trace, "4bf92f3577b34da6a3ce929d0e0e4736"),
        (KeyClass::Trace, "4BF92F3577B34DA6A3CE929D0E0E4736"),
        (KeyClass::Trace, "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"),
        (KeyClass::Trace, "1-4bf92f35-77b34da6a3ce929d0e0e4736"),
        (KeyClass::XRay, "1-4bf92f35-77b34da6a3ce929d0e0e4736"),
        (KeyClass::XRay, "1-4bf92f35-77b34da6a3ce929d0e0e4736@53995c3f42cd8ad8"),
        (KeyClass::XRay, "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=53995c3f42cd8ad8;Sampled=1"),
        (KeyClass::XRay, "Self=1-67891234-12456789abcdef012345678;Root=1-4bf92f35-77b34da6a3ce929d0e0e4736"),
        (KeyClass::Trace, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        (KeyClass::Traceparent, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        (KeyClass::Traceparent, "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"),
        (KeyClass::B3, "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"),
        (KeyClass::B3, "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-d-05e3ac9a4f6e3b90"),
        (KeyClass::Uber, "4bf92f3577b34da6a3ce929d0e0e4736:f067aa0ba902b7:0:1"),
        (KeyClass::Uber, "4bf92f3577b34da6a3ce929d0e0e4736%3Af067aa0ba902b7%3a0%3A1"),
        (KeyClass::DatadogTrace, "4bf92f3577b34da6a3ce929d0e0e4736"),
        (KeyClass::Google, "projects/my-project/traces/4bf92f3577b34da6a3ce929d0e0e4736"),
        (KeyClass::Google, "4bf92f3577b34da6a3ce929d0e0e4736/67667974448284343;o=1"),
        (KeyClass::Google, "4bf92f3577b34da6a3ce929d0e0e4736"),
    ] {
        assert_eq!(trace(class, value), Ok(ID), "{class:?} {value}");
    }
}

#[test]
fn spans_and_sampling_come_with_the_headers_that_carry_them() {
    let span = SpanId::new(0x00f0_67aa_0ba9_02b7);
    for (class, value, sampled) in [
        (KeyClass::Traceparent, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Some(true)),
        (KeyClass::Traceparent, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", Some(false)),
        (KeyClass::B3, "a3ce929d0e0e4736-00f067aa0ba902b7-0", Some(false)),
        (KeyClass::B3, "a3ce929d0e0e4736-00f067aa0ba902b7", None),
        (KeyClass::Uber, "a3ce929d0e0e4736:f067aa0ba902b7:0:3", Some(true)),
        (
            KeyClass::XRay,
            "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=0",
            Some(false),
        ),
        (KeyClass::Google, "4bf92f3577b34da6a3ce929d0e0e4736/67667974448284343;o=1", Some(true)),
        (KeyClass::DatadogSpan, "67667974448284343", None),
        (KeyClass::Span, "f067aa0ba902b7", None),
    ] {
        let context = keyed(class, value.as_bytes()).unwrap();
        assert_eq!((context.span, context.sampled), (span, sampled), "{class:?} {value}");
    }
}

#[test]
fn what_stands_for_no_id_is_absent() {
    for class in [
        KeyClass::Trace,
        KeyClass::Span,
        KeyClass::DatadogTrace,
        KeyClass::DatadogSpan,
        KeyClass::Traceparent,
        KeyClass::B3,
        KeyClass::Uber,
        KeyClass::XRay,
        KeyClass::Google,
    ] {
        for value in ["", "0", "-", "null", "None", "nil", "NULL", "undefined"] {
            assert_eq!(keyed(class, value.as_bytes()), Err(IdError::Absent), "{class:?} {value:?}");
        }
    }
    for (class, value) in [
        (KeyClass::Trace, "00000000000000000000000000000000"),
        (KeyClass::Trace, "0000000000000000"),
        (KeyClass::Trace, "00000000-0000-0000-0000-000000000000"),
        (KeyClass::Trace, "1-00000000-000000000000000000000000"),
        (KeyClass::Span, "0000000000000000"),
        (KeyClass::Traceparent, "00-00000000000000000000000000000000-00f067aa0ba902b7-01"),
        (KeyClass::Uber, "0:0:0:0"),
        (KeyClass::B3, "1"),
        (KeyClass::DatadogTrace, "00"),
    ] {
        assert_eq!(keyed(class, value.as_bytes()), Err(IdError::Absent), "{class:?} {value}");
    }
}

#[test]
fn what_is_not_an_id_is_refused_with_its_reason() {
    for (class, value, error) in [
        (KeyClass::Trace, "da39a3ee5e6b4b0d3255bfef95601890afd80709", IdError::TooLong),
        (
            KeyClass::Trace,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            IdError::TooLong,
        ),
        (KeyClass::Trace, "not-an-id", IdError::Malformed),
        (KeyClass::Trace, "|abc.1.", IdError::Malformed),
        (KeyClass::Trace, "4bf92f35 77b34da6", IdError::Malformed),
        (KeyClass::Trace, "99999999999999999999", IdError::Overflow),
        (KeyClass::DatadogTrace, "18446744073709551616", IdError::Overflow),
        (KeyClass::DatadogTrace, "12ab", IdError::Malformed),
        (KeyClass::Span, "4bf92f3577b34da6a", IdError::TooLong),
        (
            KeyClass::Traceparent,
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            IdError::Malformed,
        ),
        (
            KeyClass::Traceparent,
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            IdError::Malformed,
        ),
        (KeyClass::Traceparent, "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01", IdError::Malformed),
        (KeyClass::B3, "a3ce929d0e0e473-00f067aa0ba902b7-1", IdError::Malformed),
        (KeyClass::Uber, "a3ce929d0e0e4736:f067aa0ba902b7:0", IdError::Malformed),
        (KeyClass::XRay, "2-4bf92f35-77b34da6a3ce929d0e0e4736", IdError::Malformed),
        (KeyClass::Google, "projects/p/spans/4bf92f3577b34da6a3ce929d0e0e4736", IdError::Malformed),
    ] {
        assert_eq!(keyed(class, value.as_bytes()), Err(error), "{class:?} {value}");
    }
}

#[test]
fn datadogs_decimal_joins_the_128_bit_id_by_its_low_half() {
    let decimal = TraceId::from_spelling(b"11803532876627986230").unwrap();
    let hex = TraceId::from_spelling(b"4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
    assert_eq!(decimal.low64(), hex.low64());
    assert_eq!(decimal.matches(hex), Some(TraceMatch::Low64));
    assert_eq!(decimal.as_written(), "11803532876627986230");
}

#[test]
fn a_person_may_type_spaces_and_quotes() {
    for text in [
        " 4bf92f3577b34da6a3ce929d0e0e4736\n",
        "\"4bf92f3577b34da6a3ce929d0e0e4736\"",
        "'4BF92F3577B34DA6A3CE929D0E0E4736'",
    ] {
        assert_eq!(TraceId::from_spelling(text.as_bytes()).map(TraceId::bits), Ok(ID), "{text:?}");
    }
}

proptest! {
    #[test]
    fn every_spelling_of_an_id_normalises_to_it(bits in 1u128.., span in 1u64.., zeros in any::<bool>()) {
        let bits = if zeros { bits & u128::from(u64::MAX) | 1 } else { bits };
        let canonical = format!("{bits:032x}");
        let low_decimal = (bits as u64).to_string();
        let spellings = [
            (KeyClass::Trace, canonical.clone()),
            (KeyClass::Trace, canonical.to_uppercase()),
            (KeyClass::Trace, format!("{bits:x}")),
            (KeyClass::Trace, format!("{}-{}-{}-{}-{}", &canonical[..8], &canonical[8..12], &canonical[12..16], &canonical[16..20], &canonical[20..])),
            (KeyClass::Trace, format!("1-{}-{}", &canonical[..8], &canonical[8..])),
            (KeyClass::XRay, format!("Root=1-{}-{};Parent={span:016x};Sampled=1", &canonical[..8], &canonical[8..])),
            (KeyClass::Traceparent, format!("00-{canonical}-{span:016x}-01")),
            (KeyClass::B3, format!("{canonical}-{span:016x}-1")),
            (KeyClass::Uber, format!("{bits:x}:{span:x}:0:1")),
            (KeyClass::Uber, format!("{bits:x}%3A{span:x}%3A0%3A1")),
            (KeyClass::Google, format!("projects/p/traces/{canonical}")),
            (KeyClass::Google, format!("{canonical}/{span};o=1")),
            (KeyClass::DatadogTrace, canonical.clone()),
        ];
        for (class, value) in spellings {
            // 17-20 digits without a letter are read as decimal; see `from_spelling`.
            if class == KeyClass::Trace && (17..=20).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit()) {
                continue;
            }
            let context = keyed(class, value.as_bytes()).unwrap();
            prop_assert_eq!(context.trace.map(TraceId::bits), Some(bits), "{:?} {}", class, value);
            if let Some(found) = context.span {
                prop_assert_eq!(found.bits(), span, "{:?} {}", class, value);
            }
            let written = context.trace.unwrap().as_written();
            if class == KeyClass::Trace {
                prop_assert_eq!(written, value);
            }
        }
        if bits as u64 != 0 {
            let id = keyed(KeyClass::DatadogTrace, low_decimal.as_bytes()).unwrap().trace.unwrap();
            prop_assert_eq!((id.low64(), id.as_written()), (bits as u64, low_decimal));
        }
    }

    #[test]
    fn any_bytes_give_an_id_or_an_error(value in prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..80),
        "[0-9a-fA-F:%/;=@.-]{0,80}".prop_map(String::into_bytes),
    ]) {
        for class in [KeyClass::Trace, KeyClass::Span, KeyClass::DatadogTrace, KeyClass::DatadogSpan,
                      KeyClass::Traceparent, KeyClass::B3, KeyClass::Uber, KeyClass::XRay, KeyClass::Google] {
            if let Ok(context) = keyed(class, &value) {
                prop_assert!(context.trace.is_some() || context.span.is_some());
            }
        }
        let _ = TraceId::from_spelling(&value);
    }
}
