use super::*;

fn position(inode: u64, time: u64) -> Position {
    let file = FileId { device: 1, inode, head: 2 };
    Position {
        agent: "a".into(),
        file,
        offset: 10,
        resume: 10,
        held: [10; 2],
        marker: 0,
        path: "/x".into(),
        time,
    }
}

#[test]
fn the_table_is_bounded_whatever_times_are_told() {
    let mut positions = Positions::default();
    let many: Vec<Position> = (0..=MAX_POSITIONS as u64).map(|inode| position(inode, 7)).collect();
    positions.apply(&many);
    assert_eq!(positions.all().len(), MAX_POSITIONS / 2);
}

#[test]
fn those_untouched_for_longest_are_forgotten_first() {
    let mut positions = Positions::default();
    let many: Vec<Position> = (0..=MAX_POSITIONS as u64).map(|inode| position(inode, inode)).collect();
    positions.apply(&many);
    let oldest = positions.all().iter().map(|p| p.time).min();
    assert_eq!(oldest, Some((MAX_POSITIONS / 2) as u64 + 1));
}

#[test]
fn a_request_of_very_many_files_is_told_from_repeats_at_once() {
    const FILES: u64 = 50_000;
    let mut positions = Positions::default();
    let batch = Batch {
        logs: parsers::record::LogBatch {
            files: (0..FILES).map(|inode| position(inode, 0).file).collect(),
            rows: (0..FILES)
                .map(|n| LogRow { file: n as u32 + 1, offset: n % 20, ..LogRow::default() })
                .collect(),
            ..Default::default()
        },
        positions: (0..FILES).map(|inode| position(inode, 1)).collect(),
        ..Batch::default()
    };
    positions.apply(&(0..FILES).map(|inode| position(inode, 0)).collect::<Vec<_>>());
    let (fresh, repeats) = positions.without_repeats(&batch).unwrap();
    assert_eq!((fresh.logs.rows.len() as u64, repeats), (FILES / 2, FILES / 2));
}

#[test]
fn a_record_at_the_end_of_its_file_is_new_with_a_new_move_and_a_repeat_with_the_same() {
    let batch = |time| Batch {
        logs: parsers::record::LogBatch {
            files: vec![position(1, 0).file],
            rows: vec![LogRow { file: 1, offset: 10, ..LogRow::default() }],
            ..Default::default()
        },
        positions: vec![position(1, time)],
        ..Batch::default()
    };
    let mut positions = Positions::default();
    positions.apply(&batch(1).positions);
    assert_eq!(positions.without_repeats(&batch(2)), None, "a stage held it back until then");
    positions.apply(&batch(2).positions);
    assert_eq!(positions.without_repeats(&batch(2)).map(|(_, repeats)| repeats), Some(1));
}
