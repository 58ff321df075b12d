use parsers::record::{LogBatch, LogRow};

use super::*;

const NOON: u64 = 1_000_000 * SECOND;

/// Lines of one stream, a second apart.
fn batch(app: &str, start: u64, lines: &[String]) -> Batch {
    let mut logs = LogBatch { streams: vec![Arc::new(Labels::new([("app", app)]))], ..LogBatch::default() };
    for (number, line) in (0u64..).zip(lines) {
        let line = logs.push_text(line.as_bytes());
        let row =
            LogRow { time: start + number * SECOND, line, severity: Severity::Info, ..LogRow::default() };
        logs.rows.push(row);
    }
    Batch { logs, ..Batch::default() }
}

fn lines(text: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| text.replace('#', &number.to_string())).collect()
}

fn found(patterns: &Patterns, app: &str, window: Window, step: u64) -> Vec<(String, Vec<(u64, u64)>)> {
    let found = patterns.patterns(&[Matcher::equal("app", app)], window, step);
    found.into_iter().map(|one| (one.pattern, one.samples)).collect()
}

#[test]
fn lines_are_counted_by_pattern_stream_and_time() {
    let patterns = Patterns::default();
    patterns.note(&batch("shop", NOON, &lines("order # placed", 25)));
    patterns.note(&batch("shop", NOON + 5 * SECOND, &lines("order # placed", 1)));
    patterns.note(&batch("shop", NOON, &lines("out of disk", 2)));
    patterns.note(&batch("mailer", NOON, &lines("sent #", 3)));
    let at = |seconds: u64, count: u64| (NOON + seconds * SECOND, count);
    let (placed, disk) = ("order <_> placed".to_owned(), "out of disk".to_owned());
    assert_eq!(
        found(&patterns, "shop", Window::ALL, 0),
        [(placed.clone(), vec![at(0, 11), at(10, 10), at(20, 5)]), (disk, vec![at(0, 2)])]
    );
    let late = Window { start: NOON + 12 * SECOND, end: NOON + 20 * SECOND };
    assert_eq!(found(&patterns, "shop", late, BUCKET), [(placed.clone(), vec![at(10, 10)])]);
    assert_eq!(found(&patterns, "shop", Window::ALL, 20 * SECOND)[0], (placed, vec![at(0, 21), at(20, 5)]));
    assert_eq!(found(&patterns, "nobody", Window::ALL, 0), []);
}

#[test]
fn of_a_stream_that_sends_much_some_lines_count_for_the_others() {
    let patterns = Patterns::default();
    for count in [BATCH_LINES, BATCH_LINES * 7 + 3] {
        patterns.note(&batch("shop", NOON, &lines("order # placed", count)));
    }
    let total: u64 = found(&patterns, "shop", Window::ALL, 0)[0].1.iter().map(|(_, count)| count).sum();
    assert_eq!(total, (BATCH_LINES * 8 + 3) as u64);
}

#[test]
fn memory_is_bounded_and_silent_streams_go_first() {
    let patterns = Patterns::default();
    patterns.note(&batch("first", NOON, &lines("order # placed", 5)));
    for number in 0..300u64 {
        let word = |n: usize| format!("{}{}", "abcdefghij".repeat(n / 10 + 1), ",".repeat(n + 1));
        let different: Vec<String> = (0..60).map(word).collect();
        patterns.note(&batch(&format!("app{number}"), NOON + number * SECOND, &different));
    }
    let kept = patterns.0.lock().unwrap();
    assert!(kept.patterns <= MAX_PATTERNS && kept.counts <= MAX_COUNTS, "{} {}", kept.patterns, kept.counts);
    let held: usize = kept.streams.values().map(|stream| stream.miner.len()).sum();
    assert_eq!(kept.patterns, held, "what is counted is what is held");
    drop(kept);
    assert_eq!(found(&patterns, "first", Window::ALL, 0), []);
    assert!(!found(&patterns, "app299", Window::ALL, 0).is_empty());
}

#[test]
fn what_is_older_than_an_hour_does_not_count() {
    let patterns = Patterns::default();
    patterns.note(&batch("shop", NOON, &lines("order # placed", 5)));
    patterns.note(&batch("shop", NOON + KEPT + 60 * SECOND, &lines("order # placed", 1)));
    let found = found(&patterns, "shop", Window::ALL, 0);
    assert_eq!(found[0].1, [(NOON + KEPT + 60 * SECOND, 1)]);
}
