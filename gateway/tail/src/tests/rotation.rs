//! Files that are renamed, compressed and dropped.

use super::*;

#[test]
fn files_that_begin_with_the_same_bytes_are_each_read() {
    let mut world = World::new(4096);
    let head = "the same in both ".repeat(100);
    for (name, line) in [("../other/0.log", "one"), ("0.log", "two")] {
        std::fs::create_dir_all(world.path(name).parent().unwrap()).unwrap();
        world.append(name, format!("{head}\n{line}\n").as_bytes());
    }
    world.settle();
    let mut lines = world.lines();
    lines.sort();
    assert_eq!(lines, ["one", &head, &head, "two"]);
    world.append("0.log", b"three\n");
    world.restart();
    world.settle();
    assert_eq!(world.lines().len(), 5);
}

#[test]
fn what_was_compressed_after_it_was_read_is_not_read_again() {
    let mut world = World::new(1024);
    world.append("0.log", &cri("stdout", "F", "one"));
    world.settle();
    std::fs::rename(world.path("0.log"), world.path("0.log.1")).unwrap();
    world.append("0.log", &cri("stdout", "F", "two"));
    world.settle();
    let mut packed = GzEncoder::new(File::create(world.path("0.log.1.gz")).unwrap(), Compression::fast());
    packed.write_all(&std::fs::read(world.path("0.log.1")).unwrap()).unwrap();
    packed.finish().unwrap();
    std::fs::remove_file(world.path("0.log.1")).unwrap();
    world.settle();
    world.restart();
    world.settle();
    assert_eq!(world.lines(), ["one", "two"]);
}

#[test]
fn a_file_rotated_twice_while_behind_is_read_through_its_descriptor() {
    let mut world = World::new(1024);
    world.append("0.log", &cri("stdout", "F", "one"));
    world.settle();
    world.refusing = true;
    world.append("0.log", &cri("stdout", "F", "two"));
    world.step();
    world.append("0.log", &cri("stdout", "F", "three"));
    for n in 1..=2 {
        std::fs::rename(world.path("0.log"), world.path(&format!("0.log.{n}"))).unwrap();
        world.append("0.log", &cri("stdout", "F", &format!("after {n}")));
    }
    std::fs::remove_file(world.path("0.log.1")).unwrap();
    world.settle();
    assert_eq!(world.lines(), ["one", "two", "three", "after 1", "after 2"]);
}

#[test]
fn what_is_written_rotated_and_compressed_while_nothing_is_taken_is_read() {
    let mut world = World::new(1024);
    world.append("0.log", &cri("stdout", "F", "one"));
    world.settle();
    world.append("0.log", &cri("stdout", "F", "two"));
    world.refusing = true;
    world.step();
    for n in 1..=3 {
        std::fs::rename(world.path("0.log"), world.path(&format!("0.log.{n}"))).unwrap();
        world.append("0.log", &cri("stdout", "F", &format!("after {n}")));
        world.step();
        // As one that is full does it.
        if n > 1 {
            std::fs::remove_file(world.path(&format!("0.log.{}", n - 1))).unwrap();
        }
    }
    assert!(world.counters.behind() > 100);
    world.settle();
    assert_eq!(world.lines(), ["one", "two", "after 1", "after 2", "after 3"]);
}

#[test]
fn what_was_compressed_before_a_reader_that_runs_had_seen_it_is_read() {
    for numbered in [false, true] {
        let mut world = World::new(1024);
        world.append("0.log", &cri("stdout", "F", "one"));
        world.settle();
        let compressed = |world: &World, n: u32, text: &str| {
            let name = if numbered { format!("0.log.{}.gz", 4 - n) } else { format!("0.log.2026010{n}.gz") };
            let packed = File::create(world.path(&name)).unwrap();
            let mut packed = GzEncoder::new(packed, Compression::fast());
            packed.write_all(&cri("stdout", "F", text)).unwrap();
            packed.finish().unwrap();
        };
        // Between two looks of a reader that got no time: the file it knows was rotated and compressed, and two after it.
        std::fs::remove_file(world.path("0.log")).unwrap();
        compressed(&world, 1, "one");
        compressed(&world, 2, "two");
        compressed(&world, 3, "three");
        world.append("0.log", &cri("stdout", "F", "four"));
        world.settle();
        world.append("0.log", &cri("stdout", "F", "five"));
        world.settle();
        assert_eq!(world.lines(), ["one", "two", "three", "four", "five"], "{numbered}");
        world.restart();
        world.settle();
        assert_eq!(world.lines().len(), 5);
    }
}

#[test]
fn an_inode_used_again_is_another_file() {
    let mut world = World::new(1024);
    world.append("0.log", b"old line that is long enough\n");
    world.settle();
    // The same inode with other content is what a reused one looks like to a reader that was down.
    File::create(world.path("0.log")).unwrap();
    world.append("0.log", b"new line that is longer than the old one was\n");
    world.restart();
    world.settle();
    assert_eq!(world.lines().last().unwrap(), "new line that is longer than the old one was");
    assert_eq!(world.lines().len(), 2);
}

