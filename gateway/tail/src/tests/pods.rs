//! What somebody knows of pods: when it comes late, when it changes, and when it never comes.

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use parsers::container::PodPath;
use parsers::record::LogRecord;

use super::*;

#[derive(Debug)]
struct Told {
    known: Mutex<Known>,
    revision: AtomicU64,
}

impl Told {
    fn tell(&self, known: Known) {
        *self.known.lock().unwrap() = known;
        self.revision.fetch_add(1, Ordering::Relaxed);
    }

    fn notes(&self, change: impl FnOnce(&mut Notes)) {
        let mut notes = Notes::default();
        notes.metadata.push(("k8s_deployment_name".to_owned(), "cart".to_owned()));
        notes.labels.push(("service_name".to_owned(), "shop".to_owned()));
        change(&mut notes);
        self.tell(Known::Notes(Arc::new(notes)));
    }
}

impl Pods for Told {
    fn revision(&self) -> u64 {
        self.revision.load(Ordering::Relaxed)
    }

    fn container(&self, path: &PodPath<'_>) -> Known {
        assert_eq!((path.namespace, path.uid, path.container), ("ns", Some("uid"), "app"));
        self.known.lock().unwrap().clone()
    }
}

fn world(known: Known) -> (World, Arc<Told>) {
    let told = Arc::new(Told { known: Mutex::new(known), revision: AtomicU64::new(0) });
    let mut world = World::new(1024);
    world.options.pods = Some(Arc::clone(&told) as Arc<dyn Pods>);
    world.restart();
    (world, told)
}

fn line(text: &str) -> Vec<u8> {
    cri("stdout", "F", text)
}

fn records(world: &World) -> Vec<LogRecord> {
    world.taken.iter().flat_map(|batch| batch.logs.rows.iter().map(|row| batch.logs.record(row))).collect()
}

fn has_deployment(record: &LogRecord) -> bool {
    record.metadata.contains(&("k8s_deployment_name".to_owned(), "cart".to_owned()))
}

#[test]
fn a_new_file_waits_for_what_is_to_be_known_of_its_pod() {
    let (mut world, told) = world(Known::Awaited);
    world.append("0.log", &line("one"));
    world.step();
    world.step();
    assert_eq!(world.lines(), [""; 0]);
    told.notes(|_| {});
    world.settle();
    let records = records(&world);
    assert_eq!(world.lines(), ["one"]);
    assert!(has_deployment(&records[0]), "{:?}", records[0].metadata);
    assert_eq!(records[0].labels.get("service_name"), Some("shop"));
    assert_eq!(world.counters.unknown_pod_lines.load(Ordering::Relaxed), 0);
}

#[test]
fn what_never_comes_is_not_waited_for_and_what_comes_late_is_taken() {
    let (mut world, told) = world(Known::Awaited);
    world.append("0.log", &line("one"));
    world.settle();
    assert_eq!(world.lines(), ["one"], "after a few seconds it is read");
    assert_eq!(world.counters.unknown_pod_lines.load(Ordering::Relaxed), 1);
    told.notes(|_| {});
    world.append("0.log", &line("two"));
    world.settle();
    told.tell(Known::Nothing);
    world.append("0.log", &line("three"));
    world.settle();
    let with: Vec<bool> = records(&world).iter().map(has_deployment).collect();
    assert_eq!(
        (world.lines(), with),
        (["one", "two", "three"].map(String::from).to_vec(), vec![false, true, true])
    );
    assert_eq!(world.counters.unknown_pod_lines.load(Ordering::Relaxed), 1);
}

#[test]
fn nobody_waits_for_an_api_that_is_away() {
    let (mut world, told) = world(Known::Nothing);
    world.append("0.log", &line("one"));
    world.step();
    assert_eq!(world.lines(), ["one"]);
    let mut world = World::new(1024);
    world.options.pods = Some(Arc::clone(&told) as Arc<dyn Pods>);
    told.tell(Known::Awaited);
    world.restart();
    world.append("0.log", &line("two"));
    world.step();
    told.tell(Known::Nothing);
    world.step();
    world.step();
    assert_eq!(world.lines(), ["two"], "it was awaited until the API failed");
}

#[test]
fn a_pod_is_left_out_while_it_wants_to_be() {
    let (mut world, told) = world(Known::Awaited);
    told.notes(|_| {});
    world.append("0.log", &line("one"));
    world.settle();
    told.notes(|notes| notes.excluded = true);
    world.append("0.log", &line("two"));
    world.settle();
    assert_eq!(world.lines(), ["one"]);
    assert!(world.counters.containers().is_empty());
    told.notes(|_| {});
    world.append("0.log", &line("three"));
    for _ in 0..3 {
        world.settle();
    }
    assert_eq!(world.lines(), ["one", "two", "three"], "it goes on where it was");
}

#[test]
fn stages_that_a_pod_wants_come_first_and_change_while_it_runs() {
    let (mut world, told) = world(Known::Awaited);
    world.options.files[0].pipeline = Pipeline::new(&[
        StageConfig::StaticLabels(vec![("team".into(), "shop".into())]),
        StageConfig::Redact(parsers::stage::RedactConfig::ALL),
    ])
    .unwrap();
    world.restart();
    told.notes(|_| {});
    world.append("0.log", &line("<0> a"));
    world.settle();
    told.notes(|notes| notes.stages = joined());
    world.append("0.log", &line("<5> b"));
    world.append("0.log", &line("more of b"));
    world.append("0.log", &line("<10> c"));
    world.settle();
    told.notes(|notes| {
        notes.raw = true;
        notes.problems.push("no".to_owned());
    });
    world.append("0.log", &line("<15> someone@example.org"));
    world.append("0.log", &line("d"));
    world.settle();
    let lines = world.lines();
    assert_eq!(lines[..3], ["<0> a", "<5> b\nmore of b", "<10> c"]);
    assert!(lines[3].starts_with("<15> ") && !lines[3].contains("someone"), "still redacted: {lines:?}");
    assert_eq!(lines[4..], ["d"]);
    let teams: Vec<bool> = records(&world).iter().map(|record| record.labels.get("team").is_some()).collect();
    assert_eq!(teams, [true, true, true, false, false]);
    assert_eq!(world.counters.containers()[0].problems, ["no"]);
}

#[test]
fn relabelling_sees_what_is_known_of_a_pod() {
    let (mut world, told) = world(Known::Nothing);
    let rule = RelabelConfig {
        source_labels: vec!["__meta_kubernetes_pod_label_team".into()],
        target_label: "team".into(),
        ..RelabelConfig::default()
    };
    world.options.files[0].relabel = Relabel::new(&[rule]).unwrap();
    told.notes(|notes| {
        notes.discovered.push(("__meta_kubernetes_pod_label_team".to_owned(), "carts".to_owned()));
    });
    world.restart();
    world.append("0.log", &line("one"));
    world.settle();
    let labels = &records(&world)[0].labels;
    assert_eq!((labels.get("team"), labels.get("service_name")), (Some("carts"), Some("shop")));
}
