use std::time::{Duration, SystemTime};

use super::*;

#[test]
fn a_glob_stays_within_names_unless_it_has_two_stars() {
    let pods = Glob::new("/var/log/pods/*/*/*.log");
    assert!(pods.matches("/var/log/pods/a_b_c/app/0.log"));
    assert!(!pods.matches("/var/log/pods/a_b_c/app/0.log.20260101"));
    assert!(!pods.matches("/var/log/pods/a_b_c/deep/app/0.log"));
    assert!(Glob::new("/var/**/*.log").matches("/var/a/b/c.log"));
    assert!(Glob::new("/var/**/*.log").matches("/var/c.log"));
    assert!(Glob::new("/a/?.l*g*").matches("/a/x.loggg"));
    assert!(!Glob::new("/a/?.log").matches("/a/xy.log"));
}

#[test]
fn a_rotated_file_is_told_by_its_name() {
    for (name, live) in [
        ("0.log", "0.log"),
        ("0.log.20260101-000000", "0.log"),
        ("app.log-20260101", "app.log"),
        ("app.log.1", "app.log"),
        ("access.1", "access"),
        ("syslog.2.gz", "syslog"),
        ("0.log.20260101-000000.gz", "0.log"),
        ("backup.gz", "backup.gz"),
        ("syslog", "syslog"),
        ("a.logger", "a.logger"),
    ] {
        assert_eq!(live_name(name), live);
    }
}

#[test]
fn a_folder_that_is_made_later_is_found_without_a_full_look() {
    let root = tempfile::tempdir().unwrap();
    let mut options = TailOptions::new("a");
    options.files = vec![format!("{}/pods/*/*.log", root.path().display()).into()];
    let mut discovery = Discovery::new(&options, Arc::default());
    assert!(discovery.look(1).unwrap().chains.is_empty());
    assert!(discovery.look(2).is_none());
    std::fs::create_dir_all(root.path().join("pods/one")).unwrap();
    std::fs::write(root.path().join("pods/one/0.log"), "x").unwrap();
    assert_eq!(discovery.look(3).unwrap().chains.len(), 1);
    std::fs::write(root.path().join("pods/one/1.log"), "x").unwrap();
    let look = discovery.look(4).unwrap();
    assert_eq!((look.chains.len(), look.folders.map(|f| f.len())), (2, Some(1)));
    std::fs::remove_dir_all(root.path().join("pods")).unwrap();
    assert!(discovery.look(5).unwrap().chains.is_empty());
}

#[test]
fn a_queue_of_events_that_overflows_costs_one_look_at_all() {
    let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    let root = tempfile::tempdir().unwrap();
    let mut options = TailOptions::new("a");
    options.files = vec![format!("{}/*.log", root.path().display()).into()];
    let counters = Arc::new(Counters::default());
    let mut discovery = Discovery::new(&options, Arc::clone(&counters));
    discovery.look(1).unwrap();
    let (one, other) = (root.path().join("one.log"), root.path().join("other.log"));
    std::fs::write(&one, "x").unwrap();
    for _ in 0..=limit / 4 {
        std::fs::rename(&one, &other).unwrap();
        std::fs::rename(&other, &one).unwrap();
    }
    std::fs::write(&other, "x").unwrap();
    let look = discovery.look(2).unwrap();
    assert!(look.full);
    assert_eq!(look.chains.len(), 2);
    assert_eq!(counters.event_overflows.load(Ordering::Relaxed), 1);
    assert!(discovery.look(3).is_none());
}

#[test]
fn where_no_watch_can_be_had_folders_are_polled() {
    let root = tempfile::tempdir().unwrap();
    let mut options = TailOptions::new("a");
    options.files = vec![format!("{}/*.log", root.path().display()).into()];
    let counters = Arc::new(Counters::default());
    let mut discovery = Discovery::new(&options, Arc::clone(&counters));
    discovery.watches = Watches::none();
    assert!(discovery.look(1).unwrap().chains.is_empty());
    assert_eq!(counters.unwatched_folders.load(Ordering::Relaxed), 1);
    std::fs::write(root.path().join("new.log"), "x").unwrap();
    assert!(discovery.look(2).is_none());
    assert_eq!(discovery.look(1 + options.poll_every).unwrap().chains.len(), 1);
}

#[test]
fn a_link_to_another_folder_that_changed_at_the_same_moment_is_followed() {
    let root = tempfile::tempdir().unwrap();
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for name in ["one", "two"] {
        let folder = root.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.log")), "x").unwrap();
        std::fs::File::open(&folder).unwrap().set_modified(long_ago).unwrap();
    }
    let link = root.path().join("current");
    std::os::unix::fs::symlink(root.path().join("one"), &link).unwrap();
    let mut options = TailOptions::new("a");
    options.files = vec![format!("{}/*.log", link.display()).into()];
    let mut discovery = Discovery::new(&options, Arc::default());
    assert_eq!(discovery.look(1).unwrap().chains.len(), 1);
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(root.path().join("two"), &link).unwrap();
    let look = discovery.look(1 + options.reconcile_every).unwrap();
    assert!(look.chains.keys().next().unwrap().ends_with("two.log"));
    // What comes there is told, too.
    std::fs::write(root.path().join("two/three.log"), "x").unwrap();
    assert_eq!(discovery.look(2 + options.reconcile_every).unwrap().chains.len(), 2);
}
