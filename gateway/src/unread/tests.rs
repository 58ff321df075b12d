use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::listener::Listener;

/// Answers 503 without a look at the body, on `/refuse`; `/take` gives the number of its bytes.
async fn serve() -> TcpStream {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), "a test", "none").await.unwrap();
    let address = listener.address;
    let router = Router::new()
        .route("/refuse", post(|| async { StatusCode::SERVICE_UNAVAILABLE }))
        .route("/take", post(|body: String| async move { body.len().to_string() }));
    tokio::spawn(listener.serve(router, CancellationToken::new()));
    TcpStream::connect(address).await.unwrap()
}

async fn say(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Reads until the words come.
async fn hear(stream: &mut TcpStream, words: &str) -> String {
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).ends_with(words) {
        let mut piece = [0; 1024];
        let read = stream.read(&mut piece).await.unwrap();
        assert_ne!(read, 0, "it ended after {}", String::from_utf8_lossy(&heard));
        heard.extend_from_slice(&piece[..read]);
    }
    String::from_utf8(heard).unwrap()
}

#[tokio::test]
async fn a_sender_that_is_refused_is_heard_out_and_its_connection_goes_on() {
    let mut stream = serve().await;
    for _ in 0..3 {
        say(&mut stream, "POST /refuse HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await;
        for _ in 0..50 {
            say(&mut stream, &format!("400\r\n{}\r\n", "x".repeat(1024))).await;
            tokio::task::yield_now().await;
        }
        say(&mut stream, "0\r\n\r\n").await;
        let answer = hear(&mut stream, "\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && !answer.contains("connection: close"), "{answer}");
    }
    say(&mut stream, "POST /take HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello").await;
    assert!(hear(&mut stream, "\r\n\r\n5").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_sender_that_goes_on_for_too_long_is_answered_all_the_same() {
    let mut stream = serve().await;
    say(&mut stream, "POST /refuse HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nthe beginning").await;
    assert!(hear(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 503 "));
    assert_eq!(stream.read(&mut [0; 10]).await.unwrap(), 0, "and then cut off");
}

#[tokio::test]
async fn who_asks_whether_to_send_is_told_no_at_once() {
    let mut stream = serve().await;
    say(&mut stream, "POST /refuse HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n")
        .await;
    assert!(hear(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 503 "));
}
