//! No block that holds a text is passed over for it, whatever the text and wherever it stands.

use std::sync::Arc;

use parsers::record::{ByteRange, Labels, LogBatch, LogRow};
use proptest::prelude::*;

use super::matrix::PAGE;
use super::*;
use crate::codec::{Damaged, Input, Output, encode_log_block};

const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;

/// The column that a block of these lines has, each of which names the trace.
fn column(lines: &[Vec<u8>]) -> Column {
    let mut batch = LogBatch { streams: vec![Arc::new(Labels::default())], ..LogBatch::default() };
    for line in lines {
        let line = batch.push_text(line);
        let (trace, span) = (TRACE, TRACE as u64);
        batch.rows.push(LogRow { line, trace, span, meta: ByteRange::default(), ..LogRow::default() });
    }
    Column::of(&encode_log_block(&batch, usize::MAX, |_| 0).text)
}

/// A file in memory: the blocks that may hold a text.
fn holding(
    columns: Vec<(Column, u32)>,
    text: &[u8],
    damage: bool,
    indexed: bool,
) -> Result<Vec<bool>, Damaged> {
    let count = columns.len();
    let mut fill = TextsFill::default();
    columns.into_iter().for_each(|(column, raw)| fill.push(Arc::new(column), raw, 0));
    let mut rows = fill.rows();
    let checksums: Vec<u32> = rows.chunks(PAGE).map(crc32fast::hash).collect();
    let mut head = Output::default();
    fill.encode(7, &checksums, &mut head);
    if damage {
        rows.iter_mut().for_each(|byte| *byte ^= 16);
    }
    let read = |at: u64, length: usize, checksum: u32| {
        let bytes = &rows[at as usize - 7..][..length];
        if crc32fast::hash(bytes) == checksum { Ok(bytes.to_vec()) } else { Err(Damaged) }
    };
    let texts = Texts::decode(&mut Input::new(head.as_bytes()), count)?;
    assert!(damage || texts.by_block(&vec![1; count], &read)?.len() == count);
    let blocks = if indexed { (0..count).collect() } else { Vec::new() };
    texts.holding(&Literal::new(text), &read, |_| Ok(blocks.clone())).map(|holding| holding.blocks)
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let id = format!("{TRACE:032x}");
    let span = format!("{:016x}", TRACE as u64);
    let part = prop_oneof![
        Just(id.clone().into_bytes()),
        Just(span.into_bytes()),
        Just(id.as_bytes()[..7].to_vec()),
        Just(b" ".to_vec()),
        Just(b"=\"".to_vec()),
        Just(b"face".to_vec()),
        "[a-f0-9]{1,40}".prop_map(String::into_bytes),
        "[a-zA-Z ,.:]{1,12}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..9),
    ];
    proptest::collection::vec(part, 0..9).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn a_block_is_never_passed_over_for_a_text_that_it_holds(
        blocks in proptest::collection::vec(proptest::collection::vec(line(), 1..4), 1..5),
        raw in prop_oneof![Just(1u32), Just(60_000), Just(100_000)],
        at in any::<prop::sample::Index>(), from in any::<prop::sample::Index>(), length in any::<prop::sample::Index>(),
    ) {
        let number = at.index(blocks.len());
        let line = &blocks[number][0];
        let from = from.index(line.len() + 1);
        let length = length.index(line.len() - from + 1);
        let text = &line[from..from + length];
        let columns = blocks.iter().map(|lines| (column(lines), raw)).collect();
        prop_assert!(holding(columns, text, false, true)?[number]);
    }

    #[test]
    fn columns_come_back_however_many_there_are(count in 1usize..200, seed in any::<u64>()) {
        let word = |i: u64| (seed ^ i).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(seed | 1);
        let columns: Vec<Column> = (0..count as u64)
            .map(|c| Column((0..WORDS as u64).map(|w| word(c << 32 | w)).collect())).collect();
        let mut fill = TextsFill::default();
        columns.iter().for_each(|column| fill.push(Arc::new(column.clone()), u32::MAX, 0));
        let rows = fill.rows();
        let checksums: Vec<u32> = rows.chunks(PAGE).map(crc32fast::hash).collect();
        let mut head = Output::default();
        fill.encode(0, &checksums, &mut head);
        let texts = Texts::decode(&mut Input::new(head.as_bytes()), count)?;
        let back = texts.by_block(&vec![1; columns.len()], &|at, length, _| Ok(rows[at as usize..][..length].to_vec()))?;
        let back: Vec<Column> = back.iter().map(|(column, _)| Column::clone(column)).collect();
        prop_assert_eq!(back, columns);
    }

    #[test]
    fn any_bytes_are_a_head_or_damaged(bytes in proptest::collection::vec(any::<u8>(), 0..60), blocks in 0usize..9) {
        let _ = Texts::decode(&mut Input::new(&bytes), blocks);
    }
}

/// Two blocks, of which only the first has the word.
fn two() -> Vec<(Column, u32)> {
    let with = column(&[format!("zeppelin over sea, trace={TRACE:032x}.").into_bytes()]);
    vec![(with, u32::MAX), (column(&[b"sausages are out of stock".to_vec()]), u32::MAX)]
}

#[test]
fn a_block_without_the_text_is_passed_over() {
    let id = format!("{TRACE:032x}");
    for (text, indexed, expected) in [
        ("zeppelin", false, [true, false]),
        ("ppelin o", false, [true, false]),
        ("Zeppelin", false, [false, false]),
        ("out of", false, [false, true]),
        ("sea", false, [true, true]),
        (&id[3..20], false, [true, true]),
        (&format!("e={}", &id[..9]), false, [true, true]),
        (&format!("trace={}", &id[..9]), false, [true, false]),
        (&id, true, [true, true]),
        (&id, false, [false, false]),
        ("0123456789abcdef0123456789abcdef0", false, [false, false]),
    ] {
        assert_eq!(holding(two(), text.as_bytes(), false, indexed).unwrap(), expected, "{text}");
    }
}

#[test]
fn an_id_that_is_not_the_lines_own_is_found_in_its_text() {
    let other = "00000000000000000123456789abcdef";
    let with = column(&[format!("saw {other} here").into_bytes()]);
    let columns = vec![(with, u32::MAX), (column(&[b"saw nothing".to_vec()]), u32::MAX)];
    assert_eq!(holding(columns, other.as_bytes(), false, false).unwrap(), [true, false]);
}

#[test]
fn a_damaged_page_says_nothing() {
    assert_eq!(holding(two(), b"zeppelin", true, false), Err(Damaged));
}

#[test]
fn lines_of_which_nothing_is_known_may_hold_anything() {
    let columns = vec![(Column::unknown(), u32::MAX), (column(&[b"x".to_vec()]), u32::MAX)];
    assert_eq!(holding(columns, b"zeppelin", false, false).unwrap(), [true, false]);
}

#[test]
fn blocks_that_shared_a_column_share_it_again() {
    let [a, b] = [b"abcdefgh".to_vec(), b"ijklmnop".to_vec()].map(|line| Arc::new(column(&[line])));
    let mut fill = TextsFill::default();
    for (column, raw, stream) in [
        (&a, 150_000, 0),
        (&a, 150_000, 0),
        (&a, 150_000, 1),
        (&b, 30_000, 1),
        (&b, 30_000, 2),
        (&a, 100_000, 2),
    ] {
        fill.push(Arc::clone(column), raw, stream);
    }
    // What came with the same one goes with it whatever its stream; the last would be too much.
    let mut head = Output::default();
    fill.encode(0, &[], &mut head);
    assert_eq!(head.as_bytes(), [0, 0, 2, 5, 1]);
}
