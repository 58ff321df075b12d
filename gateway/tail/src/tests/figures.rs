//! What is said of how far reading is.

use super::*;

#[test]
fn a_file_that_was_not_read_yet_waits_since_it_was_seen() {
    let mut world = World::new(1024);
    world.append("0.log", b"one\n");
    world.settle();
    world.refusing = true;
    world.append("0.log", b"two\n");
    world.step();
    world.append("1.log", b"of another file\n");
    world.step();
    world.step();
    let new = world.counters.containers().into_iter().find(|file| file.path.ends_with("1.log")).unwrap();
    assert_eq!(new.behind.load(Ordering::Relaxed), 16);
    assert!(new.lag(world.now) <= 3 * TICK, "{}", new.lag(world.now));
}

#[test]
fn a_file_that_was_quiet_for_long_is_not_late_by_that() {
    let mut world = World::new(1024);
    world.append("0.log", b"one\n");
    world.append("1.log", b"one\n");
    world.settle();
    world.now += 3600 * TICK;
    world.refusing = true;
    world.append("0.log", b"two\n");
    world.step();
    world.append("1.log", b"two\n");
    world.step();
    let quiet = world.counters.containers().into_iter().find(|file| file.path.ends_with("1.log")).unwrap();
    assert_eq!(quiet.behind.load(Ordering::Relaxed), 4);
    assert!(quiet.lag(world.now) <= 3 * TICK, "{}", quiet.lag(world.now));
}

#[test]
fn a_file_that_always_has_more_is_late_by_what_waits_alone() {
    let mut world = World::new(1024);
    let much = b"a line that is read in its turn\n".repeat(18_000);
    world.append("0.log", &much);
    for _ in 0..20 {
        world.append("0.log", &much);
        world.step();
        let report = &world.counters.containers()[0];
        assert!(report.behind.load(Ordering::Relaxed) > 0);
        assert!(report.lag(world.now) <= 3 * TICK, "{}", report.lag(world.now));
    }
}

#[test]
fn what_the_files_of_one_container_lost_is_one_figure() {
    let mut world = World::new(1024);
    for name in ["0.log", "1.log"] {
        world.append(name, &[b'x'; 2000]);
        world.append(name, b"\n");
    }
    world.settle();
    let files = world.counters.containers();
    assert_eq!(files.iter().map(|file| file.losses(Lost::LineTooLong)).sum::<u64>(), 2);
    assert!(files.iter().all(|file| &*file.pod == "pod"));
    let losses: Vec<_> = world.counters.losses().into_iter().collect();
    assert_eq!(losses, [((["ns", "pod", "app"].map(Arc::from), Lost::LineTooLong), (2, 2 * (2000 - 1024)))]);
}

#[test]
fn what_a_container_has_lost_is_told_after_it_is_gone() {
    let mut world = World::new(10);
    world.append("0.log", b"a line that is longer than it may be\n");
    world.settle();
    let lost = |world: &World| world.counters.losses().into_iter().collect::<Vec<_>>();
    let before = lost(&world);
    std::fs::remove_dir_all(world.root.path().join("ns_pod_uid")).unwrap();
    world.settle();
    assert!(world.counters.containers().is_empty());
    assert_eq!((before.len(), lost(&world)), (1, before));
}
