use parsers::otlp::SpanEncoder;
use parsers::record::{
    Resource, Span, SpanBatch, SpanId, SpanKind, Spelling, Status, StatusCode, TraceId, Value,
};

use super::log::Decision;
use super::rules::Verdict;
use super::sheet::Tombstone;
use super::*;

fn rule(name: &str, when: When, keep: KeepTraces) -> Rule {
    Rule { name: name.into(), when, keep }
}

fn equal(text: &str) -> ValueMatch {
    ValueMatch::Equal(text.into())
}

fn regex(text: &str) -> ValueMatch {
    ValueMatch::Regex(Pattern::new(text).unwrap())
}

/// One span: service, attributes, whether it failed, start and end.
fn span(service: &str, attributes: &[(&str, Value)], failed: bool, times: (u64, u64)) -> Span {
    let own = |(key, value): &(&str, Value)| ((*key).to_owned(), value.clone());
    let named = vec![
        ("service.name".to_owned(), Value::Str(service.to_owned())),
        ("zone".to_owned(), Value::Str("eu".to_owned())),
    ];
    Span {
        trace_id: TraceId::new(7, Spelling::default()).unwrap(),
        span_id: SpanId::new(1).unwrap(),
        parent_span_id: None,
        trace_state: String::new(),
        flags: 0,
        name: String::new(),
        kind: SpanKind::Server,
        start: times.0,
        end: times.1,
        attributes: attributes.iter().map(own).collect(),
        events: Vec::new(),
        links: Vec::new(),
        status: Status {
            code: if failed { StatusCode::Error } else { StatusCode::Unset },
            message: String::new(),
        },
        resource: Arc::new(Resource { attributes: named }),
        scope: Arc::default(),
    }
}

fn spans(spans: &[Span]) -> SpanBatch {
    let mut encoder = SpanEncoder::default();
    spans.iter().for_each(|span| encoder.push(span).unwrap());
    encoder.finish()
}

/// Which rule decides a trace of these spans.
fn decided(rules: &[Rule], trace: &[Span]) -> Option<usize> {
    let batch = spans(trace);
    let conditions = Conditions::new(rules);
    let compared = conditions.compare(&batch);
    let mut summary = Summary::EMPTY;
    batch.rows.iter().for_each(|row| summary.merge(compared.summary(row)));
    Judge::new(rules).decide(7, &summary, 1).rule
}

#[test]
fn the_first_rule_whose_conditions_a_trace_meets_decides_it() {
    let all = KeepTraces::Share(1.0);
    let with = |pairs: &[(&str, ValueMatch)]| When {
        attributes: pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
        ..When::default()
    };
    let rules = [
        rule("failed", When { error: Some(true), ..When::default() }, all),
        rule("slow", When { slower_than: Some(Duration::from_millis(500)), ..When::default() }, all),
        rule("health", with(&[("http.route", equal("/healthz"))]), all),
        rule("code", with(&[("http.status_code", equal("418")), ("teapot", equal("true"))]), all),
        rule("probe", with(&[("agent", regex("kube-probe/.*"))]), all),
        rule("till", When { service: Some(equal("till")), ..with(&[("zone", regex("e."))]) }, all),
        rule("ratio", with(&[("ratio", equal("0.5"))]), all),
    ];
    let text = |text: &str| Value::Str(text.to_owned());
    let ms = 1_000_000;
    let plain = |attributes: &[(&str, Value)]| span("shop", attributes, false, (0, ms));
    for (trace, expected) in [
        (vec![plain(&[])], None),
        (vec![plain(&[]), span("shop", &[], true, (0, ms))], Some("failed")),
        // The trace is slow, though none of its spans is.
        (vec![plain(&[]), span("shop", &[], false, (600 * ms, 601 * ms))], Some("slow")),
        (vec![span("shop", &[], false, (0, 500 * ms))], None),
        (vec![plain(&[]), plain(&[("http.route", text("/healthz"))])], Some("health")),
        (vec![plain(&[("http.route", text("/healthz/more"))])], None),
        // Both attributes, but not of one span.
        (
            vec![plain(&[("http.status_code", Value::Int(418))]), plain(&[("teapot", Value::Bool(true))])],
            None,
        ),
        (vec![plain(&[("http.status_code", Value::Int(418)), ("teapot", Value::Bool(true))])], Some("code")),
        (vec![plain(&[("agent", text("kube-probe/1.2"))])], Some("probe")),
        (vec![plain(&[("agent", text("a kube-probe/1.2"))])], None),
        // The resource has the other attribute.
        (vec![span("till", &[], false, (0, ms))], Some("till")),
        (vec![plain(&[("ratio", Value::Double(0.5))])], Some("ratio")),
        (vec![plain(&[("ratio", Value::Array(vec![Value::Double(0.5)]))])], None),
    ] {
        let found = decided(&rules, &trace).map(|number| &*rules[number].name);
        assert_eq!(found, expected, "{trace:?}");
    }
}

