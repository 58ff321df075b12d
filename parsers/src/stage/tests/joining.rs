//! `multiline`, `cri`, `docker`.

use super::*;

fn by_rule(expression: &str) -> StageConfig {
    StageConfig::Multiline(MultilineConfig {
        firstline: FirstLine::Expression(text(expression)),
        max_wait_time: None,
        max_lines: Some(4),
    })
}

fn traces() -> StageConfig {
    StageConfig::Multiline(MultilineConfig {
        firstline: FirstLine::StackTraces,
        max_wait_time: None,
        max_lines: None,
    })
}

/// Joins lines, and shows each record with `|` for its newlines.
fn joined(stage: StageConfig, lines: &str) -> Vec<String> {
    let lines: Vec<&str> = lines.lines().collect();
    run(&[stage], &lines).lines().iter().map(|line| line.replace('\n', "|")).collect()
}

#[test]
fn lines_before_the_first_first_line_stay_alone_and_others_join() {
    let lines = "early\nmore\n[1] a\n  b\nc\n[2] d\n[3] e";
    assert_eq!(joined(by_rule(r"^\["), lines), ["early", "more", "[1] a|  b|c", "[2] d", "[3] e"]);
}

#[test]
fn a_record_has_its_most_lines_and_the_rest_is_one_too() {
    assert_eq!(joined(by_rule("^A"), "A\n1\n2\n3\n4\n5\nA"), ["A|1|2|3", "4|5", "A"]);
}

#[test]
fn a_record_keeps_the_time_and_labels_of_its_first_line_and_the_offset_of_what_ended_it() {
    let taken = run(&[by_rule("^A")], &["A", "b", "A"]);
    assert_eq!(taken.entries[0].time, NOW);
    assert_eq!(taken.entries.iter().map(|e| e.offset).collect::<Vec<_>>(), [4, 6]);
}

#[test]
fn waiting_is_by_the_lines_own_time_and_a_slow_reader_tears_nothing() {
    let mut pipeline = pipeline(&[by_rule("^A")]);
    let mut taken = Taken::default();
    let mut push = |pipeline: &mut Pipeline, time, now, line: &str, offset| {
        pipeline.run(Entry { offset, ..Entry::new(time, line.as_bytes()) }, now, &mut taken);
    };
    push(&mut pipeline, NOW, NOW, "A", 0);
    push(&mut pipeline, NOW + 1, NOW + 3_600 * SECOND, "b", 2);
    push(&mut pipeline, NOW + 10 * SECOND, NOW + 3_600 * SECOND, "c", 4);
    assert_eq!(taken.lines(), ["A\nb", "c"]);
}

#[test]
fn at_the_end_of_the_file_waiting_is_by_the_clock() {
    let mut pipeline = pipeline(&[by_rule("^A")]);
    let mut taken = Taken::default();
    pipeline.run(Entry { offset: 7, ..Entry::new(5, b"A") }, NOW, &mut taken);
    assert_eq!(held_here(&pipeline), Some(7));
    pipeline.idle(NOW + SECOND, 9, &mut taken);
    assert!(taken.entries.is_empty());
    pipeline.idle(NOW + 3 * SECOND, 9, &mut taken);
    assert_eq!((taken.entries[0].offset, held_here(&pipeline)), (9, None));
}

#[test]
fn what_is_held_at_a_rotation_is_told_by_its_file() {
    let mut pipeline = pipeline(&[by_rule("^A")]);
    let mut taken = Taken::default();
    pipeline.run(Entry { offset: 7, ..Entry::new(NOW, b"A") }, NOW, &mut taken);
    pipeline.carry_over();
    pipeline.carry_over();
    assert_eq!(held_here(&pipeline), None);
    assert_eq!(held(&pipeline), Some(Carried { files_back: 2, offset: 7 }));
    pipeline.run(Entry { offset: 0, ..Entry::new(NOW, b"b") }, NOW, &mut taken);
    assert!(held(&pipeline.fork()).is_none(), "a fork holds nothing");
    pipeline.flush(NOW, 2, &mut taken);
    assert_eq!(taken.lines(), ["A\nb"]);
}

#[test]
fn outputs_do_not_mix() {
    let mut pipeline = pipeline(&[by_rule("^A")]);
    let mut taken = Taken::default();
    for (stream, line) in [("stdout", "A1"), ("stderr", "A2"), ("stdout", "b1"), ("stderr", "b2")] {
        let mut entry = Entry::new(NOW, line.as_bytes());
        entry.labels.set("stream", stream);
        pipeline.run(entry, NOW, &mut taken);
    }
    pipeline.flush(NOW, 0, &mut taken);
    assert_eq!(taken.lines(), ["A1\nb1", "A2\nb2"]);
}

#[test]
fn a_record_is_cut_at_the_limit_of_lines() {
    let long = "x".repeat(200 * 1024);
    let taken = run(&[by_rule("^A")], &["A", &long, &long, "end"]);
    assert_eq!(taken.entries[0].line.len(), 256 * 1024);
    assert_eq!(taken.entries[0].truncated as usize, 2 + 2 + 2 * 200 * 1024 + 3 - 256 * 1024);
}

