//! Files that are cut or written anew, with copies and without.

use super::*;

#[test]
fn a_truncated_file_is_read_from_its_beginning_and_counted() {
    let mut world = World::new(1024);
    world.append("0.log", &cri("stdout", "F", "first, and rather long"));
    world.settle();
    File::create(world.path("0.log")).unwrap();
    world.append("0.log", &cri("stdout", "F", "second"));
    world.settle();
    assert_eq!(world.lines(), ["first, and rather long", "second"]);
    assert_eq!(world.counters.truncations.load(Ordering::Relaxed), 1);
}

#[test]
fn a_file_that_is_truncated_and_grows_beyond_what_it_was_is_read_from_its_beginning() {
    let mut world = World::new(1024);
    world.append("0.log", b"first\n");
    world.settle();
    File::create(world.path("0.log")).unwrap();
    world.append("0.log", b"second\nand a third that is longer than the first\n");
    world.settle();
    assert_eq!(world.lines(), ["first", "second", "and a third that is longer than the first"]);
    assert_eq!(world.counters.truncations.load(Ordering::Relaxed), 1);
}

#[test]
fn a_file_that_is_truncated_and_grows_to_just_what_it_was_is_read_from_its_beginning() {
    let mut world = World::new(1024);
    world.append("0.log", b"one\n");
    world.settle();
    let file = File::create(world.path("0.log")).unwrap();
    world.append("0.log", b"two\n");
    file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(1)).unwrap();
    world.settle();
    assert_eq!(world.lines(), ["one", "two"]);
}

#[test]
fn what_is_lost_with_a_truncation_is_counted_as_far_as_it_was_seen() {
    let mut world = World::new(1024);
    world.append("0.log", b"first\n");
    world.settle();
    world.append("0.log", b"seen, but not complete");
    world.settle();
    File::create(world.path("0.log")).unwrap();
    world.append("0.log", b"second\n");
    world.settle();
    assert_eq!(world.lines(), ["first", "second"]);
    let lost = |world: &World| world.counters.containers()[0].lost(Lost::Truncated);
    assert_eq!(lost(&world), "seen, but not complete".len() as u64);
    // While nobody looks, it can have had anything.
    File::create(world.path("0.log")).unwrap();
    world.append("0.log", b"third\n");
    world.restart();
    world.settle();
    assert_eq!(world.lines(), ["first", "second", "third"]);
    let lost = |reason| world.counters.containers()[0].losses(reason);
    assert!(lost(Lost::Truncated) + lost(Lost::RotatedAway) > 0);
}

#[test]
fn a_file_that_is_copied_and_truncated_is_read_once_though_the_reader_is_behind_or_down() {
    let mut world = World::new(1024);
    let copy = |world: &World, n: u32| {
        std::fs::copy(world.path("0.log"), world.path(&format!("0.log.{n}"))).unwrap();
        File::create(world.path("0.log")).unwrap();
    };
    let mut expected = Vec::new();
    let mut line = |world: &World, flag: &str, text: &str| {
        world.append("0.log", &cri("stdout", flag, text));
        expected.push(text.to_owned());
    };
    line(&world, "F", "one");
    world.settle();
    // A copy is seen before the file is cut, and has nothing new.
    std::fs::copy(world.path("0.log"), world.path("0.log.0")).unwrap();
    world.settle();
    copy(&world, 1);
    world.settle();
    line(&world, "F", "two");
    world.settle();
    // Behind.
    line(&world, "F", "three");
    copy(&world, 2);
    line(&world, "F", "four, which is longer than what was there before it was cut");
    world.settle();
    // Down, and down again before all was read.
    line(&world, "F", "five");
    copy(&world, 3);
    line(&world, "F", "six");
    world.restart();
    world.refusing = true;
    world.step();
    world.restart();
    world.settle();
    line(&world, "F", "seven");
    world.settle();
    assert_eq!(world.lines(), expected);
    let report = &world.counters.containers()[0];
    assert_eq!((report.lost(Lost::Truncated), report.lost(Lost::RotatedAway)), (0, 0));
}

#[test]
fn a_record_goes_on_after_its_file_was_copied_and_truncated() {
    let mut world = World::new(1024);
    world.append("0.log", &cri("stdout", "P", "one, "));
    world.settle();
    std::fs::copy(world.path("0.log"), world.path("0.log.1")).unwrap();
    File::create(world.path("0.log")).unwrap();
    world.append("0.log", &cri("stdout", "F", "and the same one"));
    world.settle();
    assert_eq!(world.lines(), ["one, and the same one"]);
}

#[test]
fn a_copy_of_a_file_that_always_begins_alike_is_read_once() {
    let mut world = World::new(1024);
    world.append("0.log", b"banner\none\n");
    world.settle();
    for n in 1..4 {
        world.append("0.log", format!("{n}\n").as_bytes());
        std::fs::copy(world.path("0.log"), world.path(&format!("0.log.{n}"))).unwrap();
        File::create(world.path("0.log")).unwrap();
        world.append("0.log", format!("banner\nagain {n}\n").as_bytes());
        world.restart();
        world.settle();
    }
    let expected = ["banner one 1", "banner again 1 2", "banner again 2 3", "banner again 3"];
    assert_eq!(world.lines().join(" ").replace(" banner", "\nbanner").lines().collect::<Vec<_>>(), expected);
}

