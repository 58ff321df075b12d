//! How much of a body may be read on the spot, and how much of all bodies at once.

use std::pin::pin;
use std::task::{Context, Waker};

use tokio::sync::Semaphore;

use super::*;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    to.write_all(plain).unwrap();
    to.finish().unwrap()
}

/// Whether a body is answered without ever letting go of the thread.
fn is_read_on_the_spot(body: Vec<u8>) -> bool {
    let request = Request::post("/v1/traces")
        .header(PROTOBUF.0, PROTOBUF.1)
        .header("content-encoding", "gzip")
        .body(Body::from(body));
    let otlp = within(Arc::new(Kept::default()), 10_000_000, 20_000_000);
    let answer = pin!(otlp.http().oneshot(request.unwrap()));
    answer.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[tokio::test]
async fn a_small_body_that_inflates_far_is_not_read_on_the_spot() {
    let bomb = gzip(&vec![0; 5_000_000]);
    assert!(bomb.len() < 8 * 1024);
    assert!(!is_read_on_the_spot(bomb));
    assert!(is_read_on_the_spot(gzip(&spans(&[16; 100]))));
}

/// Says when it was asked, and answers when it is let.
struct Slow {
    asked: Semaphore,
    answer: Semaphore,
}

#[async_trait]
impl Sink for Slow {
    async fn accept(&self, _: Arc<Batch>) -> Result<(), Refusal> {
        self.asked.add_permits(1);
        self.answer.acquire().await.unwrap().forget();
        Ok(())
    }
}

#[tokio::test]
async fn decoded_rows_count_until_the_sink_has_answered() {
    let body = spans(&[16; 1_000]);
    // Three bodies would fit, but each becomes more than twice as much in rows.
    let sink = Arc::new(Slow { asked: Semaphore::new(0), answer: Semaphore::new(0) });
    let otlp = within(sink.clone(), 100_000, 4 * body.len());
    let first = tokio::spawn(post(otlp.http(), "/v1/traces", &[PROTOBUF], body.clone()));
    sink.asked.acquire().await.unwrap().forget();
    sink.answer.add_permits(1);
    let (answer, _) = first.await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);

    let held = tokio::spawn(post(otlp.http(), "/v1/traces", &[PROTOBUF], body.clone()));
    sink.asked.acquire().await.unwrap().forget();
    // Were the second one taken all the same, it would be answered with 200.
    sink.answer.add_permits(2);
    let second = otlp.clone();
    let (answer, _) = post(second.http(), "/v1/traces", &[PROTOBUF], body).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(held.await.unwrap().0.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_request_larger_than_the_whole_budget_in_rows_is_taken_when_alone() {
    let body = spans(&[16; 1_000]);
    let sink = Arc::new(Kept::default());
    let otlp = within(sink.clone(), 100_000, body.len() + 1_024);
    for _ in 0..2 {
        let (answer, _) = post(otlp.http(), "/v1/traces", &[PROTOBUF], body.clone()).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
    assert_eq!(sink.batches.lock().unwrap().len(), 2);
}
