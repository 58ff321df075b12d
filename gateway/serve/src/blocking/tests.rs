use axum::http::header;
use std::sync::mpsc;

use super::*;

#[tokio::test]
async fn over_both_bounds_is_503_with_a_time_to_retry() {
    let reads = Reads::new(1, 0);
    let (release, held) = mpsc::channel::<()>();
    let (started, begun) = tokio::sync::oneshot::channel();
    let first = tokio::spawn({
        let reads = reads.clone();
        async move {
            reads
                .run(move || {
                    started.send(()).unwrap();
                    held.recv()
                })
                .await
        }
    });
    begun.await.unwrap();
    let refused = reads.run(|| ()).await.unwrap_err().into_response();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
    drop(release);
    first.await.unwrap().unwrap().unwrap_err();
    assert_eq!(reads.run(|| 7).await, Ok(7), "its place is free again");
}