#[test]
fn a_file_that_went_while_nobody_read_is_counted_as_lost() {
    let mut world = World::new(1024);
    world.append("0.log", b"old\n");
    world.settle();
    world.tailer = Tailer::new(world.options.clone(), deriver(), Vec::new(), Arc::default());
    std::fs::remove_file(world.path("0.log")).unwrap();
    world.append("0.log", b"new, of another first line\n");
    world.restart();
    world.settle();
    assert_eq!(world.lines(), ["old", "new, of another first line"]);
    assert_eq!(world.counters.containers()[0].losses(Lost::RotatedAway), 1);
}

#[test]
fn generations_that_come_and_go_while_a_batch_waits_are_read() {
    let mut world = World::new(1024);
    world.append("0.log", &cri("stdout", "F", "one"));
    world.settle();
    world.refusing = true;
    world.append("0.log", &cri("stdout", "F", "two"));
    world.step();
    for n in 1..=4 {
        let rotated = format!("0.log.{n}");
        std::fs::rename(world.path("0.log"), world.path(&rotated)).unwrap();
        world.append("0.log", &cri("stdout", "F", &format!("after {n}")));
        world.step();
        // The oldest is dropped, as a kubelet does, and nobody has read it yet.
        std::fs::remove_file(world.path(&rotated)).unwrap();
    }
    world.settle();
    assert_eq!(world.lines(), ["one", "two", "after 1", "after 2", "after 3", "after 4"]);
}

#[test]
fn a_generation_that_was_compressed_before_it_was_seen_is_read_once() {
    let mut world = World::new(1024);
    world.append("0.log.0", b"before any reader\n");
    compress(&world, "0.log.0");
    world.append("0.log", &cri("stdout", "F", "one"));
    world.settle();
    for n in 1..=2 {
        std::fs::rename(world.path("0.log"), world.path(&format!("0.log.{n}"))).unwrap();
        world.append("0.log", &cri("stdout", "F", &format!("after {n}")));
    }
    // Between two looks: the second file had the live name, was rotated and compressed.
    compress(&world, "0.log.1");
    compress(&world, "0.log.2");
    world.settle();
    let mut lines = world.lines();
    lines.sort();
    assert_eq!(lines, ["after 1", "after 2", "one"]);
    // What was read is not read again when it is compressed, renamed, or found by a later run.
    std::fs::rename(world.path("0.log.2.gz"), world.path("0.log.3.gz")).unwrap();
    world.settle();
    world.restart();
    world.settle();
    assert_eq!(world.lines().len(), 3);
}

#[test]
fn a_container_that_went_right_after_its_rotation_is_left() {
    let mut world = World::new(1024);
    world.append("0.log", &cri("stdout", "F", "one"));
    world.settle();
    std::fs::rename(world.path("0.log"), world.path("0.log.1")).unwrap();
    world.append("0.log.1", &cri("stdout", "P", "half"));
    world.append("0.log.1", b"2026-01-01T00:00:00Z stderr F no newline");
    // Its successor never gets a line.
    File::create(world.path("0.log")).unwrap();
    world.settle();
    std::fs::remove_dir_all(world.root.path().join("ns_pod_uid")).unwrap();
    world.settle();
    world.settle();
    assert_eq!(world.lines(), ["one", "no newline", "half"]);
    assert!(world.counters.containers().is_empty());
}

#[test]
fn many_rotated_files_may_be_compressed_at_once() {
    let mut world = World::new(1024);
    for n in 0..100 {
        world.append(&format!("0.log.{n}"), format!("line {n} of long ago\n").as_bytes());
    }
    world.append("0.log", b"one\n");
    world.settle();
    for n in 0..100 {
        compress(&world, &format!("0.log.{n}"));
    }
    world.settle();
    assert_eq!(world.lines(), ["one"]);
}

#[test]
fn generations_that_are_missed_one_after_the_other_under_one_name_are_each_read() {
    let mut world = World::new(1024);
    world.append("0.log", &cri("stdout", "F", "one"));
    world.settle();
    world.refusing = true;
    world.append("0.log", &cri("stdout", "F", "two"));
    world.step();
    for n in 1..=3 {
        // Made, rotated and compressed between two looks, and the one before it dropped.
        world.append("missed", &cri("stdout", "F", &format!("missed {n}")));
        std::fs::rename(world.path("missed"), world.path("0.log.1")).unwrap();
        let _ = std::fs::remove_file(world.path("0.log.1.gz"));
        compress(&world, "0.log.1");
        world.step();
    }
    world.settle();
    assert_eq!(world.lines(), ["one", "two", "missed 1", "missed 2", "missed 3"]);
}
