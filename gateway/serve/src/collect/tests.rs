use std::sync::Arc;

use super::*;
use crate::fakes::{Nothing, ask, state};

struct Three;

impl Collecting for Three {
    fn files(&self) -> Vec<CollectedFile> {
        let file = |path: &str, namespace: &str, lines, linked_lines, bytes_behind| CollectedFile {
            path: path.into(),
            namespace: namespace.into(),
            lines,
            linked_lines,
            bytes_behind,
            lag_seconds: bytes_behind as f64,
            ..CollectedFile::default()
        };
        vec![file("/a", "shop", 4, 1, 0), file("/b", "shop", 4, 3, 7), file("/c", "other", 0, 0, 1)]
    }
}

async fn get(query: &str) -> (u16, serde_json::Value) {
    let mut state = state(Arc::new(Nothing), Arc::new(Nothing));
    state.collecting = Arc::new(Three);
    let (status, body) = ask(state, &format!("/api/v1/collect/files{query}"), &[]).await;
    (status.as_u16(), serde_json::from_str(&body).unwrap_or_default())
}

#[tokio::test]
async fn totals_are_of_all_files_that_were_asked_for_and_the_furthest_behind_are_listed_first() {
    let (status, body) = get("?limit=1").await;
    assert_eq!(status, 200);
    assert_eq!(body["omitted"], 2);
    assert_eq!(body["files"][0]["path"], "/b");
    assert_eq!(body["files"][0]["linked_share"], 0.75);
    let totals = &body["totals"];
    assert_eq!(
        (&totals["files"], &totals["lines"], &totals["bytes_behind"]),
        (&3.into(), &8.into(), &8.into())
    );
    assert_eq!((&totals["linked_share"], &totals["lag_seconds"]), (&0.5.into(), &7.0.into()));
    let (_, body) = get("?namespace=other").await;
    assert_eq!((&body["totals"]["files"], &body["files"][0]["path"]), (&1.into(), &"/c".into()));
    assert_eq!(body["files"][0]["linked_share"], serde_json::Value::Null);
    assert_eq!(get("?nonsense=1").await.0, 400);
}