#[test]
fn what_follows_a_truncation_is_another_file_even_if_it_begins_alike() {
    let mut world = World::new(1024);
    let write = |world: &World, lines: &[&str]| {
        File::create(world.path("0.log")).unwrap();
        for line in lines {
            world.append("0.log", format!("{line}\n").as_bytes());
        }
    };
    let place = |batch: &Batch, row: usize| (batch.logs.files[0], batch.logs.rows[row].offset);
    write(&world, &["banner", "one", "two"]);
    world.settle();
    write(&world, &["banner"]);
    world.settle();
    // The reader is down while the file is cut again, and grows beyond what it was.
    write(&world, &["banner", "three", "four", "five"]);
    // To any reader this is the file of before, grown: the banner stands where it stood.
    world.restart();
    world.settle();
    world.append("0.log", b"six\n");
    world.restart();
    world.settle();
    let expected = ["banner", "one", "two", "banner", "three", "four", "five", "six"];
    assert_eq!(world.lines(), expected);
    // A store tells records by file and offset: none may look like another.
    let mut places: Vec<_> = Vec::new();
    for batch in &world.taken {
        places.extend((0..batch.logs.rows.len()).map(|row| place(batch, row)));
    }
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), expected.len());
}

#[test]
fn what_was_not_read_of_a_file_that_is_copied_and_cut_is_read_in_its_copy() {
    let mut world = World::new(1024);
    world.append("0.log", b"one\n");
    world.settle();
    world.append("0.log", b"two\n");
    copy_truncate(&world, "0.log.1");
    // Longer than before, so that its length does not tell.
    world.append("0.log", b"three, which is a long line\n");
    world.settle();
    assert_eq!(world.lines(), ["one", "two", "three, which is a long line"]);
    // The same with nobody reading meanwhile.
    world.append("0.log", b"four\n");
    copy_truncate(&world, "0.log.2");
    world.append("0.log", b"five, which is a much longer line than those before it\n");
    world.restart();
    world.settle();
    let five = "five, which is a much longer line than those before it";
    assert_eq!(world.lines()[3..], ["four", five]);
    assert_eq!(world.counters.containers()[0].losses(Lost::Truncated), 0);
}

#[test]
fn what_a_cut_file_loses_is_counted_with_its_place() {
    let mut world = World::new(1024);
    world.append("0.log", b"read\n");
    world.settle();
    world.refusing = true;
    world.append("0.log", b"read, too\n");
    world.step();
    world.append("0.log", b"never read\n");
    // It is seen while the batch before it waits.
    world.step();
    File::create(world.path("0.log")).unwrap();
    world.append("0.log", b"new\n");
    world.settle();
    assert_eq!(world.lines(), ["read", "read, too", "new"]);
    let losses = world.counters.containers()[0].recent_losses();
    assert_eq!(losses.len(), 1);
    let Loss { reason, from, to, bytes, .. } = losses[0];
    assert_eq!((reason, from, to, bytes), (Lost::Truncated, 15, Some(26), 11));
}

#[test]
fn a_file_written_anew_is_told_from_one_that_grew() {
    let mut world = World::new(1024);
    world.append("0.log", b"one\ntwo\n");
    world.settle();
    File::create(world.path("0.log")).unwrap();
    world.append("0.log", b"other lines that are longer than those before\n");
    world.settle();
    assert_eq!(world.lines(), ["one", "two", "other lines that are longer than those before"]);
    let losses = world.counters.containers()[0].recent_losses();
    assert_eq!((losses[0].reason, losses[0].from, losses[0].to), (Lost::Truncated, 8, None));
}

#[test]
fn a_copy_that_somebody_made_and_removed_is_let_go() {
    let mut world = World::new(1024);
    world.append("0.log", b"one\n");
    world.settle();
    std::fs::copy(world.path("0.log"), world.path("0.log.bak")).unwrap();
    world.settle();
    std::fs::remove_file(world.path("0.log.bak")).unwrap();
    world.settle();
    assert_eq!(held_without_a_name(&world), 0);
    world.append("0.log", b"two\n");
    world.settle();
    assert_eq!(world.lines(), ["one", "two"]);
}

#[test]
fn a_copy_that_is_compressed_at_once_is_read_though_it_has_no_name() {
    let mut world = World::new(1024);
    world.append("0.log", b"one\n");
    world.settle();
    world.append("0.log", b"two\n");
    std::fs::copy(world.path("0.log"), world.path("0.log.1")).unwrap();
    // Seen before the file is cut, and nothing was read since.
    world.tailer.watch(world.now);
    File::create(world.path("0.log")).unwrap();
    world.append("0.log", b"three, which is longer\n");
    compress(&world, "0.log.1");
    world.settle();
    assert_eq!(world.lines(), ["one", "two", "three, which is longer"]);
    assert_eq!(held_without_a_name(&world), 0);
}
