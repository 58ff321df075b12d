use proptest::prelude::*;

use super::*;
use crate::record::parse_rfc3339;

/// Time, stream, text, offset, truncated bytes, problem.
type Out = (Option<u64>, Stream, String, u64, u64, Option<ProblemKind>);

fn run(joiner: &mut Joiner, lines: &[&str]) -> Vec<Out> {
    let mut out = Vec::new();
    let mut offset = 0;
    for line in lines {
        joiner.push(line.as_bytes(), offset, &mut |l| {
            let text = String::from_utf8_lossy(l.text).into_owned();
            out.push((l.time, l.stream, text, l.offset, l.truncated, l.problem));
        });
        offset += line.len() as u64 + 1;
    }
    out
}

fn texts(lines: &[&str]) -> Vec<String> {
    run(&mut Joiner::new(JoinLimits::default()), lines).into_iter().map(|l| l.2).collect()
}

const T: &str = "2025-10-09T08:53:20.123456789Z";

#[test]
fn a_whole_cri_line_gives_its_time_stream_and_text() {
    let out = run(&mut Joiner::new(JoinLimits::default()), &[&format!("{T} stderr F hello world")]);
    assert_eq!(out, [(parse_rfc3339(T.as_bytes()), Stream::Stderr, "hello world".into(), 0, 0, None)]);
}

#[test]
fn cri_variants_are_read() {
    for (line, want) in [
        ("2025-10-09T08:53:20.1+02:00 stdout F x", "x"),
        ("2025-10-09T08:53:20Z stdout F x", "x"),
        ("2025-10-09T08:53:20.123456789Z stdout F", ""),
        ("2025-10-09T08:53:20.123456789Z stdout F ", ""),
        ("2025-10-09T08:53:20.123456789Z stdout F  indented", " indented"),
        ("2025-10-09T08:53:20.123456789Z stdout F:tag:more text", "text"),
        ("2025-10-09T08:53:20.123456789Z stdout F text\n", "text"),
    ] {
        let out = run(&mut Joiner::new(JoinLimits::default()), &[line]);
        assert_eq!((out[0].2.as_str(), out[0].5), (want, None), "{line}");
        assert!(out[0].0.is_some(), "{line}");
    }
}

