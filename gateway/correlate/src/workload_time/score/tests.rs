use super::super::facts;
use super::*;

const MS: u64 = 1_000_000;
const WINDOW: Window = Window { start: 0, end: 1_000 * MS };

fn request(trace: u64, start: u64, end: u64, said: &[(&str, &str)]) -> Request {
    let mut facts = Vec::new();
    for (key, value) in said {
        facts::of_attribute(key, &store::read::ValueView::Str((*value).into()), &mut facts);
    }
    Request { trace, runs: vec![(start * MS, end * MS)], facts }
}

/// The confidence of a line of this time, in ms, for the first request.
fn confidence(requests: &[Request], lines: &[(u64, u64)], line: &str, at: u64) -> f64 {
    let facts = facts::of_line(line.as_bytes(), std::iter::empty());
    let template = facts::template(line.as_bytes());
    let all = lines.iter().map(|(time, template)| (time * MS, *template)).chain([(at * MS, template)]);
    let scene = Scene::new(requests, all, WINDOW, 1.0);
    let candidate = Candidate { written: (at * MS, at * MS + 1), template, facts: &facts };
    scene.score(0, &candidate).map_or(0.0, |score| score.confidence)
}

#[test]
fn a_line_is_shared_by_those_that_ran() {
    let alone = confidence(&[request(1, 100, 200, &[])], &[], "paid", 150);
    assert!(alone > 0.95, "{alone}");
    let four: Vec<Request> = (1..=4).map(|n| request(n, 100, 200, &[])).collect();
    let shared = confidence(&four, &[], "paid", 150);
    assert!((0.2..=0.25).contains(&shared), "{shared}");
    assert!(confidence(&four, &[], "paid", 300) == 0.0);
}

#[test]
fn what_a_container_writes_anyway_is_not_given_to_a_request() {
    let beats: Vec<(u64, u64)> = (0..100).map(|n| (n * 10, 7)).collect();
    let one = [request(1, 100, 200, &[])];
    let noisy = confidence(&one, &beats, "paid", 150);
    let quiet = confidence(&one, &[], "paid", 150);
    assert!(noisy < 0.9 * quiet, "{noisy} {quiet}");
}

#[test]
fn what_both_name_raises_and_what_differs_lowers() {
    let two = [request(1, 100, 200, &[("user.id", "u-1")]), request(2, 100, 200, &[("user.id", "u-2")])];
    assert!(confidence(&two, &[], "paid user=u-1", 150) > 0.9);
    assert!(confidence(&two, &[], "paid user=u-2", 150) < 0.1);
    let plain = confidence(&two, &[], "paid", 150);
    assert!((0.4..=0.5).contains(&plain), "{plain}");
}

#[test]
fn threads_count_where_requests_have_them_to_themselves() {
    let own: Vec<Request> =
        (0..8).map(|n| request(n, 100, 200, &[("thread.name", &format!("exec-{}", n % 4 + n))])).collect();
    // Whatever else is known, a line of another thread is not of this request.
    assert!(confidence(&own, &[], "2026 INFO [exec-1] paid", 150) < 0.2);
    let exclusive: Vec<Request> =
        (0..8).map(|n| request(n, 100, 200, &[("thread.name", &format!("exec-{n}"))])).collect();
    assert!(confidence(&exclusive, &[], "2026 INFO [exec-0] paid", 150) > 0.9);
    assert!(confidence(&exclusive, &[], "2026 INFO [exec-3] paid", 150) == 0.0);
    let tasks: Vec<Request> =
        (0..8).map(|n| request(n, 100, 200, &[("thread.name", &format!("worker-{}", n % 2))])).collect();
    let shared = confidence(&tasks, &[], "2026 INFO [worker-0] paid", 150);
    assert!((0.1..=0.13).contains(&shared), "{shared}");
}

#[test]
fn requests_that_send_no_spans_take_their_share() {
    let one = [request(1, 100, 200, &[])];
    let facts = facts::of_line(b"paid", std::iter::empty());
    let candidate = Candidate { written: (150 * MS, 150 * MS + 1), template: 7, facts: &facts };
    let of = |sampled: f64| {
        Scene::new(&one, [(150 * MS, 7)].into_iter(), WINDOW, sampled)
            .score(0, &candidate)
            .unwrap()
            .confidence
    };
    assert!(of(0.1) < 0.12 && of(0.5) < 0.55, "{} {}", of(0.1), of(0.5));
}

proptest::proptest! {
    #[test]
    fn the_shares_of_a_line_are_at_most_one(
        runs in proptest::collection::vec((0u64..1000, 0u64..300, 0u64..4), 1..12),
        lines in proptest::collection::vec((0u64..1000, 0u64..3), 0..40),
        at in 0u64..1000,
    ) {
        let requests: Vec<Request> = runs
            .iter()
            .enumerate()
            .map(|(n, (start, long, user))| {
                let user = format!("u-{user}");
                request(n as u64, *start, start + long, &[("user.id", &user)])
            })
            .collect();
        let said = facts::of_line(b"paid user=u-1", std::iter::empty());
        let times = lines.iter().map(|(time, template)| (time * MS, *template));
        let scene = Scene::new(&requests, times, WINDOW, 1.0);
        let candidate = Candidate { written: (at * MS, at * MS + 1), template: 1, facts: &said };
        let all: f64 = (0..requests.len())
            .filter_map(|n| scene.score(n, &candidate))
            .map(|score| score.confidence)
            .sum();
        proptest::prop_assert!((0.0..=1.0 + 1e-9).contains(&all), "{}", all);
    }
}
