//! Messages as the RFCs, rsyslog, syslog-ng, busybox and routers write them.

use proptest::prelude::*;

use crate::record::{format_rfc3339, parse_rfc3339};

use super::*;

/// 2026-01-02T00:00:00Z
const NOW: u64 = 1_767_312_000_000_000_000;

fn parse(text: &str) -> Message<'_> {
    Message::parse(text.as_bytes(), NOW)
}

/// Time, host, program, process and text.
fn parts(text: &str) -> (String, &str, &str, &str, &str) {
    let message = parse(text);
    (
        message.time.map(format_rfc3339).unwrap_or_default().chars().take(19).collect(),
        message.hostname.unwrap_or_default(),
        message.app_name.unwrap_or_default(),
        message.proc_id.unwrap_or_default(),
        std::str::from_utf8(message.text).unwrap(),
    )
}

#[test]
fn rfc_5424_is_read_with_its_structured_data() {
    let message = parse(
        "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog 8710 ID47 \
         [exampleSDID@32473 iut=\"3\" eventSource=\"App \\\"x\\\\y\\]\\z\"]\
         [opentelemetry trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\" span_id=\"00f067aa0ba902b7\"] \u{feff}An event\n",
    );
    assert_eq!((message.facility_keyword(), message.severity_keyword()), (Some("local4"), Some("notice")));
    assert_eq!(message.time, parse_rfc3339(b"2003-10-11T22:14:15.003Z"));
    assert_eq!(message.hostname, Some("mymachine.example.com"));
    assert_eq!(
        (message.app_name, message.proc_id, message.msg_id),
        (Some("evntslog"), Some("8710"), Some("ID47"))
    );
    assert_eq!(message.parameter("exampleSDID@32473", "eventSource"), Some("App \"x\\y]\\z"));
    assert_eq!(message.parameter("opentelemetry", "span_id"), Some("00f067aa0ba902b7"));
    assert_eq!(message.text, b"An event");
}

#[test]
fn what_rfc_5424_leaves_out_is_none() {
    let message = parse("<34>1 - - - - - -");
    let none = Message { facility: Some(4), severity: Some(2), ..Message::default() };
    assert_eq!(message, none);
    assert_eq!(parse("<34>1 - h a p m - text").text, b"text");
    assert_eq!(parse("<34>1 - h a p m").msg_id, Some("m"));
    // Structured data that is broken is text.
    assert_eq!(parse("<34>1 - h a p m [x y=\"1] z").text, b"[x y=\"1] z");
    assert_eq!(parse("<34>1 - h a p m [x]text").text, b"[x]text");
}

#[test]
fn rfc_3164_is_read_as_it_is_spoken() {
    let cases = [
        (
            "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
            ("2025-10-11T22:14:15", "mymachine", "su", "", "'su root' failed for lonvick on /dev/pts/8"),
        ),
        ("<13>Jan  2 00:00:01 h app[123]: m: n", ("2026-01-02T00:00:01", "h", "app", "123", "m: n")),
        // As a program writes it to the local socket.
        ("<13>Jan  2 00:00:01 app[1]: m", ("2026-01-02T00:00:01", "", "app", "1", "m")),
        // As rsyslog forwards it.
        (
            "<46>2026-01-01T23:00:00.5+01:00 10.0.0.1 rsyslogd: start",
            ("2026-01-01T22:00:00", "10.0.0.1", "rsyslogd", "", "start"),
        ),
        (
            "<166>Jan 01 2026 22:14:15: %ASA-6-302013: Built",
            ("2026-01-01T22:14:15", "", "%ASA-6-302013", "", "Built"),
        ),
        // A clock that is ahead, and one that cannot be so far ahead.
        ("<13>Jan  3 09:00:00 h x: y", ("2026-01-03T09:00:00", "h", "x", "", "y")),
        ("<13>Jan 10 09:00:00 h x: y", ("2025-01-10T09:00:00", "h", "x", "", "y")),
        ("<13>app: m", ("", "", "app", "", "m")),
        ("<13>no time and no tag", ("", "", "", "", "no time and no tag")),
        ("<13>Jan  2 00:00:01 h see http://x", ("2026-01-02T00:00:01", "h", "", "", "see http://x")),
        ("<13>Foo  2 00:00:01 h x", ("", "", "", "", "Foo  2 00:00:01 h x")),
        ("<13>Dec 31 23:59:59 fe80::1 x: y", ("2025-12-31T23:59:59", "fe80::1", "x", "", "y")),
    ];
    for (text, expected) in cases {
        let (time, host, app, process, rest) = parts(text);
        assert_eq!((&*time, host, app, process, rest), expected, "{text}");
    }
}

#[test]
fn what_is_no_syslog_is_a_text() {
    for text in ["", "plain", "<", "<>x", "<192>x", "<1234>x", "<1x", "2026 <34>x"] {
        assert_eq!(parse(text), Message { text: text.as_bytes(), ..Message::default() }, "{text}");
    }
}

fn frames(pieces: &[&[u8]], max: usize) -> Vec<(String, u64)> {
    let (mut framing, mut found) = (Framing::new(max), Vec::new());
    let mut take = |message: &[u8], cut| found.push((String::from_utf8_lossy(message).into_owned(), cut));
    for piece in pieces {
        framing.push(piece, &mut take);
    }
    framing.finish(&mut take);
    found
}

#[test]
fn messages_are_told_apart_by_length_or_by_line_each_for_itself() {
    let bytes =
        b"5 <1>a\n6 <1>bc\nd\n<1>e\r\n\n404 not found\n2026-01-02 x\n<1>f\x0012345678901 <1>g\n3 <1>8 <1>h";
    let read = frames(&[bytes], 100);
    let lines: Vec<&str> = read.iter().map(|(line, _)| line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "<1>a",
            "<1>bc",
            "d",
            "<1>e",
            "404 not found",
            "2026-01-02 x",
            "<1>f",
            "12345678901 <1>g",
            "<1>",
            "<1>h"
        ]
    );
}

#[test]
fn long_messages_keep_their_head_and_the_next_begins_where_it_should() {
    let bytes = b"20 <1>3456789012345678901234\n<1>567890123\n6 <1>abc";
    assert_eq!(
        frames(&[bytes], 10),
        [("<1>3456789".into(), 10), ("01234".into(), 0), ("<1>5678901".into(), 2), ("<1>abc".into(), 0)]
    );
}

proptest! {
    #[test]
    fn any_message_is_read(bytes in prop::collection::vec(any::<u8>(), 0..200), now in any::<u64>()) {
        Message::parse(&bytes, now);
    }

    #[test]
    fn what_looks_like_a_message_is_read(
        text in "<[0-9]{1,3}>[0-9]{0,2} ?(-|[A-Z][a-z]{2} {1,2}[0-9]{1,2} [0-9:]{5,8}) [a-z:\\[\\]]{0,8} \\[[a-z=\"\\\\\\] ]{0,12}.{0,9}",
        now in any::<u64>(),
    ) {
        let message = Message::parse(text.as_bytes(), now);
        prop_assert!(message.text.len() <= text.len());
    }

    #[test]
    fn pieces_of_any_size_give_the_same_messages(
        bytes in prop::collection::vec(prop::sample::select(b"\n\x001234 <<>>ab".to_vec()), 0..200),
        size in 1usize..9,
        max in 0usize..30,
    ) {
        let whole = frames(&[&bytes], max);
        prop_assert_eq!(frames(&bytes.chunks(size).collect::<Vec<_>>(), max), whole);
    }
}
