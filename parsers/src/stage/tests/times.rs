//! `timestamp`.

use super::*;
use crate::record::format_rfc3339;

fn stage(format: &str, location: Option<&str>) -> StageConfig {
    StageConfig::Timestamp(TimestampConfig {
        source: text("t"),
        format: text(format),
        location: location.map(text),
        on_failure: OnBadTime::Skip,
        ..TimestampConfig::default()
    })
}

fn read(format: &str, location: Option<&str>, time: &str) -> Option<String> {
    let stages = [regex("^(?P<t>.*)$"), stage(format, location)];
    let entry = one(&stages, time);
    (entry.time != NOW).then(|| format_rfc3339(entry.time))
}

#[test]
fn times_are_read_as_go_reads_them() {
    for (format, time, expected) in [
        ("RFC3339Nano", "2019-01-01T01:00:00.000000001Z", "2019-01-01T01:00:00.000000001Z"),
        ("RFC3339", "2019-01-01T01:00:00+02:00", "2018-12-31T23:00:00.000000000Z"),
        ("Unix", "1562708916", "2019-07-09T21:48:36.000000000Z"),
        ("Unix", "1562708916.000000123", "2019-07-09T21:48:36.000000123Z"),
        ("UnixMs", "1562708916414", "2019-07-09T21:48:36.414000000Z"),
        ("UnixUs", "1562708916414123", "2019-07-09T21:48:36.414123000Z"),
        ("UnixNs", "1562708916000000123", "2019-07-09T21:48:36.000000123Z"),
        ("ANSIC", "Tue Jul  9 21:48:36 2019", "2019-07-09T21:48:36.000000000Z"),
        ("UnixDate", "Tue Jul  9 21:48:36 UTC 2019", "2019-07-09T21:48:36.000000000Z"),
        ("RubyDate", "Tue Jul 09 21:48:36 -0700 2019", "2019-07-10T04:48:36.000000000Z"),
        ("RFC822", "09 Jul 19 21:48 UTC", "2019-07-09T21:48:00.000000000Z"),
        ("RFC822Z", "09 Jul 19 21:48 +0100", "2019-07-09T20:48:00.000000000Z"),
        ("RFC850", "Tuesday, 09-Jul-19 21:48:36 UTC", "2019-07-09T21:48:36.000000000Z"),
        ("RFC1123", "Tue, 09 Jul 2019 21:48:36 GMT", "2019-07-09T21:48:36.000000000Z"),
        ("RFC1123Z", "Tue, 09 Jul 2019 21:48:36 +0000", "2019-07-09T21:48:36.000000000Z"),
        ("2006-01-02 15:04:05,000", "2019-07-09 21:48:36,414", "2019-07-09T21:48:36.414000000Z"),
        ("2006-01-02 15:04:05", "2019-07-09 21:48:36.5", "2019-07-09T21:48:36.500000000Z"),
        ("2006-01-02 15:04:05.999", "2019-07-09 21:48:36", "2019-07-09T21:48:36.000000000Z"),
        ("02/Jan/2006:15:04:05 -0700", "25/Jan/2000:14:00:01 -0500", "2000-01-25T19:00:01.000000000Z"),
        ("1/2/2006, 3:04:05 PM", "11/8/2022, 12:53:24 PM", "2022-11-08T12:53:24.000000000Z"),
        ("1/2/06 03:04pm", "11/8/22 12:53am", "2022-11-08T00:53:00.000000000Z"),
        ("January 2 2006 15:04 Z07:00", "march 3 2020 04:05 Z", "2020-03-03T04:05:00.000000000Z"),
        ("2006 002 15", "2020 366 04", "2020-12-31T04:00:00.000000000Z"),
        ("Jan _2 15:04:05", "Jan  5 01:02:03", "2026-01-05T01:02:03.000000000Z"),
        ("Jan 2 15:04:05", "Dec 31 23:59:59", "2025-12-31T23:59:59.000000000Z"),
        ("[2006-01-02T15:04:05-07]", "[2020-01-01T00:00:00+01]", "2019-12-31T23:00:00.000000000Z"),
    ] {
        assert_eq!(read(format, None, time).as_deref(), Some(expected), "{format} {time}");
    }
}

