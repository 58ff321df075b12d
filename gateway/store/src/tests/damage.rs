//! Bits that flip on a disk cost at most what they lie in, and are counted.

use super::*;

fn stored(dir: &Path, sealed: bool) -> Vec<LogRecord> {
    let store = open(dir);
    for i in 0..4 {
        store.append(batch(i * 5, 5)).unwrap();
    }
    if sealed {
        store.seal().unwrap();
    }
    expect(&store, 20).forward
}

#[test]
fn a_flipped_bit_in_a_segment_loses_what_it_lies_in_and_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let whole = stored(dir.path(), true);
    for file in files(&dir.path().join("segments")) {
        let bytes = std::fs::read(&file).unwrap();
        // From the end, so that the version byte is met; each opening makes files, so not every byte.
        for at in (0..bytes.len()).rev().step_by(4) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            std::fs::write(&file, &flipped).unwrap();
            let store = match Store::open(options(dir.path())) {
                Ok(store) => store,
                // The version byte: a newer format is refused by name.
                Err(OpenError::Version { .. }) => {
                    assert_eq!(at, bytes.len() - 1);
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            let answers = answers(&store);
            assert!(answers.forward.iter().all(|r| whole.contains(r)));
            let found = answers.forward.len()
                + answers.traces.iter().map(|t| t.0.len() + t.1.len() + t.2.len()).sum::<usize>();
            // The first bytes only say what the file is, for people; all else is covered by a checksum.
            let intact = found == 4 * 20;
            assert!(intact || store.stats().damaged > 0, "byte {at} of {}", file.display());
            drop(store);
            for aside in files(&dir.path().join("segments")) {
                if aside.extension().is_some_and(|e| e == "damaged") {
                    std::fs::remove_file(aside).unwrap();
                }
            }
        }
        std::fs::write(&file, &bytes).unwrap();
    }
}

#[test]
fn a_flipped_bit_in_a_journal_loses_at_most_its_batch_unless_it_hides_where_batches_begin() {
    let dir = tempfile::tempdir().unwrap();
    let whole = stored(dir.path(), false);
    let kept = dir.path().join("kept");
    copy(&dir.path().join("journal"), &kept);
    let bytes = std::fs::read(journal::path(&kept, 1)).unwrap();
    let mut worst = 20;
    for at in 8..bytes.len() {
        std::fs::remove_dir_all(dir.path().join("journal")).unwrap();
        copy(&kept, &dir.path().join("journal"));
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(journal::path(&dir.path().join("journal"), 1), &flipped).unwrap();
        let store = open(dir.path());
        let found = scan(&store, Direction::Forward);
        assert!(found.iter().all(|r| whole.contains(r)));
        assert!(found.len() < 20 && found.len().is_multiple_of(5));
        assert_eq!(store.stats().damaged, 1);
        worst = worst.min(found.len());
    }
    // A flipped length of the first record is the worst that there is.
    assert_eq!(worst, 0);
}

#[test]
fn a_journal_that_cannot_be_read_is_put_aside_and_reported_until_somebody_looks() {
    let dir = tempfile::tempdir().unwrap();
    stored(dir.path(), false);
    let file = journal::path(&dir.path().join("journal"), 1);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[2] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let aside = dir.path().join("journal/00000001.tfj.damaged");
    for _ in 0..2 {
        let store = open(dir.path());
        assert_eq!(store.stats().damaged, 1);
        store.append(batch(0, 5)).unwrap();
        store.seal().unwrap();
        assert_eq!(std::fs::read(&aside).unwrap(), bytes);
        assert_eq!(scan(&store, Direction::Forward).len(), 5);
    }
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    stored(dir.path(), true);
    let manifest = dir.path().join("manifest");
    let mut bytes = std::fs::read(&manifest).unwrap();
    bytes[7] = 9;
    std::fs::write(&manifest, bytes).unwrap();
    let error = Store::open(options(dir.path())).unwrap_err().to_string();
    assert!(error.contains("manifest: format version 9, expected at most 1"), "{error}");
}