#[test]
fn a_share_is_kept_by_the_id_alone_and_is_about_what_was_asked_for() {
    let rules = [rule("rest", When::default(), KeepTraces::Share(0.1))];
    let kept = |low64: u64| Judge::new(&rules).decide(low64, &Summary::EMPTY, 5).keep;
    let count = (0..10_000).filter(|low64| kept(*low64)).count();
    assert!((900..1100).contains(&count), "{count}");
    // Replicas of other versions must agree: these are never to change.
    let first: Vec<u64> = (0..60).filter(|low64| kept(*low64)).collect();
    assert_eq!(first, FIRST_OF_A_TENTH);
    for (share, expected) in [(0.0, 0), (1.0, 1000)] {
        let rules = [rule("rest", When::default(), KeepTraces::Share(share))];
        let mut judge = Judge::new(&rules);
        let kept = (0..1000).filter(|low64| judge.decide(low64 << 50, &Summary::EMPTY, 5).keep).count();
        assert_eq!(kept, expected);
    }
}

/// Of the ids 0 to 59 those that a share of a tenth keeps.
const FIRST_OF_A_TENTH: &[u64] = &[10, 18, 21, 41, 48];

#[test]
fn a_rate_keeps_so_many_a_second_and_no_more_after_a_pause() {
    let rules = [rule("some", When::default(), KeepTraces::PerSecond(5.0))];
    let mut judge = Judge::new(&rules);
    let second = 1_000_000_000;
    let mut kept = |now: u64| (0..20).filter(|_| judge.decide(1, &Summary::EMPTY, now).keep).count();
    assert_eq!(kept(100 * second), 5);
    assert_eq!(kept(100 * second), 0);
    assert_eq!(kept(100 * second + second / 5), 1);
    assert_eq!(kept(200 * second), 5);
    // A clock that is set back gives nothing away.
    assert_eq!(kept(150 * second), 0);
    let slow = [rule("few", When::default(), KeepTraces::PerSecond(0.1))];
    let mut judge = Judge::new(&slow);
    let verdicts = [0, 5, 10, 11].map(|s| judge.decide(1, &Summary::EMPTY, (1000 + s) * second));
    assert_eq!(verdicts.map(|v| v.keep), [true, false, true, false]);
    assert_eq!(verdicts[1], Verdict { rule: Some(0), keep: false });
}

#[test]
fn a_trace_is_due_a_wait_after_its_last_span_and_never_later_than_ten() {
    let span = Summary { first_start: 1, last_end: 2, met: 0, error: false };
    let mut table = Table::new(1600);
    let due = |table: &mut Table, now| table.due(now, 10).len();
    table.note(1, span, (3, 3), 1000, |_| None);
    table.note(1, span, (4, 4), 2000, |_| None);
    assert_eq!((due(&mut table, 2700), table.pinned()), (0, Some(3)));
    // Lines and exemplars hold nothing up once there is a span.
    table.note(1, Summary::EMPTY, (4, 4), 3000, |_| None);
    assert_eq!(due(&mut table, 3800), 1);
    table.decide(1, Some(0));
    assert_eq!((table.pinned(), table.undecided(), table.decided()), (None, 0, 1));
    // A decided one is forgotten with its newest journal.
    table.forget(3, |_| panic!("it has records in journal 4"));
    table.note(1, span, (6, 6), 9000, |_| panic!("it is known"));
    table.forget(5, |_| panic!("it has records in journal 6"));
    let mut gone = Vec::new();
    table.forget(6, |low64| gone.push(low64));
    assert_eq!((gone, table.decided()), (vec![1], 0));
    for now in (10_000..30_000).step_by(500) {
        table.note(2, span, (7, 7), now, |_| None);
        let expected = usize::from(now >= 26_000);
        let found = table.due(now, 10);
        assert_eq!(found.len(), expected, "at {now}");
        if expected == 1 {
            return;
        }
    }
    panic!("it was never due");
}

#[test]
fn the_oldest_are_given_up_first_and_no_more_than_asked_for() {
    let mut table = Table::new(1600);
    for low64 in 0..100 {
        table.note(low64, Summary::EMPTY, (1, 1), 1000 + low64 * 10, |_| None);
    }
    let oldest: Vec<u64> = table.oldest(30).into_iter().map(|(low64, _)| low64).collect();
    assert_eq!(oldest.len(), 30);
    assert!(oldest.iter().all(|low64| *low64 < 50), "{oldest:?}");
    oldest.iter().for_each(|low64| table.release(*low64));
    assert_eq!((table.undecided(), table.due(9000, 1000).len()), (70, 70));
}

