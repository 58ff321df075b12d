use proptest::prelude::*;

use super::writer::{Thrift, text};
use super::*;

const BOTH: [Protocol; 2] = [Protocol::Binary, Protocol::Compact];

fn leaf() -> impl Strategy<Value = Thrift> {
    prop_oneof![
        any::<bool>().prop_map(Thrift::Bool),
        any::<i8>().prop_map(Thrift::Byte),
        any::<i16>().prop_map(Thrift::I16),
        any::<i32>().prop_map(Thrift::I32),
        any::<i64>().prop_map(Thrift::I64),
        (-1e300..1e300f64).prop_map(Thrift::Double),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Thrift::Bytes),
    ]
}

fn value() -> impl Strategy<Value = Thrift> {
    leaf().prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec((any::<i16>(), inner.clone()), 0..6).prop_map(Thrift::Struct),
            // Of one kind each.
            prop::collection::vec(any::<i64>().prop_map(Thrift::I64), 0..40).prop_map(Thrift::List),
            prop::collection::vec(any::<bool>().prop_map(Thrift::Bool), 0..20).prop_map(Thrift::List),
            inner.clone().prop_map(|one| Thrift::List(vec![one.clone(), one])),
            inner.prop_map(|one| Thrift::Map(vec![(text("key"), one.clone()), (text(""), one)])),
        ]
    })
}

/// Reads back what the writer wrote; maps are not asked for by anybody and only skipped.
fn read(reader: &mut Reader<'_>, kind: Kind, like: &Thrift) -> Result<Thrift> {
    Ok(match kind {
        Kind::Bool => Thrift::Bool(reader.truth(kind)?.unwrap()),
        Kind::Byte => Thrift::Byte(reader.integer(kind)?.unwrap() as i8),
        Kind::I16 => Thrift::I16(reader.integer(kind)?.unwrap() as i16),
        Kind::I32 => Thrift::I32(reader.integer(kind)?.unwrap() as i32),
        Kind::I64 => Thrift::I64(reader.integer(kind)?.unwrap()),
        Kind::Double => Thrift::Double(reader.double(kind)?.unwrap()),
        Kind::Bytes => Thrift::Bytes(reader.bytes(kind)?.unwrap().to_vec()),
        Kind::Map => {
            reader.skip(kind)?;
            like.clone()
        }
        Kind::Struct => {
            let Thrift::Struct(wanted) = like else { unreachable!() };
            let mut fields = Vec::new();
            reader.structure(kind, |reader, number, kind| {
                let like = &wanted[fields.len()].1;
                fields.push((number, read(reader, kind, like)?));
                Ok(())
            })?;
            Thrift::Struct(fields)
        }
        Kind::List => {
            let Thrift::List(wanted) = like else { unreachable!() };
            let mut list = Vec::new();
            reader.list(kind, |reader, kind| {
                let like = &wanted[list.len()];
                list.push(read(reader, kind, like)?);
                Ok(())
            })?;
            Thrift::List(list)
        }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_skipped_to_its_end(value in value()) {
        let wrapped = Thrift::Struct(vec![(3, value.clone()), (4, text("end"))]);
        for protocol in BOTH {
            let bytes = wrapped.encode(protocol);
            let mut reader = Reader::new(protocol, &bytes);
            prop_assert_eq!(read(&mut reader, Kind::Struct, &wrapped).unwrap(), wrapped.clone());
            prop_assert!(reader.is_at_end());
            let mut reader = Reader::new(protocol, &bytes);
            reader.skip(Kind::Struct).unwrap();
            prop_assert!(reader.is_at_end());
            for cut in 0..bytes.len() {
                prop_assert!(Reader::new(protocol, &bytes[..cut]).skip(Kind::Struct).is_err());
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for protocol in BOTH {
            let _ = Reader::new(protocol, &bytes).skip(Kind::Struct);
            let _ = Reader::new(protocol, &bytes).skip(Kind::Map);
            let mut reader = Reader::new(protocol, &bytes);
            if reader.message().is_ok() {
                let _ = reader.skip(Kind::Struct);
            }
        }
    }
}

#[test]
fn a_list_that_claims_more_than_there_is_is_an_error() {
    let claims: [(Protocol, &[u8]); 4] = [
        (Protocol::Binary, &[12, 0x7f, 0xff, 0xff, 0xff]),
        (Protocol::Binary, &[12, 0xff, 0xff, 0xff, 0xff]),
        (Protocol::Compact, &[0xfc, 0xff, 0xff, 0xff, 0x7f]),
        (Protocol::Compact, &[0xec]),
    ];
    for (protocol, bytes) in claims {
        let error = Reader::new(protocol, bytes).skip(Kind::List).unwrap_err();
        assert_eq!(error.problem, "a length beyond the end of the body", "{bytes:?}");
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    for protocol in BOTH {
        let list = if protocol == Protocol::Binary { &[15, 0, 0, 0, 1][..] } else { &[0x19][..] };
        let error = Reader::new(protocol, &list.repeat(100_000)).skip(Kind::List).unwrap_err();
        assert_eq!(error.problem, "nested too deep");
    }
}

#[test]
fn a_call_is_told_by_its_name_in_all_forms() {
    for protocol in BOTH {
        let bytes = Thrift::Struct(vec![]).call(protocol, "emitBatch");
        let mut reader = Reader::new(protocol, &bytes);
        assert_eq!(reader.message().unwrap(), b"emitBatch");
        reader.skip(Kind::Struct).unwrap();
        assert!(reader.is_at_end());
    }
    // Without a version, as old writers do.
    let old = b"\0\0\0\x09emitBatch\x04\0\0\0\x07\0";
    assert_eq!(Reader::new(Protocol::Binary, old).message().unwrap(), b"emitBatch");
    assert!(Reader::new(Protocol::Compact, old).message().is_err());
}
