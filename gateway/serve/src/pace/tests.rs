use axum::body::to_bytes;

use super::*;

fn pace(kilobytes: usize) -> Pace {
    Pace { kilobytes: Arc::new(Semaphore::new(kilobytes)), patience: Duration::from_millis(10) }
}

fn answer(bytes: usize) -> Response {
    Response::new(Body::from(vec![b'x'; bytes]))
}

#[tokio::test]
async fn a_large_answer_is_read_whole_and_gives_its_room_back() {
    let pace = pace(2 << 10);
    for _ in 0..5 {
        let response = pace.keep(answer(1 << 20)).await.unwrap();
        #[expect(clippy::disallowed_methods, reason = "bounded")]
        let read = to_bytes(response.into_body(), 2 << 20).await.unwrap();
        assert_eq!(read.len(), 1 << 20);
    }
    let small = pace.keep(answer(1_000)).await.unwrap();
    assert_eq!(small.body().size_hint().exact(), Some(1_000), "it goes out as it is");
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_dropped_and_ends_as_one_that_is_cut_off() {
    let pace = pace(2 << 10);
    let idle = pace.keep(answer(2 << 20)).await.unwrap();
    assert!(pace.keep(answer(1 << 20)).await.is_none(), "there is no room beside it");
    let room = async {
        while pace.keep(answer(1 << 20)).await.is_none() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), room).await.expect("its room is given back");
    #[expect(clippy::disallowed_methods, reason = "bounded")]
    let read = to_bytes(idle.into_body(), 4 << 20).await;
    assert!(read.is_err());
}