#[test]
fn java_traces_are_one_record_with_the_line_that_reports_them() {
    let lines = "INFO start\nERROR failed\njava.lang.IllegalStateException: no\n\tat a.B.c(B.java:1)\n\tat a.D.e(D.java:2)\nCaused by: java.io.IOException: x\n\t... 12 more\nINFO next";
    assert_eq!(
        joined(traces(), lines),
        [
            "INFO start",
            "ERROR failed|java.lang.IllegalStateException: no|\tat a.B.c(B.java:1)|\tat a.D.e(D.java:2)|Caused by: java.io.IOException: x|\t... 12 more",
            "INFO next"
        ]
    );
}

#[test]
fn python_traces_end_with_the_exception() {
    let lines = "INFO ok\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\n    raise X\nValueError: a\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"b.py\", line 2\nKeyError: 'k'\nINFO after";
    let records = joined(traces(), lines);
    assert_eq!(records.len(), 3, "{records:?}");
    assert!(records[1].starts_with("Traceback") && records[1].ends_with("KeyError: 'k'"));
    let after_error = joined(
        traces(),
        "ERROR in app: Exception on /error [GET]\nTraceback (most recent call last):\n  File \"a\", line 1\nE: x\nINFO",
    );
    assert_eq!(
        after_error,
        [
            "ERROR in app: Exception on /error [GET]|Traceback (most recent call last):|  File \"a\", line 1|E: x",
            "INFO"
        ]
    );
}

#[test]
fn go_panics_are_one_record() {
    let lines = "ok\npanic: runtime error: index out of range\n[signal SIGSEGV: x]\n\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:9 +0x1d\ncreated by main.start\n\t/app/x.go:1\nexit status 2\n{\"level\":\"info\"}";
    let records = joined(traces(), lines);
    assert_eq!(records.len(), 3, "{records:?}");
    assert!(records[1].starts_with("panic: ") && records[1].ends_with("exit status 2"));
}

#[test]
fn ruby_and_dotnet_traces_are_one_record() {
    let ruby = "a.rb:1:in `f': boom (RuntimeError)\n\tfrom a.rb:2:in `g'\n\t 3: from a.rb:3:in `h'\nnext";
    assert_eq!(joined(traces(), ruby).len(), 2);
    let dotnet = "Unhandled exception. System.InvalidOperationException: no\n ---> System.Exception: inner\n   at A.B() in C.cs:line 1\n   --- End of inner exception stack trace ---\n   at D.Main()\nnext";
    assert_eq!(joined(traces(), dotnet).len(), 2);
}

#[test]
fn lines_that_are_no_traces_stay_alone() {
    let lines = "one\n  indented\nthree: x\n\nSELECT 1\n\tFROM t";
    assert_eq!(joined(traces(), lines).len(), 6);
}

#[test]
fn cri_and_docker_lines_are_unwrapped_and_joined_and_others_pass() {
    let cri = [
        "2024-01-01T00:00:00Z stderr P he",
        "2024-01-01T00:00:01Z stdout F out",
        "2024-01-01T00:00:02Z stderr F llo",
        "bare",
    ];
    let taken = run(&[StageConfig::Cri], &cri);
    assert_eq!(taken.lines(), ["out", "hello", "bare"]);
    assert_eq!(pairs(&taken.entries[1].labels), ["stream=stderr"]);
    assert_eq!(taken.entries[1].time, 1_704_067_200 * SECOND);
    assert_eq!(taken.entries[1].extracted.get("content"), Some("hello"));
    let docker =
        [r#"{"log":"level=info\n","stream":"stderr","time":"2024-01-01T00:00:00Z"}"#, r#"{"app":"json"}"#];
    let taken = run(&[StageConfig::Docker], &docker);
    assert_eq!(taken.lines(), ["level=info", r#"{"app":"json"}"#]);
    assert_eq!(taken.entries[0].extracted.get("output"), Some("level=info"));
}

#[test]
fn half_a_cri_record_is_held_and_told() {
    let mut pipeline = pipeline(&[StageConfig::Cri]);
    let mut taken = Taken::default();
    let entry = Entry { offset: 3, ..Entry::new(NOW, b"2024-01-01T00:00:00Z stdout P he") };
    pipeline.run(entry, NOW, &mut taken);
    assert_eq!(held_here(&pipeline), Some(3));
    pipeline.flush(NOW, 50, &mut taken);
    assert_eq!((taken.lines(), held_here(&pipeline)), (vec!["he"], None));
}

#[test]
fn a_fragment_that_speaks_of_the_other_output_holds_nothing_when_it_is_whole() {
    let speaking = [
        (
            StageConfig::Cri,
            "2024-01-01T00:00:00Z stdout P to stderr or ",
            "2024-01-01T00:00:01Z stdout F not",
        ),
        (
            StageConfig::Docker,
            r#"{"log":"\"stream\":\"stderr\" \n\"stream\":\"stderr\" stderr ","stream":"stdout","time":"2024-01-01T00:00:00Z"}"#,
            r#"{"log":"end\n","stream":"stdout","time":"2024-01-01T00:00:00Z"}"#,
        ),
    ];
    for (stage, first, second) in speaking {
        let mut pipeline = pipeline(&[stage]);
        let mut taken = Taken::default();
        for (offset, line) in [(0, first), (100, second)] {
            let mut entry = Entry { offset, ..Entry::new(NOW, line.as_bytes()) };
            entry.metadata.set("from", offset.to_string());
            pipeline.run(entry, NOW, &mut taken);
        }
        assert_eq!(held_here(&pipeline), None);
        assert_eq!(taken.entries[0].metadata.get("from"), Some("0"), "it is the first fragment's entry");
    }
}
