use serde_json::Value as Json;

use super::*;
use crate::fakes::get;

fn stream(app: &str, times: std::ops::Range<u64>) -> Stream {
    let entry = |time| Entry {
        time,
        line: format!("line {time}").into_bytes(),
        structured: vec![("trace_id".to_owned(), "abc".to_owned())],
        parsed: Vec::new(),
    };
    Stream { labels: Arc::new(Labels::new([("app", app)])), entries: times.map(entry).collect() }
}

fn message(waiting: &mut Waiting, until: u64) -> Json {
    serde_json::from_str(&waiting.message(until).unwrap()).unwrap()
}

#[test]
fn a_message_has_streams_of_two_part_values_up_to_its_time() {
    let mut waiting = Waiting::of_past(vec![stream("b", 3..5), stream("a", 1..3)]);
    waiting.add(vec![stream("a", 2..3), stream("a", 9..10)]);
    let expected = serde_json::json!({"streams": [
        {"stream": {"app": "a", "trace_id": "abc"}, "values": [["1", "line 1"], ["2", "line 2"]]},
        {"stream": {"app": "b", "trace_id": "abc"}, "values": [["3", "line 3"], ["4", "line 4"]]}
    ], "dropped_entries": null});
    assert_eq!(message(&mut waiting, 5), expected, "what is of the past is not shown again when it arrives");
    assert!(waiting.message(8).is_none(), "what is not due is held back");
    assert_eq!(message(&mut waiting, 9)["streams"][0]["values"][0][0], "9");
    assert!(waiting.message(u64::MAX).is_none());
}

#[test]
fn what_nobody_reads_is_dropped_and_told() {
    let mut waiting = Waiting::default();
    let over = MAX_DROPPED as u64 + 50;
    waiting.add(vec![stream("a", 0..MAX_WAITING as u64 + over)]);
    assert_eq!(waiting.lines.len(), MAX_WAITING);
    let message = message(&mut waiting, u64::MAX);
    let dropped = message["dropped_entries"].as_array().unwrap();
    assert_eq!(
        dropped[0],
        serde_json::json!({"timestamp": "0", "labels": {"app": "a"}}),
        "the oldest go first"
    );
    assert_eq!(dropped.len(), MAX_DROPPED + 1);
    assert_eq!(dropped[MAX_DROPPED]["labels"]["more"], "50");
    assert_eq!(message["streams"][0]["values"].as_array().unwrap().len(), MESSAGE_LINES);
}

#[tokio::test]
async fn what_cannot_be_tailed_is_said_before_the_connection_changes() {
    for (query, words) in [
        ("", "query is missing"),
        ("query=%7Ba", "parse error"),
        ("query=%7Ba%3D%22b%22%7D&delay_for=6", "delay_for can't be greater than 5"),
        ("query=%7Ba%3D%22b%22%7D&limit=x", "limit"),
        ("query=count_over_time(%7Ba%3D%22b%22%7D%5B1m%5D)", "expected a log query"),
    ] {
        let (status, body) = get(&format!("/loki/api/v1/tail?{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {body}");
        assert!(body.contains(words), "{query}: {body}");
    }
    let (status, _) = get("/loki/api/v1/tail?query=%7Ba%3D%22b%22%7D").await;
    assert!(status.is_client_error(), "no WebSocket was asked for: {status}");
}
