use std::sync::Arc;

use super::*;
use crate::fakes::{Nothing, ask, state};

struct Three;

impl Scraping for Three {
    fn targets(&self) -> ScrapeTargetsBody {
        let target = |job: &str, url: &str, health| ScrapeTarget {
            job: job.into(),
            url: url.into(),
            health,
            labels: [("instance".to_owned(), url.to_owned())].into(),
            ..ScrapeTarget::default()
        };
        let dropped = |job: &str| DroppedTarget {
            job: job.into(),
            reason: "relabelling drops it".into(),
            ..Default::default()
        };
        ScrapeTargetsBody {
            targets: vec![target("a", "1", "up"), target("b", "2", "up"), target("b", "3", "down")],
            dropped: vec![dropped("a"), dropped("b")],
            ..ScrapeTargetsBody::default()
        }
    }
}

async fn get(query: &str) -> (u16, serde_json::Value) {
    let mut state = state(Arc::new(Nothing), Arc::new(Nothing));
    state.scraping = Arc::new(Three);
    let (status, body) = ask(state, &format!("/api/v1/scrape/targets{query}"), &[]).await;
    (status.as_u16(), serde_json::from_str(&body).unwrap_or_default())
}

#[tokio::test]
async fn targets_are_those_that_were_asked_for_and_those_that_are_down_come_first() {
    let (status, body) = get("").await;
    assert_eq!((status, body["targets"].as_array().unwrap().len(), &body["omitted"]), (200, 3, &0.into()));
    assert_eq!(body["targets"][0]["labels"]["instance"], "1");
    assert_eq!(body["targets"][0]["last_scrape_unix_nano"], serde_json::Value::Null);
    let (_, body) = get("?limit=1").await;
    assert_eq!((&body["targets"][0]["url"], &body["omitted"]), (&"3".into(), &2.into()));
    let (_, body) = get("?job=b&health=up").await;
    assert_eq!((&body["targets"][0]["url"], &body["omitted"]), (&"2".into(), &2.into()));
    assert_eq!(body["dropped"].as_array().unwrap().len(), 1);
    assert_eq!(get("?nonsense=1").await.0, 400);
}
