//! The export format, whole and in pieces.

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { message: 64, value: 32, entry: 200 };

fn decode(pieces: &[&[u8]]) -> Vec<Entry> {
    let (mut decoder, mut entries) = (Decoder::new(LIMITS), Vec::new());
    for piece in pieces {
        decoder.push(piece, &mut |entry| entries.push(entry));
    }
    entries
}

fn binary(name: &str, value: &[u8]) -> Vec<u8> {
    [name.as_bytes(), b"\n", &(value.len() as u64).to_le_bytes(), value, b"\n"].concat()
}

#[test]
fn fields_are_read_text_and_binary() {
    let bytes = [
        b"__CURSOR=s=ab;i=1f;b=0\n__REALTIME_TIMESTAMP=1700000000000001\nPRIORITY=3\n".to_vec(),
        binary("MESSAGE", b"two\nlines\n\n=\xff"),
        b"EMPTY=\n\n\nMESSAGE=next=one\n\nMESSAGE=not complete".to_vec(),
    ]
    .concat();
    let entries = decode(&[&bytes]);
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].message(), b"two\nlines\n\n=\xff");
    assert_eq!(entries[0].time(), Some(1_700_000_000_000_001_000));
    assert_eq!((entries[0].priority(), entries[0].priority_keyword()), (Some(3), Some("error")));
    assert_eq!(entries[0].get("EMPTY"), Some(&b""[..]));
    assert_eq!(entries[1].message(), b"next=one");
    assert_eq!(entries[1].to_json(), r#"{"MESSAGE":"next=one"}"#);
    let cursor = Cursor::parse(&entries[0].text("__CURSOR").unwrap());
    assert_eq!(cursor, Some(Cursor { source: 0xab, number: 0x1f }));
}

#[test]
fn long_values_are_cut_while_they_come_and_an_entry_is_bounded() {
    let mut bytes = binary("COREDUMP", &vec![7; 100_000]);
    bytes.extend(b"MESSAGE=");
    bytes.extend([b'm'; 100]);
    bytes.extend(b"\nA=");
    bytes.extend([b'a'; 100]);
    for n in 0..20 {
        bytes.extend(format!("\nF{n}=").bytes());
        bytes.extend([b'f'; 20]);
    }
    bytes.extend(b"\n\nMESSAGE=next\n\n");
    let entries = decode(&bytes.chunks(7).collect::<Vec<_>>());
    assert_eq!(entries[0].get("COREDUMP").unwrap().len(), 32);
    assert_eq!((entries[0].message().len(), entries[0].cut), (64, 36));
    assert_eq!(entries[0].get("A").unwrap().len(), 32);
    assert!(entries[0].size() <= 200 + 20 * 3, "{}", entries[0].size());
    assert_eq!(entries[1].message(), b"next");
}

#[test]
fn what_is_not_of_the_format_is_passed_over() {
    let entries = decode(&[b"-- Journal begins --\nhint: x=y\nMESSAGE=a\n\n\xff\xfe\nMESSAGE=b\n\n"]);
    assert_eq!(entries.iter().map(Entry::message).collect::<Vec<_>>(), [b"a", b"b"]);
}

#[test]
fn cursors_that_say_no_place_are_none() {
    for text in ["", "s=;i=", "i=1", "s=zz;i=1", "s=+1;i=1", "x", "s=1;i=fffffffffffffffff"] {
        assert_eq!(Cursor::parse(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_give_the_same_entries(
        bytes in prop::collection::vec(prop::sample::select(b"\n\n==AM_\x01\x00a\xff".to_vec()), 0..300),
        size in 1usize..20,
    ) {
        let whole = decode(&[&bytes]);
        prop_assert_eq!(decode(&bytes.chunks(size).collect::<Vec<_>>()), whole);
    }

    #[test]
    fn what_was_written_is_read(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..4)) {
        let mut bytes = b"N=1\n".to_vec();
        for value in &values {
            bytes.extend(binary("V", value));
        }
        bytes.push(b'\n');
        let entries = decode(&bytes.chunks(5).collect::<Vec<_>>());
        let read: Vec<&[u8]> = entries[0].fields().filter(|(name, _)| *name == "V").map(|(_, v)| v).collect();
        prop_assert_eq!(read, values.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
}
