use super::*;

const MS: u64 = 1_000_000;

fn traffic(runs: &[(u64, u64)]) -> Traffic {
    let of = |(start, end): &(u64, u64)| Request {
        spanned: true,
        runs: vec![(start * MS, end * MS)],
        ..Request::default()
    };
    Traffic::of(&runs.iter().map(of).collect::<Vec<_>>(), Window { start: 0, end: 1_000 * MS })
}

#[test]
fn between_requests_is_near_them_and_a_pause_is_far() {
    let traffic = traffic(&[(100, 110), (120, 130), (140, 150), (160, 170), (600, 610)]);
    let at = |ms: u64| traffic.at(ms * MS);
    assert_eq!([at(105), at(115), at(150), at(155)], [Part::Busy, Part::Between, Part::Busy, Part::Between]);
    assert_eq!([at(0), at(180), at(400), at(999)], [Part::Pause, Part::Between, Part::Pause, Part::Pause]);
    let all = traffic.busy + traffic.between + traffic.pause;
    assert!((all - 1e9).abs() < 1.0, "{all}");
}

#[test]
fn a_burst_is_told_from_steady_traffic() {
    let burst: Vec<(u64, u64)> = (0..40).map(|n| (400 + n * 5, 412 + n * 5)).collect();
    assert!(traffic(&burst).steady < 0.01);
    let steady: Vec<(u64, u64)> = (0..40).map(|n| (n * 25, n * 25 + 10)).collect();
    assert!(traffic(&steady).steady > 0.5);
    assert!(traffic(&burst).at_once().0 > traffic(&steady).at_once().0);
}
