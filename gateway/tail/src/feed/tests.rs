//! Sources that are not files, against a sink that remembers.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parsers::record::{Batch, LogRecord, LogRow, Position, Severity};
use parsers::stage::relabel::{RelabelAction, RelabelConfig};
use parsers::stage::{FirstLine, MultilineConfig, StageConfig};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::inlet::{Inlet, Place, Record};
use super::lines::Lines;
use super::pump::{Assemble, Making, Pump};
use super::streams::Streams;
use super::*;
use crate::reading::batch::Filling;
use crate::report::Lost;
use crate::sink::{Refusal, RefusalKind};

/// Takes all, after so many refusals.
#[derive(Default)]
struct Taken {
    batches: Mutex<Vec<Arc<Batch>>>,
    refusals: AtomicUsize,
}

#[async_trait]
impl Sink for Taken {
    async fn deliver(&self, batch: Arc<Batch>) -> Result<(), Refusal> {
        let left =
            self.refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_ok() {
            return Err(Refusal {
                kind: RefusalKind::Busy,
                detail: "busy".into(),
                retry_after: Duration::ZERO,
            });
        }
        self.batches.lock().unwrap().push(batch);
        Ok(())
    }
}

impl Taken {
    fn records(&self) -> Vec<LogRecord> {
        let batches = self.batches.lock().unwrap();
        batches.iter().flat_map(|b| b.logs.rows.iter().map(|row| b.logs.record(row))).collect()
    }

    fn lines(&self) -> Vec<String> {
        self.records().into_iter().map(|r| String::from_utf8(r.line).unwrap()).collect()
    }
}

fn means(sink: &Arc<Taken>) -> Means {
    Means {
        deriver: Arc::new(Deriver::new(&[]).unwrap()),
        sink: Arc::clone(sink) as Arc<dyn Sink>,
        counters: Arc::default(),
        shutdown: CancellationToken::new(),
    }
}

/// Reads all of this input.
async fn read(input: impl Read + Send + 'static, options: &FeedOptions) -> (Arc<Taken>, Means) {
    let sink = Arc::new(Taken::default());
    let means = means(&sink);
    standard_input(input, options, means.clone()).await.unwrap();
    (sink, means)
}

fn options() -> FeedOptions {
    FeedOptions { labels: vec![("job".into(), "batch".into())], ..FeedOptions::new("a") }
}

fn numbered_lines_begin_records() -> Pipeline {
    let firstline = FirstLine::Expression("^\\d".into());
    let multiline = MultilineConfig { firstline, max_wait_time: None, max_lines: None };
    Pipeline::new(&[StageConfig::Multiline(multiline)]).unwrap()
}

#[tokio::test]
async fn lines_of_any_kind_are_delivered_with_their_ids_and_the_last_one_without_its_newline() {
    let text = "plain trace_id=4bf92f3577b34da6a3ce929d0e0e4736\n\
                2026-01-02T03:04:05.5Z stderr P half \n2026-01-02T03:04:05.6Z stderr F and half\nlast\u{fffd}";
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0xff);
    let (sink, means) = read(Cursor::new(bytes), &options()).await;
    assert_eq!(
        sink.lines(),
        ["plain trace_id=4bf92f3577b34da6a3ce929d0e0e4736", "half and half", "last\u{fffd}\u{fffd}"]
    );
    let records = sink.records();
    assert!(records[0].trace_id.is_some());
    let labels = |at: usize| records[at].labels.iter().collect::<Vec<_>>();
    assert_eq!(labels(0), [("job", "batch"), ("service_name", "batch")]);
    assert_eq!(records[1].labels.get("stream"), Some("stderr"));
    let report = &means.counters.containers()[0];
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!((of(&report.lines), of(&report.invalid_utf8), of(&report.behind)), (3, 1, 0));
}

