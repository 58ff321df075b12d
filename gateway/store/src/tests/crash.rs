//! A process that dies between any two steps of sealing or merging leaves files from which all comes back, once.

use super::*;
use crate::codec::decode_batch;
use crate::seal;
use crate::store::lock;

/// A data directory before and after its head was sealed.
fn before_and_after(dir: &Path) -> (std::path::PathBuf, std::path::PathBuf, Answers) {
    let (now, before, after) = (dir.join("now"), dir.join("before"), dir.join("after"));
    let store = open(&now);
    store.append(batch(0, 30)).unwrap();
    store.seal().unwrap();
    store.append(batch(30, 30)).unwrap();
    drop(store);
    // Two journals make the next head.
    let store = open(&now);
    store.append(batch(60, 30)).unwrap();
    copy(&now, &before);
    store.seal().unwrap();
    copy(&now, &after);
    let answers = expect(&store, 90);
    (before, after, answers)
}

fn check(dir: &Path, expected: &Answers) {
    let store = open(dir);
    assert_eq!(&expect(&store, 90), expected);
    // Nothing was left behind that a later step would trip over.
    store.seal().unwrap();
    assert_eq!(&expect(&store, 90), expected);
    drop(store);
    assert_eq!(&expect(&open(dir), 90), expected);
    std::fs::remove_dir_all(dir).unwrap();
}

/// Adds the first so many of the files that only `after` has in a folder.
fn add_new(before: &Path, after: &Path, to: &Path, count: usize) -> usize {
    let new: Vec<_> =
        files(after).into_iter().filter(|f| !before.join(f.file_name().unwrap()).exists()).collect();
    for file in new.iter().take(count) {
        std::fs::copy(file, to.join(file.file_name().unwrap())).unwrap();
    }
    new.len()
}

#[test]
fn a_crash_at_any_step_of_sealing_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (before, after, expected) = before_and_after(dir.path());
    let crashed = dir.path().join("crashed");
    let segments = |dir: &Path| dir.join("segments");
    let new = add_new(&segments(&before), &segments(&after), dir.path(), 0);
    assert_eq!(new, 3);
    for manifest in ["kept", "damaged", "copy damaged", "both damaged", "both gone"] {
        let spoil = |crashed: &Path| {
            let spoil = |name: &str| std::fs::write(crashed.join(name), b"tfmanif\x01 not this").unwrap();
            match manifest {
                "damaged" => spoil("manifest"),
                "copy damaged" => spoil("manifest-copy"),
                "both damaged" => ["manifest", "manifest-copy"].into_iter().for_each(spoil),
                "both gone" => ["manifest", "manifest-copy"]
                    .into_iter()
                    .for_each(|name| std::fs::remove_file(crashed.join(name)).unwrap()),
                _ => {}
            }
        };
        // Segments are written one by one; the last may be half written.
        for written in 0..=new {
            copy(&before, &crashed);
            add_new(&segments(&before), &segments(&after), &segments(&crashed), written);
            std::fs::write(segments(&crashed).join("logs-20370-00000009-00000009.tmp"), b"tfsegmt").unwrap();
            spoil(&crashed);
            check(&crashed, &expected);
        }
        // Then the manifest is replaced, its copy follows, and journals go in any order.
        let journals: Vec<_> = files(&before.join("journal"));
        for gone in 0..=journals.len() {
            for copied in [false, true] {
                copy(&before, &crashed);
                add_new(&segments(&before), &segments(&after), &segments(&crashed), new);
                std::fs::copy(after.join("manifest"), crashed.join("manifest")).unwrap();
                if copied {
                    std::fs::copy(after.join("manifest-copy"), crashed.join("manifest-copy")).unwrap();
                }
                add_new(&before.join("journal"), &after.join("journal"), &crashed.join("journal"), 9);
                for journal in journals.iter().take(gone) {
                    std::fs::remove_file(crashed.join("journal").join(journal.file_name().unwrap())).unwrap();
                }
                let store_forgot = manifest.starts_with("both") || (manifest == "damaged" && !copied);
                if store_forgot && gone > 0 {
                    // The table of positions was in what was spoilt, and its journals are gone: records are all there.
                    spoil(&crashed);
                    let store = open(&crashed);
                    let mut found = expect(&store, 90);
                    found.positions.clone_from(&expected.positions);
                    assert_eq!(found, expected);
                    drop(store);
                    std::fs::remove_dir_all(&crashed).unwrap();
                } else {
                    spoil(&crashed);
                    check(&crashed, &expected);
                }
            }
        }
    }
}

#[test]
fn a_journal_begins_on_a_full_disk_and_takes_nothing_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", journal::path(dir.path(), 1)).unwrap();
    let mut journal = journal::Journal::create(dir.path(), 1).unwrap();
    for _ in 0..2 {
        let error = journal.append(&journal::record(b"record"), false).unwrap_err();
        assert!(disk::is_full(&error), "{error}");
    }
}

#[test]
fn a_journal_cut_anywhere_keeps_whole_batches_before_the_cut() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for i in 0..3 {
        store.append(Arc::new(Batch { logs: logs(i * 2, 2), ..Batch::default() })).unwrap();
    }
    drop(store);
    let file = journal::path(&dir.path().join("journal"), 1);
    let whole = std::fs::read(&file).unwrap();
    let replay = || {
        let mut records = 0;
        let replayed = journal::replay(&file, decode_batch, |b| records += b.logs.rows.len()).unwrap();
        (records, replayed)
    };
    assert_eq!(replay().0, 6);
    for cut in 0..whole.len() {
        std::fs::write(&file, &whole[..cut]).unwrap();
        let (records, replayed) = replay();
        assert!(records % 2 == 0 && records < 6, "{records} records at {cut}");
        assert!(!replayed.unreadable);
    }
}

#[test]
fn positions_are_on_the_disk_after_the_rows_that_they_cover() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.append(batch(0, 10)).unwrap();
    seal::freeze(store.inner(), |_| true).unwrap();
    // Rows that stay in a journal, and a position that the manifest will have.
    store.append(batch(10, 10)).unwrap();
    seal::seal_frozen(store.inner()).unwrap();
    assert!(lock(&store.inner().writing).journal.take_dirty().is_none());
}
