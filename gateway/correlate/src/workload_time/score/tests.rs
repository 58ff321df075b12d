use super::super::facts;
use super::*;

const MS: u64 = 1_000_000;
const WINDOW: Window = Window { start: 0, end: 1_000 * MS };
/// Requests are known to send spans.
const ALL: Sampled = Sampled { with: 1_000.0, without: 0.0 };

fn request(trace: u64, start: u64, end: u64, said: &[(&str, &str)]) -> Request {
    let mut facts = Vec::new();
    for (key, value) in said {
        facts::of_attribute(key, &store::read::ValueView::Str((*value).into()), &mut facts);
    }
    let mut request =
        Request { trace, spanned: true, runs: vec![(start * MS, end * MS)], facts, ..Request::default() };
    request.settle();
    request
}

fn words(at: u64, template: u64, facts: Vec<Fact>) -> Words {
    Words { written: (at * MS, at * MS + 1), begins: false, lasts: None, template, facts }
}

/// The confidence of a line of this time, in ms, for the first request.
fn confidence(requests: &[Request], lines: &[(u64, u64)], line: &str, at: u64) -> f64 {
    let facts = facts::of_line(line.as_bytes(), std::iter::empty());
    let template = facts::template(line.as_bytes());
    let all = lines.iter().map(|(time, template)| (time * MS, *template)).chain([(at * MS, template)]);
    let scene = Scene::new(requests, all, std::iter::empty(), WINDOW, ALL);
    scene.score(0, &words(at, template, facts)).map_or(0.0, |score| score.confidence)
}

#[test]
fn a_line_is_shared_by_those_that_ran() {
    let alone = confidence(&[request(1, 100, 200, &[])], &[], "paid", 150);
    assert!(alone > 0.8, "{alone}");
    let four: Vec<Request> = (1..=4).map(|n| request(n, 100, 200, &[])).collect();
    let shared = confidence(&four, &[], "paid", 150);
    assert!((0.2..=0.25).contains(&shared), "{shared}");
    assert!(confidence(&four, &[], "paid", 300) == 0.0);
}

#[test]
fn what_a_container_writes_anyway_is_not_given_to_a_request() {
    let paid = facts::template(b"paid");
    let beats: Vec<(u64, u64)> = (0..100).map(|n| (n * 10, paid)).collect();
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
fn threads_are_told_by_their_names_wherever_these_stand() {
    for (one, two) in [
        ("Thread-1", "Thread-2"),
        ("MainThread", "WorkerThread"),
        ("http-nio-8080-exec-3", "http-nio-8080-exec-4"),
        ("pool-1-thread-2", "pool-1-thread-3"),
    ] {
        let both =
            [request(1, 100, 200, &[("thread.name", one)]), request(2, 100, 200, &[("thread.name", two)])];
        for line in
            [format!("INFO {one} loading"), format!("12:00:01 {one}: loading"), format!("({one}) loading")]
        {
            let own = confidence(&both, &[], &line, 150);
            assert!(own > 0.6, "{line}: {own}");
            let of_other = confidence(&both, &[], &line.replace(one, two), 150);
            assert!(of_other < 0.2, "{line}: {of_other}");
        }
    }
}

#[test]
fn requests_that_send_no_spans_take_their_share() {
    let steady: Vec<Request> = (0..10).map(|n| request(n, n * 100, n * 100 + 100, &[])).collect();
    let of = |share: f64| {
        let sampled = Sampled { with: 200.0 * share, without: 200.0 * (1.0 - share) };
        let lines = [(150 * MS, 7)].into_iter();
        let scene = Scene::new(&steady, lines, std::iter::empty(), WINDOW, sampled);
        scene.score(1, &words(150, 7, Vec::new())).unwrap().confidence
    };
    assert!(of(0.1) < 0.15 && of(0.5) < 0.55 && of(1.0) > 0.65, "{} {} {}", of(0.1), of(0.5), of(1.0));
}

#[test]
fn where_lines_name_users_whom_no_request_has_others_wrote_them() {
    let user = |n: u64| format!("u-{n}");
    let requests: Vec<Request> =
        (0..10).map(|n| request(n, n * 100, n * 100 + 100, &[("user.id", &user(n))])).collect();
    let told = |stranger: u64| {
        let lines: Vec<Words> = (0..100)
            .map(|n| {
                let of = if stranger > 0 && n % stranger != 0 { 1_000 + n } else { n / 10 };
                let facts = facts::of_line(format!("paid user={}", user(of)).as_bytes(), std::iter::empty());
                words(n * 10 + 5, 7, facts)
            })
            .collect();
        let times = (0..100).map(|n| ((n * 10 + 5) * MS, 7));
        let scene = Scene::new(&requests, times, lines.iter(), WINDOW, Sampled::default());
        scene.score(1, &words(155, 7, Vec::new())).unwrap().confidence
    };
    let (own, strangers) = (told(0), told(5));
    assert!(own > 0.8 && strangers < 0.4, "{own} {strangers}");
}

proptest::proptest! {
    #[test]
    fn the_shares_of_a_line_are_at_most_one(
        runs in proptest::collection::vec((0u64..1000, 0u64..300, 0u64..4), 1..12),
        lines in proptest::collection::vec((0u64..1000, 0u64..3), 0..40),
        at in 0u64..1000,
        with in 0u8..50,
        without in 0u8..50,
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
        let sampled = Sampled { with: f64::from(with), without: f64::from(without) };
        let line = words(at, 1, said);
        let scene = Scene::new(&requests, times, [&line].into_iter(), WINDOW, sampled);
        let all: f64 = (0..requests.len())
            .filter_map(|n| scene.score(n, &line))
            .map(|score| score.confidence)
            .sum();
        proptest::prop_assert!((0.0..=1.0 + 1e-9).contains(&all), "{}", all);
    }
}
