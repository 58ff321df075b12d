//! Files of several names, of none, and more of them than may be open.

use super::*;

#[test]
fn a_pod_that_is_deleted_right_after_it_wrote_is_read() {
    let mut world = World::new(1024);
    world.append("0.log", &cri("stdout", "F", "one"));
    world.settle();
    world.refusing = true;
    let pod = world.root.path().join("ns_short_uid");
    std::fs::create_dir_all(pod.join("job")).unwrap();
    world.append("../../ns_short_uid/job/0.log", &cri("stdout", "F", "all that it ever said"));
    // The sink takes nothing, and still the file is opened while it is there.
    world.append("0.log", &cri("stdout", "F", "two"));
    world.step();
    world.step();
    std::fs::remove_dir_all(pod).unwrap();
    world.settle();
    let mut lines = world.lines();
    lines.sort();
    assert_eq!(lines, ["all that it ever said", "one", "two"]);
}

#[test]
fn a_link_is_followed_to_the_file_that_takes_its_targets_place() {
    let mut world = World::new(1024);
    let links = world.root.path().join("containers");
    std::fs::create_dir_all(&links).unwrap();
    std::os::unix::fs::symlink(world.path("0.log"), links.join("pod_ns_app-0123.log")).unwrap();
    world.options.files = vec![format!("{}/*.log", links.display()).into()];
    world.restart();
    world.append("0.log", &cri("stdout", "F", "one"));
    world.settle();
    // Behind at the rotation of the target.
    world.append("0.log", &cri("stdout", "F", "two"));
    std::fs::rename(world.path("0.log"), world.path("0.log.1")).unwrap();
    world.append("0.log", &cri("stdout", "F", "three"));
    for _ in 0..3 {
        world.settle();
    }
    assert_eq!(world.lines(), ["one", "two", "three"]);
}

#[test]
fn a_folder_that_vanishes_ends_its_container_after_what_it_left_was_read() {
    let mut world = World::new(1024);
    world.append("0.log", &cri("stdout", "F", "one"));
    world.settle();
    world.append("0.log", &cri("stdout", "P", "half of "));
    world.append("0.log", b"2026-01-01T00:00:00Z stderr F no newline");
    std::fs::remove_dir_all(world.root.path().join("ns_pod_uid")).unwrap();
    world.settle();
    assert_eq!(world.lines(), ["one", "no newline", "half of "]);
    assert!(world.counters.containers().is_empty());
}

#[test]
fn a_linked_file_is_followed_through_rotations_of_what_it_leads_to() {
    let mut world = World::new(1024);
    let links = world.root.path().join("containers");
    std::fs::create_dir(&links).unwrap();
    world.append("0.log", &cri("stdout", "F", "one"));
    std::os::unix::fs::symlink(world.path("0.log"), links.join("app.log")).unwrap();
    world.options.files = vec![format!("{}/*.log", links.display()).into()];
    world.options.reconcile_every = u64::MAX;
    world.restart();
    world.settle();
    for n in 1..=3 {
        std::fs::rename(world.path("0.log"), world.path(&format!("0.log.{n}"))).unwrap();
        world.append("0.log", &cri("stdout", "F", &format!("after {n}")));
        if n == 2 {
            // A rotation while nobody reads.
            world.restart();
        }
    }
    world.settle();
    assert_eq!(world.lines(), ["one", "after 1", "after 2", "after 3"]);
}

#[test]
fn a_file_that_two_globs_reach_under_two_names_is_read_once() {
    let mut world = World::new(1024);
    world.append("0.log", b"one\n");
    std::os::unix::fs::symlink(world.path("0.log"), world.root.path().join("link.log")).unwrap();
    let link = format!("{}/*.log", world.root.path().display());
    world.options.files.push(link.into());
    world.restart();
    world.settle();
    world.append("0.log", b"two\n");
    world.settle();
    assert_eq!(world.lines(), ["one", "two"]);
}

#[test]
fn no_more_files_are_open_than_may_be_and_the_others_have_their_turn() {
    let mut world = World::new(1024);
    world.options.max_files = 2;
    world.restart();
    for n in 0..4 {
        world.append(&format!("{n}.log"), format!("line of {n}\n").as_bytes());
    }
    world.settle();
    assert_eq!(world.lines(), ["line of 0", "line of 1"]);
    assert_eq!(world.counters.waiting_files.load(Ordering::Relaxed), 2);
    std::fs::remove_file(world.path("0.log")).unwrap();
    std::fs::remove_file(world.path("1.log")).unwrap();
    for _ in 0..4 {
        world.settle();
    }
    assert_eq!(world.lines()[2..], ["line of 2", "line of 3"]);
    assert_eq!(world.counters.waiting_files.load(Ordering::Relaxed), 0);
}

#[test]
fn files_that_are_rotated_go_on_though_no_more_may_be_open() {
    let mut world = World::new(1024);
    world.options.max_files = 4;
    world.restart();
    for n in 0..4 {
        world.append(&format!("{n}.log"), format!("line of {n}\n").as_bytes());
    }
    world.settle();
    for n in 0..4 {
        let live = world.path(&format!("{n}.log"));
        std::fs::rename(&live, live.with_extension("log.1")).unwrap();
        world.append(&format!("{n}.log"), format!("after {n}\n").as_bytes());
    }
    for _ in 0..4 {
        world.settle();
    }
    let mut lines = world.lines();
    lines.sort();
    assert_eq!(lines, ["after 0", "after 1", "after 2", "line of 0", "line of 1", "line of 2"]);
    assert_eq!(world.counters.waiting_files.load(Ordering::Relaxed), 2);
}

#[test]
fn a_file_of_two_names_is_read_once_after_it_was_rotated_to_any_name() {
    let mut world = World::new(1024);
    world.append("0.log", b"one\n");
    let links = world.root.path().join("a_links");
    std::fs::create_dir(&links).unwrap();
    std::os::unix::fs::symlink(world.path("0.log"), links.join("link.log")).unwrap();
    world.options.files.push(format!("{}/*.log", links.display()).into());
    world.restart();
    world.settle();
    for n in 0..3 {
        world.append("0.log", format!("two {n}\n").as_bytes());
        world.settle();
        std::fs::rename(world.path("0.log"), world.path(&format!("moved-{n}"))).unwrap();
        world.append("0.log", format!("three {n}\n").as_bytes());
        world.settle();
    }
    let mut lines = world.lines();
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), world.lines().len(), "{:?}", world.lines());
    assert_eq!(lines.len(), 7);
}

#[test]
fn a_file_that_is_removed_is_let_go_though_rotated_ones_are_there() {
    let mut world = World::new(1024);
    world.options.files = vec![format!("{}/*/*/0.log*", world.root.path().display()).into()];
    world.restart();
    world.append("0.log", b"one\n");
    world.settle();
    std::fs::rename(world.path("0.log"), world.path("0.log.1")).unwrap();
    world.append("0.log", b"two\nno newline");
    world.settle();
    std::fs::remove_file(world.path("0.log")).unwrap();
    world.settle();
    world.settle();
    assert_eq!(world.lines(), ["one", "two", "no newline"]);
    assert_eq!(held_without_a_name(&world), 0);
    world.append("0.log", b"three\n");
    world.settle();
    std::fs::rename(world.path("0.log"), world.path("0.log.2")).unwrap();
    world.append("0.log", b"four\n");
    world.settle();
    assert_eq!(world.lines(), ["one", "two", "no newline", "three", "four"]);
}
