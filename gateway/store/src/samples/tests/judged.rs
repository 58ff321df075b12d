//! Which samples are late, which are here already and which contradict another: the same wherever the others lie.

use super::*;

/// A series with a native histogram of one bucket at this time.
fn histogram(time: u64, count: u8) -> Arc<Batch> {
    let mut batch = Arc::unwrap_or_clone(batch(&[(0, time, f64::from(count))]));
    // Field 1 of the message is its count.
    batch.metrics.meta = vec![8, count];
    batch.metrics.samples[0].histogram = parsers::record::ByteRange { start: 0, end: 2 };
    Arc::new(batch)
}

/// Late, conflicting and repeated samples.
fn judged(left_out: &LeftOut) -> (u64, u64, u64) {
    (left_out.late, left_out.conflicts, left_out.repeats)
}

#[test]
fn another_value_of_a_time_is_refused_and_named_wherever_the_first_lies() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(options(folder.path())).unwrap();
    let minute = |n: u64| 20_000 * DAY + n * 60_000_000_000;
    for n in 0..40 {
        store.append(batch(&[(0, minute(n), n as f64)])).unwrap();
    }
    // The newest, one in a chunk, and two of one request.
    let rows = [
        (0, minute(39), 1.5),
        (0, minute(39), 39.0),
        (0, minute(3), 1.5),
        (0, minute(3), 3.0),
        (1, minute(5), 5.0),
        (1, minute(5), 6.0),
        (1, minute(5), 5.0),
    ];
    let left_out = store.append(batch(&rows)).unwrap();
    assert_eq!(judged(&left_out), (0, 3, 3));
    assert!(left_out.reason.contains("3 samples: duplicate sample for timestamp"), "{}", left_out.reason);
    let named = format!("m0{{job=\"j0\"}} at {} ms", minute(39) / 1_000_000);
    assert!(left_out.reason.contains(&named), "{}", left_out.reason);
    for reopened in [false, true] {
        store.seal().unwrap();
        if reopened {
            drop(store);
            store = Store::open(options(folder.path())).unwrap();
        }
        for _ in 0..2 {
            let rows = [(0, minute(39), 1.5), (0, minute(39), 39.0)];
            assert_eq!(judged(&store.append(batch(&rows)).unwrap()), (0, 1, 1), "reopened: {reopened}");
        }
    }
    // The next sample is in order again, and the first value of a time is what is read.
    assert_eq!(judged(&store.append(batch(&[(0, minute(40), 4.0)])).unwrap()), (0, 0, 0));
    let of = found(&store, &[Matcher::equal("__name__", "m0")], Window::ALL);
    let values: Vec<f64> = of.values().flatten().map(|(_, bits)| f64::from_bits(*bits)).collect();
    assert_eq!(values[..40], (0..40).map(f64::from).collect::<Vec<_>>());
    assert_eq!(
        store.counters().conflicting_samples.load(std::sync::atomic::Ordering::Relaxed),
        2,
        "since the opening"
    );
}

#[test]
fn a_histogram_contradicts_another_and_a_number() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(options(folder.path())).unwrap();
    let of = |batch| judged(&store.append(batch).unwrap());
    assert_eq!(of(histogram(DAY, 1)), (0, 0, 0));
    assert_eq!(of(histogram(DAY, 1)), (0, 0, 1));
    assert_eq!(of(histogram(DAY, 2)), (0, 1, 0));
    assert_eq!(of(batch(&[(0, DAY, 1.0)])), (0, 1, 0));
    store.seal().unwrap();
    assert_eq!(of(histogram(DAY, 1)), (0, 0, 1));
    assert_eq!(of(histogram(DAY, 2)), (0, 1, 0));
    assert_eq!(of(batch(&[(0, DAY, 1.0)])), (0, 1, 0));
    assert_eq!(of(batch(&[(0, DAY + 1, 1.0)])), (0, 0, 0));
    assert_eq!(of(histogram(DAY + 1, 1)), (0, 1, 0));
}

#[test]
fn the_window_for_late_samples_holds_when_a_head_is_sealed_and_after_an_opening() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(options(folder.path())).unwrap();
    let newest = 20_000 * DAY + 12 * HOUR;
    store.append(batch(&[(0, newest, 1.0), (1, newest - 9 * HOUR, 1.0)])).unwrap();
    for (step, reopened) in [false, true, false].into_iter().enumerate() {
        store.seal().unwrap();
        if reopened {
            drop(store);
            store = Store::open(options(folder.path())).unwrap();
        }
        let step = step as u64;
        let rows = [
            (0, newest - HOUR - 1, 2.0),
            (0, newest - HOUR + step, 3.0),
            // Of another series, and of one that is new, the same time is not late.
            (1, newest - 9 * HOUR + 1 + step, 4.0),
            (2 + step as u8, newest - 9 * HOUR, 5.0),
        ];
        assert_eq!(judged(&store.append(batch(&rows)).unwrap()), (1, 0, 0), "step {step}");
        assert_eq!(judged(&store.append(batch(&rows[..1])).unwrap()), (1, 0, 0), "step {step}, again");
    }
    let all = found(&store, &[Matcher::equal("__name__", "m0"), Matcher::equal("job", "j0")], Window::ALL);
    assert_eq!(all.values().next().unwrap().len(), 4);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn samples_are_judged_by_all_that_was_taken(
        steps in proptest::collection::vec((proptest::collection::vec((0u8..3, 0u64..240, 0u8..2), 0..30), 0u8..6), 1..14),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut dir = folder.path().join("0");
        let mut store = Store::open(options(&dir)).unwrap();
        let mut taken: BTreeMap<u8, BTreeMap<u64, f64>> = BTreeMap::new();
        let mut contradicted = std::collections::BTreeSet::new();
        for (number, (rows, then)) in steps.into_iter().enumerate() {
            let rows = rows.into_iter().map(|(series, minute, value)| {
                (series, 20_000 * DAY - HOUR + minute * 60_000_000_000, f64::from(value))
            });
            let rows: Vec<_> = rows.collect();
            let (mut late, mut at_newest, mut older) = (0, 0, 0);
            for (series, time, value) in &rows {
                let of = taken.entry(*series).or_default();
                let newest = of.last_key_value().map_or(0, |(newest, _)| *newest);
                match of.get(time) {
                    _ if time + HOUR < newest => late += 1,
                    // What was not seen to contradict a sealed sample contradicts that one when it comes again.
                    Some(known) if known == value => older += u64::from(contradicted.contains(&(*series, *time))),
                    Some(_) if *time == newest => at_newest += 1,
                    Some(_) => {
                        older += 1;
                        contradicted.insert((*series, *time));
                    }
                    None => drop(of.insert(*time, *value)),
                }
            }
            let left_out = store.append(batch(&rows)).unwrap();
            prop_assert_eq!(left_out.late, late);
            // What contradicts a sealed sample that is not the newest is seen when it is read.
            prop_assert!((at_newest..=at_newest + older).contains(&left_out.conflicts), "{:?}", left_out);
            match then {
                0 | 1 => store.seal().unwrap(),
                2 => store.merge(),
                3 => {
                    let next = folder.path().join((number + 1).to_string());
                    copy(&dir, &next);
                    drop(store);
                    dir = next;
                    store = Store::open(options(&dir)).unwrap();
                }
                _ => {}
            }
        }
        let expected: Found = taken.into_iter().map(|(series, of)| {
            let of = of.into_iter().map(|(time, value)| (time, value.to_bits())).collect();
            ((*labels(series)).clone(), of)
        }).collect();
        prop_assert_eq!(found(&store, &[], Window::ALL), expected);
    }
}