#[tokio::test]
async fn a_record_of_several_lines_is_held_until_it_is_whole_and_let_go_at_the_end() {
    let options = FeedOptions { pipeline: numbered_lines_begin_records(), ..options() };
    let (sink, _) = read(Cursor::new("1 a\n b\n2 c\n d"), &options).await;
    assert_eq!(sink.lines(), ["1 a\n b", "2 c\n d"]);
    // Their places grow, so that a server which stores each once takes both.
    let places: Vec<u64> = sink.records().iter().map(|r| r.source.unwrap().offset).collect();
    assert!(places[0] < places[1], "{places:?}");
    let batches = sink.batches.lock().unwrap();
    assert!(batches.iter().flat_map(|b| &b.positions).last().unwrap().offset > places[1]);
}

#[tokio::test]
async fn a_long_line_keeps_its_head_and_what_is_cut_is_counted() {
    let options = FeedOptions { max_line: 10, ..options() };
    let long = "ä".repeat(100_000);
    let (sink, means) = read(Cursor::new(format!("{long}\nnext\n")), &options).await;
    assert_eq!(sink.lines(), ["äääää", "next"]);
    assert_eq!(means.counters.containers()[0].lost(Lost::LineTooLong), 200_000 - 10);
}

#[tokio::test(start_paused = true)]
async fn refused_batches_are_offered_again() {
    let sink = Arc::new(Taken { refusals: AtomicUsize::new(3), ..Taken::default() });
    standard_input(Cursor::new("a\nb\n"), &options(), means(&sink)).await.unwrap();
    assert_eq!(sink.lines(), ["a", "b"]);
}

/// Gives lines without end, and counts them.
struct Endless(Arc<AtomicUsize>);

