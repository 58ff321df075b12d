use axum::http::StatusCode;

use super::{BASE, PAGE, PARTS};
use crate::fakes::get;

#[tokio::test]
async fn the_page_finds_its_parts_and_nothing_else() {
    let (status, body) = get("/").await;
    assert_eq!(status, StatusCode::OK);
    let named: Vec<&str> = body.split('"').filter(|text| text.starts_with("/page/")).collect();
    assert!(named.len() >= 3 && !body.contains(BASE), "{body}");
    for path in named {
        assert_eq!(get(path).await.0, StatusCode::OK, "{path}");
    }
    assert_eq!(get("/page/other.js").await.0, StatusCode::NOT_FOUND);
}

#[test]
fn every_part_is_used_and_every_import_is_a_part() {
    let parts: Vec<&str> = PARTS.iter().map(|(name, ..)| *name).collect();
    let texts = || PARTS.iter().map(|(_, _, text)| *text).chain([PAGE]);
    for part in &parts {
        assert!(texts().any(|text| text.contains(&format!("/{part}"))), "{part}");
    }
    let imported =
        texts().flat_map(|text| text.split(" from './").skip(1)).filter_map(|rest| rest.split('\'').next());
    for import in imported {
        assert!(parts.contains(&import), "{import}");
    }
}

#[test]
fn nothing_of_it_comes_from_elsewhere_or_is_taken_for_markup() {
    for text in PARTS.iter().map(|(_, _, text)| *text).chain([PAGE]) {
        for wrong in ["https://", "innerHTML", "insertAdjacentHTML", "eval(", " style=\"", "onclick="] {
            assert!(!text.contains(wrong), "{wrong}: {text:.80}");
        }
    }
}
