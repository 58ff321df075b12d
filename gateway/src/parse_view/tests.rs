use parsers::stage::{DropConfig, LogfmtConfig, Pipeline, StageConfig};

use parsers::derived::{Deriver, RuleSpec};

use super::ParseView;

fn rules() -> Deriver {
    let spec = RuleSpec { name: "tid".to_owned(), regex: r"tid=(?P<trace_id>\S+)".to_owned() };
    Deriver::new(&[spec]).unwrap()
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn a_linked_line_shows_its_ids_and_every_finding() {
    let deriver = rules();
    let mut view = ParseView::new(&deriver, Pipeline::default());
    let line = format!(
        r#"{{"level":"error","service":"web","trace_id":"{}","span_id":"00f067aa0ba902b7"}}"#,
        TRACE.to_uppercase()
    );
    let expected = "\
1: {\"level\":\"error\",\"service\":\"web\",\"trace_id\":\"4BF92F3577B34DA6A3CE929D0E0E4736\",\"span_id\":\"00f067aa0ba902b7\"}
   => trace 4bf92f3577b34da6a3ce929d0e0e4736, span 00f067aa0ba902b7, by json, severity error
   used      json            level     error
   used      json            trace_id  4bf92f3577b34da6a3ce929d0e0e4736
   used      json            span_id   00f067aa0ba902b7
";
    assert_eq!(view.line(line.as_bytes()), expected);
}

#[test]
fn a_line_without_an_id_says_so() {
    let deriver = rules();
    let mut view = ParseView::new(&deriver, Pipeline::default());
    assert_eq!(view.line(b"hello\n"), "1: hello\n   => not linked: no trace id found, severity unknown\n");
}

#[test]
fn a_partial_record_is_described_when_it_is_whole() {
    let deriver = rules();
    let mut view = ParseView::new(&deriver, Pipeline::default());
    assert_eq!(view.line(b"2024-01-01T00:00:00Z stdout P tid=4bf92f3577b34da6\n"), "");
    let expected = "\
1: tid=4bf92f3577b34da6a3ce929d0e0e4736
   => trace 4bf92f3577b34da6a3ce929d0e0e4736, by user:tid, severity unknown
   used      user:tid        trace_id  4bf92f3577b34da6a3ce929d0e0e4736
   shadowed  logfmt          trace_id  4bf92f3577b34da6a3ce929d0e0e4736
";
    assert_eq!(view.line(b"2024-01-01T00:00:00Z stdout F a3ce929d0e0e4736\n"), expected);
    assert_eq!(view.line(b"2024-01-01T00:00:00Z stdout P cut off\n"), "");
    assert_eq!(view.finish(), "2: cut off\n   => not linked: no trace id found, severity unknown\n");
    assert_eq!(view.finish(), "");
}

#[test]
fn docker_wrapping_is_removed() {
    let deriver = rules();
    let mut view = ParseView::new(&deriver, Pipeline::default());
    let text = view.line(br#"{"log":"hello\n","stream":"stdout","time":"2024-01-01T00:00:00Z"}"#);
    assert_eq!(text, "1: hello\n   => not linked: no trace id found, severity unknown\n");
}

#[test]
fn refused_ids_show_why_and_control_characters_are_escaped() {
    let deriver = rules();
    let mut view = ParseView::new(&deriver, Pipeline::default());
    let expected = "\
1: \\x1b[31m trace_id=not-an-id
   => not linked: no trace id found, severity unknown
   refused   logfmt          trace_id  not-an-id  (not an id: expected hex digits, or one of the known spellings)
   problem   a key for ids has a value that is not an id
";
    assert_eq!(view.line(b"\x1b[31m trace_id=not-an-id"), expected);
}

#[test]
fn a_line_after_container_lines_that_is_none_is_a_problem() {
    let deriver = rules();
    let mut view = ParseView::new(&deriver, Pipeline::default());
    view.line(b"2024-01-01T00:00:00Z stdout F hello");
    assert!(
        view.line(b"stray")
            .contains("   problem   not in the container format that the lines before it have\n")
    );
}

#[test]
fn the_summary_has_a_share_for_each_rule() {
    let deriver = rules();
    let mut view = ParseView::new(&deriver, Pipeline::default());
    assert_eq!(view.summary(), "0 lines, 0 linked (0.0 %)\n");
    view.line(format!("tid={TRACE}").as_bytes());
    view.line(format!("level=info trace_id={TRACE}").as_bytes());
    view.line(b"hello");
    view.line(b"trace_id=not-an-id");
    let expected = "\
4 lines, 2 linked (50.0 %)
  logfmt                 1   25.0 %
  user:tid               1   25.0 %
  not linked             2   50.0 %
problems
         1  a key for ids has a value that is not an id
";
    assert_eq!(view.summary(), expected);
}

#[test]
fn each_stage_that_changes_something_is_shown_with_what_it_changes() {
    let deriver = Deriver::new(&[]).unwrap();
    let stages = [
        StageConfig::Logfmt(LogfmtConfig { mapping: vec![("level".into(), None)], source: None }),
        StageConfig::Labels(vec![("level".into(), None)]),
        StageConfig::Drop(DropConfig { expression: Some("secret".into()), ..DropConfig::default() }),
    ];
    let mut view = ParseView::new(&deriver, Pipeline::new(&stages).unwrap());
    let text = view.line(b"level=warn trace_id=4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(text.contains("[0] logfmt       extracted level = warn\n"), "{text}");
    assert!(text.contains("[1] labels       label level = warn\n"), "{text}");
    assert!(text.contains("=> trace 4bf92f3577b34da6a3ce929d0e0e4736"), "{text}");
    let text = view.line(b"level=info secret");
    assert!(text.contains("=> dropped: drop_stage\n"), "{text}");
    assert!(view.summary().starts_with("1 line, 1 linked"), "{}", view.summary());
}