impl Read for Endless {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        into.fill(b'\n');
        self.0.fetch_add(into.len(), Ordering::Relaxed);
        Ok(into.len())
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_takes_nothing_stops_the_reading_and_a_shutdown_does_not_wait_for_it_for_ever() {
    let sink = Arc::new(Taken { refusals: AtomicUsize::new(usize::MAX), ..Taken::default() });
    let (means, read) = (means(&sink), Arc::new(AtomicUsize::new(0)));
    let shutdown = means.shutdown.clone();
    let counters = Arc::clone(&means.counters);
    let small = FeedOptions { batch_bytes: 1000, ..options() };
    let input = Endless(Arc::clone(&read));
    let running = tokio::spawn(async move { standard_input(input, &small, means).await });
    while counters.refusals.load(Ordering::Relaxed) < 20 {
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
    }
    shutdown.cancel();
    assert!(matches!(running.await.unwrap(), Err(InputError::NotTaken)));
    assert!(read.load(Ordering::Relaxed) <= 10 * 64 * 1024);
}

/// The record of this number, by this sender.
fn record(number: u64, sender: &str, text: &str) -> Record {
    let file = FileId { device: NO_DEVICE, inode: 1, head: 1 };
    let place = Place { file, number, cursor: format!("c{number}").into() };
    let labels = [("sender", sender)].into_iter().collect();
    Record { time: Some(1), text: text.into(), labels, place: Some(place), ..Record::default() }
}

#[tokio::test]
async fn reading_starts_again_before_the_oldest_record_that_a_stage_holds_of_any_stream() {
    let sink = Arc::new(Taken::default());
    let means = means(&sink);
    let options = FeedOptions { pipeline: numbered_lines_begin_records(), ..options() };
    let mut streams = Streams::new("x", "x", &options, &[], &means);
    let mut filling = Filling::new(Arc::clone(&means.deriver));
    let (inlet, mut queue) = Inlet::new();
    let mut made = Vec::new();
    // What comes in; the records that come out; where reading would start again, and the place noted.
    for (read, out, noted) in [
        // The first was never through: there is no place to start again at.
        (Some(record(1, "a", "1 a")), vec![], Some(("x", 2))),
        (Some(record(2, "b", "no beginning")), vec!["no beginning"], Some(("x", 3))),
        (Some(record(3, "a", " more of a")), vec![], Some(("x", 4))),
        (Some(record(4, "a", "2 a")), vec!["1 a\n more of a"], Some(("c3", 5))),
        (Some(record(5, "b", "3 b")), vec![], Some(("c3", 6))),
        (None, vec!["2 a", "3 b"], Some(("c5", 6))),
    ] {
        let mut wait = 0;
        let mut making = Making { filling: &mut filling, counters: &means.counters, wait: &mut wait };
        match read {
            Some(record) => {
                inlet.put(record).await;
                streams.take(queue.recv().await.unwrap(), &mut making);
            }
            None => streams.flush(&mut making),
        }
        let mut positions = Vec::new();
        streams.positions(1, &mut positions);
        let logs = filling.take();
        let mut lines: Vec<String> =
            logs.rows.iter().map(|row| String::from_utf8(logs.line(row).to_vec()).unwrap()).collect();
        lines.sort();
        assert_eq!(lines, out);
        assert_eq!(positions.last().map(|p| (&*p.path, p.offset)), noted);
        made.extend(logs.rows.iter().map(|row| row.offset));
    }
    // None is below what was noted before it.
    assert_eq!(made, [2, 4, 6, 6]);
}

#[tokio::test]
async fn what_senders_name_becomes_no_labels_without_end_and_cut_characters_go() {
    let sink = Arc::new(Taken::default());
    let means = means(&sink);
    let streams = Streams::new("x", "x", &options(), &[], &means);
    let (inlet, queue) = Inlet::new();
    let pump = tokio::spawn(Pump::new(streams, means, 1000).run(queue));
    for n in 1..=1200 {
        let mut sent = record(n, &n.to_string(), "ä");
        sent.text.truncate(1);
        sent.truncated = 1;
        assert!(inlet.put(sent).await);
    }
    drop(inlet);
    assert!(pump.await.unwrap());
    let records = sink.records();
    let named = records.iter().filter(|r| r.labels.get("sender").is_some()).count();
    assert_eq!((records.len(), named), (1200, 1000));
    assert!(records.iter().all(|r| r.line.is_empty() && r.labels.get("job") == Some("batch")));
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_on_purpose_moves_the_position_too() {
    let sink = Arc::new(Taken::default());
    let means = means(&sink);
    let counters = Arc::clone(&means.counters);
    let config = RelabelConfig {
        source_labels: vec!["sender".into()],
        action: RelabelAction::Drop,
        ..RelabelConfig::default()
    };
    let options = FeedOptions { relabel: Relabel::new(&[config]).unwrap(), ..options() };
    let streams = Streams::new("x", "x", &options, &[], &means);
    let (inlet, queue) = Inlet::new();
    let pump = tokio::spawn(Pump::new(streams, means, options.batch_bytes).run(queue));
    inlet.put(Record { read: 9, ..record(7, "a", "text") }).await;
    while sink.batches.lock().unwrap().is_empty() {
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    let position = sink.batches.lock().unwrap()[0].positions[0].clone();
    assert_eq!((&*position.path, position.offset), ("c7", 8));
    assert_eq!((counters.behind(), counters.dropped_lines()["relabel_configs"]), (0, 1));
    drop(inlet);
    assert!(pump.await.unwrap());
    assert!(sink.records().is_empty());
}

fn listening(transport: Transport) -> SyslogOptions {
    SyslogOptions {
        transport,
        address: "127.0.0.1:0".parse().unwrap(),
        use_incoming_timestamp: false,
        max_message_bytes: 20,
        idle_timeout: Duration::from_mins(1),
        feed: options(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nothing_comes_is_closed_and_what_was_begun_is_kept() {
    let sink = Arc::new(Taken::default());
    let means = means(&sink);
    let (shutdown, counters) = (means.shutdown.clone(), Arc::clone(&means.counters));
    let syslog = Syslog::bind(listening(Transport::Tcp)).await.unwrap();
    let address = syslog.address;
    let running = tokio::spawn(syslog.run(means));
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all("<9>a: 34567890123456789012345\n<9>b: begun".as_bytes()).await.unwrap();
    let mut nothing = Vec::new();
    connection.read_to_end(&mut nothing).await.unwrap();
    shutdown.cancel();
    running.await.unwrap();
    assert_eq!(sink.lines(), ["34567890123456", "begun"]);
    assert_eq!(counters.containers()[0].lost(Lost::LineTooLong), 9);
    let record = &sink.records()[0];
    assert_eq!((record.severity, record.labels.get("service_name")), (Severity::Fatal, Some("a")));
}

#[tokio::test(start_paused = true)]
async fn while_the_sink_takes_nothing_a_sender_waits() {
    let sink = Arc::new(Taken { refusals: AtomicUsize::new(usize::MAX), ..Taken::default() });
    let means = means(&sink);
    let (shutdown, counters) = (means.shutdown.clone(), Arc::clone(&means.counters));
    let syslog = Syslog::bind(listening(Transport::Tcp)).await.unwrap();
    let address = syslog.address;
    let running = tokio::spawn(syslog.run(means));
    let mut connection = TcpStream::connect(address).await.unwrap();
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    // It ends when the connection is closed.
    let sending = tokio::spawn(async move {
        let lines = "<9>a: x\n".repeat(1000);
        while connection.write_all(lines.as_bytes()).await.is_ok() {
            counted.fetch_add(lines.len(), Ordering::Relaxed);
        }
    });
    while counters.refusals.load(Ordering::Relaxed) < 20 {
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    // What is read is held as records: a batch, and as much again that waits. The rest is in the kernel's buffers.
    assert!(counters.bytes.load(Ordering::Relaxed) < 200_000, "{counters:?}");
    shutdown.cancel();
    running.await.unwrap();
    sending.await.unwrap();
}

proptest! {
    #[test]
    fn however_the_bytes_arrive_the_records_are_the_lines(
        lines in prop::collection::vec("[a-z]{0,12}", 0..20),
        sizes in prop::collection::vec(1usize..9, 1..40),
    ) {
        let sink = Arc::new(Taken::default());
        let means = means(&sink);
        let mut assembly = Lines::new("stdin", &options(), &means).unwrap();
        let mut filling = Filling::new(Arc::clone(&means.deriver));
        let text = lines.iter().flat_map(|line| [line, "\n"]).collect::<String>();
        let (mut rest, mut sizes) = (text.as_bytes(), sizes.into_iter().cycle());
        let mut wait = 0;
        let mut making = Making { filling: &mut filling, counters: &means.counters, wait: &mut wait };
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(sizes.next().unwrap().min(rest.len()));
            assembly.take(chunk.to_vec(), &mut making);
            rest = after;
        }
        assembly.flush(&mut making);
        let logs = filling.take();
        let read: Vec<String> =
            logs.rows.iter().map(|row| String::from_utf8(logs.line(row).to_vec()).unwrap()).collect();
        prop_assert_eq!(read, lines);
        prop_assert!(logs.rows.is_sorted_by(|a, b| a.offset < b.offset));
        prop_assert!(logs.rows.iter().all(|row| row.severity == Severity::Unknown));
    }
}

/// What happens to an agent that reads a journal.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// It reads the next entry.
    Read,
    /// There is nothing to read for longer than stages wait.
    Idle,
    /// What it has is delivered; whether the position is written before the next event.
    Deliver(bool),
    /// It is killed, and another begins where the written position says.
    Kill,
    /// It is stopped in order: all is delivered and noted.
    Stop,
}

/// A server that stores each record once, as the store does it, and an agent's folder.
#[derive(Default)]
struct Once {
    positions: BTreeMap<FileId, Position>,
    lines: Vec<String>,
    /// Positions of what was taken, and those of them that a kill leaves.
    noted: BTreeMap<FileId, Position>,
    written: BTreeMap<FileId, Position>,
}

impl Once {
    fn deliver(&mut self, streams: &mut Streams, filling: &mut Filling, write: bool) {
        let mut positions = Vec::new();
        streams.positions(filling.observed, &mut positions);
        let logs = filling.take();
        // The answer is lost every time: the batch comes twice.
        for _ in 0..2 {
            let floor = |row: &LogRow| {
                let file = logs.files[row.file as usize - 1];
                let moved = positions.iter().find(|p| p.file == file)?;
                let known = self.positions.get(&file)?;
                Some(known.offset + u64::from(known == moved))
            };
            let fresh = logs.rows.iter().filter(|row| row.offset >= floor(row).unwrap_or_default());
            self.lines.extend(fresh.map(|row| String::from_utf8(logs.line(row).to_vec()).unwrap()));
            for position in &positions {
                let known = self.positions.get(&position.file);
                if known.is_none_or(|known| known.offset <= position.offset) {
                    self.positions.insert(position.file, position.clone());
                }
            }
        }
        self.noted.extend(positions.into_iter().map(|position| (position.file, position)));
        if write {
            self.written.clone_from(&self.noted);
        }
    }
}

/// Reads these entries (sender, whether it begins a record) through these events, then to the end. One of the senders is in a
/// journal of its own.
fn read_through(entries: &[(u8, bool)], events: &[Event], pipeline: &Pipeline) -> Vec<String> {
    let sink = Arc::new(Taken::default());
    let means = means(&sink);
    let options = FeedOptions { pipeline: pipeline.clone(), ..options() };
    let mut once = Once::default();
    let (mut filling, mut at, mut now) = (Filling::new(Arc::clone(&means.deriver)), 0, 1_000_000_000_000);
    let mut streams = Streams::new("x", "x", &options, &[], &means);
    let rest = std::iter::repeat_n(Event::Read, entries.len());
    for event in events.iter().copied().chain(rest).chain([Event::Stop]) {
        now += 1_000_000;
        filling.observed = now;
        let mut wait = 0;
        let mut making = Making { filling: &mut filling, counters: &means.counters, wait: &mut wait };
        match event {
            Event::Read => {
                let Some((sender, begins)) = entries.get(at) else { continue };
                let text = format!("{}{at}.", if *begins { "1 " } else { "+ " });
                let mut record = record(at as u64 + 1, &sender.to_string(), &text);
                let place = record.place.as_mut().unwrap();
                place.file.head = u64::from(*sender == 2);
                place.cursor = at.to_string().into();
                record.time = Some(now);
                streams.take(record.into(), &mut making);
                at += 1;
            }
            Event::Idle => {
                making.filling.observed += 10_000_000_000;
                now = making.filling.observed;
                streams.idle(&mut making);
            }
            Event::Deliver(write) => once.deliver(&mut streams, &mut filling, write),
            Event::Kill | Event::Stop => {
                if matches!(event, Event::Stop) {
                    streams.flush(&mut making);
                    once.deliver(&mut streams, &mut filling, true);
                }
                once.noted.clone_from(&once.written);
                let known: Vec<Position> = once.written.values().cloned().collect();
                let newest = known.iter().max_by_key(|position| position.time);
                at = newest.and_then(|p| p.path.parse::<usize>().ok()).map_or(0, |entry| entry + 1);
                filling = Filling::new(Arc::clone(&means.deriver));
                streams = Streams::new("x", "x", &options, &known, &means);
            }
        }
    }
    once.lines
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => Just(Event::Read),
        1 => Just(Event::Idle),
        3 => any::<bool>().prop_map(Event::Deliver),
        1 => Just(Event::Kill),
        1 => Just(Event::Stop),
    ]
}

proptest! {
    #[test]
    fn each_entry_is_stored_once_though_the_reader_is_killed(
        entries in prop::collection::vec((0u8..3, any::<bool>()), 1..40),
        events in prop::collection::vec(event(), 0..80),
    ) {
        let mut stored = read_through(&entries, &events, &Pipeline::default());
        stored.sort_by_key(|line| line[2..line.len() - 1].parse::<usize>().unwrap());
        let expected: Vec<String> =
            entries.iter().enumerate().map(|(at, e)| format!("{}{at}.", if e.1 { "1 " } else { "+ " })).collect();
        prop_assert_eq!(stored, expected);
    }

    #[test]
    fn what_stages_hold_is_stored_once_and_not_lost_though_the_reader_is_killed(
        entries in prop::collection::vec((0u8..3, any::<bool>()), 1..40),
        events in prop::collection::vec(event(), 0..80),
    ) {
        let stored = read_through(&entries, &events, &numbered_lines_begin_records()).concat();
        let killed = events.iter().any(|event| matches!(event, Event::Kill));
        for at in 0..entries.len() {
            let times = stored.matches(&format!(" {at}.")).count();
            prop_assert!(times == 1 || (killed && times > 1), "{} is there {} times in {}", at, times, stored);
        }
    }
}