#[test]
fn fragments_join_for_each_stream_apart() {
    let lines = [
        format!("{T} stdout P one "),
        format!("{T} stderr P err "),
        format!("{T} stdout P two "),
        format!("{T} stderr F end"),
        format!("{T} stdout F three"),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(texts(&lines), ["err end", "one two three"]);
}

#[test]
fn a_joined_record_has_the_first_time_and_the_last_offset() {
    let first = format!("{T} stdout P a");
    let mut joiner = Joiner::new(JoinLimits::default());
    let out = run(&mut joiner, &[&first, "2025-10-09T08:53:21Z stdout F b"]);
    assert_eq!(out[0].0, parse_rfc3339(T.as_bytes()));
    assert_eq!(out[0].3, first.len() as u64 + 1);
}

#[test]
fn the_pending_offset_is_that_of_the_oldest_first_fragment() {
    let mut joiner = Joiner::new(JoinLimits::default());
    let mut ignore = |_: ContainerLine<'_>| {};
    assert_eq!(joiner.pending_offset(), None);
    joiner.push(format!("{T} stderr P a").as_bytes(), 100, &mut ignore);
    joiner.push(format!("{T} stdout P b").as_bytes(), 200, &mut ignore);
    assert_eq!(joiner.pending_offset(), Some(100));
    joiner.push(format!("{T} stderr F c").as_bytes(), 300, &mut ignore);
    assert_eq!(joiner.pending_offset(), Some(200));
    joiner.push(format!("{T} stdout F d").as_bytes(), 400, &mut ignore);
    assert_eq!((joiner.pending_offset(), joiner.is_pending()), (None, false));
}

#[test]
fn a_record_split_by_a_rotation_is_joined_and_its_beginning_remembered() {
    let mut joiner = Joiner::new(JoinLimits::default());
    let mut out = Vec::new();
    let mut keep = |l: ContainerLine<'_>| out.push(l.text.to_vec());
    joiner.push(format!("{T} stdout P a").as_bytes(), 900, &mut keep);
    joiner.carry_over();
    assert_eq!(joiner.pending_offset(), None);
    assert_eq!(joiner.carried(), Some(Carried { files_back: 1, offset: 900 }));
    joiner.push(format!("{T} stdout P b").as_bytes(), 0, &mut keep);
    assert_eq!(joiner.pending_offset(), Some(0));
    joiner.carry_over();
    assert_eq!(joiner.carried(), Some(Carried { files_back: 2, offset: 900 }));
    joiner.push(format!("{T} stdout F c").as_bytes(), 0, &mut keep);
    assert_eq!((joiner.carried(), joiner.pending_offset()), (None, None));
    assert_eq!(out, [b"abc".to_vec()]);
}

#[test]
fn flush_emits_what_is_pending_once() {
    let mut joiner = Joiner::new(JoinLimits::default());
    run(&mut joiner, &[&format!("{T} stdout P half")]);
    let mut out = Vec::new();
    joiner.flush(&mut |l| out.push(l.text.to_vec()));
    joiner.flush(&mut |l| out.push(l.text.to_vec()));
    assert_eq!(out, [b"half".to_vec()]);
}

#[test]
fn a_long_record_keeps_its_head_and_says_how_much_was_cut() {
    let mut joiner = Joiner::new(JoinLimits { max_line: 8 });
    let lines = [
        format!("{T} stdout P abcd"),
        format!("{T} stdout P efgé"),
        format!("{T} stdout P xyz"),
        format!("{T} stdout F 123"),
        format!("{T} stdout F abcdefgé"),
        format!("{T} stdout F abcdefgh"),
        "raw over the limit".to_owned(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let out = run(&mut joiner, &lines);
    let got: Vec<_> = out.iter().map(|l| (l.2.as_str(), l.4, l.5)).collect();
    let cut = Some(ProblemKind::Truncated);
    assert_eq!(
        got,
        [
            ("abcdefg", 8, cut),
            ("abcdefg", 2, cut),
            ("abcdefgh", 0, None),
            ("raw over", 10, Some(ProblemKind::BadLine))
        ]
    );
}

#[test]
fn an_endless_chain_of_fragments_stays_within_the_limit() {
    let mut joiner = Joiner::new(JoinLimits { max_line: 1000 });
    let line = format!("{T} stdout P {}", "\r progress".repeat(50));
    for offset in 0..1000 {
        joiner.push(line.as_bytes(), offset, &mut |_| panic!("nothing ends"));
    }
    assert!(joiner.buffered() < 4096);
}

#[test]
fn docker_lines_are_unwrapped_and_joined() {
    for (lines, want) in [
        (&[r#"{"log":"plain\n","stream":"stdout","time":"2025-10-09T08:53:20.1Z"}"#][..], "plain"),
        (
            &[
                r#"{"log":"a \"q\" \u00e9 \ud83d\ude00 \\n\n","stream":"stderr","time":"2025-10-09T08:53:20.1Z"}"#,
            ],
            "a \"q\" é 😀 \\n",
        ),
        (&[r#"{"log":"\ud83d lone\n","stream":"stderr","time":"2025-10-09T08:53:20.1Z"}"#], "\u{fffd} lone"),
        (&[r#"{"log":"x\n","stream":"stdout","attrs":{"tag":"a}b"},"time":"2025-10-09T08:53:20.1Z"}"#], "x"),
        (
            &[
                r#"{"log":"one ","stream":"stdout","time":"2025-10-09T08:53:20.1Z"}"#,
                r#"{"log":"two\\n","stream":"stdout","time":"2025-10-09T08:53:20.1Z"}"#,
                r#"{"log":"\n","stream":"stdout","time":"2025-10-09T08:53:20.1Z"}"#,
            ],
            "one two\\n",
        ),
    ] {
        let out = run(&mut Joiner::new(JoinLimits::default()), lines);
        assert_eq!(out.len(), 1, "{lines:?}");
        assert_eq!((out[0].2.as_str(), out[0].0.is_some(), out[0].5), (want, true, None), "{lines:?}");
    }
}

#[test]
fn an_applications_own_json_is_not_taken_for_dockers() {
    for line in [
        r#"{"log":"x","level":"info"}"#,
        r#"{"log":"x\n","stream":"stdout"}"#,
        r#"{"log":"x\n","stream":"kafka","time":"2025-10-09T08:53:20.1Z"}"#,
        r#"{"time":"2025-10-09T08:53:20.1Z","msg":"x"}"#,
        r#"{"log":"unterminated"#,
    ] {
        assert_eq!(texts(&[line]), [line]);
    }
}

#[test]
fn bare_lines_are_in_order_until_wrapped_ones_were_seen() {
    let out = run(&mut Joiner::new(JoinLimits::default()), &["bare", &format!("{T} stdout F x"), "bare"]);
    let problems: Vec<_> = out.iter().map(|l| l.5).collect();
    assert_eq!(problems, [None, None, Some(ProblemKind::BadLine)]);
}

#[test]
fn a_line_with_a_bad_time_keeps_its_text() {
    let out = run(&mut Joiner::new(JoinLimits::default()), &["2025-13-09T08:53:20Z stdout F x"]);
    assert_eq!((out[0].2.as_str(), out[0].0, out[0].5), ("x", None, Some(ProblemKind::BadTime)));
}

#[test]
fn pod_paths_give_the_identity() {
    let uid = "0b2dbd2c-0a70-4d2b-9c64-9a2ac1b6b5a1";
    for (file, restart, rotated) in [
        ("0.log", 0, None),
        ("12.log", 12, None),
        ("3.log.20251009-085320", 3, Some("20251009-085320")),
        ("3.log.20251009-085320.gz", 3, Some("20251009-085320.gz")),
    ] {
        let path = format!("/var/log/pods/shop_cart-5f9-x_{uid}/app/{file}");
        let want = PodPath {
            namespace: "shop",
            pod: "cart-5f9-x",
            uid: Some(uid),
            container: "app",
            restart: Some(restart),
            rotated,
        };
        assert_eq!(PodPath::parse(&path), Some(want));
    }
    let link = format!("/var/log/containers/cart-5f9-x_shop_my-app-{}.log", "ab".repeat(32));
    let got = PodPath::parse(&link).unwrap();
    assert_eq!((got.pod, got.namespace, got.container, got.uid), ("cart-5f9-x", "shop", "my-app", None));
}

#[test]
fn other_paths_give_no_identity() {
    for path in [
        "",
        "/var/log/syslog",
        "/var/log/pods/shop_cart/app/0.log",
        "/var/log/pods/shop_cart_uid/app/x.log",
        "/var/log/pods/shop_cart_uid/app/.log",
        "/var/log/pods/shop_cart_uid/app/0.logs",
        "/var/log/pods/_cart_uid/app/0.log",
        "/var/log/containers/a_b_c-123.log",
    ] {
        assert_eq!(PodPath::parse(path), None, "{path}");
    }
}

proptest! {
    #[test]
    fn any_bytes_give_records_within_the_limit(
        lines in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..200),
                "2025-10-09T08:53:2[0-9][.][0-9]{0,10}Z? (stdout|stderr) [PFX](:a)? .{0,40}".prop_map(String::into_bytes),
                r#"\{"log":".{0,20}(\\n)?","stream":"(stdout|stderr)","time":"2025-10-09T08:53:20Z"\}"#.prop_map(String::into_bytes),
            ],
            0..40,
        ),
        max_line in 0usize..64,
    ) {
        let mut joiner = Joiner::new(JoinLimits { max_line });
        let mut emit = |l: ContainerLine<'_>| {
            assert!(l.text.len() <= max_line);
        };
        for (i, line) in lines.iter().enumerate() {
            joiner.push(line, i as u64, &mut emit);
            if i % 7 == 6 {
                joiner.carry_over();
            }
        }
        joiner.flush(&mut emit);
        prop_assert!(!joiner.is_pending());
    }

    #[test]
    fn a_text_split_anywhere_is_joined_whole(text in "[ -~é😀]{0,80}", cuts in proptest::collection::vec(0usize..80, 0..5)) {
        let bytes = text.as_bytes();
        let mut at: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
        at.sort_unstable();
        at.push(bytes.len());
        let mut joiner = Joiner::new(JoinLimits::default());
        let (mut start, mut out) = (0, Vec::new());
        for (i, end) in at.iter().copied().enumerate() {
            let tag = if i + 1 == at.len() { "F" } else { "P" };
            let mut line = format!("{T} stdout {tag} ").into_bytes();
            line.extend_from_slice(&bytes[start..end]);
            joiner.push(&line, i as u64, &mut |l| out.push(l.text.to_vec()));
            start = end;
        }
        prop_assert_eq!(out, vec![bytes.to_vec()]);
    }

    #[test]
    fn the_clock_agrees_with_the_plain_reader(minute in 0u8..60, second in 0u8..62, fraction in "[0-9]{0,11}") {
        let dot = if fraction.is_empty() { "" } else { "." };
        let text = format!("2025-10-09T08:{minute:02}:{second:02}{dot}{fraction}Z");
        let mut clock = clock::Clock::default();
        clock.read(b"2025-10-09T08:07:00.5Z");
        for _ in 0..2 {
            prop_assert_eq!(clock.read(text.as_bytes()), parse_rfc3339(text.as_bytes()));
        }
    }
}