#[test]
fn what_is_no_such_time_is_left_alone() {
    for (format, time) in [
        ("RFC3339", "yesterday"),
        ("Unix", "x1"),
        ("UnixMs", "-5"),
        ("2006-01-02", "2019-13-01"),
        ("2006-01-02", "2019-02-30"),
        ("2006-01-02", "2019-02-03 more"),
        ("15:04", "25:00"),
        ("3:04 PM", "13:00 PM"),
        ("2006-01-02 MST", "2019-01-01 utc"),
        ("2006-01-02", "1960-01-01"),
    ] {
        assert_eq!(read(format, None, time), None, "{format} {time}");
    }
}

#[test]
fn a_location_holds_for_times_that_name_no_zone() {
    let layout = "2006-01-02 15:04:05";
    let winter = read(layout, Some("America/New_York"), "2020-01-01 00:00:00");
    assert_eq!(winter.as_deref(), Some("2020-01-01T05:00:00.000000000Z"));
    let summer = read(layout, Some("Europe/Berlin"), "2020-07-01 00:00:00");
    assert_eq!(summer.as_deref(), Some("2020-06-30T22:00:00.000000000Z"));
    // Twice or never on the clock: the earlier, or moved on, as Go does for most zones.
    assert!(read(layout, Some("Europe/Berlin"), "2020-10-25 02:30:00").is_some());
    assert!(read(layout, Some("Europe/Berlin"), "2020-03-29 02:30:00").is_some());
    assert!(refused(stage(layout, Some("Mars/Olympus"))).contains("no zone"));
    assert!(refused(stage("hello", None)).contains("neither a day nor an hour"));
}

#[test]
fn fallbacks_are_tried_in_turn() {
    let stage = StageConfig::Timestamp(TimestampConfig {
        source: text("t"),
        format: text("RFC3339"),
        fallback_formats: vec![text("UnixMs"), text("2006-01-02")],
        ..TimestampConfig::default()
    });
    let taken = run(&[regex("^(?P<t>.*)$"), stage], &["2019-01-01T00:00:00Z", "1562708916414", "2019-07-09"]);
    let times: Vec<u64> = taken.entries.iter().map(|entry| entry.time / SECOND).collect();
    assert_eq!(times, [1_546_300_800, 1_562_708_916, 1_562_630_400]);
}

#[test]
fn a_bad_time_is_just_after_the_last_one_unless_it_is_to_be_left() {
    let stage = |on_failure| {
        StageConfig::Timestamp(TimestampConfig {
            source: text("t"),
            format: text("Unix"),
            on_failure,
            ..TimestampConfig::default()
        })
    };
    let lines = ["bad", "5", "bad", "bad"];
    let times = |on_failure| -> Vec<u64> {
        run(&[regex("^(?P<t>.*)$"), stage(on_failure)], &lines).entries.iter().map(|e| e.time).collect()
    };
    assert_eq!(times(OnBadTime::Fudge), [NOW, 5 * SECOND, 5 * SECOND + 1, 5 * SECOND + 2]);
    assert_eq!(times(OnBadTime::Skip), [NOW, 5 * SECOND, NOW + 2 * SECOND, NOW + 3 * SECOND]);
}

#[test]
fn durations_are_gos() {
    for (spelling, expected) in [
        ("300ms", Some(300_000_000)),
        ("1h30m", Some(5_400 * SECOND)),
        ("1.5s", Some(1_500_000_000)),
        ("0", Some(0)),
        ("7d", Some(604_800 * SECOND)),
        ("", None),
        ("5", None),
        ("-1s", None),
        ("s", None),
        ("1x", None),
    ] {
        assert_eq!(go_duration(spelling), expected, "{spelling}");
    }
}
