//! How right what is offered is where containers write of themselves, too: requests and lines whose truth is known.

use std::collections::HashMap;

use super::*;

/// A confidence from which on a reader may rely on a join.
const SURE: f64 = 0.8;
/// How many such joins are right, at least.
const PRECISION: f64 = 0.95;

/// splitmix64.
struct Dice(u64);

impl Dice {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.bits() % (to - from)
    }

    /// Exponentially distributed, ms.
    fn waiting(&mut self, mean: u64) -> u64 {
        let unit = (self.bits() >> 11) as f64 / (1u64 << 53) as f64;
        (-(mean as f64) * (1.0 - unit).ln()) as u64
    }
}

/// What was made; whose each line is, by its text.
#[derive(Default)]
struct Made {
    memory: Memory,
    truth: HashMap<String, Option<u128>>,
    traces: u128,
}

impl Made {
    fn line(&mut self, at: u64, text: String, labels: &[(&str, &str)], of: Option<u128>) {
        self.memory.logs.push(line(at, &text, labels, ""));
        self.truth.insert(text, of);
    }

    /// Of `asked` traces: how many lines are offered with 0.8 and more that are right, how many that are not, and the sum of
    /// what is written for them.
    fn sure(mut self, asked: u128) -> Sure {
        self.memory.logs.sort_by_key(|log| log.time);
        let mut sure = Sure::default();
        let every = (self.traces / asked).max(1);
        for trace in (1..=self.traces).filter(|trace| trace % every == 0) {
            let own = self.memory.spans.iter().filter(|span| span.trace_id == id(trace)).cloned().collect();
            let nodes = tree::build(own).nodes;
            let limits = OfferLimits::default();
            let offer = offer(&self.memory, &self.memory, id(trace), &nodes, &[], &limits).unwrap();
            sure.written += self.truth.values().filter(|of| **of == Some(trace)).count();
            for log in offer.lines.iter().filter(|log| log.join.confidence >= SURE) {
                let text = std::str::from_utf8(&log.record.line).unwrap();
                let right = self.truth[text] == Some(trace);
                *if right { &mut sure.right } else { &mut sure.wrong } += 1;
                if !right && sure.examples.len() < 3 {
                    sure.examples.push(format!("{:.3} {:?} {text}", log.join.confidence, log.join.agreed));
                }
            }
        }
        sure
    }
}

#[derive(Debug, Default)]
struct Sure {
    right: usize,
    wrong: usize,
    written: usize,
    examples: Vec<String>,
}

impl Sure {
    fn precision(&self) -> f64 {
        self.right as f64 / (self.right + self.wrong).max(1) as f64
    }
}

/// Requests every so many ms on average that last so long, one line each, and another one with its id if they have such; and
/// lines in so many kinds that no request writes, every so many ms.
fn with_background(seed: u64, apart: u64, long: u64, beats: u64, kinds: usize, ids: bool) -> Made {
    let (mut made, mut dice) = (Made::default(), Dice(seed));
    let (mut at, mut n) = (0, 0);
    while at < 200_000 {
        at += dice.waiting(apart).max(1);
        n += 1;
        let lasts = dice.between(long / 2, long * 3 / 2);
        let attributes = [("http.request.method", "GET")];
        made.memory.spans.push(span(n.into(), n, at, at + lasts, &attributes, ""));
        let written = at + dice.between(1, 99) * lasts / 100;
        made.line(written, format!("INFO handling order {n}"), APP, Some(n.into()));
        if ids {
            let told = line(at + 1, "INFO order accepted", APP, "");
            made.memory.logs.push(LogRecord { trace_id: Some(id(n.into())), ..told });
        }
    }
    made.traces = n.into();
    let mut at = 0;
    for n in 0.. {
        at += dice.waiting(beats).max(1);
        if at > 200_000 {
            break;
        }
        let text = match n % kinds {
            0 => format!("DEBUG consumer polled {n} messages"),
            1 => format!("INFO gc pause {n} ms"),
            _ => format!("WARN pool size {n}"),
        };
        made.line(at, text, APP, None);
    }
    made
}

#[test]
fn lines_that_no_request_wrote_are_not_claimed_for_one() {
    let mut claimed = 0;
    for (apart, long, beats, kinds) in [
        (1_000, 100, 2_000, 1),
        (1_000, 300, 2_000, 3),
        (5_000, 1_000, 1_000, 3),
        (500, 400, 500, 3),
        (500, 400, 500, 1),
        (20_000, 3_000, 5_000, 3),
        (1_000, 300, 300, 3),
    ] {
        for ids in [false, true] {
            let mut sure = Sure::default();
            for seed in 1..=3 {
                let of = with_background(seed, apart, long, beats, kinds, ids).sure(60);
                sure.right += of.right;
                sure.wrong += of.wrong;
                sure.written += of.written;
                sure.examples.extend(of.examples);
            }
            let told = format!("{apart} {long} {beats} {kinds} {ids}: {sure:?}");
            assert!(sure.wrong == 0 || sure.precision() >= PRECISION, "{told}");
            claimed += sure.right;
        }
    }
    assert!(claimed > 0);
}