#[test]
fn tombstones_are_found_again_merged_and_forgotten_with_age() {
    let dir = tempfile::tempdir().unwrap();
    let names = Names::default();
    let rules = ["health", "rest"].map(|name| names.number(name));
    let sheets = Sheets::open(dir.path(), &names).unwrap();
    let stone = |n: u64| Tombstone {
        low64: n.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        rule: rules[(n % 2) as usize],
        when: 1000 + n,
    };
    for sheet in 0..20 {
        sheets.add((sheet * 700..(sheet + 1) * 700).map(stone).collect(), &names).unwrap();
        sheets.tidy(0, &names).unwrap();
    }
    let check = |sheets: &Sheets, names: &Names, from: u64| {
        for n in 0..14_000 {
            let found = sheets.find(stone(n).low64);
            let expected = (n >= from).then(|| (["health", "rest"][(n % 2) as usize].into(), 1000 + n));
            assert_eq!(found.map(|found| (names.name(found.rule), found.when)), expected, "{n}");
        }
        assert_eq!(sheets.find(3), None);
    };
    check(&sheets, &names, 0);
    let count = || fs::read_dir(dir.path()).unwrap().count();
    assert!(count() <= 8, "{} files", count());
    // Other names have other numbers in another run.
    let names = Names::default();
    names.number("errors");
    let sheets = Sheets::open(dir.path(), &names).unwrap();
    check(&sheets, &names, 0);
    sheets.tidy(1000 + 7000, &names).unwrap();
    assert!(sheets.find(stone(10).low64).is_none() && sheets.find(stone(13_999).low64).is_some());
    sheets.tidy(u64::MAX, &names).unwrap();
    assert!(sheets.is_empty() && count() == 0);
}

#[test]
fn damaged_tombstones_are_put_aside_and_those_of_a_newer_program_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let names = Names::default();
    let sheets = Sheets::open(dir.path(), &names).unwrap();
    let stones = |from: u64| (from..from + 10).map(|low64| Tombstone { low64, rule: 0, when: 1 }).collect();
    names.number("rest");
    sheets.add(stones(0), &names).unwrap();
    sheets.add(stones(10), &names).unwrap();
    let file = dir.path().join("00000001-00000001.tfd");
    let whole = fs::read(&file).unwrap();
    for cut in 0..whole.len() {
        fs::write(&file, &whole[..cut]).unwrap();
        let sheets = Sheets::open(dir.path(), &names).unwrap();
        assert!(sheets.find(3).is_none() && sheets.find(13).is_some());
        fs::remove_file(dir.path().join("00000001-00000001.damaged")).unwrap();
    }
    let mut newer = whole;
    *newer.last_mut().unwrap() += 1;
    fs::write(&file, newer).unwrap();
    assert!(matches!(Sheets::open(dir.path(), &names), Err(OpenError::Version { .. })));
}

#[test]
fn decisions_are_read_up_to_the_one_that_a_crash_cut_short() {
    let dir = tempfile::tempdir().unwrap();
    let decision = |low64: u64| Decision {
        low64,
        when: 100 + low64,
        dropped_by: (!low64.is_multiple_of(3)).then(|| ["health", "rest"][(low64 % 2) as usize].to_owned()),
    };
    let read = || {
        let mut found = Vec::new();
        let log = Log::open(dir.path(), |d| {
            found.push(Decision {
                low64: d.low64,
                when: d.when,
                dropped_by: d.dropped_by.map(str::to_owned),
            });
        });
        (log.unwrap(), found)
    };
    let (mut log, found) = read();
    assert!(found.is_empty());
    for from in [0, 10, 20] {
        log.append(&(from..from + 10).map(decision).collect::<Vec<_>>()).unwrap();
    }
    let file = dir.path().join("decisions");
    let whole = fs::read(&file).unwrap();
    assert_eq!(read().1, (0..30).map(decision).collect::<Vec<_>>());
    for cut in 0..whole.len() {
        fs::write(&file, &whole[..cut]).unwrap();
        let (mut log, found) = read();
        assert!(found.len() % 10 == 0 && found.len() < 30);
        log.append(&[decision(99)]).unwrap();
        assert_eq!(read().1.len(), found.len() + 1);
    }
    let (mut log, _) = read();
    log.rewrite(&[decision(5)]).unwrap();
    log.append(&[decision(6)]).unwrap();
    assert_eq!(read().1, [decision(5), decision(6)]);
}

#[test]
fn a_damaged_frontier_is_read_from_its_copy() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(frontier::read(dir.path()).unwrap(), Found::Nothing);
    let hidden =
        vec![crate::segment::Name { signal: crate::read::Signal::Logs, day: 20_000, first: 3, last: 9 }];
    let written = Frontier { swept: 12, hidden };
    frontier::write(dir.path(), &written).unwrap();
    assert_eq!(frontier::read(dir.path()).unwrap(), Found::Whole(written.clone()));
    fs::write(dir.path().join("frontier"), b"tffront\x01 not this").unwrap();
    assert_eq!(frontier::read(dir.path()).unwrap(), Found::Whole(written));
    fs::write(dir.path().join("frontier-copy"), b"").unwrap();
    assert_eq!(frontier::read(dir.path()).unwrap(), Found::Damaged);
    fs::write(dir.path().join("frontier"), b"tffront\x02").unwrap();
    assert!(matches!(frontier::read(dir.path()), Err(OpenError::Version { .. })));
}