/// Envoy's text, a request or a probe that takes so many ms.
fn envoy(at: u64, (method, path, status): (&str, &str, u16), id: &str, long: u64) -> String {
    let start = stamp(at);
    format!(
        r#"[{start}] "{method} {path} HTTP/1.1" {status} - via_upstream - "-" 0 178 {long} {} "-" "curl/8" "{id}" "reviews:9080" "10.1.1.1:9080""#,
        long.saturating_sub(1)
    )
}

/// `START` plus so many ms as RFC 3339.
fn stamp(at: u64) -> String {
    let (seconds, ms) = (at / 1_000, at % 1_000);
    let of_day = 22 * 3_600 + 13 * 60 + 20 + seconds;
    format!("2023-11-14T{:02}:{:02}:{:02}.{ms:03}Z", of_day / 3_600, of_day / 60 % 60, of_day % 60)
}

fn uuid(dice: &mut Dice) -> String {
    let (a, b) = (dice.bits(), dice.bits());
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xffff,
        b >> 48,
        b & 0xffff_ffff_ffff
    )
}

/// Requests that a proxy logs, with or without its id in their spans, and probes in any phase that it logs, too.
fn with_probes(seed: u64, apart: u64, long: u64, beats: u64, ids: bool, late: u64) -> Made {
    let (mut made, mut dice) = (Made::default(), Dice(seed));
    let (mut at, mut n) = (0, 0u64);
    while at < 200_000 {
        at += dice.waiting(apart).max(1);
        n += 1;
        let lasts = dice.between(long / 2, long * 3 / 2);
        let (path, guid) = (format!("/reviews/{n}"), uuid(&mut dice));
        let mut attributes =
            vec![("http.request.method", "GET"), ("url.path", &*path), ("http.response.status_code", "200")];
        if ids {
            attributes.push(("guid:x-request-id", &*guid));
        }
        made.memory.spans.push(span(n.into(), n, at, at + lasts, &attributes, ""));
        let text = envoy(at, ("GET", &path, 200), &guid, lasts);
        made.line(at + lasts + dice.between(0, late + 1), text, PROXY, Some(n.into()));
    }
    made.traces = n.into();
    let mut at = 0;
    loop {
        at += dice.between(beats / 2, beats * 3 / 2);
        if at > 200_000 {
            break;
        }
        for (after, probe) in [(0, ("GET", "/health", 200)), (20, ("POST", "/metrics-push", 503))] {
            let text = envoy(at + after, probe, &uuid(&mut dice), 2);
            made.line(at + after + 2 + dice.between(0, late + 1), text, PROXY, None);
        }
    }
    made
}

#[test]
fn probes_that_a_proxy_logs_are_not_claimed_for_requests() {
    for (apart, long, beats) in
        [(1_000, 100, 1_000), (1_000, 100, 5_000), (300, 100, 1_000), (2_000, 50, 300)]
    {
        for ids in [false, true] {
            for late in [0, 9_000] {
                let sure = with_probes(1, apart, long, beats, ids, late).sure(40);
                assert!(sure.precision() >= PRECISION, "{apart} {long} {beats} {ids} {late}: {sure:?}");
                assert!(sure.right * 10 >= sure.written * 8, "{apart} {long} {beats} {ids} {late}: {sure:?}");
            }
        }
    }
}

/// Forty requests a second, of which some send spans and all write three lines that name who asked, one of so many; and as many lines
/// a second that no request wrote.
fn with_users(seed: u64, sampled: f64, users: u64, background: u64) -> Made {
    let (mut made, mut dice) = (Made::default(), Dice(seed));
    let (mut at, mut n) = (0, 0);
    let mut written = 0;
    while at < 20_000 {
        at += dice.waiting(25).max(1);
        let lasts = 80 + dice.waiting(120);
        let user = format!("u{}", dice.between(0, users));
        let of = (dice.between(0, 1_000) < (sampled * 1_000.0) as u64).then(|| {
            n += 1;
            made.memory.spans.push(span(n.into(), n, at, at + lasts, &[("enduser.id", &user)], ""));
            n.into()
        });
        for step in 0..3 {
            written += 1;
            let text = format!("step {step} of user={user} n={written}");
            made.line(at + dice.between(0, lasts), text, APP, of);
        }
    }
    made.traces = n.into();
    for _ in 0..20 * background {
        written += 1;
        made.line(dice.between(0, 20_000), format!("background cache refresh n={written}"), APP, None);
    }
    made
}

#[test]
fn unseen_requests_of_the_same_user_are_reckoned_with() {
    let mut all = Sure::default();
    // With the part of its lines that a request of many users gets at least.
    for (sampled, users, background, recall) in [
        (0.1, 30, 0, 0),
        (0.1, 30, 1, 0),
        (0.1, 8, 0, 0),
        (0.1, 200, 0, 60),
        (0.1, 200, 1, 60),
        (1.0, 200, 0, 90),
    ] {
        let of = with_users(1, sampled, users, background).sure(30);
        assert!(of.right * 100 >= of.written * recall, "{sampled} {users} {background}: {of:?}");
        (all.right, all.wrong) = (all.right + of.right, all.wrong + of.wrong);
        assert!(
            of.right + of.wrong < 30 || of.precision() >= PRECISION,
            "{sampled} {users} {background}: {of:?}"
        );
    }
    assert!(all.precision() >= PRECISION, "{all:?}");
}
